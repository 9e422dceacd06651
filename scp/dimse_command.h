#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/result.h"
#include "scp/upper_layer/bytes.h"

namespace choana::scp {

/// Command fields (PS3.7 annex E.1).
namespace dimse_command {
inline constexpr std::uint16_t store_request = 0x0001;
inline constexpr std::uint16_t echo_request = 0x0030;
inline constexpr std::uint16_t event_report_request = 0x0100;
inline constexpr std::uint16_t cancel_request = 0x0FFF;
inline constexpr std::uint16_t response_bit = 0x8000;
}  // namespace dimse_command

/// A command set (PS3.7 6.3): group 0000, implicit little endian. UIDs are without their padding and otherwise as they
/// came, so they may be anything.
struct DimseCommand {
  std::uint16_t command_field = 0;
  std::optional<std::uint16_t> message_id;
  std::optional<std::uint16_t> message_id_responded_to;
  std::optional<std::uint16_t> priority;
  std::optional<std::uint16_t> status;
  std::optional<std::uint16_t> event_type_id;
  bool has_data_set = false;
  std::string affected_sop_class_uid;
  std::string affected_sop_instance_uid;
  std::string error_comment;

  friend bool operator==(const DimseCommand&, const DimseCommand&) = default;
};

/// Largest command set that is collected.
inline constexpr std::size_t command_bytes_max = 16 * 1024;

/// Errors: truncated (a length beyond the end), missing_attribute (no command field or data set type),
/// invalid_attribute (an element outside group 0000 or a number of the wrong length).
[[nodiscard]] Result<DimseCommand> decode_command(ByteView bytes);

/// With the group length element; absent optionals and empty strings are left out.
[[nodiscard]] Bytes encode(const DimseCommand& command);

}  // namespace choana::scp
