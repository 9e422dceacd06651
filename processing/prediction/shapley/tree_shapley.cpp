#include "processing/prediction/shapley/tree_shapley.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "core/vectorised.h"
#include "processing/prediction/learners/prepared_trees.h"
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
// a polynomial of degree d - 1, which Gauss-Legendre quadrature of ceil(d / 2) nodes integrates exactly.
//
// At one quadrature node, let P(n) be the product of the factors on the way to node n, and G(n) the sum over the leaves
// below of value x product of the factors after n. At a split let M = left share x G(left) + right share x G(right), and
// G(on) the child that the row takes. Where no earlier split asked the feature,
//   G(n) = (1 - t) M + t G(on),      share += integral of P(n) (G(on) - M),
// because (1 - z_on) G(on) - z_off G(off) = G(on) - M. Where one did, and z of the training rows and the row itself passed
// it, its factor F = z (1 - t) + t is replaced: t becomes t / F, and the share is weighted by z / F^2. Where the row
// failed it, the product is 0 with the feature known: G(n) = M and nothing is shared. So one pass up (G) and one down (P)
// of a few products a split do, without a division but after repeated features; nothing is subtracted from a product.

// Four quadrature nodes, and the same as a register of the CPU.
struct alignas(32) Lanes {
  double of[4] = {};
};
using Four = double __attribute__((vector_size(32), may_alias));

struct Nodes {
  std::vector<Lanes> t, u, w;  // t, 1 - t and weight; a multiple of four, filled up with weight 0
  std::size_t fours = 1;
};

Nodes nodes_for(std::size_t distinct) {
  const Quadrature quadrature = gauss_legendre(std::max<std::size_t>(1, (distinct + 1) / 2));
  Nodes nodes;
  nodes.fours = (quadrature.nodes.size() + 3) / 4;
  for (auto* lanes : {&nodes.t, &nodes.u, &nodes.w}) lanes->resize(nodes.fours);
  for (std::size_t q = 0; q < 4 * nodes.fours; ++q) {
    const bool real = q < quadrature.nodes.size();
    nodes.t[q / 4].of[q % 4] = real ? quadrature.nodes[q] : 0.5;
    nodes.u[q / 4].of[q % 4] = 1 - nodes.t[q / 4].of[q % 4];
    nodes.w[q / 4].of[q % 4] = real ? quadrature.weights[q] : 0;
  }
  return nodes;
}

// Where a row stands at a split of a prepared tree.
enum : std::uint8_t { failed_before = 0, goes_left_here = 1, goes_right_here = 2 };

struct Scratch {
  std::vector<std::uint8_t> ways;      // one a split
  std::vector<Lanes> up, down, gaps;  // G, P by position; G(on) - M by split
  std::vector<Lanes> sums;            // by group, used feature and quadrature node
};

// Fours: quadrature nodes / 4, or 0: known when it runs.
template <std::size_t Fours>
__attribute__((always_inline)) inline void add_tree(const PreparedTrees& prepared, const PreparedTree& tree, const Nodes& nodes, Scratch& scratch, std::size_t fours_given) {
  const std::size_t fours = Fours == 0 ? fours_given : Fours;
  const PreparedSplit* splits = prepared.splits.data() + tree.first_split;
  const double* leaves = prepared.leaves.data() + tree.first_leaf;
  const std::uint8_t* ways = scratch.ways.data();
  const Four* t = reinterpret_cast<const Four*>(nodes.t.data());
  const Four* u = reinterpret_cast<const Four*>(nodes.u.data());
  Four* up = reinterpret_cast<Four*>(scratch.up.data());
  Four* down = reinterpret_cast<Four*>(scratch.down.data());
  Four* gaps = reinterpret_cast<Four*>(scratch.gaps.data());
  Four* sums = reinterpret_cast<Four*>(scratch.sums.data()) + static_cast<std::size_t>(tree.group) * prepared.used.size() * fours;
  const Four zero{0, 0, 0, 0};
  for (std::size_t l = 0; l < tree.leaves; ++l)
    for (std::size_t q = 0; q < fours; ++q) up[(tree.splits + l) * fours + q] = zero + leaves[l];
  for (std::size_t s = tree.splits; s-- > 0;) {
    const PreparedSplit& split = splits[s];
    const Four* left = up + static_cast<std::size_t>(split.left) * fours;
    const Four* right = up + static_cast<std::size_t>(split.right) * fours;
    Four* here = up + s * fours;
    Four* gap = gaps + s * fours;
    if (ways[s] == failed_before) {
      for (std::size_t q = 0; q < fours; ++q) here[q] = split.left_share * left[q] + split.right_share * right[q];
      continue;
    }
    const Four* on = ways[s] == goes_left_here ? left : right;
    for (std::size_t q = 0; q < fours; ++q) {
      const Four mean = split.left_share * left[q] + split.right_share * right[q];
      const Four difference = on[q] - mean;
      if (split.earlier < 0) {
        gap[q] = difference;
        here[q] = mean + t[q] * difference;
      } else {
        const Four inverse = 1.0 / (split.before * u[q] + t[q]);
        gap[q] = split.before * inverse * inverse * difference;
        here[q] = mean + t[q] * inverse * difference;
      }
    }
  }
  for (std::size_t q = 0; q < fours; ++q) down[q] = reinterpret_cast<const Four*>(nodes.w.data())[q];
  for (std::size_t s = 0; s < tree.splits; ++s) {
    const PreparedSplit& split = splits[s];
    const Four* here = down + s * fours;
    Four* left = down + static_cast<std::size_t>(split.left) * fours;
    Four* right = down + static_cast<std::size_t>(split.right) * fours;
    if (ways[s] == failed_before) {
      if (s >= tree.inner) continue;
      for (std::size_t q = 0; q < fours; ++q) {
        left[q] = split.left_share * here[q];
        right[q] = split.right_share * here[q];
      }
      continue;
    }
    Four* sum = sums + (split.slot >> 2U) * fours;
    const Four* gap = gaps + s * fours;
    for (std::size_t q = 0; q < fours; ++q) sum[q] += here[q] * gap[q];
    if (s >= tree.inner) continue;
    const bool to_left = ways[s] == goes_left_here;
    Four* on = to_left ? left : right;
    Four* off = to_left ? right : left;
    const double on_share = to_left ? split.left_share : split.right_share;
    const double off_share = to_left ? split.right_share : split.left_share;
    for (std::size_t q = 0; q < fours; ++q) {
      Four known = here[q] * t[q], unknown = here[q] * u[q];
      if (split.earlier >= 0) {
        const Four inverse = 1.0 / (split.before * u[q] + t[q]);
        known *= inverse;
        unknown *= split.before * inverse;
      }
      on[q] = on_share * unknown + known;
      off[q] = off_share * unknown;
    }
  }
}

// Compiled for each kind of CPU (core/vectorised.h); the sums are the same in all.
CHOANA_VECTORISED void add_tree_of_one(const PreparedTrees& prepared, const PreparedTree& tree, const Nodes& nodes, Scratch& scratch) { add_tree<1>(prepared, tree, nodes, scratch, 1); }
CHOANA_VECTORISED void add_tree_of_two(const PreparedTrees& prepared, const PreparedTree& tree, const Nodes& nodes, Scratch& scratch) { add_tree<2>(prepared, tree, nodes, scratch, 2); }
CHOANA_VECTORISED void add_tree_of_many(const PreparedTrees& prepared, const PreparedTree& tree, const Nodes& nodes, Scratch& scratch) {
  add_tree<0>(prepared, tree, nodes, scratch, nodes.fours);
}

void find_ways(const PreparedTrees& prepared, const PreparedTree& tree, const std::vector<double>& slots, std::uint8_t* ways) {
  const PreparedSplit* splits = prepared.splits.data() + tree.first_split;
  for (std::size_t s = 0; s < tree.splits; ++s) {
    const PreparedSplit& split = splits[s];
    const bool left = slots[split.slot] <= split.threshold;
    const bool passed = split.earlier < 0 || ways[split.earlier / 2] == (split.earlier % 2 == 0 ? goes_left_here : goes_right_here);
    ways[s] = !passed ? failed_before : left ? goes_left_here : goes_right_here;
  }
}

// The same for trees with categories, or without a rule for a missing value: false if that is met, also off the way of
// this row, where a subset of the inputs may lead.
bool find_ways_slowly(const PreparedTrees& prepared, const PreparedTree& tree, const DecisionTree& original, SplitRule rule, const std::vector<double>& row, std::uint8_t* ways) {
  const PreparedSplit* splits = prepared.splits.data() + tree.first_split;
  std::vector<char> reached(tree.splits + tree.leaves, 0);
  reached[0] = 1;
  for (std::size_t s = 0; s < tree.splits; ++s) {
    const PreparedSplit& split = splits[s];
    const TreeNode& node = original.nodes[static_cast<std::size_t>(prepared.origins[tree.first_split + s])];
    const TreeNode::Missing way = way_at(original, node, rule, row[static_cast<std::size_t>(node.feature)]);
    if (way == TreeNode::Missing::undefined && reached[s] != 0) return false;
    const bool passed = split.earlier < 0 || ways[split.earlier / 2] == (split.earlier % 2 == 0 ? goes_left_here : goes_right_here);
    ways[s] = !passed ? failed_before : way == TreeNode::Missing::left ? goes_left_here : goes_right_here;
    // Unknown, a child that no training row reached is closed; known, the row takes the other one: nothing arrives there.
    const auto arrives = [&](double share, std::uint8_t side) { return static_cast<char>(reached[s] != 0 && (split.before * share > 0 || ways[s] == side)); };
    reached[static_cast<std::size_t>(split.left)] = arrives(split.left_share, goes_left_here);
    reached[static_cast<std::size_t>(split.right)] = arrives(split.right_share, goes_right_here);
  }
  return true;
}

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
  const std::shared_ptr<const PreparedTrees> prepared = ensemble.prepared != nullptr && ensemble.prepared->fits(ensemble) ? ensemble.prepared : prepare_trees(ensemble);
  const Nodes nodes = nodes_for(prepared->distinct);
  const std::size_t fours = nodes.fours, used = prepared->used.size();
  std::vector<double> slots;
  const bool missing = prepare_row(*prepared, ensemble.rule, row, slots);
  Scratch scratch;
  scratch.ways.resize(prepared->positions);
  scratch.up.resize(prepared->positions * fours);
  scratch.down.resize(prepared->positions * fours);
  scratch.gaps.resize(prepared->positions * fours);
  scratch.sums.resize(ensemble.base.size() * used * fours);
  for (std::size_t t = 0; t < ensemble.trees.size(); ++t) {
    const PreparedTree& tree = prepared->trees[t];
    if (tree.plain && !(missing && tree.undefined))
      find_ways(*prepared, tree, slots, scratch.ways.data());
    else if (!find_ways_slowly(*prepared, tree, ensemble.trees[t], ensemble.rule, row, scratch.ways.data()))
      return fail(ErrorCode::missing_value, "explain",
                  "An input is missing and a tree does not say where missing values go.");
    (nodes.fours == 1 ? add_tree_of_one : nodes.fours == 2 ? add_tree_of_two : add_tree_of_many)(*prepared, tree, nodes, scratch);
  }

  const std::vector<double> bases = ensemble.expected.empty() ? expected_margins(ensemble) : ensemble.expected;
  std::vector<Attribution> attributions(bases.size());
  for (std::size_t g = 0; g < bases.size(); ++g) {
    attributions[g] = {bases[g], std::vector<double>(row.size(), 0.0)};
    for (std::size_t f = 0; f < used; ++f)
      for (std::size_t q = 0; q < 4 * fours; ++q) attributions[g].shares[prepared->used[f]] += scratch.sums[(g * used + f) * fours + q / 4].of[q % 4];
  }
  for (Attribution& attribution : attributions)
    for (double& share : attribution.shares) share *= ensemble.scale;
  return attributions;
}

}  // namespace choana::processing
