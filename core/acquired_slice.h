#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/geometry.h"

namespace choana {

/// Pixel type of the stored values after a modality LUT that keeps whole numbers; float32 otherwise. PyRadiomics
/// truncates and clamps integer images after resampling, so the type is part of the result (spec 1.5).
enum class PixelType { int8, uint8, int16, uint16, int32, uint32, float32, float64 };

[[nodiscard]] std::string_view to_string(PixelType type);
[[nodiscard]] bool is_integer(PixelType type);
/// Lowest and highest value an integer type holds; {-inf, +inf} for floating types.
[[nodiscard]] std::pair<double, double> value_range(PixelType type);

/// What an MR object says about how it was acquired: plain facts of one frame, nothing decided. Strings are UTF-8,
/// trimmed; multi-valued elements are split. An absent number is an empty optional.
struct AcquisitionFacts {
  std::string modality;
  std::string series_description;
  std::string protocol_name;
  std::string sequence_name;
  std::string body_part;
  std::string manufacturer;
  std::string manufacturer_model_name;
  std::string software_versions;
  std::string patient_position;
  std::vector<std::string> image_type;           // (0008,0008), or the frame type of an enhanced object
  std::vector<std::string> scanning_sequence;    // SE, IR, GR, EP, RM
  std::vector<std::string> sequence_variant;
  std::vector<std::string> scan_options;         // FS, ...
  std::string acquisition_date;                  // DA
  std::string acquisition_time;                  // TM
  std::string contrast_agent;                    // (0018,0010), or the agents of an enhanced object
  std::optional<double> repetition_time_ms;
  std::optional<double> echo_time_ms;
  std::optional<double> inversion_time_ms;
  std::optional<double> flip_angle_deg;
  std::optional<double> field_strength_t;
  std::optional<double> b_value_s_per_mm2;       // standard element or a known private one; 0 is a value
  std::optional<double> slice_thickness_mm;
  std::optional<int> temporal_position;
  std::optional<int> acquisition_number;
  std::optional<int> echo_number;
  bool lossy_compressed = false;                 // LossyImageCompression = 01 or a lossy transfer syntax
  std::string acquisition_contrast;              // (0008,9209) of an enhanced object: T1, T2, DIFFUSION, ...
  std::string complex_component;                 // (0008,9208) of an enhanced object: MAGNITUDE, PHASE, ...
  std::string content_time;                      // TM
  std::string stack_id;                          // (0020,9056) of an enhanced object
  std::optional<double> trigger_time_ms;
  std::optional<Vector3> diffusion_direction;    // unit gradient vector, as the object states it
};

/// One slice: a classic MR instance, or one frame of an enhanced one.
struct AcquiredSlice {
  std::string file;
  std::string study_instance_uid;
  std::string series_instance_uid;
  std::string sop_class_uid;
  std::string sop_instance_uid;
  std::string frame_of_reference_uid;
  int frame_number = 0;                          // 1-based; 0 in a single-frame object
  int instance_number = 0;
  int series_number = 0;

  int columns = 0;
  int rows = 0;
  Vector3 position_mm{};                         // centre of the first pixel, LPS
  Vector3 row_direction{1, 0, 0};                // direction of increasing column index
  Vector3 column_direction{0, 1, 0};             // direction of increasing row index
  double column_spacing_mm = 0;                  // distance of neighbouring columns (along the row direction)
  double row_spacing_mm = 0;                     // distance of neighbouring rows
  bool has_geometry = false;                     // false when position, orientation or spacing is missing

  AcquisitionFacts acquisition;

  PixelType pixel_type = PixelType::int16;
  /// rows x columns values (column fastest) after the modality LUT; null until pixels are decoded.
  std::shared_ptr<const std::vector<float>> pixels;
  /// What the reader noticed about the values (padding, private scaling, masked bits): sentences for the ledger.
  std::vector<std::string> notes;
};

}  // namespace choana
