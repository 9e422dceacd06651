#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/planar_contour.h"
#include "core/region_of_interest.h"
#include "core/result.h"
#include "core/segment_frames.h"
#include "core/series_volume.h"

namespace choana::node::extract {

/// The files of one image series.
struct SeriesFiles {
  std::string uid;
  int number = 0;
  std::string description;
  std::string modality;
  std::vector<std::filesystem::path> files;          // sorted
  std::vector<std::string> sop_instance_uids;
};

/// What lies in a folder of DICOM (or in one file), by headers alone.
struct DicomScan {
  std::filesystem::path place;
  std::vector<SeriesFiles> series;                   // MR, CT and PET, by number
  std::vector<std::filesystem::path> masks;          // RTSTRUCT and SEG
  std::size_t other_files = 0;                       // not DICOM, or of another kind
  std::vector<std::string> notes;                    // broken files, and doubles that were set aside
};

/// Whether this is for the DICOM readers: a folder, or a file with the mark of PS3.10 or the ending .dcm.
[[nodiscard]] bool is_dicom_place(const std::filesystem::path& path);

/// Read the headers below a place; links to files are followed (data sets are kept so), links to folders are not; at most 200,000 files. Errors: not_found, limit_exceeded.
[[nodiscard]] Result<DicomScan> scan_dicom(const std::filesystem::path& place);

/// An RTSTRUCT or SEG with its regions.
class DicomMask {
 public:
  /// Choose among the RTSTRUCT and SEG objects of a scan: the only one, or the only one with a region that `rois` names.
  /// Errors: roi_missing (none there; several, and which they are), and those of the readers.
  [[nodiscard]] static Result<DicomMask> load(const DicomScan& scan, const std::vector<std::string>& rois);

  [[nodiscard]] bool is_structure_set() const { return structure_set_; }
  /// "RTSTRUCT" or "SEG".
  [[nodiscard]] const char* kind() const { return structure_set_ ? "RTSTRUCT" : "SEG"; }
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }
  [[nodiscard]] const std::vector<std::string>& notes() const { return structure_set_ ? set_.notes : segmentation_.notes; }
  [[nodiscard]] std::vector<std::string> referenced_instances() const;
  [[nodiscard]] std::vector<std::string> referenced_series() const;
  [[nodiscard]] std::string frame_of_reference_uid() const;

  /// Positions of the regions that are wanted: of each wish those of exactly this name, else those that match it as a pattern
  /// (processing/prediction/roi_name_pattern); without a wish all that were drawn. Errors: roi_missing with what is there.
  [[nodiscard]] Result<std::vector<std::size_t>> choose(const std::vector<std::string>& rois) const;

  /// The region on a grid. image: the series the grid is of, nullptr for an image file (which names no frame of reference).
  /// Errors: those of rasterise_roi and roi_from_segment.
  [[nodiscard]] Result<RegionOfInterest> region(std::size_t index, const VolumeGeometry& geometry, const SeriesReference* image) const;

 private:
  bool structure_set_ = false;
  StructureSet set_;
  SegmentationObject segmentation_;
  std::vector<std::string> names_;
};

/// A volume of a series, and what was odd on the way.
struct DicomVolume {
  SeriesVolume volume;
  std::vector<std::string> notes;
};

/// Read the volume that is meant: the series named (UID, number or description), else the only one, else the one the mask refers to;
/// within it the volume named (number from 1, or b-value as b800), else the only one, else the one the mask refers to.
/// Errors: no_image_series, not_found (no such series or volume), invalid_argument (several fit: they are listed), irregular_slices, and those of the readers.
[[nodiscard]] Result<DicomVolume> load_volume(const DicomScan& scan, const std::string& series, const std::string& volume, const DicomMask* mask);

}  // namespace choana::node::extract
