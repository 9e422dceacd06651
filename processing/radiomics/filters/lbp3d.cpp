#include "processing/radiomics/filters/lbp3d.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <numbers>
#include <string>
#include <utility>

#include "processing/radiomics/filters/icosphere.h"

namespace choana::processing {
namespace {

// --- Spherical harmonics -------------------------------------------------------------------------------------------------------------------

/// (a)_m for whole numbers: gamma(a + m) / gamma(a).
double pochhammer(double a, int m) {
  double result = 1.0;
  for (; m >= 1 && a + m != 1; --m) result *= a + (m - 1);
  for (; m <= -1 && a + m != 0; ++m) result /= a + m;
  return result;
}

/// Associated Legendre function of degree n and order m >= 0, by its hypergeometric series around x = -1 (Zhang and Jin 1996, LPMV).
double legendre_series(int n, int m, double x) {
  double factor = 1.0;
  if (m != 0) {
    double rg = static_cast<double>(n) * (n + m);
    for (int j = 1; j <= m - 1; ++j) rg *= static_cast<double>(n) * n - static_cast<double>(j) * j;
    const double xq = std::sqrt(1.0 - x * x);
    double r0 = 1.0;
    for (int j = 1; j <= m; ++j) r0 = 0.5 * r0 * xq / j;
    factor = r0 * rg;
  }
  double sum = 1.0;
  double term = 1.0;
  for (int k = 1; k <= n - m; ++k) {
    term = 0.5 * term * (-n + m + k - 1.0) * (n + m + k) / (k * (k + m)) * (1.0 + x);
    sum += term;
  }
  return (n % 2 == 0 ? 1.0 : -1.0) * factor * sum;
}

double legendre(int n, int m, double x) {
  if (n <= 2 || n <= m) return legendre_series(n, m, x);
  double before = legendre_series(m, m, x);
  double last = legendre_series(m + 1, m, x);
  double value = last;
  for (int j = m + 2; j <= n; ++j) {
    value = ((2.0 * j - 1) * x * last - (j - 1.0 + m) * before) / (j - m);
    before = last;
    last = value;
  }
  return value;
}

// --- Complex arithmetic as NumPy does it on any processor of the last ten years: one fused multiply-add a part ------------------------------------

struct Complex {
  double re = 0;
  double im = 0;
};

// Inlined into code for processors with and without the instruction, which give the same numbers.
#define CHOANA_INLINE inline __attribute__((always_inline))
#if defined(__x86_64__)
#define CHOANA_TARGET_FMA __attribute__((target("avx2,fma")))
bool has_fma() {
  static const bool known = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
  return known;
}
#else
#define CHOANA_TARGET_FMA
bool has_fma() { return false; }
#endif

CHOANA_INLINE Complex product(const Complex& a, const Complex& b) { return {__builtin_fma(a.re, b.re, -(a.im * b.im)), __builtin_fma(a.re, b.im, a.im * b.re)}; }
CHOANA_INLINE void add(Complex& sum, const Complex& value) {
  sum.re += value.re;
  sum.im += value.im;
}

// --- Cubic splines as scipy.ndimage computes them ---------------------------------------------------------------------------------------------

constexpr double pole = -0.267949192431122706472553658494127633;  // sqrt(3) - 2
/// Beyond this many voxels the recursion has forgotten (0.27^60 = 5e-35): coefficients near the region need no more of the image.
constexpr int spline_reach = 60;

/// Coefficients of a box of the image.
struct SplineBlock {
  VoxelBox box;
  Index3 image_size{};
  std::vector<double> coefficients;

  [[nodiscard]] std::size_t offset(int i, int j, int k) const {
    return (static_cast<std::size_t>(k - box.lower[2]) * static_cast<std::size_t>(box.size[1]) + static_cast<std::size_t>(j - box.lower[1])) *
               static_cast<std::size_t>(box.size[0]) +
           static_cast<std::size_t>(i - box.lower[0]);
  }
};

/// One line of n samples `step` apart, `lanes` lines side by side. The line is the part of an axis of `whole` voxels that starts at `first`.
void prefilter(double* c, int n, std::ptrdiff_t step, std::ptrdiff_t lanes, int first, int whole) {
  if (whole < 2) return;
  const double gain = (1.0 - pole) * (1.0 - 1.0 / pole);
  const auto at = [&](int i) { return c + static_cast<std::ptrdiff_t>(i) * step; };
  for (int i = 0; i < n; ++i)
    for (std::ptrdiff_t l = 0; l < lanes; ++l) at(i)[l] *= gain;
  if (first == 0) {
    // Whole-sample mirror. Terms beyond the reach are below the last bit, so a line that is cut short needs no more.
    const bool complete = n == whole;
    const double far = std::pow(pole, whole - 1);
    const int terms = complete ? n - 1 : n;
    for (std::ptrdiff_t l = 0; l < lanes; ++l) {
      double& start = at(0)[l];
      if (complete) start = start + far * at(n - 1)[l];
      double power = pole;
      for (int i = 1; i < terms; ++i) {
        start += power * (complete ? at(i)[l] + far * at(n - 1 - i)[l] : at(i)[l]);
        power *= pole;
      }
      start /= 1 - far * far;
    }
  }
  for (int i = 1; i < n; ++i)
    for (std::ptrdiff_t l = 0; l < lanes; ++l) at(i)[l] += pole * at(i - 1)[l];
  if (first + n == whole)
    for (std::ptrdiff_t l = 0; l < lanes; ++l) at(n - 1)[l] = (pole * at(n - 2)[l] + at(n - 1)[l]) * pole / (pole * pole - 1);
  for (int i = n - 2; i >= 0; --i)
    for (std::ptrdiff_t l = 0; l < lanes; ++l) at(i)[l] = pole * (at(i + 1)[l] - at(i)[l]);
}

SplineBlock spline_coefficients(const ScalarVolume& image, const VoxelBox& needed, int margin, TaskPool* pool) {
  SplineBlock block;
  block.image_size = image.geometry.size();
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const int reach = std::min(block.image_size[axis], margin + spline_reach);
    block.box.lower[axis] = std::max(0, needed.lower[axis] - reach);
    block.box.size[axis] = std::min(block.image_size[axis], needed.lower[axis] + needed.size[axis] + reach) - block.box.lower[axis];
  }
  block.coefficients = crop_values(image.voxels, block.image_size, block.box);
  const Index3& n = block.box.size;
  const std::ptrdiff_t row = n[0];
  const std::ptrdiff_t slice = row * n[1];
  // SciPy filters the slowest axis first. Rows run in parallel lanes along k and j.
  run_tasks(pool, static_cast<std::size_t>(n[1]), [&](std::size_t j) {
    prefilter(block.coefficients.data() + static_cast<std::ptrdiff_t>(j) * row, n[2], slice, row, block.box.lower[2], block.image_size[2]);
  });
  run_tasks(pool, static_cast<std::size_t>(n[2]), [&](std::size_t k) {
    double* start = block.coefficients.data() + static_cast<std::ptrdiff_t>(k) * slice;
    prefilter(start, n[1], row, row, block.box.lower[1], block.image_size[1]);
    for (int j = 0; j < n[1]; ++j) prefilter(start + j * row, n[0], 1, 1, block.box.lower[0], block.image_size[0]);
  });
  return block;
}

/// Where one coordinate of a sample falls: four coefficients and their weights.
struct Knots {
  bool outside = false;
  bool plain = false;          // four neighbours in a row, not mirrored
  std::array<int, 4> index{};  // of the image, mirrored at its edges
  std::array<double, 4> weight{};
};

Knots knots_at(double position, int size) {
  Knots knots;
  if (position < 0 || position > size - 1) {
    knots.outside = true;
    return knots;
  }
  const double below = std::floor(position);
  const int start = static_cast<int>(below) - 1;
  for (int at = 0; at < 4; ++at) {
    int index = start + at;
    if (size < 2) index = 0;
    else {
      const int period = 2 * size - 2;
      index = ((index % period) + period) % period;
      if (index >= size) index = period - index;
    }
    knots.index[static_cast<std::size_t>(at)] = index;
  }
  knots.plain = start >= 0 && start + 3 < size;
  const double y = position - below;
  const double z = 1.0 - y;
  knots.weight[1] = (y * y * (y - 2.0) * 3.0 + 4.0) / 6.0;
  knots.weight[2] = (z * z * (z - 2.0) * 3.0 + 4.0) / 6.0;
  knots.weight[0] = z * z * z / 6.0;
  knots.weight[3] = 1.0;
  for (std::size_t at = 0; at < 3; ++at) knots.weight[3] -= knots.weight[at];
  return knots;
}

/// The spline at one place, or 0 outside. Terms are added one by one, k slowest, each multiplied by its weights in the order k, j, i: as SciPy does.
double interpolate(const SplineBlock& block, const Knots& x, const Knots& y, const Knots& z) {
  if (x.outside || y.outside || z.outside) return 0;
  double value = 0;
  for (std::size_t k = 0; k < 4; ++k)
    for (std::size_t j = 0; j < 4; ++j) {
      const double* row = block.coefficients.data() + block.offset(block.box.lower[0], y.index[j], z.index[k]) - block.box.lower[0];
      for (std::size_t i = 0; i < 4; ++i) value += row[x.index[i]] * z.weight[k] * y.weight[j] * x.weight[i];
    }
  return value;
}

/// Each sum waits for its own last term, so several places are interpolated side by side.
constexpr std::size_t side_by_side = 6;
typedef double Four __attribute__((vector_size(32)));  // NOLINT: the attribute wants a typedef

/// The same for places whose knots are plain.
CHOANA_INLINE void interpolate_plain_body(const SplineBlock& block, const Knots* x, const Knots* y, const Knots* z, double* values) {
  std::array<double, side_by_side> sums{};
  std::array<const double*, side_by_side> corner{};
  std::array<Four, side_by_side> weight_x{};
  for (std::size_t l = 0; l < side_by_side; ++l) {
    corner[l] = block.coefficients.data() + block.offset(x[l].index[0], y[l].index[0], z[l].index[0]);
    std::memcpy(&weight_x[l], x[l].weight.data(), sizeof(Four));
  }
  const std::ptrdiff_t row = block.box.size[0];
  const std::ptrdiff_t slice = row * block.box.size[1];
  for (std::size_t k = 0; k < 4; ++k)
    for (std::size_t j = 0; j < 4; ++j) {
      const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(k) * slice + static_cast<std::ptrdiff_t>(j) * row;
      for (std::size_t l = 0; l < side_by_side; ++l) {
        Four term;
        std::memcpy(&term, corner[l] + at, sizeof term);
        term = term * z[l].weight[k] * y[l].weight[j] * weight_x[l];
        sums[l] += term[0];
        sums[l] += term[1];
        sums[l] += term[2];
        sums[l] += term[3];
      }
    }
  for (std::size_t l = 0; l < side_by_side; ++l) values[l] = sums[l];
}

CHOANA_TARGET_FMA void interpolate_plain_wide(const SplineBlock& block, const Knots* x, const Knots* y, const Knots* z, double* values) {
  interpolate_plain_body(block, x, y, z, values);
}

void interpolate_plain(const SplineBlock& block, const Knots* x, const Knots* y, const Knots* z, double* values) {
  if (has_fma()) interpolate_plain_wide(block, x, y, z, values);
  else interpolate_plain_body(block, x, y, z, values);
}

/// A sample in the pixel type of the image: integers rounded half away from zero and clamped.
double in_pixel_type(PixelType type, double value) {
  if (type == PixelType::float64) return value;
  if (type == PixelType::float32) return static_cast<double>(static_cast<float>(value));
  double low = 0;
  double high = 0;
  switch (type) {
    case PixelType::int8: low = -128, high = 127; break;
    case PixelType::uint8: high = 255; break;
    case PixelType::int16: low = -32768, high = 32767; break;
    case PixelType::uint16: high = 65535; break;
    case PixelType::int32: low = std::numeric_limits<std::int32_t>::min(), high = std::numeric_limits<std::int32_t>::max(); break;
    case PixelType::uint32: high = std::numeric_limits<std::uint32_t>::max(); break;
    default: break;
  }
  const bool is_unsigned = low == 0;
  const double shifted = value > 0 ? value + 0.5 : is_unsigned ? 0 : value - 0.5;
  return std::trunc(std::clamp(shifted, low, high));
}

// --- Statistics ---------------------------------------------------------------------------------------------------------------------------

/// A sum in the order of NumPy: eight running sums, blocks of at most 128.
template <typename T>
T pairwise_sum(const T* values, std::size_t count) {
  if (count < 8) {
    T sum = 0;
    for (std::size_t at = 0; at < count; ++at) sum += values[at];
    return sum;
  }
  if (count <= 128) {
    std::array<T, 8> part{};
    std::copy(values, values + 8, part.begin());
    std::size_t at = 8;
    for (; at < count - count % 8; at += 8)
      for (std::size_t l = 0; l < 8; ++l) part[l] += values[at + l];
    T sum = ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]));
    for (; at < count; ++at) sum += values[at];
    return sum;
  }
  std::size_t half = count / 2;
  half -= half % 8;
  return pairwise_sum(values, half) + pairwise_sum(values + half, count - half);
}

/// Excess kurtosis (population) as scipy.stats computes it; `flat` where the spread is within rounding of the mean.
template <typename T>
T excess_kurtosis(const std::vector<T>& samples, std::vector<T>& scratch, bool& flat) {
  const auto count = static_cast<T>(samples.size());
  const T mean = pairwise_sum(samples.data(), samples.size()) / count;
  for (std::size_t at = 0; at < samples.size(); ++at) {
    const T difference = samples[at] - mean;
    scratch[at] = difference * difference;
  }
  const T m2 = pairwise_sum(scratch.data(), scratch.size()) / count;
  for (T& value : scratch) value = value * value;
  const T m4 = pairwise_sum(scratch.data(), scratch.size()) / count;
  const T resolution = sizeof(T) == 4 ? T(1e-6) : T(1e-15);
  flat = m2 <= (resolution * mean) * (resolution * mean);
  return flat ? T(-3) : m4 / (m2 * m2) - 3;
}

/// Everything that one voxel needs beside the samples.
struct Sphere {
  std::vector<Vector3> vertices;
  int levels = 2;
  std::vector<Complex> harmonics;  // vertex by vertex: degree 0, then -1, 0, 1 of degree 1, ...
  std::size_t terms = 0;
};

Sphere make_sphere(const ExtractionSettings& settings) {
  Sphere sphere;
  const double radius = settings.lbp3d_icosphere_radius_voxels;
  sphere.vertices = icosphere(settings.lbp3d_icosphere_subdivision, radius);
  sphere.levels = settings.lbp3d_levels;
  sphere.terms = static_cast<std::size_t>(sphere.levels) * static_cast<std::size_t>(sphere.levels);
  for (const Vector3& vertex : sphere.vertices) {
    // PyRadiomics hands polar angle and azimuth over in the wrong order.
    const double polar = std::acos(vertex[2] / radius);
    const double azimuth = std::atan2(vertex[1], vertex[0]);
    for (int n = 0; n < sphere.levels; ++n)
      for (int m = -n; m <= n; ++m) {
        const std::complex<double> value = spherical_harmonic(m, n, polar, azimuth);
        sphere.harmonics.push_back({value.real(), value.imag()});
      }
  }
  return sphere;
}

/// The lengths of the parts of each degree of a pattern of signs.
CHOANA_INLINE void pattern_lengths_body(const Sphere& sphere, const std::vector<char>& above, std::vector<Complex>& coefficients, double* lengths) {
  const std::size_t count = sphere.vertices.size();
  std::fill(coefficients.begin(), coefficients.end(), Complex{});
  for (std::size_t v = 0; v < count; ++v)
    if (above[v] != 0)
      for (std::size_t term = 0; term < sphere.terms; ++term) add(coefficients[term], sphere.harmonics[v * sphere.terms + term]);
  for (int n = 0; n < sphere.levels; ++n) {
    const auto first = static_cast<std::size_t>(n) * static_cast<std::size_t>(n);
    const std::size_t last = first + 2 * static_cast<std::size_t>(n);
    Complex squares;
    for (std::size_t v = 0; v < count; ++v) {
      const Complex* harmonics = sphere.harmonics.data() + v * sphere.terms;
      Complex value = product(coefficients[first], harmonics[first]);
      for (std::size_t term = first + 1; term <= last; ++term) add(value, product(coefficients[term], harmonics[term]));
      add(squares, product(value, value));
    }
    lengths[n] = std::sqrt(std::complex<double>(squares.re, squares.im)).real();
  }
}

CHOANA_TARGET_FMA void pattern_lengths_wide(const Sphere& sphere, const std::vector<char>& above, std::vector<Complex>& coefficients, double* lengths) {
  pattern_lengths_body(sphere, above, coefficients, lengths);
}

void pattern_lengths(const Sphere& sphere, const std::vector<char>& above, std::vector<Complex>& coefficients, double* lengths) {
  if (has_fma()) pattern_lengths_wide(sphere, above, coefficients, lengths);
  else pattern_lengths_body(sphere, above, coefficients, lengths);
}

}  // namespace

std::complex<double> spherical_harmonic(int m, int n, double azimuth, double polar) {
  const int order = std::abs(m);
  double value = legendre(n, order, std::cos(polar));
  if (m < 0) value *= (order % 2 == 0 ? 1.0 : -1.0) * pochhammer(n + order + 1, -2 * order);
  value *= std::sqrt((2 * n + 1) / 4.0 / std::numbers::pi);
  value *= std::sqrt(pochhammer(n + m + 1, -2 * m));
  const double angle = m * azimuth;
  return {value * std::cos(angle), value * std::sin(angle)};
}

Result<DerivedImages> lbp3d_images(const FilterInput& input, const ExtractionSettings& settings) {
  const Sphere sphere = make_sphere(settings);
  const std::size_t count = sphere.vertices.size();
  const VoxelBox& box = input.box;
  const Index3& size = input.image.geometry.size();
  const int margin = static_cast<int>(std::min(1e6, std::ceil(settings.lbp3d_icosphere_radius_voxels))) + 3;
  const SplineBlock block = spline_coefficients(input.image, box, margin, input.pool);
  const auto levels = static_cast<std::size_t>(sphere.levels);
  const auto name = [&](std::size_t n) { return n < levels ? "lbp-3D-m" + std::to_string(n + 1) : std::string("lbp-3D-k"); };
  DerivedImages result;
  if (!std::all_of(block.coefficients.begin(), block.coefficients.end(), [](double value) { return std::isfinite(value); })) {
    // Splines would carry it everywhere.
    for (std::size_t n = 0; n <= levels; ++n)
      result.missing.push_back({name(n), {"not_finite_voxel", "The image holds a voxel that is not a finite number: LBP3D cannot interpolate."}});
    return result;
  }

  // Knots of every position along an axis and every vertex: a position plus a component, added in double as PyRadiomics adds them. A vertex (x, y, z)
  // is added to an index (k, j, i).
  std::array<std::vector<Knots>, 3> knots;
  for (std::size_t axis = 0; axis < 3; ++axis)
    for (int at = 0; at < box.size[axis]; ++at)
      for (const Vector3& vertex : sphere.vertices) knots[axis].push_back(knots_at(static_cast<double>(box.lower[axis] + at) + vertex[2 - axis], size[axis]));

  const std::size_t voxels = static_cast<std::size_t>(box.size[0]) * static_cast<std::size_t>(box.size[1]) * static_cast<std::size_t>(box.size[2]);
  std::vector<std::vector<double>> images(levels + 1, std::vector<double>(voxels, 0));
  std::vector<std::size_t> flat_voxels(static_cast<std::size_t>(box.size[2]), 0);
  const bool single = input.image.pixel_type == PixelType::float32;
  run_tasks(input.pool, static_cast<std::size_t>(box.size[2]), [&](std::size_t slice) {
    std::vector<double> samples(count);
    std::vector<double> scratch(count);
    std::vector<float> samples_single(single ? count : 0);
    std::vector<float> scratch_single(single ? count : 0);
    std::vector<char> above(count);
    std::vector<Complex> coefficients(sphere.terms);
    std::vector<double> lengths(levels);
    const int k = box.lower[2] + static_cast<int>(slice);
    std::size_t target = slice * static_cast<std::size_t>(box.size[0]) * static_cast<std::size_t>(box.size[1]);
    for (int j = 0; j < box.size[1]; ++j)
      for (int i = 0; i < box.size[0]; ++i, ++target) {
        const std::size_t at = input.image.geometry.offset(box.lower[0] + i, box.lower[1] + j, k);
        if (input.mask.labels[at] != static_cast<std::uint32_t>(input.label)) continue;
        const double centre = input.image.voxels[at];
        const Knots* kx = knots[0].data() + static_cast<std::size_t>(i) * count;
        const Knots* ky = knots[1].data() + static_cast<std::size_t>(j) * count;
        const Knots* kz = knots[2].data() + slice * count;
        std::size_t v = 0;
        for (; v + side_by_side <= count; v += side_by_side) {
          bool plain = true;
          for (std::size_t l = 0; l < side_by_side; ++l) plain = plain && kx[v + l].plain && ky[v + l].plain && kz[v + l].plain;
          if (plain) interpolate_plain(block, kx + v, ky + v, kz + v, samples.data() + v);
          else
            for (std::size_t l = 0; l < side_by_side; ++l) samples[v + l] = interpolate(block, kx[v + l], ky[v + l], kz[v + l]);
        }
        for (; v < count; ++v) samples[v] = interpolate(block, kx[v], ky[v], kz[v]);
        for (v = 0; v < count; ++v) {
          samples[v] = in_pixel_type(input.image.pixel_type, samples[v]);
          above[v] = samples[v] >= centre ? 1 : 0;
        }
        pattern_lengths(sphere, above, coefficients, lengths.data());
        for (std::size_t n = 0; n < levels; ++n) images[n][target] = lengths[n];
        bool flat = false;
        if (single) {
          for (v = 0; v < count; ++v) samples_single[v] = static_cast<float>(samples[v]);
          images[levels][target] = static_cast<double>(excess_kurtosis(samples_single, scratch_single, flat));
        } else {
          images[levels][target] = excess_kurtosis(samples, scratch, flat);
        }
        flat_voxels[slice] += flat ? 1 : 0;
      }
  });

  if (settings.force_2d) result.notes.push_back("LBP3D works in three dimensions, while features are extracted in 2D (force2D is on).");
  std::size_t flat = 0;
  for (const std::size_t voxels_here : flat_voxels) flat += voxels_here;
  if (flat > 0)
    result.notes.push_back("In lbp-3D-k " + std::to_string(flat) + " voxels see equal intensities all around: their kurtosis is taken as -3.");
  for (std::size_t n = 0; n <= levels; ++n) {
    auto image = boxed_image(name(n), input, PixelType::float64, std::move(images[n]));
    if (!image) return fail(image.error());
    result.images.push_back(std::move(*image));
  }
  return result;
}

}  // namespace choana::processing
