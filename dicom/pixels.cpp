#include "dicom/pixels_internal.h"

#include <dcmtk/dcmdata/dcfcache.h>
#include <dcmtk/dcmdata/dcpixel.h>

#include <array>
#include <cmath>
#include <cstring>

namespace choana::dicom {
namespace {

constexpr int side_max = 16'384;
constexpr std::uint64_t pixels_per_object_max = std::uint64_t{512} << 20;

/// Syntaxes that the registered decoders and DCMTK itself really decode.
bool can_decode(E_TransferSyntax syntax) {
  switch (syntax) {
    case EXS_LittleEndianImplicit: case EXS_LittleEndianExplicit: case EXS_BigEndianExplicit: case EXS_DeflatedLittleEndianExplicit:
    case EXS_JPEGProcess1: case EXS_JPEGProcess2_4: case EXS_JPEGProcess14: case EXS_JPEGProcess14SV1:
    case EXS_JPEGLSLossless: case EXS_JPEGLSLossy: case EXS_RLELossless:
      return true;
    default:
      return false;
  }
}

}  // namespace

Result<PixelLayout> read_layout(const Item& ds, const std::string& step, const std::string& context) {
  PixelLayout layout;
  layout.columns = ds.integer(DCM_Columns).value_or(0);
  layout.rows = ds.integer(DCM_Rows).value_or(0);
  if (layout.columns <= 0 || layout.rows <= 0)
    return fail(ErrorCode::missing_attribute, step, "The object does not say how many rows and columns it has.", context);
  if (layout.columns > side_max || layout.rows > side_max)
    return fail(ErrorCode::limit_exceeded, step, "The image has more rows or columns than any scanner makes; it was not read.", context);
  if (ds.has(DCM_NumberOfFrames)) layout.frames = ds.integer(DCM_NumberOfFrames).value_or(0);
  if (layout.frames < 1) return fail(ErrorCode::invalid_attribute, step, "The number of frames is not a positive number.", context);
  if (static_cast<std::uint64_t>(layout.columns) * static_cast<std::uint64_t>(layout.rows) * static_cast<std::uint64_t>(layout.frames) > pixels_per_object_max)
    return fail(ErrorCode::limit_exceeded, step, "The object declares more pixels than can be processed; it was not read.", context);
  if (ds.integer(DCM_SamplesPerPixel).value_or(1) != 1)
    return fail(ErrorCode::invalid_attribute, step, "The image is in colour; only grey values can be measured.", context);
  layout.is_float = ds.has(DCM_FloatPixelData) || ds.has(DCM_DoubleFloatPixelData);
  layout.bits_allocated = ds.integer(DCM_BitsAllocated).value_or(layout.is_float ? 32 : 16);
  layout.bits_stored = ds.integer(DCM_BitsStored).value_or(layout.bits_allocated);
  layout.high_bit = ds.integer(DCM_HighBit).value_or(layout.bits_stored - 1);
  layout.is_signed = ds.integer(DCM_PixelRepresentation).value_or(0) == 1;
  const bool known_size = layout.bits_allocated == 1 || layout.bits_allocated == 8 || layout.bits_allocated == 16 || layout.bits_allocated == 32 ||
                          (layout.is_float && layout.bits_allocated == 64);
  if (!known_size || layout.bits_stored < 1 || layout.bits_stored > layout.bits_allocated || layout.high_bit >= layout.bits_allocated ||
      layout.high_bit + 1 < layout.bits_stored)
    return fail(ErrorCode::invalid_attribute, step,
                "The bit depth (" + std::to_string(layout.bits_stored) + " of " + std::to_string(layout.bits_allocated) + ", high bit " +
                    std::to_string(layout.high_bit) + ") is impossible.",
                context);
  return layout;
}

Status decode_frames(const LoadedFile& loaded, const PixelLayout& layout, int frames, const std::string& step, const std::string& context,
                     const std::function<Status(int, const std::vector<std::uint8_t>&)>& take) {
  DcmDataset* ds = loaded.format->getDataset();
  const std::size_t frame_bytes = static_cast<std::size_t>(layout.columns) * static_cast<std::size_t>(layout.rows) *
                                  static_cast<std::size_t>(layout.bits_allocated) / 8;
  try {
    DcmElement* element = nullptr;
    if (layout.is_float) {
      const bool is_double = layout.bits_allocated == 64;
      if (ds->findAndGetElement(is_double ? DCM_DoubleFloatPixelData : DCM_FloatPixelData, element).bad() || element == nullptr)
        return fail(ErrorCode::missing_pixel_data, step, "The object holds no pixel data.", context);
      if (element->getLength() < frame_bytes * static_cast<std::size_t>(frames))
        return fail(ErrorCode::truncated, step, "The pixel data are shorter than the image; send it again.", context);
      if (frame_bytes * static_cast<std::size_t>(frames) > 0xFFFFFFFFU)
        return fail(ErrorCode::limit_exceeded, step, "The pixel data are larger than can be processed.", context);
      std::vector<std::uint8_t> bytes(frame_bytes);
      DcmFileCache cache;
      for (int frame = 0; frame < frames; ++frame) {
        if (element->getPartialValue(bytes.data(), static_cast<Uint32>(frame_bytes * static_cast<std::size_t>(frame)), static_cast<Uint32>(frame_bytes), &cache).bad())
          return fail(ErrorCode::decoding_failed, step, "The pixel data cannot be read.", context);
        if (Status taken = take(frame, bytes); !taken) return taken;
      }
      return {};
    }
    if (ds->findAndGetElement(DCM_PixelData, element).bad() || element == nullptr)
      return fail(ErrorCode::missing_pixel_data, step, "The object holds no pixel data.", context);
    auto* pixels = dynamic_cast<DcmPixelData*>(element);
    if (pixels == nullptr) return fail(ErrorCode::missing_pixel_data, step, "The pixel data have an impossible type.", context);
    const DcmXfer syntax(ds->getOriginalXfer());
    if (!can_decode(syntax.getXfer()))
      return fail(ErrorCode::unsupported_transfer_syntax, step,
                  std::string("The pixel data are compressed as ") + syntax.getXferName() +
                      ", which is not decoded here; ask the sender for uncompressed, JPEG lossless, JPEG-LS or RLE.",
                  context);
    if (!syntax.isEncapsulated()) {
      const std::uint64_t length = pixels->getLength(ds->getOriginalXfer());
      if (length == 0) return fail(ErrorCode::missing_pixel_data, step, "The pixel data are empty.", context);
      if (length < static_cast<std::uint64_t>(frame_bytes) * static_cast<std::uint64_t>(frames))
        return fail(ErrorCode::truncated, step, "The pixel data are shorter than the image; send it again.", context);
    }
    Uint32 size = 0;
    if (pixels->getUncompressedFrameSize(ds, size).bad() || size < frame_bytes)
      return fail(ErrorCode::invalid_attribute, step, "The size of a frame cannot be told from the object.", context);
    std::vector<std::uint8_t> bytes(size + (size & 1U));
    Uint32 fragment = 0;
    OFString colour_model;
    DcmFileCache cache;
    for (int frame = 0; frame < frames; ++frame) {
      const OFCondition got = pixels->getUncompressedFrame(ds, static_cast<Uint32>(frame), fragment, bytes.data(), static_cast<Uint32>(bytes.size()), colour_model, &cache);
      if (got.bad())
        return fail(ErrorCode::decoding_failed, step,
                    "Frame " + std::to_string(frame + 1) + " cannot be decoded (" + got.text() + "); the object is damaged or badly compressed.", context);
      if (Status taken = take(frame, bytes); !taken) return taken;
    }
    return {};
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::out_of_memory, step, "The pixel data need more memory than there is.", context);
  } catch (const std::exception& e) {
    return fail(ErrorCode::decoding_failed, step, std::string("The pixel data cannot be decoded: ") + e.what() + ".", context);
  }
}

std::vector<double> stored_values(const std::vector<std::uint8_t>& bytes, const PixelLayout& layout, bool& bits_masked) {
  const std::size_t count = static_cast<std::size_t>(layout.columns) * static_cast<std::size_t>(layout.rows);
  std::vector<double> values(count);
  if (layout.is_float) {
    for (std::size_t i = 0; i < count; ++i) {
      if (layout.bits_allocated == 64) {
        std::memcpy(&values[i], bytes.data() + 8 * i, 8);
      } else {
        float single = 0;
        std::memcpy(&single, bytes.data() + 4 * i, 4);
        values[i] = static_cast<double>(single);
      }
    }
    return values;
  }
  const int shift = layout.high_bit + 1 - layout.bits_stored;
  const std::uint64_t mask = (std::uint64_t{1} << layout.bits_stored) - 1;
  const std::uint64_t sign = std::uint64_t{1} << (layout.bits_stored - 1);
  const std::uint64_t outside = ~(mask << shift);
  const std::uint64_t all = layout.bits_allocated == 32 ? 0xFFFFFFFFU : (std::uint64_t{1} << layout.bits_allocated) - 1;
  for (std::size_t i = 0; i < count; ++i) {
    std::uint64_t raw = 0;
    if (layout.bits_allocated == 8) {
      raw = bytes[i];
    } else if (layout.bits_allocated == 16) {
      std::uint16_t word = 0;
      std::memcpy(&word, bytes.data() + 2 * i, 2);
      raw = word;
    } else {
      std::uint32_t word = 0;
      std::memcpy(&word, bytes.data() + 4 * i, 4);
      raw = word;
    }
    const std::uint64_t value = (raw >> shift) & mask;
    const bool negative = layout.is_signed && (value & sign) != 0;
    values[i] = negative ? static_cast<double>(static_cast<std::int64_t>(value | ~mask)) : static_cast<double>(value);
    // Copies of the sign above the stored bits are the normal encoding of a negative number, not foreign bits.
    const std::uint64_t expected = negative ? (outside & all) >> (layout.high_bit + 1) << (layout.high_bit + 1) : 0;
    if ((raw & outside) != 0 && (raw & outside) != expected) bits_masked = true;
  }
  return values;
}

}  // namespace choana::dicom
