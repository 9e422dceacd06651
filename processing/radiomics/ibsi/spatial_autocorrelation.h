#pragma once

#include <span>
#include <variant>

#include "core/feature.h"
#include "core/task_pool.h"
#include "processing/radiomics/ibsi/measured_region.h"

namespace choana::processing::ibsi {

struct SpatialAutocorrelation {
  double moran_i = 0;
  double geary_c = 0;
};

/// Moran's I (IBSI N365) and Geary's C (NPT7) of intensities in the intensity mask, pairs weighted by the inverse of their distance in mm. Exact for every
/// size: all pairs for small regions, else one convolution with the weights by Fourier transform (rounding error about 1e-12 of the value).
/// intensities: of the intensity mask, in raster order. No value: one voxel, one intensity, or a box of more than 2^25 voxels once doubled.
[[nodiscard]] std::variant<SpatialAutocorrelation, NotComputed> spatial_autocorrelation(const MeasuredRegion& region, std::span<const double> intensities, TaskPool* pool);

/// The two ways, for tests: both give the same.
[[nodiscard]] SpatialAutocorrelation autocorrelation_by_pairs(const MeasuredRegion& region, std::span<const double> intensities, TaskPool* pool);
[[nodiscard]] SpatialAutocorrelation autocorrelation_by_transform(const MeasuredRegion& region, std::span<const double> intensities, TaskPool* pool);

}  // namespace choana::processing::ibsi
