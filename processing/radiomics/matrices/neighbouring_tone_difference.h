#pragma once

#include <vector>

#include "processing/radiomics/matrices/level_volume.h"

namespace choana::processing {

/// One row per level that occurs.
struct ToneDifferenceMatrix {
  std::vector<double> levels;
  std::vector<double> counts;        // n_i: voxels of this level
  std::vector<double> differences;   // s_i: sum of |level - mean level of the neighbours in the region|
};

/// A voxel without neighbours adds 1 to n_i and 0 to s_i, as PyRadiomics does (IBSI leaves it out of n_i).
/// Source: IBSI reference manual, neighbourhood grey tone difference based features.
[[nodiscard]] ToneDifferenceMatrix sum_tone_differences(const LevelVolume& volume, const std::vector<int>& distances_voxels, int flat_axis);

}  // namespace choana::processing
