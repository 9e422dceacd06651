#include "processing/prediction/learners/linear_model.h"

namespace choana::processing {

std::vector<double> linear_margins(const LinearModel& model, const std::vector<double>& row) {
  std::vector<double> margins(model.coefficients.size());
  for (std::size_t c = 0; c < margins.size(); ++c) {
    double sum = 0;
    for (std::size_t i = 0; i < row.size(); ++i) sum += model.coefficients[c][i] * row[i];
    margins[c] = sum + model.intercepts[c];
  }
  return margins;
}

}  // namespace choana::processing
