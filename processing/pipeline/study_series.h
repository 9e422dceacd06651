#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "core/acquired_slice.h"
#include "core/study_findings.h"
#include "processing/pipeline/study_log.h"
#include "processing/roles/series_roles.h"
#include "processing/study_pipeline.h"
#include "processing/volume/volume_builder.h"

namespace choana::processing {

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

/// The series of a study: what they are taken for, and their volumes, read when first asked for.
class StudySeries {
 public:
  /// All outlive this.
  StudySeries(const StudyInput& input, StudyFindings& findings, StudyLog& log) : input_(input), findings_(findings), log_(log) {}

  /// Take up every series of the input, each with the role its headers speak for or a person named.
  void assign_roles(const PipelineSettings& settings);

  [[nodiscard]] std::size_t size() const { return series_.size(); }
  [[nodiscard]] bool empty() const { return series_.empty(); }
  [[nodiscard]] SeriesState& operator[](std::size_t n) { return series_[n]; }
  [[nodiscard]] const SeriesState& operator[](std::size_t n) const { return series_[n]; }
  [[nodiscard]] auto begin() { return series_.begin(); }
  [[nodiscard]] auto end() { return series_.end(); }

  /// The volume of a series that is measured: the only one, or of a diffusion series that of the highest b-value.
  /// nullptr: there is none, and `load_error` of the series says why.
  BuiltVolume* main_volume(std::size_t n);
  /// The role, or what the series is when no rule knew it: MR.
  [[nodiscard]] std::string role_or_modality(std::size_t n) const;
  /// The best series for a role that a package asks for, with the reasons noted in its decision.
  std::optional<std::size_t> choose(const RequiredSequence& sequence);
  /// Index into findings.measured of this series, added when new.
  std::size_t measured_index(std::size_t n, const BuiltVolume& volume);
  /// Half a sentence for a message: "; received were: series 1 T2, ...".
  [[nodiscard]] std::string what_was_found() const;

 private:
  std::vector<BuiltVolume>& volumes_of(std::size_t n);

  const StudyInput& input_;
  StudyFindings& findings_;
  StudyLog& log_;
  std::vector<SeriesState> series_;
};

}  // namespace choana::processing
