#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "processing/prediction/learners/learner.h"
#include "processing/prediction/learners/prepared_trees.h"
#include "processing/prediction/shapley/gauss_legendre.h"
#include "processing/prediction/shapley/linear_shapley.h"
#include "processing/prediction/shapley/tree_shapley.h"

namespace choana::processing {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();
using Missing = TreeNode::Missing;

DecisionTree stump(double threshold, Missing missing = Missing::undefined, double left = -1, double right = 1) {
  return {0, {{0, threshold, 1, 2, missing, 0, 10}, {-1, 0, -1, -1, Missing::undefined, left, 4}, {-1, 0, -1, -1, Missing::undefined, right, 6}}, -1};
}

TreeEnsemble ensemble_of(std::vector<DecisionTree> trees, SplitRule rule, SumRule sum = SumRule::f64, double base = 0) {
  return {rule, sum, 1, {base}, Link::identity, true, {}, std::move(trees)};
}

// Rules: spec/models.md 7.3; the value just above 0.1 in float is 0.100000001490116...
TEST(SplitRule, DecidesRowsOnTheThresholdAsEachLibraryDoes) {
  const double tenth_as_float = static_cast<double>(0.1F);
  EXPECT_FALSE(goes_left(SplitRule::le_f32_f64, 0.1, 0.1)) << "float(0.1) is above the double 0.1";
  EXPECT_TRUE(goes_left(SplitRule::le_f64, 0.1, 0.1));
  EXPECT_TRUE(goes_left(SplitRule::le_f32_f64, 0.1, tenth_as_float));
  EXPECT_FALSE(goes_left(SplitRule::lt_f32, 0.1, tenth_as_float)) << "equal is not less";
  EXPECT_TRUE(goes_left(SplitRule::lt_f32, static_cast<double>(std::nextafter(0.1F, 0.0F)), 0.1));
  EXPECT_TRUE(goes_left(SplitRule::gt_f32, 0.1, tenth_as_float)) << "equal is not greater";
  EXPECT_FALSE(goes_left(SplitRule::gt_f32, static_cast<double>(std::nextafter(0.1F, 1.0F)), 0.1));
  EXPECT_TRUE(goes_left(SplitRule::le_f64, -0.0, 0.0));
}

TEST(TreeEnsemble, SendsMissingValuesWhereTheNodeSays) {
  EXPECT_EQ(tree_margins(ensemble_of({stump(0, Missing::left)}, SplitRule::le_f64), {nan}).value()[0], -1);
  EXPECT_EQ(tree_margins(ensemble_of({stump(0, Missing::right)}, SplitRule::le_f64), {nan}).value()[0], 1);
  const auto refused = tree_margins(ensemble_of({stump(0)}, SplitRule::le_f64), {nan});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::missing_value);
}

TEST(TreeEnsemble, SendsEverythingButMissingLeftOfAnInfiniteThreshold) {
  const TreeEnsemble ensemble = ensemble_of({stump(infinity, Missing::right)}, SplitRule::le_f32_f64);
  EXPECT_EQ(tree_margins(ensemble, {1e300}).value()[0], -1);
  EXPECT_EQ(tree_margins(ensemble, {nan}).value()[0], 1);
}

TEST(TreeEnsemble, AddsInFloatInTreeOrderWhereTheModelDid) {
  // 1 + 2^-24 + 2^-24 in float, left to right: each addition is rounded away; in double the sum is kept.
  const double tiny = std::ldexp(1.0, -24);
  const std::vector<DecisionTree> trees{stump(0, Missing::left, tiny, 0), stump(0, Missing::left, tiny, 0)};
  EXPECT_EQ(tree_margins(ensemble_of(trees, SplitRule::lt_f32, SumRule::f32, 1), {-1.0}).value()[0], 1.0);
  EXPECT_EQ(tree_margins(ensemble_of(trees, SplitRule::lt_f32, SumRule::f64, 1), {-1.0}).value()[0], 1.0 + 2 * tiny);
}

TEST(Link, KeepsProbabilitiesFiniteAtTheEnds) {
  EXPECT_EQ(apply_link(Link::logistic, {-1e4})[0], 0.0);
  EXPECT_EQ(apply_link(Link::logistic, {1e4})[0], 1.0);
  const auto shares = apply_link(Link::softmax, {1e4, 1e4, -1e4});
  EXPECT_EQ(shares[0], 0.5);
  EXPECT_EQ(shares[2], 0.0);
}

TEST(Learner, RefusesAMissingInputOfALinearModelByName) {
  const Learner learner{{"a", "b"}, std::nullopt, LinearModel{{{1, 2}}, {0}, Link::identity}};
  const auto refused = score(learner, {1, nan});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::missing_value);
  EXPECT_NE(refused.error().message.find("b"), std::string::npos);
  EXPECT_EQ(score(learner, {1, infinity}).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(score(learner, {1}).error().code, ErrorCode::invalid_argument);
}

// ---- Shapley values against the definition: all subsets, the conditional expectation written out.

double conditional_expectation(const DecisionTree& tree, SplitRule rule, const std::vector<double>& row, unsigned known, int index = 0) {
  const TreeNode& node = tree.nodes[static_cast<std::size_t>(index)];
  if (node.is_leaf()) return node.value;
  if ((known >> static_cast<unsigned>(node.feature) & 1U) != 0) {
    const double x = row[static_cast<std::size_t>(node.feature)];
    const bool left = std::isnan(x) ? node.missing == Missing::left : goes_left(rule, x, node.threshold);
    return conditional_expectation(tree, rule, row, known, left ? node.left : node.right);
  }
  if (node.cover == 0) return 0;  // no training row came here: unknown counts for nothing
  const double left_cover = tree.nodes[static_cast<std::size_t>(node.left)].cover, right_cover = tree.nodes[static_cast<std::size_t>(node.right)].cover;
  return (left_cover * conditional_expectation(tree, rule, row, known, node.left) +
          right_cover * conditional_expectation(tree, rule, row, known, node.right)) / node.cover;
}

std::vector<double> enumerated_shares(const TreeEnsemble& ensemble, const std::vector<double>& row, int group) {
  const std::size_t features = row.size();
  std::vector<double> worth(std::size_t{1} << features, 0.0);
  for (unsigned known = 0; known < worth.size(); ++known)
    for (const DecisionTree& tree : ensemble.trees)
      if (tree.group == group) worth[known] += ensemble.scale * conditional_expectation(tree, ensemble.rule, row, known);
  std::vector<double> shares(features, 0.0);
  for (unsigned known = 0; known < worth.size(); ++known)
    for (std::size_t f = 0; f < features; ++f) {
      if ((known >> f & 1U) != 0) continue;
      const auto size = static_cast<std::size_t>(std::popcount(known));
      // |S|! (M - |S| - 1)! / M!
      double weight = 1.0 / static_cast<double>(features);
      for (std::size_t i = 1; i <= size; ++i) weight *= static_cast<double>(i) / static_cast<double>(features - size + i - 1);
      shares[f] += weight * (worth[known | (1U << f)] - worth[known]);
    }
  return shares;
}

class RandomTrees {
 public:
  RandomTrees(std::uint32_t seed, int features, bool with_empty_nodes) : random_(seed), features_(features), with_empty_nodes_(with_empty_nodes) {}

  DecisionTree tree(int group, int depth) {
    DecisionTree result{group, {}, -1};
    grow(result, depth, 100);
    return result;
  }
  std::vector<double> row() {
    std::vector<double> values;
    for (int f = 0; f < features_; ++f) values.push_back(uniform() < 0.15 ? nan : 2 * uniform() - 1);
    return values;
  }

 private:
  double uniform() { return std::uniform_real_distribution<double>(0, 1)(random_); }

  int grow(DecisionTree& tree, int depth, double cover) {
    const auto index = tree.nodes.size();
    tree.nodes.emplace_back();
    tree.nodes[index].cover = cover;
    if (depth == 0 || uniform() < 0.15) {
      tree.nodes[index].value = 2 * uniform() - 1;
      return static_cast<int>(index);
    }
    tree.nodes[index].feature = static_cast<int>(uniform() * features_);
    tree.nodes[index].threshold = 2 * uniform() - 1;
    tree.nodes[index].missing = uniform() < 0.5 ? Missing::left : Missing::right;
    const double share = with_empty_nodes_ && uniform() < 0.2 ? 0.0 : 0.1 + 0.8 * uniform();
    const int left = grow(tree, depth - 1, cover * share);
    const int right = grow(tree, depth - 1, cover * (1 - share));
    tree.nodes[index].left = left;
    tree.nodes[index].right = right;
    return static_cast<int>(index);
  }

  std::mt19937 random_;
  int features_;
  bool with_empty_nodes_;
};

TEST(TreeShapley, EqualsTheEnumerationOfAllSubsets) {
  for (std::uint32_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const int features = 2 + static_cast<int>(seed % 7);
    RandomTrees random(seed, features, seed % 3 == 0);
    TreeEnsemble ensemble{SplitRule::le_f64, SumRule::f64, 0.37, {0.2, -1.5}, Link::softmax, true, {}, {}};
    for (int t = 0; t < 6; ++t) ensemble.trees.push_back(random.tree(t % 2, 2 + static_cast<int>(seed % 6)));
    for (int r = 0; r < 4; ++r) {
      const std::vector<double> row = random.row();
      const auto explained = explain_trees(ensemble, row);
      ASSERT_TRUE(explained);
      const auto margins = tree_margins(ensemble, row).value();
      for (int group = 0; group < 2; ++group) {
        const Attribution& attribution = (*explained)[static_cast<std::size_t>(group)];
        const auto expected = enumerated_shares(ensemble, row, group);
        double sum = attribution.base;
        for (std::size_t f = 0; f < expected.size(); ++f) {
          EXPECT_NEAR(attribution.shares[f], expected[f], 1e-12);
          sum += attribution.shares[f];
        }
        EXPECT_NEAR(sum, margins[static_cast<std::size_t>(group)], 1e-12);
        EXPECT_TRUE(is_additive(attribution, margins[static_cast<std::size_t>(group)]));
      }
    }
  }
}

TEST(TreeShapley, StaysExactInDeepTreesThatAskTheSameFeaturesAgainAndAgain) {
  for (std::uint32_t seed = 1; seed <= 5; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomTrees random(100 + seed, 9, false);
    TreeEnsemble ensemble = ensemble_of({random.tree(0, 13)}, SplitRule::le_f64);
    const std::vector<double> row = random.row();
    const auto attribution = explain_trees(ensemble, row).value()[0];
    const auto expected = enumerated_shares(ensemble, row, 0);
    for (std::size_t f = 0; f < expected.size(); ++f) EXPECT_NEAR(attribution.shares[f], expected[f], 1e-13);
  }
}

// Expected: `leaf_of` on the trees as they were read, which the conformance tests hold against the libraries.
TEST(PreparedTrees, DecideEveryRowAsTheTreesThemselvesDo) {
  for (const SplitRule rule : {SplitRule::le_f32_f64, SplitRule::lt_f32, SplitRule::le_f64, SplitRule::gt_f32, SplitRule::lightgbm}) {
    for (std::uint32_t seed = 1; seed <= 8; ++seed) {
      SCOPED_TRACE("rule " + std::to_string(static_cast<int>(rule)) + ", seed " + std::to_string(seed));
      RandomTrees random(200 + seed, 5, seed % 2 == 0);
      TreeEnsemble ensemble{rule, SumRule::f64, 0.5, {0.1}, Link::identity, true, {}, {}};
      std::mt19937 generator(seed);
      for (int t = 0; t < 11; ++t) {
        DecisionTree tree = random.tree(0, t % 7);
        for (TreeNode& node : tree.nodes) {
          if (node.is_leaf()) continue;
          switch (generator() % 8) {
            case 0: node.threshold = 0; break;
            case 1: node.threshold = static_cast<double>(static_cast<float>(node.threshold)); break;
            case 2: node.zero_is_missing = rule == SplitRule::lightgbm; break;
            case 3: node.threshold = rule == SplitRule::lt_f32 ? -infinity : infinity; break;
            case 4:
              if (t == 3) node.missing = Missing::undefined;
              break;
            case 5:
              if (t == 5) {
                node.category_set = 0;
                tree.category_sets = {CategorySet{{0b1011U}}};
              }
              break;
            default: break;
          }
        }
        ensemble.trees.push_back(std::move(tree));
      }
      std::vector<double> tried{0.0, -0.0, 1e-36, -1e-36, 1e-35, 1e300, -1e300, nan, 1, 2, 3};
      for (const DecisionTree& tree : ensemble.trees)
        for (const TreeNode& node : tree.nodes)
          if (!node.is_leaf() && std::isfinite(node.threshold)) {
            const auto single = static_cast<float>(node.threshold);
            for (const double x : {node.threshold, std::nextafter(node.threshold, infinity), std::nextafter(node.threshold, -infinity), static_cast<double>(single),
                                   static_cast<double>(std::nextafter(single, 9.0F)), static_cast<double>(std::nextafter(single, -9.0F))})
              tried.push_back(x);
          }
      TreeEnsemble prepared = ensemble;
      prepared.prepared = prepare_trees(prepared);
      for (int r = 0; r < 300; ++r) {
        std::vector<double> row;
        for (int f = 0; f < 5; ++f) row.push_back(tried[generator() % tried.size()]);
        const auto expected = tree_margins(ensemble, row), got = tree_margins(prepared, row);
        ASSERT_EQ(expected.has_value(), got.has_value());
        if (expected)
          ASSERT_EQ(*expected, *got);
        else
          EXPECT_EQ(got.error().code, expected.error().code);
        // Shares add up to the margin that the trees themselves give, so no way can be another one.
        const auto explained = explain_trees(prepared, row);
        EXPECT_TRUE(expected || !explained);
        EXPECT_TRUE(!expected || !explained || is_additive((*explained)[0], (*expected)[0]));
      }
    }
  }
}

TEST(GaussLegendre, IntegratesPolynomialsOfItsDegreeExactly) {
  for (const std::size_t count : {1U, 2U, 3U, 8U, 33U, 128U}) {
    const Quadrature quadrature = gauss_legendre(count);
    for (std::size_t power = 0; power < 2 * count; ++power) {
      double sum = 0;
      for (std::size_t q = 0; q < count; ++q) sum += quadrature.weights[q] * std::pow(quadrature.nodes[q], static_cast<double>(power));
      EXPECT_NEAR(sum, 1.0 / (static_cast<double>(power) + 1), 1e-14) << count << " nodes, power " << power;
    }
  }
}

TEST(TreeShapley, NeedsCoverAndARuleForMissingValues) {
  TreeEnsemble ensemble = ensemble_of({stump(0)}, SplitRule::le_f64);
  EXPECT_EQ(explain_trees(ensemble, {nan}).error().code, ErrorCode::missing_value);
  ensemble.has_cover = false;
  EXPECT_EQ(explain_trees(ensemble, {1}).error().code, ErrorCode::not_computable);
}

TEST(TreeShapley, RefusesTreesThatAreTooDeepToExplain) {
  DecisionTree chain{0, {}, -1};
  const int depth = explained_depth_max + 20;
  for (int n = 0; n < depth; ++n) {
    chain.nodes.push_back({0, static_cast<double>(-n), 2 * n + 2, 2 * n + 1, Missing::left, 0, static_cast<double>(depth - n + 1)});
    chain.nodes.push_back({-1, 0, -1, -1, Missing::undefined, 1, 1});
  }
  chain.nodes.push_back({-1, 0, -1, -1, Missing::undefined, 2, 1});
  const TreeEnsemble ensemble = ensemble_of({chain}, SplitRule::le_f64);
  EXPECT_EQ(tree_margins(ensemble, {-1e9}).value()[0], 2);
  EXPECT_EQ(explain_trees(ensemble, {-1e9}).error().code, ErrorCode::not_computable);
}

TEST(LinearShapley, SharesTheDistanceFromTheMean) {
  const LinearModel model{{{2, -3}}, {0.5}, Link::logistic};
  const auto attribution = explain_linear(model, {4, 1}, {1, 2})[0];
  EXPECT_DOUBLE_EQ(attribution.base, 0.5 + 2 - 6);
  EXPECT_DOUBLE_EQ(attribution.shares[0], 6);
  EXPECT_DOUBLE_EQ(attribution.shares[1], 3);
  EXPECT_TRUE(is_additive(attribution, linear_margins(model, {4, 1})[0]));
  EXPECT_FALSE(is_additive(attribution, linear_margins(model, {4, 1})[0] + 1e-3)) << "the run-time check must bite";
}

}  // namespace
}  // namespace choana::processing
