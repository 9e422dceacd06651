#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/series_volume.h"
#include "core/task_pool.h"
#include "processing/itk/rigid_registration.h"
#include "processing/prediction/package_manifest.h"

namespace choana::processing {

struct PreparedVolume {
  SeriesVolume volume;
  std::string record_json = "{}";  // what was done: settings in use, iterations, convergence
};

/// One step of image preparation as a package's manifest names it, on the whole series:
/// n4 {shrink, iterations, threshold, fwhm, noise, bins, control_points, mask, engine, field}, rescale {to: [low, high]}.
/// normalise {mean, sd}. "register" is carried out where regions are placed (registration_request). ("resample" stands in a manifest for people; the extraction file carries it out.) A step with
/// `roles` leaves series of other roles as they are. role: as the package names it.
/// pool: threads that the step may share, or nullptr.
/// Errors: invalid_package, and those of the step.
Result<PreparedVolume> prepare(const SeriesVolume& image, const std::string& role, const std::string& step, const std::string& parameters_json, TaskPool* pool);

/// What a package's step `register` asks for a role.
struct RegistrationRequest {
  std::string to;                    // role of the reference
  bool resample = false;             // measure the image on the reference's grid; otherwise the region goes to the series' own grid
  bool otherwise_geometry = false;   // where the registration is refused: place by the common frame of reference, if there is one
  RegistrationSettings settings;
};

/// The last step `register` that holds for a role, if any; none for the reference itself.
/// Errors: invalid_package (parameters of a wrong type or out of range).
Result<std::optional<RegistrationRequest>> registration_request(const std::vector<PreparationStep>& steps, const std::string& role);

}  // namespace choana::processing
