#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/acquired_slice.h"
#include "core/planar_contour.h"
#include "core/result.h"
#include "core/segment_frames.h"

/// Facts read from DICOM files through DCMTK; nothing is decided here. Every file first passes the bounded scan of
/// dicom/preflight.h, because DCMTK's own reader recurses without limit. All text comes out as UTF-8.
namespace choana::dicom {

/// What one object says of itself, without pixel data.
struct InstanceFacts {
  std::string file;
  std::string sop_class_uid;
  std::string sop_instance_uid;
  std::string study_instance_uid;
  std::string series_instance_uid;
  std::string transfer_syntax_uid;
  int series_number = 0;
  int instance_number = 0;
  AcquisitionFacts acquisition;                            // of the first frame in an enhanced object
  std::vector<std::string> referenced_sop_instance_uids;   // images an RTSTRUCT or SEG names, without repeats
  std::string study_date;                                  // YYYYMMDD, or empty
  std::optional<double> patient_age_years;                 // Patient's Age, or from the birth date to the study date; 0 to 130
  std::string patient_sex;                                 // F, M, or empty
};

/// Register DCMTK's decoders (JPEG, JPEG-LS, RLE) once in this process; further calls do nothing. Thread-safe.
/// The readers below call it themselves.
void register_codecs();

/// Read the header of any DICOM file (PS3.10, or a bare data set); the pixel data stay on disk.
/// Errors: io_error, not_dicom, truncated, limit_exceeded, invalid_attribute, missing_attribute (no SOP class or
/// instance UID).
[[nodiscard]] Result<InstanceFacts> read_instance_facts(const std::filesystem::path& file);

/// The Patient ID as UTF-8: for a command that must name the patient to the node. Not for logs, file names or results.
/// Errors: as read_instance_facts, missing_attribute.
[[nodiscard]] Result<std::string> read_patient_id(const std::filesystem::path& file);

/// Read the slices of an image object: one for a classic MR, CT or PET image, one a frame for the enhanced and legacy
/// converted ones (PS3.3 A.4, A.36, A.70). Values are those after the modality transformation (rescale or LUT); Philips'
/// private scaling is reported in `notes` and not applied. Without `decode_pixels`, `pixels` stays null.
/// Errors: as above, and unsupported_sop_class, unsupported_transfer_syntax, missing_pixel_data, truncated (pixel data
/// shorter than the image), decoding_failed, invalid_attribute (colour, impossible bit depth), limit_exceeded.
[[nodiscard]] Result<std::vector<AcquiredSlice>> read_slices(const std::filesystem::path& file, bool decode_pixels = true);

/// Read an RT Structure Set (PS3.3 A.19). Missing sequences and broken contours are tolerated and said in `notes`; a
/// contour that cannot be read has no points.
/// Errors: as read_instance_facts, and unsupported_sop_class.
[[nodiscard]] Result<StructureSet> read_structure_set(const std::filesystem::path& file);

/// Read a Segmentation or Label Map Segmentation (PS3.3 A.51): BINARY (bit-packed, also RLE), FRACTIONAL, LABELMAP.
/// Errors: as read_slices, and missing_attribute (no plane position: a tiled slide or a projection image).
[[nodiscard]] Result<SegmentationObject> read_segmentation(const std::filesystem::path& file);

}  // namespace choana::dicom
