// Exact methods against the definition of the Shapley value: enumeration of all subsets.
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <random>

#include "processing/prediction/readers/ir_reader.h"
#include "processing/prediction/shapley/interventional_shapley.h"

namespace choana::processing {
namespace {

using Rows = std::vector<std::vector<double>>;

Rows random_rows(std::mt19937& generator, std::size_t rows, std::size_t columns) {
  std::uniform_real_distribution<double> uniform(-2, 2);
  Rows result(rows, std::vector<double>(columns));
  for (auto& row : result)
    for (double& x : row) x = uniform(generator);
  return result;
}

Learner learner_of(std::size_t inputs, decltype(Learner::model) model) {
  Learner learner;
  for (std::size_t i = 0; i < inputs; ++i) learner.features.push_back("f" + std::to_string(i));
  learner.model = std::move(model);
  return learner;
}

void expect_equal(const std::vector<Attribution>& got, const std::vector<Attribution>& expected, double tolerance) {
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t o = 0; o < got.size(); ++o) {
    EXPECT_NEAR(got[o].base, expected[o].base, tolerance);
    for (std::size_t i = 0; i < got[o].shares.size(); ++i) EXPECT_NEAR(got[o].shares[i], expected[o].shares[i], tolerance) << "input " << i;
  }
}

TEST(ProductKernel, EqualsEnumerationForSupportVectorMachinesAndGaussianProcesses) {
  std::mt19937 generator(5);
  for (const std::size_t inputs : {1U, 2U, 7U}) {
    const Rows vectors = random_rows(generator, 12, inputs), background = random_rows(generator, 5, inputs), rows = random_rows(generator, 2, inputs);
    const std::vector<double> weights = random_rows(generator, 1, 12)[0];
    SupportVectorMachine machine;
    machine.gamma = 0.4;
    machine.support_vectors = vectors;
    machine.dual_coefficients = weights;
    machine.intercept = 0.3;
    GaussianProcess process{1.7, std::vector<double>(inputs, 0.8), vectors, weights, std::vector<double>(12, 0.1), Rows(12, std::vector<double>(12, 0.0))};
    for (std::size_t n = 0; n < 12; ++n) process.lower[n][n] = 1;
    for (const auto& row : rows) {
      expect_equal({explain_product_kernel({std::vector<double>(inputs, 0.4), vectors, weights, 0.3}, row, background)},
                   explain_by_enumeration(learner_of(inputs, machine), row, background).value(), 1e-12);
      std::vector<double> scaled = weights;
      for (double& weight : scaled) weight *= 1.7;
      expect_equal({explain_product_kernel({std::vector<double>(inputs, 0.5 / 0.64), vectors, scaled, 0}, row, background)},
                   explain_by_enumeration(learner_of(inputs, process), row, background).value(), 1e-12);
    }
  }
}

TEST(ProductKernel, SurvivesFactorsThatAreZero) {
  const auto got = explain_product_kernel({{1, 1}, {{0, 0}}, {2}, 1}, {1e6, 0}, {{0, 1e6}});
  EXPECT_EQ(got.base, 1);
  EXPECT_NEAR(got.shares[0] + got.shares[1], 0, 1e-15);
}

// Trees of depth 4 with repeated features on one path.
DecisionTree random_tree(std::mt19937& generator, int features) {
  DecisionTree tree;
  tree.nodes.resize(31);
  std::uniform_real_distribution<double> uniform(-1.5, 1.5);
  for (int n = 0; n < 31; ++n) {
    TreeNode& node = tree.nodes[static_cast<std::size_t>(n)];
    node.value = uniform(generator);
    if (n >= 15) continue;
    node.feature = static_cast<int>(generator() % static_cast<unsigned>(features));
    node.threshold = uniform(generator);
    node.left = 2 * n + 1;
    node.right = 2 * n + 2;
    node.missing = n % 2 == 0 ? TreeNode::Missing::left : TreeNode::Missing::right;
  }
  return tree;
}

TEST(InterventionalTrees, EqualEnumerationAlsoWithMissingValues) {
  std::mt19937 generator(6);
  TreeEnsemble ensemble;
  ensemble.rule = SplitRule::le_f64;
  ensemble.base = {0.25, -1};
  ensemble.scale = 0.5;
  ensemble.link = Link::softmax;
  for (int t = 0; t < 8; ++t) {
    ensemble.trees.push_back(random_tree(generator, 6));
    ensemble.trees.back().group = t % 2;
  }
  Rows background = random_rows(generator, 7, 6), rows = random_rows(generator, 4, 6);
  rows[0][2] = background[1][3] = std::nan("");
  for (const auto& row : rows)
    expect_equal(explain_trees_interventional(ensemble, row, background).value(), explain_by_enumeration(learner_of(6, ensemble), row, background).value(), 1e-12);
}

TEST(InterventionalTrees, EqualEnumerationWithMoreBackgroundRowsThanAWordHasBits) {
  std::mt19937 generator(16);
  TreeEnsemble ensemble;
  ensemble.rule = SplitRule::le_f32_f64;
  ensemble.base = {0.5};
  for (int t = 0; t < 4; ++t) ensemble.trees.push_back(random_tree(generator, 5));
  ensemble.trees.push_back({0, {{-1, 0, -1, -1, TreeNode::Missing::undefined, 0.75, 1}}, 0});
  // A split on categories is walked one row at a time.
  ensemble.trees[1].nodes[0].category_set = 0;
  ensemble.trees[1].category_sets = {CategorySet{{0b10U}}};
  const Rows background = random_rows(generator, 70, 5), rows = random_rows(generator, 2, 5);
  for (const auto& row : rows)
    expect_equal(explain_trees_interventional(ensemble, row, background).value(), explain_by_enumeration(learner_of(5, ensemble), row, background).value(), 1e-12);
}

TEST(InterventionalTrees, RefusesTreesThatAreTooDeepToWalk) {
  TreeEnsemble ensemble;
  ensemble.base = {0};
  DecisionTree chain;
  for (int n = 0; n < 400; ++n) {
    chain.nodes.push_back({0, static_cast<double>(-n), 2 * n + 2, 2 * n + 1, TreeNode::Missing::left, 0, 0});
    chain.nodes.push_back({-1, 0, -1, -1, TreeNode::Missing::undefined, 1, 0});
  }
  chain.nodes.push_back({-1, 0, -1, -1, TreeNode::Missing::undefined, 2, 0});
  ensemble.trees = {chain};
  EXPECT_EQ(explain_trees_interventional(ensemble, {1}, Rows{{-1e9}}).error().code, ErrorCode::not_computable);
}

TEST(NaiveBayes, EqualsEnumerationForTwoAndThreeClasses) {
  std::mt19937 generator(7);
  for (const std::size_t classes : {2U, 3U}) {
    GaussianNaiveBayes model{std::vector<double>(classes, 1.0 / static_cast<double>(classes)), random_rows(generator, classes, 5), Rows(classes, {0.5, 1, 2, 0.7, 1.5})};
    const Rows background = random_rows(generator, 6, 5), rows = random_rows(generator, 2, 5);
    for (const auto& row : rows)
      expect_equal(explain_naive_bayes(model, row, background), explain_by_enumeration(learner_of(5, model), row, background).value(), 1e-12);
  }
}

TEST(Permutation, ComesWithinItsStatedErrorAddsUpAndIsTheSameEachTime) {
  std::mt19937 generator(8);
  SupportVectorMachine machine;
  machine.gamma = 0.2;
  machine.support_vectors = random_rows(generator, 10, 6);
  machine.dual_coefficients = random_rows(generator, 1, 10)[0];
  const Learner learner = learner_of(6, machine);
  const Rows background = random_rows(generator, 4, 6);
  const std::vector<double> row = random_rows(generator, 1, 6)[0];
  const auto exact = explain_by_enumeration(learner, row, background).value()[0];
  const auto sampled = explain_by_permutation(learner, row, background, 400, 1).value();
  EXPECT_NEAR(sampled.attributions[0].base, exact.base, 1e-12);
  double sum = sampled.attributions[0].base;
  for (std::size_t i = 0; i < 6; ++i) {
    EXPECT_NEAR(sampled.attributions[0].shares[i], exact.shares[i], 5 * sampled.standard_error);
    sum += sampled.attributions[0].shares[i];
  }
  EXPECT_NEAR(sum, score(learner, row)->margins[0], 1e-12);
  EXPECT_EQ(explain_by_permutation(learner, row, background, 400, 1).value().attributions[0].shares, sampled.attributions[0].shares);
  EXPECT_FALSE(explain_by_enumeration(learner_of(16, machine), std::vector<double>(16, 0), {std::vector<double>(16, 0)}));
}

TEST(NewKinds, ReadAndScoreTheirExamples) {
  // Two neighbours at distances 1 and 2 from 0: weights 1 and 1/2.
  const auto knn = read_ir(R"({"ir":1,"kind":"knn","features":["a"],"k":2,"weights":"distance","metric":"euclidean","x":[[1],[-2],[9]],"y":[1,0,1],"ties":"training row index ascending"})", "knn");
  ASSERT_TRUE(knn) << knn.error().message;
  EXPECT_NEAR(score(*knn, {0})->values[0], 2.0 / 3, 1e-15);
  EXPECT_EQ(score(*knn, {-2})->values[0], 0) << "an exact hit takes all the weight";
  // S(t) = exp(-H0 exp(0.5 * 2)).
  const auto cox = read_ir(R"({"ir":1,"kind":"cox","features":["a"],"coef":[0.5],"centre":[1],"ties":"efron","baseline":{"at":"centre","time":[10,20],"cumulative_hazard":[0.1,0.3]}})", "cox");
  ASSERT_TRUE(cox) << cox.error().message;
  EXPECT_EQ(score(*cox, {3})->margins[0], 1);
  const CoxModel& model = std::get<CoxModel>(cox->model);
  EXPECT_EQ(survival(model, 1, 5), 1);
  EXPECT_NEAR(survival(model, 1, 15), std::exp(-0.1 * std::numbers::e), 1e-15);
  EXPECT_NEAR(survival(model, 1, 20), std::exp(-0.3 * std::numbers::e), 1e-15);
  const auto process = read_ir(R"({"ir":1,"kind":"gp_laplace","features":["a"],"kernel":"constant*rbf","constant":1,"length_scale":1,"x":[[0]],"y_minus_pi":[0.5],"w_sr":[0.5],"L":[[1.118033988749895]]})", "gp");
  ASSERT_TRUE(process) << process.error().message;
  EXPECT_EQ(score(*process, {0})->margins[0], 0.5);
  for (const char* bad : {R"({"ir":1,"kind":"knn","features":["a"],"k":4,"weights":"uniform","metric":"euclidean","x":[[1]],"y":[1]})",
                          R"({"ir":1,"kind":"knn","features":["a"],"k":1,"weights":"uniform","metric":"cosine","x":[[1]],"y":[1]})",
                          R"({"ir":1,"kind":"cox","features":["a"],"coef":[0.5],"centre":[1],"ties":"efron","baseline":{"at":"centre","time":[20,10],"cumulative_hazard":[0.1,0.3]}})",
                          R"({"ir":1,"kind":"gp_laplace","features":["a"],"kernel":"constant*rbf","constant":1,"length_scale":0,"x":[[0]],"y_minus_pi":[0.5],"w_sr":[0.5],"L":[[1]]})"})
    EXPECT_FALSE(read_ir(bad, "bad")) << bad;
}

}  // namespace
}  // namespace choana::processing
