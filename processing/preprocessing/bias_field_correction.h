#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "core/result.h"
#include "core/series_volume.h"
#include "processing/itk/n4_filter.h"

namespace choana::processing {

/// Which voxels the bias field is fitted to.
enum class BiasFieldMask { otsu, positive, every_voxel };

/// How N4 runs. Defaults are SimpleITK's, with images shrunk fourfold for the fit.
struct BiasFieldSettings {
  BiasFieldMask mask = BiasFieldMask::otsu;
  int otsu_bins = 200;
  N4Parameters n4;
};

struct BiasFieldCorrection {
  SeriesVolume series;                  // corrected, float32
  std::vector<float> log_field;         // natural logarithm of the field, full grid
  std::vector<BiasFieldLevel> levels;   // iterations and convergence of each fitting level
  std::size_t mask_voxels = 0;
};

/// Correct a slowly varying intensity inhomogeneity (N4, Tustison et al. 2010): shrink, fit, evaluate the log field over the indices of the full
/// grid, divide by its exponential. given_mask: one byte a voxel, non-zero = used; empty = the rule of the settings.
/// Errors: degenerate_input (a voxel that is not a number, an empty mask, a constant image in the mask, a single slice),
/// invalid_argument (settings out of range), internal.
[[nodiscard]] Result<BiasFieldCorrection> correct_bias_field(const SeriesVolume& series, const BiasFieldSettings& settings, int threads,
                                                             const std::vector<std::uint8_t>& given_mask = {});

/// The settings as canonical JSON, for provenance.
[[nodiscard]] std::string canonical_json(const BiasFieldSettings& settings);

}  // namespace choana::processing
