#include "processing/radiomics/feature_extractor.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <optional>

#include "processing/preprocessing/discretiser.h"
#include "processing/preprocessing/intensity_normaliser.h"
#include "processing/preprocessing/resampler.h"
#include "processing/preprocessing/resegmenter.h"
#include "processing/radiomics/diagnostics.h"
#include "processing/radiomics/families/first_order.h"
#include "processing/radiomics/families/glcm.h"
#include "processing/radiomics/families/gldm.h"
#include "processing/radiomics/families/glrlm.h"
#include "processing/radiomics/families/glszm.h"
#include "processing/radiomics/families/ngtdm.h"
#include "processing/radiomics/families/shape.h"
#include "processing/radiomics/families/shape2d.h"
#include "processing/radiomics/feature_catalogue.h"
#include "processing/radiomics/matrices/cooccurrence.h"
#include "processing/radiomics/matrices/dependence.h"
#include "processing/radiomics/matrices/level_volume.h"
#include "processing/radiomics/matrices/neighbouring_tone_difference.h"
#include "processing/radiomics/matrices/run_length.h"
#include "processing/radiomics/matrices/size_zone.h"

namespace choana::processing {
namespace {

/// Differences of grids beyond this many voxels are refused whatever geometryTolerance says.
constexpr double tolerance_voxels_max = 1.0;
constexpr double interpolation_ratio_noted = 3.0;
constexpr int levels_few = 8;
constexpr int levels_many = 256;

tl::unexpected<Error> refuse(ErrorCode code, std::string message) { return fail(code, "extract_features", std::move(message)); }

/// Where a label lies in a mask: found once, for a scan of the whole mask costs as much as a feature class.
struct Located {
  VoxelBox box;
  std::size_t voxels = 0;
};

Located locate(const MaskVolume& mask, int label) {
  Located found;
  found.box = bounding_box(mask, static_cast<std::uint32_t>(label));
  for (int k = 0; k < found.box.size[2]; ++k)
    for (int j = 0; j < found.box.size[1]; ++j) {
      const auto row = mask.labels.begin() +
                       static_cast<std::ptrdiff_t>(mask.geometry.offset(found.box.lower[0], j + found.box.lower[1], k + found.box.lower[2]));
      found.voxels += static_cast<std::size_t>(std::count(row, row + found.box.size[0], static_cast<std::uint32_t>(label)));
    }
  return found;
}

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
  Located region;
  std::optional<MaskVolume> corrected;  // set when the mask had to be put on the grid of the image
};

/// PyRadiomics' checkMask: same grid (or corrected), label present, enough dimensions and voxels.
Result<CheckedMask> check_mask(const ScalarVolume& image, const MaskVolume& mask, const Located& region, int label, const ExtractionSettings& settings) {
  CheckedMask checked{region, {}};
  if (const auto difference = grid_difference(image.geometry, mask.geometry, settings.geometry_tolerance)) {
    if (!settings.correct_mask)
      return refuse(ErrorCode::geometry_mismatch, "Image and mask lie on different grids: " + *difference +
                                                      ". Put the mask on the grid of the image, set correctMask, or raise geometryTolerance (at most one voxel).");
    if (auto inside = check_region_inside(image.geometry, mask, label); !inside) return fail(inside.error());
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

RegionBox cut_region(const MaskVolume& mask, int label, const VoxelBox& box) {
  RegionBox region{box.size, {}, mask.geometry.spacing_mm(), 0};
  const std::vector<std::uint32_t> labels = crop_values(mask.labels, mask.geometry.size(), box);
  region.inside.reserve(labels.size());
  for (const std::uint32_t value : labels) {
    const bool inside = value == static_cast<std::uint32_t>(label);
    region.inside.push_back(inside ? 1 : 0);
    region.voxels += inside ? 1 : 0;
  }
  return region;
}

Status add_values(FeatureVector& features, const std::string& image_name, const std::string& family, const std::vector<NamedValue>& values) {
  for (const NamedValue& value : values) {
    const FeatureId id{image_name, family, std::string(value.name)};
    const Status status = std::holds_alternative<double>(value.value) ? features.add(id, std::get<double>(value.value)) : features.add(id, std::get<NotComputed>(value.value));
    if (!status) return status;
  }
  return {};
}

/// The features asked for, all without a value for the same reason.
std::vector<NamedValue> all_not_computed(const FamilyRequest& request, const NotComputed& why) {
  std::vector<NamedValue> values;
  if (!request.names.empty()) {
    for (const std::string& name : request.names)
      if (const FeatureDescription* feature = find_feature(request.family, name); feature != nullptr && feature->availability != Availability::retired)
        values.push_back({feature->name, why});
    return values;
  }
  for (const FeatureDescription& feature : feature_catalogue())
    if (feature.family == request.family && feature.availability == Availability::listed) values.push_back({feature.name, why});
  return values;
}

/// Intensity and texture features of one image in one region.
Status measure_image(const std::string& image_name, const ScalarVolume& image, const RegionBox& region, const VoxelBox& box, const ExtractionSettings& settings,
                     const std::vector<FamilyRequest>& families, ExtractionResult& result) {
  IntensitySample sample;
  sample.shift = settings.voxel_array_shift;
  const Vector3& spacing = image.geometry.spacing_mm();
  sample.voxel_volume_mm3 = spacing[0] * spacing[1] * spacing[2];
  sample.values.reserve(region.voxels);
  std::size_t voxel = 0;
  for (int k = 0; k < box.size[2]; ++k)
    for (int j = 0; j < box.size[1]; ++j) {
      const double* row = image.voxels.data() + image.geometry.offset(box.lower[0], j + box.lower[1], k + box.lower[2]);
      for (int i = 0; i < box.size[0]; ++i, ++voxel)
        if (region.inside[voxel] != 0) sample.values.push_back(row[i]);
    }
  NotComputed why{"not_finite_voxel", "The region holds a voxel that is not a number."};
  bool finite = true;
  for (const double value : sample.values) finite = finite && std::isfinite(value);

  std::optional<LevelVolume> levels;
  const int flat_axis = settings.force_2d ? 2 - settings.force_2d_dimension : -1;
  if (finite) {
    const auto discretised = settings.bin_count ? discretise_by_count(sample.values, *settings.bin_count, image.pixel_type == PixelType::float32)
                                                : discretise_by_width(sample.values, settings.bin_width);
    if (discretised) {
      const int furthest = *std::max_element(settings.distances_voxels.begin(), settings.distances_voxels.end());
      const int widest = std::max({box.size[0], box.size[1], box.size[2]});
      levels = make_level_volume(box.size, region.inside, *discretised, spacing, std::max(1, std::min(furthest, widest - 1)));
      sample.level_counts.assign(levels->levels.size(), 0);
      for (const std::size_t position : levels->positions) ++sample.level_counts[static_cast<std::size_t>(levels->ranks[position])];
      result.levels.push_back({image_name, levels->highest_level, static_cast<int>(levels->levels.size())});
    } else {
      why = {std::string(to_string(discretised.error().code)), discretised.error().message};
    }
  }
  for (const FamilyRequest& request : families) {
    const std::string& family = request.family;
    if (family == "shape" || family == "shape2D") continue;
    std::vector<NamedValue> values;
    if (!finite) values = all_not_computed(request, why);
    else if (family == "firstorder") values = first_order_features(sample, request.names);
    else if (!levels) values = all_not_computed(request, why);
    else if (family == "glcm")
      values = glcm_features(count_cooccurrences(*levels, settings.distances_voxels, flat_axis, settings.symmetrical_glcm, settings.weighting_norm), request.names);
    else if (family == "gldm") values = gldm_features(count_dependences(*levels, settings.distances_voxels, flat_axis, settings.gldm_alpha), request.names);
    else if (family == "glrlm") values = glrlm_features(count_runs(*levels, flat_axis, settings.weighting_norm), request.names);
    else if (family == "glszm") values = glszm_features(count_zones(*levels, flat_axis), request.names);
    else if (family == "ngtdm") values = ngtdm_features(sum_tone_differences(*levels, settings.distances_voxels, flat_axis), request.names);
    else return refuse(ErrorCode::invalid_profile, "Unknown feature class '" + family + "'.");
    if (auto status = add_values(result.features, image_name, family, values); !status) return status;
  }
  return {};
}

Status measure_shape(const MaskVolume& mask, int label, const VoxelBox& box, const ExtractionProfile& profile, ExtractionResult& result) {
  const RegionBox region = cut_region(mask, label, box);
  for (const FamilyRequest& request : profile.families)
    if (request.family == "shape")
      if (auto status = add_values(result.features, "original", "shape", shape_features(region, request.names)); !status) return status;
  for (const FamilyRequest& request : profile.families) {
    if (request.family != "shape2D") continue;
    const int dimension = profile.settings.force_2d_dimension;
    if (!profile.settings.force_2d) {
      result.notes.push_back("shape2D was asked for but needs force2D: no 2-D shape was computed.");
      continue;
    }
    // PyRadiomics reads the dimension (z, y, x) as an index into sizes in the order x, y, z here; its columns are kept.
    if (box.size[static_cast<std::size_t>(dimension)] <= 1) {
      result.notes.push_back("shape2D was left out, as PyRadiomics leaves it out when the region is one voxel wide along axis " + std::to_string(dimension) + ".");
      continue;
    }
    if (auto status = add_values(result.features, "original", "shape2D", shape2d_features(region, 2 - dimension, request.names)); !status) return status;
  }
  return {};
}

std::string millilitres(double volume_ml) {
  char buffer[40];
  std::snprintf(buffer, sizeof buffer, "%.3f ml", volume_ml);
  return buffer;
}

}  // namespace

Result<ExtractionResult> extract_features(const ScalarVolume& original_image, const MaskVolume& original_mask, int label, const ExtractionProfile& profile) {
  const ExtractionSettings& settings = profile.settings;
  if (original_image.voxels.size() != original_image.geometry.voxel_count() || original_mask.labels.size() != original_mask.geometry.voxel_count() ||
      original_image.voxels.empty() || original_mask.labels.empty())
    return refuse(ErrorCode::invalid_argument, "The number of voxels does not fit the geometry.");
  if (label < 1) return refuse(ErrorCode::invalid_argument, "The label must be a whole number above 0.");
  for (const ImageTypeRequest& type : profile.image_types)
    if (type.name != "Original")
      return refuse(ErrorCode::invalid_profile, "The image type '" + type.name + "' is not available in this version; only Original is.");

  ExtractionResult result;
  Located region = locate(original_mask, label);
  result.voxels_original = region.voxels;
  if (result.voxels_original == 0) return refuse(ErrorCode::roi_empty, "The mask has no voxel with label " + std::to_string(label) + ".");
  result.volume_original_ml = static_cast<double>(result.voxels_original) * original_mask.geometry.voxel_volume_mm3() / 1000;

  DiagnosticsRecorder recorder(result.diagnostics);
  if (settings.additional_info) {
    recorder.add_versions();
    recorder.add_configuration(profile, label);
    recorder.add_image(original_image, "original");
    recorder.add_mask(nullptr, original_mask, label, "original");
  }

  // Each step borrows the volumes of the step before unless it makes new ones.
  const ScalarVolume* image = &original_image;
  const MaskVolume* mask = &original_mask;
  std::optional<ScalarVolume> normalised;
  std::optional<ResampledPair> prepared;
  if (settings.normalize) {
    auto scaled = normalise_intensities(*image, settings.normalize_scale, settings.remove_outliers);
    if (!scaled) return fail(scaled.error());
    normalised = std::move(*scaled);
    image = &*normalised;
  }
  if (settings.interpolator && settings.resampled_pixel_spacing_mm) {
    auto resampled = resample_to_spacing(*image, *mask, label, *settings.resampled_pixel_spacing_mm, *settings.interpolator, settings.pad_distance_voxels);
    if (!resampled) return fail(resampled.error());
    prepared = std::move(*resampled);
    image = &prepared->image;
    mask = &prepared->mask;
    region = locate(*mask, label);
    if (region.voxels == 0)
      return refuse(ErrorCode::roi_empty, "No voxel of the region is left after resampling: the region is thinner than a new voxel.");
    if (settings.additional_info) {
      recorder.add_image(*image, "interpolated");
      recorder.add_mask(image, *mask, label, "interpolated");
    }
    const Vector3& before = original_mask.geometry.spacing_mm();
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
    prepared = std::move(*cropped);
    image = &prepared->image;
    mask = &prepared->mask;
    region = locate(*mask, label);
  }

  auto checked = check_mask(*image, *mask, region, label, settings);
  if (!checked) return fail(checked.error());
  std::optional<MaskVolume> corrected;
  if (checked->corrected) {
    corrected = std::move(checked->corrected);
    mask = &*corrected;
    if (settings.additional_info) recorder.add_mask(image, *mask, label, "corrected");
    result.notes.push_back("The mask lay on another grid and was moved onto the grid of the image (nearest neighbour).");
  }
  region = checked->region;
  result.voxels_resampled = region.voxels;
  result.volume_resampled_ml = static_cast<double>(result.voxels_resampled) * mask->geometry.voxel_volume_mm3() / 1000;
  if (result.voxels_resampled != result.voxels_original)
    result.notes.push_back("The region holds " + std::to_string(result.voxels_original) + " voxels (" + millilitres(result.volume_original_ml) + ") as drawn and " +
                           std::to_string(result.voxels_resampled) + " (" + millilitres(result.volume_resampled_ml) + ") on the grid that was measured.");

  std::optional<MaskVolume> resegmented;
  if (!settings.resegment_range.empty()) {
    auto range = resegment(*image, *mask, label, settings.resegment_range, settings.resegment_mode);
    if (!range) return fail(range.error());
    resegmented = std::move(*range);
    auto again = check_mask(*image, *resegmented, locate(*resegmented, label), label, settings);
    if (!again) return fail(again.error());
    region = again->region;
    if (settings.additional_info) recorder.add_mask(image, *resegmented, label, "resegmented");
  }
  const MaskVolume& intensity_mask = resegmented ? *resegmented : *mask;
  const MaskVolume& shape_mask = resegmented && settings.resegment_shape ? *resegmented : *mask;

  if (auto status = measure_shape(shape_mask, label, region.box, profile, result); !status) return fail(status.error());
  const RegionBox cut = cut_region(intensity_mask, label, region.box);
  result.voxels_used = cut.voxels;
  if (resegmented && result.voxels_used != result.voxels_resampled)
    result.notes.push_back("Resegmentation kept " + std::to_string(result.voxels_used) + " of " + std::to_string(result.voxels_resampled) + " voxels.");
  result.components = count_components(intensity_mask, label, region.box);
  if (result.components > 1)
    result.notes.push_back("The region has " + std::to_string(result.components) + " separate parts: diameters and axis lengths span all of them.");

  for (const ImageTypeRequest& type : profile.image_types)
    if (auto status = measure_image("original", *image, cut, region.box, type.settings, profile.families, result); !status) return fail(status.error());

  for (const LevelCount& count : result.levels) {
    if (count.present >= levels_few && count.highest <= levels_many) continue;
    result.notes.push_back("The image '" + count.image + "' has " + std::to_string(count.present) + " grey levels in the region (highest " + std::to_string(count.highest) + "): " +
                           (count.present < levels_few ? "texture features carry little; choose a smaller binWidth or a binCount."
                                                       : "texture matrices are sparse; choose a larger binWidth or a binCount."));
  }
  return result;
}

std::string aggregation(std::string_view family, const ExtractionSettings& settings) {
  if (family == "shape") return "3D";
  if (family == "shape2D") return "2D";
  const std::string space = settings.force_2d ? "2.5D" : "3D";
  if (family == "firstorder") return "3D";
  if (family != "glcm" && family != "glrlm") return space;
  switch (settings.weighting_norm) {
    case WeightingNorm::none: return settings.force_2d ? "2.5D_direction_merged" : "3D_avg";
    case WeightingNorm::no_weighting: return space + "_merged";
    case WeightingNorm::euclidean: return space + "_weighted_euclidean";
    case WeightingNorm::manhattan: return space + "_weighted_manhattan";
    case WeightingNorm::infinity: return space + "_weighted_infinity";
  }
  return space;
}

}  // namespace choana::processing
