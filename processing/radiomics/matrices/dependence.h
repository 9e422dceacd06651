#pragma once

#include <vector>

#include "processing/radiomics/matrices/run_length.h"

namespace choana::processing {

/// Count voxels by level and dependence: 1 + number of neighbours in the region whose level differs by at most `alpha`.
/// Source: IBSI reference manual, neighbouring grey level dependence based features.
[[nodiscard]] LevelSizeMatrix count_dependences(const LevelVolume& volume, const std::vector<int>& distances_voxels, int flat_axis, int alpha);

}  // namespace choana::processing
