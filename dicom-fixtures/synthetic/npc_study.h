#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace choana::fixtures {

/// A deliberate defect; see `to_string` for the names used on the command line.
enum class BadCase {
  none,
  not_dicom,               // the folder holds one text file that calls itself .dcm
  truncated,               // the middle slice of the ROI's series ends half way
  missing_pixel_data,      // the middle slice of the ROI's series has no pixel data
  rtstruct_series_missing, // the RTSTRUCT refers to a series and a frame of reference that never come
  roi_outside,             // contours 400 mm to the side of every image
  roi_one_voxel,           // one contour around one pixel centre
  duplicate_uid,           // two objects with one SOP Instance UID and different pixels
};
[[nodiscard]] std::string_view to_string(BadCase bad);
[[nodiscard]] Result<BadCase> parse_bad_case(std::string_view text);

/// Scanners that a cohort comes from. They differ in header (ManufacturerModelName, MagneticFieldStrength, EchoTime), signal, noise and sharpness.
enum class Site { a, b, c };

enum class Charset { ascii, utf8, gb18030 };
enum class RoiObject { none, rtstruct, seg, both };

/// What to write. Equal options give equal bytes.
struct NpcStudyOptions {
  std::uint64_t seed = 1;
  bool small = false;              // 64x64x12 (diffusion 48x48x12) instead of 256x256x32 (128x128x24)
  double tumour_ml = 25;           // 0.5 to 120
  double response = 0.5;           // 0 heterogeneous, necrotic, lobulated; 1 even and compact
  std::vector<std::string> sequences{"t1", "t2", "t1c", "dwi", "adc"};  // also t1cfs
  RoiObject roi = RoiObject::rtstruct;
  std::string roi_on;              // sequence the ROI is drawn on; empty: t2, else t1c, else the first that is there
  bool node = true;                // a second ROI GTVnd, a lymph node
  bool oblique = false;            // tilt the slices by 11 degrees about x and 6 about z
  bool enhanced = false;           // one Enhanced MR object for each anatomical series
  Charset charset = Charset::ascii;
  BadCase bad = BadCase::none;
  std::string patient_id;          // empty: TEST-<seed>
  Site site = Site::a;
  int age_years = 56;              // 0 to 120
  int reader = 0;                  // 0: contours on the surface; another number: a reader whose contours wander from it by up to 1.2 mm
  double motion_mm = 0;            // up to 10: T1C and T1C-FS are moved against T2 by so much, and turned by half as many degrees
};

struct NpcSeries {
  std::string sequence;            // t1, t2, t1c, t1cfs, dwi, adc
  std::string role;                // T1, T2, T1C, T1C-FS, DWI, ADC
  std::string series_instance_uid;
  std::string description;
  std::vector<std::filesystem::path> files;
  std::size_t tumour_voxels = 0;   // voxel centres inside the analytic surface
  double tumour_mean = 0;          // mean of the stored values of these voxels (DWI: of the highest b-value), rescaled
};

/// What was written, and what is true about it.
struct NpcStudy {
  std::string study_instance_uid;
  std::string frame_of_reference_uid;
  std::string patient_id;
  std::vector<NpcSeries> series;
  std::filesystem::path rtstruct_file;  // empty when not written
  std::filesystem::path seg_file;
  std::string roi_series_instance_uid;  // the series that the ROI is drawn on
  double tumour_volume_ml = 0;          // enclosed by the analytic surface
  double contour_volume_ml = 0;         // areas of the RTSTRUCT contours of GTVp times slice distance
  int contours = 0;                     // of GTVp
  double node_volume_ml = 0;            // 0 without a node
  std::vector<std::filesystem::path> files;  // all of them
};

/// Write a synthetic nasopharyngeal study under `folder` (created; must be empty): one sub-folder a series, RS/ and SEG/.
/// Errors: invalid_argument (options), io_error.
[[nodiscard]] Result<NpcStudy> write_npc_study(const NpcStudyOptions& options, const std::filesystem::path& folder);

/// The study and the truth about it as JSON, paths relative to `folder`.
[[nodiscard]] std::string manifest_json(const NpcStudyOptions& options, const NpcStudy& study, const std::filesystem::path& folder);

}  // namespace choana::fixtures
