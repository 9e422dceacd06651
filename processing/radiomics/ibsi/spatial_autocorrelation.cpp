#include "processing/radiomics/ibsi/spatial_autocorrelation.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstddef>
#include <vector>

#include "processing/radiomics/ibsi/filters/fourier_transform.h"

namespace choana::processing::ibsi {
namespace {

constexpr std::size_t pairs_voxels_max = 3000;
constexpr double transform_voxels_max = 33554432.0;   // two volumes of 512 MiB

using Complex = std::complex<double>;

/// Sums over ordered pairs of different voxels, weight w: of w, of w d1 d2, and of w d1^2.
struct PairSums {
  double weights = 0;
  double products = 0;
  double squares = 0;

  PairSums& operator+=(const PairSums& other) {
    weights += other.weights;
    products += other.products;
    squares += other.squares;
    return *this;
  }
};

std::vector<double> deviations(std::span<const double> intensities) {
  double mean = 0;
  for (const double value : intensities) mean += value;
  mean /= static_cast<double>(intensities.size());
  std::vector<double> result(intensities.begin(), intensities.end());
  for (double& value : result) value -= mean;
  return result;
}

SpatialAutocorrelation from_sums(const PairSums& sums, const std::vector<double>& deviation) {
  const auto n = static_cast<double>(deviation.size());
  double variation = 0;
  for (const double d : deviation) variation += d * d;
  // sum of w (d1 - d2)^2 = 2 (sum of w d1^2 - sum of w d1 d2)
  return {n / sums.weights * sums.products / variation, (n - 1) / (2 * sums.weights) * 2 * (sums.squares - sums.products) / variation};
}

std::vector<Index3> voxel_indices(const MeasuredRegion& region) {
  std::vector<Index3> indices;
  std::size_t at = 0;
  for (int k = 0; k < region.size[2]; ++k)
    for (int j = 0; j < region.size[1]; ++j)
      for (int i = 0; i < region.size[0]; ++i, ++at)
        if (region.intensity[at] != 0) indices.push_back({i, j, k});
  return indices;
}

double weight(const Vector3& spacing, int i, int j, int k) {
  const double x = i * spacing[0];
  const double y = j * spacing[1];
  const double z = k * spacing[2];
  return i == 0 && j == 0 && k == 0 ? 0 : 1 / std::sqrt(x * x + y * y + z * z);
}

Index3 transform_size(const Index3& size) {
  Index3 padded{};
  for (std::size_t axis = 0; axis < 3; ++axis) padded[axis] = static_cast<int>(fast_fourier_length(2 * static_cast<std::size_t>(size[axis]) - 1));
  return padded;
}

/// Transform a volume (i fastest) along all axes in place.
void transform_volume(std::vector<Complex>& volume, const Index3& size, bool inverse, TaskPool* pool) {
  std::size_t stride = 1;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const auto length = static_cast<std::size_t>(size[axis]);
    const FourierTransform transform(length);
    const std::size_t lines = volume.size() / length;
    constexpr std::size_t batch = 64;
    run_tasks(pool, (lines + batch - 1) / batch, [&](std::size_t task) {
      std::vector<Complex> line(length);
      for (std::size_t n = task * batch; n < std::min(lines, (task + 1) * batch); ++n) {
        Complex* start = volume.data() + (n / stride) * stride * length + n % stride;
        for (std::size_t at = 0; at < length; ++at) line[at] = start[at * stride];
        if (inverse) transform.inverse(line.data());
        else transform.forward(line.data());
        for (std::size_t at = 0; at < length; ++at) start[at * stride] = line[at];
      }
    });
    stride *= length;
  }
}

}  // namespace

SpatialAutocorrelation autocorrelation_by_pairs(const MeasuredRegion& region, std::span<const double> intensities, TaskPool* pool) {
  const std::vector<double> deviation = deviations(intensities);
  const std::vector<Index3> indices = voxel_indices(region);
  // Weights by distance along each axis, once.
  std::vector<double> table(static_cast<std::size_t>(region.size[0]) * static_cast<std::size_t>(region.size[1]) * static_cast<std::size_t>(region.size[2]));
  for (int k = 0; k < region.size[2]; ++k)
    for (int j = 0; j < region.size[1]; ++j)
      for (int i = 0; i < region.size[0]; ++i) table[region.offset(i, j, k)] = weight(region.spacing_mm, i, j, k);
  std::vector<PairSums> parts(indices.size());
  run_tasks(pool, indices.size(), [&](std::size_t a) {
    for (std::size_t b = 0; b < indices.size(); ++b) {
      const double w = table[region.offset(std::abs(indices[a][0] - indices[b][0]), std::abs(indices[a][1] - indices[b][1]), std::abs(indices[a][2] - indices[b][2]))];
      parts[a].weights += w;
      parts[a].products += w * deviation[a] * deviation[b];
      parts[a].squares += w * deviation[a] * deviation[a];
    }
  });
  PairSums sums;
  for (const PairSums& part : parts) sums += part;
  return from_sums(sums, deviation);
}

SpatialAutocorrelation autocorrelation_by_transform(const MeasuredRegion& region, std::span<const double> intensities, TaskPool* pool) {
  const std::vector<double> deviation = deviations(intensities);
  const std::vector<Index3> indices = voxel_indices(region);
  double largest = 0;
  for (const double d : deviation) largest = std::max(largest, std::abs(d));
  const Index3 size = transform_size(region.size);
  const auto offset = [&](int i, int j, int k) {
    return (static_cast<std::size_t>(k) * static_cast<std::size_t>(size[1]) + static_cast<std::size_t>(j)) * static_cast<std::size_t>(size[0]) + static_cast<std::size_t>(i);
  };
  const std::size_t voxels = offset(0, 0, size[2]);
  // The weights depend on the offset alone: convolving the mask (real part) and the deviations (imaginary part) with them gives all sums at once.
  std::vector<Complex> weights(voxels);
  for (int k = 0; k < size[2]; ++k)
    for (int j = 0; j < size[1]; ++j)
      for (int i = 0; i < size[0]; ++i)
        weights[offset(i, j, k)] = weight(region.spacing_mm, std::min(i, size[0] - i), std::min(j, size[1] - j), std::min(k, size[2] - k));
  transform_volume(weights, size, false, pool);
  std::vector<Complex> signal(voxels);
  for (std::size_t n = 0; n < indices.size(); ++n) signal[offset(indices[n][0], indices[n][1], indices[n][2])] = {1, deviation[n] / largest};
  transform_volume(signal, size, false, pool);
  for (std::size_t at = 0; at < voxels; ++at) signal[at] *= weights[at].real();   // an even real function has a real transform
  transform_volume(signal, size, true, pool);
  PairSums sums;
  for (std::size_t n = 0; n < indices.size(); ++n) {
    const Complex& potential = signal[offset(indices[n][0], indices[n][1], indices[n][2])];
    sums.weights += potential.real();
    sums.products += deviation[n] * potential.imag() * largest;
    sums.squares += deviation[n] * deviation[n] * potential.real();
  }
  return from_sums(sums, deviation);
}

std::variant<SpatialAutocorrelation, NotComputed> spatial_autocorrelation(const MeasuredRegion& region, std::span<const double> intensities, TaskPool* pool) {
  const auto [low, high] = std::minmax_element(intensities.begin(), intensities.end());
  if (intensities.size() < 2) return NotComputed{"roi_too_small", "Spatial autocorrelation needs two voxels."};
  if (*low == *high) return NotComputed{"flat_region", "The region has one intensity only."};
  if (intensities.size() <= pairs_voxels_max) return autocorrelation_by_pairs(region, intensities, pool);
  const Index3 size = transform_size(region.size);
  if (static_cast<double>(size[0]) * size[1] * size[2] > transform_voxels_max)
    return NotComputed{"limit_exceeded", "The box of the region is too large for spatial autocorrelation (more than 2^25 voxels once doubled)."};
  return autocorrelation_by_transform(region, intensities, pool);
}

}  // namespace choana::processing::ibsi
