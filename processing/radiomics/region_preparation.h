#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "core/result.h"
#include "core/task_pool.h"
#include "processing/radiomics/extraction_profile.h"
#include "processing/radiomics/families/shape.h"
#include "processing/radiomics/image.h"
#include "processing/radiomics/owned_or_lent.h"

namespace choana::processing {

/// A value of the extraction report, printed as PyRadiomics prints it; `json` is the same as a JSON value.
struct Diagnostic {
  std::string name;
  std::string text;
  std::string json;
};

/// An image and a region on one grid, ready to be filtered and measured. Volumes that no step had to change are lent by the caller.
struct PreparedRegion {
  OwnedOrLent<ScalarVolume> image;            // normalised, resampled or cropped as the settings ask
  OwnedOrLent<MaskVolume> mask;               // on the grid of `image`, before resegmentation
  std::optional<MaskVolume> resegmented;      // `label` alone, where the intensity lies in resegmentRange
  bool resegment_shape = false;
  int label = 1;
  VoxelBox box;                               // of the intensity mask; shape, too, sees this box alone, as in PyRadiomics
  RegionBox region;                           // the voxels of the intensity mask in `box`
  std::size_t voxels_original = 0;            // of the mask as given
  std::size_t voxels_resampled = 0;           // equal to voxels_original without resampling
  std::size_t voxels_used = 0;                // after resegmentation
  double volume_original_ml = 0;
  double volume_resampled_ml = 0;
  int components = 0;                         // 26-connected parts of the intensity mask
  std::vector<std::string> notes;             // sentences: interpolation, correction, resegmentation, components
  std::vector<Diagnostic> diagnostics;        // PyRadiomics' names and order; empty when additionalInfo is off

  /// What intensity and texture are measured on.
  [[nodiscard]] const MaskVolume& intensity_mask() const { return resegmented ? *resegmented : *mask; }
  /// What shape is measured on: not resegmented, unless resegmentShape says so.
  [[nodiscard]] const MaskVolume& morphological_mask() const { return resegmented && resegment_shape ? *resegmented : *mask; }
};

/// Everything PyRadiomics 3.0.1 does before it measures (shared notes, order of operations 1 to 5): check the label, normalise the whole image,
/// resample and crop (or preCrop), check the mask, resegment, check again. `image` and `mask` must outlive the result.
/// Errors: roi_empty (label absent), geometry_mismatch, roi_outside_image, roi_too_small, degenerate_input (a constant image to
/// normalise), invalid_argument, limit_exceeded.
/// Diagnostics of the volumes as given and resampling run as tasks of `pool`; nothing depends on it.
[[nodiscard]] Result<PreparedRegion> prepare_region(const ScalarVolume& image, const MaskVolume& mask, int label, const ExtractionProfile& profile,
                                                    TaskPool* pool = nullptr);

/// The voxels with `label` in a box of a mask.
[[nodiscard]] RegionBox cut_region(const MaskVolume& mask, int label, const VoxelBox& box);

}  // namespace choana::processing
