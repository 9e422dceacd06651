#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/result.h"
#include "core/study_findings.h"
#include "reporting/report_writer.h"

namespace choana::reporting {

/// What the pages say beside the findings.
struct ChartSettings {
  std::string language = "en";       // en | zh
  std::string software_version;      // empty: choana::version
  std::string settings_sha256;       // of the settings that shaped the result; empty: not shown
  std::string run_date;              // DA or any short text; empty: not shown
};

/// Draw the pages of a study: one for each prediction (regions, result against its threshold, explanation, key
/// features), one for each model whose predictions have a survival curve, an interval under perturbed regions or more than one flag, then one of the measurements (regions, histograms, key features), then the slices of one series with all
/// regions, for checking what was measured. For a study that was not analysed one page with the reason. 1280 x 960, dark ground, letters of 18 pixels or more,
/// the top and bottom tenth clear for what viewers write there, no patient data. Equal findings give equal bytes on
/// one machine (fonts: DejaVu Sans, WenQuanYi Micro Hei).
/// Errors: internal if the drawing library fails.
/// Source: spec/sr.md 7.3, 9.1.
[[nodiscard]] Result<std::vector<ChartPage>> draw_chart_pages(const StudyFindings& findings, const ChartSettings& settings);

/// Write a page as PNG. Errors: invalid_argument (no pixels), io_error.
[[nodiscard]] Status write_png(const ChartPage& page, const std::filesystem::path& file);

}  // namespace choana::reporting
