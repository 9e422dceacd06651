#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/region_of_interest.h"
#include "core/study_findings.h"
#include "core/task_pool.h"
#include "processing/pipeline/study_images.h"
#include "processing/pipeline/study_log.h"
#include "processing/radiomics/extraction_profile.h"

namespace choana::processing {

/// One region on one image, to be measured.
struct MeasurementTask {
  std::size_t measured = 0;                 // index into findings.measured
  std::size_t roi = 0;                      // index into its rois
  std::optional<RegionOfInterest> region;   // measured instead of it: a habitat, or the region on another grid
  std::string role;                         // as found: T2-FS
  std::size_t image = 0;                    // position in StudyImages
  ExtractionProfile profile;
  std::string note;                         // what is special about this measurement, or empty
};

/// The radiomics of a study: what is asked for, each measured once, and where its values lie afterwards.
class StudyMeasurements {
 public:
  /// All outlive this.
  StudyMeasurements(const StudyImages& images, StudyFindings& findings, StudyLog& log) : images_(images), findings_(findings), log_(log) {}

  /// Position of a task. Two packages that want the same measurement share it.
  std::size_t index(MeasurementTask task);
  [[nodiscard]] const MeasurementTask& operator[](std::size_t task) const { return tasks_[task]; }
  [[nodiscard]] const RegionOfInterest& region_of(const MeasurementTask& task) const { return task.region ? *task.region : findings_.measured[task.measured].rois[task.roi]; }

  /// Carry all tasks out and put their values into the findings.
  void run(TaskPool* pool);
  /// The values of a task after `run`; nullptr where it could not be measured.
  [[nodiscard]] const Measurement* measurement_of(std::size_t task) const { return measurement_of_task_[task] ? &findings_.measurements[*measurement_of_task_[task]] : nullptr; }
  /// The same to add to, after `run`; an empty one where it could not be measured.
  Measurement& at(std::size_t task);

 private:
  struct MeasurementOutcome {
    std::optional<Measurement> measurement;
    std::vector<StepRecord> steps;
    std::optional<Error> error;
  };
  [[nodiscard]] MeasurementOutcome measure_one(const MeasurementTask& task, TaskPool* pool) const;

  const StudyImages& images_;
  StudyFindings& findings_;
  StudyLog& log_;
  std::vector<MeasurementTask> tasks_;
  std::vector<std::optional<std::size_t>> measurement_of_task_;
};

}  // namespace choana::processing
