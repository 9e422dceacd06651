#include "processing/preprocessing/ibsi_grid.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <string>

namespace choana::processing {
namespace {

constexpr double voxels_max = 2147483648.0;
constexpr double stray_fraction = 1e-5;
constexpr std::size_t edge_voxels = 12;     // beyond which the spline of the extended volume no longer changes (0.27^12 = 1e-7)
constexpr std::size_t block_lines = 32;

/// One sample of the new axis: up to four taps on the old one.
struct Sample {
  std::size_t first = 0;
  std::array<double, 4> weights{};
};

std::vector<Sample> plan_samples(std::size_t from, std::size_t to, double ratio, GridInterpolation interpolation) {
  std::vector<Sample> samples(to);
  const double last = static_cast<double>(from) - 1;
  for (std::size_t at = 0; at < to; ++at) {
    const double position = 0.5 * last + (static_cast<double>(at) - 0.5 * (static_cast<double>(to) - 1)) * ratio;
    const double inside = std::clamp(position, 0.0, last);
    Sample& sample = samples[at];
    switch (interpolation) {
      case GridInterpolation::nearest_neighbour:
        sample.first = static_cast<std::size_t>(std::min(std::floor(inside + 0.5), last));
        sample.weights = {1, 0, 0, 0};
        break;
      case GridInterpolation::linear: {
        const double base = std::floor(inside);
        sample.first = static_cast<std::size_t>(base);
        sample.weights = {1 - (inside - base), inside - base, 0, 0};
        break;
      }
      case GridInterpolation::cubic_spline: {
        const double base = std::floor(position);
        const double t = position - base;
        const double u = 1 - t;
        sample.first = static_cast<std::size_t>(base + static_cast<double>(edge_voxels) - 1);
        sample.weights = {u * u * u / 6, 2.0 / 3 - t * t * (2 - t) / 2, 2.0 / 3 - u * u * (2 - u) / 2, t * t * t / 6};
        break;
      }
    }
  }
  return samples;
}

/// Turn samples of `lines` lines (line fastest) into B-spline coefficients in place; whole-sample mirror at the ends, which lie far outside.
void prefilter(std::vector<double>& line, std::size_t length, std::size_t lines) {
  const double pole = std::sqrt(3.0) - 2;
  const auto row = [&](std::size_t at) { return line.data() + at * lines; };
  for (double& value : line) value *= 6;
  double factor = pole;
  for (std::size_t at = 1; at < length && at < 40; ++at, factor *= pole)
    for (std::size_t n = 0; n < lines; ++n) row(0)[n] += factor * row(at)[n];
  for (std::size_t at = 1; at < length; ++at)
    for (std::size_t n = 0; n < lines; ++n) row(at)[n] += pole * row(at - 1)[n];
  for (std::size_t n = 0; n < lines; ++n) row(length - 1)[n] = pole / (pole * pole - 1) * (row(length - 1)[n] + pole * row(length - 2)[n]);
  for (std::size_t at = length - 1; at-- > 0;)
    for (std::size_t n = 0; n < lines; ++n) row(at)[n] = pole * (row(at + 1)[n] - row(at)[n]);
}

/// One pass along an axis of a volume seen as outer x length x inner (inner fastest).
std::vector<double> resample_axis(const std::vector<double>& values, std::size_t outer, std::size_t from, std::size_t inner, std::size_t to, double ratio,
                                  GridInterpolation interpolation, TaskPool* pool) {
  const std::vector<Sample> samples = plan_samples(from, to, ratio, interpolation);
  const bool spline = interpolation == GridInterpolation::cubic_spline;
  const std::size_t edge = spline ? edge_voxels : 0;
  const std::size_t taps = spline ? 4 : interpolation == GridInterpolation::linear ? 2 : 1;
  const std::size_t length = from + 2 * edge;
  std::vector<double> result(outer * to * inner);
  // Lines are taken in blocks: neighbours along `inner`, or, for the fastest axis, along `outer`.
  const bool fastest = inner == 1;
  const std::size_t lines_all = fastest ? outer : inner;
  const std::size_t blocks = (lines_all + block_lines - 1) / block_lines;
  run_tasks(pool, fastest ? blocks : outer * blocks, [&](std::size_t task) {
    const std::size_t slab = fastest ? 0 : task / blocks;
    const std::size_t begin = (fastest ? task : task % blocks) * block_lines;
    const std::size_t lines = std::min(block_lines, lines_all - begin);
    std::vector<double> buffer((length + 1) * lines);   // one row more: the second tap at the last centre
    const auto source = [&](std::size_t at, std::size_t n) { return fastest ? values[(begin + n) * from + at] : values[(slab * from + at) * inner + begin + n]; };
    for (std::size_t at = 0; at < length; ++at) {
      const std::size_t old = std::min(at < edge ? 0 : at - edge, from - 1);
      for (std::size_t n = 0; n < lines; ++n) buffer[at * lines + n] = source(old, n);
    }
    if (spline) {
      buffer.resize(length * lines);
      prefilter(buffer, length, lines);
    }
    for (std::size_t at = 0; at < to; ++at) {
      const Sample& sample = samples[at];
      for (std::size_t n = 0; n < lines; ++n) {
        double sum = 0;
        for (std::size_t tap = 0; tap < taps; ++tap) sum += sample.weights[tap] * buffer[(sample.first + tap) * lines + n];
        (fastest ? result[(begin + n) * to + at] : result[(slab * to + at) * inner + begin + n]) = sum;
      }
    }
  });
  return result;
}

}  // namespace

Result<VolumeGeometry> centre_aligned_grid(const VolumeGeometry& grid, const Vector3& spacing_mm) {
  Index3 size = grid.size();
  Vector3 spacing = grid.spacing_mm();
  Vector3 first{};
  double voxels = 1;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    if (!(spacing_mm[axis] >= 0)) return fail(ErrorCode::invalid_argument, "interpolate", "The spacing of a grid must not be below 0.");
    if (spacing_mm[axis] > 0) {
      const double count = std::max(1.0, std::ceil(size[axis] * spacing[axis] / spacing_mm[axis] - stray_fraction));
      const double ratio = spacing_mm[axis] / spacing[axis];
      if (!(count < voxels_max)) return fail(ErrorCode::limit_exceeded, "interpolate", "The interpolated image would hold more than 2^31 voxels. Check spacing_mm.");
      first[axis] = 0.5 * (size[axis] - 1 - ratio * (count - 1));
      size[axis] = static_cast<int>(count);
      spacing[axis] = spacing_mm[axis];
    }
    voxels *= size[axis];
  }
  if (!(voxels < voxels_max)) return fail(ErrorCode::limit_exceeded, "interpolate", "The interpolated image would hold more than 2^31 voxels. Check spacing_mm.");
  return VolumeGeometry::make(size, spacing, grid.index_to_patient(first), grid.direction(), grid.frame_of_reference_uid());
}

std::vector<double> interpolate_to_grid(std::vector<double> values, const VolumeGeometry& from, const VolumeGeometry& to, GridInterpolation interpolation, TaskPool* pool) {
  Index3 size = from.size();
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const double ratio = to.spacing_mm()[axis] / from.spacing_mm()[axis];
    if (ratio == 1 && to.size()[axis] == size[axis]) continue;
    std::size_t inner = 1;
    std::size_t outer = 1;
    for (std::size_t a = 0; a < axis; ++a) inner *= static_cast<std::size_t>(size[a]);
    for (std::size_t a = axis + 1; a < 3; ++a) outer *= static_cast<std::size_t>(size[a]);
    values = resample_axis(values, outer, static_cast<std::size_t>(size[axis]), inner, static_cast<std::size_t>(to.size()[axis]), ratio, interpolation, pool);
    size[axis] = to.size()[axis];
  }
  return values;
}

}  // namespace choana::processing
