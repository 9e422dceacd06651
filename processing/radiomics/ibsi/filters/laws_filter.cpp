#include <array>
#include <cmath>
#include <optional>
#include <string_view>

#include "processing/radiomics/ibsi/filters/filter_functions.h"
#include "processing/radiomics/ibsi/filters/separable_convolution.h"

namespace choana::processing::ibsi {
namespace {

struct NamedKernel {
  std::string_view name;
  std::vector<double> weights;
};

/// Source: IBSI 2 reference manual, Laws kernels; each is divided by its Euclidean length.
std::optional<std::vector<double>> laws_kernel(std::string_view name) {
  static const std::array<NamedKernel, 8> kernels{{{"L3", {1, 2, 1}},
                                                   {"E3", {-1, 0, 1}},
                                                   {"S3", {-1, 2, -1}},
                                                   {"L5", {1, 4, 6, 4, 1}},
                                                   {"E5", {-1, -2, 0, 2, 1}},
                                                   {"S5", {-1, 0, 2, 0, -1}},
                                                   {"W5", {-1, 2, 0, -2, 1}},
                                                   {"R5", {1, -4, 6, -4, 1}}}};
  for (const NamedKernel& kernel : kernels) {
    if (kernel.name != name) continue;
    double squares = 0;
    for (const double weight : kernel.weights) squares += weight * weight;
    std::vector<double> weights = kernel.weights;
    for (double& weight : weights) weight /= std::sqrt(squares);
    return weights;
  }
  return std::nullopt;
}

}  // namespace

Status check(const LawsFilter& filter) {
  bool known = filter.kernels.size() == 4 || filter.kernels.size() == 6;
  for (std::size_t at = 0; known && at + 1 < filter.kernels.size(); at += 2) known = laws_kernel(std::string_view(filter.kernels).substr(at, 2)).has_value();
  if (!known)
    return fail(ErrorCode::invalid_settings, "filter_image", "Laws kernels are two (by slice) or three of L5, E5, S5, W5, R5, L3, E3, S3 in a row, such as E5L5S5; '" + filter.kernels + "' is not.");
  if (filter.energy_distance_voxels < 0 || filter.energy_distance_voxels > half_width_max_voxels)
    return fail(ErrorCode::invalid_settings, "filter_image", "energy_distance_voxels must be a number from 0 (no energy map) to 4096.");
  return {};
}

std::string filter_name(const LawsFilter& filter) {
  std::string name = "laws-" + filter.kernels;
  if (filter.rotation_invariant) name += "-rot-" + name_part(filter.pooling);
  if (filter.energy_distance_voxels > 0) name += "-energy-" + std::to_string(filter.energy_distance_voxels);
  return name;
}

Result<std::vector<double>> respond(const LawsFilter& filter, const ScalarVolume& image, TaskPool* pool) {
  const Index3& size = image.geometry.size();
  const int dimensions = static_cast<int>(filter.kernels.size() / 2);
  SeparablePass pass;
  for (int axis = 0; axis < dimensions; ++axis)
    pass.kernels[axis] = centred_kernel(*laws_kernel(std::string_view(filter.kernels).substr(2 * static_cast<std::size_t>(axis), 2)));
  std::vector<double> response = filter.rotation_invariant
                                     ? convolve_rotated(image.voxels, size, {pass}, dimensions == 2, filter.pooling, filter.boundary, pool)
                                     : convolve(image.voxels, size, {pass}, filter.boundary, pool);
  if (filter.energy_distance_voxels == 0) return response;
  for (double& value : response) value = std::abs(value);
  const int width = 2 * filter.energy_distance_voxels + 1;
  SeparablePass box;
  for (int axis = 0; axis < dimensions; ++axis) box.kernels[axis] = centred_kernel(std::vector<double>(static_cast<std::size_t>(width), 1.0 / width));
  return convolve(std::move(response), size, {box}, filter.boundary, pool);
}

}  // namespace choana::processing::ibsi
