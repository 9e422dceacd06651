#include <cmath>
#include <numbers>

#include "processing/radiomics/ibsi/filters/filter_functions.h"
#include "processing/radiomics/ibsi/filters/separable_convolution.h"

namespace choana::processing::ibsi {

Status check(const LaplacianOfGaussianFilter& filter) {
  if (!(filter.sigma_mm > 0) || filter.sigma_mm > 1000)
    return fail(ErrorCode::invalid_settings, "filter_image", "sigma_mm of a Laplacian of Gaussian must lie above 0 and at most at 1000.");
  if (!(filter.cutoff_sigmas > 0) || filter.cutoff_sigmas > 20)
    return fail(ErrorCode::invalid_settings, "filter_image", "cutoff_sigmas of a Laplacian of Gaussian must lie above 0 and at most at 20.");
  return {};
}

std::string filter_name(const LaplacianOfGaussianFilter& filter) {
  std::string name = std::string("log-") + (filter.by_slice ? "2D" : "3D") + "-sigma-" + name_part(filter.sigma_mm) + "-mm";
  if (filter.cutoff_sigmas != 4) name += "-cutoff-" + name_part(filter.cutoff_sigmas);
  return filter.zero_mean ? name + "-zero-mean" : name;
}

/// The kernel -(1/q^2) (2 pi q^2)^(-D/2) (D - r^2/q^2) exp(-r^2 / (2 q^2)) on a cube is a sum over the axes of separable kernels: (1 - x^2/q^2) exp(...) along
/// that axis, exp(...) along the others.
Result<std::vector<double>> respond(const LaplacianOfGaussianFilter& filter, const ScalarVolume& image, TaskPool* pool) {
  const int dimensions = filter.by_slice ? 2 : 3;
  const auto spacing_mm = common_spacing_mm(image.geometry, dimensions, "Laplacian of Gaussian");
  if (!spacing_mm) return fail(spacing_mm.error());
  const double q = filter.sigma_mm / *spacing_mm;
  const double reach = std::floor(filter.cutoff_sigmas * q + 0.5);
  if (reach > half_width_max_voxels)
    return fail(ErrorCode::limit_exceeded, "filter_image", "The Laplacian of Gaussian needs a kernel of more than 8192 voxels here: choose a smaller sigma.");
  const int half = static_cast<int>(reach);
  std::vector<double> smooth;
  std::vector<double> curved;
  double smooth_sum = 0;
  double curved_sum = 0;
  for (int x = -half; x <= half; ++x) {
    const double bell = std::exp(-x * x / (2 * q * q));
    smooth.push_back(bell);
    curved.push_back((1 - x * x / (q * q)) * bell);
    smooth_sum += smooth.back();
    curved_sum += curved.back();
  }
  const double factor = -1 / (q * q) * std::pow(2 * std::numbers::pi * q * q, -0.5 * dimensions);
  const LineKernel bell = centred_kernel(smooth);
  const LineKernel curve = centred_kernel(curved);
  const Index3& size = image.geometry.size();
  const auto pass = [&](const std::vector<double>& values, int axis, const LineKernel& kernel) { return convolve_axis(values, size, axis, kernel, filter.boundary, pool); };
  const auto add = [](std::vector<double>& to, const std::vector<double>& from) {
    for (std::size_t at = 0; at < to.size(); ++at) to[at] += from[at];
  };
  const std::vector<double> smooth_i = pass(image.voxels, 0, bell);
  std::vector<double> response = pass(pass(image.voxels, 0, curve), 1, bell);
  add(response, pass(smooth_i, 1, curve));
  if (dimensions == 3) {
    response = pass(response, 2, bell);
    add(response, pass(pass(smooth_i, 1, bell), 2, curve));
  }
  for (double& value : response) value *= factor;
  if (filter.zero_mean) {
    // Subtracting the kernel's mean is subtracting a box sum times that mean.
    const double taps = std::pow(2.0 * half + 1, dimensions);
    const double kernel_mean = factor * dimensions * curved_sum * std::pow(smooth_sum, dimensions - 1) / taps;
    SeparablePass box;
    for (int axis = 0; axis < dimensions; ++axis) box.kernels[axis] = centred_kernel(std::vector<double>(smooth.size(), 1.0));
    const std::vector<double> sums = convolve(image.voxels, size, {box}, filter.boundary, pool);
    for (std::size_t at = 0; at < response.size(); ++at) response[at] -= kernel_mean * sums[at];
  }
  return response;
}

}  // namespace choana::processing::ibsi
