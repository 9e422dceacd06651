#pragma once

#include <cstddef>
#include <string>

#include "processing/prediction/learners/tree_ensemble.h"

namespace choana::processing {

/// Hold a tree that was read against what evaluation relies on: every index in range, leaves without children, no node
/// with two parents, no cycle, every number of a leaf finite, no threshold that is not a number. Measures `tree.depth`.
/// Returns what is wrong, worded to follow the name of the tree ("has a cycle"); empty if nothing is.
[[nodiscard]] std::string check_tree(DecisionTree& tree, std::size_t features);

}  // namespace choana::processing
