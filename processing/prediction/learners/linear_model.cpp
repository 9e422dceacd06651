#include "processing/prediction/learners/linear_model.h"

#include <cmath>

namespace choana::processing {

std::vector<double> linear_margins(const LinearModel& model, const std::vector<double>& row) {
  std::vector<double> margins(model.coefficients.size());
  for (std::size_t c = 0; c < margins.size(); ++c) {
    if (model.in_float) {
      float sum = static_cast<float>(model.intercepts[c]);
      for (std::size_t i = 0; i < row.size(); ++i)
        if (!std::isnan(row[i])) sum += static_cast<float>(row[i]) * static_cast<float>(model.coefficients[c][i]);
      margins[c] = sum;
      continue;
    }
    double sum = 0;
    for (std::size_t i = 0; i < row.size(); ++i) sum += model.coefficients[c][i] * row[i];
    margins[c] = sum + model.intercepts[c];
  }
  return margins;
}

}  // namespace choana::processing
