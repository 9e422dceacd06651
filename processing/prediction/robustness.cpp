#include "processing/prediction/robustness.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "processing/prediction/applicability.h"

namespace choana::processing {
namespace {

/// Linear between order statistics (type 7 of Hyndman and Fan 1996, the default of R and NumPy). values: ascending, not empty.
double quantile(const std::vector<double>& values, double share) {
  const double at = share * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(std::floor(at));
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (at - static_cast<double>(below)) * (values[above] - values[below]);
}

/// values: not empty. Of equal values exactly 0.
double standard_deviation(const std::vector<double>& values) {
  double mean = 0, squares = 0;  // of the differences from the first
  for (const double value : values) mean += (value - values.front()) / static_cast<double>(values.size());
  for (const double value : values) squares += (value - values.front() - mean) * (value - values.front() - mean);
  return values.size() < 2 ? 0 : std::sqrt(squares / static_cast<double>(values.size() - 1));
}

}  // namespace

void add_robustness(const ModelPackage& package, const std::map<std::string, double>& inputs, const std::vector<std::map<std::string, double>>& perturbed, const std::set<std::string>& again,
                    const PredictionContext& context, std::vector<Prediction>& predictions) {
  const PackageManifest& manifest = package.manifest();
  if (!manifest.robustness || predictions.empty()) return;
  const RobustnessSpec& rule = *manifest.robustness;
  Robustness result;
  result.count = rule.count;
  result.coverage = rule.coverage;
  result.translation_mm = rule.translation_mm;
  result.rotation_deg = rule.rotation_deg;
  result.boundary_mm = rule.boundary_mm;

  const auto site = package.site_of(context);
  std::vector<std::vector<double>> values(predictions.size());
  std::vector<const std::map<std::string, double>*> used;
  for (const auto& row : perturbed) {
    const auto scores = site ? package.score(row, false, *site) : Result<std::vector<OutputScore>>(fail(site.error()));
    if (!scores) continue;
    std::vector<double> all;  // in the order of the predictions: outputs, classes within them
    for (std::size_t o = 0; o < scores->size(); ++o)
      for (const double value : (*scores)[o].values) all.push_back((manifest.outputs[o].unit == "%" ? 100 : 1) * value);
    if (all.size() != predictions.size() || !std::all_of(all.begin(), all.end(), [](double value) { return std::isfinite(value); })) continue;
    for (std::size_t p = 0; p < all.size(); ++p) values[p].push_back(all[p]);
    used.push_back(&row);
  }
  result.used = static_cast<int>(used.size());

  std::vector<std::pair<double, std::string>> moved;
  for (const PackageFeature& feature : manifest.features) {
    if (feature.kind == "clinical" || feature.kind == "table" || !inputs.contains(feature.id)) continue;
    if (!again.contains(feature.id)) {
      result.kept.push_back(label_of(feature));
      continue;
    }
    std::vector<double> spread;
    for (const auto* row : used)
      if (const auto value = row->find(feature.id); value != row->end() && std::isfinite(value->second)) spread.push_back(value->second);
    if (!(feature.train_sd > 0) || spread.empty()) continue;
    const double share = standard_deviation(spread) / feature.train_sd;
    if (share > rule.moved_sd) moved.emplace_back(share, label_of(feature));
  }
  std::stable_sort(moved.begin(), moved.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  for (auto& [share, label] : moved) result.moved.push_back(std::move(label));

  const bool enough = 2 * used.size() >= static_cast<std::size_t>(rule.count) && used.size() >= 2;
  for (std::size_t p = 0; p < predictions.size(); ++p) {
    predictions[p].robustness = result;
    predictions[p].interval_low.reset();
    predictions[p].interval_high.reset();
    if (!enough) continue;
    std::sort(values[p].begin(), values[p].end());
    predictions[p].interval_low = std::min(predictions[p].value, quantile(values[p], (1 - rule.coverage) / 2));
    predictions[p].interval_high = std::max(predictions[p].value, quantile(values[p], (1 + rule.coverage) / 2));
  }
}

}  // namespace choana::processing
