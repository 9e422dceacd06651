#include "processing/onnx/network_engine.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <map>
#include <new>
#include <utility>

#include "processing/onnx/image_kernels.h"

namespace choana::processing {

class BufferPool {
 public:
  BufferPool() = default;
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;
  ~BufferPool() {
    for (const auto& [bytes, buffer] : free_) std::free(buffer);
  }
  float* take(std::size_t floats) {
    const std::size_t bytes = rounded(floats);
    if (const auto found = free_.find(bytes); found != free_.end()) {
      void* buffer = found->second;
      free_.erase(found);
      return static_cast<float*>(buffer);
    }
    void* buffer = std::aligned_alloc(64, bytes);
    if (buffer == nullptr) throw std::bad_alloc();
    return static_cast<float*>(buffer);
  }
  void give_back(float* buffer, std::size_t floats) { free_.emplace(rounded(floats), buffer); }

 private:
  static std::size_t rounded(std::size_t floats) { return (std::max<std::size_t>(floats * sizeof(float), 64) + 4095) / 4096 * 4096; }
  std::multimap<std::size_t, void*> free_;
};

class BlockedTensor {
 public:
  std::vector<std::int64_t> shape;
  std::shared_ptr<float> data;
};

namespace {

/// A buffer that goes back to its pool with its last user.
std::shared_ptr<float> borrow(const std::shared_ptr<BufferPool>& pool, std::size_t floats) {
  return {pool->take(floats), [pool, floats](float* buffer) { pool->give_back(buffer, floats); }};
}

const ImageKernels& kernels() {
#if defined(__x86_64__)
  static const ImageKernels& chosen = __builtin_cpu_supports("avx512f") != 0                                            ? kernels_for_avx512()
                                      : __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 ? kernels_for_avx2()
                                                                                                                   : kernels_for_any_cpu();
  return chosen;
#else
  return kernels_for_any_cpu();
#endif
}

std::ptrdiff_t blocks_of(std::ptrdiff_t channels) { return (channels + channel_block - 1) / channel_block; }

/// Three spatial axes, leading ones of length 1 where there are fewer.
using Axes = std::array<std::ptrdiff_t, 3>;
Axes axes_of(const std::vector<std::int64_t>& values, std::size_t first, std::ptrdiff_t otherwise) {
  Axes axes{otherwise, otherwise, otherwise};
  const std::size_t count = values.size() - first;
  for (std::size_t axis = 0; axis < count; ++axis) axes[3 - count + axis] = values[first + axis];
  return axes;
}
std::ptrdiff_t volume(const Axes& axes) { return axes[0] * axes[1] * axes[2]; }

// `width` floats a position, of which `channels` come from planes that lie apart; the rest is zero.
void gather(const float* from, std::ptrdiff_t plane, std::ptrdiff_t channels, std::ptrdiff_t width, std::ptrdiff_t positions, float* to) {
  for (std::ptrdiff_t at = 0; at < positions; ++at, to += width)
    for (std::ptrdiff_t c = 0; c < width; ++c) to[c] = c < channels ? from[c * plane + at] : 0.0F;
}

constexpr std::ptrdiff_t winograd_channels_min = 32, winograd_products_max = 1 << 17;

/// One of the sixteen values that a 3 x 3 filter becomes.
float winograd_weight(const float* filter, std::size_t row, std::size_t column) {
  constexpr double way[4][3] = {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}};
  double sum = 0;
  for (std::size_t y = 0; y < 3; ++y)
    for (std::size_t x = 0; x < 3; ++x) sum += way[row][y] * way[column][x] * filter[3 * y + x];
  return static_cast<float>(sum);
}

}  // namespace

struct PackedConvolution::State {
  /// Filters that are worked out together: one block, or as many as a tile takes.
  struct Group {
    int filter_blocks = 1;
    std::ptrdiff_t first_filter_block = 0, first_input_block = 0, input_blocks = 0;
    std::size_t weights = 0;  // offset
  };
  std::vector<std::int64_t> shape;
  std::int64_t groups = 1;
  std::ptrdiff_t filters = 0, inputs = 0, places = 0, channels = 0;  // channels: that are summed in every block
  std::vector<Group> parts;
  std::vector<float> bias;
  std::shared_ptr<float> weights;
  std::size_t set_floats = 0;  // of one set of weights
  bool winograd = false;       // sixteen sets of one place each, for a 3 x 3 window of step 1
};

bool PackedConvolution::takes(const Tensor& weights, const Tensor* bias, std::int64_t groups) {
  return weights.type() == ElementType::float32 && weights.shape.size() >= 3 && weights.shape.size() <= 5 && weights.size() > 0 && groups >= 1 && weights.shape[0] % groups == 0 &&
         (bias == nullptr || (bias->type() == ElementType::float32 && bias->shape == std::vector<std::int64_t>{weights.shape[0]}));
}

PackedConvolution::PackedConvolution(const Tensor& weights, const Tensor* bias, std::int64_t groups, bool steps_of_one) {
  auto state = std::make_unique<State>();
  state->shape = weights.shape;
  state->groups = groups;
  state->filters = weights.shape[0];
  const std::ptrdiff_t own = weights.shape[1], filters_each = state->filters / groups;
  state->inputs = own * groups;
  // Worth it where the products outweigh the way there and back, and where sixteen sets of weights instead of nine still come from the cache.
  state->winograd = steps_of_one && groups == 1 && weights.shape.size() == 4 && weights.shape[2] == 3 && weights.shape[3] == 3 && state->inputs >= winograd_channels_min &&
                    state->filters >= winograd_channels_min && state->inputs * state->filters <= winograd_products_max;
  state->places = state->winograd ? 1 : product(weights.shape, 2, weights.shape.size());
  state->channels = std::min<std::ptrdiff_t>(state->inputs, channel_block);
  const std::ptrdiff_t filter_blocks = blocks_of(state->filters);
  state->bias.assign(static_cast<std::size_t>(filter_blocks * channel_block), 0.0F);
  if (bias != nullptr) std::copy(bias->values<float>().begin(), bias->values<float>().end(), state->bias.begin());

  // A filter sees the channels of its own group: those blocks of the input that hold them, with zeros for the others.
  const int most = groups == 1 ? kernels().filter_blocks_max : 1;
  std::size_t floats = 0;
  for (std::ptrdiff_t block = 0; block < filter_blocks;) {
    State::Group part;
    part.filter_blocks = filter_blocks - block >= most ? most : 1;
    part.first_filter_block = block;
    const std::ptrdiff_t last = std::min((block + part.filter_blocks) * channel_block, state->filters) - 1;
    const std::ptrdiff_t from = block * channel_block / filters_each * own, to = (last / filters_each + 1) * own;
    part.first_input_block = from / channel_block;
    part.input_blocks = blocks_of(to) - part.first_input_block;
    part.weights = floats;
    floats += static_cast<std::size_t>(part.input_blocks * state->places * state->channels * part.filter_blocks * channel_block);
    block += part.filter_blocks;
    state->parts.push_back(part);
  }
  state->set_floats = floats;
  const std::size_t sets = state->winograd ? 16 : 1;
  auto* packed = static_cast<float*>(std::aligned_alloc(64, (sets * floats * sizeof(float) + 63) / 64 * 64));
  if (packed == nullptr) throw std::bad_alloc();
  state->weights = {packed, [](float* buffer) { std::free(buffer); }};
  const float* given = weights.values<float>().data();
  const std::ptrdiff_t window = product(weights.shape, 2, weights.shape.size());
  for (std::size_t set = 0; set < sets; ++set)
    for (const State::Group& part : state->parts)
      for (std::ptrdiff_t block = part.first_input_block; block < part.first_input_block + part.input_blocks; ++block)
        for (std::ptrdiff_t place = 0; place < state->places; ++place)
          for (std::ptrdiff_t c = 0; c < state->channels; ++c)
            for (std::ptrdiff_t f = part.first_filter_block * channel_block; f < (part.first_filter_block + part.filter_blocks) * channel_block; ++f, ++packed) {
              const std::ptrdiff_t channel = block * channel_block + c - (f < state->filters ? f / filters_each * own : 0);
              if (f >= state->filters || channel < 0 || channel >= own) {
                *packed = 0;
                continue;
              }
              const float* filter = given + (f * own + channel) * window;
              *packed = state->winograd ? winograd_weight(filter, set / 4, set % 4) : filter[place];
            }
  state_ = std::move(state);
}

PackedConvolution::~PackedConvolution() = default;
const std::vector<std::int64_t>& PackedConvolution::weights_shape() const { return state_->shape; }
std::int64_t PackedConvolution::groups() const { return state_->groups; }

NetworkEngine::NetworkEngine(std::shared_ptr<BufferPool> pool) : pool_(pool ? std::move(pool) : std::make_shared<BufferPool>()) {}
NetworkEngine::~NetworkEngine() = default;

const char* NetworkEngine::unit() { return kernels().name; }

BlockedPointer NetworkEngine::make(std::vector<std::int64_t> shape) {
  auto tensor = std::make_shared<BlockedTensor>();
  tensor->data = borrow(pool_, static_cast<std::size_t>(shape[0] * blocks_of(shape[1]) * channel_block * volume(axes_of(shape, 2, 1))));
  tensor->shape = std::move(shape);
  return tensor;
}

BlockedPointer NetworkEngine::from_plain(const Tensor& tensor) {
  auto result = make(tensor.shape);
  const std::ptrdiff_t channels = tensor.shape[1], positions = volume(axes_of(tensor.shape, 2, 1));
  const float* from = tensor.values<float>().data();
  float* to = result->data.get();
  for (std::int64_t n = 0; n < tensor.shape[0]; ++n, from += channels * positions)
    for (std::ptrdiff_t block = 0; block < blocks_of(channels); ++block, to += channel_block * positions)
      gather(from + block * channel_block * positions, positions, std::min(channels - block * channel_block, channel_block), channel_block, positions, to);
  return result;
}

Tensor NetworkEngine::to_plain(const BlockedTensor& tensor) {
  const std::ptrdiff_t channels = tensor.shape[1], positions = volume(axes_of(tensor.shape, 2, 1)), blocks = blocks_of(channels);
  std::vector<float> values(static_cast<std::size_t>(tensor.shape[0] * channels * positions));
  float* to = values.data();
  for (std::int64_t n = 0; n < tensor.shape[0]; ++n)
    for (std::ptrdiff_t c = 0; c < channels; ++c) {
      const float* from = tensor.data.get() + ((n * blocks + c / channel_block) * positions) * channel_block + c % channel_block;
      for (std::ptrdiff_t at = 0; at < positions; ++at) *to++ = from[at * channel_block];
    }
  return {tensor.shape, std::move(values)};
}

const std::vector<std::int64_t>& NetworkEngine::shape_of(const BlockedTensor& tensor) { return tensor.shape; }

namespace {

/// The outputs of one convolution that are worked out together: neighbouring rows, or positions in a row where the window is a single place.
struct Band {
  const float* input = nullptr;  // of the first output and the first block of channels
  std::ptrdiff_t block_step = 0, pixel_step = 0, row_step = 0;
  std::ptrdiff_t rows = 1, columns = 0;
  std::ptrdiff_t first_output = 0, output_columns = 0;  // position of the first output; positions of a row
};

/// Strides of memory that are multiples of a page share the few lines of a cache that they fall on: a little more is added.
std::ptrdiff_t apart(std::ptrdiff_t floats) { return floats % 256 == 0 ? floats + 5 * channel_block : floats; }

/// All filters over one band.
template <typename State>
void convolve_band(const State& packed, const float* weights, const float* bias, const std::vector<std::ptrdiff_t>& taps, const Band& band, const float* added, float* result,
                   std::ptrdiff_t result_block, bool rectify) {
  const std::ptrdiff_t pixels_max = kernels().pixels_max;
  ConvolutionTile tile;
  tile.taps = taps.data();
  tile.tap_count = packed.places;
  tile.block_step = band.block_step;
  tile.channels = packed.channels;
  tile.pixel_step = band.pixel_step;
  tile.filter_step = result_block;
  tile.rectify = rectify;
  for (const auto& part : packed.parts) {
    tile.blocks = part.input_blocks;
    tile.weights = weights + part.weights;
    tile.bias = bias + part.first_filter_block * channel_block;
    // While a group is worked out, the next one's weights are on their way from memory; the last group fetches its own end again, which costs nothing.
    const std::ptrdiff_t lines = part.input_blocks * packed.places * packed.channels, floats = lines * part.filter_blocks * channel_block;
    tile.ahead = tile.weights + (&part == &packed.parts.back() ? 0 : floats);
    for (std::ptrdiff_t row = 0; row < band.rows; ++row) {
      const std::ptrdiff_t out_row = part.first_filter_block * result_block + (band.first_output + row * band.output_columns) * channel_block;
      for (std::ptrdiff_t column = 0; column < band.columns;) {
        const std::ptrdiff_t left = band.columns - column, tiles = (left + pixels_max - 1) / pixels_max, pixels = (left + tiles - 1) / tiles;
        tile.input = band.input + part.first_input_block * band.block_step + row * band.row_step + column * band.pixel_step;
        tile.output = result + out_row + column * channel_block;
        tile.added = added != nullptr ? added + out_row + column * channel_block : nullptr;
        kernels().convolve(tile, static_cast<int>(pixels), part.filter_blocks);
        tile.ahead = tile.ahead + lines * channel_block < tile.weights + 2 * floats ? tile.ahead + lines * channel_block : tile.weights;
        column += pixels;
      }
    }
  }
}

}  // namespace

BlockedPointer NetworkEngine::convolve(const Image& input, const PackedConvolution& how, const Window& window, const BlockedPointer& added, bool overwrite, bool rectify) {
  const PackedConvolution::State& packed = *how.state_;
  const std::vector<std::int64_t>& shape = input.blocked != nullptr ? input.blocked->shape : input.plain->shape;
  const Axes size = axes_of(shape, 2, 1), kernel = axes_of(window.kernel, 0, 1), strides = axes_of(window.strides, 0, 1), dilations = axes_of(window.dilations, 0, 1),
             before = axes_of(window.pads_before, 0, 0), output = axes_of(window.output, 0, 1);
  Axes padded{};
  for (std::size_t axis = 0; axis < 3; ++axis) padded[axis] = std::max(size[axis] + before[axis], (output[axis] - 1) * strides[axis] + (kernel[axis] - 1) * dilations[axis] + 1);

  std::vector<std::int64_t> result_shape{shape[0], packed.filters};
  result_shape.insert(result_shape.end(), window.output.begin(), window.output.end());
  BlockedPointer result = added && overwrite ? added : make(std::move(result_shape));
  const std::ptrdiff_t blocks = blocks_of(shape[1]), positions = volume(output), result_block = positions * channel_block, of_image = blocks_of(packed.filters) * result_block;
  const auto added_of = [&](std::int64_t n) { return added ? added->data.get() + n * of_image : nullptr; };
  // So much of the input is taken at a time that it stays in the second-level cache while all filters pass over it.
  constexpr std::ptrdiff_t band_floats = 96 << 10;

  if (packed.winograd) {
    // Tiles of 2 x 2 outputs. A window of nine products becomes sixteen for four outputs: 2.25 times fewer multiplications.
    const Axes grid{1, (output[1] + 1) / 2, (output[2] + 1) / 2};
    constexpr std::ptrdiff_t tiles_max = 56;
    const std::ptrdiff_t tiles = volume(grid), most = std::min(tiles, tiles_max), filter_blocks = blocks_of(packed.filters), input_step = apart(most * channel_block);
    const std::ptrdiff_t set_step = apart(blocks * input_step + channel_block), product_step = apart(filter_blocks * input_step + channel_block);
    const auto transformed = borrow(pool_, static_cast<std::size_t>(16 * set_step)), products = borrow(pool_, static_cast<std::size_t>(16 * product_step));
    const auto from_plain = input.blocked == nullptr ? this->from_plain(*input.plain) : nullptr;
    const float* source = input.blocked != nullptr ? input.blocked->data.get() : from_plain->data.get();
    const std::vector<float> no_bias(packed.bias.size(), 0.0F);
    const std::vector<std::ptrdiff_t> taps{0};
    for (std::int64_t n = 0; n < shape[0]; ++n)
      for (std::ptrdiff_t first = 0; first < tiles; first += most) {
        const std::ptrdiff_t count = std::min(most, tiles - first);
        for (std::ptrdiff_t t = 0; t < count; ++t) {
          const std::ptrdiff_t top = (first + t) / grid[2] * 2 - before[1], left = (first + t) % grid[2] * 2 - before[2];
          std::array<std::ptrdiff_t, 16> places{};
          for (std::ptrdiff_t place = 0; place < 16; ++place) {
            const std::ptrdiff_t y = top + place / 4, x = left + place % 4;
            places[static_cast<std::size_t>(place)] = y < 0 || y >= size[1] || x < 0 || x >= size[2] ? -1 : (y * size[2] + x) * channel_block;
          }
          WinogradInput tile{nullptr, places.data(), nullptr, set_step};
          for (std::ptrdiff_t block = 0; block < blocks; ++block) {
            tile.input = source + (n * blocks + block) * volume(size) * channel_block;
            tile.output = transformed.get() + block * input_step + t * channel_block;
            kernels().winograd_input(tile);
          }
        }
        for (std::ptrdiff_t set = 0; set < 16; ++set) {
          Band band;
          band.input = transformed.get() + set * set_step;
          band.block_step = input_step;
          band.pixel_step = channel_block;
          band.columns = count;
          convolve_band(packed, packed.weights.get() + static_cast<std::size_t>(set) * packed.set_floats, no_bias.data(), taps, band, nullptr, products.get() + set * product_step, input_step, false);
        }
        for (std::ptrdiff_t t = 0; t < count; ++t) {
          const std::ptrdiff_t top = (first + t) / grid[2] * 2, left = (first + t) % grid[2] * 2;
          WinogradOutput tile;
          tile.product_step = product_step;
          tile.row_step = output[2] * channel_block;
          tile.rows = static_cast<int>(std::min<std::ptrdiff_t>(2, output[1] - top));
          tile.columns = static_cast<int>(std::min<std::ptrdiff_t>(2, output[2] - left));
          tile.rectify = rectify;
          for (std::ptrdiff_t block = 0; block < filter_blocks; ++block) {
            const std::ptrdiff_t at = block * result_block + (top * output[2] + left) * channel_block;
            tile.products = products.get() + block * input_step + t * channel_block;
            tile.bias = packed.bias.data() + block * channel_block;
            tile.output = result->data.get() + n * of_image + at;
            tile.added = added ? added_of(n) + at : nullptr;
            kernels().winograd_output(tile);
          }
        }
      }
    return result;
  }

  if (packed.places == 1 && padded == size && input.blocked != nullptr) {
    // A window of one place: a product of matrices. The positions that are read are put side by side, because in the tensor their blocks lie pages apart.
    const std::ptrdiff_t all = std::min(std::max<std::ptrdiff_t>(band_floats / (blocks * channel_block), 1), positions), tiles = (all + kernels().pixels_max - 1) / kernels().pixels_max,
                         most = std::min(tiles * kernels().pixels_max, positions), block_step = apart(most * channel_block);
    const auto packed_input = borrow(pool_, static_cast<std::size_t>(blocks * block_step));
    const std::vector<std::ptrdiff_t> taps{0};
    for (std::int64_t n = 0; n < shape[0]; ++n)
      for (std::ptrdiff_t first = 0; first < positions; first += most) {
        const std::ptrdiff_t count = std::min(most, positions - first);
        for (std::ptrdiff_t block = 0; block < blocks; ++block) {
          const float* from = input.blocked->data.get() + (n * blocks + block) * volume(size) * channel_block;
          float* to = packed_input.get() + block * block_step;
          if (strides == Axes{1, 1, 1}) {
            std::memcpy(to, from + first * channel_block, static_cast<std::size_t>(count * channel_block) * sizeof(float));
            continue;
          }
          for (std::ptrdiff_t at = first; at < first + count; ++at, to += channel_block) {
            const std::ptrdiff_t x = at % output[2], y = at / output[2] % output[1], z = at / output[2] / output[1];
            std::memcpy(to, from + ((z * strides[0] * size[1] + y * strides[1]) * size[2] + x * strides[2]) * channel_block, channel_block * sizeof(float));
          }
        }
        Band band;
        band.input = packed_input.get();
        band.block_step = block_step;
        band.pixel_step = channel_block;
        band.columns = count;
        band.first_output = first;
        convolve_band(packed, packed.weights.get(), packed.bias.data(), taps, band, added_of(n), result->data.get() + n * of_image, result_block, rectify);
      }
    return result;
  }

  // A plain image of few channels, and whatever has pads, is copied once into the order that the loops want.
  const std::ptrdiff_t width = input.blocked == nullptr && shape[1] <= 4 ? 4 : channel_block;
  const bool copied = input.blocked == nullptr || padded != size;
  const std::ptrdiff_t block_step = copied ? apart(volume(padded) * width) : volume(padded) * width;
  std::shared_ptr<float> copy;
  if (copied) copy = borrow(pool_, static_cast<std::size_t>(blocks * block_step));
  const Axes row_steps{strides[0] * padded[1] * padded[2] * width, strides[1] * padded[2] * width, strides[2] * width};
  std::vector<std::ptrdiff_t> taps;
  for (std::ptrdiff_t z = 0; z < kernel[0]; ++z)
    for (std::ptrdiff_t y = 0; y < kernel[1]; ++y)
      for (std::ptrdiff_t x = 0; x < kernel[2]; ++x) taps.push_back(((z * dilations[0] * padded[1] + y * dilations[1]) * padded[2] + x * dilations[2]) * width);
  const std::ptrdiff_t band_rows = std::max<std::ptrdiff_t>(band_floats / (blocks * width * strides[1] * padded[2]), 1);

  for (std::int64_t n = 0; n < shape[0]; ++n) {
    const float* source = nullptr;
    if (copied) {
      float* to = copy.get();
      if (padded != size) std::memset(to, 0, static_cast<std::size_t>(blocks * block_step) * sizeof(float));
      for (std::ptrdiff_t block = 0; block < blocks; ++block)
        for (std::ptrdiff_t z = 0; z < size[0]; ++z)
          for (std::ptrdiff_t y = 0; y < size[1]; ++y) {
            float* row = to + block * block_step + (((z + before[0]) * padded[1] + y + before[1]) * padded[2] + before[2]) * width;
            const std::ptrdiff_t from = (z * size[1] + y) * size[2];
            if (input.blocked != nullptr)
              std::memcpy(row, input.blocked->data.get() + ((n * blocks + block) * volume(size) + from) * channel_block, static_cast<std::size_t>(size[2] * channel_block) * sizeof(float));
            else
              gather(input.plain->values<float>().data() + (n * shape[1] + block * channel_block) * volume(size) + from, volume(size), std::min(shape[1] - block * channel_block, width), width,
                     size[2], row);
          }
      source = to;
    } else {
      source = input.blocked->data.get() + n * blocks * block_step;
    }
    for (std::ptrdiff_t z = 0; z < output[0]; ++z)
      for (std::ptrdiff_t y = 0; y < output[1]; y += band_rows) {
        Band band;
        band.input = source + z * row_steps[0] + y * row_steps[1];
        band.block_step = block_step;
        band.pixel_step = row_steps[2];
        band.row_step = row_steps[1];
        band.rows = std::min(band_rows, output[1] - y);
        band.columns = band.output_columns = output[2];
        band.first_output = (z * output[1] + y) * output[2];
        convolve_band(packed, packed.weights.get(), packed.bias.data(), taps, band, added_of(n), result->data.get() + n * of_image, result_block, rectify);
      }
  }
  return result;
}

BlockedPointer NetworkEngine::pool(const BlockedTensor& input, Pool kind, const Window& window) {
  const Axes size = axes_of(input.shape, 2, 1), kernel = axes_of(window.kernel, 0, 1), strides = axes_of(window.strides, 0, 1), dilations = axes_of(window.dilations, 0, 1),
             before = axes_of(window.pads_before, 0, 0), output = axes_of(window.output, 0, 1);
  std::vector<std::int64_t> shape{input.shape[0], input.shape[1]};
  shape.insert(shape.end(), window.output.begin(), window.output.end());
  auto result = make(std::move(shape));
  const std::ptrdiff_t blocks = input.shape[0] * blocks_of(input.shape[1]);
  std::vector<std::ptrdiff_t> taps;
  PoolTile tile;
  for (std::ptrdiff_t oz = 0; oz < output[0]; ++oz)
    for (std::ptrdiff_t oy = 0; oy < output[1]; ++oy)
      for (std::ptrdiff_t ox = 0; ox < output[2]; ++ox) {
        taps.clear();
        for (std::ptrdiff_t kz = 0; kz < kernel[0]; ++kz)
          for (std::ptrdiff_t ky = 0; ky < kernel[1]; ++ky)
            for (std::ptrdiff_t kx = 0; kx < kernel[2]; ++kx) {
              const std::ptrdiff_t z = oz * strides[0] + kz * dilations[0] - before[0], y = oy * strides[1] + ky * dilations[1] - before[1], x = ox * strides[2] + kx * dilations[2] - before[2];
              if (z >= 0 && z < size[0] && y >= 0 && y < size[1] && x >= 0 && x < size[2]) taps.push_back(((z * size[1] + y) * size[2] + x) * channel_block);
            }
        tile.taps = taps.data();
        tile.tap_count = static_cast<std::ptrdiff_t>(taps.size());
        tile.divisor = static_cast<float>(kind == Pool::mean_with_pads ? volume(kernel) : tile.tap_count);
        for (std::ptrdiff_t block = 0; block < blocks; ++block) {
          tile.input = input.data.get() + block * volume(size) * channel_block;
          tile.output = result->data.get() + (block * volume(output) + (oz * output[1] + oy) * output[2] + ox) * channel_block;
          kind == Pool::largest ? kernels().largest(tile) : kernels().mean(tile);
        }
      }
  return result;
}

BlockedPointer NetworkEngine::rectify(const BlockedTensor& input) {
  auto result = make(input.shape);
  const std::ptrdiff_t count = input.shape[0] * blocks_of(input.shape[1]) * channel_block * volume(axes_of(input.shape, 2, 1));
  const float* from = input.data.get();
  float* to = result->data.get();
  for (std::ptrdiff_t at = 0; at < count; ++at) to[at] = from[at] < 0 ? 0.0F : from[at];
  return result;
}

BlockedPointer NetworkEngine::add(const BlockedTensor& a, const BlockedTensor& b, bool rectify) {
  auto result = make(a.shape);
  const std::ptrdiff_t count = a.shape[0] * blocks_of(a.shape[1]) * channel_block * volume(axes_of(a.shape, 2, 1));
  const float *first = a.data.get(), *second = b.data.get();
  float* to = result->data.get();
  for (std::ptrdiff_t at = 0; at < count; ++at) {
    const float sum = first[at] + second[at];
    to[at] = rectify && sum < 0 ? 0.0F : sum;
  }
  return result;
}

}  // namespace choana::processing
