#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "processing/prediction/learners/tree_ensemble.h"

namespace choana::processing {

/// A split as explanations read it, one beside the other. Positions count the splits of a tree first, then its leaves; a
/// parent stands before its children, and splits whose children are both leaves stand last.
struct PreparedSplit {
  double threshold = 0;    // a value of the prepared row that is not above it goes left
  double left_share = 0;   // children by cover; both 0 where no training row arrived
  double right_share = 0;
  double before = 1;       // share of training rows that the path's earlier splits of the same feature let through
  std::uint32_t slot = 0;  // of the prepared row; slot / 4 is the position among the used features
  std::int32_t left = 0;
  std::int32_t right = 0;
  std::int32_t earlier = -1;  // 2 * split + (0 left, 1 right): the last split of the same feature on the path; -1: none
};

/// A node as scoring reads it: children stand side by side. A leaf leads to itself, so that trees can be walked in step.
struct PreparedNode {
  double threshold = 0;     // of a leaf: its value
  std::uint32_t slot = 0;
  std::uint32_t child = 0;  // the left one, counted from the tree's first node
};

struct PreparedTree {
  std::size_t first_split = 0, splits = 0, inner = 0;  // inner: those with a split among their children
  std::size_t first_leaf = 0, leaves = 0;
  std::size_t first_node = 0;
  int depth = 0;
  int group = 0;
  bool plain = true;       // every split is a comparison that the prepared row answers
  bool undefined = false;  // a split does not say where missing values go: only rows without are plain
};

/// What can be worked out of an ensemble before the first row comes. Decisions are the same as those of `way_at`: a row
/// is rounded as the rule asks, and a threshold that must not be reached is moved down by one step.
struct PreparedTrees {
  std::vector<std::uint32_t> used;  // inputs that any split asks, ascending
  std::vector<PreparedTree> trees;
  std::vector<PreparedNode> nodes;
  // For explanations.
  std::vector<PreparedSplit> splits;
  std::vector<std::int32_t> origins;  // the node that a split was
  std::vector<double> leaves;         // values
  std::size_t distinct = 0;           // largest number of different features on one path
  std::size_t positions = 0;          // largest number of splits and leaves of a tree

  /// Whether it can belong to the ensemble; one that was changed must be prepared again.
  [[nodiscard]] bool fits(const TreeEnsemble& ensemble) const;
};

[[nodiscard]] std::shared_ptr<const PreparedTrees> prepare_trees(const TreeEnsemble& ensemble);

/// A row as prepared splits compare it: four numbers for each used input (a missing value left; right; and the same with
/// zero missing), rounded by the rule, and one for leaves. Returns whether a used input is missing.
bool prepare_row(const PreparedTrees& prepared, SplitRule rule, const std::vector<double>& row, std::vector<double>& slots);

/// The leaf values that a prepared row reaches, one a tree; trees that are not plain for this row are left out.
void prepared_leaf_values(const PreparedTrees& prepared, const std::vector<double>& slots, bool missing, std::vector<double>& values);

}  // namespace choana::processing
