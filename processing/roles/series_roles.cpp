#include "processing/roles/series_roles.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <tuple>

namespace choana::processing {
namespace {

std::string number_text(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%g", value);
  return text.data();
}

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return c < 0x80 ? static_cast<char>(std::toupper(c)) : static_cast<char>(c); });
  return text;
}

bool holds_value(const std::vector<std::string>& values, const std::string& wanted) {
  return std::any_of(values.begin(), values.end(), [&](const std::string& value) { return upper(value) == upper(wanted); });
}

std::string joined(const std::vector<std::string>& values, const char* between) {
  std::string text;
  for (const std::string& value : values) text += (text.empty() ? "" : between) + value;
  return text;
}

const DescriptionPattern* first_match(const DescriptionPatterns& patterns, const std::string& text) {
  if (text.empty()) return nullptr;
  const auto found = std::find_if(patterns.begin(), patterns.end(), [&](const DescriptionPattern& pattern) { return pattern.matches(text); });
  return found == patterns.end() ? nullptr : &*found;
}

/// Evidence for or against something, with where it came from.
struct Evidence {
  bool yes = false;
  std::string reason;  // empty: there is nothing either way
};

/// The text that description patterns are tried on, and how reasons call it.
struct Wording {
  const std::string& text;
  const char* name;
};

Evidence contrast_evidence(const AcquisitionFacts& facts, const Wording& wording, const SeriesRules& rules) {
  const bool agent = !facts.contrast_agent.empty() && !holds_value(rules.no_agent_words, facts.contrast_agent);
  if (const auto* plain = first_match(rules.plain_descriptions, wording.text))
    return {false, std::string("the ") + wording.name + " says before contrast (\"" + plain->text() + "\")" + (agent ? ", which outweighs the named agent" : "")};
  if (!agent)
    if (const auto* with = first_match(rules.contrast_descriptions, wording.text)) return {true, std::string("the ") + wording.name + " says contrast (\"" + with->text() + "\")"};
  if (agent) return {true, "a contrast agent is named"};
  if (!facts.contrast_agent.empty()) return {false, "the contrast agent is given as \"" + facts.contrast_agent + "\""};
  return {false, {}};
}

bool is_short_inversion(const AcquisitionFacts& facts) {
  return facts.inversion_time_ms && *facts.inversion_time_ms >= 80 && *facts.inversion_time_ms <= 300 && facts.repetition_time_ms && *facts.repetition_time_ms >= 1500;
}

Evidence fat_evidence(const AcquisitionFacts& facts, const Wording& wording, const SeriesRules& rules) {
  for (const char* option : {"FS", "FATSAT", "FAT_SAT", "SPAIR", "SPIR"})
    if (holds_value(facts.scan_options, option)) return {true, std::string("the scan options hold ") + option};
  for (const char* type : {"WATER", "W"})
    if (holds_value(facts.image_type, type)) return {true, std::string("the image type holds ") + type};
  if (is_short_inversion(facts)) return {true, "the inversion time of " + number_text(*facts.inversion_time_ms) + " ms nulls fat"};
  if (const auto* without = first_match(rules.not_fat_suppressed_descriptions, wording.text))
    return {false, std::string("the ") + wording.name + " says not fat-suppressed (\"" + without->text() + "\")"};
  if (const auto* with = first_match(rules.fat_suppressed_descriptions, wording.text)) return {true, std::string("the ") + wording.name + " says fat-suppressed (\"" + with->text() + "\")"};
  return {false, {}};
}

Evidence diffusion_evidence(const AcquisitionFacts& facts, const std::vector<double>& b_values) {
  if (b_values.empty()) return {};
  if (b_values.back() > 0) return {true, "b-values up to " + number_text(b_values.back()) + " s/mm2"};
  // Some scanners write b = 0 into every image.
  if (holds_value(facts.scanning_sequence, "EP") || holds_value(facts.image_type, "DIFFUSION") || upper(facts.acquisition_contrast) == "DIFFUSION")
    return {true, "b-value 0 of an echo planar or diffusion sequence"};
  return {false, "the only b-value is 0 and the sequence is not echo planar"};
}

struct Circumstances {
  const AcquisitionFacts& facts;
  Wording wording;
  Evidence contrast;
  Evidence fat_suppressed;
  Evidence diffusion;
};

/// Conditions of one rule: what held, and the first that did not.
class RuleCheck {
 public:
  RuleCheck(const SeriesRule& rule, const Circumstances& at) : rule_(rule), at_(at) {}

  bool holds() {
    return image_type() && evidence("diffusion", rule_.diffusion, at_.diffusion) && evidence("contrast agent", rule_.contrast, at_.contrast) &&
           evidence("fat suppression", rule_.fat_suppressed, at_.fat_suppressed) && sequence() &&
           number("TR", "ms", rule_.repetition_time_ms, at_.facts.repetition_time_ms, true) && number("TE", "ms", rule_.echo_time_ms, at_.facts.echo_time_ms, true) &&
           number("TI", "ms", rule_.inversion_time_ms, at_.facts.inversion_time_ms, true) &&
           number("flip angle", "degrees", rule_.flip_angle_deg, at_.facts.flip_angle_deg, true) &&
           number("TR", "ms", rule_.repetition_time_ms_if_known, at_.facts.repetition_time_ms, false) &&
           number("TE", "ms", rule_.echo_time_ms_if_known, at_.facts.echo_time_ms, false) &&
           number("TI", "ms", rule_.inversion_time_ms_if_known, at_.facts.inversion_time_ms, false) && description();
  }
  [[nodiscard]] std::vector<std::string> reasons() const { return reasons_; }
  [[nodiscard]] const std::string& failed() const { return failed_; }

 private:
  bool refuse(std::string why) {
    failed_ = std::move(why);
    return false;
  }
  bool image_type() {
    std::vector<std::string> types = at_.facts.image_type;
    if (!at_.facts.acquisition_contrast.empty()) types.push_back(at_.facts.acquisition_contrast);
    if (!rule_.image_type_any.empty()) {
      const auto found = std::find_if(rule_.image_type_any.begin(), rule_.image_type_any.end(), [&](const std::string& v) { return holds_value(types, v); });
      if (found == rule_.image_type_any.end()) return refuse("the image type holds none of " + joined(rule_.image_type_any, ", "));
      reasons_.push_back("the image type holds " + *found);
    }
    for (const std::string& value : rule_.image_type_none)
      if (holds_value(types, value)) return refuse("the image type holds " + value);
    return true;
  }
  bool evidence(const char* what, const std::optional<bool>& wanted, const Evidence& found) {
    if (!wanted) return true;
    if (*wanted == found.yes) {
      if (!found.reason.empty()) reasons_.push_back(found.reason);
      return true;
    }
    return refuse(*wanted ? std::string("no evidence of ") + what + (found.reason.empty() ? "" : " (" + found.reason + ")") : found.reason);
  }
  bool sequence() {
    const auto& sequences = at_.facts.scanning_sequence;
    if (!rule_.sequence_any.empty()) {
      const auto found = std::find_if(rule_.sequence_any.begin(), rule_.sequence_any.end(), [&](const std::string& v) { return holds_value(sequences, v); });
      if (found == rule_.sequence_any.end())
        return refuse(sequences.empty() ? "the scanning sequence is not given" : "the scanning sequence is " + joined(sequences, "/") + ", not " + joined(rule_.sequence_any, " or "));
      reasons_.push_back("scanning sequence " + joined(sequences, "/"));
    }
    for (const std::string& value : rule_.sequence_none)
      if (holds_value(sequences, value)) return refuse("the scanning sequence holds " + value);
    return true;
  }
  bool number(const char* name, const char* unit, const std::optional<NumberRange>& range, const std::optional<double>& value, bool needed) {
    if (!range) return true;
    const std::string within = number_text(range->low) + " to " + number_text(range->high) + " " + unit;
    if (!value) return needed ? refuse(std::string(name) + " is not given (" + within + " is needed)") : true;
    if (*value < range->low || *value > range->high) return refuse(std::string(name) + " " + number_text(*value) + " " + unit + " is not within " + within);
    reasons_.push_back(std::string(name) + " " + number_text(*value) + " " + unit + " is within " + within);
    return true;
  }
  bool description() {
    const std::string& text = at_.wording.text;
    if (!rule_.description_any.empty()) {
      const DescriptionPattern* found = first_match(rule_.description_any, text);
      if (found == nullptr) return refuse(text.empty() ? "there is no description" : std::string("the ") + at_.wording.name + " fits no pattern");
      reasons_.push_back(std::string("the ") + at_.wording.name + " fits \"" + found->text() + "\"");
    }
    if (const auto* against = first_match(rule_.description_none, text)) return refuse(std::string("the ") + at_.wording.name + " fits \"" + against->text() + "\"");
    return true;
  }

  const SeriesRule& rule_;
  const Circumstances& at_;
  std::vector<std::string> reasons_;
  std::string failed_;
};

/// The role of a weighting, or nothing: T1 with fat suppression and without contrast agent is no role of ours.
std::string role_of_weighting(const std::string& weighting, const Circumstances& at) {
  if (weighting == "T1") {
    if (at.contrast.yes) return at.fat_suppressed.yes ? "T1C-FS" : "T1C";
    return at.fat_suppressed.yes ? "" : "T1";
  }
  if (weighting == "T2") return at.fat_suppressed.yes ? "T2-FS" : "T2";
  return {};
}

/// Try the rules with one text. `decided`: some rule held, if only to set the series aside.
RoleDecision try_rules(const Circumstances& at, const std::vector<double>& b_values, const VolumeSummary& summary, const SeriesRules& rules, bool& decided) {
  RoleDecision decision;
  decided = true;
  for (std::size_t n = 0; n < rules.rules.size(); ++n) {
    const SeriesRule& rule = rules.rules[n];
    RuleCheck check(rule, at);
    if (!check.holds()) {
      decision.rejected.push_back("Rule \"" + rule.name + "\": " + check.failed() + ".");
      continue;
    }
    const std::string held = "Rule \"" + rule.name + "\": " + (check.reasons().empty() ? "no condition against it" : joined(check.reasons(), "; ")) + ".";
    if (rule.role.empty() && rule.weighting.empty()) {
      decision.rejected.push_back("Set aside. " + held);
      return decision;
    }
    decision.reasons.push_back(held);
    decision.role = rule.role;
    if (!rule.weighting.empty()) {
      decision.role = role_of_weighting(rule.weighting, at);
      decision.reasons.push_back(at.contrast.reason.empty() ? "Contrast agent: no evidence." : "Contrast agent: " + at.contrast.reason + ".");
      decision.reasons.push_back(at.fat_suppressed.reason.empty() ? "Fat suppression: no evidence." : "Fat suppression: " + at.fat_suppressed.reason + ".");
      if (decision.role.empty()) {
        decision.rejected.insert(decision.rejected.end(), decision.reasons.begin(), decision.reasons.end());
        decision.rejected.push_back(rule.weighting + "-weighted with fat suppression but without evidence of contrast agent is none of the roles.");
        decision.reasons.clear();
        return decision;
      }
    }
    if (decision.role == "DWI" && b_values.size() == 1) decision.role += "-b" + std::to_string(std::lround(b_values.front()));
    decision.rule_order = static_cast<int>(n) + 1;
    if (summary.slices > 0)
      decision.reasons.push_back("Plane " + summary.plane + ", " + std::to_string(summary.slices) + (summary.slices == 1 ? " slice" : " slices") + ", field of view " +
                                 number_text(std::round(summary.field_of_view_mm)) + " mm.");
    return decision;
  }
  decided = false;
  return decision;
}

}  // namespace

RoleDecision classify_series(const AcquisitionFacts& facts, const VolumeSummary& summary, const SeriesRules& rules) {
  RoleDecision decision;
  if (!facts.modality.empty() && facts.modality != "MR") {
    decision.rejected.push_back("The modality is " + facts.modality + ", not MR.");
    return decision;
  }
  std::vector<double> b_values = summary.b_values_s_per_mm2;
  if (b_values.empty() && facts.b_value_s_per_mm2) b_values.push_back(*facts.b_value_s_per_mm2);
  std::sort(b_values.begin(), b_values.end());
  const auto with = [&](const Wording& wording, bool& decided) {
    const Circumstances at{facts, wording, contrast_evidence(facts, wording, rules), fat_evidence(facts, wording, rules), diffusion_evidence(facts, b_values)};
    return try_rules(at, b_values, summary, rules, decided);
  };
  // Some vendors give the protocol of the whole examination in every series ("NECK T1+C"), so it only speaks where the
  // description says nothing.
  bool decided = false;
  decision = with({facts.series_description, "series description"}, decided);
  if (decided || facts.protocol_name.empty()) return decision;
  RoleDecision by_protocol = with({facts.protocol_name, "protocol name"}, decided);
  if (decided || facts.series_description.empty()) return by_protocol;
  return decision;
}

std::optional<double> b_value_of_role(const std::string& role) {
  constexpr std::string_view prefix = "DWI-b";
  if (!role.starts_with(prefix)) return std::nullopt;
  double value = 0;
  const char* end = role.data() + role.size();
  const auto parsed = std::from_chars(role.data() + prefix.size(), end, value);
  if (parsed.ec != std::errc{} || parsed.ptr != end || value < 0) return std::nullopt;
  return value;
}

bool role_answers(const std::string& role, const std::string& asked) {
  if (role.empty()) return false;
  if (role == asked) return true;
  const auto have = b_value_of_role(role);
  if (asked == "DWI") return have.has_value();
  const auto want = b_value_of_role(asked);
  return have && want && std::abs(*have - *want) <= (*want == 0 ? 0 : std::max(4.0, 0.03 * *want));
}

std::optional<RoleChoice> choose_candidate(const std::string& asked, const std::vector<RoleCandidate>& candidates) {
  std::vector<std::size_t> fitting;
  for (std::size_t n = 0; n < candidates.size(); ++n)
    if (role_answers(candidates[n].decision.role, asked)) fitting.push_back(n);
  if (fitting.empty()) return std::nullopt;

  struct Criterion {
    const char* says;
    double (*worth)(const RoleCandidate&, const std::string& asked);
  };
  static constexpr std::array<Criterion, 4> criteria{{
      {"has the higher b-value", [](const RoleCandidate& c, const std::string& role) { return role == "DWI" ? b_value_of_role(c.decision.role).value_or(-1) : 0.0; }},
      {"was recognised by an earlier rule", [](const RoleCandidate& c, const std::string&) { return -static_cast<double>(c.decision.rule_order); }},
      {"is axial", [](const RoleCandidate& c, const std::string&) { return c.summary.plane == "axial" ? 1.0 : 0.0; }},
      {"has more slices", [](const RoleCandidate& c, const std::string&) { return static_cast<double>(c.summary.slices); }},
  }};
  const auto stamp = [&](std::size_t n) { return std::tie(candidates[n].acquisition_date, candidates[n].acquisition_time); };
  // Positive: a is better than b; `why` names the criterion.
  const auto compare = [&](std::size_t a, std::size_t b, std::string& why) {
    for (const Criterion& criterion : criteria) {
      const double difference = criterion.worth(candidates[a], asked) - criterion.worth(candidates[b], asked);
      if (difference == 0) continue;
      why = criterion.says;
      return difference;
    }
    if (stamp(a) != stamp(b)) {
      why = "was acquired later";
      return stamp(a) > stamp(b) ? 1.0 : -1.0;
    }
    why = "comes first, equal in all else";
    return a < b ? 1.0 : -1.0;
  };
  RoleChoice choice;
  choice.index = fitting.front();
  std::string why;
  for (const std::size_t n : fitting)
    if (n != choice.index && compare(n, choice.index, why) > 0) choice.index = n;
  const std::string chosen = candidates[choice.index].label;
  if (fitting.size() == 1) {
    choice.reasons.push_back("The only candidate for " + asked + ".");
    return choice;
  }
  for (const std::size_t n : fitting) {
    if (n == choice.index) continue;
    compare(choice.index, n, why);
    choice.reasons.push_back("Preferred for " + asked + " to " + candidates[n].label + ": " + chosen + " " + why + ".");
  }
  return choice;
}

}  // namespace choana::processing
