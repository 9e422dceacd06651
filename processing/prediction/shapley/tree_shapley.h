#pragma once

#include <vector>

#include "core/result.h"
#include "processing/prediction/learners/tree_ensemble.h"
#include "processing/prediction/shapley/attribution.h"

namespace choana::processing {

/// Path-dependent TreeSHAP in margin space, one attribution a group, in double. Where a feature is unknown, both
/// children count by their cover. row: the inputs that the splits compare (after a scaler), NaN = missing.
/// Errors: not_computable (the trees have no cover, or are too deep), missing_value (as `tree_margins`).
/// Source: the value function of Lundberg, Erion, Lee 2018 (arXiv 1802.03888); computed in time nodes x depth by exact
/// quadrature of the Shapley integral, not by their algorithm (see the .cpp).
[[nodiscard]] Result<std::vector<Attribution>> explain_trees(const TreeEnsemble& ensemble, const std::vector<double>& row);

/// Expected margin over the training rows (by cover), one a group: the base of `explain_trees`.
[[nodiscard]] std::vector<double> expected_margins(const TreeEnsemble& ensemble);

/// Trees deeper than this are scored but not explained: the recursion and its path grow with the depth.
constexpr int explained_depth_max = 256;

}  // namespace choana::processing
