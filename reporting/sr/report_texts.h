#pragma once

#include <string>
#include <vector>

#include "core/prediction.h"
#include "core/region_of_interest.h"
#include "core/study_findings.h"

namespace choana::reporting {

/// A number as a person reads it: "73.4", "0.0123", "1.2e-05".
[[nodiscard]] std::string readable(double number);
/// Number and unit: "73.4 %", "12.3 mm3", "0.31" (unit 1 is not written).
[[nodiscard]] std::string readable(double number, const std::string& unit);

/// One region in a sentence of the radiomics narrative.
struct RegionSummary {
  std::string name;
  double volume_ml = 0;
  double diameter_mm = 0;       // 0: not measured
  std::size_t features = 0;
  std::size_t not_computed = 0;
};

/// Every sentence that people read in a report, in English or Chinese ("zh"). Names given by people (regions, models,
/// outputs) and coded meanings are not translated.
class ReportTexts {
 public:
  explicit ReportTexts(const std::string& language) : chinese_(language == "zh") {}

  [[nodiscard]] bool chinese() const { return chinese_; }

  /// "RESEARCH USE ONLY ..." by the status of the package ("" for measurements without a model).
  [[nodiscard]] std::string use_comment(const std::string& status) const;
  [[nodiscard]] std::string radiomics_narrative(const std::string& label, const SeriesReference& series, const std::string& profile,
                                                const std::vector<RegionSummary>& regions) const;
  [[nodiscard]] std::string prediction_narrative(const std::vector<Prediction>& predictions) const;
  [[nodiscard]] std::string key_slice_narrative(const std::vector<std::string>& lines) const;
  /// image: "image 37" or "frame 12", as viewers number it.
  [[nodiscard]] std::string key_slice_line(const std::string& region, const std::string& label, const std::string& image, double volume_ml, double diameter_mm) const;
  [[nodiscard]] std::string image_number(int instance_number, int frame_number) const;
  [[nodiscard]] std::string not_analysed_narrative(const Error& reason) const;
  [[nodiscard]] std::string next_step() const;
  [[nodiscard]] std::string not_used() const { return chinese_ ? "未使用" : "not used"; }

  /// How a region came to be: its ledger in sentences.
  [[nodiscard]] std::string region_origin(const RegionOfInterest& roi) const;
  /// The result in one line; a prediction outside the training range says so before its number.
  [[nodiscard]] std::string headline(const Prediction& prediction) const;
  /// What became of the prediction when its regions were perturbed; the prediction has `robustness`.
  [[nodiscard]] std::string robustness(const Prediction& prediction) const;
  /// Survival at the horizons, then the steps (at most 40 of them), one line each.
  [[nodiscard]] std::string survival(const SurvivalCurve& curve) const;
  /// "12 months".
  [[nodiscard]] std::string time(double time, const std::string& unit) const;
  [[nodiscard]] std::string applicability(const Applicability& applicability) const;
  /// One line a contribution, strongest first: "name = value unit: +0.31".
  [[nodiscard]] std::string contribution_table(const Explanation& explanation, const std::vector<std::size_t>& order) const;
  [[nodiscard]] std::string explanation_note(const Explanation& explanation) const;
  [[nodiscard]] std::string replaces(std::size_t objects, int revision) const;
  [[nodiscard]] std::string polygon_note() const;

 private:
  bool chinese_ = false;
};

/// What the survival function is at a time: that of the last step that was reached; 1 before the first.
[[nodiscard]] double survival_at(const SurvivalCurve& curve, double time);

/// Positions of contributions by falling magnitude, ties in feature order; at most `most`.
[[nodiscard]] std::vector<std::size_t> strongest_contributions(const Explanation& explanation, std::size_t most);

}  // namespace choana::reporting
