#pragma once

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/result.h"
#include "reporting/report_settings.h"

namespace choana::reporting {

/// An algorithm that took part, for the Contributing Equipment Sequence (0018,A001).
struct Algorithm {
  std::string name;
  std::string version;
  std::string description;
};

/// What identifies one result object among those of its study.
struct ObjectIdentity {
  std::string sop_class_uid;
  std::string sop_instance_uid;
  std::string series_instance_uid;
  std::string modality;            // SR, SEG, OT
  int series_number = 0;
  int instance_number = 1;
  std::string series_description;
};

/// Patient, study and request attributes of a source object, in UTF-8, to be written into every result of its study.
/// Source: PS3.3 C.7.1.1, C.7.1.3, C.7.2.1, C.7.2.2, C.7.2.3; spec/sr.md 3.1, 3.2.
class ResultHeader {
 public:
  /// Read the header of any DICOM object. Text that declares no character set is taken as UTF-8 if it is that, else as
  /// `fallback_charset`; bytes that fit no declared set become '?', and `charset_doubtful` says so. What identifies
  /// patient and study is copied as it is; descriptions that break their VR are cut or left out.
  /// Errors: not_dicom, io_error.
  static Result<ResultHeader> read(const std::filesystem::path& source, const std::string& fallback_charset);

  /// Write the copied attributes over those of `dataset`, with type 2 attributes that the source lacks as empty ones.
  [[nodiscard]] Status apply(DcmItem& dataset, const std::string& study_instance_uid) const;

  /// Referenced Request Sequence (0040,A370) from the source's Request Attributes Sequence; nothing if it has none.
  [[nodiscard]] Status apply_requests(DcmItem& dataset, const std::string& study_instance_uid) const;

  [[nodiscard]] const std::string& body_part() const { return body_part_; }
  [[nodiscard]] bool charset_doubtful() const { return charset_doubtful_; }

 private:
  std::shared_ptr<DcmDataset> attributes_;  // never changed once read
  std::string body_part_;
  bool charset_doubtful_ = false;
};

/// Write what all result objects have in common: UIDs, series, dates of the run, equipment, algorithms, coding schemes.
/// Everything that DCMTK stamps with the time of day or random UIDs is overwritten.
[[nodiscard]] Status stamp(DcmItem& dataset, const ObjectIdentity& identity, const RunIdentity& run, const ReportSettings& settings,
                           const std::vector<Algorithm>& algorithms);

/// Write a data set as a DICOM file, Explicit VR Little Endian.
/// Errors: io_error, disk_full.
[[nodiscard]] Status save(DcmDataset& dataset, const std::filesystem::path& file);

/// Cut UTF-8 text to at most `characters_max` characters, never inside one.
[[nodiscard]] std::string cut_text(const std::string& text, std::size_t characters_max);

}  // namespace choana::reporting
