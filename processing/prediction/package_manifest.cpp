#include "processing/prediction/package_manifest.h"

#include <charconv>

namespace choana::processing {

std::optional<std::size_t> RequiredRoi::rank_of(std::string_view delineation_name) const {
  for (std::size_t p = 0; p < name_patterns.size(); ++p)
    if (matches_roi_name(name_patterns[p], delineation_name)) return p;
  return std::nullopt;
}

std::optional<std::size_t> RequiredNetwork::position_of(std::string_view feature) const {
  if (feature.size() < name.size() + 2 || !feature.starts_with(name) || feature[name.size()] != '_') return std::nullopt;
  const std::string_view digits = feature.substr(name.size() + 1);
  if (digits.size() > 1 && digits.front() == '0') return std::nullopt;
  int index = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
  if (error != std::errc() || end != digits.data() + digits.size() || index < settings.first_index) return std::nullopt;
  return static_cast<std::size_t>(index - settings.first_index);
}

std::optional<std::size_t> PackageManifest::network_of(const PackageFeature& feature) const {
  if (feature.kind != "deep") return std::nullopt;
  for (std::size_t n = 0; n < networks.size(); ++n)
    if (networks[n].on == feature.role && networks[n].of == feature.roi && networks[n].position_of(feature.feature)) return n;
  return std::nullopt;
}

MissingRule PackageManifest::missing_rule(const PackageFeature& feature) const {
  if (const auto own = missing_by_feature.find(feature.id); own != missing_by_feature.end()) return own->second;
  if (const auto kind = missing_by_kind.find(feature.kind); kind != missing_by_kind.end()) return kind->second;
  return MissingRule::refuse;
}

}  // namespace choana::processing
