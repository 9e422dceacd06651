#pragma once

#include "processing/radiomics/filters/image_filter.h"

namespace choana::processing {

/// `lbp-2D`: local binary patterns of each slice across force2Ddimension, whether or not force2D is on. lbp2DSamples points on a circle of lbp2DRadius pixels,
/// bilinear, 0 outside the image; a point counts as 1 when it is at least as bright as the centre. uniform: the number of ones when they change
/// at most twice from point to point (not round the circle), else samples + 1; default: the bits as a number; ror: the smallest rotation of that number;
/// var: variance of the points, not a number where it is 0. Values are stored in the pixel type of the image, as a C cast stores them.
/// Source: scikit-image 0.24 local_binary_pattern, as PyRadiomics 3.0.1 calls it.
[[nodiscard]] Result<DerivedImages> lbp2d_image(const FilterInput& input, const ExtractionSettings& settings);

}  // namespace choana::processing
