#include "processing/harmonisation/combat.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <set>

namespace choana::processing {
namespace {

constexpr double field_strength_tolerance_t = 0.25;

std::string folded(std::string_view text) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t' || c == '\0'; };
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  std::string result(text);
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return result;
}

bool holds(const SiteMatch& match, const AcquisitionFacts& facts) {
  if (match.empty()) return false;
  if (!match.manufacturer.empty() && folded(match.manufacturer) != folded(facts.manufacturer)) return false;
  if (!match.manufacturer_model_name.empty() && folded(match.manufacturer_model_name) != folded(facts.manufacturer_model_name)) return false;
  return !match.field_strength_t || (facts.field_strength_t && std::abs(*match.field_strength_t - *facts.field_strength_t) <= field_strength_tolerance_t);
}

std::string described(const AcquisitionFacts& facts) {
  char field[32] = "no field strength";
  if (facts.field_strength_t) std::snprintf(field, sizeof field, "%.3g T", *facts.field_strength_t);
  return "'" + facts.manufacturer + "', '" + facts.manufacturer_model_name + "', " + field;
}

std::string names_of(const CombatParameters& parameters) {
  std::string names;
  for (const CombatSite& site : parameters.sites) names += (names.empty() ? "" : ", ") + site.name;
  return names;
}

}  // namespace

const CombatSite* CombatParameters::find(std::string_view name) const {
  for (const CombatSite& site : sites)
    if (site.name == name) return &site;
  return nullptr;
}

Status check_combat(const CombatParameters& parameters) {
  const auto wrong = [](const std::string& message) { return fail(ErrorCode::invalid_package, "check_combat", "ComBat parameters: " + message); };
  const std::size_t count = parameters.features.size();
  if (count == 0) return wrong("no features are listed.");
  if (std::set<std::string>(parameters.features.begin(), parameters.features.end()).size() != count) return wrong("a feature is listed twice.");
  const auto fits = [&](const std::vector<double>& values, bool above_zero) {
    return values.size() == count && std::all_of(values.begin(), values.end(), [&](double v) { return std::isfinite(v) && (!above_zero || v > 0); });
  };
  const std::string numbers = " must hold " + std::to_string(count) + " finite numbers";
  if (!fits(parameters.alpha, false)) return wrong("alpha" + numbers + ".");
  if (!fits(parameters.sigma2, true)) return wrong("sigma2" + numbers + " above 0.");
  std::set<std::string> names;
  for (const CombatCovariate& covariate : parameters.covariates) {
    if (covariate.name.empty() || !names.insert(covariate.name).second) return wrong("covariates need names, each once.");
    if (!fits(covariate.beta, false)) return wrong("beta of the covariate '" + covariate.name + "'" + numbers + ".");
  }
  if (parameters.sites.empty()) return wrong("no site is listed.");
  names.clear();
  for (const CombatSite& site : parameters.sites) {
    if (site.name.empty() || !names.insert(site.name).second) return wrong("sites need names, each once.");
    if (!fits(site.gamma, false)) return wrong("gamma of the site '" + site.name + "'" + numbers + ".");
    if (!fits(site.delta, true)) return wrong("delta of the site '" + site.name + "'" + numbers + " above 0.");
    for (const SiteMatch& match : site.matches)
      if (match.empty()) return wrong("a match of the site '" + site.name + "' has no condition.");
  }
  if (parameters.unknown_site == UnknownSite::reference && parameters.find(parameters.reference) == nullptr)
    return wrong("the reference '" + parameters.reference + "' is none of the sites (" + names_of(parameters) + ").");
  return {};
}

Result<std::string> site_of(const CombatParameters& parameters, const AcquisitionFacts& facts) {
  const CombatSite* found = nullptr;
  for (const CombatSite& site : parameters.sites) {
    if (std::none_of(site.matches.begin(), site.matches.end(), [&](const SiteMatch& match) { return holds(match, facts); })) continue;
    if (found != nullptr)
      return fail(ErrorCode::invalid_argument, "site_of", "The scanner (" + described(facts) + ") matches two sites, " + found->name + " and " + site.name + ".");
    found = &site;
  }
  if (found == nullptr)
    return fail(ErrorCode::not_found, "site_of", "The scanner (" + described(facts) + ") is none of the sites that the model was harmonised for (" + names_of(parameters) + ").");
  return found->name;
}

Result<std::vector<double>> apply_combat(const CombatParameters& parameters, std::string_view site_name, const std::vector<double>& values,
                                         const std::vector<double>& covariates) {
  constexpr const char* step = "apply_combat";
  if (values.size() != parameters.features.size() || covariates.size() != parameters.covariates.size())
    return fail(ErrorCode::invalid_argument, step, "The number of values does not fit the ComBat parameters.");
  const CombatSite* site = parameters.find(site_name);
  if (site == nullptr) {
    if (parameters.unknown_site == UnknownSite::refuse)
      return fail(ErrorCode::not_found, step, "The site '" + std::string(site_name.substr(0, 64)) + "' is none that the model was harmonised for (" + names_of(parameters) + ").");
    site = parameters.find(parameters.reference);
  }
  for (std::size_t c = 0; c < covariates.size(); ++c)
    if (!std::isfinite(covariates[c])) return fail(ErrorCode::missing_value, step, "ComBat needs the value of the covariate '" + parameters.covariates[c].name + "'.");
  std::vector<double> harmonised;
  harmonised.reserve(values.size());
  for (std::size_t f = 0; f < values.size(); ++f) {
    double centre = parameters.alpha[f];
    for (std::size_t c = 0; c < covariates.size(); ++c) centre += parameters.covariates[c].beta[f] * covariates[c];
    const double sigma = std::sqrt(parameters.sigma2[f]);
    harmonised.push_back(((values[f] - centre) / sigma - site->gamma[f]) / std::sqrt(site->delta[f]) * sigma + centre);
    // A value that is there must not look like a missing one afterwards.
    if (!std::isnan(values[f]) && !std::isfinite(harmonised.back()))
      return fail(ErrorCode::not_computable, step, "The harmonised value of '" + parameters.features[f].substr(0, 128) + "' is not a finite number.");
  }
  return harmonised;
}

}  // namespace choana::processing
