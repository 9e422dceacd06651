#include "core/error.h"

namespace choana {

std::string_view to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::not_dicom: return "not_dicom";
    case ErrorCode::truncated: return "truncated";
    case ErrorCode::missing_attribute: return "missing_attribute";
    case ErrorCode::invalid_attribute: return "invalid_attribute";
    case ErrorCode::missing_pixel_data: return "missing_pixel_data";
    case ErrorCode::unsupported_sop_class: return "unsupported_sop_class";
    case ErrorCode::unsupported_transfer_syntax: return "unsupported_transfer_syntax";
    case ErrorCode::decoding_failed: return "decoding_failed";
    case ErrorCode::limit_exceeded: return "limit_exceeded";
    case ErrorCode::conflicting_instance: return "conflicting_instance";
    case ErrorCode::irregular_slices: return "irregular_slices";
    case ErrorCode::geometry_mismatch: return "geometry_mismatch";
    case ErrorCode::roi_missing: return "roi_missing";
    case ErrorCode::roi_unresolved_reference: return "roi_unresolved_reference";
    case ErrorCode::roi_outside_image: return "roi_outside_image";
    case ErrorCode::roi_empty: return "roi_empty";
    case ErrorCode::roi_too_small: return "roi_too_small";
    case ErrorCode::missing_role: return "missing_role";
    case ErrorCode::no_image_series: return "no_image_series";
    case ErrorCode::study_incomplete: return "study_incomplete";
    case ErrorCode::degenerate_input: return "degenerate_input";
    case ErrorCode::not_computable: return "not_computable";
    case ErrorCode::invalid_settings: return "invalid_settings";
    case ErrorCode::invalid_profile: return "invalid_profile";
    case ErrorCode::invalid_package: return "invalid_package";
    case ErrorCode::selftest_mismatch: return "selftest_mismatch";
    case ErrorCode::outside_training_range: return "outside_training_range";
    case ErrorCode::missing_value: return "missing_value";
    case ErrorCode::io_error: return "io_error";
    case ErrorCode::disk_full: return "disk_full";
    case ErrorCode::not_found: return "not_found";
    case ErrorCode::timed_out: return "timed_out";
    case ErrorCode::out_of_memory: return "out_of_memory";
    case ErrorCode::worker_crashed: return "worker_crashed";
    case ErrorCode::connection_failed: return "connection_failed";
    case ErrorCode::association_rejected: return "association_rejected";
    case ErrorCode::peer_refused: return "peer_refused";
    case ErrorCode::invalid_argument: return "invalid_argument";
    case ErrorCode::cancelled: return "cancelled";
    case ErrorCode::internal: return "internal";
  }
  return "internal";
}

ErrorCode error_code_from(std::string_view name) {
  for (int n = 0; n <= static_cast<int>(ErrorCode::internal); ++n)
    if (const auto code = static_cast<ErrorCode>(n); to_string(code) == name) return code;
  return ErrorCode::internal;
}

std::string to_string(const Error& error) {
  std::string text{to_string(error.code)};
  text += ": " + error.message;
  if (!error.step.empty() || !error.context.empty()) {
    text += " (" + error.step;
    if (!error.step.empty() && !error.context.empty()) text += ", ";
    text += error.context + ")";
  }
  return text;
}

}  // namespace choana
