#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "core/result.h"

namespace choana::dicom {

/// Limits of the scan. DCMTK 3.6.7 recurses once per level: 12,000 levels (240 kB) end the process (spec/durability.md).
struct PreflightLimits {
  int depth_max = 64;
  std::uint64_t elements_max = 20'000'000;
  std::uint64_t inflated_bytes_max = std::uint64_t{2} << 30;  // of a deflated data set
};

/// What the scan saw.
struct Preflight {
  bool has_file_meta = false;
  std::string transfer_syntax_uid;       // of the file meta, or the guess for a bare data set
  bool guessed_transfer_syntax = false;
  int depth = 0;                         // deepest sequence
  bool has_pixel_data = false;           // at the top level
  bool pixel_data_truncated = false;     // the file ends inside the pixel data; everything before is sound
  std::uint64_t trailing_bytes = 0;      // after the last element, not an element
};

/// Walk a DICOM file without recursion, allocation from declared lengths, or DCMTK: every element must lie inside its
/// parent and inside the file, and sequences nest at most `depth_max` deep.
/// Errors: io_error, not_dicom, truncated, limit_exceeded, invalid_attribute (structure).
/// Source: PS3.5 section 7 (data elements, nesting), PS3.10 section 7 (file meta).
[[nodiscard]] Result<Preflight> preflight(const std::filesystem::path& file, const PreflightLimits& limits = {});

}  // namespace choana::dicom
