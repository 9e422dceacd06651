#include "processing/habitats/voxel_feature_stack.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace choana::processing {
namespace {

constexpr const char* step = "voxel_features";

// One axis of a separable filter: lines of `count` values `stride` apart.
void filter_axis(std::vector<double>& values, const Index3& size, std::size_t axis, const std::vector<double>& kernel) {
  const std::size_t strides[3] = {1, static_cast<std::size_t>(size[0]), static_cast<std::size_t>(size[0]) * static_cast<std::size_t>(size[1])};
  const auto count = static_cast<std::ptrdiff_t>(size[axis]);
  const std::size_t stride = strides[axis];
  const auto reach = static_cast<std::ptrdiff_t>(kernel.size()) - 1;
  std::vector<double> line(static_cast<std::size_t>(count));
  for (std::size_t at = 0; at < values.size(); ++at) {
    if (at / stride % static_cast<std::size_t>(count) != 0) continue;
    for (std::ptrdiff_t n = 0; n < count; ++n) line[static_cast<std::size_t>(n)] = values[at + static_cast<std::size_t>(n) * stride];
    const auto clamped = [&](std::ptrdiff_t n) { return line[static_cast<std::size_t>(std::clamp<std::ptrdiff_t>(n, 0, count - 1))]; };
    for (std::ptrdiff_t n = 0; n < count; ++n) {
      double sum = kernel[0] * clamped(n);
      for (std::ptrdiff_t r = 1; r <= reach; ++r) sum += kernel[static_cast<std::size_t>(r)] * (clamped(n - r) + clamped(n + r));
      values[at + static_cast<std::size_t>(n) * stride] = sum;
    }
  }
}

}  // namespace

Result<std::vector<float>> gaussian_smoothed(const std::vector<float>& values, const VolumeGeometry& geometry, double sigma_mm) {
  if (values.size() != geometry.voxel_count() || !(sigma_mm > 0)) return fail(ErrorCode::invalid_argument, step, "Smoothing needs a whole volume and a positive width.");
  std::vector<double> smooth(values.begin(), values.end());
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const double sigma = sigma_mm / geometry.spacing_mm()[axis];
    if (sigma > 64) return fail(ErrorCode::limit_exceeded, step, "A smoothing of " + std::to_string(sigma_mm) + " mm spans more than 64 voxels; declare a smaller one.");
    if (geometry.size()[axis] < 2) continue;
    std::vector<double> kernel(static_cast<std::size_t>(std::ceil(4 * sigma)) + 1);
    double all = 0;
    for (std::size_t n = 0; n < kernel.size(); ++n) all += (n == 0 ? 1 : 2) * (kernel[n] = std::exp(-0.5 * static_cast<double>(n * n) / (sigma * sigma)));
    for (double& weight : kernel) weight /= all;
    filter_axis(smooth, geometry.size(), axis, kernel);
  }
  return std::vector<float>(smooth.begin(), smooth.end());
}

Result<VoxelFeatureStack> stack_voxel_features(const RegionOfInterest& region, const std::vector<VoxelFeature>& features) {
  VoxelFeatureStack stack;
  std::set<std::string> names;
  if (features.empty()) return fail(ErrorCode::invalid_argument, step, "Habitats need at least one feature.");
  std::vector<std::vector<float>> smooth(features.size());
  for (std::size_t f = 0; f < features.size(); ++f) {
    const VoxelFeature& feature = features[f];
    if (!names.insert(feature.name).second) return fail(ErrorCode::invalid_argument, step, "The feature '" + feature.name + "' is there twice.");
    if (feature.values.size() != region.geometry().voxel_count())
      return fail(ErrorCode::invalid_argument, step, "The feature '" + feature.name + "' is not on the grid of the region '" + region.name() + "'.");
    if (feature.smoothing_mm > 0) {
      auto smoothed = gaussian_smoothed(feature.values, region.geometry(), feature.smoothing_mm);
      if (!smoothed) return fail(smoothed.error());
      smooth[f] = std::move(*smoothed);
    }
    stack.names.push_back(feature.name);
  }
  if (region.voxels() * features.size() > stack_values_max)
    return fail(ErrorCode::limit_exceeded, step, "The region '" + region.name() + "' has " + std::to_string(region.voxels()) + " voxels; that is more than habitats are made of.");
  stack.points.columns = features.size();
  stack.points.values.reserve(region.voxels() * features.size());
  stack.voxels.reserve(region.voxels());
  for (std::size_t at = 0; at < region.mask().size(); ++at) {
    if (region.mask()[at] == 0) continue;
    stack.voxels.push_back(at);
    for (std::size_t f = 0; f < features.size(); ++f) {
      const float value = smooth[f].empty() ? features[f].values[at] : smooth[f][at];
      if (!std::isfinite(value))
        return fail(ErrorCode::degenerate_input, step, "The feature '" + features[f].name + "' has no value in a voxel of the region '" + region.name() + "'.");
      stack.points.values.push_back(static_cast<double>(value));
    }
  }
  return stack;
}

Result<PointTable> standardised(const VoxelFeatureStack& stack, std::vector<std::string>& flat) {
  PointTable scores = stack.points;
  const std::size_t rows = scores.rows(), columns = scores.columns;
  for (std::size_t c = 0; c < columns; ++c) {
    double mean = 0, square = 0;
    for (std::size_t n = 0; n < rows; ++n) mean += scores.values[n * columns + c];
    mean /= static_cast<double>(rows);
    for (std::size_t n = 0; n < rows; ++n) {
      const double x = scores.values[n * columns + c] - mean;
      square += x * x;
    }
    const double deviation = std::sqrt(square / static_cast<double>(rows));
    // What rounding leaves of a constant is no spread.
    const bool spread = deviation > 1e-12 * std::max(1.0, std::abs(mean));
    if (!spread) flat.push_back(stack.names[c]);
    for (std::size_t n = 0; n < rows; ++n) scores.values[n * columns + c] = spread ? (scores.values[n * columns + c] - mean) / deviation : 0.0;
  }
  if (flat.size() == columns) return fail(ErrorCode::degenerate_input, step, "All voxels of the region are alike: there is nothing to divide into habitats.");
  return scores;
}

}  // namespace choana::processing
