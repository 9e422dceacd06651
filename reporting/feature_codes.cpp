#include "reporting/feature_codes.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <nlohmann/json.hpp>
#include <string_view>

#include "core/sha256.h"

namespace choana::embedded {
extern const std::string_view feature_codes_tsv;
}

namespace choana::reporting {
namespace {

std::vector<FeatureCode> read_table(std::string_view text) {
  std::vector<FeatureCode> rows;
  bool header_seen = false;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    if (line.empty() || line.front() == '#') continue;
    if (!header_seen) {
      header_seen = true;
      continue;
    }
    std::array<std::string, 7> cells;
    std::size_t from = 0;
    for (std::string& cell : cells) {
      const std::size_t tab = std::min(line.find('\t', from), line.size());
      cell = std::string(line.substr(from, tab - from));
      from = std::min(tab + 1, line.size());
    }
    const std::size_t underscore = cells[0].find('_');
    if (underscore == std::string::npos) continue;
    rows.push_back({.family = cells[0].substr(0, underscore),
                    .name = cells[0].substr(underscore + 1),
                    .concept_name = {cells[1], cells[2], cells[3]},
                    .unit = {cells[4], cells[5]},
                    .intensity_power = cells[6]});
  }
  return rows;
}

/// A value of an image network: network and index are the feature, so both are in the code.
FeatureCode deep_feature(const FeatureId& id) {
  std::string digest = sha256_hex(id.str()).substr(0, 13);
  std::transform(digest.begin(), digest.end(), digest.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return {.family = id.family, .name = id.name, .concept_name = {"DF_" + digest, "99CHOANA", ("Deep feature " + id.name + " of " + id.image).substr(0, 64)}, .unit = {}, .intensity_power = "none"};
}

FeatureCode unlisted(const FeatureId& id) {
  std::string meaning = id.family + " " + id.name;
  if (meaning.size() > 64) meaning.resize(64);
  std::string digest = sha256_hex(id.family + "_" + id.name).substr(0, 13);
  std::transform(digest.begin(), digest.end(), digest.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return {.family = id.family, .name = id.name, .concept_name = {"FT_" + digest, "99CHOANA", meaning}, .unit = {}, .intensity_power = "none"};
}

bool names_normalisation(const std::string& step) { return step.starts_with("normalis") || step.starts_with("normaliz") || step.starts_with("intensity_normalis"); }

/// Does any object of the document hold a key that switches normalisation on, or name it as a step?
bool says_normalised(const nlohmann::json& node, int depth = 0) {
  if (depth > 16) return false;
  if (node.is_object()) {
    for (const auto& [key, value] : node.items()) {
      if (key == "step" && value.is_string() && names_normalisation(value.get<std::string>())) return true;
      if (key == "normalize" || key == "normalise" || key == "normalisation" || key == "normalization") {
        if (value.is_boolean() && value.get<bool>()) return true;
        if (value.is_string() && value != "" && value != "none" && value != "off" && value != "false") return true;
        if (value.is_number() && value != 0) return true;
        if (value.is_object() && !value.empty()) {
          const std::string method = value.value("method", std::string("unnamed"));
          if (method != "none" && value.value("enabled", true)) return true;
          continue;
        }
      }
      if (says_normalised(value, depth + 1)) return true;
    }
  } else if (node.is_array()) {
    for (const auto& value : node)
      if (says_normalised(value, depth + 1)) return true;
  }
  return false;
}

}  // namespace

const std::vector<FeatureCode>& feature_codes() {
  static const std::vector<FeatureCode> table = read_table(embedded::feature_codes_tsv);
  return table;
}

FeatureCode feature_code(const FeatureId& id) {
  if (id.family == "deep") return deep_feature(id);
  const auto& table = feature_codes();
  const auto row = std::find_if(table.begin(), table.end(), [&](const FeatureCode& each) { return each.name == id.name && each.family == id.family; });
  return row == table.end() ? unlisted(id) : *row;
}

Unit feature_unit(const FeatureId& id, bool raw_intensities) {
  const FeatureCode code = feature_code(id);
  if (!raw_intensities || id.image != "original") return code.unit;
  if (code.intensity_power == "I") return {"[arb'U]", "arbitrary unit"};
  if (code.intensity_power == "I^2") return {"[arb'U]2", "square arbitrary unit"};
  if (code.intensity_power == "I^2.mm3") return {"[arb'U]2.mm3", "square arbitrary unit cubic millimeter"};
  return code.unit;
}

bool measured_raw_intensities(const Measurement& measurement, const std::vector<StepRecord>& steps) {
  const auto parameters = nlohmann::json::parse(measurement.parameters, nullptr, false);
  if (!parameters.is_discarded()) {
    if (says_normalised(parameters)) return false;
    // The measurement lists its own preparation: what others of the role went through is not its business.
    if (parameters.is_object() && parameters.contains("preparation")) return true;
  }
  return std::none_of(steps.begin(), steps.end(),
                      [&](const StepRecord& step) { return (step.role == measurement.role || step.role.empty()) && names_normalisation(step.name); });
}

}  // namespace choana::reporting
