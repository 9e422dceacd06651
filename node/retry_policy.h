#pragma once

#include <cstdint>
#include <optional>

#include "core/error.h"

namespace choana::node {

inline constexpr int job_attempts_max = 3;

/// When a failed attempt of a job is tried again: none = the job has failed. attempt: 1-based number of the one that
/// failed. A full disk or a drain is not the study's fault and never ends a job; a crash or a limit ends it after
/// three; a refused package or wrong settings at once, since only a person can mend them (then: choana reprocess).
[[nodiscard]] inline std::optional<std::int64_t> retry_delay_ms(ErrorCode code, int attempt) {
  switch (code) {
    case ErrorCode::cancelled: return 0;
    case ErrorCode::disk_full:
    case ErrorCode::io_error: return 30'000;
    case ErrorCode::invalid_package:
    case ErrorCode::selftest_mismatch:
    case ErrorCode::invalid_settings:
    case ErrorCode::invalid_profile:
    case ErrorCode::invalid_argument: return std::nullopt;
    default: break;
  }
  if (attempt >= job_attempts_max) return std::nullopt;
  return attempt == 1 ? 1'000 : 10'000;
}

}  // namespace choana::node
