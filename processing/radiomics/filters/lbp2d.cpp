#include "processing/radiomics/filters/lbp2d.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>
#include <utility>

namespace choana::processing {
namespace {

/// A double as NumPy stores it into an array of another type: C casts, and where C leaves them open, those of x86-64.
double stored_as(PixelType type, double value) {
  const auto low_bits = [&]() -> std::int32_t {
    const double whole = std::trunc(value);
    if (!(whole >= std::numeric_limits<std::int32_t>::min() && whole <= std::numeric_limits<std::int32_t>::max())) return std::numeric_limits<std::int32_t>::min();
    return static_cast<std::int32_t>(whole);
  };
  switch (type) {
    case PixelType::int8: return static_cast<std::int8_t>(low_bits());
    case PixelType::uint8: return static_cast<std::uint8_t>(low_bits());
    case PixelType::int16: return static_cast<std::int16_t>(low_bits());
    case PixelType::uint16: return static_cast<std::uint16_t>(low_bits());
    case PixelType::int32: return low_bits();
    case PixelType::uint32: {
      const double whole = std::trunc(value);
      if (!(std::abs(whole) < 9.2e18)) return 0;
      return static_cast<std::uint32_t>(static_cast<std::int64_t>(whole));
    }
    case PixelType::float32: return static_cast<double>(static_cast<float>(value));
    case PixelType::float64: return value;
  }
  return value;
}

struct Point {
  double row = 0;
  double column = 0;
};

/// Rounded to five decimals as NumPy rounds.
double rounded(double value) { return std::rint(value * 1e5) / 1e5; }

/// Bits of a pattern as one number.
double pattern_number(const std::vector<char>& bits) {
  double number = 0;
  for (std::size_t at = 0; at < bits.size(); ++at)
    if (bits[at] != 0) number += static_cast<double>(std::uint32_t{1} << at);
  return number;
}

double smallest_rotation(double number, std::size_t samples) {
  auto value = static_cast<std::uint32_t>(number);
  std::uint32_t least = value;
  for (std::size_t turn = 1; turn < samples; ++turn) {
    value = (value >> 1) | ((value & 1u) << (samples - 1));
    least = std::min(least, value);
  }
  return least;
}

double uniform_code(const std::vector<char>& bits) {
  std::size_t changes = 0;
  for (std::size_t at = 0; at + 1 < bits.size(); ++at) changes += bits[at] != bits[at + 1] ? 1 : 0;
  if (changes > 2) return static_cast<double>(bits.size() + 1);
  return static_cast<double>(std::count(bits.begin(), bits.end(), 1));
}

double variance(const std::vector<double>& texture) {
  double sum = 0;
  double squares = 0;
  for (const double value : texture) {
    sum += value;
    squares += value * value;
  }
  const auto count = static_cast<double>(texture.size());
  const double result = (squares - (sum * sum) / count) / count;
  return result != 0 ? result : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

Result<DerivedImages> lbp2d_image(const FilterInput& input, const ExtractionSettings& settings) {
  const auto samples = static_cast<std::size_t>(settings.lbp2d_samples);
  const bool as_number = settings.lbp2d_method == LocalPatternMethod::standard || settings.lbp2d_method == LocalPatternMethod::rotation_invariant;
  if (as_number && samples > 31)
    return fail(ErrorCode::invalid_profile, "lbp2d", "lbp2DMethod default and ror hold the pattern in a number of 31 bits: lbp2DSamples must be at most 31.");
  // Rows and columns of a slice: k axis flat: j and i; j flat: k and i; i flat: j and k.
  const int flat = 2 - settings.force_2d_dimension;
  const std::size_t row_axis = flat == 1 ? 2 : 1;
  const std::size_t column_axis = flat == 0 ? 2 : 0;
  const Index3& size = input.image.geometry.size();
  const std::array<std::ptrdiff_t, 3> step{1, size[0], static_cast<std::ptrdiff_t>(size[0]) * size[1]};

  std::vector<Point> points;
  for (std::size_t p = 0; p < samples; ++p) {
    const double angle = 2 * std::numbers::pi * static_cast<double>(p) / static_cast<double>(samples);
    points.push_back({rounded(-settings.lbp2d_radius_pixels * std::sin(angle)), rounded(settings.lbp2d_radius_pixels * std::cos(angle))});
  }
  const VoxelBox& box = input.box;
  std::vector<double> values(static_cast<std::size_t>(box.size[0]) * static_cast<std::size_t>(box.size[1]) * static_cast<std::size_t>(box.size[2]));
  run_tasks(input.pool, static_cast<std::size_t>(box.size[2]), [&](std::size_t slice) {
    std::vector<double> texture(samples);
    std::vector<char> bits(samples);
    Index3 at{0, 0, box.lower[2] + static_cast<int>(slice)};
    std::size_t target = slice * static_cast<std::size_t>(box.size[0]) * static_cast<std::size_t>(box.size[1]);
    for (at[1] = box.lower[1]; at[1] < box.lower[1] + box.size[1]; ++at[1])
      for (at[0] = box.lower[0]; at[0] < box.lower[0] + box.size[0]; ++at[0], ++target) {
        const std::ptrdiff_t row_step = step[row_axis];
        const std::ptrdiff_t column_step = step[column_axis];
        const double* centre = input.image.voxels.data() + input.image.geometry.offset(at[0], at[1], at[2]);
        const double* plane = centre - at[row_axis] * row_step - at[column_axis] * column_step;
        const auto voxel = [&](double row, double column) {
          if (row < 0 || row >= size[row_axis] || column < 0 || column >= size[column_axis]) return 0.0;
          return plane[static_cast<std::ptrdiff_t>(row) * row_step + static_cast<std::ptrdiff_t>(column) * column_step];
        };
        for (std::size_t p = 0; p < samples; ++p) {
          const double row = at[row_axis] + points[p].row;
          const double column = at[column_axis] + points[p].column;
          const double row_below = std::floor(row);
          const double column_below = std::floor(column);
          const double row_above = std::ceil(row);
          const double column_above = std::ceil(column);
          const double dr = row - row_below;
          const double dc = column - column_below;
          const double top = (1 - dc) * voxel(row_below, column_below) + dc * voxel(row_below, column_above);
          const double bottom = (1 - dc) * voxel(row_above, column_below) + dc * voxel(row_above, column_above);
          texture[p] = (1 - dr) * top + dr * bottom;
          bits[p] = texture[p] - *centre >= 0 ? 1 : 0;
        }
        double code = 0;
        switch (settings.lbp2d_method) {
          case LocalPatternMethod::standard: code = pattern_number(bits); break;
          case LocalPatternMethod::rotation_invariant: code = smallest_rotation(pattern_number(bits), samples); break;
          case LocalPatternMethod::uniform: code = uniform_code(bits); break;
          case LocalPatternMethod::variance: code = variance(texture); break;
        }
        values[target] = stored_as(input.image.pixel_type, code);
      }
  });
  auto image = boxed_image("lbp-2D", input, input.image.pixel_type, std::move(values));
  if (!image) return fail(image.error());
  DerivedImages result;
  if (!settings.force_2d) result.notes.push_back("LBP2D works slice by slice, while features are extracted in 3D (force2D is off).");
  result.images.push_back(std::move(*image));
  return result;
}

}  // namespace choana::processing
