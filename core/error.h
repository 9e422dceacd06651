#pragma once

#include <string>
#include <string_view>

namespace choana {

/// Why something that can happen in a hospital did not work. The text name (`to_string`) is what stands in
/// result.json, in logs and in `choana why`; it never changes once released.
enum class ErrorCode {
  // input objects
  not_dicom,
  truncated,
  missing_attribute,
  invalid_attribute,
  missing_pixel_data,
  unsupported_sop_class,
  unsupported_transfer_syntax,
  decoding_failed,
  limit_exceeded,
  conflicting_instance,
  // geometry and delineation
  irregular_slices,
  geometry_mismatch,
  roi_missing,
  roi_unresolved_reference,
  roi_outside_image,
  roi_empty,
  roi_too_small,
  // study
  missing_role,
  no_image_series,
  study_incomplete,
  // computation
  degenerate_input,
  not_computable,
  // models and settings
  invalid_settings,
  invalid_profile,
  invalid_package,
  selftest_mismatch,
  outside_training_range,
  missing_value,
  // machine
  io_error,
  disk_full,
  not_found,
  timed_out,
  out_of_memory,
  worker_crashed,
  // network
  connection_failed,
  association_rejected,
  peer_refused,
  // ours
  invalid_argument,
  cancelled,
  internal,
};

/// Stable text name of a code, such as "missing_role".
[[nodiscard]] std::string_view to_string(ErrorCode code);

/// The code of that text name; `internal` for a name that is none.
[[nodiscard]] ErrorCode error_code_from(std::string_view name);

/// A failure as a value. `step` names the step it happened in ("read_series", "rasterise", ...), `message` is one
/// sentence that says what, where and what to do, `context` holds identifiers for the log (never patient data).
struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string step;
  std::string message;
  std::string context;

  friend bool operator==(const Error&, const Error&) = default;
};

/// "code: message (step, context)".
[[nodiscard]] std::string to_string(const Error& error);

}  // namespace choana
