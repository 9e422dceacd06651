#pragma once

#include <string>
#include <vector>

#include "core/feature.h"
#include "core/result.h"
#include "core/task_pool.h"
#include "processing/radiomics/extraction_profile.h"
#include "processing/radiomics/image.h"
#include "processing/radiomics/owned_or_lent.h"

namespace choana::processing {

/// What an image type starts from.
struct FilterInput {
  const ScalarVolume& image;   // prepared: normalised, resampled, cropped
  const MaskVolume& mask;      // the intensity mask, on the grid of `image`
  int label = 1;
  VoxelBox box;                // where values are needed, within `image`: the box of the region, with a margin for voxel maps
  TaskPool* pool = nullptr;    // nullptr: serial
};

/// One image that features are computed on. Its voxels are those that the filter gives on the whole prepared image, but only
/// the ones in `box`, which holds at least the box asked for.
struct DerivedImage {
  std::string name;                  // first part of feature names, such as "wavelet-LLH"
  VoxelBox box;                      // voxels held, in indices of the prepared image
  OwnedOrLent<ScalarVolume> volume;  // on the grid of `box`; pixel_type is that of PyRadiomics' image
};

/// An image that was asked for and cannot be had: PyRadiomics leaves its columns out with a warning.
struct MissingImage {
  std::string name;
  NotComputed why;
};

struct DerivedImages {
  std::vector<DerivedImage> images;    // in PyRadiomics' order
  std::vector<MissingImage> missing;
  std::vector<std::string> notes;
};

/// A derived image that holds `input.box` alone. values: one a voxel of the box, i fastest.
/// Errors: those of VolumeGeometry::make.
[[nodiscard]] Result<DerivedImage> boxed_image(std::string name, const FilterInput& input, PixelType pixel_type, std::vector<double> values);

/// Errors of every filter: invalid_profile (settings that name no filter), degenerate_input, limit_exceeded.
using ImageFilter = Result<DerivedImages> (*)(const FilterInput& input, const ExtractionSettings& settings);

}  // namespace choana::processing
