#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/result.h"
#include "core/series_volume.h"
#include "core/study_findings.h"
#include "reporting/report_settings.h"

namespace choana::reporting {

/// A drawn page: what becomes a Secondary Capture instance, and a PNG beside it.
struct ChartPage {
  std::string name;                           // stem of file names: "prediction", "overlay-T1C-GTVp"
  std::string title;
  std::string description;                    // what the page shows; Derivation Description, at most 1024 characters
  int width = 0;
  int height = 0;
  std::vector<std::uint8_t> rgb;              // height x width x 3, interleaved
  SliceReference slice;                       // the slice the page stands for; may be empty
  std::string source_series_uid;              // series of that slice
  std::string roi;                            // region an overlay page illustrates; empty for charts
  std::string explains;                       // endpoint a contribution chart explains; empty otherwise
};

/// One result object on disk.
struct WrittenObject {
  std::string file;
  std::string kind;                           // SR-R, SR-X, SR-K, SEG-ROI, SEG-HAB, SC
  std::string sop_class_uid;
  std::string sop_instance_uid;
  std::string series_instance_uid;

  friend bool operator==(const WrittenObject&, const WrittenObject&) = default;
};

/// Write every result object of a reported study into `out_dir` (created if absent): SEG with the masks used and the habitats found in them, SR-R with
/// all features of each series, SR-X with predictions and explanations, SR-K with the key slice, SC pages; in the order
/// in which they should be sent (what is referenced comes first). Patient, study and request attributes are those of
/// the measured images. A region whose SEG already lies on the grid of its series is referenced, not copied.
/// Errors: io_error, disk_full, invalid_argument (findings without a measured series), missing_attribute or
/// not_dicom (the source image cannot be read), internal (a written object broke one of our rules).
/// Source: spec/sr.md; PS3.3 A.35.13, A.51, A.8.1; PS3.16 TID 1500, 1411, 1501, 1410.
[[nodiscard]] Result<std::vector<WrittenObject>> write_report(const StudyFindings& findings, const RunIdentity& run,
                                                              const ReportSettings& settings,
                                                              const std::vector<ChartPage>& pages,
                                                              const std::filesystem::path& out_dir);

/// Write the short SR of a study that was not analysed: the coded reason (findings.reason) and a sentence, in the study
/// it belongs to. Any readable input object (image, RTSTRUCT, SEG) serves as the source of patient and study attributes.
/// Errors: as write_report; missing_attribute when no input can be read at all.
[[nodiscard]] Result<std::vector<WrittenObject>> write_not_analysed(const StudyFindings& findings, const RunIdentity& run,
                                                                    const ReportSettings& settings,
                                                                    const std::filesystem::path& out_dir);

}  // namespace choana::reporting
