#include "processing/preprocessing/resampler.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>

#include "processing/itk/grid.h"

namespace choana::processing {
namespace {

constexpr double pole = -0.26794919243112281;          // sqrt(3) - 2, of the cubic B-spline
constexpr double initialisation_tolerance = 1e-10;     // where ITK cuts the first causal sum
constexpr double voxels_max = 2147483648.0;
/// Coefficients depend on samples further away than this by less than 1e-36.
constexpr int prefilter_margin_voxels = 64;

/// Where the samples of one output row lie in the input: a straight line, as ITK traces it.
struct RowTrace {
  Vector3 start{};
  Vector3 step{};
  double length = 1;

  [[nodiscard]] Vector3 at(int i) const {
    const double alpha = static_cast<double>(i) / length;
    return {start[0] + alpha * step[0], start[1] + alpha * step[1], start[2] + alpha * step[2]};
  }
};

class GridTracer {
 public:
  GridTracer(const VolumeGeometry& input, const VolumeGeometry& output) : input_(itk_grid(input)), output_(itk_grid(output)), row_length_(output.size()[0]) {}

  [[nodiscard]] RowTrace row(int j, int k) const {
    RowTrace trace;
    trace.start = map({0, static_cast<double>(j), static_cast<double>(k)});
    trace.step = map({static_cast<double>(row_length_), static_cast<double>(j), static_cast<double>(k)}) - trace.start;
    trace.length = row_length_;
    return trace;
  }

  [[nodiscard]] Vector3 map(const Vector3& index) const { return input_.index_from_patient(output_.patient_from_index(index)); }

 private:
  ItkGrid input_;
  ItkGrid output_;
  int row_length_;
};

bool inside(const Vector3& index, const Index3& size) {
  for (std::size_t axis = 0; axis < 3; ++axis)
    if (!(index[axis] >= -0.5 && index[axis] < static_cast<double>(size[axis]) - 0.5)) return false;
  return true;
}

/// Prefilter `lines` parallel lines of `length` samples: sample n of line l lies at data[n * sample_stride + l * line_stride].
/// Source: Unser 1999, box 2, with the truncated first sum of ITK.
void prefilter_lines(double* data, std::size_t length, std::size_t sample_stride, std::size_t lines, std::size_t line_stride) {
  if (length == 1) return;
  const double gain = 1.0 * (1.0 - pole) * (1.0 - 1.0 / pole);
  const auto horizon = static_cast<std::size_t>(std::ceil(std::log(initialisation_tolerance) / std::log(std::fabs(pole))));
  const auto each_line = [&](auto&& operation) {
    for (std::size_t line = 0; line < lines; ++line) operation(data + line * line_stride);
  };
  for (std::size_t n = 0; n < length; ++n)
    each_line([&](double* line) { line[n * sample_stride] *= gain; });
  if (horizon < length) {
    double power = pole;
    for (std::size_t n = 1; n < horizon; ++n) {
      each_line([&](double* line) { line[0] += power * line[n * sample_stride]; });
      power *= pole;
    }
  } else {
    const double inverse = 1.0 / pole;
    double power = pole;
    double mirrored = std::pow(pole, static_cast<double>(length - 1));
    each_line([&](double* line) { line[0] += mirrored * line[(length - 1) * sample_stride]; });
    mirrored *= mirrored * inverse;
    for (std::size_t n = 1; n + 2 <= length; ++n) {
      each_line([&](double* line) { line[0] += (power + mirrored) * line[n * sample_stride]; });
      power *= pole;
      mirrored *= inverse;
    }
    each_line([&](double* line) { line[0] /= 1.0 - power * power; });
  }
  for (std::size_t n = 1; n < length; ++n)
    each_line([&](double* line) { line[n * sample_stride] += pole * line[(n - 1) * sample_stride]; });
  const double anticausal = pole / (pole * pole - 1.0);
  each_line([&](double* line) {
    line[(length - 1) * sample_stride] = anticausal * (pole * line[(length - 2) * sample_stride] + line[(length - 1) * sample_stride]);
  });
  for (std::size_t n = length - 1; n-- > 0;)
    each_line([&](double* line) { line[n * sample_stride] = pole * (line[(n + 1) * sample_stride] - line[n * sample_stride]); });
}

/// Cubic B-spline coefficients of a box of an image.
class SplineCoefficients {
 public:
  SplineCoefficients(const ScalarVolume& image, const VoxelBox& box) : image_size_(image.geometry.size()), box_(box) {
    values_ = crop_values(image.voxels, image_size_, box);
    const auto nx = static_cast<std::size_t>(box.size[0]);
    const auto ny = static_cast<std::size_t>(box.size[1]);
    const auto nz = static_cast<std::size_t>(box.size[2]);
    for (std::size_t row = 0; row < ny * nz; ++row) prefilter_lines(values_.data() + row * nx, nx, 1, 1, nx);
    for (std::size_t k = 0; k < nz; ++k) prefilter_lines(values_.data() + k * nx * ny, ny, nx, nx, 1);
    for (std::size_t j = 0; j < ny; ++j) prefilter_lines(values_.data() + j * nx, nz, nx * ny, nx, 1);
  }

  /// The spline at a continuous index inside the image.
  [[nodiscard]] double at(const Vector3& index) const {
    std::array<std::array<double, 4>, 3> weight;
    std::array<std::array<std::ptrdiff_t, 4>, 3> offset;
    const std::array<std::ptrdiff_t, 3> stride{1, box_.size[0], static_cast<std::ptrdiff_t>(box_.size[0]) * box_.size[1]};
    bool contiguous = true;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      // ITK rounds the index to float before it takes the floor.
      const int base = static_cast<int>(std::floor(static_cast<float>(index[axis]))) - 1;
      const double w = index[axis] - static_cast<double>(base + 1);
      auto& values = weight[axis];
      values[3] = (1.0 / 6.0) * w * w * w;
      values[0] = (1.0 / 6.0) + 0.5 * w * (w - 1.0) - values[3];
      values[2] = w + values[0] - 2.0 * values[3];
      values[1] = 1.0 - values[0] - values[2] - values[3];
      for (int tap = 0; tap < 4; ++tap)
        offset[axis][static_cast<std::size_t>(tap)] = (mirror(base + tap, image_size_[axis]) - box_.lower[axis]) * stride[axis];
      if (axis == 0) contiguous = base >= 0 && base + 3 < image_size_[0];
    }
    double sum = 0;
    for (std::size_t c = 0; c < 4; ++c)
      for (std::size_t b = 0; b < 4; ++b) {
        const double* row = values_.data() + offset[2][c] + offset[1][b];
        const double wy = weight[1][b];
        const double wz = weight[2][c];
        if (contiguous) {
          const double* taps = row + offset[0][0];
          const double p0 = weight[0][0] * wy * wz * taps[0];
          const double p1 = weight[0][1] * wy * wz * taps[1];
          const double p2 = weight[0][2] * wy * wz * taps[2];
          const double p3 = weight[0][3] * wy * wz * taps[3];
          sum += p0;
          sum += p1;
          sum += p2;
          sum += p3;
        } else {
          for (std::size_t a = 0; a < 4; ++a) sum += weight[0][a] * wy * wz * row[offset[0][a]];
        }
      }
    return sum;
  }

 private:
  static int mirror(int index, int size) {
    if (size == 1) return 0;
    while (index < 0 || index >= size) {
      if (index < 0) index = -index;
      if (index >= size) index = 2 * (size - 1) - index;
    }
    return index;
  }

  Index3 image_size_;
  VoxelBox box_;
  std::vector<double> values_;
};

double linear_at(const ScalarVolume& image, const Vector3& index) {
  const Index3& size = image.geometry.size();
  Index3 base{};
  Vector3 distance{};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    base[axis] = std::max(0, static_cast<int>(std::floor(index[axis])));
    distance[axis] = index[axis] - static_cast<double>(base[axis]);
    // Beyond the first or last centre the edge value holds.
    if (distance[axis] < 0 || base[axis] + 1 >= size[axis]) distance[axis] = 0;
  }
  const auto value = [&](int i, int j, int k) {
    return image.voxels[image.geometry.offset(base[0] + (distance[0] > 0 ? i : 0), base[1] + (distance[1] > 0 ? j : 0), base[2] + (distance[2] > 0 ? k : 0))];
  };
  const auto along_i = [&](int j, int k) { return value(0, j, k) + (value(1, j, k) - value(0, j, k)) * distance[0]; };
  const auto along_j = [&](int k) { return along_i(0, k) + (along_i(1, k) - along_i(0, k)) * distance[1]; };
  return along_j(0) + (along_j(1) - along_j(0)) * distance[2];
}

/// The index that rounding half up gives, kept inside.
std::size_t nearest_offset(const VolumeGeometry& geometry, const Vector3& index) {
  Index3 nearest{};
  for (std::size_t axis = 0; axis < 3; ++axis)
    nearest[axis] = std::clamp(static_cast<int>(std::floor(index[axis] + 0.5)), 0, geometry.size()[axis] - 1);
  return geometry.offset(nearest[0], nearest[1], nearest[2]);
}

/// The box of input voxels that samples of `grid` can touch, with the margin of the prefilter.
VoxelBox support_box(const GridTracer& tracer, const Index3& input_size, const Index3& grid_size) {
  VoxelBox box;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    double low = std::numeric_limits<double>::infinity();
    double high = -low;
    for (int corner = 0; corner < 8; ++corner) {
      const Vector3 index{(corner & 1) != 0 ? grid_size[0] - 1.0 : 0.0, (corner & 2) != 0 ? grid_size[1] - 1.0 : 0.0,
                          (corner & 4) != 0 ? grid_size[2] - 1.0 : 0.0};
      const double at = tracer.map(index)[axis];
      low = std::min(low, at);
      high = std::max(high, at);
    }
    const double last = input_size[axis] - 1.0;
    const double from = std::clamp(std::floor(low) - 3 - prefilter_margin_voxels, 0.0, last);
    const double to = std::clamp(std::ceil(high) + 3 + prefilter_margin_voxels, 0.0, last);
    box.lower[axis] = static_cast<int>(from);
    box.size[axis] = static_cast<int>(to) - box.lower[axis] + 1;
  }
  return box;
}

template <typename Sampler>
void sample_grid(const GridTracer& tracer, const Index3& input_size, const Index3& grid_size, Sampler&& sampler) {
  std::size_t at = 0;
  for (int k = 0; k < grid_size[2]; ++k)
    for (int j = 0; j < grid_size[1]; ++j) {
      const RowTrace trace = tracer.row(j, k);
      for (int i = 0; i < grid_size[0]; ++i, ++at) {
        const Vector3 index = trace.at(i);
        if (inside(index, input_size)) sampler(at, index);
      }
    }
}

}  // namespace

ScalarVolume resample_image(const ScalarVolume& image, const VolumeGeometry& grid, Interpolation interpolation) {
  ScalarVolume result{grid, std::vector<double>(grid.voxel_count(), 0.0), image.pixel_type};
  const Index3& input_size = image.geometry.size();
  const GridTracer tracer(image.geometry, grid);
  switch (interpolation) {
    case Interpolation::cubic_bspline: {
      const SplineCoefficients spline(image, support_box(tracer, input_size, grid.size()));
      sample_grid(tracer, input_size, grid.size(), [&](std::size_t at, const Vector3& index) { result.voxels[at] = spline.at(index); });
      break;
    }
    case Interpolation::linear:
      sample_grid(tracer, input_size, grid.size(), [&](std::size_t at, const Vector3& index) { result.voxels[at] = linear_at(image, index); });
      break;
    case Interpolation::nearest_neighbour:
      sample_grid(tracer, input_size, grid.size(),
                  [&](std::size_t at, const Vector3& index) { result.voxels[at] = image.voxels[nearest_offset(image.geometry, index)]; });
      break;
  }
  if (is_integer(image.pixel_type)) {
    const auto [low, high] = value_range(image.pixel_type);
    for (double& value : result.voxels) value = std::trunc(std::clamp(value, low, high));
  } else if (image.pixel_type == PixelType::float32) {
    for (double& value : result.voxels) value = static_cast<double>(static_cast<float>(value));
  }
  return result;
}

MaskVolume resample_mask(const MaskVolume& mask, const VolumeGeometry& grid) {
  MaskVolume result{grid, std::vector<std::uint32_t>(grid.voxel_count(), 0)};
  const GridTracer tracer(mask.geometry, grid);
  sample_grid(tracer, mask.geometry.size(), grid.size(),
              [&](std::size_t at, const Vector3& index) { result.labels[at] = mask.labels[nearest_offset(mask.geometry, index)]; });
  return result;
}

Result<VoxelBox> check_region_inside(const VolumeGeometry& image, const MaskVolume& mask, int label) {
  const VoxelBox box = bounding_box(mask, static_cast<std::uint32_t>(label));
  if (box.empty())
    return fail(ErrorCode::roi_empty, "check_mask", "The mask has no voxel with label " + std::to_string(label) + ".");
  Vector3 first{};
  Vector3 last{};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    first[axis] = box.lower[axis] - 0.5;
    last[axis] = box.lower[axis] + box.size[axis] - 0.5;
  }
  const Vector3 a = image.patient_to_index(mask.geometry.index_to_patient(first));
  const Vector3 b = image.patient_to_index(mask.geometry.index_to_patient(last));
  constexpr double tolerance_voxels = 1e-3;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const double low = std::min(a[axis], b[axis]);
    const double high = std::max(a[axis], b[axis]);
    if (low < -0.5 - tolerance_voxels || high > image.size()[axis] - 0.5 + tolerance_voxels) {
      const char* names[] = {"i", "j", "k"};
      return fail(ErrorCode::roi_outside_image, "check_mask",
                  std::string("The region leaves the image along axis ") + names[axis] + ": it spans " + std::to_string(low) + " to " +
                      std::to_string(high) + " (voxel index), the image -0.5 to " + std::to_string(image.size()[axis] - 0.5) +
                      ". Check that image and mask belong together and that no axis is flipped.");
    }
  }
  return box;
}

Result<ResampledPair> crop_to_box(const ScalarVolume& image, const MaskVolume& mask, const VoxelBox& box, int pad_voxels) {
  VoxelBox padded;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const long lower = std::max(0L, static_cast<long>(box.lower[axis]) - pad_voxels);
    const long upper = std::min(static_cast<long>(image.geometry.size()[axis]) - 1, static_cast<long>(box.lower[axis]) + box.size[axis] - 1 + pad_voxels);
    padded.lower[axis] = static_cast<int>(lower);
    padded.size[axis] = static_cast<int>(upper - lower + 1);
  }
  const auto geometry = crop_geometry(image.geometry, padded);
  if (!geometry) return fail(geometry.error());
  return ResampledPair{{*geometry, crop_values(image.voxels, image.geometry.size(), padded), image.pixel_type},
                       {*geometry, crop_values(mask.labels, mask.geometry.size(), padded)}};
}

Result<ResampledPair> resample_to_spacing(const ScalarVolume& image, const MaskVolume& mask, int label, const std::array<double, 3>& spacing_mm,
                                          Interpolation interpolation, int pad_distance_voxels) {
  const auto box = check_region_inside(image.geometry, mask, label);
  if (!box) return fail(box.error());
  const Vector3& old_spacing = mask.geometry.spacing_mm();
  const Vector3& image_spacing = image.geometry.spacing_mm();
  Vector3 spacing = spacing_mm;
  bool already = true;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    if (spacing[axis] == 0 || box->size[axis] == 1) spacing[axis] = old_spacing[axis];
    already = already && std::abs(image_spacing[axis] - spacing[axis]) <= 1e-8 + 1e-5 * std::abs(spacing[axis]);
  }
  if (already) {
    MaskVolume moved = resample_mask(mask, image.geometry);
    const VoxelBox new_box = bounding_box(moved, static_cast<std::uint32_t>(label));
    if (new_box.empty())
      return fail(ErrorCode::roi_empty, "resample", "No voxel of the region is left on the grid of the image: the region is thinner than a voxel.");
    return crop_to_box(image, moved, new_box, pad_distance_voxels);
  }
  Index3 new_size{};
  Vector3 origin_index{};
  double voxels = 1;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const double ratio = old_spacing[axis] / spacing[axis];
    const double size = mask.geometry.size()[axis];
    const double lower = std::max(0.0, std::floor((box->lower[axis] - 0.5) * ratio - pad_distance_voxels));
    const double upper = std::min(std::ceil(size * ratio) - 1, std::ceil((box->lower[axis] + box->size[axis] - 0.5) * ratio + pad_distance_voxels));
    const double count = upper - lower + 1;
    voxels *= count;
    if (!(count >= 1) || !(voxels < voxels_max))
      return fail(ErrorCode::limit_exceeded, "resample", "The resampled region would hold no voxel or more than 2^31. Check resampledPixelSpacing.");
    new_size[axis] = static_cast<int>(count);
    // Both grids share the corner of voxel 0, not its centre.
    origin_index[axis] = 0.5 * (spacing[axis] - old_spacing[axis]) / old_spacing[axis] + lower / ratio;
  }
  const auto grid = VolumeGeometry::make(new_size, spacing, itk_grid(mask.geometry).patient_from_continuous_index(origin_index),
                                         mask.geometry.direction(), mask.geometry.frame_of_reference_uid());
  if (!grid) return fail(grid.error());
  return ResampledPair{resample_image(image, *grid, interpolation), resample_mask(mask, *grid)};
}

}  // namespace choana::processing
