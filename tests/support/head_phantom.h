#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "core/series_volume.h"

namespace choana::test {

/// Numbers that every platform draws alike (PCG, O'Neill 2014).
class Pcg32 {
 public:
  explicit Pcg32(std::uint64_t seed) : state_(seed + increment) { (void)next(); }
  std::uint32_t next() {
    const std::uint64_t old = state_;
    state_ = old * 6364136223846793005ULL + increment;
    const auto shifted = static_cast<std::uint32_t>(((old >> 18U) ^ old) >> 27U);
    const auto turn = static_cast<std::uint32_t>(old >> 59U);
    return (shifted >> turn) | (shifted << ((32U - turn) & 31U));
  }
  double uniform() { return (next() + 0.5) / 4294967296.0; }
  double normal() { return std::sqrt(-2 * std::log(uniform())) * std::cos(6.283185307179586 * uniform()); }

 private:
  static constexpr std::uint64_t increment = 1442695040888963407ULL;
  std::uint64_t state_;
};

/// A head as a magnetic resonance image shows it: scalp, skull, three tissues, a smooth receive field that is up to `field` log units off, Rician noise
/// (air is not 0). Rounded to whole numbers, as scanners store them.
inline SeriesVolume head_phantom(Index3 size, std::uint64_t seed, double field = 0.4, Vector3 spacing_mm = {0.75, 0.75, 4}) {
  Pcg32 random(seed);
  std::vector<float> voxels;
  voxels.reserve(static_cast<std::size_t>(size[0]) * static_cast<std::size_t>(size[1]) * static_cast<std::size_t>(size[2]));
  const double noise = 12;
  for (int k = 0; k < size[2]; ++k)
    for (int j = 0; j < size[1]; ++j)
      for (int i = 0; i < size[0]; ++i) {
        const auto place = [](int at, int count) { return count == 1 ? 0.0 : 2.0 * at / (count - 1) - 1; };
        const double x = place(i, size[0]), y = place(j, size[1]), z = place(k, size[2]);
        const double radius = std::sqrt(x * x / 0.56 + y * y / 0.72 + z * z / 1.3);
        double tissue = 0;
        if (radius < 1) tissue = 420;          // scalp
        if (radius < 0.93) tissue = 25;        // skull
        if (radius < 0.86) tissue = 180;       // grey matter, with folds
        if (radius < 0.74 + 0.05 * std::sin(11 * std::atan2(y, x)) * std::cos(5 * z)) tissue = 260;  // white matter
        const double ventricle = (std::abs(x) - 0.12) * (std::abs(x) - 0.12) / 0.008 + y * y / 0.06 + z * z / 0.2;
        if (ventricle < 1) tissue = 70;
        const double shade = field * (0.6 * x + 0.3 * y * y - 0.4 * x * z + 0.2 * std::sin(2 * y + z));
        const double signal = tissue * std::exp(shade);
        const double real = signal + noise * random.normal(), imaginary = noise * random.normal();
        voxels.push_back(static_cast<float>(std::floor(std::sqrt(real * real + imaginary * imaginary) + 0.5)));
      }
  auto geometry = VolumeGeometry::make(size, spacing_mm, {0, 0, 0}, {1, 0, 0, 0, 1, 0, 0, 0, 1});
  return *SeriesVolume::make(*geometry, std::move(voxels), PixelType::int16, {}, {});
}

}  // namespace choana::test
