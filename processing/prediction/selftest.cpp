#include "processing/prediction/selftest.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "core/near_match.h"
#include "processing/prediction/readers/table.h"

namespace choana::processing {
namespace {

tl::unexpected<Error> refuse(const std::string& sentence, ErrorCode code = ErrorCode::invalid_package) {
  return fail(code, "selftest", sentence);
}

// One number that a stage must give.
struct Expectation {
  std::size_t stage = 0;
  bool margin = false;
  std::size_t index = 0;
  std::string column;
  std::size_t position = 0;
};

}  // namespace

Result<std::vector<double>> admit_row(const PackageManifest& manifest, const std::map<std::string, double>& inputs) {
  std::vector<double> row;
  std::string missing;
  std::size_t missing_count = 0;
  for (const PackageFeature& feature : manifest.features) {
    const auto found = inputs.find(feature.id);
    const double value = found == inputs.end() ? std::numeric_limits<double>::quiet_NaN() : found->second;
    if (std::isinf(value)) return fail(ErrorCode::invalid_argument, "predict", "The feature " + feature.id + " is infinite.");
    if (std::isnan(value) && manifest.missing_rule(feature) == MissingRule::refuse) {
      // A long list says no more than its beginning.
      if (++missing_count <= 10) missing += (missing.empty() ? "" : ", ") + feature.id;
    }
    row.push_back(value);
    if (feature.kind != "clinical" || std::isnan(value)) continue;
    const std::string name = feature.id.starts_with("clinical.") ? feature.id.substr(9) : feature.id;
    for (const ClinicalInput& input : manifest.clinical) {
      if (input.name != name) continue;
      if ((input.min && value < *input.min) || (input.max && value > *input.max) || (input.whole_number && value != std::floor(value)))
        return fail(ErrorCode::invalid_argument, "predict",
                    "The clinical value " + name + " is not what the model " + manifest.id + " allows (" + (input.whole_number ? "whole number, " : "") +
                        (input.min ? "at least " + print_number(*input.min) : std::string("no lower limit")) + ", " +
                        (input.max ? "at most " + print_number(*input.max) : std::string("no upper limit")) + ").");
    }
  }
  if (missing_count > 10) missing += " and " + std::to_string(missing_count - 10) + " more";
  if (missing_count > 0)
    return fail(ErrorCode::missing_value, "predict", "The model " + manifest.id + " needs values that are missing: " + missing + ".");
  return row;
}

Status check_site(const PackageManifest& manifest, const StageChain& chain, std::string_view site) {
  if (!chain.needs_site() || !site.empty() || !manifest.site || !manifest.site->required) return {};
  std::string names;
  for (const std::string& name : chain.site_names()) names += (names.empty() ? "" : ", ") + name;
  return fail(ErrorCode::missing_value, "predict", "The model " + manifest.id + " harmonises its features and needs the site of the case (one of " + names + "): give it in the column 'site'.");
}

Result<SelftestReport> run_selftest(const PackageManifest& manifest, const StageChain& chain, std::string_view csv) {
  const std::string& name = manifest.selftest_file;
  const auto table = read_table(csv, name, 10'000);
  if (!table) return refuse(table.error().message, table.error().code == ErrorCode::limit_exceeded ? ErrorCode::limit_exceeded : ErrorCode::invalid_package);
  if (table->rows.size() < selftest_rows_min)
    return refuse(name + " has " + std::to_string(table->rows.size()) + " rows; a package proves itself on at least " + std::to_string(selftest_rows_min) + ".");
  if (table->columns.front() != "case") return refuse("The first column of " + name + " must be 'case'.");

  std::vector<std::string> known{"case"};
  std::vector<std::size_t> feature_columns;
  for (const PackageFeature& feature : manifest.features) {
    const auto column = table->find(feature.id);
    if (!column) return refuse(name + " lacks the feature " + feature.id + ".");
    feature_columns.push_back(*column);
    known.push_back(feature.id);
  }
  std::optional<std::size_t> site_column;
  if (chain.needs_site()) {
    site_column = table->find("site");
    if (!site_column) return refuse(name + " lacks the column 'site', which the package's combat stage needs.");
    known.emplace_back("site");
  }
  std::vector<Expectation> expectations;
  for (std::size_t s = 0; s < chain.size(); ++s) {
    const std::vector<std::string> names = chain.value_names(s);
    for (std::size_t v = 0; v < names.size(); ++v) {
      const std::string suffix = names[v].empty() ? "" : "." + names[v];
      std::vector<std::pair<bool, std::string>> columns{{false, chain.id(s) + suffix}};
      if (chain.is_learner(s)) columns.emplace_back(true, chain.id(s) + ".margin" + suffix);
      for (const auto& [margin, column] : columns) {
        const auto position = table->find(column);
        if (!position) return refuse(name + " lacks the column " + column + ": every stage must be proven.");
        expectations.push_back({s, margin, v, column, *position});
        known.push_back(column);
      }
    }
  }
  for (const std::string& column : table->columns)
    if (std::find(known.begin(), known.end(), column) == known.end())
      return refuse(name + " has the unknown column '" + column.substr(0, 128) + "'." + did_you_mean(column, known));

  SelftestReport report;
  std::size_t predicted = 0;
  for (const auto& row : table->rows) {
    ++report.rows;
    const std::string here = name + ", row " + std::to_string(report.rows) + " (" + row[0].substr(0, 64) + ")";
    std::map<std::string, double> inputs;
    for (std::size_t f = 0; f < feature_columns.size(); ++f) {
      const std::string& cell = row[feature_columns[f]];
      if (cell.empty()) continue;
      const auto number = parse_number(cell);
      if (!number) return refuse(here + ": " + manifest.features[f].id + " is not a finite number.");
      inputs[manifest.features[f].id] = *number;
    }
    const bool must_be_refused = std::all_of(expectations.begin(), expectations.end(), [&](const Expectation& e) { return row[e.position].empty(); });
    const auto admitted = admit_row(manifest, inputs);
    const std::string site = site_column ? row[*site_column] : std::string{};
    const Status known_site = check_site(manifest, chain, site);
    const auto scores = !admitted ? Result<std::vector<StageScore>>(fail(admitted.error())) : !known_site ? Result<std::vector<StageScore>>(fail(known_site.error())) : chain.run(*admitted, site);
    if (must_be_refused) {
      if (scores) return refuse(here + ": the row must be refused for its missing values" + (site_column ? " or its site" : "") + ", but it was scored.", ErrorCode::selftest_mismatch);
      if (scores.error().code != ErrorCode::missing_value && scores.error().code != ErrorCode::not_found)
        return refuse(here + ": the row must be refused for its missing values, but: " + scores.error().message, ErrorCode::selftest_mismatch);
      continue;
    }
    if (!scores) return refuse(here + ": " + scores.error().message, ErrorCode::selftest_mismatch);
    ++predicted;
    for (const Expectation& expectation : expectations) {
      const StageScore& score = (*scores)[expectation.stage];
      const double got = (expectation.margin ? score.margins : score.values)[expectation.index];
      const std::string& cell = row[expectation.position];
      const auto expected = parse_number(cell);
      if (cell.empty() && std::isnan(got)) continue;  // a scaler hands a missing value on
      if (!expected) return refuse(here + ": the column " + expectation.column + " must hold a finite number.");
      const double deviation = std::abs(got - *expected) / std::max(1.0, std::abs(*expected));
      if (!(deviation <= manifest.selftest_tolerance))
        return refuse(here + ", stage " + chain.id(expectation.stage) + ", column " + expectation.column + ": expected " + print_number(*expected) + ", got " +
                          print_number(got) + " (tolerance " + print_number(manifest.selftest_tolerance) + "). The package does not compute here what it computed where it was made.",
                      ErrorCode::selftest_mismatch);
      report.largest_deviation = std::max(report.largest_deviation, deviation);
    }
  }
  if (predicted < selftest_rows_min / 2)
    return refuse(name + " has only " + std::to_string(predicted) + " rows with an expected prediction; at least " + std::to_string(selftest_rows_min / 2) + " are needed.");
  return report;
}

}  // namespace choana::processing
