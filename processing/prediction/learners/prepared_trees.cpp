#include "processing/prediction/learners/prepared_trees.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace choana::processing {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double lightgbm_zero = static_cast<double>(1e-35F);

double prepared_threshold(SplitRule rule, double threshold) {
  if (rule == SplitRule::lt_f32) return std::nextafter(static_cast<double>(static_cast<float>(threshold)), -infinity);
  if (rule == SplitRule::gt_f32) return static_cast<double>(static_cast<float>(threshold));
  return threshold;
}

// A comparison with minus infinity cannot be moved down by a step.
bool is_plain(SplitRule rule, const TreeNode& node) {
  if (node.category_set >= 0 || (node.zero_is_missing && node.missing == TreeNode::Missing::undefined)) return false;
  return rule != SplitRule::lt_f32 || static_cast<float>(node.threshold) > -std::numeric_limits<float>::infinity();
}

std::uint32_t variant_of(const TreeNode& node) {
  return (node.missing == TreeNode::Missing::left ? 0U : 1U) + (node.zero_is_missing ? 2U : 0U);
}

class Preparation {
 public:
  Preparation(const TreeEnsemble& ensemble, PreparedTrees& out) : ensemble_(ensemble), out_(out) {
    std::uint32_t inputs = 0;
    for (const DecisionTree& tree : ensemble.trees)
      for (const TreeNode& node : tree.nodes)
        if (!node.is_leaf()) inputs = std::max(inputs, static_cast<std::uint32_t>(node.feature) + 1);
    place_.assign(inputs, 0);
    for (const DecisionTree& tree : ensemble.trees)
      for (const TreeNode& node : tree.nodes)
        if (!node.is_leaf()) place_[static_cast<std::size_t>(node.feature)] = 1;
    for (std::uint32_t f = 0; f < inputs; ++f)
      if (place_[f] != 0) {
        place_[f] = static_cast<std::uint32_t>(out.used.size());
        out.used.push_back(f);
      }
  }

  void add(const DecisionTree& tree) {
    tree_ = &tree;
    PreparedTree& prepared = out_.trees.emplace_back();
    prepared.group = tree.group;
    lay_out(prepared);
    for (const TreeNode& node : tree.nodes) {
      if (node.is_leaf()) continue;
      prepared.plain = prepared.plain && is_plain(ensemble_.rule, node);
      prepared.undefined = prepared.undefined || node.missing == TreeNode::Missing::undefined;
    }
    lay_out_splits(prepared);
  }

 private:
  [[nodiscard]] const TreeNode& node(int index) const { return tree_->nodes[static_cast<std::size_t>(index)]; }
  [[nodiscard]] std::uint32_t slot_of(const TreeNode& split) const { return 4 * place_[static_cast<std::size_t>(split.feature)] + variant_of(split); }

  void lay_out(PreparedTree& prepared) {
    prepared.first_node = out_.nodes.size();
    std::vector<std::pair<int, int>> order{{0, 0}};  // node, depth; grows while it is read
    for (std::size_t n = 0; n < order.size(); ++n) {
      const auto [index, depth] = order[n];
      prepared.depth = std::max(prepared.depth, depth);
      const TreeNode& one = node(index);
      if (one.is_leaf()) {
        if (std::isnan(one.value)) prepared.plain = false;  // would lead elsewhere
        out_.nodes.push_back({std::isnan(one.value) ? 0 : one.value, static_cast<std::uint32_t>(4 * out_.used.size()), static_cast<std::uint32_t>(n)});
        continue;
      }
      out_.nodes.push_back({prepared_threshold(ensemble_.rule, one.threshold), slot_of(one), static_cast<std::uint32_t>(order.size())});
      order.emplace_back(one.left, depth + 1);
      order.emplace_back(one.right, depth + 1);
    }
  }

  struct Step {
    int index = 0;             // node
    std::int32_t child = -1;   // step of the left child, whose sibling follows; -1: a leaf
    std::int32_t earlier = -1;  // 2 * step + side of the last split of the same feature on the path
  };

  // Which splits have asked the same feature before, for every split of a tree: down and up again, without recursion.
  void look_back(std::vector<Step>& steps) {
    last_.assign(out_.used.size(), -1);
    std::size_t distinct = 0;
    struct Open {
      std::size_t step;
      int done;
    };
    std::vector<Open> open{{0, 0}};
    while (!open.empty()) {
      Open& top = open.back();
      Step& step = steps[top.step];
      if (step.child < 0) {
        open.pop_back();
        continue;
      }
      std::int32_t& last = last_[place_[static_cast<std::size_t>(node(step.index).feature)]];
      if (top.done == 0) {
        step.earlier = last;
        if (last < 0) out_.distinct = std::max(out_.distinct, ++distinct);
      }
      if (top.done == 2) {
        last = step.earlier;
        if (last < 0) --distinct;
        open.pop_back();
        continue;
      }
      last = 2 * static_cast<std::int32_t>(top.step) + top.done;
      const std::size_t next = static_cast<std::size_t>(step.child) + static_cast<std::size_t>(top.done++);
      open.push_back({next, 0});
    }
  }

  void lay_out_splits(PreparedTree& prepared) {
    std::vector<Step> steps{{}};
    std::vector<std::size_t> inner, last, leaves;
    for (std::size_t n = 0; n < steps.size(); ++n) {
      const TreeNode& one = node(steps[n].index);
      if (one.is_leaf()) {
        leaves.push_back(n);
        continue;
      }
      (node(one.left).is_leaf() && node(one.right).is_leaf() ? last : inner).push_back(n);
      steps[n].child = static_cast<std::int32_t>(steps.size());
      steps.push_back({one.left});
      steps.push_back({one.right});
    }
    look_back(steps);
    std::vector<std::int32_t> position(steps.size());
    std::int32_t next = 0;
    for (const auto* group : {&inner, &last, &leaves})
      for (const std::size_t n : *group) position[n] = next++;
    prepared.first_split = out_.splits.size();
    prepared.splits = inner.size() + last.size();
    prepared.inner = inner.size();
    prepared.first_leaf = out_.leaves.size();
    prepared.leaves = leaves.size();
    out_.positions = std::max(out_.positions, steps.size());
    for (const std::size_t n : leaves) out_.leaves.push_back(node(steps[n].index).value);
    for (const auto* group : {&inner, &last})
      for (const std::size_t n : *group) {
        const TreeNode& one = node(steps[n].index);
        const auto child = static_cast<std::size_t>(steps[n].child);
        PreparedSplit split{prepared_threshold(ensemble_.rule, one.threshold), 0, 0, 1, slot_of(one), position[child], position[child + 1], -1};
        if (one.cover > 0) {
          split.left_share = node(one.left).cover / one.cover;
          split.right_share = node(one.right).cover / one.cover;
        }
        if (steps[n].earlier >= 0) {
          const bool right = steps[n].earlier % 2 == 1;
          const std::int32_t at = position[static_cast<std::size_t>(steps[n].earlier / 2)];  // above, so it is there already
          const PreparedSplit& earlier = out_.splits[prepared.first_split + static_cast<std::size_t>(at)];
          split.earlier = 2 * at + (right ? 1 : 0);
          split.before = earlier.before * (right ? earlier.right_share : earlier.left_share);
        }
        out_.splits.push_back(split);
        out_.origins.push_back(steps[n].index);
      }
  }

  const TreeEnsemble& ensemble_;
  PreparedTrees& out_;
  std::vector<std::uint32_t> place_;  // of an input among the used ones
  std::vector<std::int32_t> last_;
  const DecisionTree* tree_ = nullptr;
};

}  // namespace

bool PreparedTrees::fits(const TreeEnsemble& ensemble) const {
  return trees.size() == ensemble.trees.size();
}

std::shared_ptr<const PreparedTrees> prepare_trees(const TreeEnsemble& ensemble) {
  auto prepared = std::make_shared<PreparedTrees>();
  Preparation preparation(ensemble, *prepared);
  for (const DecisionTree& tree : ensemble.trees) preparation.add(tree);
  return prepared;
}

bool prepare_row(const PreparedTrees& prepared, SplitRule rule, const std::vector<double>& row, std::vector<double>& slots) {
  slots.resize(4 * prepared.used.size() + 1);
  const bool in_float = rule == SplitRule::le_f32_f64 || rule == SplitRule::lt_f32 || rule == SplitRule::gt_f32;
  bool missing = false;
  double* out = slots.data();
  for (const std::uint32_t input : prepared.used) {
    const double given = row[input];
    // A value that is missing goes left as minus infinity and right as NaN: no threshold is below the one or above the other.
    if (std::isnan(given)) {
      missing = true;
      out[0] = out[2] = -infinity;
      out[1] = out[3] = given;
    } else {
      const bool zero = std::abs(given) <= lightgbm_zero;
      const double value = in_float ? static_cast<double>(static_cast<float>(given)) : rule == SplitRule::lightgbm && zero ? 0.0 : given;
      out[0] = out[1] = value;
      out[2] = zero ? -infinity : value;
      out[3] = zero ? std::numeric_limits<double>::quiet_NaN() : value;
    }
    out += 4;
  }
  *out = -infinity;  // below every leaf's value: stays where it is
  return missing;
}

void prepared_leaf_values(const PreparedTrees& prepared, const std::vector<double>& slots, bool missing, std::vector<double>& values) {
  // So many trees walk in step that their waits for memory overlap.
  constexpr std::size_t abreast = 8;
  const auto leaf_slot = static_cast<std::uint32_t>(slots.size() - 1);
  const double* x = slots.data();
  values.resize(prepared.trees.size());
  for (std::size_t first = 0; first < prepared.trees.size(); first += abreast) {
    const std::size_t count = std::min(abreast, prepared.trees.size() - first);
    const PreparedNode* base[abreast];
    std::uint32_t at[abreast] = {};
    int depth = 0;
    for (std::size_t k = 0; k < abreast; ++k) {
      // Trees that are not plain are walked by others; they and the missing ones of a last group repeat the first's way.
      const PreparedTree& tree = prepared.trees[first + (k < count ? k : 0)];
      base[k] = prepared.nodes.data() + tree.first_node;
      if (tree.plain && !(missing && tree.undefined)) depth = std::max(depth, tree.depth);
    }
    for (int step = 0; step < depth;) {
      for (int four = 0; four < 4 && step < depth; ++four, ++step)
        for (std::size_t k = 0; k < abreast; ++k) {
          const PreparedNode& node = base[k][at[k]];
          at[k] = node.child + (x[node.slot] <= node.threshold ? 0U : 1U);
        }
      // Trees that grow leaf by leaf have few long ways.
      bool arrived = true;
      for (std::size_t k = 0; k < abreast; ++k) arrived = arrived && base[k][at[k]].slot == leaf_slot;
      if (arrived) break;
    }
    for (std::size_t k = 0; k < count; ++k) values[first + k] = base[k][at[k]].threshold;
  }
}

}  // namespace choana::processing
