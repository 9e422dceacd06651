#include "processing/prediction/shapley/tree_shapley.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "processing/prediction/shapley/gauss_legendre.h"

namespace choana::processing {
namespace {

// Children by cover; a node that no training row reached counts for nothing when its feature is unknown.
std::pair<double, double> cover_shares(const DecisionTree& tree, const TreeNode& node) {
  if (!(node.cover > 0)) return {0, 0};
  return {tree.nodes[static_cast<std::size_t>(node.left)].cover / node.cover,
          tree.nodes[static_cast<std::size_t>(node.right)].cover / node.cover};
}

int depth_of(const DecisionTree& tree) {
  int deepest = 0;
  std::vector<std::pair<int, int>> open{{0, 0}};
  while (!open.empty()) {
    const auto [index, depth] = open.back();
    open.pop_back();
    deepest = std::max(deepest, depth);
    const TreeNode& node = tree.nodes[static_cast<std::size_t>(index)];
    if (node.is_leaf()) continue;
    open.emplace_back(node.left, depth + 1);
    open.emplace_back(node.right, depth + 1);
  }
  return deepest;
}

// A leaf of value v whose path asks d distinct features is the game v(S) = v * product over j of (o_j if j is in S, else
// z_j): z_j the share of training rows that pass the feature's splits, o_j whether the row passes. Its Shapley values are
//   v * (o_i - z_i) * integral over t in (0, 1) of the product over j != i of (z_j (1 - t) + o_j t),
// a polynomial of degree d - 1, which Gauss-Legendre quadrature of ceil(d / 2) nodes integrates exactly. The products grow
// from the root down and the sums over leaves from the leaves up, so a tree costs nodes x quadrature nodes, and nothing
// is ever subtracted from a product: every factor is positive.
class TreeExplainer {
 public:
  TreeExplainer(const Quadrature& quadrature, int depth_max, std::size_t features)
      : quadrature_(quadrature),
        count_(quadrature.nodes.size()),
        products_((static_cast<std::size_t>(depth_max) + 1) * count_),
        sums_((static_cast<std::size_t>(depth_max) + 1) * count_),
        inverses_((static_cast<std::size_t>(depth_max) + 2) * count_, 1.0),
        known_(features) {}

  /// Adds the shares of one tree. False if a missing value meets a node without a rule for it, also off the way of this
  /// row: a subset of the inputs may lead there.
  [[nodiscard]] bool add(const DecisionTree& tree, SplitRule rule, const std::vector<double>& row, std::vector<double>& shares) {
    tree_ = &tree;
    rule_ = rule;
    row_ = &row;
    shares_ = &shares;
    undefined_ = false;
    std::fill_n(products_.begin(), count_, 1.0);
    visit(0, 0);
    return !undefined_;
  }

 private:
  // What the path from the root says of one feature. Untouched, it leaves every product as it is.
  struct Passed {
    double zero = 1;
    double one = 1;
    std::size_t inverse = 0;  // where inverses_ holds 1 / factor: row 0 is all ones, row d + 1 belongs to depth d
  };

  // Leaves the sum of leaf value x product over all leaves below in sums_ at this depth.
  void visit(int index, std::size_t depth) {
    const TreeNode& node = tree_->nodes[static_cast<std::size_t>(index)];
    const double* product = &products_[depth * count_];
    double* sum = &sums_[depth * count_];
    if (node.is_leaf()) {
      for (std::size_t q = 0; q < count_; ++q) sum[q] = node.value * product[q];
      return;
    }
    const auto feature = static_cast<std::size_t>(node.feature);
    const TreeNode::Missing way = way_at(*tree_, node, rule_, (*row_)[feature]);
    if (way == TreeNode::Missing::undefined) undefined_ = true;
    const bool goes_to_left = way == TreeNode::Missing::left;
    const auto [left_share, right_share] = cover_shares(*tree_, node);
    std::fill_n(sum, count_, 0.0);
    const Passed before = known_[feature];
    for (const bool left : {true, false}) {
      const Passed after{before.zero * (left ? left_share : right_share), left == goes_to_left ? before.one : 0.0, depth + 1};
      // Unknown, the way is closed; known, the row takes the other one: nothing arrives there.
      if (after.zero == 0 && after.one == 0) continue;
      const double* inverse_before = &inverses_[before.inverse * count_];
      double* inverse_after = &inverses_[after.inverse * count_];
      double* child_product = &products_[(depth + 1) * count_];
      for (std::size_t q = 0; q < count_; ++q) {
        const double t = quadrature_.nodes[q];
        const double factor = after.zero * (1 - t) + after.one * t;
        inverse_after[q] = 1 / factor;
        child_product[q] = product[q] * factor * inverse_before[q];
      }
      known_[feature] = after;
      visit(left ? node.left : node.right, depth + 1);
      known_[feature] = before;
      // The leaves below now belong to this split of the feature and no longer to the one above it.
      const double* child_sum = &sums_[(depth + 1) * count_];
      double gained = 0, lost = 0;
      for (std::size_t q = 0; q < count_; ++q) {
        const double weighted = quadrature_.weights[q] * child_sum[q];
        gained += weighted * inverse_after[q];
        lost += weighted * inverse_before[q];
        sum[q] += child_sum[q];
      }
      (*shares_)[feature] += (after.one - after.zero) * gained - (before.one - before.zero) * lost;
    }
  }

  const Quadrature& quadrature_;
  std::size_t count_;
  std::vector<double> products_;  // by depth and quadrature node
  std::vector<double> sums_;
  std::vector<double> inverses_;
  std::vector<Passed> known_;     // by feature
  const DecisionTree* tree_ = nullptr;
  SplitRule rule_ = SplitRule::le_f64;
  const std::vector<double>* row_ = nullptr;
  std::vector<double>* shares_ = nullptr;
  bool undefined_ = false;
};

double expected_value(const DecisionTree& tree) {
  // Without recursion: trees may be deep.
  double sum = 0;
  std::vector<std::pair<int, double>> open{{0, 1.0}};
  while (!open.empty()) {
    const auto [index, weight] = open.back();
    open.pop_back();
    const TreeNode& node = tree.nodes[static_cast<std::size_t>(index)];
    if (node.is_leaf()) {
      sum += weight * node.value;
      continue;
    }
    const auto [left_share, right_share] = cover_shares(tree, node);
    open.emplace_back(node.right, weight * right_share);
    open.emplace_back(node.left, weight * left_share);
  }
  return sum;
}

}  // namespace

std::vector<double> expected_margins(const TreeEnsemble& ensemble) {
  std::vector<double> sums(ensemble.base.size(), 0.0);
  for (const DecisionTree& tree : ensemble.trees) sums[static_cast<std::size_t>(tree.group)] += expected_value(tree);
  for (std::size_t g = 0; g < sums.size(); ++g) sums[g] = ensemble.base[g] + ensemble.scale * sums[g];
  return sums;
}

Result<std::vector<Attribution>> explain_trees(const TreeEnsemble& ensemble, const std::vector<double>& row) {
  if (!ensemble.has_cover)
    return fail(ErrorCode::not_computable, "explain",
                "The trees carry no cover (training rows by node), which a path-dependent explanation needs.");
  int depth = 0;
  for (const DecisionTree& tree : ensemble.trees) depth = std::max(depth, tree.depth >= 0 ? tree.depth : depth_of(tree));
  if (depth > explained_depth_max)
    return fail(ErrorCode::not_computable, "explain",
                "A tree is deeper than " + std::to_string(explained_depth_max) + " levels and is not explained.");
  const std::size_t distinct = std::min<std::size_t>(static_cast<std::size_t>(depth), row.size());
  const Quadrature quadrature = gauss_legendre(std::max<std::size_t>(1, (distinct + 1) / 2));
  TreeExplainer explainer(quadrature, depth, row.size());

  const std::vector<double> bases = ensemble.expected.empty() ? expected_margins(ensemble) : ensemble.expected;
  std::vector<Attribution> attributions(bases.size());
  for (std::size_t g = 0; g < bases.size(); ++g) attributions[g] = {bases[g], std::vector<double>(row.size(), 0.0)};
  for (const DecisionTree& tree : ensemble.trees)
    if (!explainer.add(tree, ensemble.rule, row, attributions[static_cast<std::size_t>(tree.group)].shares))
      return fail(ErrorCode::missing_value, "explain",
                  "An input is missing and a tree does not say where missing values go.");
  for (Attribution& attribution : attributions)
    for (double& share : attribution.shares) share *= ensemble.scale;
  return attributions;
}

}  // namespace choana::processing
