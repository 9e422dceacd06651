#pragma once

#include <string>

#include "core/result.h"
#include "processing/radiomics/ibsi/filters/filter_settings.h"
#include "processing/radiomics/image.h"

namespace choana {
class TaskPool;
}

namespace choana::processing::ibsi {

/// The response of each filter, as `filter_image` (ibsi_filter.h) documents it: that function checks the image and its number of voxels first.
[[nodiscard]] Result<std::vector<double>> respond(const MeanFilter& filter, const ScalarVolume& image, TaskPool* pool);
[[nodiscard]] Result<std::vector<double>> respond(const LaplacianOfGaussianFilter& filter, const ScalarVolume& image, TaskPool* pool);
[[nodiscard]] Result<std::vector<double>> respond(const LawsFilter& filter, const ScalarVolume& image, TaskPool* pool);
[[nodiscard]] Result<std::vector<double>> respond(const GaborFilter& filter, const ScalarVolume& image, TaskPool* pool);
[[nodiscard]] Result<std::vector<double>> respond(const SeparableWaveletFilter& filter, const ScalarVolume& image, TaskPool* pool);
[[nodiscard]] Result<std::vector<double>> respond(const SimoncelliFilter& filter, const ScalarVolume& image, TaskPool* pool);

/// Whether the settings make sense; what `filter_image` and the reader both ask.
[[nodiscard]] Status check(const MeanFilter& filter);
[[nodiscard]] Status check(const LaplacianOfGaussianFilter& filter);
[[nodiscard]] Status check(const LawsFilter& filter);
[[nodiscard]] Status check(const GaborFilter& filter);
[[nodiscard]] Status check(const SeparableWaveletFilter& filter);
[[nodiscard]] Status check(const SimoncelliFilter& filter);

/// Parts of a name.
[[nodiscard]] std::string filter_name(const MeanFilter& filter);
[[nodiscard]] std::string filter_name(const LaplacianOfGaussianFilter& filter);
[[nodiscard]] std::string filter_name(const LawsFilter& filter);
[[nodiscard]] std::string filter_name(const GaborFilter& filter);
[[nodiscard]] std::string filter_name(const SeparableWaveletFilter& filter);
[[nodiscard]] std::string filter_name(const SimoncelliFilter& filter);

/// Half width of the largest kernel that is made.
inline constexpr int half_width_max_voxels = 4096;
inline constexpr int levels_max = 8;

/// "1.5" -> "1-5": a number as part of a feature name.
[[nodiscard]] std::string name_part(double number);
[[nodiscard]] std::string name_part(Pooling pooling);

/// The spacing that the first `dimensions` axes share. Errors: geometry_mismatch when they differ by more than a thousandth.
[[nodiscard]] Result<double> common_spacing_mm(const VolumeGeometry& geometry, int dimensions, const std::string& filter);

}  // namespace choana::processing::ibsi
