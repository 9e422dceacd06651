#pragma once

#include <map>
#include <string>

#include "core/acquired_slice.h"
#include "core/geometry.h"

namespace choana::processing {

/// A series as a package sees it: what its headers say, and its grid.
struct SeriesFacts {
  AcquisitionFacts acquisition;
  Vector3 spacing_mm{};  // of columns, rows and slices, before any resampling
};

/// Where a case was measured: what a package with a combat stage needs to know.
struct CaseSite {
  std::string name;  // of one of the package's sites; empty or another name: unknown
  std::string note;  // of an unknown one: what is known instead, one sentence
};

/// What is known of a case beside its features. Everything may be empty: what a package then wants to know is unknown, and says so.
struct PredictionContext {
  std::map<std::string, SeriesFacts> series;  // by role, as the package names it
  std::map<std::string, double> volume_ml;    // by region, as the package names it (inputs.rois)
  CaseSite site;                              // where a table names it; otherwise the headers of `series` tell
};

}  // namespace choana::processing
