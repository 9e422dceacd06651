#include "scp/sop_classes.h"

#include <algorithm>
#include <array>

namespace choana::scp {
namespace {

constexpr std::array<std::string_view, 4> image_classes{
    "1.2.840.10008.5.1.4.1.1.4",    // MR Image
    "1.2.840.10008.5.1.4.1.1.4.1",  // Enhanced MR Image
    "1.2.840.10008.5.1.4.1.1.4.3",  // Enhanced MR Color Image
    "1.2.840.10008.5.1.4.1.1.4.4",  // Legacy Converted Enhanced MR Image
};
constexpr std::array<std::string_view, 3> region_classes{rt_structure_set_class, segmentation_class, label_map_segmentation_class};

// Our own results coming back (a PACS that routes everything) and what people add to a study: stored and kept.
constexpr std::array<std::string_view, 11> kept_classes{
    "1.2.840.10008.5.1.4.1.1.7",       // Secondary Capture Image
    "1.2.840.10008.5.1.4.1.1.7.1",     // Multi-frame Single Bit Secondary Capture Image
    "1.2.840.10008.5.1.4.1.1.7.2",     // Multi-frame Grayscale Byte Secondary Capture Image
    "1.2.840.10008.5.1.4.1.1.7.3",     // Multi-frame Grayscale Word Secondary Capture Image
    "1.2.840.10008.5.1.4.1.1.7.4",     // Multi-frame True Color Secondary Capture Image
    "1.2.840.10008.5.1.4.1.1.88.11",   // Basic Text SR
    "1.2.840.10008.5.1.4.1.1.88.22",   // Enhanced SR
    "1.2.840.10008.5.1.4.1.1.88.33",   // Comprehensive SR
    "1.2.840.10008.5.1.4.1.1.88.34",   // Comprehensive 3D SR
    "1.2.840.10008.5.1.4.1.1.88.35",   // Extensible SR
    "1.2.840.10008.5.1.4.1.1.88.59",   // Key Object Selection
};

// What the worker can decode: DCMTK's codecs of Debian 12 (no JPEG 2000).
constexpr std::array<std::string_view, 11> decodable_syntaxes{
    explicit_little_endian,
    implicit_little_endian,
    explicit_big_endian,
    deflated_little_endian,
    "1.2.840.10008.1.2.5",     // RLE Lossless
    "1.2.840.10008.1.2.4.50",  // JPEG Baseline
    "1.2.840.10008.1.2.4.51",  // JPEG Extended
    "1.2.840.10008.1.2.4.57",  // JPEG Lossless
    "1.2.840.10008.1.2.4.70",  // JPEG Lossless, first-order prediction
    "1.2.840.10008.1.2.4.80",  // JPEG-LS Lossless
    "1.2.840.10008.1.2.4.81",  // JPEG-LS Near-lossless
};

template <std::size_t N>
bool contains(const std::array<std::string_view, N>& list, std::string_view uid) {
  return std::find(list.begin(), list.end(), uid) != list.end();
}

}  // namespace

bool is_image_input(std::string_view sop_class_uid) { return contains(image_classes, sop_class_uid); }
bool is_region_input(std::string_view sop_class_uid) { return contains(region_classes, sop_class_uid); }

std::vector<OfferedClass> offered_classes(const std::vector<std::string>& extra_sop_classes,
                                          const std::vector<std::string>& extra_transfer_syntaxes) {
  const std::vector<std::string> uncompressed{std::string(explicit_little_endian), std::string(implicit_little_endian),
                                              std::string(explicit_big_endian), std::string(deflated_little_endian)};
  std::vector<std::string> storage(decodable_syntaxes.begin(), decodable_syntaxes.end());
  storage.insert(storage.end(), extra_transfer_syntaxes.begin(), extra_transfer_syntaxes.end());

  std::vector<OfferedClass> offered;
  offered.push_back({std::string(verification_class), uncompressed});
  offered.push_back({std::string(storage_commitment_push_class), uncompressed, true, false});
  const auto add_storage = [&](std::string_view uid) {
    const bool present = std::any_of(offered.begin(), offered.end(), [uid](const OfferedClass& c) { return c.sop_class_uid == uid; });
    if (!present) offered.push_back({std::string(uid), storage, false, true});
  };
  for (const std::string_view uid : image_classes) add_storage(uid);
  for (const std::string_view uid : region_classes) add_storage(uid);
  for (const std::string_view uid : kept_classes) add_storage(uid);
  for (const std::string& uid : extra_sop_classes) add_storage(uid);
  return offered;
}

}  // namespace choana::scp
