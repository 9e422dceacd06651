#include "processing/prediction/shapley/tree_shapley.h"

#include <cmath>
#include <string>
#include <utility>

namespace choana::processing {
namespace {

// One distinct feature on the path from the root: the share of training rows that would pass if it were unknown (zero),
// whether the row passes (one), and the weight of subsets of each size.
struct PathElement {
  int feature = -1;
  double zero = 1;
  double one = 1;
  double weight = 0;
};

// Children by cover; a node that no training row reached counts for nothing when its feature is unknown.
std::pair<double, double> cover_shares(const DecisionTree& tree, const TreeNode& node) {
  if (!(node.cover > 0)) return {0, 0};
  return {tree.nodes[static_cast<std::size_t>(node.left)].cover / node.cover,
          tree.nodes[static_cast<std::size_t>(node.right)].cover / node.cover};
}

void extend(std::vector<PathElement>& path, double zero, double one, int feature) {
  const std::size_t depth = path.size();
  path.push_back({feature, zero, one, depth == 0 ? 1.0 : 0.0});
  const double length = static_cast<double>(depth) + 1;
  for (std::size_t i = depth; i-- > 0;) {
    path[i + 1].weight += one * path[i].weight * (static_cast<double>(i) + 1) / length;
    path[i].weight = zero * path[i].weight * static_cast<double>(depth - i) / length;
  }
}

void unwind(std::vector<PathElement>& path, std::size_t which) {
  const std::size_t depth = path.size() - 1;
  const double one = path[which].one, zero = path[which].zero;
  const double length = static_cast<double>(depth) + 1;
  double next = path[depth].weight;
  for (std::size_t i = depth; i-- > 0;) {
    if (one != 0) {
      const double before = path[i].weight;
      path[i].weight = next * length / ((static_cast<double>(i) + 1) * one);
      next = before - path[i].weight * zero * static_cast<double>(depth - i) / length;
    } else {
      path[i].weight = path[i].weight * length / (zero * static_cast<double>(depth - i));
    }
  }
  for (std::size_t i = which; i < depth; ++i) {
    path[i].feature = path[i + 1].feature;
    path[i].zero = path[i + 1].zero;
    path[i].one = path[i + 1].one;
  }
  path.pop_back();
}

// Sum of the weights that `unwind` would leave.
double unwound_sum(const std::vector<PathElement>& path, std::size_t which) {
  const std::size_t depth = path.size() - 1;
  const double one = path[which].one, zero = path[which].zero;
  const double length = static_cast<double>(depth) + 1;
  double next = path[depth].weight, total = 0;
  for (std::size_t i = depth; i-- > 0;) {
    if (one != 0) {
      const double weight = next * length / ((static_cast<double>(i) + 1) * one);
      total += weight;
      next = path[i].weight - weight * zero * static_cast<double>(depth - i) / length;
    } else {
      total += path[i].weight * length / (zero * static_cast<double>(depth - i));
    }
  }
  return total;
}

class TreeExplainer {
 public:
  TreeExplainer(const DecisionTree& tree, SplitRule rule, double scale, const std::vector<double>& row,
                std::vector<double>& shares)
      : tree_(tree), rule_(rule), scale_(scale), row_(row), shares_(shares) {}

  [[nodiscard]] Status run() {
    visit(0, {}, 1, 1, -1, 0);
    if (too_deep_)
      return fail(ErrorCode::not_computable, "explain",
                  "A tree is deeper than " + std::to_string(explained_depth_max) + " levels and is not explained.");
    // Also off the way of this row: a subset of the inputs may lead there.
    if (undefined_)
      return fail(ErrorCode::missing_value, "explain",
                  "An input is missing and a tree does not say where missing values go.");
    return {};
  }

 private:
  void visit(int index, std::vector<PathElement> path, double zero, double one, int feature, int depth) {
    if (depth > explained_depth_max) {
      too_deep_ = true;
      return;
    }
    // Unknown, the way is closed (zero = 0); known, the row takes the other one (one = 0): nothing arrives here.
    if (zero == 0 && one == 0) return;
    extend(path, zero, one, feature);
    const TreeNode& node = tree_.nodes[static_cast<std::size_t>(index)];
    if (node.is_leaf()) {
      for (std::size_t i = 1; i < path.size(); ++i)
        shares_[static_cast<std::size_t>(path[i].feature)] +=
            scale_ * unwound_sum(path, i) * (path[i].one - path[i].zero) * node.value;
      return;
    }
    const double x = row_[static_cast<std::size_t>(node.feature)];
    if (std::isnan(x) && node.missing == TreeNode::Missing::undefined) {
      undefined_ = true;
      return;
    }
    const bool left = std::isnan(x) ? node.missing == TreeNode::Missing::left : goes_left(rule_, x, node.threshold);
    const auto [left_share, right_share] = cover_shares(tree_, node);
    double incoming_zero = 1, incoming_one = 1;
    for (std::size_t i = 1; i < path.size(); ++i)
      if (path[i].feature == node.feature) {
        incoming_zero = path[i].zero;
        incoming_one = path[i].one;
        unwind(path, i);
        break;
      }
    visit(node.left, path, incoming_zero * left_share, left ? incoming_one : 0, node.feature, depth + 1);
    visit(node.right, path, incoming_zero * right_share, left ? 0 : incoming_one, node.feature, depth + 1);
  }

  const DecisionTree& tree_;
  SplitRule rule_;
  double scale_;
  const std::vector<double>& row_;
  std::vector<double>& shares_;
  bool too_deep_ = false;
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
  const std::vector<double> bases = expected_margins(ensemble);
  std::vector<Attribution> attributions(bases.size());
  for (std::size_t g = 0; g < bases.size(); ++g) attributions[g] = {bases[g], std::vector<double>(row.size(), 0.0)};
  for (const DecisionTree& tree : ensemble.trees) {
    TreeExplainer explainer(tree, ensemble.rule, ensemble.scale, row,
                            attributions[static_cast<std::size_t>(tree.group)].shares);
    if (const Status status = explainer.run(); !status) return fail(status.error());
  }
  return attributions;
}

}  // namespace choana::processing
