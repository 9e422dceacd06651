#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/clinical_value.h"
#include "core/error.h"
#include "core/feature.h"
#include "core/habitat_map.h"
#include "core/prediction.h"
#include "core/region_of_interest.h"
#include "core/series_volume.h"

namespace choana {

/// What a series was taken for and why; every series of the study has one.
struct SeriesDecision {
  std::string series_instance_uid;
  int series_number = 0;
  std::string description;
  std::string role;                   // T1, T1C, T1C-FS, T2, T2-FS, DWI-b800, ADC, MR; empty = not used
  std::vector<std::string> reasons;   // evidence for the role, in the order it was weighed
  std::vector<std::string> rejected;  // rules or defects that spoke against it
};

/// Measurements of one region on one series.
struct Measurement {
  std::string role;
  std::string roi;
  std::string series_instance_uid;
  std::string profile;                // name of the extraction profile
  std::string parameters;             // canonical JSON of all settings that shaped the values
  FeatureVector features;
  std::vector<std::string> notes;     // level counts, interpolation, components, ...
};

/// A series that was measured, with the regions on its own grid (native, before resampling).
struct MeasuredSeries {
  std::string role;
  SeriesVolume volume;
  std::vector<RegionOfInterest> rois;
};

/// One step of the pipeline as it ran. parameters: canonical JSON object.
struct StepRecord {
  std::string name;
  std::string role;
  std::string parameters = "{}";
  double seconds = 0;
};

/// Something that degraded a result without ending it.
struct StudyIssue {
  ErrorCode code = ErrorCode::internal;
  std::string text;      // one sentence a radiographer can act on
  std::string role;      // or empty
  std::string roi;       // or empty
};

enum class Outcome { reported, not_analysed, failed };
[[nodiscard]] std::string_view to_string(Outcome outcome);

/// An input object, for evidence and provenance.
struct InputObject {
  std::string file;
  std::string sop_class_uid;
  std::string sop_instance_uid;
  std::string series_instance_uid;
  std::string modality;
  std::string sha256;
};

/// Everything that is known of one study after the pipeline ran; what reporting turns into objects.
struct StudyFindings {
  std::string study_instance_uid;
  Outcome outcome = Outcome::failed;
  Error reason;                               // set unless reported
  std::vector<InputObject> inputs;
  std::vector<SeriesDecision> series;
  std::vector<MeasuredSeries> measured;
  std::vector<HabitatMap> habitats;           // measurements of a habitat name its region
  std::vector<Measurement> measurements;
  std::vector<ClinicalValue> clinical;        // those that a model used
  std::vector<Prediction> predictions;
  std::vector<StepRecord> steps;
  std::vector<StudyIssue> issues;
};

}  // namespace choana
