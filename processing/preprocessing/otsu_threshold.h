#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace choana::processing {

/// Otsu's threshold of an image: values above it are foreground. Bins, means and ties are those of ITK's OtsuThresholdImageFilter, so that a mask holds the
/// same voxels. values: finite, at least one.  bins: 2 or more.  Source: Otsu 1979; ITK 5 (ImageToHistogramFilter, OtsuMultipleThresholdsCalculator).
[[nodiscard]] float otsu_threshold(std::span<const float> values, int bins);

/// One byte a voxel, 1 above the threshold.
[[nodiscard]] std::vector<std::uint8_t> above(std::span<const float> values, float threshold);

}  // namespace choana::processing
