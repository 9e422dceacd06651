#include "processing/prediction/learners/tree_ensemble.h"

#include <cmath>
#include <string>

#include "processing/prediction/learners/prepared_trees.h"

namespace choana::processing {
namespace {
constexpr double lightgbm_zero = static_cast<double>(1e-35F);  // its kZeroThreshold
}

bool goes_left(SplitRule rule, double x, double threshold) {
  switch (rule) {
    case SplitRule::le_f32_f64: return static_cast<double>(static_cast<float>(x)) <= threshold;
    case SplitRule::lt_f32: return static_cast<float>(x) < static_cast<float>(threshold);
    case SplitRule::le_f64: return x <= threshold;
    case SplitRule::gt_f32: return !(static_cast<float>(x) > static_cast<float>(threshold));
    case SplitRule::lightgbm: return (std::abs(x) <= lightgbm_zero ? 0.0 : x) <= threshold;
  }
  return false;
}

bool CategorySet::sends_left(double x) const {
  if (!(x > above && x < below)) return invalid_left;
  const auto category = static_cast<std::size_t>(x);
  const std::size_t word = category / 32;
  const bool member = word < bits.size() && ((bits[word] >> (category % 32)) & 1U) != 0;
  return member == goes_left;
}

TreeNode::Missing way_at(const DecisionTree& tree, const TreeNode& node, SplitRule rule, double x) {
  if (std::isnan(x) || (node.zero_is_missing && std::abs(x) <= lightgbm_zero)) return node.missing;
  const bool left = node.category_set >= 0 ? tree.category_sets[static_cast<std::size_t>(node.category_set)].sends_left(rule == SplitRule::lt_f32 ? static_cast<double>(static_cast<float>(x)) : x)
                                           : goes_left(rule, x, node.threshold);
  return left ? TreeNode::Missing::left : TreeNode::Missing::right;
}

int leaf_of(const DecisionTree& tree, SplitRule rule, const std::vector<double>& row) {
  int index = 0;
  while (!tree.nodes[static_cast<std::size_t>(index)].is_leaf()) {
    const TreeNode& node = tree.nodes[static_cast<std::size_t>(index)];
    const TreeNode::Missing way = way_at(tree, node, rule, row[static_cast<std::size_t>(node.feature)]);
    if (way == TreeNode::Missing::undefined) return -1 - index;
    index = way == TreeNode::Missing::left ? node.left : node.right;
  }
  return index;
}

Result<std::vector<double>> tree_margins(const TreeEnsemble& ensemble, const std::vector<double>& row) {
  const std::size_t groups = ensemble.base.size();
  const bool in_float = ensemble.sum == SumRule::f32;
  std::vector<double> sums(groups, 0.0);
  if (in_float)
    for (std::size_t g = 0; g < groups; ++g) sums[g] = static_cast<float>(ensemble.base[g]);
  const PreparedTrees* prepared = ensemble.prepared.get();
  std::vector<double> slots, values;
  bool missing = false;
  if (prepared != nullptr) {
    missing = prepare_row(*prepared, ensemble.rule, row, slots);
    prepared_leaf_values(*prepared, slots, missing, values);
  }
  for (std::size_t t = 0; t < ensemble.trees.size(); ++t) {
    if (prepared != nullptr && prepared->trees[t].plain && !(missing && prepared->trees[t].undefined)) {
      double& sum = sums[static_cast<std::size_t>(prepared->trees[t].group)];
      if (in_float)
        sum = static_cast<float>(sum) + static_cast<float>(ensemble.scale) * static_cast<float>(values[t]);
      else
        sum += values[t];
      continue;
    }
    const DecisionTree& tree = ensemble.trees[t];
    const int leaf = leaf_of(tree, ensemble.rule, row);
    if (leaf < 0)
      return fail(ErrorCode::missing_value, "predict",
                  "Tree " + std::to_string(t) + " needs input " +
                      std::to_string(tree.nodes[static_cast<std::size_t>(-1 - leaf)].feature) +
                      ", which is missing, and the model does not say where missing values go.");
    double& sum = sums[static_cast<std::size_t>(tree.group)];
    const double value = tree.nodes[static_cast<std::size_t>(leaf)].value;
    if (in_float)
      sum = static_cast<float>(sum) + static_cast<float>(ensemble.scale) * static_cast<float>(value);
    else
      sum += value;
  }
  if (!in_float)
    for (std::size_t g = 0; g < groups; ++g) sums[g] = ensemble.base[g] + ensemble.scale * sums[g];
  return sums;
}

}  // namespace choana::processing
