#pragma once

#include "processing/radiomics/filters/image_filter.h"

namespace choana::processing {

/// `log-sigma-<s>-mm-3D`: the Laplacian of Gaussian by recursive filters (Deriche; Farnebäck and Westin 2006), normalised across scale, for each
/// `sigma`, float32. Constants, operation order and the float32 rounding between passes are those of ITK's LaplacianRecursiveGaussianImageFilter.
///
/// A recursive filter sees the whole image, but the share of a voxel falls with exp(-1.37 distance / sigma). Lines are cut at
/// `log_margin_sigmas` beyond the box, where the share is below 1e-11: less than a float32 result can show.
/// A sigma that does not fit (an axis shorter than 4 voxels, or shorter than ceil(sigma / spacing) + 1) is missing with the reason.
[[nodiscard]] Result<DerivedImages> laplacian_of_gaussian_images(const FilterInput& input, const ExtractionSettings& settings);

inline constexpr double log_margin_sigmas = 19;

}  // namespace choana::processing
