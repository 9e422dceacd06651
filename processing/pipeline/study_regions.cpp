#include "processing/pipeline/study_regions.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <utility>

#include "processing/roi/roi_builder.h"

namespace choana::processing {
namespace {

// Mean distance of the drawn planes to the nearest slice; planes that are not parallel to the slices count their extent.
double plane_distance_mm(const DrawnRegion& region, const std::vector<AcquiredSlice>& slices) {
  std::vector<const Vector3*> points;
  if (region.roi != nullptr) {
    for (const PlanarContour& contour : region.roi->contours)
      for (const Vector3& point : contour.points_mm) points.push_back(&point);
  } else {
    for (const SegmentFrame& frame : region.segmentation->frames)
      if (frame.segment_number == region.segment_number || frame.segment_number == 0) points.push_back(&frame.position_mm);
  }
  if (points.empty() || slices.empty() || !slices.front().has_geometry) return std::numeric_limits<double>::max();
  const Vector3 normal = cross(slices.front().row_direction, slices.front().column_direction);
  std::vector<double> heights;
  for (const AcquiredSlice& slice : slices) heights.push_back(dot(normal, slice.position_mm));
  std::sort(heights.begin(), heights.end());
  double sum = 0;
  for (const Vector3* point : points) {
    const double height = dot(normal, *point);
    const auto above = std::lower_bound(heights.begin(), heights.end(), height);
    double distance = std::numeric_limits<double>::infinity();
    if (above != heights.end()) distance = *above - height;
    if (above != heights.begin()) distance = std::min(distance, height - *std::prev(above));
    sum += distance;
  }
  return sum / static_cast<double>(points.size());
}

Result<RegionOfInterest> delineate(const DrawnRegion& region, const SeriesVolume& volume, const RoiSettings& how) {
  const VolumeGeometry& geometry = volume.geometry();
  if (region.segmentation != nullptr) return roi_from_segment(*region.segmentation, region.segment_number, geometry, how);
  RoiOrigin origin;
  origin.kind = RoiOrigin::Kind::structure_set;
  origin.sop_class_uid = region.structure_set->sop_class_uid;
  origin.sop_instance_uid = region.structure_set->sop_instance_uid;
  origin.series_instance_uid = region.structure_set->series_instance_uid;
  origin.number = region.roi->number;
  origin.algorithm_type = region.roi->generation_algorithm;
  origin.notes = compare_references(*region.roi, volume.reference(), geometry);
  return rasterise_roi(*region.roi, origin, geometry, how);
}

}  // namespace

void StudyRegions::collect() {
  for (const StructureSet& set : input_.structure_sets)
    for (const std::string& note : set.notes) log_.issue(ErrorCode::invalid_attribute, "RTSTRUCT: " + note, "", "");
  for (const StructureSet& set : input_.structure_sets)
    for (const StructureSetRoi& roi : set.rois) regions_.push_back({roi.name, &set, &roi, nullptr, 0});
  for (const SegmentationObject& segmentation : input_.segmentations)
    for (const SegmentDescription& segment : segmentation.segments) {
      const auto same = std::find_if(regions_.begin(), regions_.end(), [&](const DrawnRegion& r) { return r.roi != nullptr && r.name == segment.label; });
      if (same != regions_.end()) {
        log_.issue(ErrorCode::conflicting_instance, "The region '" + segment.label + "' was received as RTSTRUCT and as SEG; the RTSTRUCT was used.", "", segment.label);
        continue;
      }
      regions_.push_back({segment.label, nullptr, nullptr, &segmentation, segment.number});
    }
}

std::optional<std::size_t> StudyRegions::home_of(const DrawnRegion& region) {
  const auto index = static_cast<std::size_t>(&region - regions_.data());
  if (homes_.size() < regions_.size()) homes_.resize(regions_.size());
  if (!homes_[index]) homes_[index] = find_home(region);
  return *homes_[index];
}

std::optional<std::size_t> StudyRegions::find_home(const DrawnRegion& region) const {
  std::set<std::string> instances, series;
  if (region.roi != nullptr) {
    for (const PlanarContour& contour : region.roi->contours)
      instances.insert(contour.referenced_sop_instance_uids.begin(), contour.referenced_sop_instance_uids.end());
    series.insert(region.structure_set->referenced_series_uids.begin(), region.structure_set->referenced_series_uids.end());
    if (instances.empty()) instances.insert(region.structure_set->referenced_sop_instance_uids.begin(), region.structure_set->referenced_sop_instance_uids.end());
  } else {
    instances.insert(region.segmentation->referenced_sop_instance_uids.begin(), region.segmentation->referenced_sop_instance_uids.end());
    series.insert(region.segmentation->referenced_series_uids.begin(), region.segmentation->referenced_series_uids.end());
  }
  std::optional<std::size_t> best;
  std::size_t most = 0;
  for (std::size_t n = 0; n < series_.size(); ++n) {
    std::size_t hits = 0;
    for (const AcquiredSlice& slice : *series_[n].slices) hits += instances.count(slice.sop_instance_uid);
    if (hits > most) {
      most = hits;
      best = n;
    }
  }
  if (best) return best;
  std::vector<std::size_t> candidates;
  for (std::size_t n = 0; n < series_.size(); ++n)
    if (series.contains(series_[n].uid())) candidates.push_back(n);
  if (candidates.size() == 1) return candidates.front();
  if (candidates.empty())
    for (std::size_t n = 0; n < series_.size(); ++n)
      if (!region.frame_of_reference_uid().empty() && series_[n].frame_of_reference_uid() == region.frame_of_reference_uid()) candidates.push_back(n);
  double nearest = std::numeric_limits<double>::infinity();
  for (const std::size_t n : candidates) {
    const double distance = plane_distance_mm(region, *series_[n].slices);
    if (distance < nearest - 1e-6) {
      nearest = distance;
      best = n;
    }
  }
  return best;
}

Error StudyRegions::unresolved(const DrawnRegion& region) {
  return {ErrorCode::roi_unresolved_reference, "bind_roi",
          std::string("The ") + region.kind() + " region '" + region.name +
              "' was drawn on a series that was not received: neither its image references nor its frame of reference match any series. "
              "Send the series it was drawn on.", ""};
}

Result<RegionOfInterest> StudyRegions::bind(const DrawnRegion& region, std::size_t n, const BuiltVolume& target) {
  const auto home = home_of(region);
  if (!home) return fail(unresolved(region));
  // Its own images are evidence enough, even when the frame of reference was lost or differs.
  RoiSettings how;
  how.accept_other_frame_of_reference = true;
  if (*home == n) {
    auto roi = delineate(region, target.volume, how);
    if (roi && !region.frame_of_reference_uid().empty() && region.frame_of_reference_uid() != series_[n].frame_of_reference_uid())
      log_.issue(ErrorCode::geometry_mismatch, "The region '" + region.name + "' names another frame of reference than the images it refers to; it was placed by its references.", "", region.name);
    return roi;
  }
  const std::string& frame = series_[*home].frame_of_reference_uid();
  if (frame.empty() || frame != series_[n].frame_of_reference_uid())
    return fail(ErrorCode::geometry_mismatch, "bind_roi",
                "The region '" + region.name + "' was drawn in another frame of reference than series " + std::to_string(series_[n].decision.series_number) +
                    "; it is not carried over without registration.");
  const BuiltVolume* drawn_on = series_.main_volume(*home);
  if (drawn_on == nullptr) return fail(*series_[*home].load_error);
  auto drawn = delineate(region, drawn_on->volume, how);
  if (!drawn) return drawn;
  return carry_roi(*drawn, target.volume.geometry());
}

std::string StudyRegions::names() const {
  std::string text;
  for (const DrawnRegion& region : regions_) text += (text.empty() ? "" : ", ") + region.name;
  return text;
}

}  // namespace choana::processing
