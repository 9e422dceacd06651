#include "processing/radiomics/selected_extraction.h"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "processing/radiomics/filters/filter_catalogue.h"
#include "processing/radiomics/image_measurement.h"
#include "processing/radiomics/region_preparation.h"

namespace choana::processing {
namespace {

constexpr std::size_t regions_at_once = 8;  // prepared images of so many are held before equal ones are merged

/// What the names of an image type's images begin with.
std::string_view image_prefix(std::string_view image_type) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 10> prefixes{{{"Original", "original"},
                                                                                    {"LoG", "log-sigma-"},
                                                                                    {"Wavelet", "wavelet"},
                                                                                    {"Square", "square"},
                                                                                    {"SquareRoot", "squareroot"},
                                                                                    {"Logarithm", "logarithm"},
                                                                                    {"Exponential", "exponential"},
                                                                                    {"Gradient", "gradient"},
                                                                                    {"LBP2D", "lbp-2D"},
                                                                                    {"LBP3D", "lbp-3D"}}};
  for (const auto& [type, prefix] : prefixes)
    if (type == image_type) return prefix;
  return {};
}

std::string log_image(const LogScale& scale) {
  std::string name = "log-sigma-" + scale.text + "-mm-3D";
  std::replace(name.begin(), name.end(), '.', '-');
  return name;
}

/// The features of one image among those that are wanted, family by family as the profile asks.
std::vector<FamilyRequest> families_of(const std::vector<FamilyRequest>& families, const std::set<FeatureId>& wanted, const std::string& image) {
  std::vector<FamilyRequest> chosen;
  for (const FamilyRequest& request : families) {
    FamilyRequest some{request.family, {}};
    for (const FeatureId& id : wanted)
      if (id.image == image && id.family == request.family && (request.names.empty() || std::find(request.names.begin(), request.names.end(), id.name) != request.names.end()))
        some.names.push_back(id.name);
    if (!some.names.empty()) chosen.push_back(std::move(some));
  }
  return chosen;
}

/// What is left of a prepared region once its image is kept elsewhere.
struct Prepared {
  std::size_t image = 0;  // position among the prepared images
  VoxelBox box;
  RegionBox region;
  RegionBox shape;
};

VoxelBox joined(const VoxelBox& a, const VoxelBox& b) {
  VoxelBox both;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    both.lower[axis] = std::min(a.lower[axis], b.lower[axis]);
    both.size[axis] = std::max(a.lower[axis] + a.size[axis], b.lower[axis] + b.size[axis]) - both.lower[axis];
  }
  return both;
}

Status add_all(FeatureVector& features, ImageMeasurement&& measured) {
  for (FeatureValue& value : measured.values) {
    const Status status = value.computed() ? features.add(std::move(value.id), value.number()) : features.add(std::move(value.id), std::get<NotComputed>(std::move(value.value)));
    if (!status) return status;
  }
  return {};
}

/// Local binary patterns in 3-D exist in the region alone, and an image type may measure another label: these belong to one region.
bool sees_mask(const ImageTypeRequest& type) { return type.name == "LBP3D" || type.label; }

/// The wanted features of one image type that belongs to one region.
Status add_type(FeatureVector& features, const ImageTypeRequest& type, const PreparedRegion& prepared, const std::vector<FamilyRequest>& families, const std::set<FeatureId>& wanted,
                TaskPool* pool) {
  const int label = type.label.value_or(prepared.label);
  auto derived = derive_images(type.name, {*prepared.image, prepared.intensity_mask(), label, prepared.box, pool}, type.settings);
  if (!derived) return fail(derived.error());
  const RegionBox other = label == prepared.label ? RegionBox{} : cut_region(prepared.intensity_mask(), label, prepared.box);
  for (const DerivedImage& each : derived->images) {
    const std::vector<FamilyRequest> some = families_of(families, wanted, each.name);
    if (some.empty()) continue;
    auto measured = measure_image(each, label == prepared.label ? prepared.region : other, prepared.box, type.settings, some, pool);
    if (!measured) return fail(measured.error());
    if (Status status = add_all(features, std::move(*measured)); !status) return status;
  }
  return {};
}

}  // namespace

ExtractionProfile narrowed(const ExtractionProfile& profile, const std::set<FeatureId>& wanted) {
  ExtractionProfile some = profile;
  some.settings.additional_info = false;  // diagnostics describe an extraction that is reported
  std::erase_if(some.image_types, [&](ImageTypeRequest& type) {
    const std::string_view prefix = image_prefix(type.name);
    if (type.name == "LoG")
      std::erase_if(type.settings.log_scales, [&](const LogScale& scale) {
        return std::none_of(wanted.begin(), wanted.end(), [&, name = log_image(scale)](const FeatureId& id) { return id.image == name; });
      });
    return std::none_of(wanted.begin(), wanted.end(), [&](const FeatureId& id) { return !id.family.starts_with("shape") && std::string_view(id.image).starts_with(prefix); });
  });
  std::erase_if(some.families, [&](const FamilyRequest& request) { return std::none_of(wanted.begin(), wanted.end(), [&](const FeatureId& id) { return id.family == request.family; }); });
  for (FamilyRequest& request : some.families) {
    std::vector<std::string> names;
    for (const FeatureId& id : wanted)
      if (id.family == request.family && std::find(names.begin(), names.end(), id.name) == names.end() &&
          (request.names.empty() || std::find(request.names.begin(), request.names.end(), id.name) != request.names.end()))
        names.push_back(id.name);
    request.names = std::move(names);
  }
  std::erase_if(some.families, [](const FamilyRequest& request) { return request.names.empty(); });
  return some;
}

std::vector<Result<FeatureVector>> extract_selected(const ScalarVolume& image, std::size_t regions, const std::function<MaskVolume(std::size_t)>& region, int label,
                                                    const ExtractionProfile& profile, const std::set<FeatureId>& wanted, TaskPool* pool) {
  std::vector<Result<FeatureVector>> results(regions);
  const ExtractionProfile some = narrowed(profile, wanted);
  std::vector<std::optional<Prepared>> prepared(regions);
  std::vector<std::unique_ptr<ScalarVolume>> owned;
  std::vector<const ScalarVolume*> images;
  for (std::size_t first = 0; first < regions; first += regions_at_once) {
    const std::size_t count = std::min(regions_at_once, regions - first);
    std::vector<std::unique_ptr<ScalarVolume>> made(count);  // nothing: the image as given
    run_tasks(pool, count, [&](std::size_t at) {
      const std::size_t n = first + at;
      const MaskVolume mask = region(n);
      auto one = prepare_region(image, mask, label, some, pool);
      if (!one) {
        results[n] = fail(one.error());
        return;
      }
      FeatureVector features;
      for (const ImageTypeRequest& type : some.image_types) {
        if (!sees_mask(type)) continue;
        if (Status status = add_type(features, type, *one, some.families, wanted, pool); !status) {
          results[n] = fail(status.error());
          return;
        }
      }
      results[n] = std::move(features);
      prepared[n] = Prepared{0, one->box, one->region, cut_region(one->morphological_mask(), label, one->box)};
      if (one->image.owned()) made[at] = std::make_unique<ScalarVolume>(*one->image);
    });
    for (std::size_t at = 0; at < count; ++at) {
      if (!prepared[first + at]) continue;
      const ScalarVolume* mine = made[at] ? made[at].get() : &image;
      // Preparation is a function of image and grid: equal grids hold equal voxels.
      const auto same = std::find_if(images.begin(), images.end(), [&](const ScalarVolume* other) { return other == mine || ((other == &image) == (mine == &image) && other->geometry == mine->geometry); });
      prepared[first + at]->image = static_cast<std::size_t>(same - images.begin());
      if (same != images.end()) continue;
      images.push_back(mine);
      if (made[at]) owned.push_back(std::move(made[at]));
    }
  }

  const std::vector<FamilyRequest> shapes = families_of(some.families, wanted, "original");
  run_tasks(pool, regions, [&](std::size_t n) {
    if (!prepared[n]) return;
    if (Status status = add_all(*results[n], measure_shape(prepared[n]->shape, some.settings, shapes)); !status) results[n] = fail(status.error());
  });
  for (std::size_t i = 0; i < images.size(); ++i) {
    std::vector<std::size_t> here;
    std::optional<VoxelBox> box;
    for (std::size_t n = 0; n < regions; ++n)
      if (prepared[n] && prepared[n]->image == i) {
        here.push_back(n);
        box = box ? joined(*box, prepared[n]->box) : prepared[n]->box;
      }
    const MaskVolume no_mask{images[i]->geometry, {}};  // no filter that is left here looks at it
    for (const ImageTypeRequest& type : some.image_types) {
      if (sees_mask(type)) continue;
      auto derived = derive_images(type.name, {*images[i], no_mask, label, *box, pool}, type.settings);
      run_tasks(pool, here.size(), [&](std::size_t at) {
        Result<FeatureVector>& result = results[here[at]];
        if (!result) return;
        if (!derived) {
          result = fail(derived.error());
          return;
        }
        const Prepared& one = *prepared[here[at]];
        for (const DerivedImage& each : derived->images) {
          const std::vector<FamilyRequest> families = families_of(some.families, wanted, each.name);
          if (families.empty()) continue;
          auto measured = measure_image(each, one.region, one.box, type.settings, families, pool);
          Status status = measured ? add_all(*result, std::move(*measured)) : Status(fail(measured.error()));
          if (!status) {
            result = fail(status.error());
            return;
          }
        }
      });
    }
  }
  return results;
}

}  // namespace choana::processing
