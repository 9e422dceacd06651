#pragma once

#include <string>
#include <string_view>

#include "core/result.h"
#include "processing/harmonisation/combat.h"

namespace choana::processing {

constexpr std::size_t combat_features_max = 20'000;
constexpr std::size_t combat_sites_max = 500;
constexpr std::size_t combat_matches_max = 100;    // of one site
constexpr std::size_t combat_covariates_max = 50;
constexpr std::size_t combat_numbers_max = 5'000'000;

/// Read harmonisation.json, format choana-combat/1 (conf/models/README.md): {"format", "features", "alpha", "sigma2", "sites": [{"name", "match":
/// [{"manufacturer", "manufacturer_model_name", "field_strength_t"}], "gamma", "delta"}]}, optionally "covariates": [{"name", "beta"}], "reference" and "note".
/// What becomes of an unknown site stands in the manifest, so `unknown_site` is given. Everything is checked (`check_combat`), unknown fields are errors.
/// Errors: invalid_package, limit_exceeded.
[[nodiscard]] Result<CombatParameters> read_combat(std::string_view text, const std::string& name, UnknownSite unknown_site);

}  // namespace choana::processing
