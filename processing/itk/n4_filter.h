#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "core/geometry.h"
#include "core/result.h"

namespace choana::processing {

/// What N4 did on one level of the pyramid.
struct BiasFieldLevel {
  int iterations = 0;
  double convergence = 0;  // coefficient of variation of the last update
};

/// Parameters of N4, with SimpleITK's defaults and images shrunk fourfold.
struct N4Parameters {
  std::array<int, 3> shrink{4, 4, 4};
  std::vector<int> iterations{50, 50, 50, 50};
  double convergence_threshold = 0.001;
  double full_width_at_half_maximum = 0.15;
  double wiener_noise = 0.01;
  int histogram_bins = 200;
  std::array<int, 3> control_points{4, 4, 4};
  int spline_order = 3;
};

struct N4Run {
  std::vector<float> log_field;        // on the full grid, i fastest
  std::vector<BiasFieldLevel> levels;
};

/// Estimate the log bias field with ITK: shrink image and mask, run N4, evaluate the lattice over the indices of the full grid (the usual
/// recipe; the field is stretched, not aligned to the shrunk voxels). voxels and mask: i fastest, mask non-zero = used. confidence: weight of each voxel, used
/// where above 0; empty = 1 everywhere.
/// Errors: internal (ITK failed), out_of_memory.
[[nodiscard]] Result<N4Run> run_itk_n4(const VolumeGeometry& geometry, std::span<const float> voxels, std::span<const std::uint8_t> mask,
                                       const N4Parameters& parameters, int threads, std::span<const float> confidence = {});

/// The first voxel that itk::ShrinkImageFilter samples on each axis. The centre of the first block lies between two voxels when its length is even, and
/// ITK finds the voxel through patient coordinates: it is the upper one, or, when rounding there falls short, the lower.
/// Errors: internal (ITK failed).
[[nodiscard]] Result<Index3> itk_shrink_offset(const VolumeGeometry& geometry, const std::array<int, 3>& factors);

/// Otsu's threshold of an image with `bins` histogram bins (ITK); voxels above it are foreground.
[[nodiscard]] Result<std::vector<std::uint8_t>> otsu_mask(const VolumeGeometry& geometry, std::span<const float> voxels, int bins);

}  // namespace choana::processing
