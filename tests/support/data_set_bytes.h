#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "scp/upper_layer/bytes.h"

namespace choana::test {

enum class Encoding { implicit_little, explicit_little, explicit_big };

/// Writes elements of a data set as PS3.5 section 7 lays them out; lengths may be made to lie.
class DataSetBytes {
 public:
  explicit DataSetBytes(Encoding encoding = Encoding::explicit_little) : encoding_(encoding) {}

  [[nodiscard]] const scp::Bytes& bytes() const { return out_; }
  [[nodiscard]] std::size_t size() const { return out_.size(); }

  DataSetBytes& raw(std::string_view text) {
    out_.insert(out_.end(), text.begin(), text.end());
    return *this;
  }
  DataSetBytes& raw(const scp::Bytes& bytes) {
    out_.insert(out_.end(), bytes.begin(), bytes.end());
    return *this;
  }
  DataSetBytes& u16(std::uint32_t value) {
    const std::uint8_t low = value & 0xFF;
    const std::uint8_t high = (value >> 8) & 0xFF;
    out_.push_back(encoding_ == Encoding::explicit_big ? high : low);
    out_.push_back(encoding_ == Encoding::explicit_big ? low : high);
    return *this;
  }
  DataSetBytes& u32(std::uint32_t value) {
    if (encoding_ == Encoding::explicit_big) return u16(value >> 16).u16(value & 0xFFFF);
    return u16(value & 0xFFFF).u16(value >> 16);
  }
  /// Tag, VR and length without a value.
  DataSetBytes& head(std::uint32_t tag, std::string_view vr, std::uint32_t length) {
    u16(tag >> 16).u16(tag & 0xFFFF);
    if (encoding_ == Encoding::implicit_little) return u32(length);
    raw(vr);
    const bool is_long = vr == "OB" || vr == "OW" || vr == "SQ" || vr == "UN" || vr == "UT" || vr == "OF" || vr == "UC" || vr == "UR" || vr == "OD" || vr == "OL";
    return is_long ? u16(0).u32(length) : u16(length);
  }
  /// Text, padded to even length (NUL for UI and OB, space otherwise).
  DataSetBytes& text(std::uint32_t tag, std::string_view vr, std::string_view value) {
    head(tag, vr, static_cast<std::uint32_t>(value.size() + value.size() % 2)).raw(value);
    if (value.size() % 2 != 0) out_.push_back(vr == "UI" || vr == "OB" ? 0 : ' ');
    return *this;
  }
  DataSetBytes& number(std::uint32_t tag, std::uint32_t value) { return head(tag, "US", 2).u16(value); }
  DataSetBytes& item(std::uint32_t length = 0xFFFFFFFF) { return u16(0xFFFE).u16(0xE000).u32(length); }
  DataSetBytes& end_item() { return u16(0xFFFE).u16(0xE00D).u32(0); }
  DataSetBytes& end_sequence() { return u16(0xFFFE).u16(0xE0DD).u32(0); }

 private:
  Encoding encoding_;
  scp::Bytes out_;
};

struct InstanceIdentity {
  std::string sop_class = "1.2.840.10008.5.1.4.1.1.4";
  std::string sop_instance = "1.2.3.100.1";
  std::string study = "1.2.3.100.2";
  std::string series = "1.2.3.100.3";
};

/// Everything of a small MR image that comes before its pixel data.
inline DataSetBytes mr_head(const InstanceIdentity& id = {}, Encoding encoding = Encoding::explicit_little) {
  DataSetBytes set(encoding);
  set.text(0x00080005, "CS", "ISO_IR 192").text(0x00080008, "CS", "ORIGINAL\\PRIMARY\\M");
  set.text(0x00080016, "UI", id.sop_class).text(0x00080018, "UI", id.sop_instance);
  set.text(0x00080060, "CS", "MR").text(0x0008103E, "LO", "t1_tse_tra");
  set.text(0x0020000D, "UI", id.study).text(0x0020000E, "UI", id.series).text(0x00200013, "IS", "7");
  return set;
}

/// A small MR image; `pixels` octets of pixel data.
inline scp::Bytes mr_image(const InstanceIdentity& id = {}, std::uint32_t pixels = 512, Encoding encoding = Encoding::explicit_little) {
  DataSetBytes set = mr_head(id, encoding);
  set.number(0x00280010, 16).number(0x00280011, 16);
  set.head(0x7FE00010, "OW", pixels);
  scp::Bytes bytes = set.bytes();
  for (std::uint32_t i = 0; i < pixels; ++i) bytes.push_back(static_cast<std::uint8_t>(i * 31 + 7));
  return bytes;
}

}  // namespace choana::test
