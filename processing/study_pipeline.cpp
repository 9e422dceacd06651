#include "processing/study_pipeline.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <limits>
#include <optional>
#include <set>
#include <utility>

#include "processing/preparation.h"
#include "processing/radiomics/extraction_profile.h"
#include "processing/radiomics/feature_extractor.h"
#include "processing/roi/roi_builder.h"
#include "processing/roles/series_roles.h"
#include "processing/volume/volume_builder.h"

namespace choana::processing {
namespace {

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

/// A series of the study on its way to being measured.
struct SeriesState {
  const std::vector<AcquiredSlice>* slices = nullptr;
  SeriesDecision decision;
  RoleDecision role;
  VolumeSummary summary;
  bool tried = false;
  std::vector<BuiltVolume> volumes;
  std::optional<Error> load_error;

  [[nodiscard]] const std::string& uid() const { return slices->front().series_instance_uid; }
  [[nodiscard]] const std::string& frame_of_reference_uid() const { return slices->front().frame_of_reference_uid; }
};

/// One region on one volume, to be prepared and measured.
struct MeasurementTask {
  std::size_t measured = 0;                 // index into findings.measured
  std::size_t roi = 0;                      // index into its rois
  std::string role;                         // as found: T2-FS
  std::string package_role;                 // as the package names it: T2
  std::vector<PreparationStep> preparation;
  ExtractionProfile profile;
};

struct MeasurementOutcome {
  std::optional<Measurement> measurement;
  std::vector<StepRecord> steps;
  std::optional<Error> error;
};

std::string dwi_role(const std::string& role, std::optional<double> b_value) {
  if (role != "DWI" || !b_value) return role;
  return "DWI-b" + std::to_string(std::lround(*b_value));
}

// What headers alone tell of a series: enough to choose its role before any pixel is decoded.
VolumeSummary summarise_headers(const std::vector<AcquiredSlice>& slices) {
  VolumeSummary summary;
  std::set<double> b_values;
  std::map<double, int> slices_of_b;
  for (const AcquiredSlice& slice : slices) {
    const double b = slice.acquisition.b_value_s_per_mm2.value_or(-1);
    if (b >= 0) b_values.insert(b);
    summary.slices = std::max(summary.slices, ++slices_of_b[b]);
    summary.field_of_view_mm = std::max({summary.field_of_view_mm, slice.columns * slice.column_spacing_mm, slice.rows * slice.row_spacing_mm});
  }
  summary.b_values_s_per_mm2.assign(b_values.begin(), b_values.end());
  const AcquiredSlice& first = slices.front();
  if (first.has_geometry) {
    const Vector3 &x = first.row_direction, &y = first.column_direction, z = cross(x, y);
    if (const auto grid = VolumeGeometry::make({1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {x[0], y[0], z[0], x[1], y[1], z[1], x[2], y[2], z[2]})) summary.plane = plane_of(*grid);
  }
  return summary;
}

class StudyRun {
 public:
  StudyRun(const PipelineSettings& settings, const StudyInput& input) : settings_(settings), input_(input) {}

  StudyFindings run() {
    findings_.study_instance_uid = input_.study_instance_uid;
    findings_.inputs = input_.inputs;
    findings_.issues = input_.issues;
    assign_roles();
    collect_regions();
    if (settings_.packages.empty())
      plan_radiomics();
    else
      for (std::size_t n = 0; n < settings_.packages.size(); ++n) plan_package(n);
    measure();
    predict();
    conclude();
    for (SeriesState& state : series_) {
      if (state.decision.role.empty() && !state.role.role.empty()) {
        state.decision.role = state.role.role;
        if (!settings_.packages.empty()) state.decision.reasons.push_back("Not measured: no model in use needs it.");
      }
      findings_.series.push_back(state.decision);
    }
    return std::move(findings_);
  }

 private:
  // -- roles --

  void assign_roles() {
    const Timer timer(*this, "assign_roles", "");
    for (const std::vector<AcquiredSlice>& slices : input_.series) {
      if (slices.empty()) continue;
      SeriesState state;
      state.slices = &slices;
      state.summary = summarise_headers(slices);
      state.role = classify_series(slices[slices.size() / 2].acquisition, state.summary, settings_.rules);
      for (const auto& [role, uid] : settings_.role_overrides)
        if (uid == slices.front().series_instance_uid) {
          state.role.role = role;
          state.role.reasons = {"named for this role by a person"};
        }
      state.decision.series_instance_uid = slices.front().series_instance_uid;
      state.decision.series_number = slices.front().series_number;
      state.decision.description = slices.front().acquisition.series_description;
      state.decision.reasons = state.role.reasons;
      state.decision.rejected = state.role.rejected;
      series_.push_back(std::move(state));
    }
  }

  // -- regions --

  void collect_regions() {
    for (const StructureSet& set : input_.structure_sets)
      for (const std::string& note : set.notes) issue(ErrorCode::invalid_attribute, "RTSTRUCT: " + note, "", "");
    for (const StructureSet& set : input_.structure_sets)
      for (const StructureSetRoi& roi : set.rois) regions_.push_back({roi.name, &set, &roi, nullptr, 0});
    for (const SegmentationObject& segmentation : input_.segmentations)
      for (const SegmentDescription& segment : segmentation.segments) {
        const auto same = std::find_if(regions_.begin(), regions_.end(), [&](const DrawnRegion& r) { return r.roi != nullptr && r.name == segment.label; });
        if (same != regions_.end()) {
          issue(ErrorCode::conflicting_instance, "The region '" + segment.label + "' was received as RTSTRUCT and as SEG; the RTSTRUCT was used.", "", segment.label);
          continue;
        }
        regions_.push_back({segment.label, nullptr, nullptr, &segmentation, segment.number});
      }
  }

  /// The series a region was drawn on: named by its references, or else the one of its frame of reference whose slices
  /// lie nearest to the contours. References are checked, not trusted: they are wrong or absent in real objects.
  std::optional<std::size_t> home_of(const DrawnRegion& region) {
    const auto index = static_cast<std::size_t>(&region - regions_.data());
    if (homes_.size() < regions_.size()) homes_.resize(regions_.size());
    if (!homes_[index]) homes_[index] = find_home(region);
    return *homes_[index];
  }

  std::optional<std::size_t> find_home(const DrawnRegion& region) const {
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

  // Mean distance of the drawn planes to the nearest slice; planes that are not parallel to the slices count their extent.
  static double plane_distance_mm(const DrawnRegion& region, const std::vector<AcquiredSlice>& slices) {
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

  // -- volumes --

  std::vector<BuiltVolume>& volumes_of(std::size_t n) {
    SeriesState& state = series_[n];
    if (state.tried) return state.volumes;
    state.tried = true;
    const Timer timer(*this, "read_series", state.role.role);
    auto slices = input_.load(state.uid());
    if (!slices) {
      state.load_error = slices.error();
    } else {
      auto built = build_volumes(std::move(*slices));
      if (!built) {
        state.load_error = built.error();
      } else {
        state.volumes = std::move(built->volumes);
        state.decision.rejected.insert(state.decision.rejected.end(), built->rejected.begin(), built->rejected.end());
        if (state.volumes.empty())
          state.load_error = Error{ErrorCode::irregular_slices, "build_volumes",
                                   built->rejected.empty() ? "No volume could be built from the series." : built->rejected.front(), ""};
      }
    }
    if (state.load_error) state.decision.rejected.push_back(state.load_error->message);
    return state.volumes;
  }

  /// The volume of a series that is measured: the only one, or of a diffusion series that of the highest b-value.
  BuiltVolume* main_volume(std::size_t n) {
    std::vector<BuiltVolume>& volumes = volumes_of(n);
    BuiltVolume* best = nullptr;
    for (BuiltVolume& volume : volumes)
      if (best == nullptr || volume.b_value_s_per_mm2.value_or(-1) > best->b_value_s_per_mm2.value_or(-1)) best = &volume;
    return best;
  }

  /// The role, or what the series is when no rule knew it: MR.
  [[nodiscard]] std::string role_or_modality(std::size_t n) const {
    if (!series_[n].role.role.empty()) return series_[n].role.role;
    const std::string& modality = series_[n].slices->front().acquisition.modality;
    return modality.empty() ? "MR" : modality;
  }

  // -- binding a region to a series --

  static Result<RegionOfInterest> delineate(const DrawnRegion& region, const SeriesVolume& volume, const RoiSettings& how) {
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

  static Error unresolved(const DrawnRegion& region) {
    return {ErrorCode::roi_unresolved_reference, "bind_roi",
            std::string("The ") + region.kind() + " region '" + region.name +
                "' was drawn on a series that was not received: neither its image references nor its frame of reference match any series. "
                "Send the series it was drawn on.", ""};
  }

  /// A region on the grid of series n: drawn there, or carried from the series it was drawn on within one frame of
  /// reference.
  Result<RegionOfInterest> bind(const DrawnRegion& region, std::size_t n, const BuiltVolume& target) {
    const auto home = home_of(region);
    if (!home) return fail(unresolved(region));
    // Its own images are evidence enough, even when the frame of reference was lost or differs.
    RoiSettings how;
    how.accept_other_frame_of_reference = true;
    if (*home == n) {
      auto roi = delineate(region, target.volume, how);
      if (roi && !region.frame_of_reference_uid().empty() && region.frame_of_reference_uid() != series_[n].frame_of_reference_uid())
        issue(ErrorCode::geometry_mismatch, "The region '" + region.name + "' names another frame of reference than the images it refers to; it was placed by its references.", "", region.name);
      return roi;
    }
    const std::string& frame = series_[*home].frame_of_reference_uid();
    if (frame.empty() || frame != series_[n].frame_of_reference_uid())
      return fail(ErrorCode::geometry_mismatch, "bind_roi",
                  "The region '" + region.name + "' was drawn in another frame of reference than series " + std::to_string(series_[n].decision.series_number) +
                      "; it is not carried over without registration.");
    const BuiltVolume* drawn_on = main_volume(*home);
    if (drawn_on == nullptr) return fail(*series_[*home].load_error);
    auto drawn = delineate(region, drawn_on->volume, how);
    if (!drawn) return drawn;
    return carry_roi(*drawn, target.volume.geometry());
  }

  /// Index into findings_.measured of this series, added when new.
  std::size_t measured_index(std::size_t n, const BuiltVolume& volume) {
    const std::string role = dwi_role(role_or_modality(n), volume.b_value_s_per_mm2);
    for (std::size_t m = 0; m < findings_.measured.size(); ++m)
      if (findings_.measured[m].volume.reference().series_instance_uid == series_[n].uid()) return m;
    series_[n].decision.role = role;
    findings_.measured.push_back({role, volume.volume, {}});
    for (const std::string& note : volume.notes) series_[n].decision.reasons.push_back(note);
    if (volume.volume.acquisition().lossy_compressed)
      issue(ErrorCode::degenerate_input, "Series " + std::to_string(series_[n].decision.series_number) + " is lossy compressed; its feature values differ from those of the original.", role, "");
    return findings_.measured.size() - 1;
  }

  std::size_t roi_index(MeasuredSeries& measured, RegionOfInterest roi) {
    for (std::size_t r = 0; r < measured.rois.size(); ++r)
      if (measured.rois[r].name() == roi.name() && measured.rois[r].origin().sop_instance_uid == roi.origin().sop_instance_uid && measured.rois[r].origin().number == roi.origin().number) return r;
    measured.rois.push_back(std::move(roi));
    return measured.rois.size() - 1;
  }

  // -- radiomics only: every series that a region binds to --

  void plan_radiomics() {
    const Timer timer(*this, "delineate", "");
    for (std::size_t n = 0; n < series_.size(); ++n) {
      for (const DrawnRegion& region : regions_) {
        // Asked before pixels are read: a series of another frame of reference is left alone.
        const auto home = home_of(region);
        const bool related = home && (*home == n || (!series_[n].frame_of_reference_uid().empty() && series_[n].frame_of_reference_uid() == series_[*home].frame_of_reference_uid()));
        if (!home) remember(unresolved(region));
        if (!related) continue;
        const BuiltVolume* volume = main_volume(n);
        if (volume == nullptr) {
          remember(*series_[n].load_error);
          break;
        }
        auto roi = bind(region, n, *volume);
        if (!roi) {
          remember(roi.error());
          issue(roi.error().code, roi.error().message, role_or_modality(n), region.name);
          continue;
        }
        const std::size_t m = measured_index(n, *volume);
        const std::size_t r = roi_index(findings_.measured[m], std::move(*roi));
        tasks_.push_back({m, r, findings_.measured[m].role, {}, {}, default_profile()});
      }
    }
  }

  // -- a package: its roles, its region --

  void plan_package(std::size_t p) {
    const Timer timer(*this, "delineate", "");
    const PackageManifest& manifest = settings_.packages[p]->manifest();
    PackagePlan plan;
    plan.package = p;
    std::map<std::string, std::size_t> series_of_role;
    for (const RequiredSequence& sequence : manifest.sequences) {
      const auto chosen = choose_series(sequence);
      if (chosen) {
        series_of_role[sequence.role] = *chosen;
        continue;
      }
      if (!sequence.required) continue;
      return reject_package(manifest, Error{ErrorCode::missing_role, "assign_roles",
                                            "No " + sequence.role + " series was found for the model '" + manifest.title + "'" + what_was_found() + ".", ""});
    }
    for (const RequiredRoi& required : manifest.rois) {
      // The most wanted name wins; of equal ranks the first that was received.
      const DrawnRegion* region = nullptr;
      std::size_t rank = std::numeric_limits<std::size_t>::max();
      for (const DrawnRegion& candidate : regions_)
        if (const auto r = required.rank_of(candidate.name); r && *r < rank) {
          rank = *r;
          region = &candidate;
        }
      if (region == nullptr) {
        if (!required.required) continue;
        return reject_package(manifest, regions_.empty() ? no_region() : Error{ErrorCode::roi_missing, "delineate", "No region is named as the model '" + manifest.title + "' expects (" + joined(required.name_patterns) + "); received were: " + region_names() + ".", ""});
      }
      for (const std::string& role : required.of_roles) {
        const auto found = series_of_role.find(role);
        if (found == series_of_role.end()) continue;
        const std::size_t n = found->second;
        const BuiltVolume* volume = main_volume(n);
        if (volume == nullptr) return reject_package(manifest, *series_[n].load_error);
        auto roi = bind(*region, n, *volume);
        if (!roi) return reject_package(manifest, roi.error());
        const std::size_t m = measured_index(n, *volume);
        const std::size_t r = roi_index(findings_.measured[m], std::move(*roi));
        const auto yaml = manifest.extraction.find(role);
        ExtractionProfile profile = default_profile();
        if (yaml != manifest.extraction.end()) {
          auto parsed = parse_profile(yaml->second, manifest.id + "/" + role);
          if (!parsed) return reject_package(manifest, parsed.error());
          profile = std::move(*parsed);
        }
        plan.task_of[{role, required.name}] = task_index({m, r, findings_.measured[m].role, role, manifest.preprocessing, std::move(profile)});
      }
    }
    plans_.push_back(std::move(plan));
  }

  // Two packages that want the same measurement share it.
  std::size_t task_index(MeasurementTask task) {
    for (std::size_t t = 0; t < tasks_.size(); ++t) {
      const MeasurementTask& other = tasks_[t];
      const auto same_step = [](const PreparationStep& a, const PreparationStep& b) { return a.step == b.step && a.parameters_json == b.parameters_json; };
      if (other.measured == task.measured && other.roi == task.roi && other.package_role == task.package_role && canonical_json(other.profile) == canonical_json(task.profile) &&
          std::equal(other.preparation.begin(), other.preparation.end(), task.preparation.begin(), task.preparation.end(), same_step))
        return t;
    }
    tasks_.push_back(std::move(task));
    return tasks_.size() - 1;
  }

  std::optional<std::size_t> choose_series(const RequiredSequence& sequence) {
    for (const std::string& accepted : sequence.accepts) {
      std::vector<RoleCandidate> candidates;
      for (const SeriesState& state : series_) {
        const AcquisitionFacts& facts = state.slices->front().acquisition;
        candidates.push_back({state.role, state.summary, "series " + std::to_string(state.decision.series_number), facts.acquisition_date, facts.acquisition_time});
      }
      const auto choice = choose_candidate(accepted, candidates);
      if (!choice) continue;
      const std::size_t n = choice->index;
      series_[n].decision.reasons.insert(series_[n].decision.reasons.end(), choice->reasons.begin(), choice->reasons.end());
      if (accepted != sequence.role) series_[n].decision.reasons.push_back("taken in the place of " + sequence.role);
      return n;
    }
    return std::nullopt;
  }

  void reject_package(const PackageManifest& manifest, Error error) {
    remember(error);
    issue(error.code, "The model '" + manifest.id + "' was not run: " + error.message, "", "");
  }

  std::string what_was_found() const {
    std::string text;
    for (const SeriesState& state : series_) {
      text += text.empty() ? "; received were: " : ", ";
      text += "series " + std::to_string(state.decision.series_number) + " " + (state.role.role.empty() ? "of no known role" : state.role.role);
    }
    return text.empty() ? "; no image series was received" : text;
  }

  static std::string joined(const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
    return text;
  }

  std::string region_names() const {
    std::vector<std::string> names;
    for (const DrawnRegion& region : regions_) names.push_back(region.name);
    return joined(names);
  }

  // -- measuring --

  void measure() {
    std::vector<MeasurementOutcome> outcomes(tasks_.size());
    run_tasks(settings_.pool, tasks_.size(), [&](std::size_t t) { outcomes[t] = measure_one(tasks_[t]); });
    measurement_of_task_.assign(tasks_.size(), std::nullopt);
    for (std::size_t t = 0; t < tasks_.size(); ++t) {
      MeasurementOutcome& outcome = outcomes[t];
      for (StepRecord& step : outcome.steps) findings_.steps.push_back(std::move(step));
      if (outcome.error) {
        remember(*outcome.error);
        issue(outcome.error->code, outcome.error->message, tasks_[t].role, findings_.measured[tasks_[t].measured].rois[tasks_[t].roi].name());
        continue;
      }
      measurement_of_task_[t] = findings_.measurements.size();
      findings_.measurements.push_back(std::move(*outcome.measurement));
    }
  }

  MeasurementOutcome measure_one(const MeasurementTask& task) const {
    MeasurementOutcome outcome;
    const MeasuredSeries& series = findings_.measured[task.measured];
    const RegionOfInterest& roi = series.rois[task.roi];
    SeriesVolume image = series.volume;
    std::string preparation = "[";
    for (const PreparationStep& step : task.preparation) {
      const double started = now_s();
      auto prepared = prepare(image, task.package_role, step.step, step.parameters_json, settings_.pool != nullptr ? settings_.pool->threads() : 1);
      if (!prepared) {
        outcome.error = prepared.error();
        return outcome;
      }
      image = std::move(prepared->volume);
      outcome.steps.push_back({step.step, task.role, prepared->record_json, now_s() - started});
      preparation += (preparation.size() > 1 ? "," : "") + std::string("{\"step\":\"") + step.step + "\",\"parameters\":" + step.parameters_json + "}";
    }
    preparation += "]";
    const double started = now_s();
    auto extracted = extract_features(to_scalar_volume(image), to_mask_volume(roi), 1, task.profile, settings_.pool);
    if (!extracted) {
      outcome.error = extracted.error();
      return outcome;
    }
    const std::string profile = canonical_json(task.profile);
    outcome.steps.push_back({"radiomics", task.role, "{\"roi\":" + quoted(roi.name()) + ",\"profile\":" + quoted(task.profile.name) + "}", now_s() - started});
    outcome.measurement = Measurement{task.role, roi.name(), series.volume.reference().series_instance_uid, task.profile.name,
                                      "{\"preparation\":" + preparation + ",\"profile\":" + profile + "}", std::move(extracted->features), std::move(extracted->notes)};
    return outcome;
  }

  static std::string quoted(const std::string& text) {
    std::string json = "\"";
    for (const char c : text) {
      if (c == '"' || c == '\\') json += '\\';
      if (static_cast<unsigned char>(c) < 0x20) {
        char escape[8];
        std::snprintf(escape, sizeof escape, "\\u%04x", c);
        json += escape;
      } else {
        json += c;
      }
    }
    return json + "\"";
  }

  // -- predicting --

  void predict() {
    for (const PackagePlan& plan : plans_) {
      const ModelPackage& package = *settings_.packages[plan.package];
      const Timer timer(*this, "predict", "");
      std::map<std::string, double> inputs;
      for (const PackageFeature& feature : package.manifest().features) {
        if (feature.kind == "clinical")
          if (const auto value = clinical_value(package.manifest(), feature)) inputs[feature.id] = *value;
        if (feature.kind != "radiomic") continue;
        const auto task = plan.task_of.find({feature.role, feature.roi});
        if (task == plan.task_of.end() || !measurement_of_task_[task->second]) continue;
        const auto id = FeatureId::parse(feature.feature);
        if (!id) continue;
        if (const auto number = findings_.measurements[*measurement_of_task_[task->second]].features.number(*id)) inputs[feature.id] = *number;
      }
      auto predictions = package.predict(inputs);
      if (!predictions) {
        remember(predictions.error());
        issue(predictions.error().code, "The model '" + package.manifest().id + "' gave no prediction: " + predictions.error().message, "", "");
        continue;
      }
      for (Prediction& prediction : *predictions) findings_.predictions.push_back(std::move(prediction));
    }
  }

  static std::optional<std::chrono::sys_days> day_of(const std::string& date) {
    std::string digits;
    for (const char c : date)
      if (c >= '0' && c <= '9') digits += c;
    if (digits.size() != 8) return std::nullopt;
    const std::chrono::year_month_day day{std::chrono::year{std::stoi(digits.substr(0, 4))}, std::chrono::month{static_cast<unsigned>(std::stoi(digits.substr(4, 2)))},
                                          std::chrono::day{static_cast<unsigned>(std::stoi(digits.substr(6, 2)))}};
    if (!day.ok()) return std::nullopt;
    return std::chrono::sys_days{day};
  }

  /// A clinical value that the package may use; otherwise an issue says why not, and the package's rule for missing values holds.
  std::optional<double> clinical_value(const PackageManifest& manifest, const PackageFeature& feature) {
    const std::string name = feature.id.starts_with("clinical.") ? feature.id.substr(9) : feature.id;
    const auto wanted = std::find_if(manifest.clinical.begin(), manifest.clinical.end(), [&](const ClinicalInput& c) { return c.name == name; });
    const auto given = std::find_if(input_.clinical.begin(), input_.clinical.end(), [&](const ClinicalValue& v) { return v.name == name; });
    if (wanted == manifest.clinical.end() || given == input_.clinical.end()) return std::nullopt;
    const auto unusable = [&](const std::string& why) {
      issue(ErrorCode::missing_value, "The clinical value '" + name + "' was not used by the model '" + manifest.id + "': " + why, "", "");
      return std::nullopt;
    };
    if (given->unit != wanted->unit) return unusable("it was given in '" + given->unit + "', the model needs '" + wanted->unit + "'.");
    if (wanted->max_age_days) {
      const auto measured = day_of(given->date), studied = day_of(input_.study_date);
      if (!measured) return unusable("it has no date, and the model takes none older than " + std::to_string(*wanted->max_age_days) + " days.");
      if (studied && std::chrono::abs(*studied - *measured).count() > *wanted->max_age_days)
        return unusable("it was measured " + std::to_string(std::chrono::abs(*studied - *measured).count()) + " days from the study; the model takes at most " +
                        std::to_string(*wanted->max_age_days) + ".");
    }
    if (std::find(findings_.clinical.begin(), findings_.clinical.end(), *given) == findings_.clinical.end()) findings_.clinical.push_back(*given);
    return given->value;
  }

  // -- the verdict --

  static Error no_region() {
    return {ErrorCode::roi_missing, "delineate", "No region was received: the study holds no readable RTSTRUCT or SEG with a region. Send the delineation, then the study is analysed.", ""};
  }

  void conclude() {
    if (!findings_.measurements.empty()) {
      findings_.outcome = Outcome::reported;
      return;
    }
    findings_.outcome = Outcome::not_analysed;
    findings_.measured.clear();
    if (series_.empty())
      findings_.reason = unreadable_or({ErrorCode::no_image_series, "read_study", "No readable MR series was received.", ""});
    else if (regions_.empty())
      findings_.reason = unreadable_or(no_region());
    else if (first_error_)
      findings_.reason = *first_error_;
    else
      findings_.reason = {ErrorCode::roi_unresolved_reference, "delineate", "No region lies on a received series.", ""};
  }

  // An object that could not be read explains an absence better than the absence itself.
  Error unreadable_or(Error otherwise) const {
    if (input_.issues.empty()) return otherwise;
    return {input_.issues.front().code, "read_study", otherwise.message + " An object could not be read: " + input_.issues.front().text, ""};
  }

  void remember(const Error& error) {
    if (!first_error_) first_error_ = error;
  }

  void issue(ErrorCode code, std::string text, std::string role, std::string roi) {
    StudyIssue added{code, std::move(text), std::move(role), std::move(roi)};
    const auto same = [&](const StudyIssue& other) { return other.text == added.text && other.role == added.role && other.roi == added.roi; };
    if (std::none_of(findings_.issues.begin(), findings_.issues.end(), same)) findings_.issues.push_back(std::move(added));
  }

  [[nodiscard]] double now_s() const { return settings_.now_s ? settings_.now_s() : 0.0; }

  class Timer {
   public:
    Timer(StudyRun& run, std::string name, std::string role)
        : run_(run), name_(std::move(name)), role_(std::move(role)), started_(run.now_s()), outer_inside_(std::exchange(run.inside_s_, 0)) {}
    // A step within a step is recorded by itself and not counted twice.
    ~Timer() {
      const double all = run_.now_s() - started_;
      run_.findings_.steps.push_back({name_, role_, "{}", all - run_.inside_s_});
      run_.inside_s_ = outer_inside_ + all;
    }
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;

   private:
    StudyRun& run_;
    std::string name_, role_;
    double started_, outer_inside_;
  };

  struct PackagePlan {
    std::size_t package = 0;
    std::map<std::pair<std::string, std::string>, std::size_t> task_of;  // (role, roi) as the package names them
  };

  const PipelineSettings& settings_;
  const StudyInput& input_;
  StudyFindings findings_;
  std::vector<SeriesState> series_;
  std::vector<DrawnRegion> regions_;
  std::vector<std::optional<std::optional<std::size_t>>> homes_;  // by region: not asked yet, none, or a series
  std::vector<MeasurementTask> tasks_;
  std::vector<std::optional<std::size_t>> measurement_of_task_;
  std::vector<PackagePlan> plans_;
  std::optional<Error> first_error_;
  double inside_s_ = 0;  // of steps that ended within the present one
};

}  // namespace

StudyFindings StudyPipeline::run(const StudyInput& input) const { return StudyRun(settings_, input).run(); }

}  // namespace choana::processing
