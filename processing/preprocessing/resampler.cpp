#include "processing/preprocessing/resampler.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>

#include "core/vectorised.h"
#include "processing/itk/grid.h"
#include "processing/preprocessing/cubic_spline.h"
#include "processing/preprocessing/grid_tracer.h"

namespace choana::processing {
namespace {

constexpr double voxels_max = 2147483648.0;

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
int nearest(double index, int size) { return std::clamp(static_cast<int>(std::floor(index + 0.5)), 0, size - 1); }
std::size_t nearest_offset(const VolumeGeometry& geometry, const Vector3& index) {
  const Index3& size = geometry.size();
  return geometry.offset(nearest(index[0], size[0]), nearest(index[1], size[1]), nearest(index[2], size[2]));
}

/// The box of input voxels that samples of `grid` can touch.
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
    const double from = std::clamp(std::floor(low) - 3, 0.0, last);
    const double to = std::clamp(std::ceil(high) + 3, 0.0, last);
    box.lower[axis] = static_cast<int>(from);
    box.size[axis] = static_cast<int>(to) - box.lower[axis] + 1;
  }
  return box;
}

CHOANA_VECTORISED void truncate_and_clamp(double* values, std::size_t count, double low, double high) {
  for (std::size_t at = 0; at < count; ++at) values[at] = std::trunc(std::clamp(values[at], low, high));
}

template <typename Sampler>
void sample_grid(const GridTracer& tracer, const Index3& input_size, const Index3& grid_size, Sampler&& sampler) {
  std::size_t at = 0;
  for (int k = 0; k < grid_size[2]; ++k)
    for (int j = 0; j < grid_size[1]; ++j) {
      const RowTrace trace = tracer.row(j, k);
      for (int i = 0; i < grid_size[0]; ++i, ++at) {
        const Vector3 index = trace.at(i);
        if (inside_buffer(index, input_size)) sampler(at, index);
      }
    }
}

}  // namespace

ScalarVolume resample_image(const ScalarVolume& image, const VolumeGeometry& grid, Interpolation interpolation, TaskPool* pool) {
  ScalarVolume result{grid, std::vector<double>(grid.voxel_count(), 0.0), image.pixel_type};
  const Index3& input_size = image.geometry.size();
  const GridTracer tracer(image.geometry, grid);
  switch (interpolation) {
    case Interpolation::cubic_bspline: {
      const CubicSpline spline(image, support_box(tracer, input_size, grid.size()), pool);
      spline.sample(tracer, grid.size(), result.voxels, pool);
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
    truncate_and_clamp(result.voxels.data(), result.voxels.size(), low, high);
  } else if (image.pixel_type == PixelType::float32) {
    for (double& value : result.voxels) value = static_cast<double>(static_cast<float>(value));
  }
  return result;
}

MaskVolume resample_mask(const MaskVolume& mask, const VolumeGeometry& grid) {
  MaskVolume result{grid, std::vector<std::uint32_t>(grid.voxel_count(), 0)};
  const GridTracer tracer(mask.geometry, grid);
  const Index3& input_size = mask.geometry.size();
  const Index3& size = grid.size();
  // Rows of parallel grids read the same columns of one input row.
  std::vector<int> column(static_cast<std::size_t>(size[0]), 0);
  int from = 0;
  int to = 0;
  double start = std::numeric_limits<double>::quiet_NaN();
  double step = start;
  std::uint32_t* out = result.labels.data();
  for (int k = 0; k < size[2]; ++k)
    for (int j = 0; j < size[1]; ++j, out += size[0]) {
      const RowTrace trace = tracer.row(j, k);
      if (!(trace.start[0] == start && trace.step[0] == step)) {
        start = trace.start[0];
        step = trace.step[0];
        from = 0;
        while (from < size[0] && !inside_buffer(trace.at(from, 0), input_size[0])) ++from;
        to = from;
        for (; to < size[0] && inside_buffer(trace.at(to, 0), input_size[0]); ++to) column[static_cast<std::size_t>(to)] = nearest(trace.at(to, 0), input_size[0]);
      }
      if (from == to) continue;
      const auto one_index = [&](std::size_t axis) {
        return inside_buffer(trace.at(from, axis), input_size[axis]) && inside_buffer(trace.at(to - 1, axis), input_size[axis]) &&
               nearest(trace.at(from, axis), input_size[axis]) == nearest(trace.at(to - 1, axis), input_size[axis]);
      };
      if (one_index(1) && one_index(2)) {
        const std::uint32_t* row = mask.labels.data() + mask.geometry.offset(0, nearest(trace.at(from, 1), input_size[1]), nearest(trace.at(from, 2), input_size[2]));
        for (int i = from; i < to; ++i) out[i] = row[column[static_cast<std::size_t>(i)]];
        continue;
      }
      for (int i = from; i < to; ++i)
        if (const Vector3 index = trace.at(i); inside_buffer(index, input_size)) out[i] = mask.labels[nearest_offset(mask.geometry, index)];
    }
  return result;
}

Result<VoxelBox> check_region_inside(const VolumeGeometry& image, const MaskVolume& mask, int label) {
  return check_region_inside(image, mask, label, bounding_box(mask, static_cast<std::uint32_t>(label)));
}

Result<VoxelBox> check_region_inside(const VolumeGeometry& image, const MaskVolume& mask, int label, const VoxelBox& box) {
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
                                          Interpolation interpolation, int pad_distance_voxels, TaskPool* pool) {
  return resample_to_spacing(image, mask, label, bounding_box(mask, static_cast<std::uint32_t>(label)), spacing_mm, interpolation, pad_distance_voxels, pool);
}

Result<ResampledPair> resample_to_spacing(const ScalarVolume& image, const MaskVolume& mask, int label, const VoxelBox& region,
                                          const std::array<double, 3>& spacing_mm, Interpolation interpolation, int pad_distance_voxels, TaskPool* pool) {
  const auto box = check_region_inside(image.geometry, mask, label, region);
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
  return ResampledPair{resample_image(image, *grid, interpolation, pool), resample_mask(mask, *grid)};
}

}  // namespace choana::processing
