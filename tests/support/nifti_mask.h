#pragma once

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <optional>
#include <vector>

namespace choana::test {

/// A NIfTI-1 image as a test reads it: values rounded to bytes, and the voxel-to-world transform in LPS.
struct NiftiMask {
  std::array<int, 3> size{};
  std::array<double, 12> index_to_lps{};  // three rows of four
  std::vector<std::uint8_t> values;       // i fastest
};

/// Small reader of .nii and .nii.gz (little endian, sform or qform-free scanners' sform). Empty if the file is not that.
inline std::optional<NiftiMask> read_nifti_mask(const std::filesystem::path& path) {
  gzFile file = gzopen(path.c_str(), "rb");
  if (file == nullptr) return std::nullopt;
  std::vector<unsigned char> bytes;
  std::array<unsigned char, 65536> block{};
  for (int got = 0; (got = gzread(file, block.data(), block.size())) > 0;) bytes.insert(bytes.end(), block.begin(), block.begin() + got);
  gzclose(file);
  if (bytes.size() < 352) return std::nullopt;
  const auto number = [&](std::size_t at, auto value) {
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return value;
  };
  if (number(0, std::int32_t{}) != 348) return std::nullopt;
  NiftiMask mask;
  for (std::size_t axis = 0; axis < 3; ++axis) mask.size[axis] = number(42 + 2 * axis, std::int16_t{});
  const int type = number(70, std::int16_t{});
  const auto offset = static_cast<std::size_t>(number(108, float{}));
  if (number(254, std::int16_t{}) > 0) {
    for (std::size_t row = 0; row < 3; ++row)
      for (std::size_t column = 0; column < 4; ++column)
        mask.index_to_lps[4 * row + column] = (row < 2 ? -1.0 : 1.0) * static_cast<double>(number(280 + 16 * row + 4 * column, float{}));
  } else {
    const double b = static_cast<double>(number(256, float{})), c = static_cast<double>(number(260, float{})), d = static_cast<double>(number(264, float{}));
    const double a = std::sqrt(std::max(0.0, 1 - b * b - c * c - d * d));
    const double r[9] = {a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c), 2 * (b * c + a * d), a * a + c * c - b * b - d * d,
                         2 * (c * d - a * b),           2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c};
    const double handed = number(76, float{}) < 0 ? -1 : 1;
    for (std::size_t row = 0; row < 3; ++row) {
      const double sign = row < 2 ? -1 : 1;
      for (std::size_t column = 0; column < 3; ++column)
        mask.index_to_lps[4 * row + column] = sign * r[3 * row + column] * static_cast<double>(number(80 + 4 * column, float{})) * (column == 2 ? handed : 1);
      mask.index_to_lps[4 * row + 3] = sign * static_cast<double>(number(268 + 4 * row, float{}));
    }
  }
  const std::size_t count = static_cast<std::size_t>(mask.size[0]) * static_cast<std::size_t>(mask.size[1]) * static_cast<std::size_t>(mask.size[2]);
  const std::size_t width = type == 2 ? 1 : type == 4 || type == 512 ? 2 : type == 8 || type == 16 || type == 768 ? 4 : type == 64 ? 8 : 0;
  if (width == 0 || bytes.size() < offset + count * width) return std::nullopt;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t at = offset + i * width;
    double value = 0;
    if (type == 2) value = bytes[at];
    else if (type == 4) value = number(at, std::int16_t{});
    else if (type == 512) value = number(at, std::uint16_t{});
    else if (type == 8) value = number(at, std::int32_t{});
    else if (type == 768) value = number(at, std::uint32_t{});
    else if (type == 16) value = static_cast<double>(number(at, float{}));
    else value = number(at, double{});
    mask.values.push_back(value > 0.5 ? 1 : 0);
  }
  return mask;
}

}  // namespace choana::test
