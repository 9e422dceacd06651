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
  LinkDetail link_detail = {};
  /// XGBoost's gblinear: float arithmetic that starts at the intercept (double otherwise, intercept last).
  bool in_float = false;
  /// A missing value adds nothing (gblinear); otherwise none may be missing.
  bool skips_missing = false;
};

/// Margins of one row. Products are added in the order of the inputs.
[[nodiscard]] std::vector<double> linear_margins(const LinearModel& model, const std::vector<double>& row);

}  // namespace choana::processing
