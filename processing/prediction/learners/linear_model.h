#pragma once

#include <vector>

#include "processing/prediction/learners/link.h"

namespace choana::processing {

/// margin[class] = sum of coefficients[class][i] * x[i] + intercepts[class]; linear and logistic regression, LASSO
/// scores, nomograms.
struct LinearModel {
  std::vector<std::vector<double>> coefficients;  // one row a class
  std::vector<double> intercepts;                 // one a class
  Link link = Link::identity;
};

/// Margins of one row without missing values. Products are added in the order of the inputs, the intercept last.
[[nodiscard]] std::vector<double> linear_margins(const LinearModel& model, const std::vector<double>& row);

}  // namespace choana::processing
