#include "processing/study_pipeline.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <limits>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "core/rigid_transform.h"
#include "processing/habitats/habitat_clustering.h"
#include "processing/itk/rigid_registration.h"
#include "processing/preparation.h"
#include "processing/preprocessing/resampler.h"
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

/// A series as a package wants it: prepared, and on another series' grid where it says so. Made once, however many regions are measured.
struct PreparedImage {
  std::size_t measured = 0;                 // index into findings.measured
  std::string package_role;                 // as the package names it: T2
  std::vector<PreparationStep> preparation;
  std::optional<std::size_t> base;          // position of the image on its own grid that this one is resampled from
  VolumeGeometry grid;                      // with `base`: to this grid
  RigidTransform grid_to_series;            // with `base`: from points of that grid to points of the series
  SeriesVolume volume;                      // what came out
  std::vector<StepRecord> steps;
  std::optional<Error> error;
};

/// One region on one image, to be measured.
struct MeasurementTask {
  std::size_t measured = 0;                 // index into findings.measured
  std::size_t roi = 0;                      // index into its rois
  std::optional<RegionOfInterest> region;   // measured instead of it: a habitat, or the region on another grid
  std::string role;                         // as found: T2-FS
  std::size_t image = 0;                    // position in images_
  ExtractionProfile profile;
  std::string note;                         // what is special about this measurement, or empty
};

/// Habitats to be found once the images are prepared, and where they are measured.
struct HabitatPlan {
  struct Target {
    std::string package_role;
    std::size_t measured = 0;
    std::size_t image = 0;
    std::optional<RigidTransform> transform;  // from the habitats' grid to the image's
    ExtractionProfile profile;
  };
  std::size_t plan = 0;                     // position in plans_
  const RequiredHabitats* required = nullptr;
  std::size_t measured = 0;
  std::size_t roi = 0;
  std::vector<std::size_t> images;          // one a feature
  std::vector<Target> targets;
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
    prepare_images();
    find_habitats();
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
        tasks_.push_back({m, r, std::nullopt, findings_.measured[m].role, image_index(m, "", {}), default_profile(), ""});
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
    RoleContext context{series_of_role, {}};
    for (const auto& [role, series] : series_of_role) {
      auto request = registration_request(manifest.preprocessing, role);
      if (!request) return reject_package(manifest, request.error());
      if (*request && series_of_role.contains((*request)->to)) context.requests[role] = **request;
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
        auto roi = place(context, *region, role);
        if (!roi) return reject_package(manifest, roi.error());
        const std::size_t m = measured_index(n, *volume);
        const std::size_t r = roi_index(findings_.measured[m], std::move(*roi));
        auto profile = profile_of(manifest, role);
        if (!profile) return reject_package(manifest, profile.error());
        MeasurementTask task{m, r, std::nullopt, findings_.measured[m].role, image_index(m, role, manifest.preprocessing), std::move(*profile), ""};
        if (const auto request = context.requests.find(role); request != context.requests.end() && request->second.resample && context.series.at(request->second.to) != n) {
          const std::string& to = request->second.to;
          auto reference = place(context, *region, to);
          if (!reference) return reject_package(manifest, reference.error());
          auto transform = transform_between(context, to, role, *reference);
          if (!transform) return reject_package(manifest, transform.error());
          task.image = image_index(m, role, manifest.preprocessing, reference->geometry(), transform->value_or(RigidTransform{}));
          task.region = std::move(*reference);
          task.note = "Measured on the image resampled onto the grid of " + to + ", in the region as it lies there.";
        }
        plan.place_of[{role, required.name}] = {m, r};
        plan.task_of[{role, required.name}] = task_index(std::move(task));
      }
    }
    for (const RequiredHabitats& habitats : manifest.habitats)
      if (auto status = plan_habitats(context, plan, habitats); !status) return reject_package(manifest, status.error());
    plans_.push_back(std::move(plan));
  }

  static Result<ExtractionProfile> profile_of(const PackageManifest& manifest, const std::string& role) {
    const auto yaml = manifest.extraction.find(role);
    if (yaml == manifest.extraction.end()) return default_profile();
    return parse_profile(yaml->second, manifest.id + "/" + role);
  }

  // -- series brought together --

  /// A package's roles on this study, and what it wants registered.
  struct RoleContext {
    std::map<std::string, std::size_t> series;
    std::map<std::string, RegistrationRequest> requests;
  };

  /// Does the package want these two registered to one another, or both to a third?
  static const RegistrationRequest* connection(const RoleContext& context, const std::string& from, const std::string& to) {
    const auto a = context.requests.find(from), b = context.requests.find(to);
    if (b != context.requests.end() && (b->second.to == from || (a != context.requests.end() && a->second.to == b->second.to))) return &b->second;
    if (a != context.requests.end() && a->second.to == to) return &a->second;
    return nullptr;
  }

  /// From points of one role's series to points of another's; nothing where their coordinates are the same. focus: on the first
  /// one's grid. Errors: geometry_mismatch (refused, or frames of reference differ and nothing is to be registered).
  Result<std::optional<RigidTransform>> transform_between(const RoleContext& context, const std::string& from, const std::string& to, const RegionOfInterest& focus) {
    const std::size_t a = context.series.at(from), b = context.series.at(to);
    if (a == b) return std::optional<RigidTransform>{};
    const std::string &frame_a = series_[a].frame_of_reference_uid(), &frame_b = series_[b].frame_of_reference_uid();
    const bool same_frame = !frame_a.empty() && frame_a == frame_b;
    const RegistrationRequest* request = connection(context, from, to);
    if (request == nullptr) {
      if (same_frame) return std::optional<RigidTransform>{};
      return fail(ErrorCode::geometry_mismatch, "register", to + " lies in another frame of reference than " + from + ", and the model asks for no registration of the two.");
    }
    const BuiltVolume *reference = main_volume(a), *moving = main_volume(b);
    if (reference == nullptr) return fail(*series_[a].load_error);
    if (moving == nullptr) return fail(*series_[b].load_error);
    const RegistrationSettings& s = request->settings;
    std::string key = std::to_string(a) + "|" + std::to_string(b) + "|" + focus.name() + "|" + focus.origin().sop_instance_uid + "|" + std::to_string(focus.origin().number);
    for (const double limit : {static_cast<double>(s.seed), s.focus_margin_mm, s.translation_max_mm, s.rotation_max_deg, s.overlap_min, s.focus_overlap_min, s.information_min, s.agreement_min})
      key += "|" + std::to_string(limit);
    auto known = registrations_.find(key);
    if (known == registrations_.end()) {
      const double started = now_s();
      auto registered = register_rigidly(reference->volume, moving->volume, &focus, s);
      Registered outcome;
      if (!registered) {
        outcome.error = registered.error();
      } else {
        outcome.registration = *registered;
        outcome.error = refusal_of(*registered, s);
        std::string record = registration_record(*registered);
        record.insert(1, "\"to\":" + quoted(from) + ",\"used\":" + (outcome.error ? "false" : "true") + ",");
        findings_.steps.push_back({"register", to, record, now_s() - started});
        inside_s_ += now_s() - started;
      }
      known = registrations_.emplace(key, std::move(outcome)).first;
    }
    if (!known->second.error) return std::optional<RigidTransform>(known->second.registration.reference_to_moving);
    Error error = *known->second.error;
    if (request->otherwise_geometry && same_frame) {
      issue(error.code, to + " was placed beside " + from + " by their common frame of reference alone. " + error.message, to, focus.name());
      return std::optional<RigidTransform>{};
    }
    error.message = to + " could not be registered to " + from + ". " + error.message;
    return fail(std::move(error));
  }

  /// A region on another grid, moved by a rigid transform: carried onto the grid as it lies before the motion.
  static Result<RegionOfInterest> carry_moved(const RegionOfInterest& roi, const VolumeGeometry& target, const RigidTransform& transform) {
    const RigidTransform back = transform.inverse();
    Matrix3 direction{};
    for (std::size_t r = 0; r < 3; ++r)
      for (std::size_t c = 0; c < 3; ++c)
        for (std::size_t n = 0; n < 3; ++n) direction[3 * r + c] += back.rotation[3 * r + n] * target.direction()[3 * n + c];
    auto seen = VolumeGeometry::make(target.size(), target.spacing_mm(), back.apply(target.origin_mm()), direction, roi.geometry().frame_of_reference_uid());
    if (!seen) return fail(seen.error());
    auto carried = carry_roi(roi, *seen);
    if (!carried) return carried;
    RoiOrigin origin = carried->origin();
    for (std::string& note : origin.notes)
      if (note.starts_with("Carried from the grid it was drawn on")) note = "Carried to another series by rigid registration: " + text_of(roi.volume_ml()) + " ml before, " + text_of(carried->volume_ml()) + " ml after.";
    return RegionOfInterest::make(roi.name(), target, carried->mask(), std::move(origin), roi.finding());
  }

  static std::string text_of(double value) {
    char text[40];
    std::snprintf(text, sizeof text, "%.3f", value);
    return text;
  }

  /// The image on another grid, cubic splines; 0 outside.
  static Result<SeriesVolume> moved_onto(const SeriesVolume& image, const VolumeGeometry& grid, const RigidTransform& grid_to_series) {
    const VolumeGeometry& own = image.geometry();
    const RigidTransform back = grid_to_series.inverse();
    Matrix3 direction{};
    for (std::size_t r = 0; r < 3; ++r)
      for (std::size_t c = 0; c < 3; ++c)
        for (std::size_t n = 0; n < 3; ++n) direction[3 * r + c] += back.rotation[3 * r + n] * own.direction()[3 * n + c];
    auto seen = VolumeGeometry::make(own.size(), own.spacing_mm(), back.apply(own.origin_mm()), direction);
    if (!seen) return fail(seen.error());
    ScalarVolume moved = to_scalar_volume(image);
    moved.geometry = *seen;
    const ScalarVolume resampled = resample_image(moved, grid, Interpolation::cubic_bspline);
    return SeriesVolume::make(grid, {resampled.voxels.begin(), resampled.voxels.end()}, image.pixel_type(), image.reference(), image.acquisition());
  }

  /// A region on the grid of a role's series: drawn there, registered as the package asks, or carried within one frame of reference.
  Result<RegionOfInterest> place(const RoleContext& context, const DrawnRegion& region, const std::string& role) {
    const std::size_t n = context.series.at(role);
    const BuiltVolume* volume = main_volume(n);
    if (volume == nullptr) return fail(*series_[n].load_error);
    const auto home = home_of(region);
    if (!home || *home == n) return bind(region, n, *volume);
    std::string from;
    for (const auto& [other, series] : context.series)
      if (series == *home && connection(context, other, role) != nullptr) from = other;
    if (from.empty())
      if (const auto request = context.requests.find(role); request != context.requests.end()) from = request->second.to;
    if (from.empty() || context.series.at(from) == n) return bind(region, n, *volume);
    const std::size_t source = context.series.at(from);
    const BuiltVolume* drawn_on = main_volume(source);
    if (drawn_on == nullptr) return fail(*series_[source].load_error);
    auto roi = bind(region, source, *drawn_on);
    if (!roi) return roi;
    auto transform = transform_between(context, from, role, *roi);
    if (!transform) return fail(transform.error());
    if (!*transform) return bind(region, n, *volume);
    return carry_moved(*roi, volume->volume.geometry(), **transform);
  }

  // -- habitats --

  template <typename Plan>
  Status plan_habitats(const RoleContext& context, const Plan& plan, const RequiredHabitats& required) {
    const PackageManifest& manifest = settings_.packages[plan.package]->manifest();
    const auto where = plan.place_of.find({required.on, required.of});
    if (where == plan.place_of.end()) return {};  // an optional series or region that is not there: its features are missing
    HabitatPlan habitats;
    habitats.plan = plans_.size();
    habitats.required = &required;
    std::tie(habitats.measured, habitats.roi) = where->second;
    const RegionOfInterest roi = findings_.measured[habitats.measured].rois[habitats.roi];
    const auto image_on = [&](const std::string& role, std::optional<RigidTransform>& transform) -> Result<std::size_t> {
      const auto series = context.series.find(role);
      if (series == context.series.end()) return fail(ErrorCode::missing_role, "habitats", "Habitats need the series " + role + ", which was not received.");
      const BuiltVolume* volume = main_volume(series->second);
      if (volume == nullptr) return fail(*series_[series->second].load_error);
      auto between = transform_between(context, required.on, role, roi);
      if (!between) return fail(between.error());
      transform = *between;
      return image_index(measured_index(series->second, *volume), role, manifest.preprocessing);
    };
    for (const HabitatFeature& feature : required.features) {
      std::optional<RigidTransform> transform;
      auto image = image_on(feature.role, transform);
      if (!image) return fail(image.error());
      if (context.series.at(feature.role) != context.series.at(required.on))
        image = image_index(images_[*image].measured, feature.role, manifest.preprocessing, roi.geometry(), transform.value_or(RigidTransform{}));
      habitats.images.push_back(*image);
    }
    for (const std::string& role : required.measured_on) {
      HabitatPlan::Target target;
      target.package_role = role;
      auto image = image_on(role, target.transform);
      if (!image) return fail(image.error());
      target.image = *image;
      target.measured = images_[*image].measured;
      const auto request = context.requests.find(role);
      if (request != context.requests.end() && request->second.resample && request->second.to == required.on && context.series.at(role) != context.series.at(required.on))
        target.image = image_index(target.measured, role, manifest.preprocessing, roi.geometry(), target.transform.value_or(RigidTransform{}));
      auto profile = profile_of(manifest, role);
      if (!profile) return fail(profile.error());
      target.profile = std::move(*profile);
      habitats.targets.push_back(std::move(target));
    }
    habitat_plans_.push_back(std::move(habitats));
    return {};
  }

  void find_habitats() {
    for (const HabitatPlan& plan : habitat_plans_) {
      const double started = now_s();
      auto found = habitats_of(plan);
      const std::string role = findings_.measured[plan.measured].role;
      if (!found) {
        remember(found.error());
        issue(found.error().code, "No habitats were found for the model '" + settings_.packages[plans_[plan.plan].package]->manifest().id + "': " + found.error().message, role,
              findings_.measured[plan.measured].rois[plan.roi].name());
        continue;
      }
      const HabitatMap map = findings_.habitats[*found];
      findings_.steps.push_back({"habitats", role, "{\"roi\":" + quoted(findings_.measured[plan.measured].rois[plan.roi].name()) + ",\"habitats\":" + std::to_string(map.habitats.size()) +
                                                      ",\"scheme\":" + map.scheme + "}", now_s() - started});
      for (const std::string& note : map.notes) issue(ErrorCode::degenerate_input, note, role, findings_.measured[plan.measured].rois[plan.roi].name());
      for (const HabitatPlan::Target& target : plan.targets) measure_habitats(plan, *found, map, target);
    }
  }

  /// Plan the measurements of all habitats on one series; where that has a grid of its own, the habitats go there too.
  void measure_habitats(const HabitatPlan& plan, std::size_t position, const HabitatMap& map, const HabitatPlan::Target& target) {
    const PreparedImage& image = images_[target.image];
    HabitatMap carried_map = map;
    carried_map.habitats.clear();
    for (std::size_t h = 0; h < map.habitats.size(); ++h) {
      const Habitat& habitat = map.habitats[h];
      const std::string name = plan.required->name + std::to_string(habitat.number);
      plans_[plan.plan].habitat_of[{target.package_role, name}] = {position, h};
      if (image.error) continue;
      MeasurementTask task{target.measured, 0, habitat.region, findings_.measured[target.measured].role, target.image, target.profile, ""};
      if (target.measured != map.measured) {
        const VolumeGeometry& own = findings_.measured[target.measured].volume.geometry();
        auto carried = target.transform ? carry_moved(habitat.region, own, *target.transform) : carry_roi(habitat.region, own);
        if (!carried) {
          issue(carried.error().code, carried.error().message, task.role, habitat.region.name());
          if (!image.base) continue;
        } else {
          carried_map.habitats.push_back(habitat);
          carried_map.habitats.back().region = *carried;
          // An image that lies on the habitats' grid is measured there.
          if (!image.base) task.region = std::move(*carried);
        }
        task.note = "Measured in a habitat that was found on " + findings_.measured[map.measured].role + ".";
      }
      if (habitat.measured) plans_[plan.plan].task_of[{target.package_role, name}] = task_index(std::move(task));
    }
    if (carried_map.habitats.empty()) return;
    // Shown beside the region on that series, if it lies there.
    const std::vector<RegionOfInterest>& rois = findings_.measured[target.measured].rois;
    const RegionOfInterest& whole = findings_.measured[map.measured].rois[map.roi];
    const auto there = std::find_if(rois.begin(), rois.end(), [&](const RegionOfInterest& roi) { return roi.name() == whole.name() && roi.origin().sop_instance_uid == whole.origin().sop_instance_uid; });
    const auto known = [&](const HabitatMap& other) { return other.measured == target.measured && other.scheme == map.scheme; };
    if (there == rois.end() || std::any_of(findings_.habitats.begin(), findings_.habitats.end(), known)) return;
    carried_map.measured = target.measured;
    carried_map.roi = static_cast<std::size_t>(there - rois.begin());
    carried_map.method += "; found on " + findings_.measured[map.measured].role + " and carried to this series";
    findings_.habitats.push_back(std::move(carried_map));
  }

  /// Position in findings_.habitats. Two packages with one scheme on one region share a map.
  Result<std::size_t> habitats_of(const HabitatPlan& plan) {
    const RequiredHabitats& required = *plan.required;
    std::string scheme = "{\"manifest\":" + required.scheme + ",\"preparation\":[";
    for (const std::size_t image : plan.images) scheme += (scheme.back() == '[' ? "" : ",") + preparation_text(images_[image].preparation);
    scheme += "]}";
    for (std::size_t known = 0; known < findings_.habitats.size(); ++known)
      if (findings_.habitats[known].measured == plan.measured && findings_.habitats[known].roi == plan.roi && findings_.habitats[known].scheme == scheme) return known;
    const MeasuredSeries& series = findings_.measured[plan.measured];
    const RegionOfInterest& roi = series.rois[plan.roi];
    std::vector<VoxelFeature> features;
    for (std::size_t f = 0; f < plan.images.size(); ++f) {
      const PreparedImage& image = images_[plan.images[f]];
      if (image.error) return fail(*image.error);
      features.push_back({required.features[f].role, image.volume.voxels(), required.features[f].smoothing_mm});
    }
    auto stack = stack_voxel_features(roi, features);
    if (!stack) return fail(stack.error());
    auto labels = cluster_habitats(*stack, required.settings, settings_.pool);
    if (!labels) return fail(labels.error());
    HabitatMap map;
    map.name = required.name;
    map.scheme = std::move(scheme);
    map.measured = plan.measured;
    map.roi = plan.roi;
    map.criterion = labels->criterion;
    map.notes = labels->notes;
    std::string roles;
    for (const HabitatFeature& feature : required.features) roles += (roles.empty() ? "" : ", ") + feature.role;
    map.method = (required.settings.habitats ? std::to_string(*required.settings.habitats) + " clusters as the model fixes them" : std::to_string(labels->chosen) + " clusters by the lowest BIC of Gaussian mixtures") +
                 ", " + (required.settings.labels == HabitatSettings::Labels::k_means ? "k-means" : "Gaussian mixture") + " of the voxels' intensities (" + roles + "), numbered by " +
                 (required.settings.order_by == "volume" ? "volume" : "mean " + required.settings.order_by) + (required.settings.descending ? ", descending" : ", ascending");
    int maps_before = 0;
    for (const HabitatMap& other : findings_.habitats) maps_before += other.measured == plan.measured && other.roi == plan.roi && other.name == map.name ? 1 : 0;
    for (const HabitatStatistics& one : habitat_statistics(*stack, *labels, roi.geometry().voxel_volume_mm3())) {
      std::vector<std::uint8_t> mask(roi.mask().size(), 0);
      for (std::size_t n = 0; n < stack->voxels.size(); ++n)
        if (labels->labels[n] == one.number) mask[stack->voxels[n]] = 1;
      // Another scheme on the same region keeps names apart.
      const std::string name = roi.name() + " " + map.name + (maps_before > 0 ? "-" + std::to_string(maps_before + 1) : "") + " " + std::to_string(one.number);
      auto region = RegionOfInterest::make(name, roi.geometry(), std::move(mask), roi.origin(), roi.finding());
      if (!region) return fail(region.error());
      const bool measured = one.voxels >= static_cast<std::size_t>(required.settings.voxels_min);
      if (!measured) map.notes.push_back(name + " has " + std::to_string(one.voxels) + " voxels, fewer than " + std::to_string(required.settings.voxels_min) + ": it was not measured.");
      map.habitats.push_back({one.number, std::move(*region), one.fraction, one.means, measured});
    }
    findings_.habitats.push_back(std::move(map));
    return findings_.habitats.size() - 1;
  }

  // Two packages that want the same measurement share it.
  std::size_t task_index(MeasurementTask task) {
    const auto name = [](const MeasurementTask& t) { return t.region ? t.region->name() : std::string(); };
    for (std::size_t t = 0; t < tasks_.size(); ++t) {
      const MeasurementTask& other = tasks_[t];
      if (other.measured == task.measured && other.roi == task.roi && other.image == task.image && name(other) == name(task) && canonical_json(other.profile) == canonical_json(task.profile)) return t;
    }
    tasks_.push_back(std::move(task));
    return tasks_.size() - 1;
  }

  /// A prepared image, on its own grid or on another; the same request gives the same position.
  std::size_t image_index(std::size_t measured, const std::string& package_role, const std::vector<PreparationStep>& preparation,
                          const std::optional<VolumeGeometry>& grid = std::nullopt, const RigidTransform& grid_to_series = {}) {
    PreparedImage image;
    image.measured = measured;
    image.package_role = package_role;
    image.preparation = preparation;
    if (grid) {
      image.base = image_index(measured, package_role, preparation);
      image.grid = *grid;
      image.grid_to_series = grid_to_series;
    }
    for (std::size_t n = 0; n < images_.size(); ++n) {
      const PreparedImage& other = images_[n];
      if (other.measured == measured && other.package_role == package_role && preparation_text(other.preparation) == preparation_text(preparation) && other.base == image.base &&
          (!grid || (other.grid == image.grid && other.grid_to_series.json() == grid_to_series.json())))
        return n;
    }
    images_.push_back(std::move(image));
    return images_.size() - 1;
  }

  static std::string preparation_text(const std::vector<PreparationStep>& steps) {
    std::string text = "[";
    for (const PreparationStep& step : steps) text += (text.size() > 1 ? "," : "") + std::string("{\"step\":\"") + step.step + "\",\"parameters\":" + step.parameters_json + "}";
    return text + "]";
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

  void prepare_images() {
    // Images on their own grids first, then those made of them.
    for (const bool derived : {false, true})
      run_tasks(settings_.pool, images_.size(), [&](std::size_t n) {
        if (images_[n].base.has_value() == derived) prepare_one(images_[n]);
      });
    for (PreparedImage& image : images_)
      for (StepRecord& step : image.steps) findings_.steps.push_back(std::move(step));
  }

  void prepare_one(PreparedImage& image) const {
    const MeasuredSeries& series = findings_.measured[image.measured];
    if (image.base) {
      const PreparedImage& base = images_[*image.base];
      if (base.error) {
        image.error = base.error;
        return;
      }
      const double started = now_s();
      auto moved = moved_onto(base.volume, image.grid, image.grid_to_series);
      if (!moved) {
        image.error = moved.error();
        return;
      }
      image.volume = std::move(*moved);
      image.steps.push_back({"resample_onto", series.role, "{\"interpolator\":\"bspline\",\"transform\":" + image.grid_to_series.json() + "}", now_s() - started});
      return;
    }
    image.volume = series.volume;
    for (const PreparationStep& step : image.preparation) {
      if (step.step == "register") continue;  // carried out where the regions were placed
      const double started = now_s();
      auto prepared = prepare(image.volume, image.package_role, step.step, step.parameters_json, settings_.pool);
      if (!prepared) {
        image.error = prepared.error();
        return;
      }
      image.volume = std::move(prepared->volume);
      image.steps.push_back({step.step, series.role, prepared->record_json, now_s() - started});
    }
  }

  void measure() {
    std::vector<MeasurementOutcome> outcomes(tasks_.size());
    run_tasks(settings_.pool, tasks_.size(), [&](std::size_t t) { outcomes[t] = measure_one(tasks_[t]); });
    measurement_of_task_.assign(tasks_.size(), std::nullopt);
    for (std::size_t t = 0; t < tasks_.size(); ++t) {
      MeasurementOutcome& outcome = outcomes[t];
      for (StepRecord& step : outcome.steps) findings_.steps.push_back(std::move(step));
      if (outcome.error) {
        remember(*outcome.error);
        issue(outcome.error->code, outcome.error->message, tasks_[t].role, region_of(tasks_[t]).name());
        continue;
      }
      measurement_of_task_[t] = findings_.measurements.size();
      findings_.measurements.push_back(std::move(*outcome.measurement));
    }
  }

  [[nodiscard]] const RegionOfInterest& region_of(const MeasurementTask& task) const { return task.region ? *task.region : findings_.measured[task.measured].rois[task.roi]; }

  MeasurementOutcome measure_one(const MeasurementTask& task) const {
    MeasurementOutcome outcome;
    const MeasuredSeries& series = findings_.measured[task.measured];
    const RegionOfInterest& roi = region_of(task);
    const PreparedImage& image = images_[task.image];
    if (image.error) {
      outcome.error = image.error;
      return outcome;
    }
    const double started = now_s();
    auto extracted = extract_features(to_scalar_volume(image.volume), to_mask_volume(roi), 1, task.profile, settings_.pool);
    if (!extracted) {
      outcome.error = extracted.error();
      return outcome;
    }
    const std::string profile = canonical_json(task.profile);
    outcome.steps.push_back({"radiomics", task.role, "{\"roi\":" + quoted(roi.name()) + ",\"profile\":" + quoted(task.profile.name) + "}", now_s() - started});
    outcome.measurement = Measurement{task.role, roi.name(), series.volume.reference().series_instance_uid, task.profile.name,
                                      "{\"preparation\":" + preparation_text(image.preparation) + ",\"profile\":" + profile + "}", std::move(extracted->features), std::move(extracted->notes)};
    if (!task.note.empty()) outcome.measurement->notes.push_back(task.note);
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
        if (feature.kind == "habitat")
          if (const auto value = habitat_value(plan, feature)) inputs[feature.id] = *value;
        if (feature.kind != "radiomic" && feature.kind != "habitat") continue;
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

  /// What is known of a habitat without measuring it: its volume, its share of the region, and how many there are.
  template <typename Plan>
  std::optional<double> habitat_value(const Plan& plan, const PackageFeature& feature) const {
    for (const auto& [key, where] : plan.habitat_of) {
      const HabitatMap& map = findings_.habitats[where.first];
      if (key.first != feature.role) continue;
      if (feature.feature == "count" && key.second == feature.roi + "1") return static_cast<double>(map.habitats.size());
      if (key.second != feature.roi) continue;
      const Habitat& habitat = map.habitats[where.second];
      if (feature.feature == "fraction") return habitat.fraction;
      if (feature.feature == "volume") return 1000 * habitat.region.volume_ml();
    }
    return std::nullopt;
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
    findings_.habitats.clear();
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
    std::map<std::pair<std::string, std::string>, std::pair<std::size_t, std::size_t>> place_of;    // ... to findings.measured and its rois
    std::map<std::pair<std::string, std::string>, std::pair<std::size_t, std::size_t>> habitat_of;  // ... to findings.habitats and its habitats
  };

  struct Registered {
    RigidRegistration registration;
    std::optional<Error> error;  // it failed, or is not good enough
  };

  const PipelineSettings& settings_;
  const StudyInput& input_;
  StudyFindings findings_;
  std::vector<SeriesState> series_;
  std::vector<DrawnRegion> regions_;
  std::vector<std::optional<std::optional<std::size_t>>> homes_;  // by region: not asked yet, none, or a series
  std::map<std::string, Registered> registrations_;
  std::vector<PreparedImage> images_;
  std::vector<HabitatPlan> habitat_plans_;
  std::vector<MeasurementTask> tasks_;
  std::vector<std::optional<std::size_t>> measurement_of_task_;
  std::vector<PackagePlan> plans_;
  std::optional<Error> first_error_;
  double inside_s_ = 0;  // of steps that ended within the present one
};

}  // namespace

StudyFindings StudyPipeline::run(const StudyInput& input) const { return StudyRun(settings_, input).run(); }

}  // namespace choana::processing
