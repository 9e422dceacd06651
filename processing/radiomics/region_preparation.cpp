#include "processing/radiomics/region_preparation.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <optional>

#include "processing/preprocessing/intensity_normaliser.h"
#include "processing/preprocessing/label_scan.h"
#include "processing/preprocessing/resampler.h"
#include "processing/preprocessing/resegmenter.h"
#include "processing/radiomics/diagnostics.h"
#include "processing/radiomics/matrices/size_zone.h"

namespace choana::processing {
namespace {

/// Differences of grids beyond this many voxels are refused whatever geometryTolerance says.
constexpr double tolerance_voxels_max = 1.0;
constexpr double interpolation_ratio_noted = 3.0;

tl::unexpected<Error> refuse(ErrorCode code, std::string message) { return fail(code, "extract_features", std::move(message)); }

LabelExtent locate(const MaskVolume& mask, int label) { return find_label(mask, static_cast<std::uint32_t>(label)); }

/// Says how two grids differ, or nothing when they are the same within the tolerance (relative to the first spacing, as ITK compares).
std::optional<std::string> grid_difference(const VolumeGeometry& image, const VolumeGeometry& mask, double tolerance) {
  if (image.size() != mask.size()) {
    const auto text = [](const Index3& s) { return std::to_string(s[0]) + " x " + std::to_string(s[1]) + " x " + std::to_string(s[2]); };
    return "size " + text(image.size()) + " against " + text(mask.size()) + " voxels";
  }
  const double limit = std::min(tolerance, tolerance_voxels_max);
  const double limit_mm = limit * image.spacing_mm()[0];
  double origin = 0;
  double spacing = 0;
  double direction = 0;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    origin = std::max(origin, std::abs(image.origin_mm()[axis] - mask.origin_mm()[axis]));
    spacing = std::max(spacing, std::abs(image.spacing_mm()[axis] - mask.spacing_mm()[axis]));
  }
  for (std::size_t at = 0; at < 9; ++at) direction = std::max(direction, std::abs(image.direction()[at] - mask.direction()[at]));
  std::string text;
  const auto note = [&](const std::string& what, double difference, const std::string& unit) {
    text += (text.empty() ? "" : ", ") + what + " by " + python_text(difference) + unit;
  };
  if (origin > limit_mm) note("origin", origin, " mm");
  if (spacing > limit_mm) note("spacing", spacing, " mm");
  if (direction > limit) note("direction", direction, "");
  if (text.empty()) return std::nullopt;
  return text;
}

struct CheckedMask {
  LabelExtent region;
  std::optional<MaskVolume> corrected;  // set when the mask had to be put on the grid of the image
};

/// PyRadiomics' checkMask: same grid (or corrected), label present, enough dimensions and voxels.
Result<CheckedMask> check_mask(const ScalarVolume& image, const MaskVolume& mask, const LabelExtent& region, int label, const ExtractionSettings& settings) {
  CheckedMask checked{region, {}};
  if (const auto difference = grid_difference(image.geometry, mask.geometry, settings.geometry_tolerance)) {
    if (!settings.correct_mask)
      return refuse(ErrorCode::geometry_mismatch, "Image and mask lie on different grids: " + *difference +
                                                      ". Put the mask on the grid of the image, set correctMask, or raise geometryTolerance (at most one voxel).");
    if (auto inside = check_region_inside(image.geometry, mask, label, region.box); !inside) return fail(inside.error());
    checked.corrected = resample_mask(mask, image.geometry);
    checked.region = locate(*checked.corrected, label);
  }
  const VoxelBox& box = checked.region.box;
  if (box.empty()) return refuse(ErrorCode::roi_empty, "The mask has no voxel with label " + std::to_string(label) + ".");
  const int dimensions = static_cast<int>(std::count_if(box.size.begin(), box.size.end(), [](int n) { return n > 1; }));
  if (dimensions == 0) return refuse(ErrorCode::roi_too_small, "The region is a single voxel: features need more.");
  if (dimensions < settings.minimum_roi_dimensions)
    return refuse(ErrorCode::roi_too_small, "The region spans " + std::to_string(dimensions) + " dimension(s); minimumROIDimensions asks for " +
                                                std::to_string(settings.minimum_roi_dimensions) + ".");
  if (settings.minimum_roi_size) {
    const std::size_t voxels = checked.region.voxels;
    if (voxels <= static_cast<std::size_t>(*settings.minimum_roi_size))
      return refuse(ErrorCode::roi_too_small, "The region holds " + std::to_string(voxels) + " voxels; minimumROISize asks for more than " +
                                                  std::to_string(*settings.minimum_roi_size) + ".");
  }
  return checked;
}

std::string millilitres(double volume_ml) {
  char buffer[40];
  std::snprintf(buffer, sizeof buffer, "%.3f ml", volume_ml);
  return buffer;
}

}  // namespace

RegionBox cut_region(const MaskVolume& mask, int label, const VoxelBox& box) {
  RegionBox region{box.size, {}, mask.geometry.spacing_mm(), 0};
  region.inside = cut_label(mask, static_cast<std::uint32_t>(label), box);
  region.voxels = static_cast<std::size_t>(std::count(region.inside.begin(), region.inside.end(), std::uint8_t{1}));
  return region;
}

namespace {

/// What follows once the label is found: normalise, resample or crop, check, resegment.
Status prepare(PreparedRegion& result, LabelExtent region, const ExtractionProfile& profile, DiagnosticsRecorder& recorder, TaskPool* pool) {
  const ExtractionSettings& settings = profile.settings;
  const int label = result.label;
  const Vector3 spacing_before = result.mask->geometry.spacing_mm();
  OwnedOrLent<ScalarVolume>& image = result.image;
  OwnedOrLent<MaskVolume>& mask = result.mask;
  if (settings.normalize) {
    auto scaled = normalise_intensities(*image, settings.normalize_scale, settings.remove_outliers);
    if (!scaled) return fail(scaled.error());
    image = std::move(*scaled);
  }
  if (settings.interpolator && settings.resampled_pixel_spacing_mm) {
    auto resampled = resample_to_spacing(*image, *mask, label, region.box, *settings.resampled_pixel_spacing_mm, *settings.interpolator,
                                         settings.pad_distance_voxels, pool);
    if (!resampled) return fail(resampled.error());
    image = std::move(resampled->image);
    mask = std::move(resampled->mask);
    region = locate(*mask, label);
    if (region.voxels == 0)
      return refuse(ErrorCode::roi_empty, "No voxel of the region is left after resampling: the region is thinner than a new voxel.");
    if (settings.additional_info) {
      recorder.add_image(*image, "interpolated");
      recorder.add_mask(&*image, *mask, label, region.box, "interpolated");
    }
    const Vector3& before = spacing_before;
    const Vector3& after = mask->geometry.spacing_mm();
    const char* axes[] = {"i", "j", "k"};
    for (std::size_t axis = 0; axis < 3; ++axis) {
      const double ratio = before[axis] / after[axis];
      if (ratio > interpolation_ratio_noted || ratio < 1 / interpolation_ratio_noted)
        result.notes.push_back(std::string("Along axis ") + axes[axis] + " the spacing was changed from " + python_text(before[axis]) + " to " +
                               python_text(after[axis]) + " mm: most values there are interpolated; consider in-plane resampling or force2D.");
    }
  } else if (settings.pre_crop) {
    auto checked = check_mask(*image, *mask, region, label, settings);
    if (!checked) return fail(checked.error());
    auto cropped = crop_to_box(*image, checked->corrected ? *checked->corrected : *mask, checked->region.box, settings.pad_distance_voxels);
    if (!cropped) return fail(cropped.error());
    image = std::move(cropped->image);
    mask = std::move(cropped->mask);
    region = locate(*mask, label);
  }

  auto checked = check_mask(*image, *mask, region, label, settings);
  if (!checked) return fail(checked.error());
  if (checked->corrected) {
    mask = std::move(*checked->corrected);
    if (settings.additional_info) recorder.add_mask(&*image, *mask, label, checked->region.box, "corrected");
    result.notes.push_back("The mask lay on another grid and was moved onto the grid of the image (nearest neighbour).");
  }
  region = checked->region;
  result.voxels_resampled = region.voxels;
  result.volume_resampled_ml = static_cast<double>(result.voxels_resampled) * mask->geometry.voxel_volume_mm3() / 1000;
  if (result.voxels_resampled != result.voxels_original)
    result.notes.push_back("The region holds " + std::to_string(result.voxels_original) + " voxels (" + millilitres(result.volume_original_ml) + ") as drawn and " +
                           std::to_string(result.voxels_resampled) + " (" + millilitres(result.volume_resampled_ml) + ") on the grid that was measured.");

  if (!settings.resegment_range.empty()) {
    auto range = resegment(*image, *mask, label, settings.resegment_range, settings.resegment_mode);
    if (!range) return fail(range.error());
    auto again = check_mask(*image, *range, locate(*range, label), label, settings);
    if (!again) return fail(again.error());
    region = again->region;
    if (settings.additional_info) recorder.add_mask(&*image, *range, label, region.box, "resegmented");
    result.resegmented = std::move(*range);
  }
  result.box = region.box;
  result.region = cut_region(result.intensity_mask(), label, region.box);
  result.voxels_used = result.region.voxels;
  if (result.resegmented && result.voxels_used != result.voxels_resampled)
    result.notes.push_back("Resegmentation kept " + std::to_string(result.voxels_used) + " of " + std::to_string(result.voxels_resampled) + " voxels.");
  result.components = static_cast<int>(count_parts(result.region.size, result.region.inside));
  if (result.components > 1)
    result.notes.push_back("The region has " + std::to_string(result.components) + " separate parts: diameters and axis lengths span all of them.");
  return {};
}

}  // namespace

Result<PreparedRegion> prepare_region(const ScalarVolume& image, const MaskVolume& mask, int label, const ExtractionProfile& profile, TaskPool* pool) {
  const ExtractionSettings& settings = profile.settings;
  if (image.voxels.size() != image.geometry.voxel_count() || mask.labels.size() != mask.geometry.voxel_count() || image.voxels.empty() || mask.labels.empty())
    return refuse(ErrorCode::invalid_argument, "The number of voxels does not fit the geometry.");
  if (label < 1) return refuse(ErrorCode::invalid_argument, "The label must be a whole number above 0.");

  // Each step borrows the volumes of the step before unless it makes new ones.
  PreparedRegion result{&image, &mask};
  result.resegment_shape = settings.resegment_shape;
  result.label = label;
  const LabelExtent region = locate(mask, label);
  result.voxels_original = region.voxels;
  if (result.voxels_original == 0) return refuse(ErrorCode::roi_empty, "The mask has no voxel with label " + std::to_string(label) + ".");
  result.volume_original_ml = static_cast<double>(result.voxels_original) * mask.geometry.voxel_volume_mm3() / 1000;

  // Hashes of whole volumes take longer than most steps: they run beside them.
  std::vector<Diagnostic> of_image;
  std::vector<Diagnostic> of_mask;
  std::vector<Diagnostic> of_steps;
  Status prepared;
  run_tasks(pool, settings.additional_info ? 3 : 1, [&](std::size_t at) {
    if (at == 0) {
      DiagnosticsRecorder recorder(of_steps);
      prepared = prepare(result, region, profile, recorder, pool);
    } else if (at == 1) {
      DiagnosticsRecorder(of_mask).add_mask(nullptr, mask, label, region.box, "original");
    } else {
      DiagnosticsRecorder(of_image).add_image(image, "original");
    }
  });
  if (!prepared) return fail(prepared.error());
  if (settings.additional_info) {
    DiagnosticsRecorder recorder(result.diagnostics);
    recorder.add_versions();
    recorder.add_configuration(profile, label);
    for (std::vector<Diagnostic>* some : {&of_image, &of_mask, &of_steps})
      for (Diagnostic& one : *some) result.diagnostics.push_back(std::move(one));
  }
  return result;
}

}  // namespace choana::processing
