#include "processing/radiomics/voxel/kernel_geometry.h"

#include <cstdlib>

#include "processing/radiomics/matrices/level_volume.h"

namespace choana::processing {

KernelGeometry make_kernel_geometry(int radius_voxels, const Index3& box, const std::vector<int>& distances_voxels, int flat_axis) {
  KernelGeometry kernel;
  kernel.radius = radius_voxels;
  Index3 reach{};
  for (std::size_t axis = 0; axis < 3; ++axis) reach[axis] = static_cast<int>(axis) == flat_axis ? 0 : radius_voxels;
  for (int k = -reach[2]; k <= reach[2]; ++k)
    for (int j = -reach[1]; j <= reach[1]; ++j)
      for (int i = -reach[0]; i <= reach[0]; ++i) kernel.steps.push_back({i, j, k});
  const auto inside = [&](const Index3& at) {
    return std::abs(at[0]) <= reach[0] && std::abs(at[1]) <= reach[1] && std::abs(at[2]) <= reach[2];
  };
  const auto position = [&](const Index3& at) {
    return static_cast<std::uint16_t>(((at[2] + reach[2]) * (2 * reach[1] + 1) + at[1] + reach[1]) * (2 * reach[0] + 1) + at[0] + reach[0]);
  };
  const auto moved = [](const Index3& at, const Index3& step, int times) {
    return Index3{at[0] + times * step[0], at[1] + times * step[1], at[2] + times * step[2]};
  };
  const auto pairs_along = [&](const Index3& step) {
    std::vector<KernelPair> pairs;
    for (const Index3& at : kernel.steps)
      if (inside(moved(at, step, 1))) pairs.push_back({position(at), position(moved(at, step, 1))});
    return pairs;
  };
  kernel.directions = neighbour_offsets(box, distances_voxels, flat_axis, false);
  for (const Index3& step : kernel.directions) kernel.pairs.push_back(pairs_along(step));
  kernel.line_directions = neighbour_offsets(box, {1}, flat_axis, false);
  for (const Index3& step : kernel.line_directions) {
    for (const KernelPair& pair : pairs_along(step)) kernel.adjacent.push_back(pair);
    std::vector<std::vector<std::uint16_t>> lines;
    for (const Index3& at : kernel.steps) {
      if (inside(moved(at, step, -1))) continue;
      std::vector<std::uint16_t> line;
      for (Index3 next = at; inside(next); next = moved(next, step, 1)) line.push_back(position(next));
      lines.push_back(std::move(line));
    }
    kernel.lines.push_back(std::move(lines));
  }
  kernel.adjacent_only = distances_voxels == std::vector<int>{1};
  return kernel;
}

}  // namespace choana::processing
