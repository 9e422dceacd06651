#include "processing/radiomics/matrices/neighbouring_tone_difference.h"

#include <cmath>
#include <cstdint>

namespace choana::processing {

ToneDifferenceMatrix sum_tone_differences(const LevelVolume& volume, const std::vector<int>& distances_voxels, int flat_axis) {
  std::vector<std::ptrdiff_t> neighbours;
  for (const Index3& step : neighbour_offsets(volume.size, distances_voxels, flat_axis, true)) neighbours.push_back(volume.offset(step));
  const std::size_t count = volume.levels.size();
  ToneDifferenceMatrix matrix;
  matrix.levels.assign(volume.levels.begin(), volume.levels.end());
  matrix.counts.assign(count, 0);
  matrix.differences.assign(count, 0);
  // Levels of the padded box with 0 outside: sum and number of neighbours need no branch.
  std::vector<std::int32_t> levels(volume.ranks.size(), 0);
  for (const std::size_t position : volume.positions) levels[position] = volume.levels[static_cast<std::size_t>(volume.ranks[position])];
  for (const std::size_t position : volume.positions) {
    const std::int32_t* voxel = levels.data() + position;
    std::int64_t sum = 0;
    std::int32_t present = 0;
    for (const std::ptrdiff_t neighbour : neighbours) {
      const std::int32_t level = voxel[neighbour];
      sum += level;
      present += level != 0 ? 1 : 0;
    }
    const auto rank = static_cast<std::size_t>(volume.ranks[position]);
    matrix.counts[rank] += 1;
    if (present > 0) matrix.differences[rank] += std::abs(static_cast<double>(*voxel) - static_cast<double>(sum) / static_cast<double>(present));
  }
  return matrix;
}

}  // namespace choana::processing
