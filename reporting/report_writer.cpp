#include "reporting/report_writer.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <memory>
#include <set>
#include <system_error>

#include "core/log.h"
#include "core/sha256.h"
#include "core/version.h"
#include "dicom/dicom_reader.h"
#include "reporting/report_checker.h"
#include "reporting/report_plan.h"
#include "reporting/result_header_internal.h"
#include "reporting/secondary_capture_internal.h"
#include "reporting/seg/segmentation_writer_internal.h"
#include "reporting/sr/report_trees.h"
#include "reporting/sr/sr_document_internal.h"

namespace choana::reporting {
namespace {

constexpr const char* step = "write_report";
constexpr const char* segmentation_storage = "1.2.840.10008.5.1.4.1.1.66.4";
constexpr const char* secondary_capture_storage = "1.2.840.10008.5.1.4.1.1.7";

/// Series numbers by kind; far above what scanners use. The 21st of a kind and later follow the fixed blocks.
int series_number(int first, std::size_t index) { return index < 20 ? first + static_cast<int>(index) : first + 1000 + static_cast<int>(index); }

/// A part of a file name: letters, digits and hyphens.
std::string file_word(const std::string& text) {
  std::string word;
  for (const char c : text.substr(0, 48)) word += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '-';
  return word;
}

/// Writes finished data sets one after the other and remembers what it wrote.
class Writer {
 public:
  Writer(const ReportPlan& plan, const ResultHeader& header, std::filesystem::path folder) : plan_(plan), header_(header), folder_(std::move(folder)) {
    algorithms_.push_back({"Choana radiomics", plan.settings->software_version.empty() ? version : plan.settings->software_version,
                           "Regions, preprocessing and radiomic features"});
    for (const Prediction& prediction : plan.findings->predictions) {
      const Algorithm algorithm{prediction.package, prediction.version, "Prediction model, status " + prediction.status};
      if (std::none_of(algorithms_.begin(), algorithms_.end(), [&](const Algorithm& each) { return each.name == algorithm.name && each.version == algorithm.version; }))
        algorithms_.push_back(algorithm);
    }
  }

  Status write(DcmDataset& dataset, const ObjectIdentity& identity, const std::string& kind, const std::string& stem) {
    if (const auto done = header_.apply(dataset, plan_.findings->study_instance_uid); !done) return done;
    if (identity.modality == "SR")
      if (const auto done = header_.apply_requests(dataset, plan_.findings->study_instance_uid); !done) return done;
    if (const auto done = stamp(dataset, identity, *plan_.run, *plan_.settings, algorithms_); !done) return done;
    // Two series may share a label after cleaning.
    std::string name = stem + ".dcm";
    for (int n = 2; names_.contains(name); ++n) name = stem + "-" + std::to_string(n) + ".dcm";
    names_.insert(name);
    if (const auto done = save(dataset, folder_ / name); !done) return done;
    written_.push_back({name, kind, identity.sop_class_uid, identity.sop_instance_uid, identity.series_instance_uid});
    return {};
  }

  /// A structured report from its tree. UIDs follow its content.
  Status write_sr(const ContentItem& root, SrSopClass sop_class, const std::vector<InstanceReference>& evidence, const std::vector<PredecessorObject>& replaced,
                  const std::string& kind, const std::string& key, int number, const std::string& description, const std::string& stem) {
    SrDocumentHeader document;
    document.sop_class = sop_class;
    document.study_instance_uid = plan_.findings->study_instance_uid;
    document.evidence = evidence;
    document.preliminary = plan_.research;
    for (const PredecessorObject& each : replaced)
      document.predecessors.push_back({document.study_instance_uid, each.series_instance_uid, each.sop_class_uid, each.sop_instance_uid});
    auto dataset = build_sr_dataset(root, document);
    if (!dataset) return fail(dataset.error());
    ObjectIdentity identity;
    identity.sop_class_uid = sop_class_uid(sop_class);
    identity.series_instance_uid = plan_.uid(kind + "/series", key);
    identity.sop_instance_uid = plan_.uid(kind + "/instance", key + "|" + sha256_hex(canonical_text(root)));
    identity.modality = "SR";
    identity.series_number = number;
    identity.series_description = plan_.series_description(description);
    return write(**dataset, identity, kind, stem);
  }

  [[nodiscard]] const std::vector<WrittenObject>& written() const { return written_; }
  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }

 private:
  const ReportPlan& plan_;
  const ResultHeader& header_;
  std::filesystem::path folder_;
  std::vector<Algorithm> algorithms_;
  std::set<std::string> names_;
  std::vector<WrittenObject> written_;
};

/// Finds segments among the study's own SEG objects; each is read once.
class ExistingSegments {
 public:
  explicit ExistingSegments(const StudyFindings& findings) : findings_(findings) {}

  SegmentTarget find(const MeasuredSeries& measured, const RegionOfInterest& roi) {
    const RoiOrigin& origin = roi.origin();
    if (origin.kind != RoiOrigin::Kind::segmentation || origin.sop_instance_uid.empty() || origin.sop_class_uid != segmentation_storage) return {};
    const auto object = read(origin.sop_instance_uid);
    if (!object || !holds_same_mask(*object, origin.number, measured, roi)) return {};
    const auto segment = std::find_if(object->segments.begin(), object->segments.end(), [&](const SegmentDescription& each) { return each.number == origin.number; });
    SegmentTarget target{object->sop_class_uid, object->sop_instance_uid, object->series_instance_uid, origin.number, {}, {}};
    if (segment != object->segments.end()) {
      target.tracking_id = segment->tracking_id;
      target.tracking_uid = segment->tracking_uid;
    }
    return target;
  }

 private:
  std::shared_ptr<const SegmentationObject> read(const std::string& sop_instance_uid) {
    if (const auto known = objects_.find(sop_instance_uid); known != objects_.end()) return known->second;
    std::shared_ptr<const SegmentationObject> object;
    for (const InputObject& input : findings_.inputs) {
      if (input.sop_instance_uid != sop_instance_uid || input.file.empty()) continue;
      // One that cannot be read back is copied like any other region.
      if (auto segmentation = dicom::read_segmentation(input.file)) object = std::make_shared<const SegmentationObject>(std::move(*segmentation));
      break;
    }
    objects_.emplace(sop_instance_uid, object);
    return object;
  }

  const StudyFindings& findings_;
  std::map<std::string, std::shared_ptr<const SegmentationObject>> objects_;
};

void add_series_evidence(std::vector<InstanceReference>& evidence, const ReportPlan& plan, const ReportedSeries& series) {
  const std::string& study = plan.findings->study_instance_uid;
  const SeriesReference& reference = series.measured->volume.reference();
  for (const SliceReference& slice : reference.slices) evidence.push_back({study, reference.series_instance_uid, slice.sop_class_uid, slice.sop_instance_uid});
}

/// The SEG, and what its regions were drawn as.
void add_segmentation_evidence(std::vector<InstanceReference>& evidence, const ReportPlan& plan, const ReportedSeries& series, const PlannedSegmentation& segmentation) {
  const std::string& study = plan.findings->study_instance_uid;
  evidence.push_back({study, segmentation.series_instance_uid, segmentation_storage, segmentation.sop_instance_uid});
  for (const std::size_t n : segmentation.regions) {
    const RoiOrigin& origin = series.regions[n].roi->origin();
    if (!origin.sop_instance_uid.empty() && !origin.series_instance_uid.empty() && !origin.sop_class_uid.empty())
      evidence.push_back({study, origin.series_instance_uid, origin.sop_class_uid, origin.sop_instance_uid});
  }
}

bool is_measured(const ReportedSeries& series, const PlannedSegmentation& segmentation) {
  return std::any_of(segmentation.regions.begin(), segmentation.regions.end(), [&](std::size_t n) { return series.regions[n].reported(); });
}

/// Predecessors of one kind of SR; those of kinds that this result lacks go to the leading document.
std::vector<PredecessorObject> predecessors_of(const RunIdentity& run, const std::string& kind, const std::set<std::string>& kinds, bool leading) {
  std::vector<PredecessorObject> result;
  for (const PredecessorObject& each : run.predecessors)
    if (each.kind == kind || (leading && each.kind.starts_with("SR") && !kinds.contains(each.kind))) result.push_back(each);
  return result;
}

/// SEG and SC have no predecessor attribute: the leading report names them in words.
std::vector<PredecessorObject> named_predecessors(const RunIdentity& run) { return run.predecessors; }

Status make_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return fail(ErrorCode::io_error, step, "The folder for results cannot be made: " + error.message() + ".");
  return {};
}

/// Our own rules, held wherever assertions are on (every build but release).
Status check_written([[maybe_unused]] const Writer& writer) {
#ifndef NDEBUG
  std::vector<std::filesystem::path> files;
  for (const WrittenObject& object : writer.written()) files.push_back(writer.folder() / object.file);
  const auto violations = check_results(files);
  if (!violations) return fail(violations.error());
  if (!violations->empty())
    return fail(ErrorCode::internal, "check_results", "A result object breaks a rule of ours: " + violations->front() + ". Please report this as a defect.");
#endif
  return {};
}

struct SettledPages {
  std::vector<PageReference> references;
  std::vector<const ChartPage*> pages;
  std::string series_instance_uid;
};

/// UIDs of the pages, before anything that refers to them is written.
SettledPages settle_pages(const ReportPlan& plan, const std::vector<ChartPage>& pages) {
  SettledPages settled;
  if (!plan.settings->charts) return settled;
  settled.series_instance_uid = plan.uid("SC/series");
  for (const ChartPage& page : pages) {
    Sha256 content;
    content.update(page.title + "|" + page.description + "|" + std::to_string(page.width) + "x" + std::to_string(page.height) + "|");
    content.update(page.rgb.data(), page.rgb.size());
    PageReference reference;
    reference.series_instance_uid = settled.series_instance_uid;
    reference.sop_instance_uid = plan.uid("SC/instance", std::to_string(settled.pages.size()) + "|" + page.name + "|" + content.hex_digest());
    reference.source_series_uid = page.source_series_uid;
    reference.roi = page.roi;
    reference.explains = page.explains;
    settled.references.push_back(std::move(reference));
    settled.pages.push_back(&page);
  }
  return settled;
}

Status write_segmentations(Writer& writer, const ReportPlan& plan) {
  std::size_t index = 0, habitats = 0;
  for (const ReportedSeries& series : plan.series) {
    for (const PlannedSegmentation& segmentation : series.segmentations) {
      if (segmentation.existing) continue;
      const bool divided = segmentation.habitats != nullptr;
      auto dataset = build_segmentation_dataset(plan, series, segmentation);
      if (!dataset) return fail(dataset.error());
      ObjectIdentity identity;
      identity.sop_class_uid = segmentation_storage;
      identity.sop_instance_uid = segmentation.sop_instance_uid;
      identity.series_instance_uid = segmentation.series_instance_uid;
      identity.modality = "SEG";
      identity.series_number = divided ? series_number(9120, habitats++) : series_number(9100, index++);
      identity.series_description = plan.series_description(divided ? "habitats " + series.label : "ROI " + segmentation_label(series, segmentation));
      const std::string kind = divided ? "SEG-HAB" : "SEG-ROI";
      if (const auto done = writer.write(**dataset, identity, kind, kind + "-" + file_word(series.label)); !done) return done;
    }
  }
  return {};
}

Status write_pages(Writer& writer, const ReportPlan& plan, const SettledPages& settled) {
  const std::string body_part = plan.series.empty() ? "" : plan.series.front().body_part;
  for (std::size_t n = 0; n < settled.pages.size(); ++n) {
    auto dataset = build_secondary_capture(*settled.pages[n], *plan.run, plan.research, body_part);
    if (!dataset) return fail(dataset.error());
    ObjectIdentity identity;
    identity.sop_class_uid = secondary_capture_storage;
    identity.sop_instance_uid = settled.references[n].sop_instance_uid;
    identity.series_instance_uid = settled.series_instance_uid;
    identity.modality = "OT";
    identity.series_number = 9180;
    identity.instance_number = static_cast<int>(n) + 1;
    identity.series_description = plan.series_description("charts");
    const std::string number = std::to_string(n + 1);
    if (const auto done = writer.write(**dataset, identity, "SC", "SC-" + std::string(number.size() < 2 ? 2 - number.size() : 0, '0') + number + "-" + file_word(settled.pages[n]->name)); !done)
      return done;
  }
  return {};
}

Status write_reports(Writer& writer, const ReportPlan& plan, const SettledPages& settled) {
  const StudyFindings& findings = *plan.findings;
  const bool has_prediction = !findings.predictions.empty();
  const SrSopClass sop_class = plan.settings->sr_sop_class;
  // SCOORD reports are never Comprehensive 3D: viewers then take another, poorer path.
  const SrSopClass key_slice_class = sop_class == SrSopClass::comprehensive3d ? SrSopClass::enhanced : sop_class;
  std::set<std::string> kinds;
  if (has_prediction) kinds.insert("SR-X");
  for (const ReportedSeries& series : plan.series)
    for (const PlannedSegmentation& segmentation : series.segmentations)
      if (is_measured(series, segmentation)) kinds.insert("SR-R");
  const bool key_slice = plan.settings->key_slice;
  if (key_slice) kinds.insert("SR-K");

  std::vector<InstanceReference> all_evidence;
  for (const ReportedSeries& series : plan.series) {
    add_series_evidence(all_evidence, plan, series);
    for (const PlannedSegmentation& segmentation : series.segmentations) add_segmentation_evidence(all_evidence, plan, series, segmentation);
  }

  std::size_t index = 0;
  for (const ReportedSeries& series : plan.series) {
    for (std::size_t n = 0; n < series.segmentations.size(); ++n) {
      const PlannedSegmentation& segmentation = series.segmentations[n];
      if (!is_measured(series, segmentation)) continue;
      const bool leading = !has_prediction && index == 0;
      std::vector<InstanceReference> evidence;
      add_series_evidence(evidence, plan, series);
      add_segmentation_evidence(evidence, plan, series, segmentation);
      for (const PageReference& page : settled.references)
        if (std::any_of(segmentation.regions.begin(), segmentation.regions.end(), [&](std::size_t region) {
              return page.illustrates(series.measured->volume.reference().series_instance_uid, series.regions[region].roi->name());
            }))
          evidence.push_back({findings.study_instance_uid, page.series_instance_uid, secondary_capture_storage, page.sop_instance_uid});
      const ContentItem root = radiomics_report(plan, series, segmentation, settled.references, leading ? named_predecessors(*plan.run) : std::vector<PredecessorObject>{});
      const std::string key = series.measured->volume.reference().series_instance_uid + "|" + series.label + "|" + std::to_string(n);
      if (const auto done = writer.write_sr(root, sop_class, evidence, predecessors_of(*plan.run, "SR-R", kinds, leading), "SR-R", key, series_number(9140, index),
                                            "radiomics " + segmentation_label(series, segmentation), "SR-R-" + file_word(segmentation.habitats != nullptr ? segmentation_label(series, segmentation) : series.label));
          !done)
        return done;
      ++index;
    }
  }

  if (has_prediction) {
    std::vector<InstanceReference> evidence = all_evidence;
    for (const WrittenObject& object : writer.written())
      if (object.kind == "SR-R" || object.kind == "SC")
        evidence.push_back({findings.study_instance_uid, object.series_instance_uid, object.sop_class_uid, object.sop_instance_uid});
    const ContentItem root = prediction_report(plan, settled.references, named_predecessors(*plan.run));
    if (const auto done = writer.write_sr(root, sop_class, evidence, predecessors_of(*plan.run, "SR-X", kinds, true), "SR-X", {}, 9160, "prediction", "SR-X"); !done) return done;
  }

  if (key_slice) {
    const ContentItem root = key_slice_report(plan, [](const SliceReference& slice) {
      const auto facts = dicom::read_instance_facts(slice.file);
      return facts ? facts->instance_number : 0;
    });
    if (has_measurement_groups(root))
      if (const auto done = writer.write_sr(root, key_slice_class, all_evidence, predecessors_of(*plan.run, "SR-K", kinds, false), "SR-K", {}, 9190, "key slice", "SR-K"); !done)
        return done;
  }
  return {};
}

void warn_of_charset(const ResultHeader& header) {
  if (header.charset_doubtful())
    log::warn("reporting", "charset_unreadable", {{"hint", "names in the source fit neither their declared character set nor the fallback; unreadable bytes became '?'"}});
}

}  // namespace

Result<std::vector<WrittenObject>> write_report(const StudyFindings& findings, const RunIdentity& run, const ReportSettings& settings,
                                                const std::vector<ChartPage>& pages, const std::filesystem::path& out_dir) {
  const auto source = std::find_if(findings.measured.begin(), findings.measured.end(),
                                   [](const MeasuredSeries& each) { return !each.rois.empty() && !each.volume.reference().slices.empty(); });
  if (source == findings.measured.end()) return fail(ErrorCode::invalid_argument, step, "No series was measured, so there is nothing to report.");
  if (const auto done = make_folder(out_dir); !done) return fail(done.error());
  const auto header = ResultHeader::read(source->volume.reference().slices.front().file, settings.fallback_charset);
  if (!header) return fail(header.error());
  warn_of_charset(*header);

  ExistingSegments existing(findings);
  const ReportPlan plan = plan_report(findings, run, settings, [&](const MeasuredSeries& measured, const RegionOfInterest& roi) { return existing.find(measured, roi); });
  const SettledPages settled = settle_pages(plan, pages);
  Writer writer(plan, *header, out_dir);
  if (const auto done = write_segmentations(writer, plan); !done) return fail(done.error());
  if (const auto done = write_pages(writer, plan, settled); !done) return fail(done.error());
  if (const auto done = write_reports(writer, plan, settled); !done) return fail(done.error());
  if (const auto done = check_written(writer); !done) return fail(done.error());
  return writer.written();
}

Result<std::vector<WrittenObject>> write_not_analysed(const StudyFindings& findings, const RunIdentity& run, const ReportSettings& settings, const std::filesystem::path& out_dir) {
  if (const auto done = make_folder(out_dir); !done) return fail(done.error());
  Result<ResultHeader> header = fail(ErrorCode::missing_attribute, step, "None of the received objects can be read, so no report can name the patient. Send the study again.");
  // An image before an RTSTRUCT or SEG: planning systems abridge patient and study attributes.
  for (const bool images : {true, false}) {
    for (const InputObject& input : findings.inputs) {
      if (header || input.file.empty() || (input.modality != "RTSTRUCT" && input.modality != "SEG") != images) continue;
      if (auto read = ResultHeader::read(input.file, settings.fallback_charset)) header = std::move(read);
    }
  }
  if (!header) return fail(header.error());
  warn_of_charset(*header);

  const ReportPlan plan = plan_report(findings, run, settings, {});
  Writer writer(plan, *header, out_dir);
  std::vector<InstanceReference> evidence;
  for (const InputObject& input : findings.inputs)
    if (!input.sop_class_uid.empty() && !input.sop_instance_uid.empty() && !input.series_instance_uid.empty())
      evidence.push_back({findings.study_instance_uid, input.series_instance_uid, input.sop_class_uid, input.sop_instance_uid});
  const ContentItem root = not_analysed_report(plan, named_predecessors(run));
  if (const auto done = writer.write_sr(root, settings.sr_sop_class, evidence, predecessors_of(run, "SR-N", {"SR-N"}, true), "SR-N", {}, 9160, "not analysed", "SR-N"); !done)
    return fail(done.error());
  if (const auto done = check_written(writer); !done) return fail(done.error());
  return writer.written();
}

}  // namespace choana::reporting
