#pragma once

#include <string>

#include "core/series_volume.h"

namespace choana::processing {

struct PreparedVolume {
  SeriesVolume volume;
  std::string record_json = "{}";  // what was done: settings in use, iterations, convergence
};

/// One step of image preparation as a package's manifest names it, on the whole series:
/// n4 {shrink, iterations, threshold, fwhm, noise, bins, control_points, mask, engine, field}, rescale {to: [low, high]}.
/// normalise {mean, sd}. ("resample" stands in a manifest for people; the extraction file carries it out.) A step with
/// `roles` leaves series of other roles as they are. role: as the package names it.
/// Errors: invalid_package, and those of the step.
Result<PreparedVolume> prepare(const SeriesVolume& image, const std::string& role, const std::string& step, const std::string& parameters_json, int threads);

}  // namespace choana::processing
