#pragma once

#include <vector>

#include "core/geometry.h"
#include "core/result.h"
#include "core/task_pool.h"

namespace choana::processing {

/// How values between voxel centres are found. Beyond the outermost centres the edge value holds.
enum class GridInterpolation { nearest_neighbour, linear, cubic_spline };

/// The grid of another spacing whose centre is that of the old grid: ceil(n old / new) voxels an axis, same direction (IBSI: align grid centres, 3WE3;
/// 026Q, QCY4). spacing_mm 0 keeps an axis as it is. A fraction of a voxel below 1e-5 (spacing stored in single precision) makes no further voxel.
/// Errors: limit_exceeded (more than 2^31 voxels), invalid_argument (spacing below 0).
[[nodiscard]] Result<VolumeGeometry> centre_aligned_grid(const VolumeGeometry& grid, const Vector3& spacing_mm);

/// Values (i fastest) of a volume at the centres of `to`, a grid made by `centre_aligned_grid` from `from`. Axis by axis, in double. Cubic spline:
/// the interpolating spline of the volume extended by twelve edge values on each side. The same at any number of threads.
[[nodiscard]] std::vector<double> interpolate_to_grid(std::vector<double> values, const VolumeGeometry& from, const VolumeGeometry& to, GridInterpolation interpolation,
                                                      TaskPool* pool = nullptr);

}  // namespace choana::processing
