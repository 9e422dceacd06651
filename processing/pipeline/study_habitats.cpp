#include "processing/pipeline/study_habitats.h"

#include <algorithm>
#include <cstdint>
#include <tuple>
#include <utility>

#include "processing/habitats/habitat_clustering.h"
#include "processing/roi/roi_builder.h"

namespace choana::processing {

Status StudyHabitats::plan(const RoleContext& context, const PackageManifest& manifest, const PackagePlan& plan, std::size_t position, const RequiredHabitats& required) {
  const auto where = plan.place_of.find({required.on, required.of});
  if (where == plan.place_of.end()) return {};  // an optional series or region that is not there: its features are missing
  HabitatPlan habitats;
  habitats.plan = position;
  habitats.required = &required;
  std::tie(habitats.measured, habitats.roi) = where->second;
  const RegionOfInterest roi = findings_.measured[habitats.measured].rois[habitats.roi];
  const auto image_on = [&](const std::string& role, std::optional<RigidTransform>& transform) -> Result<std::size_t> {
    const auto series = context.series.find(role);
    if (series == context.series.end()) return fail(ErrorCode::missing_role, "habitats", "Habitats need the series " + role + ", which was not received.");
    const BuiltVolume* volume = series_.main_volume(series->second);
    if (volume == nullptr) return fail(*series_[series->second].load_error);
    auto between = alignment_.transform_between(context, required.on, role, roi);
    if (!between) return fail(between.error());
    transform = *between;
    return images_.index(series_.measured_index(series->second, *volume), role, manifest.preprocessing);
  };
  for (const HabitatFeature& feature : required.features) {
    std::optional<RigidTransform> transform;
    auto image = image_on(feature.role, transform);
    if (!image) return fail(image.error());
    if (context.series.at(feature.role) != context.series.at(required.on))
      image = images_.index(images_[*image].measured, feature.role, manifest.preprocessing, roi.geometry(), transform.value_or(RigidTransform{}));
    habitats.images.push_back(*image);
  }
  for (const std::string& role : required.measured_on) {
    HabitatPlan::Target target;
    target.package_role = role;
    auto image = image_on(role, target.transform);
    if (!image) return fail(image.error());
    target.image = *image;
    target.measured = images_[*image].measured;
    const auto request = context.requests.find(role);
    if (request != context.requests.end() && request->second.resample && request->second.to == required.on && context.series.at(role) != context.series.at(required.on))
      target.image = images_.index(target.measured, role, manifest.preprocessing, roi.geometry(), target.transform.value_or(RigidTransform{}));
    auto profile = profile_of(manifest, role);
    if (!profile) return fail(profile.error());
    target.profile = std::move(*profile);
    habitats.targets.push_back(std::move(target));
  }
  plans_.push_back(std::move(habitats));
  return {};
}

void StudyHabitats::find(const PipelineSettings& settings, std::vector<PackagePlan>& packages) {
  for (const HabitatPlan& plan : plans_) {
    const double started = log_.now_s();
    auto found = habitats_of(plan, settings.pool);
    const std::string role = findings_.measured[plan.measured].role;
    if (!found) {
      log_.remember(found.error());
      log_.issue(found.error().code, "No habitats were found for the model '" + settings.packages[packages[plan.plan].package]->manifest().id + "': " + found.error().message, role,
            findings_.measured[plan.measured].rois[plan.roi].name());
      continue;
    }
    const HabitatMap map = findings_.habitats[*found];
    log_.step({"habitats", role, "{\"roi\":" + json_quoted(findings_.measured[plan.measured].rois[plan.roi].name()) + ",\"habitats\":" + std::to_string(map.habitats.size()) +
                                                    ",\"scheme\":" + map.scheme + "}", log_.now_s() - started});
    for (const std::string& note : map.notes) log_.issue(ErrorCode::degenerate_input, note, role, findings_.measured[plan.measured].rois[plan.roi].name());
    for (const HabitatPlan::Target& target : plan.targets) measure(plan, *found, map, target, packages[plan.plan]);
  }
}

void StudyHabitats::measure(const HabitatPlan& plan, std::size_t position, const HabitatMap& map, const HabitatPlan::Target& target, PackagePlan& package) {
  const StudyImage& image = images_[target.image];
  HabitatMap carried_map = map;
  carried_map.habitats.clear();
  for (std::size_t h = 0; h < map.habitats.size(); ++h) {
    const Habitat& habitat = map.habitats[h];
    const std::string name = plan.required->name + std::to_string(habitat.number);
    package.habitat_of[{target.package_role, name}] = {position, h};
    if (image.error) continue;
    MeasurementTask task{target.measured, 0, habitat.region, findings_.measured[target.measured].role, target.image, target.profile, ""};
    if (target.measured != map.measured) {
      const VolumeGeometry& own = findings_.measured[target.measured].volume.geometry();
      auto carried = target.transform ? carry_moved(habitat.region, own, *target.transform) : carry_roi(habitat.region, own);
      if (!carried) {
        log_.issue(carried.error().code, carried.error().message, task.role, habitat.region.name());
        if (!image.base) continue;
      } else {
        carried_map.habitats.push_back(habitat);
        carried_map.habitats.back().region = *carried;
        // An image that lies on the habitats' grid is measured there.
        if (!image.base) task.region = std::move(*carried);
      }
      task.note = "Measured in a habitat that was found on " + findings_.measured[map.measured].role + ".";
    }
    if (habitat.measured) package.task_of[{target.package_role, name}] = measurements_.index(std::move(task));
  }
  if (carried_map.habitats.empty()) return;
  // Shown beside the region on that series, if it lies there.
  const std::vector<RegionOfInterest>& rois = findings_.measured[target.measured].rois;
  const RegionOfInterest& whole = findings_.measured[map.measured].rois[map.roi];
  const auto there = std::find_if(rois.begin(), rois.end(), [&](const RegionOfInterest& roi) { return roi.name() == whole.name() && roi.origin().sop_instance_uid == whole.origin().sop_instance_uid; });
  const auto known = [&](const HabitatMap& other) { return other.measured == target.measured && other.scheme == map.scheme; };
  if (there == rois.end() || std::any_of(findings_.habitats.begin(), findings_.habitats.end(), known)) return;
  carried_map.measured = target.measured;
  carried_map.roi = static_cast<std::size_t>(there - rois.begin());
  carried_map.method += "; found on " + findings_.measured[map.measured].role + " and carried to this series";
  findings_.habitats.push_back(std::move(carried_map));
}

Result<std::size_t> StudyHabitats::habitats_of(const HabitatPlan& plan, TaskPool* pool) {
  const RequiredHabitats& required = *plan.required;
  std::string scheme = "{\"manifest\":" + required.scheme + ",\"preparation\":[";
  for (const std::size_t image : plan.images) scheme += (scheme.back() == '[' ? "" : ",") + preparation_text(images_[image].preparation);
  scheme += "]}";
  for (std::size_t known = 0; known < findings_.habitats.size(); ++known)
    if (findings_.habitats[known].measured == plan.measured && findings_.habitats[known].roi == plan.roi && findings_.habitats[known].scheme == scheme) return known;
  const MeasuredSeries& series = findings_.measured[plan.measured];
  const RegionOfInterest& roi = series.rois[plan.roi];
  std::vector<VoxelFeature> features;
  for (std::size_t f = 0; f < plan.images.size(); ++f) {
    const StudyImage& image = images_[plan.images[f]];
    if (image.error) return fail(*image.error);
    features.push_back({required.features[f].role, image.volume.voxels(), required.features[f].smoothing_mm});
  }
  auto stack = stack_voxel_features(roi, features);
  if (!stack) return fail(stack.error());
  auto labels = cluster_habitats(*stack, required.settings, pool);
  if (!labels) return fail(labels.error());
  HabitatMap map;
  map.name = required.name;
  map.scheme = std::move(scheme);
  map.measured = plan.measured;
  map.roi = plan.roi;
  map.criterion = labels->criterion;
  map.notes = labels->notes;
  std::string roles;
  for (const HabitatFeature& feature : required.features) roles += (roles.empty() ? "" : ", ") + feature.role;
  map.method = (required.settings.habitats ? std::to_string(*required.settings.habitats) + " clusters as the model fixes them" : std::to_string(labels->chosen) + " clusters by the lowest BIC of Gaussian mixtures") +
               ", " + (required.settings.labels == HabitatSettings::Labels::k_means ? "k-means" : "Gaussian mixture") + " of the voxels' intensities (" + roles + "), numbered by " +
               (required.settings.order_by == "volume" ? "volume" : "mean " + required.settings.order_by) + (required.settings.descending ? ", descending" : ", ascending");
  int maps_before = 0;
  for (const HabitatMap& other : findings_.habitats) maps_before += other.measured == plan.measured && other.roi == plan.roi && other.name == map.name ? 1 : 0;
  for (const HabitatStatistics& one : habitat_statistics(*stack, *labels, roi.geometry().voxel_volume_mm3())) {
    std::vector<std::uint8_t> mask(roi.mask().size(), 0);
    for (std::size_t n = 0; n < stack->voxels.size(); ++n)
      if (labels->labels[n] == one.number) mask[stack->voxels[n]] = 1;
    // Another scheme on the same region keeps names apart.
    const std::string name = roi.name() + " " + map.name + (maps_before > 0 ? "-" + std::to_string(maps_before + 1) : "") + " " + std::to_string(one.number);
    auto region = RegionOfInterest::make(name, roi.geometry(), std::move(mask), roi.origin(), roi.finding());
    if (!region) return fail(region.error());
    const bool measured = one.voxels >= static_cast<std::size_t>(required.settings.voxels_min);
    if (!measured) map.notes.push_back(name + " has " + std::to_string(one.voxels) + " voxels, fewer than " + std::to_string(required.settings.voxels_min) + ": it was not measured.");
    map.habitats.push_back({one.number, std::move(*region), one.fraction, one.means, measured});
  }
  findings_.habitats.push_back(std::move(map));
  return findings_.habitats.size() - 1;
}

}  // namespace choana::processing
