#include "processing/prediction/learners/calibrated_model.h"

#include <algorithm>
#include <cmath>

namespace choana::processing {

double calibrate(const CalibratedModel::Calibrator& calibrator, double d) {
  if (!calibrator.isotonic) return 1.0 / (1.0 + std::exp(calibrator.a * d + calibrator.b));
  const std::vector<double>& x = calibrator.x;
  const std::vector<double>& y = calibrator.y;
  if (d <= x.front()) return y.front();
  if (d >= x.back()) return y.back();
  const auto right = static_cast<std::size_t>(std::upper_bound(x.begin(), x.end(), d) - x.begin());
  const double slope = (y[right] - y[right - 1]) / (x[right] - x[right - 1]);
  return y[right - 1] + slope * (d - x[right - 1]);
}

namespace {

Result<double> margin_of(const LinearModel& model, const std::vector<double>& row) { return linear_margins(model, row)[0]; }
Result<double> margin_of(const SupportVectorMachine& model, const std::vector<double>& row) { return svm_decision(model, row); }
Result<double> margin_of(const TreeEnsemble& model, const std::vector<double>& row) {
  const auto margins = tree_margins(model, row);
  if (!margins) return fail(margins.error());
  return (*margins)[0];
}

}  // namespace

Result<double> calibrated_probability(const CalibratedModel& model, const std::vector<double>& row) {
  double sum = 0;
  for (const CalibratedModel::Member& member : model.members) {
    const auto margin = std::visit([&](const auto& base) { return margin_of(base, row); }, member.base);
    if (!margin) return margin;
    sum += calibrate(member.calibrator, *margin);
  }
  return sum / static_cast<double>(model.members.size());
}

}  // namespace choana::processing
