#include "processing/prediction/learners/cox_model.h"

#include <algorithm>
#include <cmath>

namespace choana::processing {

double log_hazard(const CoxModel& model, const std::vector<double>& row) {
  double sum = 0;
  for (std::size_t i = 0; i < row.size(); ++i) sum += model.coefficients[i] * (row[i] - model.centre[i]);
  return sum;
}

double survival(const CoxModel& model, double log_hazard, double time) {
  const auto after = std::upper_bound(model.times.begin(), model.times.end(), time);
  if (after == model.times.begin()) return 1;
  const double baseline = model.cumulative_hazards[static_cast<std::size_t>(after - model.times.begin()) - 1];
  return std::exp(-baseline * std::exp(log_hazard));
}

}  // namespace choana::processing
