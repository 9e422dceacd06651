#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcpixel.h>
#include <dcmtk/dcmdata/dcpixseq.h>
#include <dcmtk/dcmdata/dcpxitem.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "dicom/dataset_internal.h"
#include "dicom/dicom_reader.h"
#include "dicom/pixels_internal.h"

namespace choana::dicom {
namespace {

constexpr const char* step = "read_segmentation";
constexpr const char* label_map_storage = "1.2.840.10008.5.1.4.1.1.66.7";
constexpr std::size_t kept_pixels_max = std::size_t{256} << 20;

CodedConcept read_code(const Item& item) {
  CodedConcept code;
  for (const DcmTagKey& tag : {DCM_CodeValue, DCM_LongCodeValue, DCM_URNCodeValue})
    if (code.value.empty()) code.value = item.text(tag);
  code.scheme = item.text(DCM_CodingSchemeDesignator);
  code.meaning = item.text(DCM_CodeMeaning);
  return code;
}

/// Bytes of a PackBits segment (PS3.5 G.3.1) appended to `out`; false if the code is damaged.
bool unpack_run_lengths(const std::uint8_t* code, std::size_t length, std::size_t wanted, std::vector<std::uint8_t>& out) {
  std::size_t at = 0;
  while (at < length && out.size() < wanted) {
    const std::uint8_t control = code[at++];
    if (control < 128) {
      const std::size_t count = control + std::size_t{1};
      if (at + count > length) return false;
      out.insert(out.end(), code + at, code + at + count);
      at += count;
    } else if (control > 128) {
      if (at >= length) return false;
      out.insert(out.end(), 257U - control, code[at++]);
    }
  }
  if (out.size() > wanted) out.resize(wanted);
  return out.size() == wanted;
}

/// Bit-packed frames of an RLE object. DCMTK's decoder knows whole bytes only, and GDCM aborts on these
/// (spec/inputs.md 5). Each frame is one fragment with one segment; a frame starts on a byte.
Result<std::vector<std::vector<std::uint8_t>>> read_run_length_bits(const LoadedFile& loaded, const PixelLayout& layout, int frames, const std::string& context) {
  DcmElement* element = nullptr;
  auto* ds = loaded.format->getDataset();
  if (ds->findAndGetElement(DCM_PixelData, element).bad()) return fail(ErrorCode::missing_pixel_data, step, "The object holds no pixel data.", context);
  auto* pixels = dynamic_cast<DcmPixelData*>(element);
  DcmPixelSequence* fragments = nullptr;
  E_TransferSyntax syntax = EXS_Unknown;
  const DcmRepresentationParameter* parameter = nullptr;
  if (pixels == nullptr) return fail(ErrorCode::missing_pixel_data, step, "The object holds no pixel data.", context);
  pixels->getOriginalRepresentationKey(syntax, parameter);
  if (pixels->getEncapsulatedRepresentation(syntax, parameter, fragments).bad() || fragments == nullptr || fragments->card() < 2)
    return fail(ErrorCode::missing_pixel_data, step, "The object holds no pixel data.", context);
  if (fragments->card() != static_cast<unsigned long>(frames) + 1)
    return fail(ErrorCode::decoding_failed, step, "The run-length coded frames are split in an unknown way.", context);
  const std::size_t wanted = (static_cast<std::size_t>(layout.columns) * static_cast<std::size_t>(layout.rows) + 7) / 8;
  std::vector<std::vector<std::uint8_t>> decoded;
  for (int frame = 0; frame < frames; ++frame) {
    DcmPixelItem* fragment = nullptr;
    Uint8* bytes = nullptr;
    if (fragments->getItem(fragment, static_cast<unsigned long>(frame) + 1).bad() || fragment == nullptr || fragment->getLength() < 64 ||
        fragment->getUint8Array(bytes).bad() || bytes == nullptr)
      return fail(ErrorCode::decoding_failed, step, "Frame " + std::to_string(frame + 1) + " cannot be decoded.", context);
    const std::size_t length = fragment->getLength();
    const auto number = [&](std::size_t at) {
      return std::uint32_t{bytes[at]} | (std::uint32_t{bytes[at + 1]} << 8) | (std::uint32_t{bytes[at + 2]} << 16) | (std::uint32_t{bytes[at + 3]} << 24);
    };
    const std::uint32_t segments = number(0), start = number(4);
    std::vector<std::uint8_t> out;
    out.reserve(wanted);
    if (segments != 1 || start < 64 || start > length || !unpack_run_lengths(bytes + start, length - start, wanted, out))
      return fail(ErrorCode::decoding_failed, step, "Frame " + std::to_string(frame + 1) + " is not a run-length code of bits.", context);
    decoded.push_back(std::move(out));
  }
  return decoded;
}

struct FrameFacts {
  int segment_number = 0;
  bool has_position = false;
  Vector3 position_mm{};
  std::vector<double> orientation;
  std::vector<double> spacing;
  std::string source_sop_instance_uid;
};

}  // namespace

Result<SegmentationObject> read_segmentation(const std::filesystem::path& file) {
  const std::string context = name_of(file);
  auto loaded = load_file(file, step, true);
  if (!loaded) return fail(loaded.error());
  const Item ds = loaded->item();

  SegmentationObject object;
  object.file = file.string();
  object.sop_class_uid = ds.uid(DCM_SOPClassUID);
  object.sop_instance_uid = ds.uid(DCM_SOPInstanceUID);
  const bool label_map = object.sop_class_uid == label_map_storage;
  if (object.sop_class_uid != UID_SegmentationStorage && !label_map)
    return fail(object.sop_class_uid.empty() ? ErrorCode::missing_attribute : ErrorCode::unsupported_sop_class, step,
                "The object is not a Segmentation.", context);
  object.study_instance_uid = ds.uid(DCM_StudyInstanceUID);
  object.series_instance_uid = ds.uid(DCM_SeriesInstanceUID);
  object.frame_of_reference_uid = ds.uid(DCM_FrameOfReferenceUID);
  object.content_label = ds.text(DCM_ContentLabel);
  object.manufacturer = ds.text(DCM_Manufacturer);
  object.segmentation_type = ds.text(DCM_SegmentationType);
  if (object.segmentation_type.empty()) object.segmentation_type = label_map ? "LABELMAP" : "BINARY";
  const bool binary = object.segmentation_type == "BINARY", fractional = object.segmentation_type == "FRACTIONAL";
  if (!binary && !fractional && object.segmentation_type != "LABELMAP")
    return fail(ErrorCode::invalid_attribute, step, "The segmentation type is not BINARY, FRACTIONAL or LABELMAP.", context);

  auto layout = read_layout(ds, step, context);
  if (!layout) return fail(layout.error());
  object.columns = layout->columns;
  object.rows = layout->rows;
  if (binary != (layout->bits_allocated == 1) || layout->bits_allocated > 16 || layout->is_float)
    return fail(ErrorCode::invalid_attribute, step,
                "A segmentation of type " + object.segmentation_type + " cannot have " + std::to_string(layout->bits_allocated) + " bits a pixel.", context);
  const double fraction_of_one = fractional ? ds.number(DCM_MaximumFractionalValue).value_or(255) : 1;
  if (!(fraction_of_one > 0)) return fail(ErrorCode::invalid_attribute, step, "The maximum fractional value is not positive.", context);

  std::set<std::string> seen;
  const auto note_reference = [&](const Item& image) {
    const std::string uid = image.uid(DCM_ReferencedSOPInstanceUID);
    if (!uid.empty() && seen.size() < 1'000'000 && seen.insert(uid).second) object.referenced_sop_instance_uids.push_back(uid);
  };
  for (const Item& series : ds.items(DCM_ReferencedSeriesSequence)) {
    const std::string uid = series.uid(DCM_SeriesInstanceUID);
    if (!uid.empty()) object.referenced_series_uids.push_back(uid);
    for (const Item& image : series.items(DCM_ReferencedInstanceSequence)) note_reference(image);
  }
  for (const Item& image : ds.items(DCM_SourceImageSequence)) note_reference(image);
  if (object.referenced_series_uids.empty()) object.notes.emplace_back("The segmentation names no image series; it is matched by geometry.");

  for (const Item& item : ds.items(DCM_SegmentSequence)) {
    SegmentDescription segment;
    segment.number = item.integer(DCM_SegmentNumber).value_or(0);
    segment.label = item.text(DCM_SegmentLabel);
    segment.description = item.text(DCM_SegmentDescription);
    segment.algorithm_type = item.text(DCM_SegmentAlgorithmType);
    segment.tracking_id = item.text(DCM_TrackingID);
    segment.tracking_uid = item.uid(DCM_TrackingUID);
    segment.category = read_code(item.first(DCM_SegmentedPropertyCategoryCodeSequence));
    segment.type = read_code(item.first(DCM_SegmentedPropertyTypeCodeSequence));
    object.segments.push_back(std::move(segment));
    if (object.segments.size() > 65'536) return fail(ErrorCode::limit_exceeded, step, "The object has too many segments.", context);
  }
  if (object.segments.empty()) object.notes.emplace_back("The segmentation describes no segments.");

  const Item shared = ds.first(DCM_SharedFunctionalGroupsSequence);
  const std::vector<Item> per_frame = ds.items(DCM_PerFrameFunctionalGroupsSequence);
  int frames = layout->frames;
  if (static_cast<int>(per_frame.size()) < frames) {
    if (per_frame.empty())
      return fail(ErrorCode::missing_attribute, step,
                  "The segmentation has no description of its frames (a tiled slide?); only segmentations of slices in space can be used.", context);
    object.notes.push_back("Only " + std::to_string(per_frame.size()) + " of " + std::to_string(frames) + " frames are described; the others were left out.");
    frames = static_cast<int>(per_frame.size());
  } else if (static_cast<int>(per_frame.size()) > frames) {
    object.notes.push_back("The object describes " + std::to_string(per_frame.size()) + " frames but holds " + std::to_string(frames) + ".");
  }

  std::vector<FrameFacts> facts;
  for (int frame = 0; frame < frames; ++frame) {
    const FrameGroups groups{per_frame[static_cast<std::size_t>(frame)], shared};
    FrameFacts fact;
    if (!label_map) {
      const auto number = groups.group(DCM_SegmentIdentificationSequence).integer(DCM_ReferencedSegmentNumber);
      if (!number && object.segments.size() != 1)
        return fail(ErrorCode::missing_attribute, step, "Frame " + std::to_string(frame + 1) + " does not say which segment it belongs to.", context);
      fact.segment_number = number ? *number : object.segments.front().number;
    }
    const std::vector<double> position = groups.group(DCM_PlanePositionSequence).numbers(DCM_ImagePositionPatient, 3);
    fact.has_position = position.size() == 3;
    if (fact.has_position) fact.position_mm = {position[0], position[1], position[2]};
    fact.orientation = groups.group(DCM_PlaneOrientationSequence).numbers(DCM_ImageOrientationPatient, 6);
    const Item measures = groups.group(DCM_PixelMeasuresSequence);
    fact.spacing = measures.numbers(DCM_PixelSpacing, 2);
    if (frame == 0) {
      object.slice_spacing_mm = measures.number(DCM_SpacingBetweenSlices).value_or(0);
      if (!is_plausible_spacing(object.slice_spacing_mm)) object.slice_spacing_mm = 0;
    }
    for (const Item& derivation : groups.group(DCM_DerivationImageSequence).empty() ? std::vector<Item>{} : groups.frame.items(DCM_DerivationImageSequence))
      for (const Item& image : derivation.items(DCM_SourceImageSequence)) {
        note_reference(image);
        if (fact.source_sop_instance_uid.empty()) fact.source_sop_instance_uid = image.uid(DCM_ReferencedSOPInstanceUID);
      }
    if (!fact.has_position || !is_plausible_position(position) || fact.orientation.size() != 6 || fact.spacing.size() != 2)
      return fail(ErrorCode::missing_attribute, step,
                  "Frame " + std::to_string(frame + 1) + " has no position, orientation or pixel spacing in the patient; such a segmentation cannot be placed.", context);
    if (fact.orientation != (facts.empty() ? fact : facts.front()).orientation || fact.spacing != (facts.empty() ? fact : facts.front()).spacing)
      return fail(ErrorCode::geometry_mismatch, step, "The frames of the segmentation differ in orientation or pixel spacing.", context);
    facts.push_back(std::move(fact));
  }
  const FrameFacts& first = facts.front();
  Vector3 row{first.orientation[0], first.orientation[1], first.orientation[2]}, column{first.orientation[3], first.orientation[4], first.orientation[5]};
  const double row_length = norm(row), column_length = norm(column);
  if (std::abs(row_length - 1) > 0.05 || std::abs(column_length - 1) > 0.05 || !is_plausible_spacing(first.spacing[0]) || !is_plausible_spacing(first.spacing[1]))
    return fail(ErrorCode::invalid_attribute, step, "The orientation or pixel spacing of the segmentation is impossible.", context);
  row = (1 / row_length) * row;
  column = (1 / column_length) * column;
  if (std::abs(dot(row, column)) > 0.01) return fail(ErrorCode::invalid_attribute, step, "The rows and columns of the segmentation are not perpendicular.", context);
  column = column - dot(row, column) * row;
  object.row_direction = row;
  object.column_direction = (1 / norm(column)) * column;
  object.row_spacing_mm = first.spacing[0];
  object.column_spacing_mm = first.spacing[1];

  const std::size_t pixels = static_cast<std::size_t>(layout->columns) * static_cast<std::size_t>(layout->rows);
  std::size_t kept = 0;
  const auto keep = [&](int frame, std::vector<float> values) -> Status {
    if (std::none_of(values.begin(), values.end(), [](float v) { return v > 0; })) {
      ++object.frames_empty;
      return {};
    }
    kept += values.size();
    if (kept > kept_pixels_max) return fail(ErrorCode::limit_exceeded, step, "The segmentation is larger than can be processed.", context);
    const FrameFacts& fact = facts[static_cast<std::size_t>(frame)];
    object.frames.push_back({fact.segment_number, fact.position_mm, fact.source_sop_instance_uid, std::move(values)});
    return {};
  };

  if (!loaded->preflight.has_pixel_data) return fail(ErrorCode::missing_pixel_data, step, "The object holds no pixel data.", context);
  if (!binary) {
    const Status decoded = decode_frames(*loaded, *layout, frames, step, context, [&](int frame, const std::vector<std::uint8_t>& bytes) -> Status {
      bool masked = false;
      const std::vector<double> stored = stored_values(bytes, *layout, masked);
      std::vector<float> values(stored.size());
      for (std::size_t i = 0; i < stored.size(); ++i) values[i] = static_cast<float>(std::min(stored[i] / fraction_of_one, fractional ? 1.0 : 65'535.0));
      return keep(frame, std::move(values));
    });
    if (!decoded) return fail(decoded.error());
    return object;
  }

  const DcmXfer syntax(loaded->format->getDataset()->getOriginalXfer());
  try {
    if (syntax.getXfer() == EXS_RLELossless) {
      auto coded = read_run_length_bits(*loaded, *layout, layout->frames, context);
      if (!coded) return fail(coded.error());
      for (int frame = 0; frame < frames; ++frame) {
        std::vector<float> values(pixels);
        const std::vector<std::uint8_t>& bytes = (*coded)[static_cast<std::size_t>(frame)];
        for (std::size_t i = 0; i < pixels; ++i) values[i] = static_cast<float>((bytes[i >> 3] >> (i & 7)) & 1);
        if (Status kept_frame = keep(frame, std::move(values)); !kept_frame) return fail(kept_frame.error());
      }
      return object;
    }
    if (syntax.isEncapsulated())
      return fail(ErrorCode::unsupported_transfer_syntax, step,
                  std::string("The segmentation is compressed as ") + syntax.getXferName() + ", which is not decoded here; ask the sender for an uncompressed one.",
                  context);
    DcmElement* element = nullptr;
    if (loaded->format->getDataset()->findAndGetElement(DCM_PixelData, element).bad() || element == nullptr)
      return fail(ErrorCode::missing_pixel_data, step, "The object holds no pixel data.", context);
    const std::size_t needed = (pixels * static_cast<std::size_t>(frames) + 7) / 8;
    const std::size_t length = element->getLength();
    if (length < needed) return fail(ErrorCode::truncated, step, "The pixel data are shorter than the segmentation; send it again.", context);
    // Bits run on across frames without padding (PS3.3 C.8.20.2). In OW the words are in machine order, and this
    // machine is little endian, so both encodings are the same bytes here.
    const std::uint8_t* bytes = nullptr;
    if (element->getVR() == EVR_OW || element->ident() == EVR_OW) {
      Uint16* words = nullptr;
      if (element->getUint16Array(words).good()) bytes = reinterpret_cast<const std::uint8_t*>(words);
    }
    if (bytes == nullptr) {
      Uint8* octets = nullptr;
      if (element->getUint8Array(octets).good()) bytes = octets;
    }
    if (bytes == nullptr) return fail(ErrorCode::decoding_failed, step, "The pixel data cannot be read.", context);
    for (int frame = 0; frame < frames; ++frame) {
      std::vector<float> values(pixels);
      const std::size_t offset = pixels * static_cast<std::size_t>(frame);
      for (std::size_t i = 0; i < pixels; ++i) values[i] = static_cast<float>((bytes[(offset + i) >> 3] >> ((offset + i) & 7)) & 1);
      if (Status kept_frame = keep(frame, std::move(values)); !kept_frame) return fail(kept_frame.error());
    }
    return object;
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::out_of_memory, step, "The segmentation needs more memory than there is.", context);
  } catch (const std::exception& e) {
    return fail(ErrorCode::decoding_failed, step, std::string("The segmentation cannot be decoded: ") + e.what() + ".", context);
  }
}

}  // namespace choana::dicom
