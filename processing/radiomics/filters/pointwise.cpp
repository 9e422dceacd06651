#include "processing/radiomics/filters/pointwise.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

namespace choana::processing {
namespace {

/// The largest magnitude; NaN if any voxel is, as NumPy's max has it.
double largest_magnitude(const std::vector<double>& voxels) {
  double largest = 0;
  bool all_numbers = true;
  for (const double value : voxels) {
    largest = std::max(largest, std::abs(value));
    all_numbers = all_numbers && !std::isnan(value);
  }
  return all_numbers ? largest : std::nan("");
}

template <typename Function>
Result<DerivedImages> pointwise(std::string name, const FilterInput& input, Function&& function) {
  std::vector<double> values = crop_values(input.image.voxels, input.image.geometry.size(), input.box);
  for (double& value : values) value = function(value);
  auto image = boxed_image(std::move(name), input, PixelType::float64, std::move(values));
  if (!image) return fail(image.error());
  DerivedImages result;
  result.images.push_back(std::move(*image));
  return result;
}

double signed_log(double x) {
  if (x > 0) return std::log(x + 1);
  if (x < 0) return -std::log(-(x - 1));
  return x;
}

}  // namespace

Result<DerivedImages> square_image(const FilterInput& input, const ExtractionSettings&) {
  const double factor = 1 / std::sqrt(largest_magnitude(input.image.voxels));
  return pointwise("square", input, [factor](double x) {
    const double scaled = factor * x;
    return scaled * scaled;
  });
}

Result<DerivedImages> square_root_image(const FilterInput& input, const ExtractionSettings&) {
  const double factor = largest_magnitude(input.image.voxels);
  return pointwise("squareroot", input, [factor](double x) {
    if (x > 0) return std::sqrt(x * factor);
    if (x < 0) return -std::sqrt(-x * factor);
    return x;
  });
}

Result<DerivedImages> logarithm_image(const FilterInput& input, const ExtractionSettings&) {
  const double largest = largest_magnitude(input.image.voxels);
  // The logarithm grows with the magnitude, so its largest value is that of the largest voxel.
  const double factor = largest / std::abs(signed_log(largest));
  return pointwise("logarithm", input, [factor](double x) { return signed_log(x) * factor; });
}

Result<DerivedImages> exponential_image(const FilterInput& input, const ExtractionSettings&) {
  const double largest = largest_magnitude(input.image.voxels);
  const double factor = std::log(largest) / largest;
  return pointwise("exponential", input, [factor](double x) { return std::exp(factor * x); });
}

}  // namespace choana::processing
