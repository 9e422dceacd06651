#include "processing/radiomics/feature_extractor.h"

#include <optional>
#include <utility>

#include "processing/radiomics/filters/filter_catalogue.h"

namespace choana::processing {
namespace {

/// What one image type gave.
struct TypeMeasurement {
  std::vector<ImageMeasurement> images;
  std::vector<MissingImage> missing;
  std::vector<std::string> notes;
};

Result<TypeMeasurement> measure_type(const ImageTypeRequest& type, const PreparedRegion& prepared, const std::vector<FamilyRequest>& families, TaskPool* pool) {
  const int label = type.label.value_or(prepared.label);
  const FilterInput input{*prepared.image, prepared.intensity_mask(), label, prepared.box, pool};
  auto derived = derive_images(type.name, input, type.settings);
  if (!derived) return fail(derived.error());
  TypeMeasurement result;
  result.missing = std::move(derived->missing);
  result.notes = std::move(derived->notes);
  std::optional<RegionBox> other;
  if (label != prepared.label) other = cut_region(prepared.intensity_mask(), label, prepared.box);
  const RegionBox& region = other ? *other : prepared.region;
  std::vector<Result<ImageMeasurement>> measured(derived->images.size());
  run_tasks(pool, measured.size(), [&](std::size_t at) {
    measured[at] = measure_image(derived->images[at], region, prepared.box, type.settings, families, pool);
  });
  for (auto& one : measured) {
    if (!one) return fail(one.error());
    result.images.push_back(std::move(*one));
  }
  return result;
}

Status take(ExtractionResult& result, ImageMeasurement&& measured) {
  for (FeatureValue& value : measured.values) {
    const Status status = value.computed() ? result.features.add(std::move(value.id), value.number())
                                           : result.features.add(std::move(value.id), std::get<NotComputed>(std::move(value.value)));
    if (!status) return status;
  }
  if (measured.levels) result.levels.push_back(*measured.levels);
  for (std::string& note : measured.notes) result.notes.push_back(std::move(note));
  return {};
}

}  // namespace

Result<ExtractionResult> extract_features(const ScalarVolume& image, const MaskVolume& mask, int label, const ExtractionProfile& profile, TaskPool* pool) {
  auto prepared = prepare_region(image, mask, label, profile, pool);
  if (!prepared) return fail(prepared.error());
  ExtractionResult result;
  result.notes = std::move(prepared->notes);
  result.diagnostics = std::move(prepared->diagnostics);
  result.voxels_original = prepared->voxels_original;
  result.voxels_resampled = prepared->voxels_resampled;
  result.voxels_used = prepared->voxels_used;
  result.volume_original_ml = prepared->volume_original_ml;
  result.volume_resampled_ml = prepared->volume_resampled_ml;
  result.components = prepared->components;

  // Task 0 is shape, the others are image types; each fills a slot of its own.
  std::vector<Result<TypeMeasurement>> slots(profile.image_types.size() + 1);
  run_tasks(pool, slots.size(), [&](std::size_t at) {
    if (at == 0) {
      TypeMeasurement shape;
      shape.images.push_back(measure_shape(cut_region(prepared->morphological_mask(), label, prepared->box), profile.settings, profile.families));
      slots[at] = std::move(shape);
    } else {
      slots[at] = measure_type(profile.image_types[at - 1], *prepared, profile.families, pool);
    }
  });
  for (auto& slot : slots) {
    if (!slot) return fail(slot.error());
    for (ImageMeasurement& measured : slot->images)
      if (auto status = take(result, std::move(measured)); !status) return fail(status.error());
    for (std::string& note : slot->notes) result.notes.push_back(std::move(note));
    for (MissingImage& missing : slot->missing) {
      result.notes.push_back("The image '" + missing.name + "' has no features: " + missing.why.text);
      result.missing_images.push_back(std::move(missing));
    }
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
