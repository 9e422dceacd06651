#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "processing/radiomics/image.h"

namespace choana::test {

inline VolumeGeometry grid(Index3 size, Vector3 spacing_mm = {1, 1, 1}, Vector3 origin_mm = {0, 0, 0}) {
  return *VolumeGeometry::make(size, spacing_mm, origin_mm, {1, 0, 0, 0, 1, 0, 0, 0, 1});
}

/// A smooth-ish random image and a ragged ball in its middle, label 1.
struct RandomCase {
  processing::ScalarVolume image;
  processing::MaskVolume mask;
};

inline RandomCase random_case(std::uint32_t seed, Index3 size = {18, 16, 9}, PixelType type = PixelType::int16) {
  std::mt19937 random(seed);
  const auto uniform = [&] { return static_cast<double>(random()) / 4294967296.0; };
  const VolumeGeometry geometry = grid(size, {0.8, 0.9, 2.5}, {-20, 31, 5});
  RandomCase one{{geometry, {}, type}, {geometry, {}}};
  for (int k = 0; k < size[2]; ++k)
    for (int j = 0; j < size[1]; ++j)
      for (int i = 0; i < size[0]; ++i) {
        const double value = 40.0 * ((i / 3 + j / 4 + k / 2) % 7) + 30 * uniform();
        one.image.voxels.push_back(is_integer(type) ? static_cast<double>(static_cast<int>(value)) : static_cast<double>(static_cast<float>(value)));
        const auto part = [](int at, int count) { return (at - 0.5 * (count - 1)) / (0.4 * count); };
        const double radius = part(i, size[0]) * part(i, size[0]) + part(j, size[1]) * part(j, size[1]) + part(k, size[2]) * part(k, size[2]);
        one.mask.labels.push_back(radius + 0.4 * (uniform() - 0.5) < 1 ? 1 : 0);
      }
  return one;
}

}  // namespace choana::test
