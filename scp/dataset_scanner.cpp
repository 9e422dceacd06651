#include "scp/dataset_scanner.h"

#include <zlib.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <optional>

#include "core/clinical_value.h"
#include "scp/upper_layer/presentation_context.h"

namespace choana::scp {
namespace {

constexpr std::uint32_t undefined_length = 0xFFFFFFFF;
constexpr std::uint64_t no_end = UINT64_MAX;
constexpr std::size_t captured_bytes_max = 1024;
constexpr std::string_view step = "scan_dataset";

constexpr std::uint32_t item_tag = 0xFFFEE000;
constexpr std::uint32_t item_delimitation_tag = 0xFFFEE00D;
constexpr std::uint32_t sequence_delimitation_tag = 0xFFFEE0DD;
constexpr std::uint32_t pixel_data_tag = 0x7FE00010;
constexpr std::uint32_t referenced_sop_instance_tag = 0x00081155;
constexpr std::uint32_t other_studies_tag = 0x00081200;  // Studies Containing Other Referenced Instances

enum Field : std::size_t {
  character_set, image_type, sop_class, sop_instance, acquisition_date, acquisition_time, modality, manufacturer,
  series_description, manufacturer_model, patient_id, contrast_agent, body_part, scanning_sequence, sequence_variant, scan_options,
  sequence_name, slice_thickness, repetition_time, echo_time, inversion_time, echo_numbers, field_strength,
  software_versions, protocol_name, flip_angle, patient_position, b_value, study_uid, series_uid, series_number,
  acquisition_number, instance_number, temporal_position, lossy_compression, b_value_siemens, b_value_ge, b_value_philips,
  fields_end
};

constexpr std::array<std::uint32_t, 35> wanted_tags{
    0x00080005, 0x00080008, 0x00080016, 0x00080018, 0x00080022, 0x00080032, 0x00080060, 0x00080070,
    0x0008103E, 0x00081090, 0x00100020, 0x00180010, 0x00180015, 0x00180020, 0x00180021, 0x00180022,
    0x00180024, 0x00180050, 0x00180080, 0x00180081, 0x00180082, 0x00180086, 0x00180087,
    0x00181020, 0x00181030, 0x00181314, 0x00185100, 0x00189087, 0x0020000D, 0x0020000E, 0x00200011,
    0x00200012, 0x00200013, 0x00200100, 0x00282110};
static_assert(wanted_tags.size() == b_value_siemens);

// Private b-values: group, offset in the block, creator.
struct PrivateElement {
  std::uint16_t group;
  std::uint8_t offset;
  std::string_view creator;
};
constexpr std::array<PrivateElement, 3> private_b_values{{{0x0019, 0x0C, "SIEMENS MR HEADER"},
                                                          {0x0043, 0x39, "GEMS_PARM_01"},
                                                          {0x2001, 0x03, "Philips Imaging DD 001"}}};

// Sequences of RTSTRUCT and SEG on the way to referenced instances, needed to enter them in implicit VR.
constexpr std::array<std::uint32_t, 17> reference_paths{
    0x00081115, 0x00081140, 0x0008114A, 0x00081199, 0x00081200, 0x00082112, 0x00089124, 0x30060010, 0x30060012,
    0x30060014, 0x30060016, 0x30060020, 0x30060039, 0x30060040, 0x52009229, 0x52009230, 0x00620002};

// The sequences whose items name instances of this study that were used to draw the region: contour images, referenced
// instances and SOPs of a series, source images of a frame. Others name studies, localisers or predecessors.
constexpr bool names_source_instances(std::uint32_t tag) {
  return tag == 0x30060016 || tag == 0x0008114A || tag == 0x00081199 || tag == 0x00082112;
}

constexpr std::uint16_t vr_code(char a, char b) { return static_cast<std::uint16_t>((a << 8) | b); }

constexpr bool is_short_vr(std::uint16_t vr) {
  switch (vr) {
    case vr_code('A', 'E'): case vr_code('A', 'S'): case vr_code('A', 'T'): case vr_code('C', 'S'): case vr_code('D', 'A'):
    case vr_code('D', 'S'): case vr_code('D', 'T'): case vr_code('F', 'L'): case vr_code('F', 'D'): case vr_code('I', 'S'):
    case vr_code('L', 'O'): case vr_code('L', 'T'): case vr_code('P', 'N'): case vr_code('S', 'H'): case vr_code('S', 'L'):
    case vr_code('S', 'S'): case vr_code('S', 'T'): case vr_code('T', 'M'): case vr_code('U', 'I'): case vr_code('U', 'L'):
    case vr_code('U', 'S'): return true;
    default: return false;
  }
}

bool is_upper(std::uint8_t c) { return c >= 'A' && c <= 'Z'; }

std::string_view trimmed(std::string_view text) {
  const auto is_padding = [](char c) { return c == ' ' || c == '\0'; };
  while (!text.empty() && is_padding(text.back())) text.remove_suffix(1);
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  return text;
}

std::string_view first_value(std::string_view text) { return trimmed(text.substr(0, text.find('\\'))); }

std::vector<std::string> split_values(std::string_view text) {
  std::vector<std::string> values;
  while (!text.empty()) {
    const std::size_t end = text.find('\\');
    values.emplace_back(trimmed(text.substr(0, end)));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return values;
}

std::optional<double> parse_number(std::string_view text) {
  text = first_value(text);
  if (!text.empty() && text.front() == '+') text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::optional<int> parse_integer(std::string_view text) {
  const auto value = parse_number(text);
  if (!value || std::abs(*value) > 2147483647.0) return std::nullopt;
  return static_cast<int>(*value);
}

std::string latin1_to_utf8(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      out += c;
    } else {
      out += static_cast<char>(0xC0 | (byte >> 6));
      out += static_cast<char>(0x80 | (byte & 0x3F));
    }
  }
  return out;
}

bool is_lossy(std::string_view transfer_syntax) {
  return transfer_syntax == "1.2.840.10008.1.2.4.50" || transfer_syntax == "1.2.840.10008.1.2.4.51" ||
         transfer_syntax == "1.2.840.10008.1.2.4.81" || transfer_syntax == "1.2.840.10008.1.2.4.91";
}

}  // namespace

struct DatasetScanner::Inflater {
  z_stream stream{};
  bool ready = false;
  bool ended = false;
  std::size_t trailing = 0;
  std::array<std::uint8_t, 16384> out;

  Inflater() { ready = inflateInit2(&stream, -MAX_WBITS) == Z_OK; }  // raw deflate, PS3.5 A.5
  ~Inflater() {
    if (ready) inflateEnd(&stream);
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
};

DatasetScanner::DatasetScanner(std::string_view transfer_syntax_uid, ScannerLimits limits)
    : limits_(limits), transfer_syntax_(transfer_syntax_uid) {
  static_assert(fields_end <= field_count);
  top_implicit_ = transfer_syntax_ == implicit_little_endian;
  top_big_endian_ = transfer_syntax_ == explicit_big_endian;
  if (transfer_syntax_ == deflated_little_endian) inflater_ = std::make_unique<Inflater>();
}

DatasetScanner::~DatasetScanner() = default;

Status DatasetScanner::feed(ByteView bytes) {
  if (!failure_) return failure_;
  if (!inflater_) return failure_ = walk(bytes);
  if (!inflater_->ready) return failure_ = fail(ErrorCode::out_of_memory, std::string(step), "The inflater could not start.");
  while (!bytes.empty()) {
    if (inflater_->ended) {
      // PS3.5 A.5: one NUL may pad the stream to even length.
      inflater_->trailing += bytes.size();
      if (inflater_->trailing > 1 || bytes[0] != 0) {
        return failure_ = fail(ErrorCode::decoding_failed, std::string(step), "Octets follow the end of the deflated data set.");
      }
      return {};
    }
    z_stream& stream = inflater_->stream;
    const std::size_t chunk = std::min<std::size_t>(bytes.size(), 1U << 30);
    stream.next_in = const_cast<Bytef*>(bytes.data());
    stream.avail_in = static_cast<uInt>(chunk);
    stream.next_out = inflater_->out.data();
    stream.avail_out = static_cast<uInt>(inflater_->out.size());
    const int code = inflate(&stream, Z_NO_FLUSH);
    const std::size_t produced = inflater_->out.size() - stream.avail_out;
    const std::size_t consumed = chunk - stream.avail_in;
    if (code != Z_OK && code != Z_STREAM_END && !(code == Z_BUF_ERROR && produced + consumed > 0)) {
      return failure_ = fail(ErrorCode::decoding_failed, std::string(step), "The deflated data set cannot be inflated.");
    }
    bytes = bytes.subspan(consumed);
    if (failure_ = walk(ByteView(inflater_->out).first(produced)); !failure_) return failure_;
    if (code == Z_STREAM_END) inflater_->ended = true;
  }
  // What the last call could not place yet comes out with the next one, or at the end.
  while (!inflater_->ended) {
    z_stream& stream = inflater_->stream;
    stream.avail_in = 0;
    stream.next_out = inflater_->out.data();
    stream.avail_out = static_cast<uInt>(inflater_->out.size());
    const int code = inflate(&stream, Z_SYNC_FLUSH);
    const std::size_t produced = inflater_->out.size() - stream.avail_out;
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) {
      return failure_ = fail(ErrorCode::decoding_failed, std::string(step), "The deflated data set cannot be inflated.");
    }
    if (code == Z_STREAM_END) inflater_->ended = true;
    if (failure_ = walk(ByteView(inflater_->out).first(produced)); !failure_) return failure_;
    if (produced == 0) break;
  }
  return {};
}

Status DatasetScanner::finish() {
  if (!failure_) return failure_;
  if (inflater_ && !inflater_->ended) return failure_ = fail(ErrorCode::truncated, std::string(step), "The deflated data set has no end.");
  close_finished();
  if (in_value_ || head_size_ != 0 || !stack_.empty()) {
    return failure_ = fail(ErrorCode::truncated, std::string(step), "The data set ends inside an element or sequence.");
  }
  if (position_ == 0) return failure_ = fail(ErrorCode::truncated, std::string(step), "The data set is empty.");
  return {};
}

std::uint64_t DatasetScanner::limit() const { return stack_.empty() ? no_end : stack_.back().limit; }
bool DatasetScanner::implicit_vr() const { return stack_.empty() ? top_implicit_ : stack_.back().implicit_vr; }
// Implicit VR is always little endian, also inside a UN of a big endian data set.
bool DatasetScanner::big_endian() const { return top_big_endian_ && !implicit_vr(); }

std::uint16_t DatasetScanner::u16_at(std::size_t at) const {
  const unsigned a = head_[at];
  const unsigned b = head_[at + 1];
  return static_cast<std::uint16_t>(big_endian() ? (a << 8) | b : (b << 8) | a);
}
std::uint32_t DatasetScanner::u32_at(std::size_t at) const {
  const std::uint32_t first = u16_at(at);
  const std::uint32_t second = u16_at(at + 2);
  return big_endian() ? (first << 16) | second : (second << 16) | first;
}

void DatasetScanner::close_finished() {
  while (!stack_.empty() && !stack_.back().undefined_length && stack_.back().end == position_) {
    if (stack_.back().kind != Kind::item) --sequences_open_;
    stack_.pop_back();
  }
}

Status DatasetScanner::walk(ByteView bytes) {
  if (bytes.size() > limits_.bytes_max - std::min(limits_.bytes_max, position_)) {
    return fail(ErrorCode::limit_exceeded, std::string(step), "The data set is larger than the limit.");
  }
  while (!bytes.empty()) {
    if (in_value_) {
      const std::size_t count = static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), value_left_));
      if (capture_ != Capture::none && captured_.size() < captured_bytes_max) {
        captured_.append(as_text(bytes.first(std::min(count, captured_bytes_max - captured_.size()))));
      }
      bytes = bytes.subspan(count);
      position_ += count;
      value_left_ -= count;
      if (value_left_ == 0) {
        if (auto status = end_value(); !status) return status;
      }
      continue;
    }
    if (head_size_ == 0) close_finished();
    const std::size_t count = std::min(bytes.size(), head_need_ - head_size_);
    std::memcpy(head_.data() + head_size_, bytes.data(), count);
    head_size_ += count;
    position_ += count;
    bytes = bytes.subspan(count);
    if (position_ > limit()) return fail(ErrorCode::truncated, std::string(step), "An element crosses the end of its item.");
    if (head_size_ == head_need_) {
      if (auto status = on_header(); !status) return status;
    }
  }
  return {};
}

Status DatasetScanner::on_header() {
  const std::uint32_t tag = (std::uint32_t{u16_at(0)} << 16) | u16_at(2);
  const bool is_delimiter = (tag >> 16) == 0xFFFE;
  std::uint16_t vr = 0;
  std::uint32_t length = 0;
  if (is_delimiter || implicit_vr()) {
    length = u32_at(4);
  } else {
    if (!is_upper(head_[4]) || !is_upper(head_[5])) return fail(ErrorCode::not_dicom, std::string(step), "An element has no value representation.");
    vr = vr_code(static_cast<char>(head_[4]), static_cast<char>(head_[5]));
    if (is_short_vr(vr)) {
      length = u16_at(6);
    } else if (head_need_ == 8) {
      head_need_ = 12;  // PS3.5 7.1.2: also what a VR unknown today will use
      return {};
    } else {
      length = u32_at(8);
    }
  }
  head_size_ = 0;
  head_need_ = 8;
  return is_delimiter ? on_item(tag, length) : on_element(tag, vr, length);
}

Status DatasetScanner::push(Frame frame) {
  if (frame.kind != Kind::item) {
    if (++sequences_open_ > limits_.depth_max) return fail(ErrorCode::decoding_failed, std::string(step), "Sequences are nested too deep.");
  }
  frame.limit = std::min(limit(), frame.end);
  stack_.push_back(frame);
  return {};
}

Status DatasetScanner::on_item(std::uint32_t tag, std::uint32_t length) {
  if (stack_.empty()) return fail(ErrorCode::not_dicom, std::string(step), "An item stands outside a sequence.");
  const Frame top = stack_.back();
  if (tag == item_tag) {
    if (top.kind == Kind::item) return fail(ErrorCode::not_dicom, std::string(step), "An item stands outside a sequence.");
    if (length != undefined_length && length > limit() - position_) return fail(ErrorCode::truncated, std::string(step), "An item is longer than its sequence.");
    if (top.kind == Kind::fragments) {
      if (length == undefined_length) return fail(ErrorCode::not_dicom, std::string(step), "A fragment of pixel data has no length.");
      value_left_ = length;
      in_value_ = length != 0;
      capture_ = Capture::none;
      return {};
    }
    const bool undefined = length == undefined_length;
    return push({Kind::item, undefined, top.implicit_vr, top.tag, undefined ? no_end : position_ + length, 0});
  }
  // Delimiters; their length is 0 by the standard and not looked at.
  const bool closes_item = tag == item_delimitation_tag && top.kind == Kind::item;
  const bool closes_sequence = tag == sequence_delimitation_tag && top.kind != Kind::item;
  if (!(closes_item || closes_sequence) || !top.undefined_length) return fail(ErrorCode::not_dicom, std::string(step), "A delimiter has nothing to close.");
  if (closes_sequence) --sequences_open_;
  stack_.pop_back();
  return {};
}

Status DatasetScanner::on_element(std::uint32_t tag, std::uint16_t vr, std::uint32_t length) {
  if (!stack_.empty() && stack_.back().kind != Kind::item) return fail(ErrorCode::not_dicom, std::string(step), "An element stands between the items of a sequence.");
  if ((tag >> 16) == 0) return fail(ErrorCode::not_dicom, std::string(step), "A command element stands in the data set.");
  const bool implicit = implicit_vr();
  if (length == undefined_length) {
    Frame frame{Kind::sequence, true, implicit, tag, no_end, 0};
    if (tag == pixel_data_tag || vr == vr_code('O', 'B') || vr == vr_code('O', 'W')) {
      frame.kind = Kind::fragments;
    } else if (vr == vr_code('U', 'N')) {
      frame.implicit_vr = true;
    } else if (!implicit && vr != vr_code('S', 'Q')) {
      return fail(ErrorCode::not_dicom, std::string(step), "An element that is no sequence has an undefined length.");
    }
    return push(frame);
  }
  if (length > limit() - position_) return fail(ErrorCode::truncated, std::string(step), "An element is longer than its item.");
  const bool is_sequence = implicit ? std::find(reference_paths.begin(), reference_paths.end(), tag) != reference_paths.end()
                                    : vr == vr_code('S', 'Q');
  if (is_sequence) {
    if (length == 0) return {};
    return push({Kind::sequence, false, implicit, tag, position_ + length, 0});
  }
  begin_capture(tag, vr);
  value_left_ = length;
  in_value_ = true;
  return length == 0 ? end_value() : Status{};
}

bool DatasetScanner::wants_reference() const {
  if (!limits_.collect_references || stack_.empty() || !names_source_instances(stack_.back().tag)) return false;
  return std::none_of(stack_.begin(), stack_.end(), [](const Frame& f) { return f.tag == other_studies_tag; });
}

void DatasetScanner::begin_capture(std::uint32_t tag, std::uint16_t vr) {
  capture_ = Capture::none;
  captured_.clear();
  capture_tag_ = tag;
  capture_vr_ = vr;
  if (!stack_.empty()) {
    if (tag == referenced_sop_instance_tag && wants_reference()) capture_ = Capture::reference;
    return;
  }
  const auto wanted = std::lower_bound(wanted_tags.begin(), wanted_tags.end(), tag);
  if (wanted != wanted_tags.end() && *wanted == tag) {
    capture_ = Capture::field;
    capture_field_ = static_cast<std::size_t>(wanted - wanted_tags.begin());
    return;
  }
  for (std::size_t i = 0; i < private_b_values.size(); ++i) {
    if (tag >> 16 != private_b_values[i].group) continue;
    const unsigned element = tag & 0xFFFF;
    if (element >= 0x10 && element <= 0xFF) {
      capture_ = Capture::creator;
      capture_field_ = i;
    } else if (creator_block_[i] >= 0 && element == (static_cast<unsigned>(creator_block_[i]) << 8 | private_b_values[i].offset)) {
      capture_ = Capture::field;
      capture_field_ = b_value_siemens + i;
    }
  }
}

Status DatasetScanner::end_value() {
  in_value_ = false;
  switch (std::exchange(capture_, Capture::none)) {
    case Capture::none: break;
    case Capture::creator:
      if (trimmed(captured_) == private_b_values[capture_field_].creator) creator_block_[capture_field_] = static_cast<int>(capture_tag_ & 0xFF);
      break;
    case Capture::field: {
      Value& value = values_[capture_field_];
      const bool identifies = capture_field_ == sop_class || capture_field_ == sop_instance || capture_field_ == study_uid || capture_field_ == series_uid;
      if (value.present && identifies && trimmed(value.bytes) != trimmed(captured_)) {
        return fail(ErrorCode::invalid_attribute, std::string(step), "An identifying element stands in the data set twice with different values.");
      }
      if (!value.present) value = {captured_, capture_vr_, true};
      break;
    }
    case Capture::reference: {
      const std::string_view uid = trimmed(captured_);
      if (uid.empty() || uid.size() > 64) break;
      if (references_.size() >= limits_.references_max) {
        if (!references_seen_.contains(std::string(uid))) references_complete_ = false;
        break;
      }
      if (references_seen_.emplace(uid).second) references_.emplace_back(uid);
      break;
    }
  }
  return {};
}

std::string DatasetScanner::text_of(std::size_t field) const {
  const std::string_view text = trimmed(values_[field].bytes);
  const std::string_view set = trimmed(values_[character_set].bytes);
  return set == "ISO_IR 100" ? latin1_to_utf8(text) : std::string(text);
}

void DatasetScanner::describe(ReceivedInstance& instance) const {
  const auto plain = [this](Field field) { return std::string(trimmed(values_[field].bytes)); };
  const auto number = [this](Field field) { return parse_number(values_[field].bytes); };
  const auto integer = [this](Field field) { return parse_integer(values_[field].bytes); };
  // FD and FL in the byte order of the data set.
  const auto binary = [this](Field field) -> std::optional<double> {
    const std::string& bytes = values_[field].bytes;
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < bytes.size() && i < 8; ++i) {
      const std::size_t at = top_big_endian_ ? i : bytes.size() - 1 - i;
      bits = (bits << 8) | static_cast<std::uint8_t>(bytes[at]);
    }
    double value = 0;
    if (bytes.size() == 8) {
      value = std::bit_cast<double>(bits);
    } else if (bytes.size() == 4) {
      value = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    } else {
      return std::nullopt;
    }
    if (!std::isfinite(value)) return std::nullopt;
    return value;
  };

  instance.transfer_syntax_uid = transfer_syntax_;
  instance.sop_class_uid = plain(sop_class);
  instance.sop_instance_uid = plain(sop_instance);
  instance.study_instance_uid = plain(study_uid);
  instance.series_instance_uid = plain(series_uid);
  instance.patient_key = patient_key(values_[patient_id].bytes);
  instance.series_number = integer(series_number).value_or(0);
  instance.instance_number = integer(instance_number).value_or(0);
  instance.referenced_sop_instance_uids = references_;
  instance.references_complete = references_complete_;

  AcquisitionFacts& facts = instance.acquisition;
  facts.modality = plain(modality);
  facts.series_description = text_of(series_description);
  facts.protocol_name = text_of(protocol_name);
  facts.sequence_name = text_of(sequence_name);
  facts.body_part = plain(body_part);
  facts.manufacturer = text_of(manufacturer);
  facts.manufacturer_model_name = text_of(manufacturer_model);
  facts.software_versions = text_of(software_versions);
  facts.patient_position = plain(patient_position);
  facts.image_type = split_values(plain(image_type));
  facts.scanning_sequence = split_values(plain(scanning_sequence));
  facts.sequence_variant = split_values(plain(sequence_variant));
  facts.scan_options = split_values(plain(scan_options));
  facts.acquisition_date = plain(acquisition_date);
  facts.acquisition_time = plain(acquisition_time);
  facts.contrast_agent = text_of(contrast_agent);
  facts.repetition_time_ms = number(repetition_time);
  facts.echo_time_ms = number(echo_time);
  facts.inversion_time_ms = number(inversion_time);
  facts.flip_angle_deg = number(flip_angle);
  facts.field_strength_t = number(field_strength);
  facts.slice_thickness_mm = number(slice_thickness);
  facts.temporal_position = integer(temporal_position);
  facts.acquisition_number = integer(acquisition_number);
  facts.echo_number = integer(echo_numbers);
  facts.lossy_compressed = plain(lossy_compression) == "01" || is_lossy(transfer_syntax_);

  facts.b_value_s_per_mm2.reset();
  if (const auto standard = binary(b_value)) {
    facts.b_value_s_per_mm2 = standard;
  } else if (const auto siemens = number(b_value_siemens)) {
    facts.b_value_s_per_mm2 = siemens;
  } else if (const auto ge = number(b_value_ge)) {
    facts.b_value_s_per_mm2 = std::fmod(*ge, 1e9);  // GE adds 10^9 to values of multi-b acquisitions
  } else if (values_[b_value_philips].present) {
    facts.b_value_s_per_mm2 = values_[b_value_philips].bytes.size() == 4 ? binary(b_value_philips) : number(b_value_philips);
  }
}

}  // namespace choana::scp
