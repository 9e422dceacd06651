#pragma once

#include "processing/radiomics/matrices/run_length.h"

namespace choana::processing {

/// Count zones: connected voxels of equal level, 26 neighbours (8 in plane with a flat axis).
/// Source: IBSI reference manual, grey level size zone based features.
[[nodiscard]] LevelSizeMatrix count_zones(const LevelVolume& volume, int flat_axis);

/// Number of 26-connected parts of a region: one byte a voxel of its box (i fastest), 1 = inside, else 0.
[[nodiscard]] std::size_t count_parts(const Index3& size, std::span<const std::uint8_t> region);

}  // namespace choana::processing
