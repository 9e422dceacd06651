// Included by one file for each kind of vector unit, which says KERNEL_LANES, KERNEL_PIXELS, KERNEL_FILTER_BLOCKS.

#include "processing/onnx/image_kernels.h"

namespace choana::processing {
namespace {

constexpr int lanes = KERNEL_LANES;
constexpr int vectors = static_cast<int>(channel_block) / lanes;  // that a block takes
using Vector = float __attribute__((vector_size(lanes * sizeof(float))));

// Copied, because memory need not be aligned, and clang does not honour a vector type of lesser alignment.
inline Vector load(const float* from) {
  Vector value;
  __builtin_memcpy(&value, from, sizeof value);
  return value;
}
inline void store(float* to, Vector value) { __builtin_memcpy(to, &value, sizeof value); }
inline Vector larger(Vector a, Vector b) { return a > b ? a : b; }

// A step of 0 is one that is only known when it runs.
template <int pixels, int filter_blocks, int known_step>
void convolve_tile(const ConvolutionTile& tile) {
  constexpr int width = filter_blocks * vectors;
  const std::ptrdiff_t step = known_step != 0 ? known_step : tile.pixel_step;
  Vector sums[pixels][width];
#pragma GCC unroll 32
  for (int v = 0; v < width; ++v) {
    const Vector bias = load(tile.bias + v * lanes);
#pragma GCC unroll 32
    for (int p = 0; p < pixels; ++p) sums[p][v] = bias;
  }
  const float *weights = tile.weights, *ahead = tile.ahead;
  for (std::ptrdiff_t block = 0; block < tile.blocks; ++block) {
    const float* in_block = tile.input + block * tile.block_step;
    for (std::ptrdiff_t tap = 0; tap < tile.tap_count; ++tap) {
      const float* input = in_block + tile.taps[tap];
      for (std::ptrdiff_t channel = 0; channel < tile.channels; ++channel, weights += width * lanes, ahead += channel_block, ++input) {
        __builtin_prefetch(ahead, 0, 2);
        Vector filters[width];
#pragma GCC unroll 32
        for (int v = 0; v < width; ++v) filters[v] = load(weights + v * lanes);
#pragma GCC unroll 32
        for (int p = 0; p < pixels; ++p) {
          const float value = input[p * step];
#pragma GCC unroll 32
          for (int v = 0; v < width; ++v) sums[p][v] += filters[v] * value;
        }
      }
    }
  }
#pragma GCC unroll 32
  for (int p = 0; p < pixels; ++p)
#pragma GCC unroll 32
    for (int v = 0; v < width; ++v) {
      const std::ptrdiff_t at = (v / vectors) * tile.filter_step + p * channel_block + (v % vectors) * lanes;
      Vector sum = sums[p][v];
      if (tile.added != nullptr) sum += load(tile.added + at);
      if (tile.rectify) sum = larger(Vector{}, sum);  // in this order what is not a number stays so
      store(tile.output + at, sum);
    }
}

template <int pixels, int filter_blocks>
void convolve_step(const ConvolutionTile& tile) {
  switch (tile.pixel_step) {
    case 8: return convolve_tile<pixels, filter_blocks, 8>(tile);  // images of up to four channels, every second pixel
    case channel_block: return convolve_tile<pixels, filter_blocks, channel_block>(tile);
    case 2 * channel_block: return convolve_tile<pixels, filter_blocks, 2 * channel_block>(tile);
    default: return convolve_tile<pixels, filter_blocks, 0>(tile);
  }
}

template <int pixels>
void convolve_pixels(const ConvolutionTile& tile, int count, int filter_blocks) {
  if constexpr (pixels > 0) {
    if (count < pixels) return convolve_pixels<pixels - 1>(tile, count, filter_blocks);
    if constexpr (KERNEL_FILTER_BLOCKS > 1)
      if (filter_blocks > 1) return convolve_step<pixels, KERNEL_FILTER_BLOCKS>(tile);
    convolve_step<pixels, 1>(tile);
  }
}

void convolve(const ConvolutionTile& tile, int pixels, int filter_blocks) { convolve_pixels<KERNEL_PIXELS>(tile, pixels, filter_blocks); }

void largest(const PoolTile& tile) {
  for (int v = 0; v < vectors; ++v) {
    Vector most = load(tile.input + tile.taps[0] + v * lanes);
    for (std::ptrdiff_t tap = 1; tap < tile.tap_count; ++tap) most = larger(most, load(tile.input + tile.taps[tap] + v * lanes));
    store(tile.output + v * lanes, most);
  }
}

void mean(const PoolTile& tile) {
  for (int v = 0; v < vectors; ++v) {
    Vector sum{};
    for (std::ptrdiff_t tap = 0; tap < tile.tap_count; ++tap) sum += load(tile.input + tile.taps[tap] + v * lanes);
    store(tile.output + v * lanes, sum / tile.divisor);
  }
}

// Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2016: F(2 x 2, 3 x 3).
void winograd_input(const WinogradInput& tile) {
  for (int v = 0; v < vectors; ++v) {
    Vector d[4][4];
#pragma GCC unroll 4
    for (int y = 0; y < 4; ++y)
#pragma GCC unroll 4
      for (int x = 0; x < 4; ++x) d[y][x] = tile.places[4 * y + x] < 0 ? Vector{} : load(tile.input + tile.places[4 * y + x] + v * lanes);
#pragma GCC unroll 4
    for (int x = 0; x < 4; ++x) {
      const Vector first = d[0][x] - d[2][x], second = d[1][x] + d[2][x], third = d[2][x] - d[1][x], fourth = d[1][x] - d[3][x];
      d[0][x] = first;
      d[1][x] = second;
      d[2][x] = third;
      d[3][x] = fourth;
    }
    float* to = tile.output + v * lanes;
#pragma GCC unroll 4
    for (int y = 0; y < 4; ++y, to += 4 * tile.output_step) {
      store(to, d[y][0] - d[y][2]);
      store(to + tile.output_step, d[y][1] + d[y][2]);
      store(to + 2 * tile.output_step, d[y][2] - d[y][1]);
      store(to + 3 * tile.output_step, d[y][1] - d[y][3]);
    }
  }
}

void winograd_output(const WinogradOutput& tile) {
  for (int v = 0; v < vectors; ++v) {
    const Vector bias = load(tile.bias + v * lanes);
    Vector rows[2][4];
#pragma GCC unroll 4
    for (int x = 0; x < 4; ++x) {
      const float* from = tile.products + x * tile.product_step + v * lanes;
      const Vector first = load(from), second = load(from + 4 * tile.product_step), third = load(from + 8 * tile.product_step), fourth = load(from + 12 * tile.product_step);
      rows[0][x] = first + second + third;
      rows[1][x] = second - third - fourth;
    }
    for (int y = 0; y < tile.rows; ++y)
      for (int x = 0; x < tile.columns; ++x) {
        Vector sum = (x == 0 ? rows[y][0] + rows[y][1] + rows[y][2] : rows[y][1] - rows[y][2] - rows[y][3]) + bias;
        const std::ptrdiff_t at = y * tile.row_step + x * channel_block + v * lanes;
        if (tile.added != nullptr) sum += load(tile.added + at);
        if (tile.rectify) sum = larger(Vector{}, sum);
        store(tile.output + at, sum);
      }
  }
}

}  // namespace
}  // namespace choana::processing
