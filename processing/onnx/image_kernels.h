#pragma once

// Private to this folder: the inner loops of image networks, compiled once for each kind of vector unit. Plain types only, and no standard
// containers: what these files compile must not be shared with files that are compiled for any x86-64.

#include <cstddef>

namespace choana::processing {

constexpr std::ptrdiff_t channel_block = 16;  // channels that lie side by side in memory
constexpr int tile_pixels_max = 14;

/// Neighbouring outputs of one or two blocks of filters. Offsets and steps count floats.
struct ConvolutionTile {
  const float* input = nullptr;         // first channel of the first block, at the first tap of the first output
  const std::ptrdiff_t* taps = nullptr; // offsets of the window's places
  std::ptrdiff_t tap_count = 0;
  std::ptrdiff_t blocks = 0;            // of input channels
  std::ptrdiff_t block_step = 0;
  std::ptrdiff_t channels = 0;          // in every block
  std::ptrdiff_t pixel_step = 0;        // between the inputs of neighbouring outputs
  const float* weights = nullptr;       // [block][tap][channel][filter of the group]
  const float* bias = nullptr;          // [filter of the group]
  const float* ahead = nullptr;         // memory to fetch meanwhile: a line for every channel
  const float* added = nullptr;         // summed to the result, laid out as the output, or none
  float* output = nullptr;
  std::ptrdiff_t filter_step = 0;       // between the blocks of filters in the output
  bool rectify = false;
};

/// One output pixel of a pooling: all channels of a block.
struct PoolTile {
  const float* input = nullptr;
  const std::ptrdiff_t* taps = nullptr;
  std::ptrdiff_t tap_count = 0;
  float divisor = 1;                    // of a mean
  float* output = nullptr;
};

/// One block of channels of 4 x 4 inputs (for 2 x 2 outputs of a 3 x 3 window) into the sixteen products' inputs, after Winograd.
struct WinogradInput {
  const float* input = nullptr;
  const std::ptrdiff_t* places = nullptr;  // offsets of the sixteen inputs, row by row; below 0: a pad
  float* output = nullptr;
  std::ptrdiff_t output_step = 0;          // between the sixteen
};

/// ... and back: one block of filters of 2 x 2 outputs.
struct WinogradOutput {
  const float* products = nullptr;
  std::ptrdiff_t product_step = 0;         // between the sixteen
  const float* bias = nullptr;
  const float* added = nullptr;            // laid out as the output, or none
  float* output = nullptr;
  std::ptrdiff_t row_step = 0;             // of the output
  int rows = 2, columns = 2;               // that lie in the output
  bool rectify = false;
};

/// The loops for one kind of vector unit. Every output is one sum over blocks, taps and channels in that order, with fused multiplications where the
/// unit has them: units that fuse give the same bits.
struct ImageKernels {
  const char* name = "";
  int pixels_max = 1;                   // of a tile
  int filter_blocks_max = 1;            // of a tile
  void (*convolve)(const ConvolutionTile&, int pixels, int filter_blocks) = nullptr;
  void (*largest)(const PoolTile&) = nullptr;
  void (*mean)(const PoolTile&) = nullptr;
  void (*winograd_input)(const WinogradInput&) = nullptr;
  void (*winograd_output)(const WinogradOutput&) = nullptr;
};

const ImageKernels& kernels_for_any_cpu();
#if defined(__x86_64__)
const ImageKernels& kernels_for_avx2();
const ImageKernels& kernels_for_avx512();
#endif

}  // namespace choana::processing
