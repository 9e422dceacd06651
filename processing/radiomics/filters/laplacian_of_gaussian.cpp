#include "processing/radiomics/filters/laplacian_of_gaussian.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <string>
#include <utility>

#include "core/vectorised.h"

namespace choana::processing {
namespace {

/// A recursive filter of order four: y_i = sum n_k x_(i-k) - sum d_k y_(i-k), and its mirror with m_k. Outside, x is the edge value.
struct RecursiveFilter {
  std::array<double, 4> n{};      // of x_i, x_(i-1), ...
  std::array<double, 4> m{};      // of x_(i+1), x_(i+2), ...
  std::array<double, 4> d{};      // of the four results before
  std::array<double, 4> edge_n{};  // d times the response to a constant, for results before the first
  std::array<double, 4> edge_m{};
};

struct Sums {
  double plain = 0;
  double first = 0;
  double second = 0;
};

constexpr double w1 = 0.6681;
constexpr double l1 = -1.3932;
constexpr double w2 = 2.0787;
constexpr double l2 = -1.3732;

Sums numerator(double sigma, double a1, double b1, double a2, double b2, std::array<double, 4>& n) {
  const double sin1 = std::sin(w1 / sigma);
  const double sin2 = std::sin(w2 / sigma);
  const double cos1 = std::cos(w1 / sigma);
  const double cos2 = std::cos(w2 / sigma);
  const double exp1 = std::exp(l1 / sigma);
  const double exp2 = std::exp(l2 / sigma);
  n[0] = a1 + a2;
  n[1] = exp2 * (b2 * sin2 - (a2 + 2 * a1) * cos2);
  n[1] += exp1 * (b1 * sin1 - (a1 + 2 * a2) * cos1);
  n[2] = (a1 + a2) * cos2 * cos1;
  n[2] -= b1 * cos2 * sin1 + b2 * cos1 * sin2;
  n[2] *= 2 * exp1 * exp2;
  n[2] += a2 * exp1 * exp1 + a1 * exp2 * exp2;
  n[3] = exp2 * exp1 * exp1 * (b2 * sin2 - a2 * cos2);
  n[3] += exp1 * exp2 * exp2 * (b1 * sin1 - a1 * cos1);
  return {n[0] + n[1] + n[2] + n[3], n[1] + 2 * n[2] + 3 * n[3], n[1] + 4 * n[2] + 9 * n[3]};
}

Sums denominator(double sigma, std::array<double, 4>& d) {
  const double cos1 = std::cos(w1 / sigma);
  const double cos2 = std::cos(w2 / sigma);
  const double exp1 = std::exp(l1 / sigma);
  const double exp2 = std::exp(l2 / sigma);
  d[3] = exp1 * exp1 * exp2 * exp2;
  d[2] = -2 * cos1 * exp1 * exp2 * exp2;
  d[2] += -2 * cos2 * exp2 * exp1 * exp1;
  d[1] = 4 * cos2 * cos1 * exp1 * exp2;
  d[1] += exp1 * exp1 + exp2 * exp2;
  d[0] = -2 * (exp2 * cos2 + exp1 * cos1);
  return {1.0 + d[0] + d[1] + d[2] + d[3], d[0] + 2 * d[1] + 3 * d[2] + 4 * d[3], d[0] + 4 * d[1] + 9 * d[2] + 16 * d[3]};
}

void complete(RecursiveFilter& filter) {
  for (std::size_t k = 0; k < 3; ++k) filter.m[k] = filter.n[k + 1] - filter.d[k] * filter.n[0];
  filter.m[3] = -filter.d[3] * filter.n[0];
  const double sum_n = filter.n[0] + filter.n[1] + filter.n[2] + filter.n[3];
  const double sum_m = filter.m[0] + filter.m[1] + filter.m[2] + filter.m[3];
  const double sum_d = 1.0 + filter.d[0] + filter.d[1] + filter.d[2] + filter.d[3];
  for (std::size_t k = 0; k < 4; ++k) {
    filter.edge_n[k] = filter.d[k] * sum_n / sum_d;
    filter.edge_m[k] = filter.d[k] * sum_m / sum_d;
  }
}

RecursiveFilter smoothing(double sigma_voxels) {
  RecursiveFilter filter;
  const Sums d = denominator(sigma_voxels, filter.d);
  const Sums n = numerator(sigma_voxels, 1.3530, 1.8151, -0.3531, 0.0902, filter.n);
  const double alpha = 2 * n.plain / d.plain - filter.n[0];
  for (double& value : filter.n) value *= 1.0 / alpha;
  complete(filter);
  return filter;
}

/// Second derivative along an axis in voxels, times sigma_mm^2.
RecursiveFilter second_derivative(double sigma_mm, double sigma_voxels) {
  RecursiveFilter filter;
  const Sums d = denominator(sigma_voxels, filter.d);
  std::array<double, 4> n0{};
  std::array<double, 4> n2{};
  const Sums s0 = numerator(sigma_voxels, 1.3530, 1.8151, -0.3531, 0.0902, n0);
  const Sums s2 = numerator(sigma_voxels, -1.3563, 5.2318, 0.3446, -2.2355, n2);
  const double beta = -(2 * s2.plain - d.plain * n2[0]) / (2 * s0.plain - d.plain * n0[0]);
  for (std::size_t k = 0; k < 4; ++k) filter.n[k] = n2[k] + beta * n0[k];
  const Sums s{s2.plain + beta * s0.plain, s2.first + beta * s0.first, s2.second + beta * s0.second};
  double alpha = s.second * d.plain * d.plain - d.second * s.plain * d.plain - 2 * s.first * d.first * d.plain + 2 * d.first * d.first * s.plain;
  alpha /= d.plain * d.plain * d.plain;
  const double scale = sigma_mm * sigma_mm;
  for (double& value : filter.n) value *= scale / alpha;
  complete(filter);
  return filter;
}

/// Several lines side by side: the recursion waits for its own last result, so one line alone leaves the processor idle.
constexpr std::size_t lanes = 16;
constexpr std::size_t group = 2;  // vectors whose recursions are interleaved

/// Samples and results of `lanes` lines: sample i of line l at [i * lanes + l].
struct LineBuffers {
  std::vector<double> x;
  std::vector<double> y;

  explicit LineBuffers(std::size_t length) : x(length * lanes), y(length * lanes) {}
};

/// Filter `group` vectors of lines; results of [from, to) stand in y. Each line sees its operations in ITK's order.
template <typename Vector>
[[gnu::always_inline]] inline void filter_group(const RecursiveFilter& f, const double* x, double* y, std::size_t length, std::size_t from, std::size_t to) {
  constexpr std::size_t width = sizeof(Vector) / sizeof(double);
  const double n0 = f.n[0], n1 = f.n[1], n2 = f.n[2], n3 = f.n[3];
  const double m1 = f.m[0], m2 = f.m[1], m3 = f.m[2], m4 = f.m[3];
  const double d1 = f.d[0], d2 = f.d[1], d3 = f.d[2], d4 = f.d[3];
  Vector y1[group]{}, y2[group]{}, y3[group]{}, y4[group]{};
  Vector x1[group], x2[group], x3[group], x4[group], edge[group];
  for (std::size_t g = 0; g < group; ++g) {
    std::memcpy(&edge[g], x + g * width, sizeof(Vector));
    x1[g] = x2[g] = x3[g] = edge[g];
  }
  const auto shift_results = [&](std::size_t g, const Vector& result) __attribute__((always_inline)) {
    y4[g] = y3[g];
    y3[g] = y2[g];
    y2[g] = y1[g];
    y1[g] = result;
  };
  // Results before the first: the response to a constant. As ITK, it is multiplied by d only there, not carried as a value.
  const auto before_first = [&](std::size_t step, std::size_t g, const std::array<double, 4>& edge_factor, Vector& result) __attribute__((always_inline)) {
    const Vector b0 = edge[g] * edge_factor[0], b1 = edge[g] * edge_factor[1], b2 = edge[g] * edge_factor[2], b3 = edge[g] * edge_factor[3];
    if (step == 0) result -= b0 + b1 + b2 + b3;
    else if (step == 1) result -= y1[g] * d1 + b1 + b2 + b3;
    else if (step == 2) result -= y1[g] * d1 + y2[g] * d2 + b2 + b3;
    else result -= y1[g] * d1 + y2[g] * d2 + y3[g] * d3 + b3;
  };
  const auto causal_input = [&](std::size_t i, std::size_t g, Vector& result) __attribute__((always_inline)) {
    Vector in;
    std::memcpy(&in, x + i * lanes + g * width, sizeof(Vector));
    result = in * n0 + x1[g] * n1 + x2[g] * n2 + x3[g] * n3;
    x3[g] = x2[g];
    x2[g] = x1[g];
    x1[g] = in;
  };
  for (std::size_t i = 0; i < 4; ++i)
    for (std::size_t g = 0; g < group; ++g) {
      Vector result;
      causal_input(i, g, result);
      before_first(i, g, f.edge_n, result);
      shift_results(g, result);
      std::memcpy(y + i * lanes + g * width, &result, sizeof(Vector));
    }
  for (std::size_t i = 4; i < to; ++i)
    for (std::size_t g = 0; g < group; ++g) {
      Vector result;
      causal_input(i, g, result);
      result -= y1[g] * d1 + y2[g] * d2 + y3[g] * d3 + y4[g] * d4;
      shift_results(g, result);
      std::memcpy(y + i * lanes + g * width, &result, sizeof(Vector));
    }
  for (std::size_t g = 0; g < group; ++g) {
    std::memcpy(&edge[g], x + (length - 1) * lanes + g * width, sizeof(Vector));
    x1[g] = x2[g] = x3[g] = x4[g] = edge[g];
    y1[g] = y2[g] = y3[g] = y4[g] = Vector{};
  }
  const auto anticausal_input = [&](std::size_t i, std::size_t g, Vector& result) __attribute__((always_inline)) {
    result = x1[g] * m1 + x2[g] * m2 + x3[g] * m3 + x4[g] * m4;
    x4[g] = x3[g];
    x3[g] = x2[g];
    x2[g] = x1[g];
    std::memcpy(&x1[g], x + i * lanes + g * width, sizeof(Vector));
  };
  const auto add = [&](std::size_t i, std::size_t g, const Vector& result) __attribute__((always_inline)) {
    if (i >= to) return;
    Vector sum;
    std::memcpy(&sum, y + i * lanes + g * width, sizeof(Vector));
    sum += result;
    std::memcpy(y + i * lanes + g * width, &sum, sizeof(Vector));
  };
  for (std::size_t step = 0; step < 4 && step < length - from; ++step)
    for (std::size_t g = 0; g < group; ++g) {
      Vector result;
      anticausal_input(length - 1 - step, g, result);
      before_first(step, g, f.edge_m, result);
      shift_results(g, result);
      add(length - 1 - step, g, result);
    }
  for (std::size_t step = 4; step < length - from; ++step)
    for (std::size_t g = 0; g < group; ++g) {
      Vector result;
      anticausal_input(length - 1 - step, g, result);
      result -= y1[g] * d1 + y2[g] * d2 + y3[g] * d3 + y4[g] * d4;
      shift_results(g, result);
      add(length - 1 - step, g, result);
    }
}

/// Vectors as wide as the processor has them; each line is computed by itself, so the width changes no bit.
template <std::size_t width>
struct VectorOf {
  typedef double type __attribute__((vector_size(width * sizeof(double))));
};
template <std::size_t width>
[[gnu::always_inline]] inline void filter_all(const RecursiveFilter& f, LineBuffers& lines, std::size_t length, std::size_t from, std::size_t to) {
  for (std::size_t lane = 0; lane < lanes; lane += group * width)
    filter_group<typename VectorOf<width>::type>(f, lines.x.data() + lane, lines.y.data() + lane, length, from, to);
}
using LineFilter = void (*)(const RecursiveFilter&, LineBuffers&, std::size_t, std::size_t, std::size_t);

void filter_plain(const RecursiveFilter& f, LineBuffers& lines, std::size_t length, std::size_t from, std::size_t to) { filter_all<2>(f, lines, length, from, to); }
#if defined(__x86_64__)
__attribute__((target("avx2"))) void filter_avx2(const RecursiveFilter& f, LineBuffers& lines, std::size_t length, std::size_t from, std::size_t to) {
  filter_all<4>(f, lines, length, from, to);
}
__attribute__((target("avx512f"))) void filter_avx512(const RecursiveFilter& f, LineBuffers& lines, std::size_t length, std::size_t from, std::size_t to) {
  filter_all<8>(f, lines, length, from, to);
}
LineFilter line_filter() {
  if (__builtin_cpu_supports("avx512f")) return filter_avx512;
  return __builtin_cpu_supports("avx2") ? filter_avx2 : filter_plain;
}
#else
LineFilter line_filter() { return filter_plain; }
#endif

/// A box of floats cut out of an image.
struct Block {
  VoxelBox box;
  std::vector<float> values;

  explicit Block(const VoxelBox& where) : box(where), values(static_cast<std::size_t>(where.size[0]) * static_cast<std::size_t>(where.size[1]) * static_cast<std::size_t>(where.size[2])) {}
};

/// x[g][i * lanes + l] = voxel l of group g in row i, for `groups` whole groups; rows lie `step` apart.
template <typename T>
[[gnu::always_inline]] inline void widen_rows(const T* row, std::ptrdiff_t step, std::size_t length, std::size_t groups, double* const* x) {
  for (std::size_t i = 0; i < length; ++i, row += step)
    for (std::size_t g = 0; g < groups; ++g)
      for (std::size_t l = 0; l < lanes; ++l) x[g][i * lanes + l] = static_cast<double>(row[g * lanes + l]);
}
CHOANA_VECTORISED void read_rows(const float* row, std::ptrdiff_t step, std::size_t length, std::size_t groups, double* const* x) { widen_rows(row, step, length, groups, x); }
CHOANA_VECTORISED void read_rows(const double* row, std::ptrdiff_t step, std::size_t length, std::size_t groups, double* const* x) { widen_rows(row, step, length, groups, x); }
CHOANA_VECTORISED void write_rows(float* row, std::ptrdiff_t step, std::size_t from, std::size_t to, std::size_t groups, const double* const* y) {
  for (std::size_t i = from; i < to; ++i, row += step)
    for (std::size_t g = 0; g < groups; ++g)
      for (std::size_t l = 0; l < lanes; ++l) row[g * lanes + l] = static_cast<float>(y[g][i * lanes + l]);
}

/// The same for lines that run along i: a transposition, which is quickest one value at a time.
template <typename T>
__attribute__((optimize("no-tree-vectorize", "no-tree-slp-vectorize"))) void read_lines(const T* const* line, std::size_t length, double* x) {
  for (std::size_t i = 0; i < length; ++i, x += lanes)
    for (std::size_t l = 0; l < lanes; ++l) x[l] = static_cast<double>(line[l][i]);
}
__attribute__((optimize("no-tree-vectorize", "no-tree-slp-vectorize"))) void write_lines(float* row, std::ptrdiff_t step, std::size_t from, std::size_t to, std::size_t count,
                                                                                         const double* y) {
  for (std::size_t l = 0; l < count; ++l, row += step)
    for (std::size_t i = from; i < to; ++i) row[i - from] = static_cast<float>(y[i * lanes + l]);
}

/// Filter along one axis. input: voxels of `in` stored i fastest as they lie in a volume of size `stored`; output: the part of `in` that `out` covers;
/// out equals `in` but along `axis`.
template <typename T>
void filter_axis(const RecursiveFilter& filter, const T* input, const VoxelBox& in, const Index3& stored, const Index3& stored_lower, int axis, Block& output) {
  const auto a = static_cast<std::size_t>(axis);
  const VoxelBox& out = output.box;
  const std::array<std::ptrdiff_t, 3> step{1, stored[0], static_cast<std::ptrdiff_t>(stored[0]) * stored[1]};
  const std::array<std::ptrdiff_t, 3> out_step{1, out.size[0], static_cast<std::ptrdiff_t>(out.size[0]) * out.size[1]};
  const auto length = static_cast<std::size_t>(in.size[a]);
  const auto from = static_cast<std::size_t>(out.lower[a] - in.lower[a]);
  const auto to = from + static_cast<std::size_t>(out.size[a]);
  // Lanes run along i where they can, for neighbours in i lie side by side in memory; several groups of them are read in one go, because
  // a jump from row to row costs more than a row.
  const std::size_t lane_axis = axis == 0 ? 1 : 0;
  const std::size_t other = axis == 2 ? 1 : 2;
  constexpr std::size_t groups_max = 4;
  const auto wanted = static_cast<std::size_t>(out.size[lane_axis]);
  const std::size_t groups_at_once = axis == 0 ? 1 : std::min(groups_max, (wanted + lanes - 1) / lanes);
  std::vector<LineBuffers> groups(groups_at_once, LineBuffers(length));
  const LineFilter filter_lines = line_filter();
  Index3 at = out.lower;
  for (at[other] = out.lower[other]; at[other] < out.lower[other] + out.size[other]; ++at[other])
    for (std::size_t first = 0; first < wanted; first += groups_at_once * lanes) {
      const std::size_t count = std::min(groups_at_once * lanes, wanted - first);
      at[lane_axis] = out.lower[lane_axis] + static_cast<int>(first);
      Index3 start = at;
      start[a] = in.lower[a];
      std::ptrdiff_t offset = 0;
      std::ptrdiff_t out_offset = 0;
      for (std::size_t b = 0; b < 3; ++b) {
        offset += (start[b] - stored_lower[b]) * step[b];
        if (b != a) out_offset += (at[b] - out.lower[b]) * out_step[b];
      }
      const std::size_t whole = count / lanes;
      const std::size_t used = (count + lanes - 1) / lanes;
      std::array<double*, groups_max> x{};
      std::array<double*, groups_max> y{};
      for (std::size_t g = 0; g < used; ++g) {
        x[g] = groups[g].x.data();
        y[g] = groups[g].y.data();
      }
      const T* line = input + offset;
      if (axis == 0) {
        std::array<const T*, lanes> each;
        for (std::size_t l = 0; l < lanes; ++l) each[l] = line + static_cast<std::ptrdiff_t>(std::min(l, count - 1)) * step[1];
        read_lines(each.data(), length, x[0]);
      } else {
        read_rows(line, step[a], length, whole, x.data());
        if (used > whole)
          for (std::size_t i = 0; i < length; ++i)
            for (std::size_t l = 0; l < lanes; ++l)
              x[whole][i * lanes + l] = static_cast<double>(line[static_cast<std::ptrdiff_t>(i) * step[a] + static_cast<std::ptrdiff_t>(std::min(whole * lanes + l, count - 1))]);
      }
      for (std::size_t g = 0; g < used; ++g) filter_lines(filter, groups[g], length, from, to);
      float* result = output.values.data() + out_offset;
      if (axis == 0) {
        write_lines(result, out_step[1], from, to, count, y[0]);
      } else {
        write_rows(result, out_step[a], from, to, whole, y.data());
        for (std::size_t i = from; i < to && used > whole; ++i)
          for (std::size_t l = 0; l < count - whole * lanes; ++l)
            result[static_cast<std::ptrdiff_t>(i - from) * out_step[a] + static_cast<std::ptrdiff_t>(whole * lanes + l)] = static_cast<float>(y[whole][i * lanes + l]);
      }
    }
}

/// What the passes read: the image itself, or its voxels as floats where those say the same in half the memory.
struct LogInput {
  const FilterInput& filter;
  VoxelBox box;                 // of `floats`
  std::vector<float> floats;    // empty: read the image
};

/// The derivative along `axis`, smoothed along the two others in their order; on input.box.
Block directional(const LogInput& source, const VoxelBox& window, double sigma_mm, int axis) {
  const FilterInput& input = source.filter;
  const Vector3& spacing = input.image.geometry.spacing_mm();
  const auto a = static_cast<std::size_t>(axis);
  VoxelBox reach = window;
  reach.lower[a] = input.box.lower[a];
  reach.size[a] = input.box.size[a];
  Block block(reach);
  const RecursiveFilter derivative = second_derivative(sigma_mm, sigma_mm / spacing[a]);
  if (source.floats.empty()) filter_axis(derivative, input.image.voxels.data(), window, input.image.geometry.size(), {0, 0, 0}, axis, block);
  else filter_axis(derivative, source.floats.data(), window, source.box.size, source.box.lower, axis, block);
  for (int other = 0; other < 3; ++other) {
    if (other == axis) continue;
    const auto o = static_cast<std::size_t>(other);
    VoxelBox smaller = block.box;
    smaller.lower[o] = input.box.lower[o];
    smaller.size[o] = input.box.size[o];
    Block next(smaller);
    filter_axis(smoothing(sigma_mm / spacing[o]), block.values.data(), block.box, block.box.size, block.box.lower, other, next);
    block = std::move(next);
  }
  return block;
}

/// The voxels that results in input.box depend on.
VoxelBox window_of(const FilterInput& input, double sigma_mm) {
  const Index3& size = input.image.geometry.size();
  const Vector3& spacing = input.image.geometry.spacing_mm();
  VoxelBox window;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const double reach = std::min<double>(size[axis], std::ceil(log_margin_sigmas * sigma_mm / spacing[axis]) + 4);
    window.lower[axis] = std::max(0, input.box.lower[axis] - static_cast<int>(reach));
    window.size[axis] = std::min(size[axis], input.box.lower[axis] + input.box.size[axis] + static_cast<int>(reach)) - window.lower[axis];
  }
  return window;
}

/// Whole numbers of up to 16 bits and floats are floats; the widest window is copied once for all scales.
LogInput make_input(const FilterInput& input, double widest_sigma_mm) {
  LogInput source{input, window_of(input, widest_sigma_mm), {}};
  switch (input.image.pixel_type) {
    case PixelType::int8:
    case PixelType::uint8:
    case PixelType::int16:
    case PixelType::uint16:
    case PixelType::float32: break;
    default: return source;
  }
  const Index3& size = source.box.size;
  source.floats.resize(static_cast<std::size_t>(size[0]) * static_cast<std::size_t>(size[1]) * static_cast<std::size_t>(size[2]));
  float* out = source.floats.data();
  for (int k = 0; k < size[2]; ++k)
    for (int j = 0; j < size[1]; ++j, out += size[0]) {
      const double* in = input.image.voxels.data() + input.image.geometry.offset(source.box.lower[0], j + source.box.lower[1], k + source.box.lower[2]);
      for (int i = 0; i < size[0]; ++i) out[i] = static_cast<float>(in[i]);
    }
  return source;
}

Result<DerivedImage> laplacian(const LogInput& source, std::string name, double sigma_mm) {
  const FilterInput& input = source.filter;
  const Vector3& spacing = input.image.geometry.spacing_mm();
  const VoxelBox window = window_of(input, sigma_mm);
  std::vector<Block> parts(3, Block(VoxelBox{}));
  run_tasks(input.pool, 3, [&](std::size_t axis) { parts[axis] = directional(source, window, sigma_mm, static_cast<int>(axis)); });
  std::vector<float> sum(parts[0].values.size(), 0);
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const double factor = 1.0 / (spacing[axis] * spacing[axis]);
    for (std::size_t at = 0; at < sum.size(); ++at) sum[at] = static_cast<float>(static_cast<double>(sum[at]) + static_cast<double>(parts[axis].values[at]) * factor);
  }
  return boxed_image(std::move(name), input, PixelType::float32, {sum.begin(), sum.end()});
}

}  // namespace

Result<DerivedImages> laplacian_of_gaussian_images(const FilterInput& input, const ExtractionSettings& settings) {
  DerivedImages result;
  const Index3& size = input.image.geometry.size();
  const Vector3& spacing = input.image.geometry.spacing_mm();
  const auto text = [](const Index3& s) { return std::to_string(s[0]) + " x " + std::to_string(s[1]) + " x " + std::to_string(s[2]); };
  if (settings.log_scales.empty()) result.notes.push_back("LoG has no sigma: no LoG image was computed.");
  std::vector<std::pair<std::string, double>> wanted;
  for (const LogScale& scale : settings.log_scales) {
    std::string name = "log-sigma-" + scale.text + "-mm-3D";
    std::replace(name.begin(), name.end(), '.', '-');
    const auto same = [&](const auto& other) { return other.first == name; };
    const auto absent = [&](const MissingImage& other) { return other.name == name; };
    if (std::any_of(wanted.begin(), wanted.end(), same) || std::any_of(result.missing.begin(), result.missing.end(), absent)) continue;
    bool fits = *std::min_element(size.begin(), size.end()) >= 4;
    for (std::size_t axis = 0; axis < 3; ++axis) fits = fits && size[axis] >= std::ceil(scale.sigma_mm / spacing[axis]) + 1;
    if (fits) wanted.emplace_back(std::move(name), scale.sigma_mm);
    else
      result.missing.push_back({std::move(name), {"image_too_small", "The image has " + text(size) + " voxels; LoG with sigma " + scale.text +
                                                                         " mm needs at least 4 and sigma / spacing + 1 of them on every axis."}});
  }
  std::vector<Result<DerivedImage>> images(wanted.size(), fail(ErrorCode::internal, "laplacian_of_gaussian", "not computed"));
  double widest = 0;
  for (const auto& [name, sigma_mm] : wanted) widest = std::max(widest, sigma_mm);
  if (wanted.empty()) return result;
  const LogInput source = make_input(input, widest);
  run_tasks(input.pool, wanted.size(), [&](std::size_t at) { images[at] = laplacian(source, wanted[at].first, wanted[at].second); });
  for (auto& image : images) {
    if (!image) return fail(image.error());
    result.images.push_back(std::move(*image));
  }
  return result;
}

}  // namespace choana::processing
