#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <utility>

#include "core/result.h"
#include "processing/prediction/package_manifest.h"
#include "processing/radiomics/extraction_profile.h"

namespace choana::processing {

/// Where a package finds what it asked for, by (role, region) as the package names them.
struct PackagePlan {
  using Name = std::pair<std::string, std::string>;

  std::size_t package = 0;                                          // position in PipelineSettings::packages
  std::map<std::string, std::size_t> series_of_role;                // to StudySeries
  std::map<Name, std::size_t> task_of;                              // to StudyMeasurements
  std::map<Name, std::pair<std::size_t, std::size_t>> place_of;     // to findings.measured and its rois
  std::map<Name, std::pair<std::size_t, std::size_t>> habitat_of;   // to findings.habitats and its habitats
};

/// How a package wants a role measured; the original features where it says nothing. Errors: those of parse_profile.
inline Result<ExtractionProfile> profile_of(const PackageManifest& manifest, const std::string& role) {
  const auto yaml = manifest.extraction.find(role);
  if (yaml == manifest.extraction.end()) return default_profile();
  return parse_profile(yaml->second, manifest.id + "/" + role);
}

}  // namespace choana::processing
