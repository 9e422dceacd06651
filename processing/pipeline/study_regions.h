#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "core/planar_contour.h"
#include "core/region_of_interest.h"
#include "core/result.h"
#include "core/segment_frames.h"
#include "processing/pipeline/study_log.h"
#include "processing/pipeline/study_series.h"

namespace choana::processing {

/// A region as somebody drew it, before it lies on any grid.
struct DrawnRegion {
  std::string name;
  const StructureSet* structure_set = nullptr;
  const StructureSetRoi* roi = nullptr;
  const SegmentationObject* segmentation = nullptr;
  int segment_number = 0;

  [[nodiscard]] const std::string& frame_of_reference_uid() const { return roi != nullptr ? roi->frame_of_reference_uid : segmentation->frame_of_reference_uid; }
  [[nodiscard]] const char* kind() const { return roi != nullptr ? "RTSTRUCT" : "SEG"; }
};

/// The regions of a study and the series they were drawn on.
class StudyRegions {
 public:
  /// All outlive this.
  StudyRegions(const StudyInput& input, StudySeries& series, StudyLog& log) : input_(input), series_(series), log_(log) {}

  /// Take up every region of the input; a SEG segment named like an RTSTRUCT region is left out.
  void collect();

  [[nodiscard]] bool empty() const { return regions_.empty(); }
  [[nodiscard]] const std::vector<DrawnRegion>& all() const { return regions_; }
  /// The series a region was drawn on: named by its references, or else the one of its frame of reference whose slices
  /// lie nearest to the contours. References are checked, not trusted: they are wrong or absent in real objects.
  std::optional<std::size_t> home_of(const DrawnRegion& region);
  /// A region on the grid of series n: drawn there, or carried from the series it was drawn on within one frame of
  /// reference. Errors: roi_unresolved_reference, geometry_mismatch, and those of the readers and of carry_roi.
  Result<RegionOfInterest> bind(const DrawnRegion& region, std::size_t n, const BuiltVolume& target);
  /// What to say of a region whose series was not received.
  [[nodiscard]] static Error unresolved(const DrawnRegion& region);
  /// "GTVp, GTVn".
  [[nodiscard]] std::string names() const;

 private:
  [[nodiscard]] std::optional<std::size_t> find_home(const DrawnRegion& region) const;

  const StudyInput& input_;
  StudySeries& series_;
  StudyLog& log_;
  std::vector<DrawnRegion> regions_;
  std::vector<std::optional<std::optional<std::size_t>>> homes_;  // by region: not asked yet, none, or a series
};

}  // namespace choana::processing
