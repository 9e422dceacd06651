#pragma once

// Private to dicom/: the one header here that shows DCMTK.
#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/acquired_slice.h"
#include "core/result.h"
#include "dicom/preflight.h"

namespace choana::dicom {

/// A data set or sequence item with the character set that is in force there. May be empty: every question then has
/// an empty answer, so that optional sequences chain without checks.
class Item {
 public:
  Item() = default;
  Item(DcmItem* item, const std::string& inherited_character_set);

  [[nodiscard]] bool empty() const { return item_ == nullptr; }
  [[nodiscard]] DcmItem* get() const { return item_; }
  [[nodiscard]] bool has(const DcmTagKey& tag) const;
  /// The first element of this tag that has a value.
  [[nodiscard]] DcmElement* element(const DcmTagKey& tag) const;

  /// Whole value as UTF-8, trimmed, control characters removed, at most 1,024 bytes.
  [[nodiscard]] std::string text(const DcmTagKey& tag) const;
  /// Value split at backslashes, each trimmed.
  [[nodiscard]] std::vector<std::string> texts(const DcmTagKey& tag) const;
  /// A UID: trimmed; empty when it is not one.
  [[nodiscard]] std::string uid(const DcmTagKey& tag) const;
  /// Finite numbers of DS, IS or a binary VR; an unreadable one ends the list.
  [[nodiscard]] std::vector<double> numbers(const DcmTagKey& tag, std::size_t most = 64) const;
  [[nodiscard]] std::optional<double> number(const DcmTagKey& tag) const;
  [[nodiscard]] std::optional<int> integer(const DcmTagKey& tag) const;
  /// The characters of a string VR as stored, or of UN.
  [[nodiscard]] std::string raw(const DcmTagKey& tag) const;

  [[nodiscard]] std::vector<Item> items(const DcmTagKey& sequence) const;
  [[nodiscard]] Item first(const DcmTagKey& sequence) const;

  /// The tag of element `offset` in the private block of `creator` (PS3.5 7.8.1), or the block 0x10 if the item names
  /// no creator in that group at all (anonymisers remove them).
  [[nodiscard]] std::optional<DcmTagKey> private_tag(Uint16 group, const std::string& creator, Uint16 offset) const;

 private:
  DcmItem* item_ = nullptr;
  std::string character_set_;
};

/// A file that passed the preflight and was parsed.
struct LoadedFile {
  std::unique_ptr<DcmFileFormat> format;
  Preflight preflight;
  std::string transfer_syntax_uid;

  [[nodiscard]] Item item() const { return {format->getDataset(), {}}; }
};

/// step: name of the reader, for errors. Without pixels, parsing stops before the pixel data.
Result<LoadedFile> load_file(const std::filesystem::path& file, const std::string& step, bool with_pixels);

/// Text as UTF-8: by the declared character set; undeclared or wrong: valid UTF-8 is taken, else GB18030, else each byte
/// above 127 becomes U+FFFD.
std::string to_utf8(const std::string& raw, const std::string& specific_character_set);

/// Split at backslashes; each part trimmed of blanks and NULs.
std::vector<std::string> split_values(const std::string& value);

/// Decimal string to a finite number.
std::optional<double> parse_decimal(std::string_view text);

/// "the object" with its file name: receive ids, never a patient's name.
std::string name_of(const std::filesystem::path& file);

/// Functional groups of one frame (PS3.3 C.7.6.16): its own item first, then the shared one.
struct FrameGroups {
  Item frame;
  Item shared;
  [[nodiscard]] Item group(const DcmTagKey& sequence) const;
};

/// Facts of a classic object (groups without items), or of one frame.
AcquisitionFacts read_acquisition(const Item& data_set, const FrameGroups& groups, const std::string& transfer_syntax_uid);

/// A distance of pixels or slices that a scanner can mean: 1e-4 to 1e4 mm.
inline bool is_plausible_spacing(double mm) { return mm >= 1e-4 && mm <= 1e4; }
/// Within a kilometre of the isocentre.
inline bool is_plausible_position(const std::vector<double>& mm) {
  for (const double coordinate : mm)
    if (!(coordinate >= -1e6 && coordinate <= 1e6)) return false;
  return true;
}

bool is_lossy_transfer_syntax(const std::string& uid);

}  // namespace choana::dicom
