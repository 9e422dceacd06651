#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/result.h"
#include "core/task_pool.h"
#include "processing/itk/n4_filter.h"
#include "processing/preprocessing/n4/bspline_lattice.h"

namespace choana::processing {

struct BiasFieldEstimate {
  BSplineLattice lattice;                // natural logarithm of the field, after the last level
  std::vector<BiasFieldLevel> levels;
  std::size_t included_voxels = 0;
};

/// Fit a bias field on the voxels of one grid (N4), equal to ITK's in field and iteration counts up to the order of sums. Shrinking is the caller's:
/// `parameters.shrink` is not looked at. An axis with a single voxel is flat: the fit is then the two-dimensional N4 of the others.
/// size: voxels along i, j, k.  image: intensities, i fastest; included ones above 0 enter as logarithm, others as they are.
/// mask: non-zero = included; empty = all.  confidence: weight of a voxel in the fit, included where above 0; empty = 1 everywhere.
/// pool: threads to share the work, or nullptr; the result is the same to the last bit.
/// Errors: invalid_argument (sizes differ, parameters out of range), degenerate_input (no voxel included, values that are no numbers, all values equal, a field
/// that does not converge), limit_exceeded (lattices or an image too large).
/// Source: Tustison et al. 2010 (N4ITK); Lee, Wolberg, Shin 1997. The fit factors into one matrix an axis, because its weights are products.
[[nodiscard]] Result<BiasFieldEstimate> estimate_bias_field(const Index3& size, std::span<const float> image, std::span<const std::uint8_t> mask,
                                                            std::span<const float> confidence, const N4Parameters& parameters, TaskPool* pool = nullptr);

/// Parameters within what N4 can work with: levels, positive widths, control points above the spline order. Errors: invalid_argument.
[[nodiscard]] Status check_n4_parameters(const N4Parameters& parameters);

}  // namespace choana::processing
