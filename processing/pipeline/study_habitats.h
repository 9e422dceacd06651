#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "core/habitat_map.h"
#include "core/result.h"
#include "core/rigid_transform.h"
#include "processing/pipeline/package_plan.h"
#include "processing/pipeline/series_alignment.h"
#include "processing/pipeline/study_images.h"
#include "processing/pipeline/study_measurements.h"

namespace choana::processing {

/// Habitats to be found once the images are prepared, and where they are measured.
struct HabitatPlan {
  struct Target {
    std::string package_role;
    std::size_t measured = 0;
    std::size_t image = 0;
    std::optional<RigidTransform> transform;  // from the habitats' grid to the image's
    ExtractionProfile profile;
  };
  std::size_t plan = 0;                     // position among the package plans
  const RequiredHabitats* required = nullptr;
  std::size_t measured = 0;
  std::size_t roi = 0;
  std::vector<std::size_t> images;          // one a feature
  std::vector<Target> targets;
};

/// Habitats of a study: planned with the packages, found once the images are prepared, then measured like regions.
class StudyHabitats {
 public:
  /// All outlive this.
  StudyHabitats(StudySeries& series, SeriesAlignment& alignment, StudyImages& images, StudyMeasurements& measurements, StudyFindings& findings, StudyLog& log)
      : series_(series), alignment_(alignment), images_(images), measurements_(measurements), findings_(findings), log_(log) {}

  /// Plan one map of a package. position: of the package's plan among all. An optional series or region that is not there: nothing is planned.
  /// Errors: missing_role, geometry_mismatch, and those of reading a series.
  Status plan(const RoleContext& context, const PackageManifest& manifest, const PackagePlan& plan, std::size_t position, const RequiredHabitats& required);
  /// Find all that were planned and plan their measurements. What cannot be found is noted.
  void find(const PipelineSettings& settings, std::vector<PackagePlan>& packages);

 private:
  /// Plan the measurements of all habitats on one series; where that has a grid of its own, the habitats go there too.
  void measure(const HabitatPlan& plan, std::size_t position, const HabitatMap& map, const HabitatPlan::Target& target, PackagePlan& package);
  /// Position in findings.habitats. Two packages with one scheme on one region share a map.
  Result<std::size_t> habitats_of(const HabitatPlan& plan, TaskPool* pool);

  StudySeries& series_;
  SeriesAlignment& alignment_;
  StudyImages& images_;
  StudyMeasurements& measurements_;
  StudyFindings& findings_;
  StudyLog& log_;
  std::vector<HabitatPlan> plans_;
};

}  // namespace choana::processing
