#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "core/feature.h"
#include "core/result.h"
#include "core/task_pool.h"
#include "processing/radiomics/extraction_profile.h"
#include "processing/radiomics/image.h"
#include "processing/radiomics/image_measurement.h"
#include "processing/radiomics/region_preparation.h"

namespace choana::processing {

/// Features of one region on one image, and how they came about.
struct ExtractionResult {
  FeatureVector features;                        // shape, then the classes of each image type, as PyRadiomics orders them
  std::vector<std::string> notes;                // sentences: level counts, interpolation, components, resegmentation
  std::vector<Diagnostic> diagnostics;           // PyRadiomics' names and order
  std::vector<LevelCount> levels;                // of each image that could be discretised
  std::vector<MissingImage> missing_images;      // asked for, but not to be had: their columns are left out, as PyRadiomics leaves them out
  std::size_t voxels_original = 0;
  std::size_t voxels_resampled = 0;              // equal to voxels_original without resampling
  std::size_t voxels_used = 0;                   // after resegmentation: what intensity and texture features saw
  double volume_original_ml = 0;
  double volume_resampled_ml = 0;
  int components = 0;                            // 26-connected parts of the region that was measured
};

/// Compute the features of `profile` in the voxels of `mask` that carry `label`. Values are those of PyRadiomics 3.0.1
/// (shared notes: normalise, resample and crop, check, resegment, shape, then each image type); a feature without a
/// value stands as NotComputed with its reason. Image types and families run as tasks of `pool`; values do not depend on it.
/// Errors: roi_empty (label absent), geometry_mismatch, roi_outside_image, roi_too_small, degenerate_input (a voxel that
/// is not a number, a constant image to normalise), invalid_profile (an image type this version lacks), limit_exceeded.
[[nodiscard]] Result<ExtractionResult> extract_features(const ScalarVolume& image, const MaskVolume& mask, int label,
                                                        const ExtractionProfile& profile, TaskPool* pool = nullptr);

/// How the matrices of a family are joined, in the words of IBSI: 3D_avg (mean over directions), 3D_merged, 2.5D_direction_merged (force2D: slices
/// merged, mean over directions), 2.5D_merged, 3D, 2.5D (one matrix); 3D_weighted_euclidean and the like for PyRadiomics' weighting norms.
[[nodiscard]] std::string aggregation(std::string_view family, const ExtractionSettings& settings);

}  // namespace choana::processing
