#pragma once

#include <string>

#include "core/series_volume.h"

namespace choana::processing {

struct PreparedVolume {
  SeriesVolume volume;
  std::string record_json = "{}";  // what was done: settings in use, iterations, convergence
};

/// Check a preparation step of a package before any study runs: its name and parameters.
/// Errors: invalid_package (unknown step or parameter, with the near match).
Status check_preparation(const std::string& step, const std::string& parameters_json);

/// One step of image preparation as a package's manifest names it, on the whole series:
/// n4 {shrink, iterations, threshold, fwhm, noise, bins, control_points}, rescale {to: [low, high]}.
/// ("resample" and "normalise" stand in a manifest for people; the extraction file carries them out.)
/// Errors: invalid_package, and those of the step.
Result<PreparedVolume> prepare(const SeriesVolume& image, const std::string& step, const std::string& parameters_json, int threads);

}  // namespace choana::processing
