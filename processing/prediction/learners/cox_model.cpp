#include "processing/prediction/learners/cox_model.h"

#include <algorithm>
#include <cmath>

namespace choana::processing {
namespace {

// A step without any hazard yet stays 1, also where the relative hazard is beyond a double.
double survival_at(double baseline, double log_hazard) { return baseline == 0 ? 1 : std::exp(-baseline * std::exp(log_hazard)); }

}  // namespace

double log_hazard(const CoxModel& model, const std::vector<double>& row) {
  double sum = 0;
  for (std::size_t i = 0; i < row.size(); ++i) sum += model.coefficients[i] * (row[i] - model.centre[i]);
  return sum;
}

std::vector<double> survival_steps(const CoxModel& model, double log_hazard) {
  std::vector<double> steps;
  steps.reserve(model.cumulative_hazards.size());
  for (const double hazard : model.cumulative_hazards) steps.push_back(survival_at(hazard, log_hazard));
  return steps;
}

double survival(const CoxModel& model, double log_hazard, double time) {
  const auto after = std::upper_bound(model.times.begin(), model.times.end(), time);
  if (after == model.times.begin()) return 1;
  const double baseline = model.cumulative_hazards[static_cast<std::size_t>(after - model.times.begin()) - 1];
  return survival_at(baseline, log_hazard);
}

}  // namespace choana::processing
