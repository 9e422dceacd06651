#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "core/received_instance.h"
#include "core/result.h"
#include "scp/upper_layer/bytes.h"

namespace choana::scp {

struct ScannerLimits {
  std::size_t depth_max = 64;                                 // nested sequences
  std::uint64_t bytes_max = std::uint64_t{2048} * 1024 * 1024;  // walked, after inflation
  std::size_t references_max = 20000;
  bool collect_references = false;                            // for RTSTRUCT and SEG
};

/// Walks the elements of one data set while its octets pass by in pieces of any size. Iterative and bounded: nesting up
/// to a limit, memory independent of every declared length, each length checked against what contains it. It reads what
/// identifies the instance and what decides its role, and fails on a data set that cannot be walked to its end.
///
/// All transfer syntaxes are walked (PS3.5 section 7 and annex A): implicit and explicit VR, big endian, deflated, and
/// encapsulated pixel data; UN of undefined length as implicit VR (PS3.5 6.2.2 note). In implicit VR, a sequence of
/// defined length is entered only where its tag is known to lead to references; others are stepped over.
class DatasetScanner {
 public:
  DatasetScanner(std::string_view transfer_syntax_uid, ScannerLimits limits);
  ~DatasetScanner();
  DatasetScanner(const DatasetScanner&) = delete;
  DatasetScanner& operator=(const DatasetScanner&) = delete;

  /// Errors (they stay): truncated (a length beyond its container), not_dicom (not elements), limit_exceeded (inflated
  /// size), decoding_failed (deflated stream, depth), invalid_attribute (an identifying element twice, differing).
  [[nodiscard]] Status feed(ByteView bytes);
  /// The data set has ended. Errors: as `feed`; truncated when an element, item or sequence is still open.
  [[nodiscard]] Status finish();

  /// Fill everything that comes from the data set: UIDs (as they are, only their padding removed), numbers, acquisition
  /// facts, references. Text is UTF-8 where the data set is ASCII, UTF-8 or Latin-1, otherwise the octets as sent: the
  /// worker reads it again with the right character set.
  void describe(ReceivedInstance& instance) const;

 private:
  enum class Kind : std::uint8_t { sequence, item, fragments };
  struct Frame {
    Kind kind;
    bool undefined_length;
    bool implicit_vr;
    std::uint32_t tag;
    std::uint64_t end;    // where a defined length ends
    std::uint64_t limit;  // nearest end of this or an enclosing frame
  };
  // Elements whose value is kept, in the order of `wanted_tags` in the source.
  static constexpr std::size_t field_count = 40;
  struct Inflater;

  Status walk(ByteView bytes);
  Status on_header();
  Status on_element(std::uint32_t tag, std::uint16_t vr, std::uint32_t length);
  Status on_item(std::uint32_t tag, std::uint32_t length);
  Status push(Frame frame);
  void close_finished();
  void begin_capture(std::uint32_t tag, std::uint16_t vr);
  Status end_value();
  [[nodiscard]] std::uint64_t limit() const;
  [[nodiscard]] bool implicit_vr() const;
  [[nodiscard]] bool big_endian() const;
  [[nodiscard]] std::uint16_t u16_at(std::size_t at) const;
  [[nodiscard]] std::uint32_t u32_at(std::size_t at) const;
  [[nodiscard]] bool wants_reference() const;
  [[nodiscard]] std::string text_of(std::size_t field) const;

  ScannerLimits limits_;
  std::string transfer_syntax_;
  bool top_implicit_ = false;
  bool top_big_endian_ = false;
  std::unique_ptr<Inflater> inflater_;
  Status failure_;

  std::vector<Frame> stack_;
  std::size_t sequences_open_ = 0;
  std::uint64_t position_ = 0;
  std::array<std::uint8_t, 12> head_{};
  std::size_t head_size_ = 0;
  std::size_t head_need_ = 8;
  std::uint64_t value_left_ = 0;
  bool in_value_ = false;

  enum class Capture : std::uint8_t { none, field, reference, creator } capture_ = Capture::none;
  std::size_t capture_field_ = 0;
  std::uint32_t capture_tag_ = 0;
  std::uint16_t capture_vr_ = 0;
  std::string captured_;
  struct Value {
    std::string bytes;
    std::uint16_t vr = 0;
    bool present = false;
  };
  std::array<Value, field_count> values_;
  // Blocks of private elements that hold a b-value: element number of the creator, for Siemens, GE and Philips.
  std::array<int, 3> creator_block_{-1, -1, -1};
  std::vector<std::string> references_;
  std::unordered_set<std::string> references_seen_;
  bool references_complete_ = true;
};

}  // namespace choana::scp
