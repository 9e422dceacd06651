#include "processing/preprocessing/resampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "processing/preprocessing/intensity_normaliser.h"
#include "tests/support/volumes.h"

namespace choana::processing {
namespace {

ScalarVolume line_image(std::vector<double> values, PixelType type) { return {test::grid({static_cast<int>(values.size()), 1, 1}), values, type}; }

/// The value half way between voxels 0 and 1.
double halfway(const ScalarVolume& image, Interpolation interpolation) { return resample_image(image, test::grid({1, 1, 1}, {1, 1, 1}, {0.5, 0, 0}), interpolation).voxels[0]; }

TEST(Resampler, TruncatesIntegersTowardZero) {
  // radiomics.md 9 item 5: int16 linear -27.5 gives -27.
  EXPECT_EQ(halfway(line_image({-25, -30}, PixelType::int16), Interpolation::linear), -27);
  EXPECT_EQ(halfway(line_image({-25, -30}, PixelType::float32), Interpolation::linear), -27.5);
}

TEST(Resampler, ClampsIntegersToTheirType) {
  // A cubic spline overshoots an edge of 0 and 255; uint8 keeps its range (radiomics.md 9 item 5).
  const std::vector<double> edge{0, 0, 0, 0, 255, 255, 255, 255};
  const VolumeGeometry grid = test::grid({36, 1, 1}, {0.2, 1, 1});
  const ScalarVolume bytes = resample_image(line_image(edge, PixelType::uint8), grid, Interpolation::cubic_bspline);
  const ScalarVolume exact = resample_image(line_image(edge, PixelType::float64), grid, Interpolation::cubic_bspline);
  EXPECT_EQ(*std::min_element(bytes.voxels.begin(), bytes.voxels.end()), 0);
  EXPECT_EQ(*std::max_element(bytes.voxels.begin(), bytes.voxels.end()), 255);
  EXPECT_LT(*std::min_element(exact.voxels.begin(), exact.voxels.end()), -10);
  EXPECT_GT(*std::max_element(exact.voxels.begin(), exact.voxels.end()), 265);
}

TEST(Resampler, PassesThroughTheVoxelsWithACubicSpline) {
  const test::RandomCase one = test::random_case(4, {9, 8, 7}, PixelType::float64);
  const ScalarVolume same = resample_image(one.image, one.image.geometry, Interpolation::cubic_bspline);
  for (std::size_t at = 0; at < same.voxels.size(); ++at) EXPECT_NEAR(same.voxels[at], one.image.voxels[at], 1e-9);
}

TEST(Resampler, ReproducesALineExactlyAwayFromTheEdges) {
  std::vector<double> ramp;
  for (int at = 0; at < 60; ++at) ramp.push_back(3.0 * at + 1);
  const ScalarVolume fine = resample_image(line_image(ramp, PixelType::float64), test::grid({31, 1, 1}, {0.25, 1, 1}, {26, 0, 0}), Interpolation::cubic_bspline);
  for (std::size_t at = 0; at < fine.voxels.size(); ++at) EXPECT_NEAR(fine.voxels[at], 3 * (26 + 0.25 * static_cast<double>(at)) + 1, 1e-9);
}

TEST(Resampler, GivesZeroOutsideTheImage) {
  const ScalarVolume image = line_image({7, 7, 7}, PixelType::int16);
  const ScalarVolume wide = resample_image(image, test::grid({6, 1, 1}, {1, 1, 1}, {-1.5, 0, 0}), Interpolation::nearest_neighbour);
  // Index -0.5 is inside, size - 0.5 is not.
  EXPECT_EQ(wide.voxels, (std::vector<double>{0, 7, 7, 7, 0, 0}));
}

TEST(Resampler, CutsALineThatNeverTouchesTheRestToTheSameBits) {
  // Coefficients are computed of a box around the grid: far samples must not matter, to the last bit.
  std::vector<double> values;
  for (int at = 0; at < 400; ++at) values.push_back((at * 7919) % 1009);
  const VolumeGeometry grid = test::grid({40, 1, 1}, {0.37, 1, 1}, {190, 0, 0});
  const ScalarVolume one = resample_image(line_image(values, PixelType::float64), grid, Interpolation::cubic_bspline);
  for (std::size_t at = 0; at < 100; ++at) values[at] = 12345;
  EXPECT_EQ(resample_image(line_image(values, PixelType::float64), grid, Interpolation::cubic_bspline).voxels, one.voxels);
}

TEST(Resampler, AlignsTheNewGridOnTheCornerOfTheFirstVoxel) {
  // radiomics.md 1.5: spacing 1 to 2 puts the first centre at 0.5 voxels.
  ScalarVolume image{test::grid({20, 20, 20}), std::vector<double>(8000, 1), PixelType::float64};
  MaskVolume mask{image.geometry, std::vector<std::uint32_t>(8000, 0)};
  for (int k = 2; k < 18; ++k)
    for (int j = 2; j < 18; ++j)
      for (int i = 2; i < 18; ++i) mask.labels[image.geometry.offset(i, j, k)] = 1;
  const auto pair = resample_to_spacing(image, mask, 1, {2, 2, 2}, Interpolation::linear, 5);
  ASSERT_TRUE(pair) << pair.error().message;
  EXPECT_EQ(pair->image.geometry.size(), (Index3{10, 10, 10}));
  EXPECT_NEAR(pair->image.geometry.origin_mm()[0], 0.5, 1e-12);
  EXPECT_EQ(bounding_box(pair->mask, 1), (VoxelBox{{1, 1, 1}, {8, 8, 8}}));
}

TEST(Resampler, KeepsAnAxisOfOneSlice) {
  ScalarVolume image{test::grid({20, 20, 5}, {1, 1, 4}), std::vector<double>(2000, 1), PixelType::float64};
  MaskVolume mask{image.geometry, std::vector<std::uint32_t>(2000, 0)};
  for (int j = 5; j < 15; ++j)
    for (int i = 5; i < 15; ++i) mask.labels[image.geometry.offset(i, j, 2)] = 1;
  const auto pair = resample_to_spacing(image, mask, 1, {0.5, 0.5, 1}, Interpolation::cubic_bspline, 3);
  ASSERT_TRUE(pair);
  EXPECT_EQ(pair->image.geometry.spacing_mm(), (Vector3{0.5, 0.5, 4}));
}

TEST(Resampler, SaysThatTheRegionLeavesTheImage) {
  const ScalarVolume image{test::grid({10, 10, 10}), std::vector<double>(1000, 1), PixelType::int16};
  MaskVolume mask{test::grid({10, 10, 10}, {1, 1, 1}, {0, 0, 6}), std::vector<std::uint32_t>(1000, 1)};
  const auto box = check_region_inside(image.geometry, mask, 1);
  ASSERT_FALSE(box);
  EXPECT_EQ(box.error().code, ErrorCode::roi_outside_image);
  EXPECT_NE(box.error().message.find("axis k"), std::string::npos) << box.error().message;
}

TEST(IntensityNormaliser, UsesTheSampleDeviationOfTheWholeImage) {
  // Mean 2, sample standard deviation 1 of 1, 2, 3.
  const auto result = normalise_intensities(line_image({1, 2, 3}, PixelType::int16), 100, std::nullopt);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->pixel_type, PixelType::float64);
  EXPECT_NEAR(result->voxels[0], -100, 1e-12);
  EXPECT_NEAR(result->voxels[2], 100, 1e-12);
  EXPECT_NEAR(normalise_intensities(line_image({1, 2, 3}, PixelType::int16), 100, 0.5)->voxels[2], 50, 1e-12);
  EXPECT_EQ(normalise_intensities(line_image({4, 4}, PixelType::int16), 1, std::nullopt).error().code, ErrorCode::degenerate_input);
}

TEST(Rescale, StretchesToTheGivenRange) {
  const auto result = rescale(line_image({-10, 0, 30}, PixelType::int16));
  ASSERT_TRUE(result);
  EXPECT_EQ(result->voxels, (std::vector<double>{0, 63.75, 255}));
  EXPECT_FALSE(rescale(line_image({1, 1}, PixelType::int16)));
}

}  // namespace
}  // namespace choana::processing
