#include "processing/radiomics/matrices/size_zone.h"

#include <cstdint>

namespace choana::processing {

LevelSizeMatrix count_zones(const LevelVolume& volume, int flat_axis) {
  std::vector<std::ptrdiff_t> neighbours;
  for (const Index3& step : neighbour_offsets(volume.size, {1}, flat_axis, true)) neighbours.push_back(volume.offset(step));
  std::vector<std::int32_t> open = volume.ranks;  // a voxel that has been counted becomes -1
  std::vector<std::size_t> stack;
  CellCounter counter(volume.levels.size(), volume.positions.size() + 1);
  for (const std::size_t seed : volume.positions) {
    const std::int32_t rank = open[seed];
    if (rank < 0) continue;
    std::uint32_t zone_size = 0;
    open[seed] = -1;
    stack.assign(1, seed);
    while (!stack.empty()) {
      const std::size_t voxel = stack.back();
      stack.pop_back();
      ++zone_size;
      for (const std::ptrdiff_t neighbour : neighbours) {
        const auto next = static_cast<std::size_t>(static_cast<std::ptrdiff_t>(voxel) + neighbour);
        if (open[next] != rank) continue;
        open[next] = -1;
        stack.push_back(next);
      }
    }
    counter.add(static_cast<std::uint32_t>(rank), zone_size);
  }
  return {volume.levels, counter.take()};
}

}  // namespace choana::processing
