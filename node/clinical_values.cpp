#include "node/clinical_values.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "core/near_match.h"
#include "core/sha256.h"

namespace choana {
namespace {

using nlohmann::json;

constexpr std::size_t entries_max = 64;
constexpr std::size_t name_max = 64;
constexpr std::size_t unit_max = 16;  // of an SR unit code

tl::unexpected<Error> wrong(const std::string& message) { return fail(ErrorCode::invalid_argument, "clinical_values", message); }

bool is_name(const std::string& text) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  return !text.empty() && text.size() <= name_max && letter(text.front()) &&
         std::all_of(text.begin(), text.end(), [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '_'; });
}

// Printable ASCII without spaces, as UCUM's codes are.
bool is_unit(const std::string& text) {
  return !text.empty() && text.size() <= unit_max && std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 127; });
}

bool is_date(const std::string& text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return false;
  for (std::size_t at = 0; at < 10; ++at)
    if (at != 4 && at != 7 && (text[at] < '0' || text[at] > '9')) return false;
  const int year = std::stoi(text.substr(0, 4)), month = std::stoi(text.substr(5, 2)), day = std::stoi(text.substr(8, 2));
  constexpr int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return year >= 1900 && month >= 1 && month <= 12 && day >= 1 && day <= days[month - 1] + (month == 2 && leap ? 1 : 0);
}

}  // namespace

Result<ClinicalDocument> parse_clinical_document(std::string_view text, const std::string& source) {
  // Bounded depth: a body of nested brackets must not exhaust the stack.
  const json document = json::parse(text, [](int depth, json::parse_event_t, json&) { return depth < 8; }, false);
  if (!document.is_object() || !document.contains("values") || !document["values"].is_array())
    return wrong(R"(The body must be JSON of the form {"values": [{"name": "wbc", "value": 6.2, "unit": "10*9/L", "date": "2026-11-01"}]}.)");
  for (const auto& [key, value] : document.items())
    if (key != "values") return wrong("There is no field '" + key.substr(0, 40) + "' beside 'values'.");
  if (document["values"].size() > entries_max) return wrong("At most " + std::to_string(entries_max) + " values can be given at once.");
  ClinicalDocument result;
  std::set<std::string> seen;
  std::size_t number = 0;
  for (const json& entry : document["values"]) {
    const std::string here = "Entry " + std::to_string(++number);
    if (!entry.is_object()) return wrong(here + " is no object.");
    const std::vector<std::string> known{"name", "value", "unit", "date"};
    for (const auto& [key, value] : entry.items())
      if (std::find(known.begin(), known.end(), key) == known.end()) return wrong(here + " has an unknown field '" + key.substr(0, 40) + "'." + did_you_mean(key, known));
    if (!entry.contains("name") || !entry["name"].is_string() || !is_name(entry["name"].get<std::string>()))
      return wrong(here + " needs a name: a letter followed by letters, digits and underscores, at most 64.");
    ClinicalValue value;
    value.name = entry["name"];
    value.source = source;
    if (!seen.insert(value.name).second) return wrong(here + " names '" + value.name + "' a second time.");
    if (!entry.contains("value") || !(entry["value"].is_number() || entry["value"].is_null()))
      return wrong(here + " ('" + value.name + "') needs a value: a number, or null to take it back.");
    if (entry["value"].is_null()) {
      result.removed.push_back(value.name);
      continue;
    }
    value.value = entry["value"];
    if (!std::isfinite(value.value)) return wrong(here + " ('" + value.name + "') is not finite.");
    value.unit = "1";
    if (entry.contains("unit")) {
      if (!entry["unit"].is_string() || !is_unit(entry["unit"].get<std::string>())) return wrong(here + " ('" + value.name + "') has a unit that is no UCUM code.");
      value.unit = entry["unit"];
    }
    if (entry.contains("date")) {
      if (!entry["date"].is_string() || !is_date(entry["date"].get<std::string>())) return wrong(here + " ('" + value.name + "') has a date that is not of the form 2026-11-01.");
      value.date = entry["date"];
    }
    result.values.push_back(std::move(value));
  }
  return result;
}

std::string clinical_values_json(const std::vector<ClinicalValue>& values) {
  json list = json::array();
  for (const ClinicalValue& value : values) {
    json entry{{"name", value.name}, {"value", value.value}, {"unit", value.unit}};
    if (!value.date.empty()) entry["date"] = value.date;
    list.push_back(std::move(entry));
  }
  return json{{"values", std::move(list)}}.dump();
}

std::string clinical_digest(const std::vector<ClinicalValue>& values) {
  if (values.empty()) return {};
  std::vector<ClinicalValue> sorted = values;
  std::sort(sorted.begin(), sorted.end(), [](const ClinicalValue& a, const ClinicalValue& b) { return a.name < b.name; });
  return sha256_hex(clinical_values_json(sorted));
}

}  // namespace choana
