#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <set>

#include "processing/radiomics/ibsi/convex_hull.h"
#include "processing/radiomics/ibsi/ibsi_discretiser.h"
#include "processing/radiomics/ibsi/ibsi_extractor.h"
#include "processing/radiomics/ibsi/intensity_features.h"
#include "processing/radiomics/ibsi/texture_matrices.h"
#include "tests/support/volumes.h"

namespace choana::processing::ibsi {
namespace {

double value_of(const std::vector<TaggedValue>& values, std::string_view tag) {
  for (const TaggedValue& value : values)
    if (value.tag == tag) return std::holds_alternative<double>(value.value) ? std::get<double>(value.value) : no_value;
  ADD_FAILURE() << "no " << tag;
  return no_value;
}

// Formulas: IBSI reference manual, fixed bin number (K15C) and fixed bin size (Q3RU).
TEST(IbsiDiscretiser, PutsTheMaximumIntoTheLastBin) {
  const std::vector<double> values{0, 2.4, 2.5, 7.4, 7.5, 9.9, 10};
  const auto levels = discretise(values, {DiscretisationMethod::fixed_bin_number, 4, 0}, std::nullopt);
  ASSERT_TRUE(levels.has_value());
  EXPECT_EQ(levels->levels, (std::vector<int>{1, 1, 2, 3, 4, 4, 4}));
  EXPECT_EQ(levels->highest, 4);
}

TEST(IbsiDiscretiser, CountsBinsOfFixedSizeFromTheLowerBound) {
  const std::vector<double> values{-450, -475.5, 400};
  EXPECT_EQ(discretise(values, {DiscretisationMethod::fixed_bin_size, 0, 25}, -500.0)->levels, (std::vector<int>{3, 1, 37}));
  EXPECT_EQ(discretise(values, {DiscretisationMethod::fixed_bin_size, 0, 25}, std::nullopt)->levels, (std::vector<int>{2, 1, 36}));
}

TEST(IbsiDiscretiser, RefusesWhatIsNoGreyLevel) {
  EXPECT_FALSE(discretise(std::vector<double>{1, 1.5}, {}, std::nullopt).has_value());
  EXPECT_FALSE(discretise(std::vector<double>{0, 1}, {}, std::nullopt).has_value());
  EXPECT_FALSE(discretise(std::vector<double>{}, {}, std::nullopt).has_value());
  EXPECT_FALSE(discretise(std::vector<double>{1, NAN}, {DiscretisationMethod::fixed_bin_number, 4, 0}, std::nullopt).has_value());
  const auto many = discretise(std::vector<double>{0, 1e9}, {DiscretisationMethod::fixed_bin_size, 0, 1}, std::nullopt);
  ASSERT_FALSE(many.has_value());
  EXPECT_EQ(many.error().code, ErrorCode::limit_exceeded);
}

TEST(IbsiHistogram, TakesOfSeveralModesTheOneNearestToTheMean) {
  const auto mode = [](std::vector<double> levels) { return value_of(intensity_histogram(*discretise(levels, {}, std::nullopt)), "ih_mode"); };
  EXPECT_EQ(mode({1, 1, 5, 5, 6, 6, 6, 7}), 6);
  EXPECT_EQ(mode({1, 1, 4, 4, 9}), 4);
  EXPECT_EQ(mode({2, 2, 4, 4}), 2) << "two equally near: the left one";
}

TEST(IbsiHistogram, CountsEmptyBinsInTheGradient) {
  // Levels 1 and 4 of four: counts 3 0 0 2, gradient -3 -1.5 1 2 (manual, 12CE).
  const auto values = intensity_histogram(*discretise(std::vector<double>{1, 1, 1, 4, 4}, {}, std::nullopt));
  EXPECT_EQ(value_of(values, "ih_max_grad"), 2);
  EXPECT_EQ(value_of(values, "ih_max_grad_g"), 4);
  EXPECT_EQ(value_of(values, "ih_min_grad"), -3);
  EXPECT_EQ(value_of(values, "ih_min_grad_g"), 1);
}

TEST(IbsiStatistics, GivesNoShapeOfAFlatRegion) {
  const auto values = intensity_statistics(std::vector<double>(10, 0.1));
  EXPECT_EQ(value_of(values, "stat_var"), 0);
  EXPECT_TRUE(std::isnan(value_of(values, "stat_skew")));
  EXPECT_TRUE(std::isnan(value_of(values, "stat_kurt")));
  EXPECT_EQ(value_of(values, "stat_mean"), 0.1);
}

// The manual, continuous calibrated intensities: bin centres from the lower bound of the range.
TEST(IbsiVolumeHistogram, WorksWithBinCentres) {
  const std::vector<double> values{0.5, 1.5, 1.6, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 9.5};
  ResegmentationSettings range;
  range.lower = 0;
  range.upper = 10;
  const auto histogram = intensity_volume_histogram(values, {DiscretisationMethod::fixed_bin_size, 0, 1}, range);
  EXPECT_NEAR(value_of(histogram, "ivh_i90"), 1.5, 1e-12);
  EXPECT_NEAR(value_of(histogram, "ivh_i10"), 8.5, 1e-12);
  EXPECT_NEAR(value_of(histogram, "ivh_v10"), 0.9, 1e-12);
  EXPECT_NEAR(value_of(histogram, "ivh_v90"), 0.1, 1e-12);
}

TEST(IbsiVolumeHistogram, AsksForADiscretisationOfContinuousIntensities) {
  EXPECT_TRUE(std::isnan(value_of(intensity_volume_histogram(std::vector<double>{0.5, 1.25}, {}, {}), "ivh_v10")));
}

TEST(ConvexHull, MeasuresABox) {
  std::vector<LatticePoint> points;
  for (int x = 0; x <= 4; ++x)
    for (int y = 0; y <= 3; ++y)
      for (int z = 0; z <= 2; ++z) points.push_back({x, y, z});
  const auto hull = convex_hull(points);
  ASSERT_TRUE(hull.has_value());
  const HullMeasures measures = measure_hull(*hull, {0.5, 1, 2});
  EXPECT_NEAR(measures.volume, 2 * 3 * 4, 1e-12);
  EXPECT_NEAR(measures.area, 2 * (2 * 3 + 2 * 4 + 3 * 4), 1e-12);
}

TEST(ConvexHull, HoldsEveryPointAndIsClosed) {
  for (std::uint32_t seed = 1; seed <= 40; ++seed) {
    std::mt19937 random(seed);
    std::vector<LatticePoint> points;
    const int reach = 2 + static_cast<int>(seed % 9);
    for (int n = 0; n < 60; ++n)
      points.push_back({static_cast<std::int64_t>(random() % static_cast<unsigned>(reach)), static_cast<std::int64_t>(random() % static_cast<unsigned>(reach)),
                        static_cast<std::int64_t>(random() % static_cast<unsigned>(reach))});
    const auto hull = convex_hull(points);
    ASSERT_TRUE(hull.has_value()) << "seed " << seed;
    std::map<std::pair<LatticePoint, LatticePoint>, int> edges;
    for (const HullTriangle& t : *hull) {
      for (const LatticePoint& p : points) {
        std::int64_t side = 0;
        LatticePoint u{}, v{}, w{};
        for (std::size_t c = 0; c < 3; ++c) {
          u[c] = t[1][c] - t[0][c];
          v[c] = t[2][c] - t[0][c];
          w[c] = p[c] - t[0][c];
        }
        side = (u[1] * v[2] - u[2] * v[1]) * w[0] + (u[2] * v[0] - u[0] * v[2]) * w[1] + (u[0] * v[1] - u[1] * v[0]) * w[2];
        ASSERT_LE(side, 0) << "seed " << seed;
      }
      for (std::size_t c = 0; c < 3; ++c) ++edges[{t[c], t[(c + 1) % 3]}];
    }
    for (const auto& [edge, count] : edges) {
      ASSERT_EQ(count, 1) << "seed " << seed;
      ASSERT_TRUE(edges.contains({edge.second, edge.first})) << "seed " << seed;
    }
  }
}

TEST(ConvexHull, RefusesPointsInAPlane) {
  EXPECT_FALSE(convex_hull({{0, 0, 0}, {1, 0, 0}, {0, 1, 0}, {1, 1, 0}, {5, 2, 0}}).has_value());
  EXPECT_FALSE(convex_hull({}).has_value());
}

TEST(DistanceToBorder, CountsStepsAlongTheAxes) {
  const std::vector<std::uint8_t> mask(5 * 5 * 3, 1);
  const auto by_slice = distance_to_border({5, 5, 3}, mask, true);
  EXPECT_EQ(by_slice[12], 3);
  EXPECT_EQ(by_slice[0], 1);
  const auto whole = distance_to_border({5, 5, 3}, mask, false);
  EXPECT_EQ(whole[12], 1) << "the first slice lies at the border";
  EXPECT_EQ(whole[25 + 12], 2);
}

TEST(IbsiCatalogue, ListsEveryFeatureWithACodeOfItsOwn) {
  std::map<std::string_view, int> counts;
  std::set<std::string_view> tags;
  for (const IbsiFeatureDescription& feature : ibsi_catalogue()) {
    ++counts[feature.family];
    EXPECT_TRUE(tags.insert(feature.tag).second) << feature.tag;
    EXPECT_EQ(feature.code.size(), 4u) << feature.tag;
  }
  // IBSI reference manual: features with reference values by family.
  const std::map<std::string_view, int> manual{{"morphology", 25}, {"local_intensity", 2}, {"intensity_statistics", 18}, {"intensity_histogram", 23}, {"intensity_volume_histogram", 6},
                                               {"glcm", 25}, {"glrlm", 16}, {"glszm", 16}, {"gldzm", 16}, {"ngtdm", 5}, {"ngldm", 17}};
  EXPECT_EQ(counts, manual);
  EXPECT_EQ(tags.size(), 169u);
}

IbsiProfile statistics_only() {
  IbsiProfile profile;
  profile.families = {"morphology", "intensity_statistics"};
  return profile;
}

TEST(IbsiExtraction, HoldsRangeAndOutliersAtOnceAndLeavesTheMorphologyAlone) {
  auto one = test::random_case(3, {12, 11, 8}, PixelType::float64);
  IbsiProfile profile = statistics_only();
  const auto whole = extract_ibsi_features(one.image, one.mask, 1, profile);
  profile.resegmentation.lower = 40;
  profile.resegmentation.outlier_sigmas = 1;
  const auto part = extract_ibsi_features(one.image, one.mask, 1, profile);
  ASSERT_TRUE(whole && part);
  // Independent count.
  std::vector<double> values;
  for (std::size_t at = 0; at < one.mask.labels.size(); ++at)
    if (one.mask.labels[at] == 1) values.push_back(one.image.voxels[at]);
  double mean = 0, square = 0;
  for (const double v : values) mean += v / static_cast<double>(values.size());
  for (const double v : values) square += (v - mean) * (v - mean) / static_cast<double>(values.size());
  const auto kept = std::count_if(values.begin(), values.end(), [&](double v) { return v >= 40 && std::abs(v - mean) <= std::sqrt(square); });
  EXPECT_EQ(part->voxels_intensity, static_cast<std::size_t>(kept));
  EXPECT_LT(part->voxels_intensity, whole->voxels_intensity);
  EXPECT_EQ(part->features[0].number(), whole->features[0].number()) << "volume";
  EXPECT_FALSE(part->notes.empty());
}

TEST(IbsiExtraction, SaysWhatIsWrong) {
  auto one = test::random_case(4, {9, 9, 5}, PixelType::float64);
  const IbsiProfile profile = statistics_only();
  const auto code = [](const auto& result) { return result ? ErrorCode::internal : result.error().code; };
  EXPECT_EQ(code(extract_ibsi_features(one.image, one.mask, 7, profile)), ErrorCode::roi_empty);
  auto shifted = one.mask;
  shifted.geometry = test::grid({9, 9, 5}, {0.8, 0.9, 2.5}, {-20, 32, 5});
  EXPECT_EQ(code(extract_ibsi_features(one.image, shifted, 1, profile)), ErrorCode::geometry_mismatch);
  IbsiProfile far = profile;
  far.resegmentation.lower = 1e6;
  EXPECT_EQ(code(extract_ibsi_features(one.image, one.mask, 1, far)), ErrorCode::roi_too_small);
  auto hole = one.image;
  for (double& value : hole.voxels) value = NAN;
  EXPECT_EQ(code(extract_ibsi_features(hole, one.mask, 1, profile)), ErrorCode::degenerate_input);
}

TEST(IbsiExtraction, MeasuresManyGreyLevelsInBoundedTimeAndSaysWhatItLeavesOut) {
  // 12,000 voxels, each of a level of its own.
  ScalarVolume image{test::grid({40, 30, 10}), {}, PixelType::float64};
  for (int n = 0; n < 12000; ++n) image.voxels.push_back(1 + (n * 7919) % 12000);
  const MaskVolume mask{image.geometry, std::vector<std::uint32_t>(12000, 1)};
  IbsiProfile profile;
  profile.families = ibsi_family_names();
  profile.aggregations = aggregation_names();
  const auto result = extract_ibsi_features(image, mask, 1, profile);
  ASSERT_TRUE(result.has_value());
  std::size_t missing = 0;
  for (const IbsiFeatureValue& feature : result->features)
    if (!feature.computed()) {
      ++missing;
      EXPECT_EQ(feature.tag, "ngt_complexity");
      EXPECT_EQ(std::get<NotComputed>(feature.value).reason, "too_many_levels");
    }
  EXPECT_EQ(missing, 2u) << "3D and 2.5D; single slices have 1,200 levels";
}

TEST(IbsiExtraction, MeasuresASingleVoxel) {
  ScalarVolume image{test::grid({3, 3, 3}), std::vector<double>(27, 2), PixelType::float64};
  MaskVolume mask{image.geometry, std::vector<std::uint32_t>(27, 0)};
  mask.labels[13] = 1;
  IbsiProfile profile;
  profile.families = ibsi_family_names();
  profile.aggregations = aggregation_names();
  const auto result = extract_ibsi_features(image, mask, 1, profile);
  ASSERT_TRUE(result.has_value());
  for (const IbsiFeatureValue& feature : result->features) {
    if (feature.computed()) EXPECT_TRUE(std::isfinite(feature.number())) << feature.name();
    else EXPECT_FALSE(std::get<NotComputed>(feature.value).reason.empty()) << feature.name();
  }
  EXPECT_EQ(result->features.size(), 482u);
}

}  // namespace
}  // namespace choana::processing::ibsi
