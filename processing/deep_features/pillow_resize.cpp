#include "processing/deep_features/pillow_resize.h"

#include <algorithm>
#include <cmath>
#include <type_traits>

namespace choana::processing {
namespace {

constexpr int fixed_point_bits = 22;  // 32 - 8 bits of a pixel - 2 of headroom

double weight(ResizeFilter filter, double x) {
  x = std::abs(x);
  if (filter == ResizeFilter::bilinear) return x < 1 ? 1 - x : 0;
  constexpr double a = -0.5;  // Keys' cubic
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

/// The weights of one output position: for `count` inputs from `first`.
struct Taps {
  int first = 0;
  std::vector<double> weights;
  std::vector<int> fixed;  // the same, times 2^22
};

std::vector<Taps> taps_of(int from, int to, ResizeFilter filter) {
  const double scale = static_cast<double>(from) / to, widening = std::max(scale, 1.0);
  const double support = (filter == ResizeFilter::bilinear ? 1.0 : 2.0) * widening, narrowing = 1.0 / widening;
  std::vector<Taps> all;
  for (int at = 0; at < to; ++at) {
    const double centre = (at + 0.5) * scale;
    Taps taps;
    taps.first = std::max(0, static_cast<int>(centre - support + 0.5));
    const int end = std::min(from, static_cast<int>(centre + support + 0.5));
    double sum = 0;
    for (int x = taps.first; x < end; ++x) {
      taps.weights.push_back(weight(filter, (x - centre + 0.5) * narrowing));
      sum += taps.weights.back();
    }
    for (double& w : taps.weights) {
      if (sum != 0) w /= sum;
      const double scaled = w * (1 << fixed_point_bits);
      taps.fixed.push_back(static_cast<int>(scaled + (scaled < 0 ? -0.5 : 0.5)));
    }
    all.push_back(std::move(taps));
  }
  return all;
}

/// One line along `step` into one pixel.
template <typename Pixel>
Pixel sum_up(const Pixel* line, std::ptrdiff_t step, const Taps& taps) {
  if constexpr (std::is_same_v<Pixel, std::uint8_t>) {
    int sum = 1 << (fixed_point_bits - 1);
    for (std::size_t k = 0; k < taps.fixed.size(); ++k) sum += static_cast<int>(line[(taps.first + static_cast<int>(k)) * step]) * taps.fixed[k];
    return static_cast<std::uint8_t>(std::clamp(sum >> fixed_point_bits, 0, 255));
  } else {
    double sum = 0;
    for (std::size_t k = 0; k < taps.weights.size(); ++k) sum += static_cast<double>(line[(taps.first + static_cast<int>(k)) * step]) * taps.weights[k];
    return static_cast<float>(sum);
  }
}

template <typename Pixel>
std::vector<Pixel> resize(std::span<const Pixel> pixels, int columns, int rows, int new_columns, int new_rows, ResizeFilter filter) {
  std::vector<Pixel> wide(pixels.begin(), pixels.end());
  if (new_columns != columns) {
    const auto taps = taps_of(columns, new_columns, filter);
    wide.assign(static_cast<std::size_t>(new_columns) * static_cast<std::size_t>(rows), Pixel{});
    for (int y = 0; y < rows; ++y)
      for (int x = 0; x < new_columns; ++x)
        wide[static_cast<std::size_t>(y) * static_cast<std::size_t>(new_columns) + static_cast<std::size_t>(x)] =
            sum_up(pixels.data() + static_cast<std::ptrdiff_t>(y) * columns, 1, taps[static_cast<std::size_t>(x)]);
  }
  if (new_rows == rows) return wide;
  const auto taps = taps_of(rows, new_rows, filter);
  std::vector<Pixel> result(static_cast<std::size_t>(new_columns) * static_cast<std::size_t>(new_rows));
  for (int y = 0; y < new_rows; ++y)
    for (int x = 0; x < new_columns; ++x)
      result[static_cast<std::size_t>(y) * static_cast<std::size_t>(new_columns) + static_cast<std::size_t>(x)] = sum_up(wide.data() + x, new_columns, taps[static_cast<std::size_t>(y)]);
  return result;
}

}  // namespace

std::vector<std::uint8_t> resize_like_pillow(std::span<const std::uint8_t> pixels, int columns, int rows, int new_columns, int new_rows, ResizeFilter filter) {
  return resize(pixels, columns, rows, new_columns, new_rows, filter);
}

std::vector<float> resize_like_pillow(std::span<const float> pixels, int columns, int rows, int new_columns, int new_rows, ResizeFilter filter) {
  return resize(pixels, columns, rows, new_columns, new_rows, filter);
}

}  // namespace choana::processing
