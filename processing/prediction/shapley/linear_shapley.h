#pragma once

#include <vector>

#include "processing/prediction/learners/linear_model.h"
#include "processing/prediction/shapley/attribution.h"

namespace choana::processing {

/// Interventional Shapley values of a linear model, in margin space: share i = coefficient i * (row i - mean i), base =
/// margin at the mean. One attribution a class. row and mean: what the coefficients multiply (after a scaler), none
/// missing. Source: Lundberg and Lee 2017 (arXiv 1705.07874), corollary 1.
[[nodiscard]] std::vector<Attribution> explain_linear(const LinearModel& model, const std::vector<double>& row,
                                                      const std::vector<double>& mean);

}  // namespace choana::processing
