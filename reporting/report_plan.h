#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/study_findings.h"
#include "reporting/region_codes.h"
#include "reporting/report_settings.h"

namespace choana::reporting {

/// A segment of a SEG object that holds exactly the mask that was used.
struct SegmentTarget {
  std::string sop_class_uid;
  std::string sop_instance_uid;
  std::string series_instance_uid;
  int segment_number = 0;
  std::string tracking_id;           // of an existing segment that has one, else empty
  std::string tracking_uid;

  [[nodiscard]] bool empty() const { return segment_number == 0; }
};

/// A region on one series, as the reports speak of it. Pointers are into the findings.
struct ReportedRegion {
  const RegionOfInterest* roi = nullptr;
  RegionCodes codes;
  std::string tracking_id;           // the region's name
  std::string tracking_uid;          // the same on every series
  SegmentTarget segment;
  std::vector<const Measurement*> measurements;
  const Habitat* habitat = nullptr;  // set where the region is a habitat of another one

  [[nodiscard]] bool reported() const { return habitat != nullptr || !measurements.empty(); }
};

/// One SEG object of a series: regions that do not overlap.
struct PlannedSegmentation {
  bool existing = false;             // sent to us and on the grid of the series: referenced, not written again
  std::string sop_instance_uid;
  std::string series_instance_uid;
  const HabitatMap* habitats = nullptr;  // set where its segments are the habitats of one map, and nothing else
  std::vector<std::size_t> regions;  // positions in ReportedSeries::regions, in segment order
};

struct ReportedSeries {
  const MeasuredSeries* measured = nullptr;
  std::string label;                 // "T1C"; "MR 5" where several series share a role
  std::string body_part;             // Body Part Examined of what is made from it; empty when not known
  std::vector<ReportedRegion> regions;
  std::vector<PlannedSegmentation> segmentations;
};

/// What will be written, before anything is: names, codes and UIDs of all objects.
struct ReportPlan {
  const StudyFindings* findings = nullptr;
  const RunIdentity* run = nullptr;
  const ReportSettings* settings = nullptr;
  std::string key;                   // of every UID: run, revision and settings of the report
  bool research = true;              // false only when every prediction is of a clinical package
  std::vector<ReportedSeries> series;

  /// UID of an object of this run.
  [[nodiscard]] std::string uid(const std::string& role, const std::string& extra = {}) const;
  /// "RESEARCH " where it belongs, the role of the object, and the revision from the second on.
  [[nodiscard]] std::string series_description(const std::string& role) const;
};

/// Label of one of a series' segmentations: the series', and the first region where there are several.
[[nodiscard]] std::string segmentation_label(const ReportedSeries& series, const PlannedSegmentation& segmentation);

/// Finds the segment of an object sent to us that is voxel for voxel the region on its own grid; an empty target if
/// there is none.
using SegmentFinder = std::function<SegmentTarget(const MeasuredSeries&, const RegionOfInterest&)>;

[[nodiscard]] ReportPlan plan_report(const StudyFindings& findings, const RunIdentity& run, const ReportSettings& settings,
                                     const SegmentFinder& find_existing_segment);

/// Tracking UID of habitat `number`: of the region it is a part of and the scheme that found it.
[[nodiscard]] std::string habitat_tracking_uid(const std::string& region_uid, const HabitatMap& map, int number);
/// Tracking UID of a drawn region: the same for all its copies on the grids of other series, and in every revision.
[[nodiscard]] std::string region_tracking_uid(const std::string& study_instance_uid, const RegionOfInterest& roi);

}  // namespace choana::reporting
