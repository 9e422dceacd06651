#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/acquired_slice.h"
#include "core/geometry.h"
#include "core/region_of_interest.h"
#include "core/series_volume.h"

namespace choana::processing {

/// A scalar image for feature extraction: one double a voxel, i fastest. `pixel_type` is the type the values stand for;
/// integer types are truncated and clamped after resampling, float32 values are exactly representable as float.
struct ScalarVolume {
  VolumeGeometry geometry;
  std::vector<double> voxels;
  PixelType pixel_type = PixelType::float64;
};

/// A label map: one label a voxel, i fastest, 0 = background.
struct MaskVolume {
  VolumeGeometry geometry;
  std::vector<std::uint32_t> labels;
};

/// The voxels of a series as doubles (float values widened).
[[nodiscard]] inline ScalarVolume to_scalar_volume(const SeriesVolume& series) {
  return {series.geometry(), {series.voxels().begin(), series.voxels().end()}, series.pixel_type()};
}

/// A region as a label map with label 1.
[[nodiscard]] inline MaskVolume to_mask_volume(const RegionOfInterest& roi) {
  MaskVolume mask{roi.geometry(), {}};
  mask.labels.reserve(roi.mask().size());
  for (const std::uint8_t voxel : roi.mask()) mask.labels.push_back(voxel != 0 ? 1u : 0u);
  return mask;
}

/// Half-open box of voxels: lower[a] <= index < lower[a] + size[a], axes i, j, k.
struct VoxelBox {
  Index3 lower{0, 0, 0};
  Index3 size{0, 0, 0};

  [[nodiscard]] bool empty() const { return size[0] < 1 || size[1] < 1 || size[2] < 1; }
  friend bool operator==(const VoxelBox&, const VoxelBox&) = default;
};

/// Smallest box around the voxels with this label; empty when there is none. Defined beside find_label, which also counts them.
[[nodiscard]] VoxelBox bounding_box(const MaskVolume& mask, std::uint32_t label);

/// The geometry of a box cut out of a grid.
/// Errors: those of VolumeGeometry::make.
[[nodiscard]] inline Result<VolumeGeometry> crop_geometry(const VolumeGeometry& geometry, const VoxelBox& box) {
  const Vector3 corner{static_cast<double>(box.lower[0]), static_cast<double>(box.lower[1]), static_cast<double>(box.lower[2])};
  return VolumeGeometry::make(box.size, geometry.spacing_mm(), geometry.index_to_patient(corner), geometry.direction(),
                              geometry.frame_of_reference_uid());
}

/// The values of a box of a volume stored i fastest. box lies inside `size`.
template <typename T>
[[nodiscard]] std::vector<T> crop_values(const std::vector<T>& values, const Index3& size, const VoxelBox& box) {
  std::vector<T> cropped;
  cropped.reserve(static_cast<std::size_t>(box.size[0]) * static_cast<std::size_t>(box.size[1]) * static_cast<std::size_t>(box.size[2]));
  for (int k = 0; k < box.size[2]; ++k)
    for (int j = 0; j < box.size[1]; ++j) {
      const std::size_t row = (static_cast<std::size_t>(k + box.lower[2]) * static_cast<std::size_t>(size[1]) +
                               static_cast<std::size_t>(j + box.lower[1])) * static_cast<std::size_t>(size[0]) +
                              static_cast<std::size_t>(box.lower[0]);
      cropped.insert(cropped.end(), values.begin() + static_cast<std::ptrdiff_t>(row),
                     values.begin() + static_cast<std::ptrdiff_t>(row) + box.size[0]);
    }
  return cropped;
}

}  // namespace choana::processing
