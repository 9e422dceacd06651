#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "processing/prediction/package_manifest.h"
#include "processing/prediction/stage_chain.h"

namespace choana::processing {

constexpr std::size_t selftest_rows_min = 20;

/// The values of one row in the order of features.csv, NaN = missing, after the rules of the manifest.
/// Errors: missing_value (lists every feature that is missing and may not be), invalid_argument (infinite; a clinical
/// value outside its range or not whole).
[[nodiscard]] Result<std::vector<double>> admit_row(const PackageManifest& manifest, const std::map<std::string, double>& inputs);

/// Whether a case that says this much about its site may be scored. Errors: missing_value (nothing is said, and inputs.site.required asks for it).
[[nodiscard]] Status check_site(const PackageManifest& manifest, const StageChain& chain, std::string_view site);

struct SelftestReport {
  std::size_t rows = 0;
  double largest_deviation = 0;  // |got - expected| / max(1, |expected|)
};

/// Recompute selftest.csv: columns `case`, every feature id (empty = missing), and what each stage must give:
/// `<stage>.<feature>` of a scaler, `<stage>.margin` and `<stage>` of a learner (with `.0`, `.1`, ... appended for
/// classes). A package that harmonises has the column `site` too. A row in which all expectations are empty must be refused for its missing values
/// (or for its site). At least 20 rows.
/// Errors: invalid_package, selftest_mismatch.
[[nodiscard]] Result<SelftestReport> run_selftest(const PackageManifest& manifest, const StageChain& chain, std::string_view csv);

}  // namespace choana::processing
