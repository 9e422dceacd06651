#include "processing/prediction/readers/tree_check.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

namespace choana::processing {
namespace {

// Every node is reached from at most one other, and walking from the nodes without a parent reaches all of them: so
// there is no cycle, and the root's part is a tree. Nodes apart from the root (left over by pruning) do no harm.
std::string check_shape(DecisionTree& tree) {
  const std::vector<TreeNode>& nodes = tree.nodes;
  std::vector<char> has_parent(nodes.size(), 0);
  for (const TreeNode& node : nodes) {
    if (node.is_leaf()) continue;
    for (const int child : {node.left, node.right}) {
      char& seen = has_parent[static_cast<std::size_t>(child)];
      if (seen != 0) return "has a node that two others lead to (node " + std::to_string(child) + ")";
      seen = 1;
    }
  }
  if (has_parent[0] != 0) return "has a cycle: a node leads back to the root";
  std::vector<std::pair<int, int>> open;  // node, its depth
  for (std::size_t n = nodes.size(); n-- > 0;)
    if (has_parent[n] == 0) open.emplace_back(static_cast<int>(n), 0);
  std::size_t reached = 0;
  int deepest = 0;
  while (!open.empty()) {
    const auto [index, depth] = open.back();
    open.pop_back();
    ++reached;
    deepest = std::max(deepest, depth);
    const TreeNode& node = nodes[static_cast<std::size_t>(index)];
    if (node.is_leaf()) continue;
    open.emplace_back(node.left, depth + 1);
    open.emplace_back(node.right, depth + 1);
  }
  if (reached != nodes.size()) return "has a cycle";
  tree.depth = deepest;
  return {};
}

}  // namespace

std::string check_tree(DecisionTree& tree, std::size_t features) {
  const int count = static_cast<int>(tree.nodes.size());
  if (count == 0) return "has no node";
  for (int n = 0; n < count; ++n) {
    const TreeNode& node = tree.nodes[static_cast<std::size_t>(n)];
    const std::string at = " at node " + std::to_string(n);
    if (node.feature < -1 || node.feature >= static_cast<int>(features))
      return "splits on input " + std::to_string(node.feature) + at + ", and there are " + std::to_string(features);
    if (!(node.cover >= 0) || std::isinf(node.cover)) return "has a negative cover" + at;
    if (node.is_leaf()) {
      if (node.left != -1 || node.right != -1) return "has a leaf with children" + at;
      if (!std::isfinite(node.value)) return "has a value that is not a finite number" + at;
      continue;
    }
    if (node.left < 0 || node.right < 0 || node.left >= count || node.right >= count) return "has a child out of range" + at;
    if (std::isnan(node.threshold)) return "has a threshold that is not a number" + at;
    if (node.category_set >= static_cast<int>(tree.category_sets.size())) return "has a set of categories out of range" + at;
  }
  return check_shape(tree);
}

}  // namespace choana::processing
