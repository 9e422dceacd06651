#include "dicom/preflight.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <memory>
#include <string_view>
#include <vector>

namespace choana::dicom {
namespace {

constexpr std::uint64_t unbounded = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint32_t undefined_length = 0xFFFFFFFFU;

/// Bytes that are read once, front to back.
class ByteSource {
 public:
  virtual ~ByteSource() = default;

  /// Up to 16 bytes ahead without consuming them.
  std::size_t peek(std::uint8_t* to, std::size_t count) {
    if (end_ - begin_ < count) refill();
    const std::size_t available = std::min(count, end_ - begin_);
    std::memcpy(to, buffer_.data() + begin_, available);
    return available;
  }
  bool read(std::uint8_t* to, std::size_t count) {
    if (peek(to, count) < count) return false;
    consume(count);
    return true;
  }
  bool skip(std::uint64_t count) {
    const std::uint64_t buffered = std::min<std::uint64_t>(count, end_ - begin_);
    consume(static_cast<std::size_t>(buffered));
    if (count == buffered) return true;
    return skip_unbuffered(count - buffered);
  }
  [[nodiscard]] std::uint64_t position() const { return position_; }

 protected:
  /// Bytes put at `to`; 0 at the end.
  virtual std::size_t produce(std::uint8_t* to, std::size_t most) = 0;
  virtual bool skip_unbuffered(std::uint64_t count) {
    while (count > 0) {
      refill();
      const std::uint64_t step = std::min<std::uint64_t>(count, end_ - begin_);
      if (step == 0) return false;
      consume(static_cast<std::size_t>(step));
      count -= step;
    }
    return true;
  }
  void advance_position(std::uint64_t count) { position_ += count; }

 private:
  void consume(std::size_t count) {
    begin_ += count;
    position_ += count;
  }
  void refill() {
    if (begin_ > 0) {
      std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
      end_ -= begin_;
      begin_ = 0;
    }
    while (end_ < 16) {
      const std::size_t got = produce(buffer_.data() + end_, buffer_.size() - end_);
      if (got == 0) break;
      end_ += got;
    }
  }

  std::vector<std::uint8_t> buffer_ = std::vector<std::uint8_t>(1U << 16);
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::uint64_t position_ = 0;
};

class FileSource final : public ByteSource {
 public:
  explicit FileSource(const std::filesystem::path& file) : descriptor_(::open(file.c_str(), O_RDONLY | O_CLOEXEC)) {
    struct stat status{};
    if (descriptor_ >= 0 && ::fstat(descriptor_, &status) == 0 && S_ISREG(status.st_mode)) {
      size_ = static_cast<std::uint64_t>(status.st_size);
      usable_ = true;
    }
  }
  ~FileSource() override {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  FileSource(const FileSource&) = delete;
  FileSource& operator=(const FileSource&) = delete;

  [[nodiscard]] bool usable() const { return usable_; }
  [[nodiscard]] bool failed() const { return failed_; }
  [[nodiscard]] std::uint64_t size() const { return size_; }

  std::size_t produce(std::uint8_t* to, std::size_t most) override {
    for (;;) {
      const ssize_t got = ::pread(descriptor_, to, most, static_cast<off_t>(offset_));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) failed_ = true;
      if (got <= 0) return 0;
      offset_ += static_cast<std::uint64_t>(got);
      return static_cast<std::size_t>(got);
    }
  }

 protected:
  bool skip_unbuffered(std::uint64_t count) override {
    if (offset_ + count > size_) return false;
    offset_ += count;
    advance_position(count);
    return true;
  }

 private:
  int descriptor_ = -1;
  bool usable_ = false;
  bool failed_ = false;
  std::uint64_t size_ = 0;
  std::uint64_t offset_ = 0;
};

/// Raw deflate (PS3.5 A.5) of what remains of another source.
class InflatingSource final : public ByteSource {
 public:
  InflatingSource(ByteSource& compressed, std::uint64_t bytes_max) : compressed_(compressed), bytes_left_(bytes_max) {
    ready_ = ::inflateInit2(&stream_, -MAX_WBITS) == Z_OK;
  }
  ~InflatingSource() override { ::inflateEnd(&stream_); }
  InflatingSource(const InflatingSource&) = delete;
  InflatingSource& operator=(const InflatingSource&) = delete;
  [[nodiscard]] bool limit_reached() const { return bytes_left_ == 0; }

  std::size_t produce(std::uint8_t* to, std::size_t most) override {
    if (!ready_ || ended_) return 0;
    most = static_cast<std::size_t>(std::min<std::uint64_t>(most, bytes_left_));
    stream_.next_out = to;
    stream_.avail_out = static_cast<uInt>(most);
    while (stream_.avail_out == most && most > 0) {
      if (stream_.avail_in == 0) {
        // One small block at a time: the outer source hands out at most 16 bytes by peek.
        stream_.avail_in = static_cast<uInt>(compressed_.peek(input_.data(), input_.size()));
        compressed_.skip(stream_.avail_in);
        stream_.next_in = input_.data();
        if (stream_.avail_in == 0) break;
      }
      const int outcome = ::inflate(&stream_, Z_NO_FLUSH);
      if (outcome == Z_STREAM_END || outcome != Z_OK) {
        ended_ = true;
        break;
      }
    }
    const std::size_t made = most - stream_.avail_out;
    bytes_left_ -= made;
    return made;
  }

 private:
  ByteSource& compressed_;
  std::uint64_t bytes_left_;
  z_stream stream_{};
  std::array<std::uint8_t, 16> input_{};
  bool ready_ = false;
  bool ended_ = false;
};

struct Encoding {
  bool explicit_vr = true;
  bool big_endian = false;
};

std::uint16_t number16(const std::uint8_t* p, bool big_endian) {
  return static_cast<std::uint16_t>(big_endian ? (p[0] << 8) | p[1] : p[0] | (p[1] << 8));
}
std::uint32_t number32(const std::uint8_t* p, bool big_endian) {
  const std::uint32_t a = number16(p, big_endian), b = number16(p + 2, big_endian);
  return big_endian ? (a << 16) | b : a | (b << 16);
}

bool is_upper(std::uint8_t c) { return c >= 'A' && c <= 'Z'; }

/// Value representations with a 16-bit length (PS3.5 7.1.2). Unknown ones of two capital letters have 32 bits, any
/// other text 16 bits: so DCMTK reads them, and the two walks must agree.
bool has_short_length(std::string_view vr) {
  static constexpr std::array<std::string_view, 21> short_ones{"AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO",
                                                               "LT", "PN", "SH", "SL", "SS", "ST", "TM", "UI", "UL", "US"};
  if (std::find(short_ones.begin(), short_ones.end(), vr) != short_ones.end()) return true;
  return !(is_upper(static_cast<std::uint8_t>(vr[0])) && is_upper(static_cast<std::uint8_t>(vr[1])));
}

constexpr std::uint32_t tag(std::uint16_t group, std::uint16_t element) { return (std::uint32_t{group} << 16) | element; }
constexpr std::uint32_t item_tag = tag(0xFFFE, 0xE000);
constexpr std::uint32_t item_end_tag = tag(0xFFFE, 0xE00D);
constexpr std::uint32_t sequence_end_tag = tag(0xFFFE, 0xE0DD);
constexpr std::uint32_t pixel_data_tag = tag(0x7FE0, 0x0010);

bool is_pixel_data(std::uint32_t t) { return t == pixel_data_tag || t == tag(0x7FE0, 0x0008) || t == tag(0x7FE0, 0x0009); }

struct Level {
  enum class Kind { data_set, sequence, item, fragments };
  Kind kind = Kind::data_set;
  std::uint64_t end = unbounded;    // declared end; unbounded when a delimiter ends it
  std::uint64_t limit = unbounded;  // no child may reach beyond
  Encoding encoding;
  bool guessed = false;             // implicit VR and unknown tag: may be plain bytes that only look like a sequence
};

std::string at(std::uint64_t offset) { return "byte " + std::to_string(offset); }

class Walker {
 public:
  Walker(ByteSource& source, Encoding encoding, std::uint64_t size, const PreflightLimits& limits, Preflight& seen)
      : source_(source), limits_(limits), seen_(seen) {
    levels_.push_back({Level::Kind::data_set, size, size, encoding, false});
  }

  Status walk() {
    for (;;) {
      close_finished_levels();
      if (levels_.empty()) return {};
      std::array<std::uint8_t, 8> head{};
      const std::size_t ahead = source_.peek(head.data(), head.size());
      const bool at_top = levels_.size() == 1;
      if (at_top && ahead < 8) {
        seen_.trailing_bytes = ahead;
        return {};
      }
      if (++elements_ > limits_.elements_max)
        return fail(ErrorCode::limit_exceeded, step, "The object has too many elements; it was not read.", at(source_.position()));
      bool done = false;
      Status status = ahead < 8 ? Status(fail(ErrorCode::truncated, step, "The file ends inside a sequence: it was cut off; send it again.",
                                              at(source_.position())))
                                : one_element(head, done);
      if (done) return {};
      if (!status && !skip_guessed_sequence(status.error())) return status;
    }
  }

 private:
  static constexpr const char* step = "preflight";

  void close_finished_levels() {
    while (!levels_.empty() && levels_.back().end != unbounded && source_.position() >= levels_.back().end) pop();
  }
  void pop() {
    if (levels_.back().kind == Level::Kind::sequence) --depth_;
    levels_.pop_back();
  }
  Status push(Level level) {
    if (level.kind == Level::Kind::sequence) {
      if (++depth_ > limits_.depth_max) {
        --depth_;
        return fail(ErrorCode::limit_exceeded, step,
                    "Sequences are nested more than " + std::to_string(limits_.depth_max) + " deep; the object was not read.", at(source_.position()));
      }
      seen_.depth = std::max(seen_.depth, depth_);
    }
    level.limit = std::min(level.end, levels_.back().limit);
    levels_.push_back(level);
    return {};
  }

  /// Plain bytes took for a sequence: go on behind them. Anything else stays an error.
  bool skip_guessed_sequence(const Error& error) {
    if (error.code == ErrorCode::limit_exceeded) return false;
    const auto guessed = std::find_if(levels_.begin(), levels_.end(), [](const Level& level) { return level.guessed; });
    if (guessed == levels_.end()) return false;
    const std::uint64_t end = guessed->end;
    while (levels_.end() - guessed > 0 && !levels_.empty()) {
      const bool last = &levels_.back() == &*guessed;
      pop();
      if (last) break;
    }
    return end >= source_.position() && source_.skip(end - source_.position());
  }

  Status one_element(const std::array<std::uint8_t, 8>& head, bool& done) {
    const Level level = levels_.back();
    const std::uint64_t start = source_.position();
    const bool big = level.encoding.big_endian;
    const std::uint32_t t = tag(number16(head.data(), big), number16(head.data() + 2, big));
    source_.skip(8);

    if (level.kind == Level::Kind::sequence || level.kind == Level::Kind::fragments) {
      const std::uint32_t length = number32(head.data() + 4, big);
      if (t == sequence_end_tag) {
        pop();
        return {};
      }
      if (t != item_tag)
        return fail(ErrorCode::invalid_attribute, step, "A sequence holds something that is not an item: the object is damaged.", at(start));
      if (level.kind == Level::Kind::fragments) {
        if (levels_.size() == 2 && length != undefined_length && !fits(length) && seen_.has_pixel_data) {
          seen_.pixel_data_truncated = true;
          done = true;
          return {};
        }
        return skip_value(length, start);
      }
      if (length == undefined_length) return push({Level::Kind::item, unbounded, 0, level.encoding, false});
      if (!fits(length)) return too_long(start);
      return push({Level::Kind::item, source_.position() + length, 0, level.encoding, false});
    }

    if ((t >> 16) == 0xFFFE) {
      if (t == item_end_tag && level.kind == Level::Kind::item && level.end == unbounded) pop();
      else if (t == item_tag) return fail(ErrorCode::invalid_attribute, step, "An item stands outside a sequence: the object is damaged.", at(start));
      return {};  // a stray delimiter ends nothing
    }

    std::string_view vr;
    std::uint32_t length = 0;
    if (level.encoding.explicit_vr) {
      vr = {reinterpret_cast<const char*>(head.data() + 4), 2};
      if (has_short_length(vr)) {
        length = number16(head.data() + 6, big);
      } else {
        std::array<std::uint8_t, 4> four{};
        if (!source_.read(four.data(), four.size()))
          return fail(ErrorCode::truncated, step, "The file ends inside an element: it was cut off; send it again.", at(start));
        length = number32(four.data(), big);
      }
    } else {
      length = number32(head.data() + 4, big);
    }

    const bool at_top = levels_.size() == 1;
    if (is_pixel_data(t) && at_top) seen_.has_pixel_data = true;
    if (length == undefined_length) {
      const bool implicit_content = vr == "UN";  // PS3.5 6.2.2: the content of UN with undefined length is implicit little endian
      const Encoding inner = implicit_content ? Encoding{false, false} : level.encoding;
      const bool fragments = t == pixel_data_tag || (!vr.empty() && vr != "SQ" && vr != "UN");
      return push({fragments ? Level::Kind::fragments : Level::Kind::sequence, unbounded, 0, inner, false});
    }
    if (!fits(length)) {
      if (at_top && is_pixel_data(t)) {
        seen_.pixel_data_truncated = true;
        done = true;
        return {};
      }
      return too_long(start);
    }
    if (vr == "SQ") return push({Level::Kind::sequence, source_.position() + length, 0, level.encoding, false});
    if (!level.encoding.explicit_vr && length >= 8 && !is_pixel_data(t)) {
      // The dictionary is DCMTK's; what starts like an item is walked, and skipped as bytes if it is none.
      std::array<std::uint8_t, 4> four{};
      if (source_.peek(four.data(), 4) == 4 && tag(number16(four.data(), big), number16(four.data() + 2, big)) == item_tag)
        return push({Level::Kind::sequence, source_.position() + length, 0, level.encoding, true});
    }
    return skip_value(length, start);
  }

  [[nodiscard]] bool fits(std::uint64_t length) const {
    const std::uint64_t limit = levels_.back().limit;
    return limit == unbounded || length <= limit - std::min(limit, source_.position());
  }
  Status too_long(std::uint64_t start) const {
    const bool beyond_file = levels_.back().limit == levels_.front().limit;
    return fail(beyond_file ? ErrorCode::truncated : ErrorCode::invalid_attribute, step,
                beyond_file ? "An element reaches beyond the end of the file: it was cut off; send it again."
                            : "An element reaches beyond the sequence item that holds it: the object is damaged.",
                at(start));
  }
  Status skip_value(std::uint32_t length, std::uint64_t start) {
    if (!fits(length)) return too_long(start);
    if (!source_.skip(length))
      return fail(ErrorCode::truncated, step, "The file ends inside an element: it was cut off; send it again.", at(start));
    return {};
  }

  ByteSource& source_;
  const PreflightLimits& limits_;
  Preflight& seen_;
  std::vector<Level> levels_;
  int depth_ = 0;
  std::uint64_t elements_ = 0;
};

std::string trimmed_uid(const std::vector<std::uint8_t>& bytes) {
  std::string uid(bytes.begin(), bytes.end());
  while (!uid.empty() && (uid.back() == '\0' || uid.back() == ' ')) uid.pop_back();
  return uid;
}

/// Group 0002, explicit VR little endian (PS3.10 7.1); some writers use implicit VR here too.
Status read_file_meta(ByteSource& source, std::uint64_t size, Preflight& seen) {
  constexpr const char* step = "preflight";
  bool implicit_vr = false;
  for (int count = 0;; ++count) {
    std::array<std::uint8_t, 8> head{};
    if (source.peek(head.data(), 8) < 8) return {};
    if (number16(head.data(), false) != 0x0002) return {};
    if (count > 256) return fail(ErrorCode::limit_exceeded, step, "The file meta information has too many elements.");
    seen.has_file_meta = true;
    source.skip(8);
    std::uint64_t length = 0;
    const std::string_view vr(reinterpret_cast<const char*>(head.data() + 4), 2);
    if (count == 0) implicit_vr = !is_upper(head[4]) || !is_upper(head[5]);
    if (implicit_vr) {
      length = number32(head.data() + 4, false);
    } else if (has_short_length(vr)) {
      length = number16(head.data() + 6, false);
    } else {
      std::array<std::uint8_t, 4> four{};
      if (!source.read(four.data(), 4)) return fail(ErrorCode::truncated, step, "The file ends inside its meta information.");
      length = number32(four.data(), false);
    }
    if (length > size - std::min(size, source.position()))
      return fail(ErrorCode::truncated, step, "The file ends inside its meta information: it was cut off; send it again.");
    if (number16(head.data() + 2, false) == 0x0010 && length <= 128) {
      std::vector<std::uint8_t> value;
      for (std::uint64_t i = 0; i < length; ++i) {
        std::uint8_t byte = 0;
        source.read(&byte, 1);
        value.push_back(byte);
      }
      seen.transfer_syntax_uid = trimmed_uid(value);
    } else if (!source.skip(length)) {
      return fail(ErrorCode::truncated, step, "The file ends inside its meta information: it was cut off; send it again.");
    }
  }
}

constexpr const char* implicit_little = "1.2.840.10008.1.2";
constexpr const char* explicit_little = "1.2.840.10008.1.2.1";
constexpr const char* explicit_big = "1.2.840.10008.1.2.2";
constexpr const char* deflated_little = "1.2.840.10008.1.2.1.99";

/// From the first element of a bare data set; empty when it is none.
std::string guess_transfer_syntax(ByteSource& source, bool known_to_be_dicom) {
  std::array<std::uint8_t, 8> head{};
  if (source.peek(head.data(), 8) < 8) return {};
  const std::uint16_t little = number16(head.data(), false), big = number16(head.data(), true);
  const auto plausible = [](std::uint16_t group) { return group == 0x0002 || group == 0x0004 || group == 0x0008 || group == 0x0010; };
  const bool explicit_vr = is_upper(head[4]) && is_upper(head[5]);
  if (plausible(little) || (known_to_be_dicom && !plausible(big))) return explicit_vr ? explicit_little : implicit_little;
  if (plausible(big) && explicit_vr) return explicit_big;
  return {};
}

}  // namespace

Result<Preflight> preflight(const std::filesystem::path& file, const PreflightLimits& limits) {
  constexpr const char* step = "preflight";
  FileSource source(file);
  if (!source.usable()) return fail(ErrorCode::io_error, step, "The file cannot be opened.");
  Preflight seen;
  std::array<std::uint8_t, 132> start{};
  {
    FileSource beginning(file);
    std::size_t got = 0;
    while (beginning.usable() && got < start.size()) {
      const std::size_t more = beginning.produce(start.data() + got, start.size() - got);
      if (more == 0) break;
      got += more;
    }
    if (got == start.size() && std::memcmp(start.data() + 128, "DICM", 4) == 0) source.skip(132);
  }
  const bool has_prefix = source.position() == 132;
  if (!has_prefix && guess_transfer_syntax(source, false).empty()) return fail(ErrorCode::not_dicom, step, "The file is not a DICOM object.");
  if (const Status meta = read_file_meta(source, source.size(), seen); !meta) return fail(meta.error());
  if (source.position() >= source.size()) return fail(ErrorCode::truncated, step, "The file holds no data set: it was cut off; send it again.");
  if (seen.transfer_syntax_uid.empty()) {
    seen.transfer_syntax_uid = guess_transfer_syntax(source, has_prefix);
    seen.guessed_transfer_syntax = true;
    if (seen.transfer_syntax_uid.empty()) return fail(ErrorCode::not_dicom, step, "The file is not a DICOM object.");
  }
  // Every encapsulated syntax, known or not, is explicit VR little endian (PS3.5 A.4).
  const Encoding encoding{seen.transfer_syntax_uid != implicit_little, seen.transfer_syntax_uid == explicit_big};
  Status walked;
  if (seen.transfer_syntax_uid == deflated_little) {
    InflatingSource inflated(source, limits.inflated_bytes_max);
    walked = Walker(inflated, encoding, unbounded, limits, seen).walk();
    if (inflated.limit_reached()) return fail(ErrorCode::limit_exceeded, step, "The deflated object is too large; it was not read.");
  } else {
    walked = Walker(source, encoding, source.size(), limits, seen).walk();
  }
  if (source.failed()) return fail(ErrorCode::io_error, step, "The file could not be read to its end.");
  if (!walked) return fail(walked.error());
  return seen;
}

}  // namespace choana::dicom
