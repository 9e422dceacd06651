#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"

namespace choana::scp {

/// Status codes of DIMSE responses (PS3.7 annex C, PS3.4 B.2.3).
namespace dimse_status {
inline constexpr std::uint16_t success = 0x0000;
inline constexpr std::uint16_t processing_failure = 0x0110;
inline constexpr std::uint16_t invalid_sop_instance = 0x0117;
inline constexpr std::uint16_t sop_class_not_supported = 0x0122;
inline constexpr std::uint16_t unrecognised_operation = 0x0211;
inline constexpr std::uint16_t mistyped_argument = 0x0212;
inline constexpr std::uint16_t out_of_resources = 0xA700;
inline constexpr std::uint16_t data_set_mismatch = 0xA900;
inline constexpr std::uint16_t cannot_understand = 0xC000;
}  // namespace dimse_status

/// The one table from an error to the status of a C-STORE response. "Out of resources" invites the sender to try again,
/// so only errors that a retry can cure get it.
[[nodiscard]] std::uint16_t status_of(ErrorCode code);

/// "0xA700", for logs and metrics.
[[nodiscard]] std::string status_text(std::uint16_t status);

}  // namespace choana::scp
