#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/geometry.h"

namespace choana::processing {

/// Two positions of a kernel that are neighbours in one direction.
struct KernelPair {
  std::uint16_t from = 0;
  std::uint16_t to = 0;
};

/// Which positions of a kernel belong together; the same for every voxel. A kernel has (2 r + 1)^3 positions (a square with a flat axis), i fastest.
struct KernelGeometry {
  int radius = 1;
  std::vector<Index3> steps;                              // of each position from the centre
  std::vector<std::vector<KernelPair>> pairs;             // by direction (one of each two opposite ones) at the distances of the settings
  std::vector<std::vector<std::vector<std::uint16_t>>> lines;  // by direction at distance 1: the lines through the kernel
  std::vector<KernelPair> adjacent;                       // all pairs at distance 1
  std::vector<Index3> directions;                         // of `pairs`
  std::vector<Index3> line_directions;                    // of `lines`
  bool adjacent_only = false;                             // the distances are {1}: `pairs` and `adjacent` hold the same

  [[nodiscard]] std::size_t size() const { return steps.size(); }
};

/// box: size of the volume that kernels move in, which limits the directions. flat_axis: 0, 1, 2, or -1 for none. radius_voxels >= 1, kernel at most 65535 positions.
[[nodiscard]] KernelGeometry make_kernel_geometry(int radius_voxels, const Index3& box, const std::vector<int>& distances_voxels, int flat_axis);

}  // namespace choana::processing
