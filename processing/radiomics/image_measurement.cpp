#include "processing/radiomics/image_measurement.h"

#include <algorithm>
#include <cmath>

#include "processing/preprocessing/discretiser.h"
#include "processing/radiomics/families/first_order.h"
#include "processing/radiomics/families/glcm.h"
#include "processing/radiomics/families/gldm.h"
#include "processing/radiomics/families/glrlm.h"
#include "processing/radiomics/families/glszm.h"
#include "processing/radiomics/families/ngtdm.h"
#include "processing/radiomics/families/sample_kernels.h"
#include "processing/radiomics/families/shape.h"
#include "processing/radiomics/families/shape2d.h"
#include "processing/radiomics/feature_catalogue.h"
#include "processing/radiomics/matrices/cooccurrence.h"
#include "processing/radiomics/matrices/level_volume.h"
#include "processing/radiomics/matrices/neighbourhood.h"
#include "processing/radiomics/matrices/run_length.h"
#include "processing/radiomics/matrices/size_zone.h"

namespace choana::processing {
namespace {

constexpr int levels_few = 8;
constexpr int levels_many = 256;

void add_values(std::vector<FeatureValue>& features, const std::string& image, const std::string& family, const std::vector<NamedValue>& values) {
  for (const NamedValue& value : values) features.push_back({{image, family, std::string(value.name)}, value.value});
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

/// What the families of one image start from.
struct Sampled {
  IntensitySample sample;
  std::optional<LevelVolume> levels;
  bool finite = true;
  NotComputed why;                   // without `levels`: why not
};

Sampled sample_region(const DerivedImage& image, const RegionBox& region, const VoxelBox& box, const ExtractionSettings& settings) {
  Sampled result;
  if (region.voxels == 0) {
    result.finite = false;
    result.why = {"roi_empty", "No voxel carries the label that this image type measures."};
    return result;
  }
  const ScalarVolume& volume = *image.volume;
  IntensitySample& sample = result.sample;
  sample.shift = settings.voxel_array_shift;
  const Vector3& spacing = volume.geometry.spacing_mm();
  sample.voxel_volume_mm3 = spacing[0] * spacing[1] * spacing[2];
  sample.values.reserve(region.voxels);
  for_each_run(box.size, region.inside, [&](int i, int j, int k, int length) {
    const double* values = volume.voxels.data() + volume.geometry.offset(i + box.lower[0] - image.box.lower[0], j + box.lower[1] - image.box.lower[1],
                                                                         k + box.lower[2] - image.box.lower[2]);
    sample.values.insert(sample.values.end(), values, values + length);
  });
  result.finite = all_finite(sample.values);
  if (!result.finite) {
    result.why = {"not_finite_voxel", "The region holds a voxel that is not a number."};
    return result;
  }
  const auto discretised = settings.bin_count ? discretise_by_count(sample.values, *settings.bin_count, volume.pixel_type == PixelType::float32)
                                              : discretise_by_width(sample.values, settings.bin_width);
  if (!discretised) {
    result.why = {std::string(to_string(discretised.error().code)), discretised.error().message};
    return result;
  }
  const int furthest = *std::max_element(settings.distances_voxels.begin(), settings.distances_voxels.end());
  const int widest = std::max({box.size[0], box.size[1], box.size[2]});
  result.levels = make_level_volume(box.size, region.inside, *discretised, spacing, std::max(1, std::min(furthest, widest - 1)));
  sample.level_counts = result.levels->level_counts;
  return result;
}

/// One family of one image.
Result<std::vector<NamedValue>> measure_family(const Sampled& sampled, const FamilyRequest& request, const ExtractionSettings& settings) {
  const std::string& family = request.family;
  if (!sampled.finite) return all_not_computed(request, sampled.why);
  if (family == "firstorder") return first_order_features(sampled.sample, request.names);
  if (!sampled.levels) return all_not_computed(request, sampled.why);
  const LevelVolume& levels = *sampled.levels;
  const int flat_axis = settings.force_2d ? 2 - settings.force_2d_dimension : -1;
  if (family == "glcm") {
    GlcmMeans means(request.names);
    visit_cooccurrences(levels, settings.distances_voxels, flat_axis, settings.symmetrical_glcm, settings.weighting_norm,
                        [&](const CooccurrenceMatrix& matrix) { means.add(matrix); });
    std::vector<NamedValue> values = means.values();
    // PyRadiomics takes a region of one level for flat before it asks whether there is a pair at all.
    if (levels.levels.size() == 1 && settings.weighting_norm == WeightingNorm::none)
      for (NamedValue& value : values)
        if (value.name == "MCC" && std::holds_alternative<NotComputed>(value.value)) value.value = 1.0;
    return values;
  }
  if (family == "glrlm") return glrlm_features(count_runs(levels, flat_axis, settings.weighting_norm), request.names);
  if (family == "glszm") return glszm_features(count_zones(levels, flat_axis), request.names);
  return fail(ErrorCode::invalid_profile, "extract_features", "Unknown feature class '" + family + "'.");
}

/// GLDM and NGTDM, of which either may be missing (nullptr): both come from one walk over the neighbours.
void measure_neighbourhoods(const Sampled& sampled, const FamilyRequest* gldm, const FamilyRequest* ngtdm, const ExtractionSettings& settings,
                            Result<std::vector<NamedValue>>* dependences, Result<std::vector<NamedValue>>* tones) {
  if (!sampled.levels) {
    if (gldm != nullptr) *dependences = all_not_computed(*gldm, sampled.why);
    if (ngtdm != nullptr) *tones = all_not_computed(*ngtdm, sampled.why);
    return;
  }
  const int flat_axis = settings.force_2d ? 2 - settings.force_2d_dimension : -1;
  const NeighbourhoodMatrices matrices =
      count_neighbourhoods(*sampled.levels, settings.distances_voxels, flat_axis, settings.gldm_alpha, gldm != nullptr, ngtdm != nullptr);
  if (gldm != nullptr) *dependences = gldm_features(matrices.dependences, gldm->names);
  if (ngtdm != nullptr) *tones = ngtdm_features(matrices.tones, ngtdm->names);
}

}  // namespace

Result<ImageMeasurement> measure_image(const DerivedImage& image, const RegionBox& region, const VoxelBox& box, const ExtractionSettings& settings,
                                       const std::vector<FamilyRequest>& families, TaskPool* pool) {
  ImageMeasurement result;
  std::vector<const FamilyRequest*> requests;
  for (const FamilyRequest& request : families)
    if (request.family != "shape" && request.family != "shape2D") requests.push_back(&request);
  const Sampled sampled = sample_region(image, region, box, settings);
  std::vector<Result<std::vector<NamedValue>>> values(requests.size());
  std::vector<std::size_t> alone;
  std::size_t gldm = requests.size();
  std::size_t ngtdm = requests.size();
  for (std::size_t at = 0; at < requests.size(); ++at) {
    if (requests[at]->family == "gldm" && gldm == requests.size()) gldm = at;
    else if (requests[at]->family == "ngtdm" && ngtdm == requests.size()) ngtdm = at;
    else alone.push_back(at);
  }
  const bool neighbourhoods = gldm < requests.size() || ngtdm < requests.size();
  run_tasks(pool, alone.size() + (neighbourhoods ? 1 : 0), [&](std::size_t task) {
    if (task < alone.size()) {
      values[alone[task]] = measure_family(sampled, *requests[alone[task]], settings);
      return;
    }
    const auto request = [&](std::size_t at) { return at < requests.size() ? requests[at] : nullptr; };
    const auto slot = [&](std::size_t at) { return at < requests.size() ? &values[at] : nullptr; };
    measure_neighbourhoods(sampled, request(gldm), request(ngtdm), settings, slot(gldm), slot(ngtdm));
  });
  for (std::size_t at = 0; at < requests.size(); ++at) {
    if (!values[at]) return fail(values[at].error());
    add_values(result.values, image.name, requests[at]->family, *values[at]);
  }
  if (sampled.levels) {
    const LevelCount count{image.name, sampled.levels->highest_level, static_cast<int>(sampled.levels->levels.size())};
    result.levels = count;
    if (count.present < levels_few || count.highest > levels_many)
      result.notes.push_back("The image '" + count.image + "' has " + std::to_string(count.present) + " grey levels in the region (highest " + std::to_string(count.highest) + "): " +
                             (count.present < levels_few ? "texture features carry little; choose a smaller binWidth or a binCount."
                                                         : "texture matrices are sparse; choose a larger binWidth or a binCount."));
  }
  return result;
}

ImageMeasurement measure_shape(const RegionBox& region, const ExtractionSettings& settings, const std::vector<FamilyRequest>& families) {
  ImageMeasurement result;
  for (const FamilyRequest& request : families)
    if (request.family == "shape") add_values(result.values, "original", "shape", shape_features(region, request.names));
  for (const FamilyRequest& request : families) {
    if (request.family != "shape2D") continue;
    const int dimension = settings.force_2d_dimension;
    if (!settings.force_2d) {
      result.notes.push_back("shape2D was asked for but needs force2D: no 2-D shape was computed.");
      continue;
    }
    // PyRadiomics reads the dimension (z, y, x) as an index into sizes in the order x, y, z here; its columns are kept.
    if (region.size[static_cast<std::size_t>(dimension)] <= 1) {
      result.notes.push_back("shape2D was left out, as PyRadiomics leaves it out when the region is one voxel wide along axis " + std::to_string(dimension) + ".");
      continue;
    }
    add_values(result.values, "original", "shape2D", shape2d_features(region, 2 - dimension, request.names));
  }
  return result;
}

}  // namespace choana::processing
