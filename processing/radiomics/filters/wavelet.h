#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "processing/radiomics/filters/image_filter.h"

namespace choana::processing {

/// Analysis filters of a discrete wavelet, as PyWavelets has them (dec_lo, dec_hi).
struct WaveletFilters {
  std::vector<double> low;
  std::vector<double> high;
  bool normalised_late = false;  // coif: kept as numbers that sum to 1 and multiplied by sqrt(2) in each precision
};

/// The filters of a wavelet by its PyWavelets name: haar, db1 to db38, sym2 to sym20, coif1 to coif17, dmey, bior and rbio.
/// Errors: invalid_profile (no such wavelet; continuous wavelets, such as mexh, have no such transform) with near matches.
[[nodiscard]] Result<WaveletFilters> find_wavelet(std::string_view name);

/// Every name that find_wavelet knows.
[[nodiscard]] const std::vector<std::string>& wavelet_names();

/// The undecimated periodic transform of PyRadiomics: per level and axis out[k] = sum_j h[j] x[(k + F/2 - j) mod N], N made even by repeating
/// voxel 0 at the end; axes in the order i, j, k, without the flat axis of force2D. Each level transforms the LLL of the level
/// before with the same filters. Names: `wavelet-LLH` (low in i and j, high in k), `wavelet2-LLH` for the second level, the last level's LLL last.
/// float32 images are transformed in float32, others in double; sums run in the order of PyWavelets.
[[nodiscard]] Result<DerivedImages> wavelet_images(const FilterInput& input, const ExtractionSettings& settings);

}  // namespace choana::processing
