#include "processing/radiomics/matrices/dependence.h"

#include <cstdint>
#include <cstdlib>

namespace choana::processing {

LevelSizeMatrix count_dependences(const LevelVolume& volume, const std::vector<int>& distances_voxels, int flat_axis, int alpha) {
  std::vector<std::ptrdiff_t> neighbours;
  for (const Index3& step : neighbour_offsets(volume.size, distances_voxels, flat_axis, true)) neighbours.push_back(volume.offset(step));
  CellCounter counter(volume.levels.size(), neighbours.size() + 2);
  for (const std::size_t position : volume.positions) {
    const std::int32_t* voxel = volume.ranks.data() + position;
    const std::int32_t rank = *voxel;
    std::uint32_t dependence = 1;
    if (alpha == 0) {
      for (const std::ptrdiff_t neighbour : neighbours) dependence += voxel[neighbour] == rank ? 1u : 0u;
    } else {
      const int level = volume.levels[static_cast<std::size_t>(rank)];
      for (const std::ptrdiff_t neighbour : neighbours) {
        const std::int32_t other = voxel[neighbour];
        if (other >= 0 && std::abs(volume.levels[static_cast<std::size_t>(other)] - level) <= alpha) ++dependence;
      }
    }
    counter.add(static_cast<std::uint32_t>(rank), dependence);
  }
  return {volume.levels, counter.take()};
}

}  // namespace choana::processing
