#pragma once

#include <functional>
#include <vector>

#include "processing/radiomics/extraction_profile.h"
#include "processing/radiomics/matrices/level_volume.h"

namespace choana::processing {

/// Joint distribution of grey levels at one offset (or of several offsets merged). Probabilities sum to 1.
struct CooccurrenceMatrix {
  std::vector<int> levels;            // grey level of each row and column
  int highest_level = 0;              // Ng
  bool symmetric = true;
  std::vector<MatrixEntry> entries;   // count holds the probability
};

/// Count pairs (level of a voxel, level of its neighbour) of the region at each offset, and hand over one matrix after the other; `visit` may
/// not keep the reference. Without a weighting norm: one matrix an offset, offsets without a pair left out. With one: all offsets joined with
/// weight exp(-d^2), d the norm of the offset in mm (no_weighting: 1). symmetric: pairs are counted both ways. flat_axis: see
/// neighbour_offsets. Up to 1,023 levels tables are dense; above, memory follows the voxels of the region.
/// Not called when no voxel has a neighbour. Source: IBSI reference manual, grey level co-occurrence based features; PyRadiomics 3.0.1.
void visit_cooccurrences(const LevelVolume& volume, const std::vector<int>& distances_voxels, int flat_axis, bool symmetric, WeightingNorm norm,
                         const std::function<void(const CooccurrenceMatrix&)>& visit);

/// The same matrices together.
[[nodiscard]] std::vector<CooccurrenceMatrix> count_cooccurrences(const LevelVolume& volume, const std::vector<int>& distances_voxels, int flat_axis,
                                                                  bool symmetric, WeightingNorm norm);

/// Length of an offset in mm under a norm: euclidean, manhattan or infinity (largest component).
[[nodiscard]] double offset_length_mm(const Index3& step, const Vector3& spacing_mm, WeightingNorm norm);

}  // namespace choana::processing
