#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/rigid_transform.h"
#include "core/series_volume.h"
#include "core/study_findings.h"
#include "core/task_pool.h"
#include "processing/pipeline/study_log.h"
#include "processing/prediction/package_manifest.h"

namespace choana::processing {

/// A series as a package wants it: prepared, and on another series' grid where it says so. Made once, however many regions are measured.
struct StudyImage {
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

/// Preparation steps as canonical JSON.
[[nodiscard]] std::string preparation_text(const std::vector<PreparationStep>& steps);

/// The images of a study that packages want, each prepared once.
class StudyImages {
 public:
  /// Both outlive this.
  StudyImages(const StudyFindings& findings, StudyLog& log) : findings_(findings), log_(log) {}

  /// Position of a prepared image, on its own grid or on another; the same request gives the same position.
  std::size_t index(std::size_t measured, const std::string& package_role, const std::vector<PreparationStep>& preparation,
                    const std::optional<VolumeGeometry>& grid = std::nullopt, const RigidTransform& grid_to_series = {});
  [[nodiscard]] const StudyImage& operator[](std::size_t n) const { return images_[n]; }

  /// Prepare all that were asked for. What fails is noted in the image.
  void prepare_all(TaskPool* pool);

 private:
  void prepare_one(StudyImage& image, TaskPool* pool) const;

  const StudyFindings& findings_;
  StudyLog& log_;
  std::vector<StudyImage> images_;
};

}  // namespace choana::processing
