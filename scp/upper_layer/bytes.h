#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace choana::scp {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;

/// The bytes as text; no byte is looked at.
[[nodiscard]] inline std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Reads big-endian numbers and blocks from the front of a view and never beyond its end: once something was missing,
/// `ok()` is false, numbers are 0 and blocks empty.
class ByteReader {
 public:
  explicit ByteReader(ByteView bytes) : rest_(bytes) {}

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool at_end() const { return rest_.empty(); }
  [[nodiscard]] ByteView rest() const { return rest_; }

  ByteView take(std::size_t count) {
    if (!ok_ || count > rest_.size()) {
      ok_ = false;
      rest_ = {};
      return {};
    }
    const ByteView block = rest_.first(count);
    rest_ = rest_.subspan(count);
    return block;
  }
  std::uint8_t u8() {
    const ByteView b = take(1);
    return b.empty() ? std::uint8_t{0} : b[0];
  }
  std::uint16_t u16() {
    const ByteView b = take(2);
    return b.empty() ? std::uint16_t{0} : static_cast<std::uint16_t>((b[0] << 8) | b[1]);
  }
  std::uint32_t u32() {
    const ByteView b = take(4);
    if (b.empty()) return 0;
    return (std::uint32_t{b[0]} << 24) | (std::uint32_t{b[1]} << 16) | (std::uint32_t{b[2]} << 8) | std::uint32_t{b[3]};
  }

 private:
  ByteView rest_;
  bool ok_ = true;
};

/// Appends big-endian numbers and blocks.
class ByteWriter {
 public:
  explicit ByteWriter(Bytes& out) : out_(out) {}

  ByteWriter& u8(unsigned value) {
    out_.push_back(static_cast<std::uint8_t>(value));
    return *this;
  }
  ByteWriter& u16(std::size_t value) { return u8((value >> 8) & 0xFF).u8(value & 0xFF); }
  ByteWriter& u32(std::size_t value) { return u16((value >> 16) & 0xFFFF).u16(value & 0xFFFF); }
  ByteWriter& zeros(std::size_t count) {
    out_.insert(out_.end(), count, std::uint8_t{0});
    return *this;
  }
  ByteWriter& block(ByteView bytes) {
    out_.insert(out_.end(), bytes.begin(), bytes.end());
    return *this;
  }
  ByteWriter& text(std::string_view text) {
    out_.insert(out_.end(), text.begin(), text.end());
    return *this;
  }

 private:
  Bytes& out_;
};

}  // namespace choana::scp
