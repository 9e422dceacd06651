#include "reporting/report_plan.h"

#include <algorithm>
#include <map>

#include "core/sha256.h"
#include "core/unique_identifier.h"
#include "core/version.h"
#include "reporting/sr/codes.h"

namespace choana::reporting {
namespace {

bool overlap(const RegionOfInterest& a, const RegionOfInterest& b) {
  const auto& left = a.mask();
  const auto& right = b.mask();
  if (left.size() != right.size()) return true;
  for (std::size_t n = 0; n < left.size(); ++n)
    if (left[n] != 0 && right[n] != 0) return true;
  return false;
}

bool is_head_and_neck_site(const CodedConcept& site) {
  return site == codes::nasopharynx || site == codes::lymph_node_of_head_and_neck || site == codes::retropharyngeal_lymph_node;
}

std::string settings_key(const ReportSettings& settings) {
  const std::string software_version = settings.software_version.empty() ? version : settings.software_version;
  return std::to_string(static_cast<int>(settings.sr_sop_class)) + "|" + settings.language + "|" + settings.ae_title + "|" + settings.device_serial + "|" +
         software_version + "|" + (settings.charts ? "c" : "-") + (settings.key_slice ? "k" : "-") + (settings.full_image_library ? "l" : "-");
}

std::string label_of(const MeasuredSeries& measured, const std::map<std::string, int>& series_per_role) {
  const std::string role = measured.role.empty() ? "MR" : measured.role;
  if (series_per_role.at(measured.role) < 2) return role;
  return role + " " + std::to_string(measured.volume.reference().series_number);
}

}  // namespace

std::string region_tracking_uid(const std::string& study_instance_uid, const RegionOfInterest& roi) {
  const RoiOrigin& origin = roi.origin();
  // A mask image has no UID: its name stands for it.
  const std::string object = origin.sop_instance_uid.empty() ? roi.name() : origin.sop_instance_uid;
  return derive_uid("tracking/region", study_instance_uid + "|" + object + "|" + std::to_string(origin.number));
}

std::string habitat_tracking_uid(const std::string& region_uid, const HabitatMap& map, int number) {
  return derive_uid("tracking/habitat", region_uid + "|" + sha256_hex(map.scheme) + "|" + std::to_string(number));
}

std::string ReportPlan::uid(const std::string& role, const std::string& extra) const { return derive_uid(role, key + "|" + extra); }

std::string ReportPlan::series_description(const std::string& role) const {
  std::string text = (research ? "RESEARCH " : "") + role;
  if (run->revision > 1) text += " r" + std::to_string(run->revision);
  std::replace(text.begin(), text.end(), '\\', '/');
  return text;
}

std::string segmentation_label(const ReportedSeries& series, const PlannedSegmentation& segmentation) {
  if (segmentation.habitats != nullptr) {
    const auto maps = std::count_if(series.segmentations.begin(), series.segmentations.end(), [](const PlannedSegmentation& each) { return each.habitats != nullptr; });
    return series.label + " habitats" + (maps > 1 && segmentation.habitats->name != "habitat" ? " " + segmentation.habitats->name : "");
  }
  if (std::count_if(series.segmentations.begin(), series.segmentations.end(), [](const PlannedSegmentation& each) { return each.habitats == nullptr; }) < 2 || segmentation.regions.empty()) return series.label;
  return series.label + " " + series.regions[segmentation.regions.front()].tracking_id;
}

ReportPlan plan_report(const StudyFindings& findings, const RunIdentity& run, const ReportSettings& settings, const SegmentFinder& find_existing_segment) {
  ReportPlan plan;
  plan.findings = &findings;
  plan.run = &run;
  plan.settings = &settings;
  plan.key = findings.study_instance_uid + "|" + run.run_key + "|r" + std::to_string(run.revision) + "|" + sha256_hex(settings_key(settings));
  plan.research = findings.predictions.empty() ||
                  !std::all_of(findings.predictions.begin(), findings.predictions.end(), [](const Prediction& each) { return each.status == "clinical"; });

  std::map<std::string, int> series_per_role;
  for (const MeasuredSeries& measured : findings.measured) ++series_per_role[measured.role];

  for (const MeasuredSeries& measured : findings.measured) {
    if (measured.rois.empty()) continue;
    ReportedSeries series;
    series.measured = &measured;
    series.label = label_of(measured, series_per_role);
    for (const RegionOfInterest& roi : measured.rois) {
      ReportedRegion region;
      region.roi = &roi;
      region.codes = region_codes(roi.name(), measured.volume.acquisition().body_part, roi.finding());
      region.tracking_id = roi.name().empty() ? "ROI " + std::to_string(roi.origin().number) : roi.name();
      region.tracking_uid = region_tracking_uid(findings.study_instance_uid, roi);
      // Structure sets may hold two regions of one name: their measurements come in the order of the regions.
      const auto same_name = [&](const RegionOfInterest& other) { return other.name() == roi.name(); };
      const auto namesakes = static_cast<std::size_t>(std::count_if(measured.rois.begin(), measured.rois.end(), same_name));
      const auto position = static_cast<std::size_t>(std::count_if(measured.rois.data(), &roi, same_name));
      if (namesakes > 1) region.tracking_id += " (" + std::to_string(position + 1) + ")";
      std::size_t matching = 0;
      for (const Measurement& measurement : findings.measurements)
        if (measurement.roi == roi.name() && measurement.role == measured.role && measurement.series_instance_uid == measured.volume.reference().series_instance_uid &&
            matching++ % namesakes == position)
          region.measurements.push_back(&measurement);
      if (find_existing_segment) region.segment = find_existing_segment(measured, roi);
      if (!region.segment.tracking_uid.empty()) region.tracking_uid = region.segment.tracking_uid;
      if (!region.segment.tracking_id.empty()) region.tracking_id = region.segment.tracking_id;
      series.regions.push_back(std::move(region));
    }

    series.body_part = body_part_term(measured.volume.acquisition().body_part);
    if (series.body_part.empty() && measured.volume.acquisition().body_part.empty() &&
        std::any_of(series.regions.begin(), series.regions.end(), [](const ReportedRegion& each) { return is_head_and_neck_site(each.codes.site); }))
      series.body_part = "HEADNECK";

    // Objects sent to us, then as few of our own as keep segments from overlapping (viewers show one label a voxel).
    for (std::size_t n = 0; n < series.regions.size(); ++n) {
      const ReportedRegion& region = series.regions[n];
      auto home = series.segmentations.end();
      if (!region.segment.empty()) {
        home = std::find_if(series.segmentations.begin(), series.segmentations.end(), [&](const PlannedSegmentation& each) {
          return each.existing && each.sop_instance_uid == region.segment.sop_instance_uid;
        });
      } else {
        home = std::find_if(series.segmentations.begin(), series.segmentations.end(), [&](const PlannedSegmentation& each) {
          return !each.existing && std::none_of(each.regions.begin(), each.regions.end(),
                                                [&](std::size_t other) { return overlap(*series.regions[other].roi, *region.roi); });
        });
      }
      if (home == series.segmentations.end()) {
        PlannedSegmentation segmentation;
        segmentation.existing = !region.segment.empty();
        segmentation.sop_instance_uid = region.segment.sop_instance_uid;
        segmentation.series_instance_uid = region.segment.series_instance_uid;
        home = series.segmentations.insert(series.segmentations.end(), std::move(segmentation));
      }
      home->regions.push_back(n);
    }

    // Habitats of one map lie side by side; together they are the region, so they need an object of their own.
    for (const HabitatMap& map : findings.habitats) {
      if (&findings.measured[map.measured] != &measured || map.roi >= measured.rois.size()) continue;
      PlannedSegmentation segmentation;
      segmentation.habitats = &map;
      const ReportedRegion whole = series.regions[map.roi];
      for (const Habitat& habitat : map.habitats) {
        ReportedRegion region;
        region.roi = &habitat.region;
        region.codes = whole.codes;
        region.habitat = &habitat;
        region.tracking_id = habitat.region.name();
        region.tracking_uid = habitat_tracking_uid(whole.tracking_uid, map, habitat.number);
        for (const Measurement& measurement : findings.measurements)
          if (measurement.roi == habitat.region.name() && measurement.role == measured.role && measurement.series_instance_uid == measured.volume.reference().series_instance_uid)
            region.measurements.push_back(&measurement);
        segmentation.regions.push_back(series.regions.size());
        series.regions.push_back(std::move(region));
      }
      if (!segmentation.regions.empty()) series.segmentations.push_back(std::move(segmentation));
    }

    for (std::size_t index = 0; index < series.segmentations.size(); ++index) {
      PlannedSegmentation& segmentation = series.segmentations[index];
      if (segmentation.existing) continue;
      std::string content = measured.volume.reference().series_instance_uid + "|" + series.label + "|" + std::to_string(index);
      const std::string kind = segmentation.habitats != nullptr ? "SEG-HAB" : "SEG-ROI";
      segmentation.series_instance_uid = plan.uid(kind + "/series", content);
      Sha256 masks;
      for (const std::size_t n : segmentation.regions) {
        const auto& mask = series.regions[n].roi->mask();
        masks.update(series.regions[n].tracking_uid + "|" + series.regions[n].tracking_id + "|");
        masks.update(mask.data(), mask.size());
      }
      segmentation.sop_instance_uid = plan.uid(kind + "/instance", content + "|" + masks.hex_digest());
      for (std::size_t position = 0; position < segmentation.regions.size(); ++position) {
        SegmentTarget& target = series.regions[segmentation.regions[position]].segment;
        target.sop_class_uid = "1.2.840.10008.5.1.4.1.1.66.4";
        target.sop_instance_uid = segmentation.sop_instance_uid;
        target.series_instance_uid = segmentation.series_instance_uid;
        target.segment_number = static_cast<int>(position) + 1;
      }
    }
    plan.series.push_back(std::move(series));
  }
  return plan;
}

}  // namespace choana::reporting
