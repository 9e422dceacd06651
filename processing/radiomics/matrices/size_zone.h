#pragma once

#include "processing/radiomics/matrices/run_length.h"

namespace choana::processing {

/// Count zones: connected voxels of equal level, 26 neighbours (8 in plane with a flat axis).
/// Source: IBSI reference manual, grey level size zone based features.
[[nodiscard]] LevelSizeMatrix count_zones(const LevelVolume& volume, int flat_axis);

}  // namespace choana::processing
