#pragma once

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>

#include <memory>

#include "core/result.h"
#include "core/segment_frames.h"
#include "reporting/report_plan.h"

namespace choana::reporting {

/// Build the data set of a SEG that holds the masks of `segmentation`, on the grid of their series: BINARY, non-empty
/// frames only, each with the source slice in its plane. stamp() and the patient's attributes follow.
/// Errors: internal.  Source: PS3.3 A.51, C.8.20.2; spec/sr.md 7.2.
[[nodiscard]] Result<std::unique_ptr<DcmDataset>> build_segmentation_dataset(const ReportPlan& plan, const ReportedSeries& series,
                                                                             const PlannedSegmentation& segmentation);

/// Is segment `number` of `object` voxel for voxel `roi`, on the grid of `measured`, and drawn on that series?
[[nodiscard]] bool holds_same_mask(const SegmentationObject& object, int number, const MeasuredSeries& measured, const RegionOfInterest& roi);

/// Position along k, within 1e-2 of a slice, of the plane through `position_mm`; -1 if it is not on the grid.
[[nodiscard]] int slice_of_plane(const VolumeGeometry& geometry, const Vector3& position_mm);

}  // namespace choana::reporting
