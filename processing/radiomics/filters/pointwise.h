#pragma once

#include "processing/radiomics/filters/image_filter.h"

namespace choana::processing {

/// Images whose voxels depend on their own intensity and on the largest magnitude m of the whole prepared image. All are float64.
/// Source: PyRadiomics 3.0.1, imageoperations; operation order as there. An image of zeros gives voxels that are not numbers.

/// `square`: (x / sqrt(m))^2. Negative intensities become positive, against PyRadiomics' documentation.
[[nodiscard]] Result<DerivedImages> square_image(const FilterInput& input, const ExtractionSettings& settings);
/// `squareroot`: sign(x) sqrt(|x| m).
[[nodiscard]] Result<DerivedImages> square_root_image(const FilterInput& input, const ExtractionSettings& settings);
/// `logarithm`: sign(x) ln(|x| + 1) m / ln(m + 1).
[[nodiscard]] Result<DerivedImages> logarithm_image(const FilterInput& input, const ExtractionSettings& settings);
/// `exponential`: exp(x ln(m) / m).
[[nodiscard]] Result<DerivedImages> exponential_image(const FilterInput& input, const ExtractionSettings& settings);

}  // namespace choana::processing
