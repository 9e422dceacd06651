// What must hold for any image: position, spacing and orientation of the grid mean nothing to the fit, and a constant factor only rounds differently.
#include <gtest/gtest.h>

#include <cmath>

#include "processing/preprocessing/bias_field_correction.h"
#include "tests/support/head_phantom.h"

namespace choana::processing {
namespace {

/// An orthonormal matrix drawn at random.
Matrix3 rotation(test::Pcg32& random) {
  Vector3 x{random.normal(), random.normal(), random.normal()};
  x = (1 / norm(x)) * x;
  Vector3 y{random.normal(), random.normal(), random.normal()};
  y = y - dot(x, y) * x;
  y = (1 / norm(y)) * y;
  const Vector3 z = cross(x, y);
  return {x[0], y[0], z[0], x[1], y[1], z[1], x[2], y[2], z[2]};
}

TEST(BiasFieldProperty, OriginSpacingAndDirectionChangeNothing) {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    test::Pcg32 random(seed);
    const Index3 size{24 + static_cast<int>(random.next() % 9), 21 + static_cast<int>(random.next() % 9), 8 + static_cast<int>(random.next() % 5)};
    const SeriesVolume head = test::head_phantom(size, seed);
    const auto elsewhere = VolumeGeometry::make(size, {0.3 + random.uniform(), 0.3 + random.uniform(), 1 + 4 * random.uniform()},
                                                {100 * random.normal(), 100 * random.normal(), 500 * random.normal()}, rotation(random));
    ASSERT_TRUE(elsewhere);
    const SeriesVolume moved = *SeriesVolume::make(*elsewhere, head.voxels(), PixelType::int16, {}, {});
    // The stretched field of a shrunk image is left out: there ITK's choice of voxels rounds in patient coordinates (decision 0008).
    BiasFieldSettings whole;
    whole.n4.shrink = {1, 1, 1};
    whole.n4.iterations = {8, 8};
    BiasFieldSettings aligned;
    aligned.field = BiasFieldPlacement::aligned;
    aligned.n4.shrink = {4, 2, 3};
    aligned.n4.iterations = {8, 8};
    for (const BiasFieldSettings& settings : {whole, aligned}) {
      const auto here = correct_bias_field(head, settings, nullptr);
      const auto there = correct_bias_field(moved, settings, nullptr);
      ASSERT_TRUE(here && there);
      EXPECT_EQ(here->log_field, there->log_field);
      EXPECT_EQ(here->series.voxels(), there->series.voxels());
    }
  }
}

TEST(BiasFieldProperty, AConstantFactorOnlyRoundsDifferently) {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const SeriesVolume head = test::head_phantom({40, 36, 10}, seed);
    std::vector<std::uint8_t> mask;
    for (const float voxel : head.voxels()) mask.push_back(voxel > 60 ? 1 : 0);
    BiasFieldSettings settings;
    settings.n4.shrink = {1, 1, 1};
    settings.n4.iterations = {15, 15};
    settings.n4.convergence_threshold = 0;  // a count may differ where the measure is at the threshold
    const auto plain = correct_bias_field(head, settings, nullptr, {mask, {}});
    ASSERT_TRUE(plain);
    for (const float factor : {0.01F, 3.0F, 1024.0F}) {
      std::vector<float> scaled = head.voxels();
      for (float& voxel : scaled) voxel *= factor;
      const auto result = correct_bias_field(*head.with_voxels(std::move(scaled), PixelType::float32), settings, nullptr, {mask, {}});
      ASSERT_TRUE(result);
      for (std::size_t n = 0; n < mask.size(); ++n) ASSERT_NEAR(result->log_field[n], plain->log_field[n], 1e-4) << "factor " << factor;
    }
  }
}

TEST(BiasFieldProperty, AShadePutOnTheImageComesOutOfIt) {
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const Index3 size{48, 48, 12};
    const SeriesVolume even = test::head_phantom(size, seed, 0);
    BiasFieldSettings settings;
    settings.n4.shrink = {2, 2, 1};
    for (const double slope : {0.3, -0.3}) {
      std::vector<float> voxels = even.voxels();
      for (std::size_t n = 0; n < voxels.size(); ++n) voxels[n] *= static_cast<float>(std::exp(slope * (static_cast<double>(n % 48) / 23.5 - 1)));
      const auto corrected = correct_bias_field(*even.with_voxels(std::move(voxels), PixelType::float32), settings, nullptr);
      ASSERT_TRUE(corrected);
      // The field found rises along i as the shade does: its slope in the middle, per half width.
      const auto at = [&](int i) { return static_cast<double>(corrected->log_field[even.geometry().offset(i, 24, 6)]); };
      const double found = (at(36) - at(12)) / (24 / 23.5);
      EXPECT_NEAR(found, slope, 0.15);
    }
  }
}

}  // namespace
}  // namespace choana::processing
