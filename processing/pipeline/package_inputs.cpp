#include "processing/pipeline/package_inputs.h"

#include <algorithm>
#include <chrono>

namespace choana::processing {
namespace {

std::optional<std::chrono::sys_days> day_of(const std::string& date) {
  std::string digits;
  for (const char c : date)
    if (c >= '0' && c <= '9') digits += c;
  if (digits.size() != 8) return std::nullopt;
  const std::chrono::year_month_day day{std::chrono::year{std::stoi(digits.substr(0, 4))}, std::chrono::month{static_cast<unsigned>(std::stoi(digits.substr(4, 2)))},
                                        std::chrono::day{static_cast<unsigned>(std::stoi(digits.substr(6, 2)))}};
  if (!day.ok()) return std::nullopt;
  return std::chrono::sys_days{day};
}

/// What a feature is called among the measurements.
std::optional<FeatureId> id_of(const ModelPackage& package, const PackageFeature& feature) {
  if (const auto network = package.manifest().network_of(feature))
    return deep_feature_id(package.networks()[*network], *package.manifest().networks[*network].position_of(feature.feature));
  auto id = FeatureId::parse(feature.feature);
  return id ? std::optional(std::move(*id)) : std::nullopt;
}

}  // namespace

std::map<std::string, double> PackageInputs::gather(const ModelPackage& package, const PackagePlan& plan) {
  const PackageManifest& manifest = package.manifest();
  std::map<std::string, double> inputs;
  for (const PackageFeature& feature : manifest.features) {
    if (feature.kind == "clinical")
      if (const auto value = clinical_value(manifest, feature)) inputs[feature.id] = *value;
    if (feature.kind == "habitat")
      if (const auto value = habitat_value(plan, feature)) inputs[feature.id] = *value;
    if (feature.kind != "radiomic" && feature.kind != "habitat" && feature.kind != "deep") continue;
    const auto task = plan.task_of.find({feature.role, feature.roi});
    if (task == plan.task_of.end()) continue;
    const Measurement* measurement = measurements_.measurement_of(task->second);
    const auto id = id_of(package, feature);
    if (measurement == nullptr || !id) continue;
    if (const auto number = measurement->features.number(*id)) inputs[feature.id] = *number;
  }
  return inputs;
}

PredictionContext PackageInputs::context(const PackageManifest& manifest, const PackagePlan& plan) const {
  PredictionContext context;
  for (const auto& [role, n] : plan.series_of_role) {
    const SeriesState& state = series_[n];
    const AcquiredSlice& slice = (*state.slices)[state.slices->size() / 2];
    SeriesFacts facts{slice.acquisition, {slice.column_spacing_mm, slice.row_spacing_mm, 0}};
    // The volume knows the distance between slices, and which of several b-values is measured.
    for (const MeasuredSeries& measured : findings_.measured)
      if (measured.volume.reference().series_instance_uid == state.uid()) facts = {measured.volume.acquisition(), measured.volume.geometry().spacing_mm()};
    context.series[role] = std::move(facts);
  }
  for (const RequiredRoi& roi : manifest.rois)
    for (const std::string& role : roi.of_roles) {
      const auto place = plan.place_of.find({role, roi.name});
      if (place == plan.place_of.end() || context.volume_ml.contains(roi.name)) continue;
      context.volume_ml[roi.name] = findings_.measured[place->second.first].rois[place->second.second].volume_ml();
    }
  return context;
}

std::optional<double> PackageInputs::habitat_value(const PackagePlan& plan, const PackageFeature& feature) const {
  for (const auto& [key, where] : plan.habitat_of) {
    const HabitatMap& map = findings_.habitats[where.first];
    if (key.first != feature.role) continue;
    if (feature.feature == "count" && key.second == feature.roi + "1") return static_cast<double>(map.habitats.size());
    if (key.second != feature.roi) continue;
    const Habitat& habitat = map.habitats[where.second];
    if (feature.feature == "fraction") return habitat.fraction;
    if (feature.feature == "volume") return 1000 * habitat.region.volume_ml();
  }
  return std::nullopt;
}

std::optional<double> PackageInputs::clinical_value(const PackageManifest& manifest, const PackageFeature& feature) {
  const std::string name = feature.id.starts_with("clinical.") ? feature.id.substr(9) : feature.id;
  const auto wanted = std::find_if(manifest.clinical.begin(), manifest.clinical.end(), [&](const ClinicalInput& c) { return c.name == name; });
  const auto given = std::find_if(input_.clinical.begin(), input_.clinical.end(), [&](const ClinicalValue& v) { return v.name == name; });
  if (wanted == manifest.clinical.end() || given == input_.clinical.end()) return std::nullopt;
  const auto unusable = [&](const std::string& why) {
    log_.issue(ErrorCode::missing_value, "The clinical value '" + name + "' was not used by the model '" + manifest.id + "': " + why, "", "");
    return std::nullopt;
  };
  if (given->unit != wanted->unit) return unusable("it was given in '" + given->unit + "', the model needs '" + wanted->unit + "'.");
  if (wanted->max_age_days) {
    const auto measured = day_of(given->date), studied = day_of(input_.study_date);
    if (!measured) return unusable("it has no date, and the model takes none older than " + std::to_string(*wanted->max_age_days) + " days.");
    if (studied && std::chrono::abs(*studied - *measured).count() > *wanted->max_age_days)
      return unusable("it was measured " + std::to_string(std::chrono::abs(*studied - *measured).count()) + " days from the study; the model takes at most " +
                      std::to_string(*wanted->max_age_days) + ".");
  }
  if (std::find(findings_.clinical.begin(), findings_.clinical.end(), *given) == findings_.clinical.end()) findings_.clinical.push_back(*given);
  return given->value;
}

}  // namespace choana::processing
