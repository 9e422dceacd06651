#include "node/commands/extract/details.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/version.h"
#include "processing/radiomics/feature_catalogue.h"

namespace choana::node::extract {
namespace {

using nlohmann::ordered_json;
using processing::ExtractionResult;
using processing::ExtractionSettings;
using processing::LevelCount;

constexpr int levels_few = 8;
constexpr int levels_many = 256;
constexpr double levels_wanted = 32;

bool is_discretised(const FeatureId& id) {
  return (id.family != "shape" && id.family != "shape2D" && id.family != "firstorder") || id.name == "Entropy" || id.name == "Uniformity";
}

// The settings that held for an image; its type is found by the name its features carry.
const ExtractionSettings& settings_of(const processing::ExtractionProfile& profile, const std::string& image) {
  std::string kind = image.substr(0, image.find('-'));
  std::transform(kind.begin(), kind.end(), kind.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  while (!kind.empty() && std::isdigit(static_cast<unsigned char>(kind.back())) != 0) kind.pop_back();  // wavelet2
  if (image == "lbp-2D") kind = "lbp2d";
  if (image.starts_with("lbp-3D")) kind = "lbp3d";
  for (const auto& type : profile.image_types) {
    std::string name = type.name;
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (name == kind) return type.settings;
  }
  return profile.settings;
}

// The features that one image would have had.
std::vector<std::string> feature_names(const processing::ExtractionProfile& profile, const std::string& image) {
  std::vector<std::string> names;
  for (const processing::FamilyRequest& request : profile.families) {
    if (request.family == "shape" || request.family == "shape2D") continue;
    if (!request.names.empty())
      for (const std::string& name : request.names) names.push_back(FeatureId{image, request.family, name}.str());
    else
      for (const processing::FeatureDescription& feature : processing::feature_catalogue())
        if (feature.family == request.family && feature.availability == processing::Availability::listed)
          names.push_back(FeatureId{image, request.family, std::string(feature.name)}.str());
  }
  return names;
}

}  // namespace

std::string ledger_json(const RoiOrigin& ledger) {
  return ordered_json{{"source", to_string(ledger.kind)},
          {"sop_instance_uid", ledger.sop_instance_uid},
          {"number", ledger.number},
          {"contours_used", ledger.contours_used},
          {"contours_dropped", ledger.contours_dropped},
          {"contour_volume_ml", ledger.contour_volume_ml},
          {"fraction_outside_image", ledger.fraction_outside_image},
          {"notes", ledger.notes}}
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::optional<std::array<double, 3>> interpolation_ratio(const processing::MaskVolume& mask, int label, const ExtractionSettings& settings) {
  if (!settings.interpolator || !settings.resampled_pixel_spacing_mm) return std::nullopt;
  const processing::VoxelBox box = processing::bounding_box(mask, static_cast<std::uint32_t>(label));
  std::array<double, 3> ratio{1, 1, 1};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const double wanted = (*settings.resampled_pixel_spacing_mm)[axis];
    if (wanted > 0 && box.size[axis] > 1) ratio[axis] = mask.geometry.spacing_mm()[axis] / wanted;
  }
  return ratio;
}

std::optional<double> proposed_bin_width(const LevelCount& count, double bin_width, std::optional<double> range) {
  if (count.present >= levels_few && count.highest <= levels_many) return std::nullopt;
  const double span = range.value_or(bin_width * count.highest);
  if (!(span > 0) || !std::isfinite(span)) return std::nullopt;
  const double wanted = span / levels_wanted;
  const double power = std::pow(10.0, std::floor(std::log10(wanted)));
  double width = power;
  for (const double step : {1.0, 2.0, 5.0, 10.0})
    if (std::abs(step * power - wanted) < std::abs(width - wanted)) width = step * power;
  return width;
}

std::string details_json(const RowFacts& facts, const Plan& plan, const Result<ExtractionResult>& result) {
  const Case& one = *facts.one;
  ordered_json json{{"case", one.number}, {"image", one.image.filename().string()}, {"mask", one.mask.filename().string()}};
  if (!facts.roi.empty()) json["roi"] = facts.roi;
  json["label"] = facts.label;
  if (!facts.label.empty() && facts.label.find_first_not_of("0123456789") == std::string::npos) json["label"] = std::stol(facts.label);
  if (plan.components) json["component"] = facts.component.empty() ? ordered_json() : ordered_json(std::stol(facts.component));
  for (const auto& [name, value] : one.columns)
    if (name != "Image" && name != "Mask") json["columns"][name] = value;
  json["software"] = {{"name", "Choana"}, {"version", version}, {"definitions", "PyRadiomics 3.0.1"}};
  json["settings"] = ordered_json::parse(plan.ibsi ? processing::ibsi::canonical_json(*plan.ibsi) : processing::canonical_json(plan.profile));
  std::vector<std::string> warnings = facts.notes;
  if (facts.ledger) {
    json["delineation"] = ordered_json::parse(ledger_json(*facts.ledger));
    warnings.insert(warnings.end(), facts.ledger->notes.begin(), facts.ledger->notes.end());
  }
  if (!result) {
    json["error"] = {{"code", to_string(result.error().code)}, {"step", result.error().step}, {"text", result.error().message}};
    json["features"] = json["not_computed"] = ordered_json::array();
    json["warnings"] = warnings;
    return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }
  for (const SavedFile& file : facts.files) {
    ordered_json item{{"kind", file.kind}, {"name", file.name}, {"file", file.file}, {"sha256", file.sha256}};
    if (file.kind == "map") item["voxels_without_value"] = file.voxels_without_value;
    json["files"].push_back(std::move(item));
  }
  json["features"] = json["not_computed"] = ordered_json::array();
  for (const FeatureValue& feature : result->features.values()) {
    if (!feature.computed()) {
      const auto& why = std::get<NotComputed>(feature.value);
      json["not_computed"].push_back({{"name", feature.id.str()}, {"reason", why.reason}, {"text", why.text}});
      continue;
    }
    ordered_json item{{"name", feature.id.str()}, {"value", feature.number()}};
    if (const auto* description = processing::find_feature(feature.id.family, feature.id.name)) {
      item["unit"] = description->unit;
      item["code"] = {{"scheme", description->scheme}, {"value", description->code}};
    }
    item["aggregation"] = processing::aggregation(feature.id.family, settings_of(plan.profile, feature.id.image));
    if (is_discretised(feature.id))
      for (const LevelCount& count : result->levels)
        if (count.image == feature.id.image) item["levels"] = count.highest;
    json["features"].push_back(std::move(item));
  }
  // Columns that PyRadiomics' layout leaves out without a word.
  for (const processing::MissingImage& image : result->missing_images)
    for (const std::string& name : feature_names(plan.profile, image.name))
      json["not_computed"].push_back({{"name", name}, {"reason", image.why.reason}, {"text", image.why.text}});
  warnings.insert(warnings.end(), result->notes.begin(), result->notes.end());
  json["warnings"] = warnings;
  // Voxel maps know the voxels of the region alone.
  json["voxels"] = {{"used", result->voxels_used}};
  if (result->voxels_original > 0) {
    json["voxels"] = {{"original", result->voxels_original}, {"resampled", result->voxels_resampled}, {"used", result->voxels_used}};
    json["volume_ml"] = {{"original", result->volume_original_ml}, {"resampled", result->volume_resampled_ml}};
    json["components"] = result->components;
  }
  if (facts.interpolation_ratio) json["interpolation_ratio"] = *facts.interpolation_ratio;
  json["levels"] = ordered_json::array();
  for (const LevelCount& count : result->levels) {
    ordered_json item{{"image", count.image}, {"highest", count.highest}, {"present", count.present}};
    const ExtractionSettings& settings = settings_of(plan.profile, count.image);
    if (settings.bin_count) item["bin_count"] = *settings.bin_count;
    else item["bin_width"] = settings.bin_width;
    std::optional<double> range;
    if (const auto value = result->features.number({count.image, "firstorder", "Range"})) range = *value;
    if (!settings.bin_count)
      if (const auto width = proposed_bin_width(count, settings.bin_width, range)) item["proposed_bin_width"] = *width;
    json["levels"].push_back(std::move(item));
  }
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace choana::node::extract
