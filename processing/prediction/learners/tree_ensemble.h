#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/result.h"
#include "processing/prediction/learners/link.h"

namespace choana::processing {

/// How a split compares a value x with its threshold t, and which way that sends a row. The libraries differ, and a row
/// that lies on a threshold shows it (spec/models.md 2, trap 3; 7.3).
enum class SplitRule {
  le_f32_f64,  // scikit-learn: left if double(float(x)) <= t
  lt_f32,      // XGBoost: left if float(x) < float(t)
  le_f64,      // scikit-learn HistGradientBoosting: left if x <= t
  gt_f32,      // CatBoost: right if float(x) > float(t)
  lightgbm,    // left if x <= t, where abs(x) <= 1e-35f counts as 0
};

/// f64: leaf values are added in double, then scaled, then the base is added. f32: every addition is rounded to float,
/// in tree order, starting at the base (XGBoost).
enum class SumRule { f64, f32 };

struct TreeNode {
  enum class Missing : std::int8_t { left, right, undefined };

  int feature = -1;  // index of the input; -1 = leaf
  double threshold = 0;
  int left = -1;
  int right = -1;
  Missing missing = Missing::undefined;  // where a missing value goes
  double value = 0;                      // of a leaf
  double cover = 0;                      // weighted training rows that reached the node
  bool zero_is_missing = false;          // LightGBM's zero_as_missing: 0 takes the way of missing values
  int category_set = -1;                 // position in DecisionTree::category_sets; -1: the node compares with its threshold

  [[nodiscard]] bool is_leaf() const { return feature < 0; }
};

/// Categories as bits: category c (a whole number, from 0) is in the set if bit c % 32 of word c / 32 is set.
struct CategorySet {
  std::vector<std::uint32_t> bits;
  bool goes_left = true;     // where members go; other categories take the other way
  double above = -1;         // a value not above this or not below `below` is no category ...
  double below = 2147483648.0;
  bool invalid_left = false;  // ... and goes left or right

  [[nodiscard]] bool sends_left(double x) const;
};

/// Node 0 is the root; every node has at most one parent and there is no cycle (readers check that).
struct DecisionTree {
  int group = 0;
  std::vector<TreeNode> nodes;
  int depth = -1;  // splits on the longest way; -1: not measured
  std::vector<CategorySet> category_sets = {};
};

struct PreparedTrees;

/// Trees whose leaf values add up: margin[group] = base[group] + scale * sum of the leaves reached.
struct TreeEnsemble {
  SplitRule rule = SplitRule::le_f32_f64;
  SumRule sum = SumRule::f64;
  double scale = 1;
  std::vector<double> base;  // one a group
  Link link = Link::identity;
  bool has_cover = false;    // without it there is no path-dependent explanation
  std::vector<double> expected;  // margins expected over the training rows (`expected_margins`); empty: not measured
  std::vector<DecisionTree> trees;
  LinkDetail link_detail = {};
  std::shared_ptr<const PreparedTrees> prepared = {};  // readers fill it in when the rest is there (`prepare_trees`); empty: everything is slower
};

/// Whether x (not NaN) goes to the left child.
[[nodiscard]] bool goes_left(SplitRule rule, double x, double threshold);

/// Which way a row goes at a split; undefined: the value is missing and the node does not say where missing values go.
[[nodiscard]] TreeNode::Missing way_at(const DecisionTree& tree, const TreeNode& node, SplitRule rule, double x);

/// Index of the leaf that a row reaches, or -1 - n if node n needs a value that is missing (NaN) and does not say where
/// missing values go.
[[nodiscard]] int leaf_of(const DecisionTree& tree, SplitRule rule, const std::vector<double>& row);

/// Margins of one row, one a group. row: inputs in the learner's order, NaN = missing.
/// Errors: missing_value if a split needs a missing value and does not say where it goes.
[[nodiscard]] Result<std::vector<double>> tree_margins(const TreeEnsemble& ensemble, const std::vector<double>& row);

}  // namespace choana::processing
