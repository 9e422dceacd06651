#include "dicom/commitment_report.h"

#include <cstddef>
#include <optional>
#include <string_view>

#include "core/unique_identifier.h"

namespace choana {
namespace {

constexpr const char* step = "read_commitment_report";
constexpr std::size_t bytes_max = 1 << 20;
constexpr std::size_t items_max = 10'000;
constexpr int depth_max = 8;
constexpr std::uint32_t undefined_length = 0xFFFFFFFF;
constexpr std::uint32_t item_tag = 0xFFFEE000;
constexpr std::uint32_t item_end_tag = 0xFFFEE00D;
constexpr std::uint32_t sequence_end_tag = 0xFFFEE0DD;

struct Element {
  std::uint32_t tag = 0;
  bool is_sequence = false;
  std::uint32_t length = 0;
};

// A cursor over bytes that never leaves them.
class Bytes {
 public:
  Bytes(const std::uint8_t* data, std::size_t size, bool explicit_vr) : data_(data), size_(size), explicit_vr_(explicit_vr) {}

  [[nodiscard]] std::size_t at() const { return at_; }
  [[nodiscard]] std::size_t left() const { return size_ - at_; }
  [[nodiscard]] std::string_view take(std::size_t count) {
    const std::string_view bytes(reinterpret_cast<const char*>(data_) + at_, count);
    at_ += count;
    return bytes;
  }

  [[nodiscard]] std::optional<Element> element() {
    if (left() < 8) return std::nullopt;
    Element e;
    e.tag = (static_cast<std::uint32_t>(number16(0)) << 16U) | number16(2);
    if ((e.tag >> 16U) == 0xFFFE || !explicit_vr_) {
      e.length = number32(4);
      at_ += 8;
      e.is_sequence = e.tag == 0x00081199 || e.tag == 0x00081198 || (e.length == undefined_length && (e.tag >> 16U) != 0xFFFE);
      return e;
    }
    const std::string_view vr(reinterpret_cast<const char*>(data_) + at_ + 4, 2);
    e.is_sequence = vr == "SQ";
    for (const std::string_view wide : {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
      if (vr == wide) {
        if (left() < 12) return std::nullopt;
        e.length = number32(8);
        at_ += 12;
        if (e.length == undefined_length) e.is_sequence = true;
        return e;
      }
    e.length = number16(6);
    at_ += 8;
    return e;
  }

 private:
  [[nodiscard]] std::uint16_t number16(std::size_t offset) const {
    return static_cast<std::uint16_t>(data_[at_ + offset] | (data_[at_ + offset + 1] << 8U));
  }
  [[nodiscard]] std::uint32_t number32(std::size_t offset) const {
    return static_cast<std::uint32_t>(number16(offset)) | (static_cast<std::uint32_t>(number16(offset + 2)) << 16U);
  }

  const std::uint8_t* data_;
  std::size_t size_;
  std::size_t at_ = 0;
  bool explicit_vr_;
};

std::string trimmed(std::string_view text) {
  while (!text.empty() && (text.back() == '\0' || text.back() == ' ')) text.remove_suffix(1);
  return std::string(text);
}

class Reader {
 public:
  Reader(const std::vector<std::uint8_t>& data_set, bool explicit_vr) : bytes_(data_set.data(), data_set.size(), explicit_vr) {}

  Result<CommitmentReport> read() {
    if (auto done = elements(bytes_.left(), 0, nullptr, false); !done) return fail(done.error());
    if (report_.transaction_uid.empty()) return fail(ErrorCode::missing_attribute, step, "The storage commitment report has no Transaction UID.");
    return std::move(report_);
  }

 private:
  static tl::unexpected<Error> cut() { return fail(ErrorCode::truncated, step, "The storage commitment report is cut short."); }

  // The elements of a data set or item of `length` bytes; until its end tag when `delimited`.
  Status elements(std::size_t length, int depth, CommitmentItem* item, bool delimited) {
    if (depth > depth_max) return fail(ErrorCode::limit_exceeded, step, "The storage commitment report is nested too deeply.");
    const std::size_t end = bytes_.at() + length;
    while (bytes_.at() < end) {
      const auto element = bytes_.element();
      if (!element) return cut();
      if (element->tag == item_end_tag && delimited) return {};
      if (element->is_sequence) {
        if (auto done = sequence(*element, depth); !done) return done;
        continue;
      }
      if (element->length > bytes_.left() || bytes_.at() + element->length > end) return cut();
      const std::string_view value = bytes_.take(element->length);
      if (depth == 0 && element->tag == 0x00081195) {
        if (auto done = uid(value, report_.transaction_uid); !done) return done;
      } else if (item != nullptr && element->tag == 0x00081150) {
        if (auto done = uid(value, item->sop_class_uid); !done) return done;
      } else if (item != nullptr && element->tag == 0x00081155) {
        if (auto done = uid(value, item->sop_instance_uid); !done) return done;
      } else if (item != nullptr && element->tag == 0x00081197 && value.size() >= 2) {
        item->failure_reason = static_cast<std::uint16_t>(static_cast<unsigned char>(value[0]) | (static_cast<unsigned char>(value[1]) << 8U));
      }
    }
    return delimited ? Status(cut()) : Status();
  }

  Status sequence(const Element& element, int depth) {
    std::vector<CommitmentItem>* list = nullptr;
    if (depth == 0 && element.tag == 0x00081199) list = &report_.committed;
    if (depth == 0 && element.tag == 0x00081198) list = &report_.failed;
    const bool delimited = element.length == undefined_length;
    if (!delimited && element.length > bytes_.left()) return cut();
    const std::size_t end = bytes_.at() + (delimited ? bytes_.left() : element.length);
    while (bytes_.at() < end) {
      const auto item = bytes_.element();
      if (!item) return cut();
      if (item->tag == sequence_end_tag && delimited) return {};
      if (item->tag != item_tag) return fail(ErrorCode::invalid_attribute, step, "A sequence of the storage commitment report holds something that is no item.");
      if (++items_ > items_max) return fail(ErrorCode::limit_exceeded, step, "The storage commitment report has more than 10,000 items.");
      const bool open = item->length == undefined_length;
      if (!open && item->length > bytes_.left()) return cut();
      CommitmentItem read;
      if (auto done = elements(open ? bytes_.left() : item->length, depth + 1, list != nullptr ? &read : nullptr, open); !done) return done;
      if (list != nullptr && !read.sop_instance_uid.empty()) list->push_back(std::move(read));
    }
    return delimited ? Status(cut()) : Status();
  }

  static Status uid(std::string_view value, std::string& into) {
    std::string text = trimmed(value);
    if (!is_valid_uid(text)) return fail(ErrorCode::invalid_attribute, step, "The storage commitment report holds a UID that is none.");
    into = std::move(text);
    return {};
  }

  Bytes bytes_;
  std::size_t items_ = 0;
  CommitmentReport report_;
};

}  // namespace

Result<CommitmentReport> read_commitment_report(const std::string& transfer_syntax_uid, const std::vector<std::uint8_t>& data_set) {
  const bool implicit_vr = transfer_syntax_uid == "1.2.840.10008.1.2";
  if (!implicit_vr && transfer_syntax_uid != "1.2.840.10008.1.2.1")
    return fail(ErrorCode::unsupported_transfer_syntax, step, "A storage commitment report came in a transfer syntax that was not agreed.");
  if (data_set.size() > bytes_max) return fail(ErrorCode::limit_exceeded, step, "The storage commitment report is larger than 1 MiB.");
  return Reader(data_set, !implicit_vr).read();
}

}  // namespace choana
