#include "processing/prediction/readers/combat_reader.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "core/near_match.h"
#include "processing/prediction/readers/json_internal.h"

namespace choana::processing {
namespace {

using nlohmann::json;

// One object of the file. The first problem is kept; what is read after it does not matter.
class Entry {
 public:
  Entry(const json& object, std::string where, std::optional<Error>& problem) : object_(object), where_(std::move(where)), problem_(problem) {
    if (!object_.is_object()) complain("must be a JSON object");
  }

  void complain(const std::string& what, ErrorCode code = ErrorCode::invalid_package) const {
    if (!problem_) problem_ = Error{code, "read_combat", where_ + " " + what + (what.ends_with('?') ? "" : "."), {}};
  }

  const json* find(const std::string& key, bool required) {
    known_.push_back(key);
    if (!object_.is_object()) return nullptr;
    const auto found = object_.find(key);
    if (found != object_.end()) return &*found;
    if (required) complain("has no field '" + key + "'");
    return nullptr;
  }

  std::string text(const std::string& key, bool required, std::size_t length_max = 128) {
    const json* value = find(key, required);
    return value == nullptr ? std::string{} : text_of(*value, key, length_max);
  }

  std::string text_of(const json& value, const std::string& key, std::size_t length_max) const {
    if (value.is_string()) {
      const std::string& text = value.get_ref<const std::string&>();
      const bool printable = std::none_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; });
      if (printable && !text.empty() && text.size() <= length_max) return text;
    }
    complain("field '" + key + "' must hold text of 1 to " + std::to_string(length_max) + " characters without control characters");
    return {};
  }

  std::vector<std::string> texts(const std::string& key, std::size_t count_max) {
    std::vector<std::string> list;
    for (const json* item : items(key, true, count_max)) list.push_back(text_of(*item, key, 256));
    return list;
  }

  std::vector<double> numbers(const std::string& key) {
    std::vector<double> list;
    for (const json* item : items(key, true, combat_features_max)) {
      if (!item->is_number()) {
        complain("field '" + key + "' must hold numbers only");
        break;
      }
      list.push_back(item->get<double>());
    }
    return list;
  }

  std::optional<double> number(const std::string& key) {
    const json* value = find(key, false);
    if (value == nullptr) return std::nullopt;
    if (!value->is_number()) {
      complain("field '" + key + "' must be a number");
      return std::nullopt;
    }
    return value->get<double>();
  }

  // The entries of a list.
  std::vector<const json*> items(const std::string& key, bool required, std::size_t count_max) {
    std::vector<const json*> list;
    const json* value = find(key, required);
    if (value == nullptr) return list;
    if (!value->is_array()) {
      complain("field '" + key + "' must be a list");
    } else if (value->size() > count_max) {
      complain("field '" + key + "' has more than " + std::to_string(count_max) + " entries", ErrorCode::limit_exceeded);
    } else {
      for (const json& item : *value) list.push_back(&item);
    }
    return list;
  }

  void finish() const {
    if (!object_.is_object()) return;
    for (const auto& [key, value] : object_.items())
      if (std::find(known_.begin(), known_.end(), key) == known_.end()) {
        const std::string near = did_you_mean(key, known_);
        complain("has the unknown field '" + key.substr(0, 64) + "'" + (near.empty() ? "" : "." + near));
      }
  }

 private:
  const json& object_;
  std::string where_;
  std::optional<Error>& problem_;
  std::vector<std::string> known_;
};

SiteMatch read_match(const json& object, const std::string& where, std::optional<Error>& problem) {
  Entry entry(object, where, problem);
  SiteMatch match;
  match.manufacturer = entry.text("manufacturer", false);
  match.manufacturer_model_name = entry.text("manufacturer_model_name", false);
  match.field_strength_t = entry.number("field_strength_t");
  if (match.field_strength_t && !(*match.field_strength_t > 0 && *match.field_strength_t <= 30)) entry.complain("field 'field_strength_t' must be a field strength in tesla (above 0, at most 30)");
  entry.finish();
  if (match.empty()) entry.complain("has no condition");
  return match;
}

}  // namespace

Result<CombatParameters> read_combat(std::string_view text, const std::string& name, UnknownSite unknown_site) {
  const auto document = parse_json_strictly(text, name);
  if (!document) return fail(document.error());
  std::optional<Error> problem;
  Entry root(*document, name, problem);
  if (const std::string format = root.text("format", true); !problem && format != "choana-combat/1") root.complain("has the format '" + format + "'; this version of Choana reads choana-combat/1");
  CombatParameters parameters;
  parameters.unknown_site = unknown_site;
  parameters.features = root.texts("features", combat_features_max);
  parameters.alpha = root.numbers("alpha");
  parameters.sigma2 = root.numbers("sigma2");
  for (const json* item : root.items("covariates", false, combat_covariates_max)) {
    Entry entry(*item, name + ", covariates[" + std::to_string(parameters.covariates.size()) + "],", problem);
    CombatCovariate covariate;
    covariate.name = entry.text("name", true, 256);
    covariate.beta = entry.numbers("beta");
    entry.finish();
    parameters.covariates.push_back(std::move(covariate));
  }
  std::size_t numbers = 0;
  for (const json* item : root.items("sites", true, combat_sites_max)) {
    const std::string where = name + ", sites[" + std::to_string(parameters.sites.size()) + "]";
    Entry entry(*item, where + ",", problem);
    CombatSite site;
    site.name = entry.text("name", true, 64);
    for (const json* match : entry.items("match", false, combat_matches_max))
      site.matches.push_back(read_match(*match, where + ".match[" + std::to_string(site.matches.size()) + "],", problem));
    site.gamma = entry.numbers("gamma");
    site.delta = entry.numbers("delta");
    entry.finish();
    numbers += site.gamma.size() + site.delta.size();
    if (numbers > combat_numbers_max) root.complain("holds more than " + std::to_string(combat_numbers_max) + " numbers", ErrorCode::limit_exceeded);
    if (problem) break;
    parameters.sites.push_back(std::move(site));
  }
  parameters.reference = root.text("reference", false, 64);
  if (const json* note = root.find("note", false); note != nullptr && !note->is_string()) root.complain("field 'note' must be text");
  root.finish();
  if (problem) return fail(*problem);
  if (const Status status = check_combat(parameters); !status) return fail(status.error().code, "read_combat", name + ": " + status.error().message);
  if (!parameters.reference.empty() && parameters.find(parameters.reference) == nullptr)
    return fail(ErrorCode::invalid_package, "read_combat", name + ": the reference '" + parameters.reference + "' is none of the sites.");
  return parameters;
}

}  // namespace choana::processing
