#include "processing/preprocessing/cubic_spline.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "core/vectorised.h"

namespace choana::processing {
namespace {

constexpr double pole = -0.26794919243112281;        // sqrt(3) - 2, of the cubic B-spline
constexpr double gain = 1.0 * (1.0 - pole) * (1.0 - 1.0 / pole);
constexpr double initialisation_tolerance = 1e-10;   // where ITK cuts the first causal sum
/// A recursion that starts this many voxels away differs by 1e-23 of a grey value when it arrives, and its rounded values have met
/// those of the whole line long before: from then on they are the same bits.
constexpr int prefilter_margin_voxels = 40;
constexpr std::size_t lanes = 8;                     // lines that are filtered side by side
constexpr int block_width = 64;                      // output columns that are sampled side by side

std::size_t whole_lanes(std::size_t count) { return (count + lanes - 1) / lanes * lanes; }

/// Prefilter `lanes` neighbouring lines: sample n of line l lies at data[n * stride + l]. Each line sees its own operations only,
/// in the order of ITK.
CHOANA_VECTORISED void prefilter_lanes(double* data, std::size_t length, std::size_t stride, std::size_t horizon) {
  if (length < 2) return;
  double carry[lanes];
  for (std::size_t l = 0; l < lanes; ++l) carry[l] = data[l] * gain;
  if (horizon < length) {
    double power = pole;
    for (std::size_t n = 1; n < horizon; ++n) {
      for (std::size_t l = 0; l < lanes; ++l) carry[l] += power * (data[n * stride + l] * gain);
      power *= pole;
    }
  } else {
    constexpr double inverse = 1.0 / pole;
    double power = pole;
    double mirrored = std::pow(pole, static_cast<double>(length - 1));
    for (std::size_t l = 0; l < lanes; ++l) carry[l] += mirrored * (data[(length - 1) * stride + l] * gain);
    mirrored *= mirrored * inverse;
    for (std::size_t n = 1; n + 2 <= length; ++n) {
      for (std::size_t l = 0; l < lanes; ++l) carry[l] += (power + mirrored) * (data[n * stride + l] * gain);
      power *= pole;
      mirrored *= inverse;
    }
    for (std::size_t l = 0; l < lanes; ++l) carry[l] /= 1.0 - power * power;
  }
  for (std::size_t l = 0; l < lanes; ++l) data[l] = carry[l];
  double before[lanes] = {};
  for (std::size_t n = 1; n < length; ++n) {
    double* sample = data + n * stride;
    for (std::size_t l = 0; l < lanes; ++l) {
      before[l] = carry[l];
      carry[l] = sample[l] * gain + pole * carry[l];
    }
    for (std::size_t l = 0; l < lanes; ++l) sample[l] = carry[l];
  }
  constexpr double anticausal = pole / (pole * pole - 1.0);
  for (std::size_t l = 0; l < lanes; ++l) carry[l] = anticausal * (pole * before[l] + carry[l]);
  for (std::size_t l = 0; l < lanes; ++l) data[(length - 1) * stride + l] = carry[l];
  for (std::size_t n = length - 1; n-- > 0;) {
    double* sample = data + n * stride;
    for (std::size_t l = 0; l < lanes; ++l) carry[l] = pole * (carry[l] - sample[l]);
    for (std::size_t l = 0; l < lanes; ++l) sample[l] = carry[l];
  }
}

/// Transpositions between rows and lanes; quickest one value at a time.
#define CHOANA_ONE_BY_ONE __attribute__((optimize("no-tree-vectorize", "no-tree-slp-vectorize")))
CHOANA_ONE_BY_ONE void interleave(const double* const* rows, std::size_t length, double* lines) {
  const double *a = rows[0], *b = rows[1], *c = rows[2], *d = rows[3], *e = rows[4], *f = rows[5], *g = rows[6], *h = rows[7];
  for (std::size_t i = 0; i < length; ++i, lines += lanes) {
    lines[0] = a[i];
    lines[1] = b[i];
    lines[2] = c[i];
    lines[3] = d[i];
    lines[4] = e[i];
    lines[5] = f[i];
    lines[6] = g[i];
    lines[7] = h[i];
  }
}
CHOANA_ONE_BY_ONE void separate(const double* lines, std::size_t length, double* const* rows) {
  double *a = rows[0], *b = rows[1], *c = rows[2], *d = rows[3], *e = rows[4], *f = rows[5], *g = rows[6], *h = rows[7];
  for (std::size_t i = 0; i < length; ++i, lines += lanes) {
    a[i] = lines[0];
    b[i] = lines[1];
    c[i] = lines[2];
    d[i] = lines[3];
    e[i] = lines[4];
    f[i] = lines[5];
    g[i] = lines[6];
    h[i] = lines[7];
  }
}

/// Sums 64 taps for `count` neighbouring samples (rounded up to whole vectors), each sample in ITK's order: k slowest, i fastest.
/// weights: 4 rows of block_width an axis; taps: for each (k, j) the coefficients of the 4 columns, as 4 rows of block_width.
CHOANA_VECTORISED void sum_taps(std::size_t count, const double* weights_i, const double* weights_j, const double* weights_k, const double* const* taps,
                                double* values) {
  constexpr std::size_t width = block_width;
  for (std::size_t at = 0; at < count; at += lanes) {
    double sum[lanes] = {};
    for (std::size_t c = 0; c < 4; ++c)
      for (std::size_t b = 0; b < 4; ++b) {
        const double* row = taps[4 * c + b];
        for (std::size_t a = 0; a < 4; ++a)
          for (std::size_t l = 0; l < lanes; ++l)
            sum[l] += weights_i[a * width + at + l] * weights_j[b * width + at + l] * weights_k[c * width + at + l] * row[a * width + at + l];
      }
    for (std::size_t l = 0; l < lanes; ++l) values[at + l] = sum[l];
  }
}

int mirror(int index, int size) {
  if (size == 1) return 0;
  while (index < 0 || index >= size) {
    if (index < 0) index = -index;
    if (index >= size) index = 2 * (size - 1) - index;
  }
  return index;
}

/// The first of the four voxels around a continuous index. ITK rounds the index to float before it takes the floor.
int first_tap(double index) { return static_cast<int>(std::floor(static_cast<float>(index))) - 1; }

std::array<double, 4> tap_weights(double index, int base) {
  const double w = index - static_cast<double>(base + 1);
  std::array<double, 4> weight;
  weight[3] = (1.0 / 6.0) * w * w * w;
  weight[0] = (1.0 / 6.0) + 0.5 * w * (w - 1.0) - weight[3];
  weight[2] = w + weight[0] - 2.0 * weight[3];
  weight[1] = 1.0 - weight[0] - weight[2] - weight[3];
  return weight;
}

/// Along one axis: positions and weights of the samples of one block of a row. Rows of parallel grids share them.
struct AxisSamples {
  std::uint64_t start_bits = 0;
  std::uint64_t step_bits = 0;
  bool filled = false;
  int from = 0;  // samples from .. to - 1 of the block lie inside the image
  int to = 0;
  std::array<int, block_width> base{};
  alignas(64) double weights[4 * block_width] = {};

  /// Returns whether anything changed.
  bool fill(const RowTrace& trace, std::size_t axis, int first, int count, int image_size) {
    const auto start = std::bit_cast<std::uint64_t>(trace.start[axis]);
    const auto step = std::bit_cast<std::uint64_t>(trace.step[axis]);
    if (filled && start == start_bits && step == step_bits) return false;
    filled = true;
    start_bits = start;
    step_bits = step;
    // Positions are monotone along a row, so those inside lie together.
    from = 0;
    while (from < count && !inside_buffer(trace.at(first + from, axis), image_size)) ++from;
    to = from;
    while (to < count && inside_buffer(trace.at(first + to, axis), image_size)) ++to;
    for (int at = from; at < to; ++at) {
      const double index = trace.at(first + at, axis);
      base[static_cast<std::size_t>(at)] = first_tap(index);
      const auto weight = tap_weights(index, base[static_cast<std::size_t>(at)]);
      for (std::size_t tap = 0; tap < 4; ++tap) weights[tap * block_width + static_cast<std::size_t>(at)] = weight[tap];
    }
    return true;
  }
  /// Do samples low .. high - 1 share their four voxels?
  [[nodiscard]] bool shared(int low, int high) const { return base[static_cast<std::size_t>(low)] == base[static_cast<std::size_t>(high) - 1]; }
};

}  // namespace

CubicSpline::CubicSpline(const ScalarVolume& image, const VoxelBox& support, TaskPool* pool)
    : image_size_(image.geometry.size()), box_(support), row_stride_(whole_lanes(static_cast<std::size_t>(support.size[0]))) {
  const auto horizon = static_cast<std::size_t>(std::ceil(std::log(initialisation_tolerance) / std::log(std::fabs(pole))));
  // Each axis needs its lines from a margin away; of what it gives only the box is kept for the next axis.
  VoxelBox wide;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    wide.lower[axis] = std::max(0, support.lower[axis] - prefilter_margin_voxels);
    wide.size[axis] = std::min(image_size_[axis], support.lower[axis] + support.size[axis] + prefilter_margin_voxels) - wide.lower[axis];
  }
  const auto length_i = static_cast<std::size_t>(wide.size[0]);
  const auto length_j = static_cast<std::size_t>(wide.size[1]);
  const auto length_k = static_cast<std::size_t>(wide.size[2]);
  const auto width = static_cast<std::size_t>(support.size[0]);
  const auto height = static_cast<std::size_t>(support.size[1]);
  const auto keep_i = static_cast<std::size_t>(support.lower[0] - wide.lower[0]);
  const auto keep_j = static_cast<std::size_t>(support.lower[1] - wide.lower[1]);
  const auto keep_k = static_cast<std::size_t>(support.lower[2] - wide.lower[2]);
  const std::size_t plane = height * row_stride_;
  std::vector<double> planes(length_k * plane);
  run_tasks(pool, length_k, [&](std::size_t k) {
    std::vector<double> lines(length_i * lanes);
    std::vector<double> filtered(whole_lanes(length_j) * row_stride_);
    for (std::size_t j = 0; j < length_j; j += lanes) {
      const std::size_t together = std::min(lanes, length_j - j);
      std::array<const double*, lanes> source;
      std::array<double*, lanes> target;
      for (std::size_t l = 0; l < lanes; ++l) {
        // Where fewer lines are left, the last is filtered again into a row that nobody reads.
        source[l] = image.voxels.data() + image.geometry.offset(wide.lower[0], wide.lower[1] + static_cast<int>(j + std::min(l, together - 1)),
                                                                wide.lower[2] + static_cast<int>(k));
        target[l] = filtered.data() + (j + l) * row_stride_;
      }
      interleave(source.data(), length_i, lines.data());
      prefilter_lanes(lines.data(), length_i, lanes, horizon);
      separate(lines.data() + keep_i * lanes, width, target.data());
    }
    for (std::size_t i = 0; i < row_stride_; i += lanes) prefilter_lanes(filtered.data() + i, length_j, row_stride_, horizon);
    std::memcpy(planes.data() + k * plane, filtered.data() + keep_j * row_stride_, plane * sizeof(double));
  });
  run_tasks(pool, height, [&](std::size_t j) {
    for (std::size_t i = 0; i < row_stride_; i += lanes) prefilter_lanes(planes.data() + j * row_stride_ + i, length_k, plane, horizon);
  });
  if (keep_k > 0) planes.erase(planes.begin(), planes.begin() + static_cast<std::ptrdiff_t>(keep_k * plane));
  planes.resize(static_cast<std::size_t>(support.size[2]) * plane);
  coefficients_ = std::move(planes);
}

double CubicSpline::at(const Vector3& index) const {
  std::array<int, 3> base;
  std::array<std::array<double, 4>, 3> weight;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    base[axis] = first_tap(index[axis]);
    weight[axis] = tap_weights(index[axis], base[axis]);
  }
  std::array<int, 4> column;
  for (int a = 0; a < 4; ++a) column[static_cast<std::size_t>(a)] = mirror(base[0] + a, image_size_[0]) - box_.lower[0];
  double sum = 0;
  for (int c = 0; c < 4; ++c)
    for (int b = 0; b < 4; ++b) {
      const double* line = row(mirror(base[1] + b, image_size_[1]), mirror(base[2] + c, image_size_[2]));
      for (std::size_t a = 0; a < 4; ++a)
        sum += weight[0][a] * weight[1][static_cast<std::size_t>(b)] * weight[2][static_cast<std::size_t>(c)] * line[column[a]];
    }
  return sum;
}

/// Samples one block of columns, slice after slice. Coefficients are spread out so that neighbouring samples find their taps side by
/// side; four slices of them are kept, and each is spread once.
class CubicSpline::BlockSampler {
 public:
  BlockSampler(const CubicSpline& spline, int first_column, int columns)
      : spline_(spline), first_(first_column), count_(columns), height_(static_cast<std::size_t>(spline.box_.size[1])),
        spread_(4 * height_ * 4 * block_width), spread_row_(4 * height_, -1) {}

  void sample_row(const RowTrace& trace, double* values) {
    if (axes_[0].fill(trace, 0, first_, count_, spline_.image_size_[0])) columns_changed();
    axes_[1].fill(trace, 1, first_, count_, spline_.image_size_[1]);
    axes_[2].fill(trace, 2, first_, count_, spline_.image_size_[2]);
    const int from = std::max({axes_[0].from, axes_[1].from, axes_[2].from});
    const int to = std::min({axes_[0].to, axes_[1].to, axes_[2].to});
    if (from >= to) return;
    if (!axes_[1].shared(from, to) || !axes_[2].shared(from, to)) {
      for (int at = from; at < to; ++at) values[at] = spline_.at(trace.at(first_ + at));
      return;
    }
    const int j = axes_[1].base[static_cast<std::size_t>(from)];
    const int k = axes_[2].base[static_cast<std::size_t>(from)];
    std::array<const double*, 16> taps;
    for (int c = 0; c < 4; ++c)
      for (int b = 0; b < 4; ++b)
        taps[static_cast<std::size_t>(4 * c + b)] = spread(mirror(j + b, spline_.image_size_[1]), mirror(k + c, spline_.image_size_[2]));
    sum_taps(static_cast<std::size_t>(to), axes_[0].weights, axes_[1].weights, axes_[2].weights, taps.data(), sums_);
    std::copy(sums_ + from, sums_ + to, values + from);
  }

 private:
  void columns_changed() {
    std::array<int, 4 * block_width> columns{};
    for (int at = axes_[0].from; at < axes_[0].to; ++at)
      for (int tap = 0; tap < 4; ++tap)
        columns[static_cast<std::size_t>(tap * block_width + at)] = mirror(axes_[0].base[static_cast<std::size_t>(at)] + tap, spline_.image_size_[0]) - spline_.box_.lower[0];
    if (columns == columns_) return;
    columns_ = columns;
    std::fill(spread_row_.begin(), spread_row_.end(), -1);
  }

  /// The coefficients of row (j, k) at the four columns of every sample.
  const double* spread(int j, int k) {
    const std::size_t slot = static_cast<std::size_t>(k & 3) * height_ + static_cast<std::size_t>(j - spline_.box_.lower[1]);
    double* target = spread_.data() + slot * 4 * block_width;
    if (spread_row_[slot] != k) {
      spread_row_[slot] = k;
      const double* line = spline_.row(j, k);
      for (std::size_t at = 0; at < columns_.size(); ++at) target[at] = line[columns_[at]];
    }
    return target;
  }

  const CubicSpline& spline_;
  int first_;
  int count_;
  std::size_t height_;
  std::array<AxisSamples, 3> axes_{};
  std::array<int, 4 * block_width> columns_{};
  std::vector<double> spread_;
  std::vector<int> spread_row_;   // which slice a spread row is of; -1: none
  alignas(64) double sums_[block_width] = {};
};

void CubicSpline::sample(const GridTracer& tracer, const Index3& grid_size, std::vector<double>& values, TaskPool* pool) const {
  const int blocks = (grid_size[0] + block_width - 1) / block_width;
  const int parts = std::min(grid_size[2], pool == nullptr ? 1 : 2 * pool->threads());
  run_tasks(pool, static_cast<std::size_t>(blocks) * static_cast<std::size_t>(parts), [&](std::size_t task) {
    const int first = static_cast<int>(task % static_cast<std::size_t>(blocks)) * block_width;
    const auto part = static_cast<std::int64_t>(task / static_cast<std::size_t>(blocks));
    const int k_from = static_cast<int>(part * grid_size[2] / parts);
    const int k_to = static_cast<int>((part + 1) * grid_size[2] / parts);
    BlockSampler sampler(*this, first, std::min(block_width, grid_size[0] - first));
    for (int k = k_from; k < k_to; ++k)
      for (int j = 0; j < grid_size[1]; ++j)
        sampler.sample_row(tracer.row(j, k), values.data() + (static_cast<std::size_t>(k) * static_cast<std::size_t>(grid_size[1]) + static_cast<std::size_t>(j)) *
                                                                 static_cast<std::size_t>(grid_size[0]) + static_cast<std::size_t>(first));
  });
}

}  // namespace choana::processing
