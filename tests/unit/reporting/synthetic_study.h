#pragma once

#include <filesystem>
#include <string>

#include "core/study_findings.h"
#include "reporting/report_writer.h"

namespace choana::test {

/// A small study on disk and the findings one would get from it.
struct SyntheticStudy {
  std::filesystem::path folder;      // removed with the object
  StudyFindings findings;
  reporting::RunIdentity run;
  reporting::ReportSettings settings;
  std::vector<reporting::ChartPage> pages;

  SyntheticStudy() = default;
  SyntheticStudy(const SyntheticStudy&) = delete;
  SyntheticStudy& operator=(const SyntheticStudy&) = delete;
  SyntheticStudy(SyntheticStudy&&) = default;
  ~SyntheticStudy();

  [[nodiscard]] std::filesystem::path out() const { return folder / "out"; }
};

enum class NameBytes { ascii, gb18030_declared, gb18030_undeclared, utf8_undeclared };

struct SyntheticOptions {
  NameBytes names = NameBytes::ascii;
  bool enhanced = false;             // one multi-frame MR object a series
  bool overlapping = false;          // two regions that share voxels
  bool predictions = true;
  bool oblique = false;
};

/// Two MR series (T1C, T2) of 24 x 20 x 6 voxels written as DICOM files, each with regions GTVp and GTVnd_L; features
/// of the original and of two filtered images with awkward numbers; one prediction with an explanation; two pages.
[[nodiscard]] SyntheticStudy make_synthetic_study(const SyntheticOptions& options = {});

/// UTF-8 and GB18030 bytes of one Chinese patient's name as PN.
[[nodiscard]] std::string chinese_name_utf8();

}  // namespace choana::test
