#include "processing/pipeline/study_measurements.h"

#include <utility>

#include "processing/radiomics/feature_extractor.h"

namespace choana::processing {

// Two packages that want the same measurement share it.
std::size_t StudyMeasurements::index(MeasurementTask task) {
  const auto name = [](const MeasurementTask& t) { return t.region ? t.region->name() : std::string(); };
  for (std::size_t t = 0; t < tasks_.size(); ++t) {
    const MeasurementTask& other = tasks_[t];
    if (other.measured == task.measured && other.roi == task.roi && other.image == task.image && name(other) == name(task) && canonical_json(other.profile) == canonical_json(task.profile)) return t;
  }
  tasks_.push_back(std::move(task));
  return tasks_.size() - 1;
}

void StudyMeasurements::run(TaskPool* pool) {
  std::vector<MeasurementOutcome> outcomes(tasks_.size());
  run_tasks(pool, tasks_.size(), [&](std::size_t t) { outcomes[t] = measure_one(tasks_[t], pool); });
  measurement_of_task_.assign(tasks_.size(), std::nullopt);
  for (std::size_t t = 0; t < tasks_.size(); ++t) {
    MeasurementOutcome& outcome = outcomes[t];
    for (StepRecord& step : outcome.steps) log_.step(std::move(step));
    if (outcome.error) {
      log_.remember(*outcome.error);
      log_.issue(outcome.error->code, outcome.error->message, tasks_[t].role, region_of(tasks_[t]).name());
      continue;
    }
    measurement_of_task_[t] = findings_.measurements.size();
    findings_.measurements.push_back(std::move(*outcome.measurement));
  }
}

Measurement& StudyMeasurements::at(std::size_t task) {
  if (!measurement_of_task_[task]) {
    measurement_of_task_[task] = findings_.measurements.size();
    const MeasurementTask& wanted = tasks_[task];
    findings_.measurements.push_back({wanted.role, region_of(wanted).name(), findings_.measured[wanted.measured].volume.reference().series_instance_uid, "", "{}", {}, {}});
  }
  return findings_.measurements[*measurement_of_task_[task]];
}

StudyMeasurements::MeasurementOutcome StudyMeasurements::measure_one(const MeasurementTask& task, TaskPool* pool) const {
  MeasurementOutcome outcome;
  const MeasuredSeries& series = findings_.measured[task.measured];
  const RegionOfInterest& roi = region_of(task);
  const StudyImage& image = images_[task.image];
  if (image.error) {
    outcome.error = image.error;
    return outcome;
  }
  const double started = log_.now_s();
  auto extracted = extract_features(to_scalar_volume(image.volume), to_mask_volume(roi), 1, task.profile, pool);
  if (!extracted) {
    outcome.error = extracted.error();
    return outcome;
  }
  const std::string profile = canonical_json(task.profile);
  outcome.steps.push_back({"radiomics", task.role, "{\"roi\":" + json_quoted(roi.name()) + ",\"profile\":" + json_quoted(task.profile.name) + "}", log_.now_s() - started});
  outcome.measurement = Measurement{task.role, roi.name(), series.volume.reference().series_instance_uid, task.profile.name,
                                    "{\"preparation\":" + preparation_text(image.preparation) + ",\"profile\":" + profile + "}", std::move(extracted->features), std::move(extracted->notes)};
  if (!task.note.empty()) outcome.measurement->notes.push_back(task.note);
  return outcome;
}

}  // namespace choana::processing
