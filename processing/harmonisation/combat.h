#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/acquired_slice.h"
#include "core/result.h"

namespace choana::processing {

/// How a site is recognised from the header of an image: every condition that is set must hold.
struct SiteMatch {
  std::string manufacturer;                    // compared without case and outer blanks; empty = any
  std::string manufacturer_model_name;
  std::optional<double> field_strength_t;      // within 0.25 T: 1.5 and 1.494 are one, 1.5 and 3 are not

  [[nodiscard]] bool empty() const { return manufacturer.empty() && manufacturer_model_name.empty() && !field_strength_t; }
};

/// One site (batch) of the training cohort: its empirical Bayes estimates, one a feature.
struct CombatSite {
  std::string name;
  std::vector<SiteMatch> matches;   // any of them
  std::vector<double> gamma;        // additive effect, in standard deviations
  std::vector<double> delta;        // variance ratio, above 0
};

/// A biological covariate that the fit kept: its coefficients, one a feature.
struct CombatCovariate {
  std::string name;                 // feature id or stage output that gives its value
  std::vector<double> beta;
};

/// What becomes of an image of no known site: no prediction, or the site named as reference stands in for it.
enum class UnknownSite { refuse, reference };

/// ComBat as it was fitted on the training cohort, frozen: Johnson, Li and Rabinovic 2007 (doi 10.1093/biostatistics/kxj037), parametric.
struct CombatParameters {
  std::vector<std::string> features;      // in this order everywhere below
  std::vector<double> alpha;              // grand mean
  std::vector<double> sigma2;             // pooled variance, above 0
  std::vector<CombatCovariate> covariates;
  std::vector<CombatSite> sites;
  UnknownSite unknown_site = UnknownSite::refuse;
  std::string reference;                  // name of a site; set when unknown_site is `reference`

  /// nullptr when there is no such site.
  [[nodiscard]] const CombatSite* find(std::string_view name) const;
};

/// Everything has the right length, is finite, and variances are above 0; names are unique. Errors: invalid_package.
[[nodiscard]] Status check_combat(const CombatParameters& parameters);

/// The site that an image comes from. Errors: not_found (none matches, the message says what the header holds), invalid_argument (two sites match).
[[nodiscard]] Result<std::string> site_of(const CombatParameters& parameters, const AcquisitionFacts& facts);

/// Harmonised values of one case: z = (x - alpha - beta c) / sigma, z' = (z - gamma) / sqrt(delta), x' = z' sigma + alpha + beta c.
/// site: a known name; any other falls under `unknown_site`. values: one a feature; NaN stays NaN. covariates: one a covariate, finite.
/// Errors: not_found (unknown site, refused), invalid_argument (lengths), missing_value (a covariate is not there),
/// not_computable (a value becomes infinite).
[[nodiscard]] Result<std::vector<double>> apply_combat(const CombatParameters& parameters, std::string_view site, const std::vector<double>& values,
                                                       const std::vector<double>& covariates);

}  // namespace choana::processing
