#pragma once

#include <string>
#include <string_view>

namespace choana::reporting {

/// Fixed words of the pages in one language.
struct ChartTexts {
  std::string research_only, demonstration;
  std::string prediction_subtitle, measurement_title, measurement_subtitle, not_analysed;
  std::string threshold, interval, inside_training, outside_training, more_flags;
  std::string interval_robust, reliability_subtitle, survival_title, survival_axis, time_axis, time_axis_plain, hazard_space, raises_risk, lowers_risk, if_redrawn, redrawn_note, moved_features, none_moved, kept_features, more_features, applicability_title, inside_with_flags;
  std::string explanation, other_features, base, output, margin_space, probability_space, raises, lowers, no_explanation;
  std::string regions, region, series, volume, diameter, sphericity, mean, entropy, skewness, p10, p90, contrast, homogeneity, surface, not_computed;
  std::string slice, model, performance, settings, run, status_demonstration, status_research, status_clinical;
  std::string more_series, more_regions, nothing_measured, intensity_histogram, feature, measured_value, share, histogram_of, in_region, intensities_in, values_note, slices_title, slices_subtitle, slices_note;
};

/// "zh" gives Chinese, anything else English.
[[nodiscard]] const ChartTexts& chart_texts(std::string_view language);

/// Replace {name} in a text.
[[nodiscard]] std::string fill_in(std::string text, std::string_view name, std::string_view value);

}  // namespace choana::reporting
