#include "processing/study_pipeline.h"

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <utility>

#include "processing/pipeline/package_inputs.h"
#include "processing/pipeline/package_plan.h"
#include "processing/pipeline/series_alignment.h"
#include "processing/pipeline/study_habitats.h"
#include "processing/pipeline/study_images.h"
#include "processing/pipeline/study_log.h"
#include "processing/pipeline/study_measurements.h"
#include "processing/pipeline/study_networks.h"
#include "processing/pipeline/study_regions.h"
#include "processing/pipeline/study_robustness.h"
#include "processing/pipeline/study_series.h"
#include "processing/preparation.h"

namespace choana::processing {
namespace {

/// One run: the parts of the pipeline, wired.
class StudyRun {
 public:
  StudyRun(const PipelineSettings& settings, const StudyInput& input)
      : settings_(settings), input_(input), log_(findings_, settings.now_s), series_(input, findings_, log_), regions_(input, series_, log_), alignment_(series_, regions_, log_),
        images_(findings_, log_), measurements_(images_, findings_, log_), robustness_(images_, measurements_, log_), habitats_(series_, alignment_, images_, measurements_, findings_, log_) {}

  StudyFindings run() {
    findings_.study_instance_uid = input_.study_instance_uid;
    findings_.inputs = input_.inputs;
    findings_.issues = input_.issues;
    series_.assign_roles(settings_);
    regions_.collect();
    if (settings_.packages.empty())
      plan_radiomics();
    else
      for (std::size_t n = 0; n < settings_.packages.size(); ++n) plan_package(n);
    images_.prepare_all(settings_.pool);
    habitats_.find(settings_, plans_);
    measurements_.run(settings_.pool);
    StudyNetworks(images_, measurements_, findings_, log_).run(settings_, plans_);
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
  // -- radiomics only: every series that a region binds to --

  void plan_radiomics() {
    const StudyLog::Timer timer(log_, "delineate", "");
    for (std::size_t n = 0; n < series_.size(); ++n) {
      for (const DrawnRegion& region : regions_.all()) {
        // Asked before pixels are read: a series of another frame of reference is left alone.
        const auto home = regions_.home_of(region);
        const bool related = home && (*home == n || (!series_[n].frame_of_reference_uid().empty() && series_[n].frame_of_reference_uid() == series_[*home].frame_of_reference_uid()));
        if (!home) log_.remember(StudyRegions::unresolved(region));
        if (!related) continue;
        const BuiltVolume* volume = series_.main_volume(n);
        if (volume == nullptr) {
          log_.remember(*series_[n].load_error);
          break;
        }
        auto roi = regions_.bind(region, n, *volume);
        if (!roi) {
          log_.remember(roi.error());
          log_.issue(roi.error().code, roi.error().message, series_.role_or_modality(n), region.name);
          continue;
        }
        const std::size_t m = series_.measured_index(n, *volume);
        const std::size_t r = roi_index(findings_.measured[m], std::move(*roi));
        measurements_.index({m, r, std::nullopt, findings_.measured[m].role, images_.index(m, "", {}), default_profile(), ""});
      }
    }
  }

  // -- a package: its roles, its region --

  void plan_package(std::size_t p) {
    const StudyLog::Timer timer(log_, "delineate", "");
    const PackageManifest& manifest = settings_.packages[p]->manifest();
    PackagePlan plan;
    plan.package = p;
    std::map<std::string, std::size_t> series_of_role;
    for (const RequiredSequence& sequence : manifest.sequences) {
      const auto chosen = series_.choose(sequence);
      if (chosen) {
        series_of_role[sequence.role] = *chosen;
        continue;
      }
      if (!sequence.required) continue;
      return reject_package(manifest, Error{ErrorCode::missing_role, "assign_roles",
                                            "No " + sequence.role + " series was found for the model '" + manifest.title + "'" + series_.what_was_found() + ".", ""});
    }
    plan.series_of_role = series_of_role;
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
      for (const DrawnRegion& candidate : regions_.all())
        if (const auto r = required.rank_of(candidate.name); r && *r < rank) {
          rank = *r;
          region = &candidate;
        }
      if (region == nullptr) {
        if (!required.required) continue;
        return reject_package(manifest, regions_.empty() ? no_region() : Error{ErrorCode::roi_missing, "delineate", "No region is named as the model '" + manifest.title + "' expects (" + joined(required.name_patterns) + "); received were: " + regions_.names() + ".", ""});
      }
      for (const std::string& role : required.of_roles) {
        const auto found = series_of_role.find(role);
        if (found == series_of_role.end()) continue;
        const std::size_t n = found->second;
        const BuiltVolume* volume = series_.main_volume(n);
        if (volume == nullptr) return reject_package(manifest, *series_[n].load_error);
        auto roi = alignment_.place(context, *region, role);
        if (!roi) return reject_package(manifest, roi.error());
        const std::size_t m = series_.measured_index(n, *volume);
        const std::size_t r = roi_index(findings_.measured[m], std::move(*roi));
        auto profile = profile_of(manifest, role);
        if (!profile) return reject_package(manifest, profile.error());
        MeasurementTask task{m, r, std::nullopt, findings_.measured[m].role, images_.index(m, role, manifest.preprocessing), std::move(*profile), ""};
        if (const auto request = context.requests.find(role); request != context.requests.end() && request->second.resample && context.series.at(request->second.to) != n) {
          const std::string& to = request->second.to;
          auto reference = alignment_.place(context, *region, to);
          if (!reference) return reject_package(manifest, reference.error());
          auto transform = alignment_.transform_between(context, to, role, *reference);
          if (!transform) return reject_package(manifest, transform.error());
          task.image = images_.index(m, role, manifest.preprocessing, reference->geometry(), transform->value_or(RigidTransform{}));
          task.region = std::move(*reference);
          task.note = "Measured on the image resampled onto the grid of " + to + ", in the region as it lies there.";
        }
        plan.place_of[{role, required.name}] = {m, r};
        plan.task_of[{role, required.name}] = measurements_.index(std::move(task));
      }
    }
    for (const RequiredHabitats& habitats : manifest.habitats)
      if (auto status = habitats_.plan(context, manifest, plan, plans_.size(), habitats); !status) return reject_package(manifest, status.error());
    plans_.push_back(std::move(plan));
  }

  static std::size_t roi_index(MeasuredSeries& measured, RegionOfInterest roi) {
    for (std::size_t r = 0; r < measured.rois.size(); ++r)
      if (measured.rois[r].name() == roi.name() && measured.rois[r].origin().sop_instance_uid == roi.origin().sop_instance_uid && measured.rois[r].origin().number == roi.origin().number) return r;
    measured.rois.push_back(std::move(roi));
    return measured.rois.size() - 1;
  }

  void reject_package(const PackageManifest& manifest, Error error) {
    log_.remember(error);
    log_.issue(error.code, "The model '" + manifest.id + "' was not run: " + error.message, "", "");
  }

  static std::string joined(const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
    return text;
  }

  // -- predicting --

  void predict() {
    PackageInputs inputs(input_, series_, measurements_, findings_, log_);
    for (const PackagePlan& plan : plans_) {
      const ModelPackage& package = *settings_.packages[plan.package];
      const StudyLog::Timer timer(log_, "predict", "");
      const std::map<std::string, double> values = inputs.gather(package, plan);
      const PredictionContext context = inputs.context(package.manifest(), plan);
      auto predictions = package.predict(values, context);
      if (!predictions) {
        log_.remember(predictions.error());
        log_.issue(predictions.error().code, "The model '" + package.manifest().id + "' gave no prediction: " + predictions.error().message, "", "");
        continue;
      }
      robustness_.add(package, plan, values, context, settings_.pool, *predictions);
      for (Prediction& prediction : *predictions) findings_.predictions.push_back(std::move(prediction));
    }
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
    else if (log_.first_error())
      findings_.reason = *log_.first_error();
    else
      findings_.reason = {ErrorCode::roi_unresolved_reference, "delineate", "No region lies on a received series.", ""};
  }

  // An object that could not be read explains an absence better than the absence itself.
  Error unreadable_or(Error otherwise) const {
    if (input_.issues.empty()) return otherwise;
    return {input_.issues.front().code, "read_study", otherwise.message + " An object could not be read: " + input_.issues.front().text, ""};
  }

  const PipelineSettings& settings_;
  const StudyInput& input_;
  StudyFindings findings_;
  StudyLog log_;
  StudySeries series_;
  StudyRegions regions_;
  SeriesAlignment alignment_;
  StudyImages images_;
  StudyMeasurements measurements_;
  StudyRobustness robustness_;
  StudyHabitats habitats_;
  std::vector<PackagePlan> plans_;
};

}  // namespace

StudyFindings StudyPipeline::run(const StudyInput& input) const { return StudyRun(settings_, input).run(); }

}  // namespace choana::processing
