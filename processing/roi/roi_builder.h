#pragma once

#include <string>
#include <vector>

#include "core/planar_contour.h"
#include "core/region_of_interest.h"
#include "core/result.h"
#include "core/segment_frames.h"
#include "core/series_volume.h"

namespace choana::processing {

struct RoiSettings {
  /// A contour may leave its plane by this much of a slice distance; more, and it was drawn in another orientation.
  double planarity_slices_max = 0.5;
  /// Contours of one slice whose planes differ by less belong to one drawing plane and are combined (XOR).
  double plane_tolerance_slices = 0.05;
  /// A segmentation grid that is off the image grid by more is noted; by half a voxel or more it is refused.
  double shift_noted_mm = 0.01;
  /// Value from which a fractional segment counts as inside.
  double fraction_min = 0.5;
  /// Use a region whose frame of reference differs from the image's (the caller has other evidence that they agree).
  bool accept_other_frame_of_reference = false;
};

/// Rasterise the closed planar contours of an RTSTRUCT region on the grid of a series.
/// A voxel is inside when its centre is, by the even-odd rule; all contours of one slice are combined by XOR, so that
/// holes work whether nested or keyhole; a contour belongs to the nearest slice along the image normal (never grouped
/// by z: acquisitions are oblique). Other geometric types and contours more than half a slice from every slice are
/// dropped and counted; ContourImageSequence is not used. `base` names the object; the ledger (contours, volumes,
/// fraction outside, slices without contour) is filled in.
/// Errors: roi_empty (no usable contour), roi_outside_image, roi_too_small (no voxel centre inside),
/// geometry_mismatch (other frame of reference).
/// Source: spec/inputs.md 1 to 3; reproduces the IBSI validation masks voxel for voxel.
[[nodiscard]] Result<RegionOfInterest> rasterise_roi(const StructureSetRoi& roi, const RoiOrigin& base, const VolumeGeometry& geometry,
                                                     const RoiSettings& settings = {});

/// What ContourImageSequence says against the geometry: sentences for the ledger, none when all contours name the slice
/// they lie on or name nothing. Writers leave it out, patch it half or are slices off (spec/inputs.md 3), so it is
/// compared and reported but never decides.
[[nodiscard]] std::vector<std::string> compare_references(const StructureSetRoi& roi, const SeriesReference& series, const VolumeGeometry& geometry);

/// One segment of a SEG on the grid of a series, matched by geometry alone: axes may be permuted or flipped and the grid
/// may be a part of the image's. A shift between the grids over the tolerance is noted, half a voxel or more is refused;
/// a grid of other spacing or orientation is resampled as carry_roi does, and said so.
/// Errors: roi_missing (no such segment), roi_empty (nothing set), roi_outside_image, geometry_mismatch, roi_too_small.
[[nodiscard]] Result<RegionOfInterest> roi_from_segment(const SegmentationObject& object, int segment_number, const VolumeGeometry& geometry,
                                                        const RoiSettings& settings = {});

/// Carry a region onto the grid of another series in the same frame of reference. Each target voxel is sampled on a
/// regular sub-grid about as fine as the source (1, 3, 5, 7 or 9 points an axis, odd so that none tie); it is inside when more than half of the points
/// lie in source voxels of the region. On a grid as fine as the source this is nearest neighbour. The ledger says the
/// fraction that fell outside the target and the volume before and after.
/// Errors: geometry_mismatch (frames of reference differ), roi_outside_image, roi_too_small.
[[nodiscard]] Result<RegionOfInterest> carry_roi(const RegionOfInterest& roi, const VolumeGeometry& target, const RoiSettings& settings = {});

}  // namespace choana::processing
