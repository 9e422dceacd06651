// Properties that the definitions of the filters promise, on seeded random images.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "core/task_pool.h"
#include "processing/radiomics/ibsi/filters/ibsi_filter.h"
#include "processing/radiomics/ibsi/filters/separable_convolution.h"
#include "tests/support/volumes.h"

namespace choana::processing::ibsi {
namespace {

ScalarVolume random_image(std::uint32_t seed, Index3 size) {
  std::mt19937 random(seed);
  ScalarVolume volume{test::grid(size), {}, PixelType::float64};
  const std::size_t count = volume.geometry.voxel_count();
  for (std::size_t at = 0; at < count; ++at) volume.voxels.push_back(100 * (random() / 4294967296.0));
  return volume;
}

ScalarVolume turned(const ScalarVolume& image, const RightAngleRotation& rotation) {
  const Index3 size = image.geometry.size();
  Index3 new_size{};
  for (std::size_t a = 0; a < 3; ++a) new_size[static_cast<std::size_t>(rotation.to[a])] = size[a];
  ScalarVolume result{test::grid(new_size), std::vector<double>(image.voxels.size()), image.pixel_type};
  for (int k = 0; k < size[2]; ++k)
    for (int j = 0; j < size[1]; ++j)
      for (int i = 0; i < size[0]; ++i) {
        const Index3 from{i, j, k};
        Index3 to{};
        for (std::size_t a = 0; a < 3; ++a) to[static_cast<std::size_t>(rotation.to[a])] = rotation.flip[a] ? size[a] - 1 - from[a] : from[a];
        result.voxels[result.geometry.offset(to[0], to[1], to[2])] = image.voxels[image.geometry.offset(i, j, k)];
      }
  return result;
}

const std::vector<std::string> invariant_filters{
    "{type: mean, support_voxels: 5}",
    "{type: log, sigma_mm: 1.2}",
    "{type: laws, kernels: E5L5S5, rotation_invariant: true}",
    "{type: laws, kernels: E3W5R5, rotation_invariant: true, pooling: min, energy_distance_voxels: 2, boundary: nearest}",
    "{type: wavelet, wavelet: db3, subband: LLH, rotation_invariant: true, boundary: zero}",
    "{type: wavelet, wavelet: haar, subband: HHH, level: 2, rotation_invariant: true, pooling: max}",
};

TEST(IbsiFilterProperties, RotationInvariantFiltersTurnWithTheImage) {
  for (std::uint32_t seed = 1; seed <= 3; ++seed) {
    const ScalarVolume image = random_image(seed, {9, 7, 8});
    for (const std::string& yaml : invariant_filters) {
      const IbsiFilter filter = parse_ibsi_filters(yaml)->front();
      const auto plain = filter_image(filter, image);
      ASSERT_TRUE(plain);
      for (const RightAngleRotation& rotation : right_angle_rotations(false)) {
        const auto response = filter_image(filter, turned(image, rotation));
        ASSERT_TRUE(response);
        const ScalarVolume expected = turned(*plain, rotation);
        for (std::size_t at = 0; at < expected.voxels.size(); ++at)
          ASSERT_NEAR(response->voxels[at], expected.voxels[at], 1e-9) << yaml << " seed " << seed << " voxel " << at;
      }
    }
  }
}

TEST(IbsiFilterProperties, MeanKeepsAConstantAndBandPassesRemoveItWhateverTheBoundary) {
  const ScalarVolume flat{test::grid({11, 6, 9}), std::vector<double>(11 * 6 * 9, 42.0), PixelType::float64};
  for (const char* boundary : {"nearest", "periodic", "mirror"}) {
    const std::string end = std::string(", boundary: ") + boundary + "}";
    const auto expect_all = [&](const std::string& yaml, double expected) {
      const auto response = filter_image(parse_ibsi_filters(yaml + end)->front(), flat);
      ASSERT_TRUE(response);
      for (const double value : response->voxels) EXPECT_NEAR(value, expected, 1e-10) << yaml;
    };
    expect_all("{type: mean, support_voxels: 7", 42);
    for (const char* band : {"{type: laws, kernels: E5L5S5", "{type: wavelet, wavelet: coif1, subband: LLH", "{type: log, sigma_mm: 1, zero_mean: true"}) expect_all(band, 0);
  }
}

TEST(IbsiFilterProperties, LinearFiltersAreLinear) {
  const ScalarVolume a = random_image(11, {13, 10, 7});
  const ScalarVolume b = random_image(12, {13, 10, 7});
  ScalarVolume sum = a;
  for (std::size_t at = 0; at < sum.voxels.size(); ++at) sum.voxels[at] = 2 * a.voxels[at] - 3 * b.voxels[at];
  for (const char* yaml : {"{type: mean, support_voxels: 3}", "{type: log, sigma_mm: 2}", "{type: laws, kernels: E5L5S5}", "{type: wavelet, wavelet: db2, subband: HLH, level: 2}",
                           "{type: simoncelli, level: 1}", "{type: simoncelli, level: 2, boundary: mirror}", "{type: simoncelli, level: 2, boundary: nearest, by_slice: true}",
                           "{type: gabor, sigma_mm: 1, lambda_mm: 2, gamma: 1, response: imaginary, theta_step_degrees: 45, orthogonal_planes: true}"}) {
    const IbsiFilter filter = parse_ibsi_filters(yaml)->front();
    const auto fa = filter_image(filter, a);
    const auto fb = filter_image(filter, b);
    const auto fs = filter_image(filter, sum);
    ASSERT_TRUE(fa && fb && fs) << yaml;
    for (std::size_t at = 0; at < sum.voxels.size(); ++at) ASSERT_NEAR(fs->voxels[at], 2 * fa->voxels[at] - 3 * fb->voxels[at], 1e-8) << yaml;
  }
}

TEST(IbsiFilterProperties, GiveTheSameBitsAtAnyNumberOfThreads) {
  const ScalarVolume image = random_image(21, {19, 14, 11});
  TaskPool pool(4);
  std::vector<std::string> filters = invariant_filters;
  filters.push_back("{type: simoncelli, level: 2}");
  filters.push_back("{type: gabor, sigma_mm: 2, lambda_mm: 3, gamma: 0.7, theta_step_degrees: 45, orthogonal_planes: true}");
  for (const std::string& yaml : filters) {
    const IbsiFilter filter = parse_ibsi_filters(yaml)->front();
    EXPECT_EQ(filter_image(filter, image)->voxels, filter_image(filter, image, &pool)->voxels) << yaml;
  }
}

TEST(IbsiFilterProperties, ThinImagesAndLargeKernelsMeetAtTheBoundary) {
  for (const Index3 size : {Index3{1, 1, 1}, Index3{2, 1, 3}, Index3{5, 1, 1}}) {
    const ScalarVolume image = random_image(31, size);
    for (const char* type : {"{type: mean, support_voxels: 15", "{type: log, sigma_mm: 4", "{type: laws, kernels: L5E5S5", "{type: wavelet, wavelet: coif1, subband: LLH, level: 3",
                             "{type: gabor, sigma_mm: 3, lambda_mm: 2, gamma: 0.5", "{type: simoncelli, level: 2"})
      for (const char* boundary : {"zero", "nearest", "periodic", "mirror"}) {
        const auto response = filter_image(parse_ibsi_filters(std::string(type) + ", boundary: " + boundary + "}")->front(), image);
        ASSERT_TRUE(response) << type;
        for (const double value : response->voxels) EXPECT_TRUE(std::isfinite(value)) << type << " " << boundary;
      }
  }
}

}  // namespace
}  // namespace choana::processing::ibsi
