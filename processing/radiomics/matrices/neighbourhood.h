#pragma once

#include <vector>

#include "processing/radiomics/matrices/neighbouring_tone_difference.h"
#include "processing/radiomics/matrices/run_length.h"

namespace choana::processing {

/// What one walk over the neighbours of each voxel gives. What was not asked for is empty.
struct NeighbourhoodMatrices {
  LevelSizeMatrix dependences;
  ToneDifferenceMatrix tones;
};

/// Count dependences (see count_dependences) and sum tone differences (see sum_tone_differences) in one walk.
[[nodiscard]] NeighbourhoodMatrices count_neighbourhoods(const LevelVolume& volume, const std::vector<int>& distances_voxels, int flat_axis, int alpha,
                                                         bool with_dependences, bool with_tones);

}  // namespace choana::processing
