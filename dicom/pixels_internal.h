#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/acquired_slice.h"
#include "dicom/dataset_internal.h"

namespace choana::dicom {

/// How the pixels of an object are stored.
struct PixelLayout {
  int columns = 0;
  int rows = 0;
  int frames = 1;
  int bits_allocated = 16;
  int bits_stored = 16;
  int high_bit = 15;
  bool is_signed = false;
  bool is_float = false;   // Float or Double Float Pixel Data
};

/// Errors: missing_attribute, invalid_attribute (colour, bit depth), limit_exceeded (size).
Result<PixelLayout> read_layout(const Item& data_set, const std::string& step, const std::string& context);

/// Decode frame by frame and hand each as raw bytes in machine order (at least rows x columns x bits_allocated / 8) to
/// `take`, which may end the loop with an error. frames: how many to decode.
/// Errors: missing_pixel_data, truncated, unsupported_transfer_syntax, decoding_failed.
Status decode_frames(const LoadedFile& loaded, const PixelLayout& layout, int frames, const std::string& step, const std::string& context,
                     const std::function<Status(int frame, const std::vector<std::uint8_t>& bytes)>& take);

/// Stored values of one decoded frame: bits outside the stored ones are masked away, the sign is extended.
std::vector<double> stored_values(const std::vector<std::uint8_t>& bytes, const PixelLayout& layout, bool& bits_masked);

}  // namespace choana::dicom
