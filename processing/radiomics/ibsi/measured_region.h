#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/geometry.h"
#include "core/result.h"
#include "core/task_pool.h"
#include "processing/radiomics/ibsi/ibsi_profile.h"
#include "processing/radiomics/image.h"

namespace choana::processing::ibsi {

/// A region cut to the box of its morphological mask. Masks: one byte a voxel of the box, i fastest.
struct MeasuredRegion {
  Index3 size{};
  Vector3 spacing_mm{1, 1, 1};
  std::vector<std::uint8_t> morphological;   // as drawn, interpolated
  std::vector<std::uint8_t> intensity;       // of these, the voxels inside the resegmentation range
  std::vector<double> intensities;           // of the intensity mask, in raster order
  std::size_t morphological_voxels = 0;

  [[nodiscard]] std::size_t offset(int i, int j, int k) const {
    return (static_cast<std::size_t>(k) * static_cast<std::size_t>(size[1]) + static_cast<std::size_t>(j)) * static_cast<std::size_t>(size[0]) + static_cast<std::size_t>(i);
  }
};

/// An image and its two masks on the grid of the settings.
struct PreparedImage {
  ScalarVolume image;                   // interpolated, rounded where the settings ask
  VoxelBox box;                         // of the morphological mask
  MeasuredRegion region;
  std::size_t voxels_original = 0;      // of the mask as given
  double volume_original_ml = 0;
};

/// Interpolate image and mask, then resegment (IBSI image processing scheme). Errors: geometry_mismatch (image and mask differ), roi_empty, roi_too_small
/// (no voxel is left after resegmentation), degenerate_input (a voxel that is not a number), limit_exceeded.
[[nodiscard]] Result<PreparedImage> prepare_image(const ScalarVolume& image, const MaskVolume& mask, int label, const IbsiProfile& profile, TaskPool* pool);

/// The values of an image inside the intensity mask of a region that lies in `box` of it.
[[nodiscard]] std::vector<double> region_values(const ScalarVolume& image, const VoxelBox& box, const MeasuredRegion& region);

}  // namespace choana::processing::ibsi
