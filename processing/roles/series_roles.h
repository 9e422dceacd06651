#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/acquired_slice.h"
#include "core/result.h"
#include "processing/volume/volume_builder.h"

namespace choana::processing {

/// A case-insensitive regular expression (ECMAScript, bytes of UTF-8), compiled once. Texts are cut at 256 bytes before
/// they are searched, and matching takes time linear in the text for a given pattern.
class DescriptionPattern {
 public:
  /// Errors: invalid_settings (not a regular expression, longer than 512 bytes, or with back-references).
  static Result<DescriptionPattern> make(std::string pattern);
  [[nodiscard]] bool matches(const std::string& text) const;
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  struct Compiled;
  std::string text_;
  std::shared_ptr<const Compiled> compiled_;
};

using DescriptionPatterns = std::vector<DescriptionPattern>;

struct NumberRange {
  double low = 0;
  double high = 0;
};

/// One rule: what a series is when all conditions hold. A condition that is not set holds.
struct SeriesRule {
  std::string name;
  /// T1, T1C, T1C-FS, T2, T2-FS, DWI, ADC. Empty with an empty weighting: the series is set aside.
  std::string role;
  /// T1 or T2 instead of a role: contrast agent and fat suppression then make it T1, T1C, T1C-FS, T2 or T2-FS.
  std::string weighting;
  std::vector<std::string> image_type_any;       // one of these values stands in Image Type or Acquisition Contrast
  std::vector<std::string> image_type_none;
  std::optional<bool> diffusion;                 // true: a b-value above 0, or 0 from an echo planar or diffusion sequence
  std::optional<bool> contrast;                  // true: evidence of contrast agent; false: no such evidence
  std::optional<bool> fat_suppressed;            // true: evidence of fat suppression; false: no such evidence
  std::vector<std::string> sequence_any;         // Scanning Sequence
  std::vector<std::string> sequence_none;
  std::optional<NumberRange> repetition_time_ms; // known and within, ends included
  std::optional<NumberRange> echo_time_ms;
  std::optional<NumberRange> inversion_time_ms;
  std::optional<NumberRange> flip_angle_deg;
  std::optional<NumberRange> repetition_time_ms_if_known;  // unknown, or within
  std::optional<NumberRange> echo_time_ms_if_known;
  std::optional<NumberRange> inversion_time_ms_if_known;
  DescriptionPatterns description_any;           // one of these is found in the series description; where no rule
                                                 // holds with it, in the protocol name
  DescriptionPatterns description_none;
};

/// conf/series-rules.toml, parsed (node/series_rules_reader).
struct SeriesRules {
  std::vector<SeriesRule> rules;                 // the first that holds decides
  DescriptionPatterns contrast_descriptions;
  DescriptionPatterns plain_descriptions;        // before contrast: outweighs a named agent
  DescriptionPatterns fat_suppressed_descriptions;
  DescriptionPatterns not_fat_suppressed_descriptions;
  std::vector<std::string> no_agent_words;       // NONE, NO, ...: values of Contrast/Bolus Agent that mean none
};

/// What a series is for, and why. `reasons` in the order the evidence was weighed; `rejected`: each rule that did not
/// hold, with the condition that failed.
struct RoleDecision {
  std::string role;
  std::vector<std::string> reasons;
  std::vector<std::string> rejected;
  int rule_order = 0;                            // 1-based position of the rule; 0 without a role
};

/// Decide the role of one volume (or series) from physics first, then descriptions: the order of the rules. A DWI volume
/// with exactly one b-value becomes "DWI-b<value>". Never fails: a series no rule fits has an empty role.
[[nodiscard]] RoleDecision classify_series(const AcquisitionFacts& facts, const VolumeSummary& summary, const SeriesRules& rules);

/// True if `role` of a series answers what a package asks for: equal text; "DWI" for any "DWI-b..."; a b-value within
/// 4 s/mm2 or 3 % of the one asked for.
[[nodiscard]] bool role_answers(const std::string& role, const std::string& asked);

/// The b-value in a role "DWI-b800".
[[nodiscard]] std::optional<double> b_value_of_role(const std::string& role);

/// One volume that could take a role.
struct RoleCandidate {
  RoleDecision decision;
  VolumeSummary summary;
  std::string label;                             // how the reasons name it, such as "series 5"
  std::string acquisition_date;                  // DA
  std::string acquisition_time;                  // TM
};

struct RoleChoice {
  std::size_t index = 0;
  std::vector<std::string> reasons;              // why this one and not the others
};

/// Choose among candidates for the role asked: for "DWI" the highest b-value first; then rule order, axial before other
/// planes, more slices, later acquisition; equal in all, the first. Nothing if no candidate answers the role.
[[nodiscard]] std::optional<RoleChoice> choose_candidate(const std::string& asked, const std::vector<RoleCandidate>& candidates);

}  // namespace choana::processing
