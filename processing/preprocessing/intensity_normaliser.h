#pragma once

#include <optional>

#include "core/result.h"
#include "processing/radiomics/image.h"

namespace choana::processing {

/// Centre and scale an image by the mean and the sample standard deviation (N - 1) of all its voxels, background included;
/// clip to +/- outliers_sd if given; multiply by `scale`. The result is float64 whatever the input (PyRadiomics `normalize`).
/// Errors: degenerate_input (constant image, or a voxel that is not a number).
[[nodiscard]] Result<ScalarVolume> normalise_intensities(const ScalarVolume& image, double scale, std::optional<double> outliers_sd);

/// Stretch linearly so that minimum and maximum become `low` and `high` (0 and 255 in Sun et al. 2025). Result float64.
/// Errors: degenerate_input (constant image, or a voxel that is not a number), invalid_argument (high <= low).
[[nodiscard]] Result<ScalarVolume> rescale(const ScalarVolume& image, double low = 0, double high = 255);

/// The same for a series; the voxels become float32. Errors: as above.
[[nodiscard]] Result<SeriesVolume> rescale(const SeriesVolume& series, double low = 0, double high = 255);

}  // namespace choana::processing
