#include "scp/dimse_command.h"

#include <string_view>

namespace choana::scp {
namespace {

constexpr std::uint16_t no_data_set = 0x0101;  // PS3.7 E.1: any other value announces a data set

std::uint16_t u16_at(ByteView bytes, std::size_t at) { return static_cast<std::uint16_t>(bytes[at] | (bytes[at + 1] << 8)); }

void put_u16(Bytes& out, std::size_t value) {
  out.push_back(static_cast<std::uint8_t>(value & 0xFF));
  out.push_back(static_cast<std::uint8_t>((value >> 8) & 0xFF));
}
void put_u32(Bytes& out, std::size_t value) {
  put_u16(out, value & 0xFFFF);
  put_u16(out, value >> 16);
}
void put_number(Bytes& out, std::uint16_t element, std::uint16_t value) {
  put_u16(out, 0);
  put_u16(out, element);
  put_u32(out, 2);
  put_u16(out, value);
}
void put_text(Bytes& out, std::uint16_t element, std::string_view value, char padding) {
  put_u16(out, 0);
  put_u16(out, element);
  put_u32(out, value.size() + value.size() % 2);
  out.insert(out.end(), value.begin(), value.end());
  if (value.size() % 2 != 0) out.push_back(static_cast<std::uint8_t>(padding));
}

std::string unpadded(ByteView value) {
  std::string_view text = as_text(value);
  while (!text.empty() && (text.back() == '\0' || text.back() == ' ')) text.remove_suffix(1);
  return std::string(text);
}

}  // namespace

Result<DimseCommand> decode_command(ByteView bytes) {
  DimseCommand command;
  bool has_field = false;
  bool has_type = false;
  while (!bytes.empty()) {
    if (bytes.size() < 8) return fail(ErrorCode::truncated, "decode_command", "The command set ends inside an element.");
    const std::uint16_t group = u16_at(bytes, 0);
    const std::uint16_t element = u16_at(bytes, 2);
    const std::size_t length = u16_at(bytes, 4) | (std::size_t{u16_at(bytes, 6)} << 16);
    bytes = bytes.subspan(8);
    if (group != 0) return fail(ErrorCode::invalid_attribute, "decode_command", "The command set holds an element that is not of group 0000.");
    if (length > bytes.size()) return fail(ErrorCode::truncated, "decode_command", "An element of the command set is longer than the command set.");
    const ByteView value = bytes.first(length);
    bytes = bytes.subspan(length);

    std::optional<std::uint16_t> number;
    if (length == 2) number = u16_at(value, 0);
    const bool is_number = element == 0x0100 || element == 0x0110 || element == 0x0120 || element == 0x0700 || element == 0x0800 ||
                           element == 0x0900 || element == 0x1002;
    if (is_number && !number) return fail(ErrorCode::invalid_attribute, "decode_command", "A number of the command set is not two octets long.");
    switch (element) {
      case 0x0002: command.affected_sop_class_uid = unpadded(value); break;
      case 0x0100:
        command.command_field = *number;
        has_field = true;
        break;
      case 0x0110: command.message_id = number; break;
      case 0x0120: command.message_id_responded_to = number; break;
      case 0x0700: command.priority = number; break;
      case 0x0800:
        command.has_data_set = *number != no_data_set;
        has_type = true;
        break;
      case 0x0900: command.status = number; break;
      case 0x0902: command.error_comment = unpadded(value); break;
      case 0x1000: command.affected_sop_instance_uid = unpadded(value); break;
      case 0x1002: command.event_type_id = number; break;
      default: break;
    }
  }
  if (!has_field || !has_type) return fail(ErrorCode::missing_attribute, "decode_command", "The command set lacks its command field or data set type.");
  return command;
}

Bytes encode(const DimseCommand& command) {
  Bytes body;
  if (!command.affected_sop_class_uid.empty()) put_text(body, 0x0002, command.affected_sop_class_uid, '\0');
  put_number(body, 0x0100, command.command_field);
  if (command.message_id) put_number(body, 0x0110, *command.message_id);
  if (command.message_id_responded_to) put_number(body, 0x0120, *command.message_id_responded_to);
  if (command.priority) put_number(body, 0x0700, *command.priority);
  put_number(body, 0x0800, command.has_data_set ? 0x0000 : no_data_set);
  if (command.status) put_number(body, 0x0900, *command.status);
  if (!command.error_comment.empty()) put_text(body, 0x0902, command.error_comment.substr(0, 64), ' ');  // LO: 64 characters
  if (!command.affected_sop_instance_uid.empty()) put_text(body, 0x1000, command.affected_sop_instance_uid, '\0');
  if (command.event_type_id) put_number(body, 0x1002, *command.event_type_id);
  Bytes out;
  put_u16(out, 0);
  put_u16(out, 0);
  put_u32(out, 4);
  put_u32(out, body.size());
  out.insert(out.end(), body.begin(), body.end());
  return out;
}

}  // namespace choana::scp
