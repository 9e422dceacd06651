#pragma once

#include <vector>

#include "processing/radiomics/extraction_profile.h"
#include "processing/radiomics/matrices/level_volume.h"

namespace choana::processing {

/// Counts by grey level (row) and a size (column: run length, zone size or dependence, >= 1).
struct LevelSizeMatrix {
  std::vector<int> levels;            // grey level of each row
  std::vector<MatrixEntry> entries;
};

/// Count runs of equal level along each of the 13 directions; a voxel outside the region ends a run. A direction in which no line
/// holds more than one voxel of the region is left out (PyRadiomics; a flat region). With a weighting norm all directions
/// are joined with weight d, the norm of the step in mm. A single direction, or the joined one, is not left out: it may come back empty.
/// Source: IBSI reference manual, grey level run length based features.
[[nodiscard]] std::vector<LevelSizeMatrix> count_runs(const LevelVolume& volume, int flat_axis, WeightingNorm norm);

}  // namespace choana::processing
