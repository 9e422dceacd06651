#include "processing/prediction/package_manifest.h"

namespace choana::processing {

std::optional<std::size_t> RequiredRoi::rank_of(std::string_view delineation_name) const {
  for (std::size_t p = 0; p < name_patterns.size(); ++p)
    if (matches_roi_name(name_patterns[p], delineation_name)) return p;
  return std::nullopt;
}

MissingRule PackageManifest::missing_rule(const PackageFeature& feature) const {
  if (const auto own = missing_by_feature.find(feature.id); own != missing_by_feature.end()) return own->second;
  if (const auto kind = missing_by_kind.find(feature.kind); kind != missing_by_kind.end()) return kind->second;
  return MissingRule::refuse;
}

}  // namespace choana::processing
