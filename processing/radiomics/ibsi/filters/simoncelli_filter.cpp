#include <cmath>
#include <complex>
#include <numbers>

#include "core/task_pool.h"
#include "processing/radiomics/ibsi/filters/filter_functions.h"
#include "processing/radiomics/ibsi/filters/fourier_transform.h"
#include "processing/radiomics/ibsi/filters/separable_convolution.h"

namespace choana::processing::ibsi {
namespace {

using Complex = std::complex<double>;
constexpr std::size_t spectrum_voxels_max = std::size_t{1} << 29;

/// Transform a volume along one axis.
void transform_axis(std::vector<Complex>& volume, const Index3& size, int axis, bool inverse, TaskPool* pool) {
  const auto n = static_cast<std::size_t>(size[static_cast<std::size_t>(axis)]);
  if (n == 1) return;
  const auto ni = static_cast<std::size_t>(size[0]);
  const auto nj = static_cast<std::size_t>(size[1]);
  const auto nk = static_cast<std::size_t>(size[2]);
  const FourierTransform transform(n);
  const std::size_t stride = axis == 0 ? 1 : (axis == 1 ? ni : ni * nj);
  const std::size_t slabs = axis == 2 ? nj : nk;
  const std::size_t lines = axis == 0 ? nj : ni;
  run_tasks(pool, slabs, [&](std::size_t slab) {
    std::vector<Complex> line(n);
    for (std::size_t l = 0; l < lines; ++l) {
      Complex* first = volume.data() + (axis == 0 ? (slab * nj + l) * ni : (axis == 1 ? slab * nj * ni + l : slab * ni + l));
      for (std::size_t at = 0; at < n; ++at) line[at] = first[at * stride];
      if (inverse) transform.inverse(line.data());
      else transform.forward(line.data());
      for (std::size_t at = 0; at < n; ++at) first[at * stride] = line[at];
    }
  });
}

/// Frequency of a bin as a share of the highest, in [-1, 1]. The grid of the reference maps runs from -1 to 1 with its centre between the bins of an even size,
/// so that the zero frequency lies half a bin off and the gain is not quite even; the real part of the response is the result.
double share_of_highest(std::size_t bin, int size) {
  if (size == 1) return 0;
  const auto n = static_cast<std::size_t>(size);
  const double half = 0.5 * (size - 1);
  return (static_cast<double>((bin + n / 2) % n) - half) / half;
}

}  // namespace

Status check(const SimoncelliFilter& filter) {
  if (filter.level < 1 || filter.level > levels_max)
    return fail(ErrorCode::invalid_settings, "filter_image", "The level of a Simoncelli wavelet must lie between 1 and 8, but it is " + std::to_string(filter.level) + ".");
  return {};
}

std::string filter_name(const SimoncelliFilter& filter) {
  return std::string("simoncelli-") + (filter.by_slice ? "2D" : "3D") + "-level-" + std::to_string(filter.level);
}

/// Gain cos(pi/2 log2(2 v / c)) for c/4 < v <= c, else 0: v the radial frequency as a share of the highest, c = 2^(1 - level).
/// Source: IBSI 2 reference manual, non-separable wavelets; Portilla and Simoncelli 2000.
Result<std::vector<double>> respond(const SimoncelliFilter& filter, const ScalarVolume& image, TaskPool* pool) {
  const Index3& size = image.geometry.size();
  const int dimensions = filter.by_slice ? 2 : 3;
  Index3 extended = size;
  if (filter.boundary != Boundary::periodic)
    for (std::size_t axis = 0; axis < static_cast<std::size_t>(dimensions); ++axis) extended[axis] = 2 * size[axis];
  const auto ni = static_cast<std::size_t>(extended[0]);
  const auto nj = static_cast<std::size_t>(extended[1]);
  const auto nk = static_cast<std::size_t>(extended[2]);
  if (ni > spectrum_voxels_max / nj / nk)
    return fail(ErrorCode::limit_exceeded, "filter_image", "The Simoncelli wavelet would need more than 8 GiB here. Crop the image first.");
  // The extension repeats with period 2 N: its first half is the image, its second what lies above and, from its middle on for `nearest`, below it.
  const auto source = [&](std::size_t index, std::size_t axis) {
    const auto at = static_cast<std::int64_t>(index);
    const std::int64_t n = size[axis];
    if (at < n) return at;
    return boundary_index(filter.boundary == Boundary::nearest && 2 * at >= 3 * n ? at - 2 * n : at, n, filter.boundary);
  };
  std::vector<Complex> spectrum(ni * nj * nk);
  for (std::size_t k = 0; k < nk; ++k)
    for (std::size_t j = 0; j < nj; ++j)
      for (std::size_t i = 0; i < ni; ++i) {
        const std::int64_t from[3] = {source(i, 0), source(j, 1), source(k, 2)};
        if (from[0] < 0 || from[1] < 0 || from[2] < 0) continue;
        spectrum[(k * nj + j) * ni + i] = image.voxels[image.geometry.offset(static_cast<int>(from[0]), static_cast<int>(from[1]), static_cast<int>(from[2]))];
      }
  for (int axis = 0; axis < dimensions; ++axis) transform_axis(spectrum, extended, axis, false, pool);
  const double cutoff = std::pow(2.0, 1 - filter.level);
  run_tasks(pool, nk, [&](std::size_t k) {
    const double vk = dimensions == 3 ? share_of_highest(k, extended[2]) : 0;
    for (std::size_t j = 0; j < nj; ++j) {
      const double vj = share_of_highest(j, extended[1]);
      for (std::size_t i = 0; i < ni; ++i) {
        const double vi = share_of_highest(i, extended[0]);
        const double v = std::sqrt(vi * vi + vj * vj + vk * vk);
        const bool inside = v > cutoff / 4 && v <= cutoff;
        spectrum[(k * nj + j) * ni + i] *= inside ? std::cos(std::numbers::pi / 2 * std::log2(2 * v / cutoff)) : 0.0;
      }
    }
  });
  for (int axis = 0; axis < dimensions; ++axis) transform_axis(spectrum, extended, axis, true, pool);
  std::vector<double> response;
  response.reserve(image.voxels.size());
  for (std::size_t k = 0; k < static_cast<std::size_t>(size[2]); ++k)
    for (std::size_t j = 0; j < static_cast<std::size_t>(size[1]); ++j)
      for (std::size_t i = 0; i < static_cast<std::size_t>(size[0]); ++i) response.push_back(spectrum[(k * nj + j) * ni + i].real());
  return response;
}

}  // namespace choana::processing::ibsi
