#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/clinical_value.h"
#include "core/planar_contour.h"
#include "core/segment_frames.h"
#include "core/study_findings.h"
#include "core/task_pool.h"
#include "processing/prediction/model_package.h"
#include "processing/roles/series_roles.h"

namespace choana::processing {

/// One study as facts: what the readers found, nothing decided. Slices carry no pixels yet.
struct StudyInput {
  std::string study_instance_uid;
  std::vector<std::vector<AcquiredSlice>> series;   // one entry a series, in series number order
  std::vector<StructureSet> structure_sets;
  std::vector<SegmentationObject> segmentations;
  std::vector<InputObject> inputs;
  std::string study_date;                           // YYYYMMDD, or empty
  std::vector<ClinicalValue> clinical;              // of the patient; the first of a name counts
  std::vector<StudyIssue> issues;                   // objects that could not be read
  /// Decode one series. Called at most once a series, only for series that are measured or that a region was drawn on.
  std::function<Result<std::vector<AcquiredSlice>>(const std::string& series_instance_uid)> load;
};

struct PipelineSettings {
  SeriesRules rules;
  std::vector<const ModelPackage*> packages;        // none: radiomics only
  std::map<std::string, std::string> role_overrides; // role -> series instance UID, named by a person
  /// For series, images and feature classes at once; nullptr = one after the other. Results do not depend on it.
  TaskPool* pool = nullptr;
  /// Seconds on a clock that only runs forward, for the record of steps; empty = no times.
  std::function<double()> now_s;
};

/// The way of one study from facts to findings. `run` reads like a methods section: assign roles, delineate (and
/// register), prepare, find habitats, measure, run networks, predict. It never throws for what a hospital sends; the outcome and every reason are in the findings.
class StudyPipeline {
 public:
  explicit StudyPipeline(PipelineSettings settings) : settings_(std::move(settings)) {}

  [[nodiscard]] StudyFindings run(const StudyInput& input) const;

 private:
  PipelineSettings settings_;
};

}  // namespace choana::processing
