#include "node/series_rules_reader.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <toml++/toml.h>
#include <vector>

#include "core/near_match.h"

namespace choana::node {
namespace {

constexpr const char* step = "read_series_rules";
constexpr std::size_t file_bytes_max = 1 << 20;
constexpr std::size_t rules_max = 500;
constexpr std::size_t list_max = 200;

class Reader {
 public:
  explicit Reader(std::string_view file_name) : file_name_(file_name) {}

  [[nodiscard]] tl::unexpected<Error> problem(const toml::node& at, const std::string& what) const {
    return fail(ErrorCode::invalid_settings, step, file_name_ + ":" + std::to_string(at.source().begin.line) + ": " + what);
  }

  Status check_keys(const toml::table& table, const std::vector<std::string>& known, const std::string& where) const {
    for (const auto& [key, value] : table) {
      const std::string name(key.str());
      if (std::find(known.begin(), known.end(), name) == known.end())
        return problem(value, where + " has no key \"" + name + "\"." + did_you_mean(name, known));
    }
    return {};
  }

  Status read(const toml::table& table, const char* key, std::string& to) const {
    const toml::node* node = table.get(key);
    if (node == nullptr) return {};
    if (!node->is_string()) return problem(*node, std::string(key) + " must be text in quotation marks.");
    to = node->as_string()->get();
    return {};
  }

  Status read(const toml::table& table, const char* key, std::optional<bool>& to) const {
    const toml::node* node = table.get(key);
    if (node == nullptr) return {};
    if (!node->is_boolean()) return problem(*node, std::string(key) + " must be true or false.");
    to = node->as_boolean()->get();
    return {};
  }

  Status read(const toml::table& table, const char* key, std::vector<std::string>& to) const {
    const toml::node* node = table.get(key);
    if (node == nullptr) return {};
    const toml::array* list = node->as_array();
    if (list == nullptr || list->size() > list_max) return problem(*node, std::string(key) + " must be a list of at most " + std::to_string(list_max) + " texts.");
    for (const toml::node& entry : *list) {
      if (!entry.is_string()) return problem(entry, std::string(key) + " must be a list of texts.");
      to.push_back(entry.as_string()->get());
    }
    return {};
  }

  Status read(const toml::table& table, const char* key, processing::DescriptionPatterns& to) const {
    std::vector<std::string> texts;
    if (Status status = read(table, key, texts); !status) return status;
    for (std::string& text : texts) {
      auto pattern = processing::DescriptionPattern::make(std::move(text));
      if (!pattern) return problem(*table.get(key), std::string(key) + ": " + pattern.error().message);
      to.push_back(std::move(*pattern));
    }
    return {};
  }

  Status read(const toml::table& table, const char* key, std::optional<processing::NumberRange>& to) const {
    const toml::node* node = table.get(key);
    if (node == nullptr) return {};
    const toml::array* list = node->as_array();
    if (list == nullptr || list->size() != 2 || !list->get(0)->is_number() || !list->get(1)->is_number())
      return problem(*node, std::string(key) + " must be two numbers, [low, high].");
    const processing::NumberRange range{*list->get(0)->value<double>(), *list->get(1)->value<double>()};
    if (!std::isfinite(range.low) || !std::isfinite(range.high) || range.low > range.high)
      return problem(*node, std::string(key) + ": the first number must not be larger than the second.");
    to = range;
    return {};
  }

 private:
  std::string file_name_;
};

/// The first error of several readings, in order.
template <typename... Readings>
Status all_of(Readings&&... readings) {
  Status status;
  const auto next = [&](auto&& reading) {
    if (status) status = reading();
  };
  (next(readings), ...);
  return status;
}

Result<processing::SeriesRule> read_rule(const Reader& reader, const toml::table& table) {
  static const std::vector<std::string> known{
      "name", "role", "weighting", "image_type_any", "image_type_none", "diffusion", "contrast", "fat_suppressed", "sequence_any", "sequence_none",
      "tr_ms", "te_ms", "ti_ms", "flip_angle_deg", "tr_ms_if_known", "te_ms_if_known", "ti_ms_if_known", "description_any", "description_none"};
  static const std::vector<std::string> roles{"T1", "T1C", "T1C-FS", "T2", "T2-FS", "DWI", "ADC"};
  static const std::vector<std::string> weightings{"T1", "T2"};
  processing::SeriesRule rule;
  const auto into = [&](const char* key, auto& to) { return [&reader, &table, key, &to] { return reader.read(table, key, to); }; };
  const Status read = all_of(
      [&] { return reader.check_keys(table, known, "A rule"); }, into("name", rule.name), into("role", rule.role), into("weighting", rule.weighting),
      into("image_type_any", rule.image_type_any), into("image_type_none", rule.image_type_none), into("diffusion", rule.diffusion),
      into("contrast", rule.contrast), into("fat_suppressed", rule.fat_suppressed), into("sequence_any", rule.sequence_any),
      into("sequence_none", rule.sequence_none), into("tr_ms", rule.repetition_time_ms), into("te_ms", rule.echo_time_ms),
      into("ti_ms", rule.inversion_time_ms), into("flip_angle_deg", rule.flip_angle_deg), into("tr_ms_if_known", rule.repetition_time_ms_if_known),
      into("te_ms_if_known", rule.echo_time_ms_if_known), into("ti_ms_if_known", rule.inversion_time_ms_if_known),
      into("description_any", rule.description_any), into("description_none", rule.description_none));
  if (!read) return fail(read.error());
  if (rule.name.empty()) return reader.problem(table, "A rule needs a name.");
  const auto among = [](const std::string& text, const std::vector<std::string>& list) { return text.empty() || std::find(list.begin(), list.end(), text) != list.end(); };
  if (!among(rule.role, roles)) return reader.problem(*table.get("role"), "\"" + rule.role + "\" is no role." + did_you_mean(rule.role, roles));
  if (!among(rule.weighting, weightings)) return reader.problem(*table.get("weighting"), "\"" + rule.weighting + "\" is no weighting; T1 and T2 are.");
  if (!rule.role.empty() && !rule.weighting.empty()) return reader.problem(table, "A rule gives a role or a weighting, not both.");
  return rule;
}

}  // namespace

Result<processing::SeriesRules> read_series_rules(std::string_view toml_text, std::string_view file_name) {
  const std::string name(file_name);
  if (toml_text.size() > file_bytes_max) return fail(ErrorCode::invalid_settings, step, name + " is larger than rules can be.");
  toml::table root;
  try {
    root = toml::parse(toml_text, file_name);
  } catch (const toml::parse_error& error) {
    return fail(ErrorCode::invalid_settings, step, name + ":" + std::to_string(error.source().begin.line) + ": " + std::string(error.description()) + ".");
  }
  const Reader reader(file_name);
  processing::SeriesRules rules;
  std::string format;
  if (Status status = all_of([&] { return reader.check_keys(root, {"format", "words", "rule"}, "The file"); }, [&] { return reader.read(root, "format", format); }); !status)
    return fail(status.error());
  if (format != "choana-series-rules/1") return fail(ErrorCode::invalid_settings, step, name + ": format must be \"choana-series-rules/1\".");

  if (const toml::node* node = root.get("words")) {
    const toml::table* words = node->as_table();
    if (words == nullptr) return reader.problem(*node, "words must be a table, [words].");
    const Status status = all_of(
        [&] { return reader.check_keys(*words, {"no_agent", "contrast", "plain", "fat_suppressed", "not_fat_suppressed"}, "[words]"); },
        [&] { return reader.read(*words, "no_agent", rules.no_agent_words); }, [&] { return reader.read(*words, "contrast", rules.contrast_descriptions); },
        [&] { return reader.read(*words, "plain", rules.plain_descriptions); },
        [&] { return reader.read(*words, "fat_suppressed", rules.fat_suppressed_descriptions); },
        [&] { return reader.read(*words, "not_fat_suppressed", rules.not_fat_suppressed_descriptions); });
    if (!status) return fail(status.error());
  }

  const toml::node* node = root.get("rule");
  const toml::array* rows = node == nullptr ? nullptr : node->as_array();
  if (rows == nullptr || rows->empty()) return fail(ErrorCode::invalid_settings, step, name + ": there is no [[rule]].");
  if (rows->size() > rules_max) return reader.problem(*node, "There are more than " + std::to_string(rules_max) + " rules.");
  std::set<std::string> names;
  for (const toml::node& row : *rows) {
    const toml::table* table = row.as_table();
    if (table == nullptr) return reader.problem(row, "A rule must be a table, [[rule]].");
    auto rule = read_rule(reader, *table);
    if (!rule) return fail(rule.error());
    if (!names.insert(rule->name).second) return reader.problem(*table, "There are two rules named \"" + rule->name + "\".");
    rules.rules.push_back(std::move(*rule));
  }
  return rules;
}

}  // namespace choana::node
