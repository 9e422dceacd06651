#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "core/result.h"
#include "core/series_volume.h"
#include "core/task_pool.h"
#include "processing/itk/n4_filter.h"

namespace choana::processing {

/// Which voxels the bias field is fitted to.
enum class BiasFieldMask { otsu, positive, every_voxel };

/// Who computes: our own separable N4, or ITK's. They agree in the field to about 1e-5 and in iteration counts; ours is about a hundred times faster.
enum class BiasFieldEngine { choana, itk };

/// Where the field that was fitted on the shrunk grid lies on the full one.
enum class BiasFieldPlacement {
  stretched,  // from the first to the last voxel, as SimpleITK's GetLogBiasFieldAsImage has it; the voxels fitted are those that ITK's shrink filter takes
  aligned,    // where the fitted voxels lie, constant beyond the outermost; the middle voxel of each block is fitted, the upper of two
};

/// How N4 runs. Defaults are SimpleITK's, with images shrunk fourfold for the fit.
struct BiasFieldSettings {
  BiasFieldMask mask = BiasFieldMask::otsu;
  int otsu_bins = 200;
  BiasFieldEngine engine = BiasFieldEngine::choana;
  BiasFieldPlacement field = BiasFieldPlacement::stretched;
  N4Parameters n4;
};

struct BiasFieldCorrection {
  SeriesVolume series;                  // corrected, float32
  std::vector<float> log_field;         // natural logarithm of the field, full grid
  std::vector<BiasFieldLevel> levels;   // iterations and convergence of each fitting level
  std::size_t mask_voxels = 0;          // on the full grid
  std::array<int, 3> shrink{1, 1, 1};   // in use: thin stacks are shrunk less, so that two voxels remain on each axis
};

/// What a caller may know better than the settings.
struct BiasFieldInput {
  std::vector<std::uint8_t> mask;       // one byte a voxel, non-zero = used; empty = the rule of the settings
  std::vector<float> confidence;        // weight of each voxel in the fit, used where above 0; empty = 1 everywhere
};

/// Correct a slowly varying intensity inhomogeneity (N4, Tustison et al. 2010): shrink, fit, evaluate the log field on the full grid, divide by its
/// exponential. A single slice is corrected as the two-dimensional image it is (engine choana; ITK refuses). pool: threads to share, or nullptr; the result of
/// engine choana does not depend on it.
/// Errors: degenerate_input (a voxel that is not a number, an empty mask, a constant image in the mask, a single slice with engine itk),
/// invalid_argument (settings out of range; the aligned field of engine itk), limit_exceeded, out_of_memory, internal.
[[nodiscard]] Result<BiasFieldCorrection> correct_bias_field(const SeriesVolume& series, const BiasFieldSettings& settings, TaskPool* pool,
                                                             const BiasFieldInput& input = {});

/// The settings as canonical JSON, for provenance.
[[nodiscard]] std::string canonical_json(const BiasFieldSettings& settings);

}  // namespace choana::processing
