#include "processing/radiomics/ibsi/measured_region.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "processing/preprocessing/ibsi_grid.h"

namespace choana::processing::ibsi {
namespace {

constexpr double interpolated_voxels_max = 268435456.0;   // 2 GiB of doubles
/// Halves that rounding leaves just below the threshold belong to the mask, too.
constexpr double threshold_slack = 1e-6;

Status check_input(const ScalarVolume& image, const MaskVolume& mask) {
  if (image.voxels.size() != image.geometry.voxel_count() || mask.labels.size() != mask.geometry.voxel_count())
    return fail(ErrorCode::invalid_argument, "ibsi", "The number of voxels does not agree with the size of the volume.");
  if (!image.geometry.matches(mask.geometry)) {
    const auto text = [](const VolumeGeometry& g) {
      return std::to_string(g.size()[0]) + " x " + std::to_string(g.size()[1]) + " x " + std::to_string(g.size()[2]) + " voxels of " + std::to_string(g.spacing_mm()[0]) +
             " x " + std::to_string(g.spacing_mm()[1]) + " x " + std::to_string(g.spacing_mm()[2]) + " mm from (" + std::to_string(g.origin_mm()[0]) + ", " +
             std::to_string(g.origin_mm()[1]) + ", " + std::to_string(g.origin_mm()[2]) + ")";
    };
    return fail(ErrorCode::geometry_mismatch, "ibsi",
                "Image and mask do not lie on one grid: the image has " + text(image.geometry) + ", the mask " + text(mask.geometry) + ", or their directions differ.");
  }
  return {};
}

/// Round to the nearest whole number, halves to the even one.
double rounded(double value) { return std::nearbyint(value); }

GridInterpolation of(ImageInterpolation interpolation) {
  switch (interpolation) {
    case ImageInterpolation::nearest_neighbour: return GridInterpolation::nearest_neighbour;
    case ImageInterpolation::linear: return GridInterpolation::linear;
    case ImageInterpolation::cubic_spline: break;
  }
  return GridInterpolation::cubic_spline;
}

struct Range {
  double lower;
  double upper;
};

Range intensity_range(const std::vector<double>& values, const ResegmentationSettings& settings) {
  Range range{settings.lower, settings.upper};
  if (settings.outlier_sigmas && !values.empty()) {
    double mean = 0;
    for (const double value : values) mean += value;
    mean /= static_cast<double>(values.size());
    double squares = 0;
    for (const double value : values) squares += (value - mean) * (value - mean);
    const double reach = *settings.outlier_sigmas * std::sqrt(squares / static_cast<double>(values.size()));
    range.lower = std::max(range.lower, mean - reach);
    range.upper = std::min(range.upper, mean + reach);
  }
  return range;
}

}  // namespace

Result<PreparedImage> prepare_image(const ScalarVolume& image, const MaskVolume& mask, int label, const IbsiProfile& profile, TaskPool* pool) {
  if (auto status = check_input(image, mask); !status) return fail(status.error());
  const auto wanted = static_cast<std::uint32_t>(label);
  PreparedImage prepared;
  prepared.voxels_original = static_cast<std::size_t>(std::count(mask.labels.begin(), mask.labels.end(), wanted));
  if (prepared.voxels_original == 0) return fail(ErrorCode::roi_empty, "ibsi", "The mask has no voxel with label " + std::to_string(label) + ".");
  prepared.volume_original_ml = static_cast<double>(prepared.voxels_original) * mask.geometry.voxel_volume_mm3() / 1000;

  MaskVolume own{mask.geometry, {}};
  own.labels.resize(mask.labels.size());
  std::transform(mask.labels.begin(), mask.labels.end(), own.labels.begin(), [&](std::uint32_t value) { return value == wanted ? 1u : 0u; });
  if (profile.grid || !profile.filters.empty())
    if (!std::all_of(image.voxels.begin(), image.voxels.end(), [](double v) { return std::isfinite(v); }))
      return fail(ErrorCode::degenerate_input, "ibsi", "The image holds a voxel that is not a number; interpolation and filters would spread it.");
  if (profile.grid) {
    const GridSettings& settings = *profile.grid;
    Vector3 spacing{settings.spacing_mm[0], settings.spacing_mm[1], settings.spacing_mm[2]};
    const auto grid = centre_aligned_grid(image.geometry, spacing);
    if (!grid) return fail(grid.error());
    if (static_cast<double>(grid->voxel_count()) > interpolated_voxels_max)
      return fail(ErrorCode::limit_exceeded, "ibsi", "The interpolated image would hold more than 2^28 voxels. Crop it, or choose a larger spacing.");
    prepared.image = {*grid, interpolate_to_grid(image.voxels, image.geometry, *grid, of(settings.image), pool), PixelType::float64};
    if (settings.round_intensities) std::transform(prepared.image.voxels.begin(), prepared.image.voxels.end(), prepared.image.voxels.begin(), rounded);
    const std::vector<double> part =
        interpolate_to_grid({own.labels.begin(), own.labels.end()}, mask.geometry, *grid,
                            settings.mask == MaskInterpolation::linear ? GridInterpolation::linear : GridInterpolation::nearest_neighbour, pool);
    own.geometry = *grid;
    own.labels.resize(part.size());
    std::transform(part.begin(), part.end(), own.labels.begin(), [&](double value) { return value >= settings.mask_threshold - threshold_slack ? 1u : 0u; });
  } else {
    prepared.image = image;
  }
  prepared.box = bounding_box(own, 1);
  if (prepared.box.empty())
    return fail(ErrorCode::roi_empty, "ibsi", "No voxel of the region is left after interpolation: the region is thinner than a voxel of the new grid.");

  MeasuredRegion& region = prepared.region;
  region.size = prepared.box.size;
  region.spacing_mm = prepared.image.geometry.spacing_mm();
  for (const std::uint32_t value : crop_values(own.labels, own.geometry.size(), prepared.box)) region.morphological.push_back(static_cast<std::uint8_t>(value));
  region.morphological_voxels = static_cast<std::size_t>(std::count(region.morphological.begin(), region.morphological.end(), 1));
  region.intensity = region.morphological;
  const std::vector<double> drawn = region_values(prepared.image, prepared.box, region);
  if (!std::all_of(drawn.begin(), drawn.end(), [](double v) { return std::isfinite(v); }))
    return fail(ErrorCode::degenerate_input, "ibsi", "The region holds a voxel that is not a number.");
  const Range range = intensity_range(drawn, profile.resegmentation);
  std::size_t at = 0;
  for (std::uint8_t& inside : region.intensity) {
    if (inside == 0) continue;
    const double value = drawn[at++];
    inside = value >= range.lower && value <= range.upper ? 1 : 0;
    if (inside != 0) region.intensities.push_back(value);
  }
  if (region.intensities.empty())
    return fail(ErrorCode::roi_too_small, "ibsi", "No voxel of the region has an intensity inside the resegmentation range.");
  return prepared;
}

std::vector<double> region_values(const ScalarVolume& image, const VoxelBox& box, const MeasuredRegion& region) {
  const std::vector<double> all = crop_values(image.voxels, image.geometry.size(), box);
  std::vector<double> values;
  for (std::size_t at = 0; at < all.size(); ++at)
    if (region.intensity[at] != 0) values.push_back(all[at]);
  return values;
}

}  // namespace choana::processing::ibsi
