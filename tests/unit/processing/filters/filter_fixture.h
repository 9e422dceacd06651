#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "processing/radiomics/filters/filter_catalogue.h"
#include "tests/support/volumes.h"

namespace choana::processing::test_filters {

/// An image of (i, j, k) by a formula, and a mask that covers it.
template <typename Formula>
test::RandomCase formula_case(Index3 size, PixelType type, Formula&& formula, Vector3 spacing_mm = {0.8, 1.0, 2.5}) {
  const VolumeGeometry geometry = test::grid(size, spacing_mm);
  test::RandomCase one{{geometry, {}, type}, {geometry, std::vector<std::uint32_t>(geometry.voxel_count(), 1u)}};
  for (int k = 0; k < size[2]; ++k)
    for (int j = 0; j < size[1]; ++j)
      for (int i = 0; i < size[0]; ++i) {
        const double value = formula(i, j, k);
        one.image.voxels.push_back(type == PixelType::float32 ? static_cast<double>(static_cast<float>(value)) : value);
      }
  return one;
}

/// (31 i^2 + 17 j + 7 k^3 + 5 i j) mod 251: the image of the values that were computed with the libraries of PyRadiomics' reference installation
/// (SimpleITK 2.5.7, PyWavelets 1.9.0, scikit-image 0.24.0, SciPy 1.13.1, trimesh 4.4.9, NumPy 1.26.4) through its imageoperations.
inline double pattern(int i, int j, int k) { return (i * i * 31 + j * 17 + k * k * k * 7 + i * j * 5) % 251; }

inline test::RandomCase pattern_int16() {
  return formula_case({7, 7, 5}, PixelType::int16, [](int i, int j, int k) { return pattern(i, j, k) - 100; });
}
inline test::RandomCase pattern_uint8() { return formula_case({7, 7, 5}, PixelType::uint8, pattern); }
inline test::RandomCase pattern_float32() {
  return formula_case({7, 7, 5}, PixelType::float32, [](int i, int j, int k) { return pattern(i, j, k) / 7.0; });
}

/// The images of one image type of a parameter file. settings: of that image type.
inline DerivedImages derive(const test::RandomCase& one, const std::string& type, const std::string& settings = "", VoxelBox box = {}) {
  const auto profile = parse_profile("imageType: {" + type + ": {" + settings + "}}", "test");
  EXPECT_TRUE(profile) << (profile ? "" : profile.error().message);
  if (!profile) return {};
  if (box.empty()) box = {{0, 0, 0}, one.image.geometry.size()};
  auto images = derive_images(type, {one.image, one.mask, 1, box, nullptr}, profile->image_types.at(0).settings);
  EXPECT_TRUE(images) << (images ? "" : images.error().message);
  return images ? std::move(*images) : DerivedImages{};
}

inline const DerivedImage& image_named(const DerivedImages& images, const std::string& name) {
  for (const DerivedImage& image : images.images)
    if (image.name == name) return image;
  ADD_FAILURE() << "no image " << name;
  static const DerivedImage none{"none", {}, ScalarVolume{}};
  return none;
}

inline double voxel(const DerivedImage& image, int i, int j, int k) {
  return image.volume->voxels.at(image.volume->geometry.offset(i - image.box.lower[0], j - image.box.lower[1], k - image.box.lower[2]));
}

inline double sum(const DerivedImage& image) {
  double total = 0;
  for (const double value : image.volume->voxels) total += value;
  return total;
}

struct Expected {
  std::string name;
  std::vector<double> probes;  // at (0,0,0), (3,2,1), (5,4,3), (6,6,4)
  double sum;
};

/// Equal to the last bit at the probes.
inline void expect_images(const DerivedImages& images, const std::vector<Expected>& expected, PixelType type) {
  ASSERT_EQ(images.images.size(), expected.size());
  const std::vector<Index3> probes{{0, 0, 0}, {3, 2, 1}, {5, 4, 3}, {6, 6, 4}};
  for (std::size_t at = 0; at < expected.size(); ++at) {
    const DerivedImage& image = images.images[at];
    EXPECT_EQ(image.name, expected[at].name);
    EXPECT_EQ(image.volume->pixel_type, type) << image.name;
    for (std::size_t probe = 0; probe < expected[at].probes.size(); ++probe)
      EXPECT_EQ(voxel(image, probes[probe][0], probes[probe][1], probes[probe][2]), expected[at].probes[probe]) << image.name << " probe " << probe;
    EXPECT_NEAR(sum(image), expected[at].sum, 1e-9 * (1 + std::abs(expected[at].sum)) * 10) << image.name;
  }
}

}  // namespace choana::processing::test_filters
