#include "processing/preprocessing/bias_field_correction.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/volumes.h"

namespace choana::processing {
namespace {

SeriesVolume series(const VolumeGeometry& geometry, std::vector<float> voxels) {
  return *SeriesVolume::make(geometry, std::move(voxels), PixelType::float32, {}, {});
}

/// Two tissues under a smooth field that is e times stronger at one side.
SeriesVolume shaded_phantom(Index3 size) {
  std::vector<float> voxels;
  for (int k = 0; k < size[2]; ++k)
    for (int j = 0; j < size[1]; ++j)
      for (int i = 0; i < size[0]; ++i) {
        const double x = 2.0 * i / (size[0] - 1) - 1;
        const double y = 2.0 * j / (size[1] - 1) - 1;
        const double radius = x * x + y * y;
        const double tissue = radius > 0.9 ? 0.0 : radius > 0.4 ? 100.0 : 200.0;
        voxels.push_back(static_cast<float>(tissue * std::exp(0.5 * x)));
      }
  return series(test::grid(size), std::move(voxels));
}

/// Spread of the logarithm in the inner tissue.
double log_spread(const SeriesVolume& volume) {
  double sum = 0, squares = 0, count = 0;
  const Index3 size = volume.geometry().size();
  for (int k = 0; k < size[2]; ++k)
    for (int j = 0; j < size[1]; ++j)
      for (int i = 0; i < size[0]; ++i) {
        const double x = 2.0 * i / (size[0] - 1) - 1;
        const double y = 2.0 * j / (size[1] - 1) - 1;
        if (x * x + y * y > 0.35) continue;
        const double value = std::log(volume.voxels()[volume.geometry().offset(i, j, k)]);
        sum += value;
        squares += value * value;
        count += 1;
      }
  return std::sqrt(squares / count - sum / count * sum / count);
}

TEST(BiasFieldCorrection, FlattensAShadedTissue) {
  const SeriesVolume shaded = shaded_phantom({48, 48, 12});
  BiasFieldSettings settings;
  settings.mask = BiasFieldMask::positive;
  settings.n4.shrink = {2, 2, 2};
  const auto corrected = correct_bias_field(shaded, settings, nullptr);
  ASSERT_TRUE(corrected) << corrected.error().message;
  EXPECT_LT(log_spread(corrected->series), 0.3 * log_spread(shaded));
  EXPECT_EQ(corrected->levels.size(), 4u);
  EXPECT_GE(corrected->levels[0].iterations, 1);
  EXPECT_EQ(corrected->series.pixel_type(), PixelType::float32);
  // The image divided by the field is what comes out.
  const std::size_t at = shaded.geometry().offset(24, 24, 6);
  EXPECT_NEAR(corrected->series.voxels()[at], shaded.voxels()[at] / std::exp(corrected->log_field[at]), 1e-3);
}

TEST(BiasFieldCorrection, GivesTheSameResultTwice) {
  const SeriesVolume shaded = shaded_phantom({24, 24, 8});
  const auto one = correct_bias_field(shaded, {}, nullptr);
  const auto two = correct_bias_field(shaded, {}, nullptr);
  ASSERT_TRUE(one && two);
  EXPECT_EQ(one->series.voxels(), two->series.voxels());
}

TEST(BiasFieldCorrection, RefusesWhatHasNoField) {
  // spec/n4.md: ITK returns numbers for these; we must refuse.
  const auto code_of = [](const SeriesVolume& volume, BiasFieldMask mask = BiasFieldMask::every_voxel) {
    BiasFieldSettings settings;
    settings.mask = mask;
    const auto result = correct_bias_field(volume, settings, nullptr);
    return result ? std::string("corrected") : std::string(to_string(result.error().code));
  };
  const VolumeGeometry grid = test::grid({8, 8, 4});
  EXPECT_EQ(code_of(series(grid, std::vector<float>(256, 100))), "degenerate_input");
  EXPECT_EQ(code_of(series(grid, std::vector<float>(256, 0)), BiasFieldMask::positive), "degenerate_input");
  std::vector<float> odd(256, 5);
  odd[3] = NAN;
  EXPECT_EQ(code_of(series(grid, odd)), "degenerate_input");
  odd[3] = INFINITY;
  EXPECT_EQ(code_of(series(grid, odd)), "degenerate_input");
  EXPECT_EQ(code_of(series(test::grid({16, 16, 1}), std::vector<float>(256, 5))), "degenerate_input");
  BiasFieldSettings settings;
  settings.n4.iterations = {};
  EXPECT_EQ(correct_bias_field(shaded_phantom({8, 8, 4}), settings, nullptr).error().code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace choana::processing
