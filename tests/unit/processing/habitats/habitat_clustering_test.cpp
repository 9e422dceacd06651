#include "processing/habitats/habitat_clustering.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "core/task_pool.h"
#include "processing/habitats/counter_random.h"
#include "processing/habitats/gaussian_mixture.h"
#include "processing/habitats/k_means.h"

namespace choana::processing {
namespace {

using nlohmann::json;

// Figures of scikit-learn 1.9.1, made by tests/interop/habitats.py --figures.
const json& figures() {
  static const json all = json::parse(std::ifstream(std::string(CHOANA_SOURCE_DIR) + "/tests/unit/processing/habitats/sklearn_figures.json"));
  return all;
}

VoxelFeatureStack stack_of(const json& one) {
  VoxelFeatureStack stack;
  stack.points.columns = one["columns"].get<std::size_t>();
  stack.points.values = one["points"].get<std::vector<double>>();
  for (std::size_t c = 0; c < stack.points.columns; ++c) stack.names.push_back("f" + std::to_string(c));
  for (std::size_t n = 0; n < stack.points.rows(); ++n) stack.voxels.push_back(n);
  return stack;
}

HabitatSettings settings_of(const json& one) {
  HabitatSettings settings;
  settings.habitats_max = one["k_max"].get<int>();
  settings.voxels_min = 1;
  return settings;
}

// Hubert and Arabie 1985.
double adjusted_rand(const std::vector<int>& a, const std::vector<int>& b) {
  std::map<std::pair<int, int>, double> both;
  std::map<int, double> left, right;
  for (std::size_t n = 0; n < a.size(); ++n) {
    ++both[{a[n], b[n]}];
    ++left[a[n]];
    ++right[b[n]];
  }
  const auto pairs = [](double n) { return n * (n - 1) / 2; };
  double index = 0, of_a = 0, of_b = 0;
  for (const auto& [cell, n] : both) index += pairs(n);
  for (const auto& [label, n] : left) of_a += pairs(n);
  for (const auto& [label, n] : right) of_b += pairs(n);
  const double expected = of_a * of_b / pairs(static_cast<double>(a.size())), most = (of_a + of_b) / 2;
  return most == expected ? 1 : (index - expected) / (most - expected);
}

// Two well separated groups and a third, tiny one.
VoxelFeatureStack two_groups(std::size_t tiny = 0) {
  VoxelFeatureStack stack{{"T2", "T1C"}, {}, {2, {}}};
  CounterRandom random(5, 0);
  const auto add = [&](double x, double y, std::size_t count) {
    for (std::size_t n = 0; n < count; ++n) {
      stack.voxels.push_back(stack.voxels.size());
      stack.points.values.push_back(x + random.uniform() - 0.5);
      stack.points.values.push_back(y + random.uniform() - 0.5);
    }
  };
  add(100, 7, 300);
  add(40, 9, 200);
  add(160, 8, tiny);
  return stack;
}

TEST(Habitats, MatchScikitLearnInNumberBicAndPartition) {
  for (const json& one : figures()["cases"]) {
    SCOPED_TRACE(one["name"].get<std::string>());
    const VoxelFeatureStack stack = stack_of(one);
    HabitatSettings settings = settings_of(one);
    const auto means = cluster_habitats(stack, settings);
    settings.labels = HabitatSettings::Labels::gaussian_mixture;
    const auto mixture = cluster_habitats(stack, settings);
    ASSERT_TRUE(means && mixture);
    const int k = one["chosen"].get<int>();
    EXPECT_EQ(means->chosen, k);
    const auto at_k = std::find_if(means->criterion.begin(), means->criterion.end(), [&](const auto& entry) { return entry.first == k; });
    ASSERT_NE(at_k, means->criterion.end());
    EXPECT_NEAR(at_k->second, one["bic"][static_cast<std::size_t>(k - 1)].get<double>(), 0.01);
    EXPECT_GE(adjusted_rand(means->labels, one["k_means"].get<std::vector<int>>()), 0.99);
    EXPECT_GE(adjusted_rand(mixture->labels, one["mixture"].get<std::vector<int>>()), 0.99);
  }
}

TEST(KMeans, ReachesTheInertiaOfScikitLearn) {
  for (const json& one : figures()["cases"]) {
    std::vector<std::string> flat;
    const auto scores = standardised(stack_of(one), flat);
    ASSERT_TRUE(scores);
    const auto clusters = k_means(*scores, one["chosen"].get<int>(), {});
    ASSERT_TRUE(clusters);
    EXPECT_TRUE(clusters->converged);
    EXPECT_NEAR(clusters->inertia, one["inertia"].get<double>(), 1e-6 * one["inertia"].get<double>()) << one["name"];
  }
}

TEST(GaussianMixture, FindsTheClosedFormOfOneComponent) {
  // Maximum likelihood of one Gaussian: mean and population variance; BIC by hand.
  const PointTable points{1, {1, 2, 4, 9}};
  GaussianMixtureSettings settings;
  settings.regularisation = 0;
  const auto one = fit_gaussian_mixture(points, 1, settings);
  ASSERT_TRUE(one);
  EXPECT_NEAR(one->means[0], 4, 1e-12);
  EXPECT_NEAR(one->covariances[0], 9.5, 1e-12);
  const double likelihood = -0.5 * (std::log(2 * 3.14159265358979323846 * 9.5) + 1);
  EXPECT_NEAR(one->log_likelihood, likelihood, 1e-12);
  EXPECT_NEAR(one->bic, -8 * likelihood + 2 * std::log(4), 1e-10);
}

TEST(GaussianMixture, KeepsFarPointsWithoutOverflow) {
  // Densities of 1e-20000 still divide: log-sum-exp.
  PointTable points{1, {}};
  for (int n = 0; n < 40; ++n) points.values.push_back(n % 2 == 0 ? 1e6 + n : -1e6 - n);
  const auto two = fit_gaussian_mixture(points, 2, {});
  ASSERT_TRUE(two);
  EXPECT_TRUE(std::isfinite(two->bic));
  EXPECT_NEAR(two->weights[0], 0.5, 1e-9);
}

TEST(GaussianMixture, SurvivesColumnsThatAreMultiplesOfEachOther) {
  PointTable points{2, {}};
  CounterRandom random(3, 0);
  for (int n = 0; n < 200; ++n) {
    const double x = random.uniform();
    points.values.push_back(x);
    points.values.push_back(2 * x);
  }
  const auto mixture = fit_gaussian_mixture(points, 2, {});
  ASSERT_TRUE(mixture);
  EXPECT_TRUE(std::isfinite(mixture->bic));
  GaussianMixtureSettings bare;
  bare.regularisation = 0;
  const auto refused = fit_gaussian_mixture(points, 1, bare);
  EXPECT_TRUE(refused || refused.error().code == ErrorCode::degenerate_input);
}

TEST(Habitats, GiveTheSameLabelsAtAnyNumberOfThreads) {
  const VoxelFeatureStack stack = stack_of(figures()["cases"][2]);
  const HabitatSettings settings = settings_of(figures()["cases"][2]);
  const auto serial = cluster_habitats(stack, settings);
  TaskPool pool(4);
  const auto parallel = cluster_habitats(stack, settings, &pool);
  ASSERT_TRUE(serial && parallel);
  EXPECT_EQ(serial->labels, parallel->labels);
  EXPECT_EQ(serial->criterion, parallel->criterion);
}

TEST(Habitats, DoNotDependOnTheOrderOfTheVoxels) {
  const json& one = figures()["cases"][3];
  const VoxelFeatureStack stack = stack_of(one);
  VoxelFeatureStack reversed = stack;
  for (std::size_t n = 0; n < stack.points.rows(); ++n)
    std::copy_n(stack.points.row(n), stack.points.columns, reversed.points.values.begin() + static_cast<std::ptrdiff_t>((stack.points.rows() - 1 - n) * stack.points.columns));
  const auto a = cluster_habitats(stack, settings_of(one));
  const auto b = cluster_habitats(reversed, settings_of(one));
  ASSERT_TRUE(a && b);
  EXPECT_EQ(a->labels, std::vector<int>(b->labels.rbegin(), b->labels.rend()));
}

TEST(Habitats, AreNumberedInTheDeclaredOrder) {
  const VoxelFeatureStack stack = two_groups();
  HabitatSettings settings;
  settings.habitats = 2;
  const auto first_label = [&](const std::string& by, bool descending) {
    settings.order_by = by;
    settings.descending = descending;
    return cluster_habitats(stack, settings)->labels.front();
  };
  // The first voxel is of the group (100, 7), 300 voxels; the other one (40, 9), 200 voxels.
  EXPECT_EQ(first_label("T2", false), 2);
  EXPECT_EQ(first_label("T2", true), 1);
  EXPECT_EQ(first_label("T1C", false), 1);
  EXPECT_EQ(first_label("volume", false), 2);
  EXPECT_EQ(first_label("volume", true), 1);
  settings.order_by = "T1";
  EXPECT_EQ(cluster_habitats(stack, settings).error().code, ErrorCode::invalid_argument);
}

TEST(Habitats, BelowTheMinimumJoinTheMostSimilarOrStayUnmeasured) {
  const VoxelFeatureStack stack = two_groups(4);
  HabitatSettings settings;
  settings.habitats = 3;
  settings.voxels_min = 10;
  const auto merged = cluster_habitats(stack, settings);
  ASSERT_TRUE(merged);
  EXPECT_EQ(merged->chosen, 3);
  EXPECT_EQ(merged->count, 2);
  EXPECT_EQ(merged->labels.back(), merged->labels.front()) << "the four voxels are nearest to the first group";
  EXPECT_EQ(merged->notes.size(), 1U);
  settings.small = HabitatSettings::Small::unmeasured;
  const auto kept = cluster_habitats(stack, settings);
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->count, 3);
  EXPECT_EQ(habitat_statistics(stack, *kept, 2.0)[2].voxels, 4U);
}

TEST(Habitats, StatisticsAddUpToTheRegion) {
  const VoxelFeatureStack stack = two_groups();
  HabitatSettings settings;
  settings.habitats = 2;
  const auto labels = cluster_habitats(stack, settings);
  ASSERT_TRUE(labels);
  const auto statistics = habitat_statistics(stack, *labels, 4.0);
  ASSERT_EQ(statistics.size(), 2U);
  EXPECT_EQ(statistics[0].voxels, 200U);
  EXPECT_DOUBLE_EQ(statistics[0].volume_ml, 0.8);
  EXPECT_DOUBLE_EQ(statistics[0].fraction + statistics[1].fraction, 1.0);
  EXPECT_EQ(statistics[0].means[0].first, "T2");
  EXPECT_NEAR(statistics[0].means[0].second, 40, 0.1);
  EXPECT_NEAR(statistics[0].deviations[0].second, std::sqrt(1.0 / 12), 0.02);
}

TEST(Habitats, SayWhenOnlyASampleWasFitted) {
  const VoxelFeatureStack stack = stack_of(figures()["cases"][1]);
  HabitatSettings settings = settings_of(figures()["cases"][1]);
  settings.fit_voxels_max = 500;
  const auto labels = cluster_habitats(stack, settings);
  ASSERT_TRUE(labels);
  EXPECT_EQ(labels->chosen, 4);
  EXPECT_EQ(labels->labels.size(), stack.points.rows());
  ASSERT_FALSE(labels->notes.empty());
  EXPECT_NE(labels->notes.front().find("500 of the region's 760"), std::string::npos) << labels->notes.front();
}

TEST(Habitats, RefuseWhatCannotBeDivided) {
  VoxelFeatureStack flat{{"T2"}, {}, {1, std::vector<double>(50, 3.0)}};
  for (std::size_t n = 0; n < 50; ++n) flat.voxels.push_back(n);
  EXPECT_EQ(cluster_habitats(flat, {}).error().code, ErrorCode::degenerate_input);
  VoxelFeatureStack few{{"T2"}, {0, 1, 2}, {1, {1, 2, 3}}};
  EXPECT_EQ(cluster_habitats(few, {}).error().code, ErrorCode::roi_too_small);
  VoxelFeatureStack two_values{{"T2"}, {}, {1, {}}};
  for (std::size_t n = 0; n < 50; ++n) {
    two_values.voxels.push_back(n);
    two_values.points.values.push_back(n % 2 == 0 ? 1.0 : 5.0);
  }
  HabitatSettings four;
  four.habitats = 4;
  EXPECT_EQ(cluster_habitats(two_values, four).error().code, ErrorCode::roi_too_small);
  const auto chosen = cluster_habitats(two_values, {});
  ASSERT_TRUE(chosen);
  EXPECT_EQ(chosen->chosen, 2);
  four.habitats = 10;
  EXPECT_EQ(cluster_habitats(two_values, four).error().code, ErrorCode::invalid_argument);
}

TEST(VoxelFeatures, ComeFromTheVoxelsOfTheRegionInOrder) {
  const VolumeGeometry geometry = *VolumeGeometry::make({3, 2, 1}, {1, 1, 1}, {0, 0, 0}, {1, 0, 0, 0, 1, 0, 0, 0, 1});
  const auto region = RegionOfInterest::make("GTVp", geometry, {0, 1, 0, 1, 0, 1}, {});
  ASSERT_TRUE(region);
  const auto stack = stack_voxel_features(*region, {{"T2", {10, 11, 12, 13, 14, 15}}, {"T1", {0, 1, 2, 3, 4, 5}}});
  ASSERT_TRUE(stack);
  EXPECT_EQ(stack->voxels, (std::vector<std::size_t>{1, 3, 5}));
  EXPECT_EQ(stack->points.values, (std::vector<double>{11, 1, 13, 3, 15, 5}));
  EXPECT_EQ(stack_voxel_features(*region, {{"T2", {1, 2}}}).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(stack_voxel_features(*region, {{"T2", {0, NAN, 0, 0, 0, 0}}}).error().code, ErrorCode::degenerate_input);
  EXPECT_EQ(stack_voxel_features(*region, {}).error().code, ErrorCode::invalid_argument);
}

TEST(VoxelFeatures, SmoothingKeepsAConstantAndSpreadsAPoint) {
  const VolumeGeometry geometry = *VolumeGeometry::make({21, 21, 5}, {1, 1, 2}, {0, 0, 0}, {1, 0, 0, 0, 1, 0, 0, 0, 1});
  const auto constant = gaussian_smoothed(std::vector<float>(geometry.voxel_count(), 7), geometry, 1.5);
  ASSERT_TRUE(constant);
  for (const float v : *constant) ASSERT_NEAR(v, 7, 1e-5);
  std::vector<float> point(geometry.voxel_count(), 0);
  point[geometry.offset(10, 10, 2)] = 1;
  const auto spread = gaussian_smoothed(point, geometry, 1.0);
  ASSERT_TRUE(spread);
  // Neighbours one step along i and along k: exp(-1/2) and exp(-2) of the centre, by the Gaussian's definition.
  const double centre = (*spread)[geometry.offset(10, 10, 2)];
  EXPECT_NEAR((*spread)[geometry.offset(11, 10, 2)] / centre, std::exp(-0.5), 1e-5);
  EXPECT_NEAR((*spread)[geometry.offset(10, 10, 3)] / centre, std::exp(-2.0), 1e-2);
}

// Used by tests/interop/habitats.py: cluster what a file holds and write what came out.
TEST(Habitats, ClustersGivenPointsWhereAsked) {
  const char* in = std::getenv("CHOANA_HABITATS_IN");
  const char* out = std::getenv("CHOANA_HABITATS_OUT");
  if (in == nullptr || out == nullptr) GTEST_SKIP() << "no file asked for";
  json result{{"cases", json::array()}};
  const json given = json::parse(std::ifstream(in));
  for (const json& one : given["cases"]) {
    HabitatSettings settings = settings_of(one);
    const auto means = cluster_habitats(stack_of(one), settings);
    settings.labels = HabitatSettings::Labels::gaussian_mixture;
    const auto mixture = cluster_habitats(stack_of(one), settings);
    ASSERT_TRUE(means && mixture);
    result["cases"].push_back({{"chosen", means->chosen}, {"bic", means->criterion}, {"k_means", means->labels}, {"mixture", mixture->labels}});
  }
  std::ofstream(out) << result;
}

}  // namespace
}  // namespace choana::processing
