#pragma once

#include <array>

#include "core/result.h"
#include "core/task_pool.h"
#include "processing/radiomics/extraction_profile.h"
#include "processing/radiomics/image.h"

namespace choana::processing {

/// An image and a mask on one grid.
struct ResampledPair {
  ScalarVolume image;
  MaskVolume mask;
};

/// Resample an image onto a grid. Points outside [-0.5, size - 0.5) of the input get 0. Integer images are clamped to their
/// type and truncated toward zero, float32 images rounded to float. Cubic B-spline: coefficients of the whole image in double with
/// whole-sample mirror boundaries; the arithmetic follows ITK's operation order, because truncation makes the last bit matter,
/// and values are the same at any number of threads.
[[nodiscard]] ScalarVolume resample_image(const ScalarVolume& image, const VolumeGeometry& grid, Interpolation interpolation, TaskPool* pool = nullptr);

/// Resample a label map onto a grid by nearest neighbour (halves round up); 0 outside.
[[nodiscard]] MaskVolume resample_mask(const MaskVolume& mask, const VolumeGeometry& grid);

/// Resample image and mask around the region as PyRadiomics does: grid aligned on the corner of voxel 0 of the mask, direction of
/// the mask, cropped to the region and `pad_distance_voxels` new voxels. spacing_mm 0 keeps the mask's; an axis on which
/// the region is one slice thick is not resampled. When the image has the spacing already, only the mask is put on its grid and both are cropped.
/// Errors: roi_empty (label absent), roi_outside_image, limit_exceeded (more than 2^31 voxels), invalid_argument.
[[nodiscard]] Result<ResampledPair> resample_to_spacing(const ScalarVolume& image, const MaskVolume& mask, int label,
                                                        const std::array<double, 3>& spacing_mm, Interpolation interpolation,
                                                        int pad_distance_voxels, TaskPool* pool = nullptr);

/// The same for a region whose box in the mask is known (see find_label); empty: roi_empty.
[[nodiscard]] Result<ResampledPair> resample_to_spacing(const ScalarVolume& image, const MaskVolume& mask, int label, const VoxelBox& region,
                                                        const std::array<double, 3>& spacing_mm, Interpolation interpolation, int pad_distance_voxels,
                                                        TaskPool* pool = nullptr);

/// The region's box in the image: corners (index -0.5 and +0.5) may leave the image by a thousandth of a voxel.
/// Returns the box on the mask's grid. Errors: roi_empty, roi_outside_image.
[[nodiscard]] Result<VoxelBox> check_region_inside(const VolumeGeometry& image, const MaskVolume& mask, int label);
[[nodiscard]] Result<VoxelBox> check_region_inside(const VolumeGeometry& image, const MaskVolume& mask, int label, const VoxelBox& region);

/// Cut image and mask (on one grid) to a box enlarged by `pad_voxels`, within the grid. Errors: those of VolumeGeometry::make.
[[nodiscard]] Result<ResampledPair> crop_to_box(const ScalarVolume& image, const MaskVolume& mask, const VoxelBox& box, int pad_voxels);

}  // namespace choana::processing
