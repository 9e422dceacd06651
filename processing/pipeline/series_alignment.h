#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>

#include "core/region_of_interest.h"
#include "core/result.h"
#include "core/rigid_transform.h"
#include "core/series_volume.h"
#include "processing/itk/rigid_registration.h"
#include "processing/pipeline/study_log.h"
#include "processing/pipeline/study_regions.h"
#include "processing/pipeline/study_series.h"
#include "processing/preparation.h"

namespace choana::processing {

/// A package's roles on this study (positions in StudySeries), and what it wants registered.
struct RoleContext {
  std::map<std::string, std::size_t> series;
  std::map<std::string, RegistrationRequest> requests;
};

/// A region on another grid, moved by a rigid transform: carried onto the grid as it lies before the motion.
[[nodiscard]] Result<RegionOfInterest> carry_moved(const RegionOfInterest& roi, const VolumeGeometry& target, const RigidTransform& transform);

/// The image on another grid, cubic splines; 0 outside.
[[nodiscard]] Result<SeriesVolume> moved_onto(const SeriesVolume& image, const VolumeGeometry& grid, const RigidTransform& grid_to_series);

/// Series of a study brought together: by their common frame of reference, or registered as a package asks.
class SeriesAlignment {
 public:
  /// All outlive this.
  SeriesAlignment(StudySeries& series, StudyRegions& regions, StudyLog& log) : series_(series), regions_(regions), log_(log) {}

  /// From points of one role's series to points of another's; nothing where their coordinates are the same. focus: on the first
  /// one's grid. Errors: geometry_mismatch (refused, or frames of reference differ and nothing is to be registered).
  Result<std::optional<RigidTransform>> transform_between(const RoleContext& context, const std::string& from, const std::string& to, const RegionOfInterest& focus);
  /// A region on the grid of a role's series: drawn there, registered as the package asks, or carried within one frame of reference.
  Result<RegionOfInterest> place(const RoleContext& context, const DrawnRegion& region, const std::string& role);

 private:
  struct Registered {
    RigidRegistration registration;
    std::optional<Error> error;  // it failed, or is not good enough
  };

  StudySeries& series_;
  StudyRegions& regions_;
  StudyLog& log_;
  std::map<std::string, Registered> registrations_;
};

}  // namespace choana::processing
