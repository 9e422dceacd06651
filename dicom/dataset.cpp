#include <dcmtk/dcmdata/dcrledrg.h>
#include <dcmtk/dcmdata/dcspchrs.h>
#include <dcmtk/dcmjpeg/djdecode.h>
#include <dcmtk/dcmjpls/djdecode.h>
#include <dcmtk/oflog/oflog.h>
#include <iconv.h>

#include <charconv>
#include <cmath>
#include <cstdint>
#include <mutex>
#include <system_error>

#include "core/unique_identifier.h"
#include "dicom/dataset_internal.h"
#include "dicom/dicom_reader.h"

namespace choana::dicom {

void register_codecs() {
  static std::once_flag once;
  std::call_once(once, [] {
    // DCMTK warns about values, which may be a patient's; what matters is returned as an error.
    OFLog::configure(OFLogger::OFF_LOG_LEVEL);
    DJDecoderRegistration::registerCodecs();
    DJLSDecoderRegistration::registerCodecs();
    DcmRLEDecoderRegistration::registerCodecs();
  });
}

std::string name_of(const std::filesystem::path& file) { return file.filename().string(); }

namespace {

constexpr std::size_t text_bytes_max = 1024;

/// Length of the UTF-8 sequence at `i`, 0 if it is not valid (RFC 3629).
std::size_t utf8_length(std::string_view text, std::size_t i) {
  const auto byte = [&](std::size_t n) { return static_cast<unsigned char>(text[n]); };
  const unsigned char first = byte(i);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xC2 && first <= 0xDF ? 2 : first >= 0xE0 && first <= 0xEF ? 3 : first >= 0xF0 && first <= 0xF4 ? 4 : 0;
  if (length == 0 || i + length > text.size()) return 0;
  for (std::size_t n = 1; n < length; ++n)
    if ((byte(i + n) & 0xC0) != 0x80) return 0;
  const unsigned char second = byte(i + 1);
  if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) || (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F)) return 0;
  return length;
}

bool is_valid_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = utf8_length(text, i);
    if (length == 0) return false;
    i += length;
  }
  return true;
}

std::optional<std::string> convert(const std::string& raw, const std::string& character_set) {
  try {
    DcmSpecificCharacterSet converter;
    if (converter.selectCharacterSet(OFString(character_set.data(), character_set.size())).bad()) return std::nullopt;
    OFString out;
    if (converter.convertString(raw.data(), raw.size(), out, "\\").bad()) return std::nullopt;
    std::string text(out.data(), out.size());
    if (!is_valid_utf8(text)) return std::nullopt;
    return text;
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

/// Japanese by escape sequences: DCMTK built on glibc's iconv refuses the very names of these sets, while glibc knows
/// the whole scheme (RFC 1468 and its extensions).
std::optional<std::string> convert_japanese(const std::string& raw) {
  iconv_t converter = ::iconv_open("UTF-8", "ISO-2022-JP-3");
  if (converter == reinterpret_cast<iconv_t>(-1)) return std::nullopt;
  std::string input = raw, out(4 * raw.size() + 16, '\0');
  char* from = input.data();
  char* to = out.data();
  std::size_t left = input.size(), room = out.size();
  const bool converted = ::iconv(converter, &from, &left, &to, &room) != static_cast<std::size_t>(-1) &&
                         ::iconv(converter, nullptr, nullptr, &to, &room) != static_cast<std::size_t>(-1);
  ::iconv_close(converter);
  if (!converted) return std::nullopt;
  out.resize(out.size() - room);
  return is_valid_utf8(out) ? std::optional<std::string>(out) : std::nullopt;
}

void trim(std::string& text) {
  const auto blank = [](char c) { return c == ' ' || c == '\0' || c == '\t' || c == '\r' || c == '\n'; };
  while (!text.empty() && blank(text.back())) text.pop_back();
  std::size_t first = 0;
  while (first < text.size() && blank(text[first])) ++first;
  text.erase(0, first);
}

/// Valid UTF-8 without control characters, bounded.
std::string tidy(std::string text) {
  std::string tidied;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = utf8_length(text, i);
    if (tidied.size() + std::max<std::size_t>(length, 3) > text_bytes_max) break;
    if (length == 0) {
      tidied += "\xEF\xBF\xBD";
      ++i;
      continue;
    }
    if (length == 1 && (static_cast<unsigned char>(text[i]) < 0x20 || text[i] == 0x7F)) tidied += ' ';
    else tidied.append(text, i, length);
    i += length;
  }
  trim(tidied);
  return tidied;
}

bool is_string_vr(DcmEVR vr) {
  switch (vr) {
    case EVR_AE: case EVR_AS: case EVR_CS: case EVR_DA: case EVR_DS: case EVR_DT: case EVR_IS: case EVR_LO: case EVR_LT:
    case EVR_PN: case EVR_SH: case EVR_ST: case EVR_TM: case EVR_UC: case EVR_UI: case EVR_UR: case EVR_UT:
      return true;
    default:
      return false;
  }
}

}  // namespace

std::string to_utf8(const std::string& raw, const std::string& specific_character_set) {
  bool plain = true;
  for (const char c : raw)
    if (static_cast<unsigned char>(c) >= 0x80 || c == '\x1B') plain = false;
  if (plain) return raw;
  std::string declared = specific_character_set;
  trim(declared);
  if (!declared.empty() && declared != "ISO_IR 6" && declared != "ISO 2022 IR 6")
    if (auto text = convert(raw, declared)) return *text;
  if (raw.find('\x1B') != std::string::npos && (declared.find("IR 87") != std::string::npos || declared.find("IR 159") != std::string::npos))
    if (auto text = convert_japanese(raw)) return *text;
  if (is_valid_utf8(raw)) return raw;
  if (auto text = convert(raw, "GB18030")) return *text;
  return raw;  // tidy() marks the bytes that are not text
}

std::vector<std::string> split_values(const std::string& value) {
  std::vector<std::string> parts;
  if (value.empty()) return parts;
  std::size_t start = 0;
  for (;;) {
    const std::size_t end = value.find('\\', start);
    std::string part = value.substr(start, end == std::string::npos ? std::string::npos : end - start);
    trim(part);
    parts.push_back(std::move(part));
    if (end == std::string::npos) return parts;
    start = end + 1;
  }
}

std::optional<double> parse_decimal(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '+')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\0')) text.remove_suffix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

Item::Item(DcmItem* item, const std::string& inherited_character_set) : item_(item), character_set_(inherited_character_set) {
  if (item_ == nullptr) return;
  DcmElement* declared = nullptr;
  OFString value;
  // A sequence item may declare its own (PS3.5 6.1.2.3).
  if (item_->findAndGetElement(DCM_SpecificCharacterSet, declared).good() && declared != nullptr &&
      declared->getOFStringArray(value).good() && !value.empty())
    character_set_.assign(value.data(), value.size());
}

DcmElement* Item::element(const DcmTagKey& tag) const {
  if (item_ == nullptr) return nullptr;
  DcmElement* found = nullptr;
  if (item_->findAndGetElement(tag, found).bad() || found == nullptr || found->getLengthField() == 0) return nullptr;
  return found;
}

bool Item::has(const DcmTagKey& tag) const { return element(tag) != nullptr; }

std::string Item::raw(const DcmTagKey& tag) const {
  DcmElement* found = element(tag);
  if (found == nullptr) return {};
  if (is_string_vr(found->ident())) {
    OFString value;
    if (found->getOFStringArray(value, OFFalse).bad()) return {};
    return {value.data(), value.size()};
  }
  if (found->ident() == EVR_UN || found->ident() == EVR_UNKNOWN || found->ident() == EVR_UNKNOWN2B || found->ident() == EVR_OB) {
    Uint8* bytes = nullptr;
    if (found->getUint8Array(bytes).bad() || bytes == nullptr) return {};
    return {reinterpret_cast<const char*>(bytes), found->getLengthField()};
  }
  return {};
}

std::string Item::text(const DcmTagKey& tag) const {
  std::string value = raw(tag);
  if (value.size() > 16 * text_bytes_max) value.resize(16 * text_bytes_max);
  return tidy(to_utf8(value, character_set_));
}

std::vector<std::string> Item::texts(const DcmTagKey& tag) const {
  std::string value = raw(tag);
  if (value.size() > 16 * text_bytes_max) value.resize(16 * text_bytes_max);
  std::vector<std::string> parts = split_values(to_utf8(value, character_set_));
  for (std::string& part : parts) part = tidy(std::move(part));
  return parts;
}

std::string Item::uid(const DcmTagKey& tag) const {
  std::string value = raw(tag);
  trim(value);
  return is_valid_uid(value) ? value : std::string{};
}

std::vector<double> Item::numbers(const DcmTagKey& tag, std::size_t most) const {
  std::vector<double> values;
  DcmElement* found = element(tag);
  if (found == nullptr) return values;
  const auto keep = [&](double value) {
    if (!std::isfinite(value)) return false;
    values.push_back(value);
    return values.size() < most;
  };
  const auto read_all = [&](auto get) {
    const unsigned long count = found->getVM();
    for (unsigned long i = 0; i < count && i < most; ++i) {
      double value = 0;
      if (!get(i, value) || !keep(value)) return;
    }
  };
  switch (found->ident()) {
    case EVR_FD:
      read_all([&](unsigned long i, double& out) { Float64 v = 0; const bool good = found->getFloat64(v, i).good(); out = v; return good; });
      return values;
    case EVR_FL:
      read_all([&](unsigned long i, double& out) { Float32 v = 0; const bool good = found->getFloat32(v, i).good(); out = static_cast<double>(v); return good; });
      return values;
    case EVR_US: case EVR_xs:
      read_all([&](unsigned long i, double& out) { Uint16 v = 0; const bool good = found->getUint16(v, i).good(); out = v; return good; });
      return values;
    case EVR_SS:
      read_all([&](unsigned long i, double& out) { Sint16 v = 0; const bool good = found->getSint16(v, i).good(); out = v; return good; });
      return values;
    case EVR_UL: case EVR_up:
      read_all([&](unsigned long i, double& out) { Uint32 v = 0; const bool good = found->getUint32(v, i).good(); out = v; return good; });
      return values;
    case EVR_SL:
      read_all([&](unsigned long i, double& out) { Sint32 v = 0; const bool good = found->getSint32(v, i).good(); out = v; return good; });
      return values;
    default:
      break;
  }
  const std::string text = raw(tag);
  for (std::size_t start = 0; start <= text.size() && !text.empty();) {
    std::size_t end = text.find('\\', start);
    if (end == std::string::npos) end = text.size();
    const auto value = parse_decimal(std::string_view(text).substr(start, end - start));
    if (!value || !keep(*value)) break;
    start = end + 1;
  }
  return values;
}

std::optional<double> Item::number(const DcmTagKey& tag) const {
  const auto values = numbers(tag, 1);
  return values.empty() ? std::nullopt : std::optional<double>(values.front());
}

std::optional<int> Item::integer(const DcmTagKey& tag) const {
  const auto value = number(tag);
  if (!value || std::abs(*value) > 2147483647.0) return std::nullopt;
  return static_cast<int>(std::lround(*value));
}

std::vector<Item> Item::items(const DcmTagKey& sequence) const {
  std::vector<Item> found;
  if (item_ == nullptr) return found;
  DcmElement* element = nullptr;
  if (item_->findAndGetElement(sequence, element).bad()) return found;
  auto* as_sequence = dynamic_cast<DcmSequenceOfItems*>(element);
  if (as_sequence == nullptr) return found;
  // Walking the list keeps this linear: getItem(n) seeks from an end each time.
  for (DcmObject* object = as_sequence->nextInContainer(nullptr); object != nullptr; object = as_sequence->nextInContainer(object))
    if (auto* item = dynamic_cast<DcmItem*>(object)) found.emplace_back(item, character_set_);
  return found;
}

Item Item::first(const DcmTagKey& sequence) const {
  if (item_ == nullptr) return {};
  DcmElement* element = nullptr;
  if (item_->findAndGetElement(sequence, element).bad()) return {};
  auto* as_sequence = dynamic_cast<DcmSequenceOfItems*>(element);
  if (as_sequence == nullptr || as_sequence->card() == 0) return {};
  return {as_sequence->getItem(0), character_set_};
}

std::optional<DcmTagKey> Item::private_tag(Uint16 group, const std::string& creator, Uint16 offset) const {
  if (item_ == nullptr) return std::nullopt;
  bool any_creator = false;
  for (DcmObject* object = item_->nextInContainer(nullptr); object != nullptr && object->getGTag() <= group; object = item_->nextInContainer(object)) {
    if (object->getGTag() != group || object->getETag() < 0x10 || object->getETag() > 0xFF) continue;
    const std::string name = text(DcmTagKey(group, object->getETag()));
    if (name.empty()) continue;
    any_creator = true;
    if (name == creator) return DcmTagKey(group, static_cast<Uint16>((object->getETag() << 8) | offset));
  }
  if (any_creator) return std::nullopt;
  return DcmTagKey(group, static_cast<Uint16>(0x1000 | offset));
}

Item FrameGroups::group(const DcmTagKey& sequence) const {
  Item own = frame.first(sequence);
  return own.empty() ? shared.first(sequence) : own;
}

Result<LoadedFile> load_file(const std::filesystem::path& file, const std::string& step, bool with_pixels) {
  register_codecs();
  auto seen = preflight(file);
  if (!seen) {
    Error error = seen.error();
    error.step = step;
    error.context = name_of(file) + (error.context.empty() ? "" : ", " + error.context);
    return fail(std::move(error));
  }
  if (with_pixels && seen->pixel_data_truncated)
    return fail(ErrorCode::truncated, step, "The file ends inside its pixel data: it was cut off; send it again.", name_of(file));
  try {
    LoadedFile loaded;
    loaded.preflight = *seen;
    loaded.transfer_syntax_uid = seen->transfer_syntax_uid;
    loaded.format = std::make_unique<DcmFileFormat>();
    // A syntax that DCMTK does not know is encapsulated, so its header is explicit VR little endian.
    const bool known = DcmXfer(seen->transfer_syntax_uid.c_str()).getXfer() != EXS_Unknown;
    const E_TransferSyntax syntax = known ? EXS_Unknown : EXS_LittleEndianExplicit;
    if (with_pixels && !known)
      return fail(ErrorCode::unsupported_transfer_syntax, step,
                  "The transfer syntax " + seen->transfer_syntax_uid + " is not known; ask the sender for an uncompressed one.", name_of(file));
    const OFFilename name(file.c_str());
    const OFCondition read = with_pixels ? loaded.format->loadFile(name, syntax, EGL_noChange, 4096)
                                         : loaded.format->loadFileUntilTag(name, syntax, EGL_noChange, 4096, ERM_autoDetect,
                                                                           seen->has_pixel_data ? DCM_PixelData : DCM_UndefinedTagKey);
    if (read.bad())
      return fail(ErrorCode::invalid_attribute, step, std::string("The object cannot be parsed: ") + read.text() + ".", name_of(file));
    if (loaded.format->getDataset() == nullptr || loaded.format->getDataset()->isEmpty())
      return fail(ErrorCode::not_dicom, step, "The file holds no data set.", name_of(file));
    return loaded;
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::out_of_memory, step, "The object needs more memory than there is.", name_of(file));
  } catch (const std::exception& e) {
    return fail(ErrorCode::invalid_attribute, step, std::string("The object cannot be parsed: ") + e.what() + ".", name_of(file));
  }
}

}  // namespace choana::dicom
