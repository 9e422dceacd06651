#include "scp/dimse_status.h"

#include <cstdio>

namespace choana::scp {

std::uint16_t status_of(ErrorCode code) {
  switch (code) {
    // The machine: another time it may work.
    case ErrorCode::disk_full:
    case ErrorCode::io_error:
    case ErrorCode::out_of_memory:
    case ErrorCode::limit_exceeded:
    case ErrorCode::timed_out:
    case ErrorCode::cancelled: return dimse_status::out_of_resources;
    // The data set does not belong to its command, or lacks what identifies it.
    case ErrorCode::conflicting_instance:
    case ErrorCode::missing_attribute:
    case ErrorCode::invalid_attribute: return dimse_status::data_set_mismatch;
    case ErrorCode::unsupported_sop_class: return dimse_status::sop_class_not_supported;
    // The octets cannot be walked.
    case ErrorCode::not_dicom:
    case ErrorCode::truncated:
    case ErrorCode::decoding_failed:
    case ErrorCode::unsupported_transfer_syntax: return dimse_status::cannot_understand;
    default: return dimse_status::processing_failure;
  }
}

std::string status_text(std::uint16_t status) {
  char text[8];
  std::snprintf(text, sizeof text, "0x%04X", static_cast<unsigned>(status));
  return text;
}

}  // namespace choana::scp
