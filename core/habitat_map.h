#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "core/region_of_interest.h"

namespace choana {

/// One habitat: a part of a region whose voxels are alike. Its mask lies on the grid of the series it was found on.
struct Habitat {
  int number = 0;                                       // 1..k in the order that the package declares
  RegionOfInterest region;                              // "GTVp habitat 2"; origin: that of the region it is a part of
  double fraction = 0;                                  // of the region's voxels, 0 to 1
  std::vector<std::pair<std::string, double>> means;    // mean of every clustered feature, in its own unit
  bool measured = true;                                 // false: smaller than the package measures
};

/// The habitats of one region of one patient. They are disjoint and together are the region. Their numbers mean something only
/// within their scheme: the order is declared by the package, the clusters are found in this patient alone.
struct HabitatMap {
  std::string name;                                     // of the scheme as the package names it: "habitat"
  std::string scheme;                                   // canonical JSON of everything that shaped the map; names it in tracking UIDs
  std::string method;                                   // one sentence for people
  std::size_t measured = 0;                             // index into StudyFindings::measured of the series whose grid this is
  std::size_t roi = 0;                                  // index into its rois of the region that was divided
  std::vector<Habitat> habitats;
  std::vector<std::pair<int, double>> criterion;        // (k, BIC) of each k that was tried; empty where the package fixed k
  std::vector<std::string> notes;
};

}  // namespace choana
