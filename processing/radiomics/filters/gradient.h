#pragma once

#include "processing/radiomics/filters/image_filter.h"

namespace choana::processing {

/// `gradient`: magnitude of central differences over two voxels, per mm with gradientUseSpacing; voxels beyond the edge of the image repeat the edge.
/// float32, computed in double in the operation order of ITK's GradientMagnitudeImageFilter.
[[nodiscard]] Result<DerivedImages> gradient_image(const FilterInput& input, const ExtractionSettings& settings);

}  // namespace choana::processing
