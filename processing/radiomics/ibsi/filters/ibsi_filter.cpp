#include "processing/radiomics/ibsi/filters/ibsi_filter.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <new>

#include "processing/radiomics/ibsi/filters/filter_functions.h"

namespace choana::processing::ibsi {

std::string name_part(double number) {
  char buffer[40];
  std::snprintf(buffer, sizeof buffer, "%.10g", number);
  std::string text = buffer;
  std::replace(text.begin(), text.end(), '.', '-');
  return text;
}

std::string name_part(Pooling pooling) {
  if (pooling == Pooling::average) return "avg";
  return pooling == Pooling::maximum ? "max" : "min";
}

Result<double> common_spacing_mm(const VolumeGeometry& geometry, int dimensions, const std::string& filter) {
  const Vector3& spacing = geometry.spacing_mm();
  for (std::size_t axis = 1; axis < static_cast<std::size_t>(dimensions); ++axis)
    if (std::abs(spacing[axis] - spacing[0]) > 1e-3 * spacing[0])
      return fail(ErrorCode::geometry_mismatch, "filter_image",
                  "The " + filter + " filter needs equal voxel spacing along its axes, but they are " + name_part(spacing[0]) + " and " + name_part(spacing[axis]) +
                      " mm (a hyphen is the decimal point). Interpolate to equal spacing first, or filter by slice.");
  return spacing[0];
}

Result<ScalarVolume> filter_image(const IbsiFilter& filter, const ScalarVolume& image, TaskPool* pool) {
  if (image.voxels.empty() || image.voxels.size() != image.geometry.voxel_count())
    return fail(ErrorCode::invalid_argument, "filter_image", "The number of voxels does not fit the geometry.");
  if (auto status = std::visit([](const auto& one) { return check(one); }, filter); !status) return fail(status.error());
  if (!std::all_of(image.voxels.begin(), image.voxels.end(), [](double value) { return std::isfinite(value); }))
    return fail(ErrorCode::degenerate_input, "filter_image", "The image holds a voxel that is not a number, which a filter would spread. Replace such voxels first.");
  try {
    auto response = std::visit([&](const auto& one) { return respond(one, image, pool); }, filter);
    if (!response) return fail(response.error());
    return ScalarVolume{image.geometry, std::move(*response), PixelType::float64};
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::out_of_memory, "filter_image", "There is not enough memory to filter an image of this size.");
  }
}

std::string filter_name(const IbsiFilter& filter) {
  return std::visit([](const auto& one) { return filter_name(one); }, filter);
}

}  // namespace choana::processing::ibsi
