#include "processing/radiomics/ibsi/ibsi_extractor.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "processing/radiomics/ibsi/filters/ibsi_filter.h"
#include "processing/radiomics/ibsi/ibsi_discretiser.h"
#include "processing/radiomics/ibsi/intensity_features.h"
#include "processing/radiomics/ibsi/measured_region.h"
#include "processing/radiomics/ibsi/morphology.h"
#include "processing/radiomics/ibsi/texture_features.h"

namespace choana::processing::ibsi {
namespace {

constexpr std::string_view whole_volume = "3D";

/// One image of the region: the interpolated one, or a filter's response on the same grid.
struct ImageTask {
  std::string name;
  const ScalarVolume* image;
  bool response;
};

struct ImageFeatures {
  std::vector<IbsiFeatureValue> features;
  std::vector<std::string> notes;
};

class Collector {
 public:
  Collector(std::string image, ImageFeatures& out) : image_(std::move(image)), out_(out) {}
  void add(const std::string& family, std::string_view aggregation, int levels, const std::vector<TaggedValue>& values) {
    for (const TaggedValue& value : values)
      out_.features.push_back({image_, family, std::string(value.tag), std::string(value.code), std::string(aggregation), std::string(value.unit.unit),
                               std::string(value.unit.raw), levels, value.value});
  }

 private:
  std::string image_;
  ImageFeatures& out_;
};

/// Every value of a family replaced by a reason.
std::vector<TaggedValue> without_values(const std::string& family, const NotComputed& why) {
  std::vector<TaggedValue> values;
  for (const IbsiFeatureDescription& feature : ibsi_catalogue())
    if (feature.family == family) values.push_back({feature.tag, feature.code, feature.unit, why});
  return values;
}

std::string level_note(const std::string& image, const Discretisation& levels) {
  const std::size_t present = levels.present.size();
  if (present >= 8 && present <= 256) return {};
  return "The image " + image + " has " + std::to_string(present) + " grey level" + (present == 1 ? "" : "s") + " in the region; textures are " +
         (present < 8 ? "coarse below 8" : "sparse above 256") + ".";
}

ImageFeatures measure(const ImageTask& task, const PreparedImage& prepared, const IbsiProfile& profile, TaskPool* pool) {
  ImageFeatures out;
  Collector collector(task.name, out);
  MeasuredRegion region = prepared.region;
  if (task.response) region.intensities = region_values(*task.image, prepared.box, region);
  // A response has units of its own: the range of the intensities says nothing about it.
  ResegmentationSettings range = profile.resegmentation;
  DiscretisationSettings histogram = profile.volume_histogram;
  if (task.response) {
    range = {};
    if (histogram.method == DiscretisationMethod::none) histogram = {DiscretisationMethod::fixed_bin_number, 1000, 0};
    if (profile.discretisation.method == DiscretisationMethod::fixed_bin_size)
      out.notes.push_back("The response " + task.name + " is discretised with a fixed bin size, which IBSI does not recommend for filtered images.");
  }
  const std::optional<double> origin = std::isfinite(range.lower) ? std::optional(range.lower) : std::nullopt;
  const auto levels = discretise(region.intensities, profile.discretisation, origin);
  const NotComputed why{levels ? "" : std::string(to_string(levels.error().code)), levels ? "" : levels.error().message};
  const int level_count = levels ? levels->highest : 0;
  std::vector<TextureValues> textures;
  if (levels) {
    if (const std::string note = level_note(task.name, *levels); !note.empty()) out.notes.push_back(note);
    textures = texture_features(region, *levels, profile, pool);
  } else {
    out.notes.push_back(levels.error().message);
    textures = no_texture_features(profile, why);
  }
  for (const std::string& family : profile.families) {
    if (family == "morphology") {
      if (!task.response) collector.add(family, whole_volume, 0, morphological_features(region, pool));
    } else if (family == "local_intensity") {
      collector.add(family, whole_volume, 0, local_intensity(*task.image, prepared.box, region, pool));
    } else if (family == "intensity_statistics") {
      collector.add(family, whole_volume, 0, intensity_statistics(region.intensities));
    } else if (family == "intensity_histogram") {
      collector.add(family, whole_volume, level_count, levels ? intensity_histogram(*levels) : without_values(family, why));
    } else if (family == "intensity_volume_histogram") {
      collector.add(family, whole_volume, 0, intensity_volume_histogram(region.intensities, histogram, range));
    } else {
      for (const TextureValues& values : textures)
        if (values.family == family) collector.add(family, values.aggregation, level_count, values.values);
    }
  }
  return out;
}

}  // namespace

std::string IbsiFeatureValue::name() const {
  const bool texture = family == "glcm" || family == "glrlm" || family == "glszm" || family == "gldzm" || family == "ngtdm" || family == "ngldm";
  return image + "_" + tag + (texture ? "_" + aggregation : "");
}

Result<IbsiExtractionResult> extract_ibsi_features(const ScalarVolume& image, const MaskVolume& mask, int label, const IbsiProfile& profile, TaskPool* pool) {
  const auto prepared = prepare_image(image, mask, label, profile, pool);
  if (!prepared) return fail(prepared.error());
  IbsiExtractionResult result;
  result.grid_size = prepared->image.geometry.size();
  result.grid_spacing_mm = prepared->image.geometry.spacing_mm();
  result.voxels_original = prepared->voxels_original;
  result.voxels_morphological = prepared->region.morphological_voxels;
  result.voxels_intensity = prepared->region.intensities.size();
  result.volume_original_ml = prepared->volume_original_ml;
  result.volume_morphological_ml = static_cast<double>(result.voxels_morphological) * prepared->image.geometry.voxel_volume_mm3() / 1000;
  if (result.voxels_intensity < result.voxels_morphological)
    result.notes.push_back("Resegmentation left " + std::to_string(result.voxels_intensity) + " of " + std::to_string(result.voxels_morphological) + " voxels.");
  const auto append = [&](ImageFeatures measured) {
    result.features.insert(result.features.end(), std::make_move_iterator(measured.features.begin()), std::make_move_iterator(measured.features.end()));
    result.notes.insert(result.notes.end(), measured.notes.begin(), measured.notes.end());
  };
  if (profile.original) append(measure({"original", &prepared->image, false}, *prepared, profile, pool));
  // One response at a time: each is as large as the image.
  for (const IbsiFilter& filter : profile.filters) {
    const auto response = filter_image(filter, prepared->image, pool);
    if (!response) return fail(response.error());
    append(measure({filter_name(filter), &*response, true}, *prepared, profile, pool));
  }
  return result;
}

const std::vector<IbsiFeatureDescription>& ibsi_catalogue() {
  static const std::vector<IbsiFeatureDescription> catalogue = [] {
    std::vector<IbsiFeatureDescription> all;
    describe_morphological_features(all);
    describe_intensity_features(all);
    describe_texture_features(all);
    return all;
  }();
  return catalogue;
}

}  // namespace choana::processing::ibsi
