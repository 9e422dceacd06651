#include "processing/pipeline/study_robustness.h"

#include <algorithm>
#include <set>
#include <utility>

#include "processing/perturbation/region_perturbation.h"
#include "processing/prediction/robustness.h"
#include "processing/radiomics/selected_extraction.h"

namespace choana::processing {

void StudyRobustness::add(const ModelPackage& package, const PackagePlan& plan, const std::map<std::string, double>& inputs, const PredictionContext& context, TaskPool* pool,
                          std::vector<Prediction>& predictions) const {
  const PackageManifest& manifest = package.manifest();
  if (!manifest.robustness) return;
  const RobustnessSpec& rule = *manifest.robustness;
  const PerturbationAmplitude amplitude{rule.translation_mm, rule.rotation_deg, rule.boundary_mm};
  const auto count = static_cast<std::size_t>(rule.count);

  // By (role, region): what the package takes from there.
  std::map<PackagePlan::Name, std::vector<std::pair<std::string, FeatureId>>> wanted;
  for (const PackageFeature& feature : manifest.features) {
    const bool drawn = std::any_of(manifest.rois.begin(), manifest.rois.end(), [&](const RequiredRoi& roi) { return roi.name == feature.roi; });
    const PackagePlan::Name name{feature.role, feature.roi};
    if (feature.kind != "radiomic" || !drawn || !inputs.contains(feature.id) || !plan.task_of.contains(name)) continue;
    if (auto id = FeatureId::parse(feature.feature)) wanted[name].emplace_back(feature.id, std::move(*id));
  }
  std::set<std::string> again;
  std::vector<std::map<std::string, double>> rows(count, inputs);
  std::vector<bool> measured(count, true);
  for (const auto& [name, features] : wanted) {
    const MeasurementTask& task = measurements_[plan.task_of.at(name)];
    const StudyImage& image = images_[task.image];
    if (image.error) continue;
    const double started = log_.now_s();
    const RegionOfInterest& drawn = measurements_.region_of(task);
    const PerturbableRegion region(drawn);
    std::set<FeatureId> ids;
    for (const auto& [feature, id] : features) {
      ids.insert(id);
      again.insert(feature);
    }
    const auto mask = [&](std::size_t n) {
      const auto perturbed = region.perturbed(draw_perturbation(amplitude, static_cast<std::uint64_t>(rule.seed), name.second, n));
      // Nothing left of it: an empty mask, which cannot be measured either.
      return perturbed ? to_mask_volume(*perturbed) : MaskVolume{drawn.geometry(), std::vector<std::uint32_t>(drawn.mask().size(), 0)};
    };
    const auto extracted = extract_selected(to_scalar_volume(image.volume), count, mask, 1, task.profile, ids, pool);
    std::size_t whole = 0;
    for (std::size_t n = 0; n < count; ++n) {
      bool all = extracted[n].has_value();
      for (const auto& [feature, id] : features) {
        const auto value = extracted[n] ? extracted[n]->number(id) : std::nullopt;
        all = all && value.has_value();
        if (value) rows[n][feature] = *value;
      }
      measured[n] = measured[n] && all;
      whole += all ? 1 : 0;
    }
    log_.inner_step({"perturb", task.role, "{\"roi\":" + json_quoted(drawn.name()) + ",\"package\":" + json_quoted(manifest.id) + ",\"features\":" + std::to_string(ids.size()) +
                                               ",\"perturbed\":" + std::to_string(count) + ",\"measured\":" + std::to_string(whole) + "}",
                     log_.now_s() - started});
  }
  if (again.empty()) {
    log_.issue(ErrorCode::not_computable, "The model '" + manifest.id + "' asks how robust its prediction is, but none of its features is measured in a region that was drawn.", "", "");
    return;
  }
  std::vector<std::map<std::string, double>> usable;
  for (std::size_t n = 0; n < count; ++n)
    if (measured[n]) usable.push_back(std::move(rows[n]));
  add_robustness(package, inputs, usable, again, context, predictions);
}

}  // namespace choana::processing
