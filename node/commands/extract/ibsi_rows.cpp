#include "node/commands/extract/ibsi_rows.h"

#include <nlohmann/json.hpp>
#include <type_traits>

#include "core/version.h"
#include "processing/radiomics/diagnostics.h"

namespace choana::node::extract {

using nlohmann::ordered_json;
using processing::ibsi::IbsiExtractionResult;
using processing::ibsi::IbsiFeatureValue;

std::vector<Cell> ibsi_cells(const IbsiExtractionResult& result) {
  std::vector<Cell> cells;
  const auto tuple = [&](const std::string& name, const auto& values) {
    std::string text;
    std::string json;
    for (auto value : values) {
      std::string one;
      if constexpr (std::is_integral_v<decltype(value)>) one = std::to_string(value);
      else one = processing::python_text(value);
      text += (text.empty() ? "(" : ", ") + one;
      json += (json.empty() ? "[" : ", ") + one;
    }
    cells.push_back({name, text + ")", Cell::Kind::json, json + "]"});
  };
  const auto count = [&](const std::string& name, std::size_t value) { cells.push_back({name, std::to_string(value), Cell::Kind::number}); };
  tuple("diagnostics_ibsi_GridSize", result.grid_size);
  tuple("diagnostics_ibsi_GridSpacing", result.grid_spacing_mm);
  count("diagnostics_ibsi_VoxelsOriginal", result.voxels_original);
  count("diagnostics_ibsi_VoxelsMorphological", result.voxels_morphological);
  count("diagnostics_ibsi_VoxelsIntensity", result.voxels_intensity);
  for (const IbsiFeatureValue& feature : result.features) {
    if (feature.computed()) cells.push_back({feature.name(), processing::python_text(feature.number()), Cell::Kind::number});
    else cells.push_back({feature.name(), "nan", Cell::Kind::not_a_number});
  }
  return cells;
}

std::string ibsi_details_json(const RowFacts& facts, const Plan& plan, const Result<IbsiExtractionResult>& result) {
  const Case& one = *facts.one;
  ordered_json json{{"case", one.number}, {"image", one.image.filename().string()}, {"mask", one.mask.filename().string()}, {"mode", "ibsi"}};
  if (!facts.roi.empty()) json["roi"] = facts.roi;
  json["label"] = facts.label;
  if (!facts.label.empty() && facts.label.find_first_not_of("0123456789") == std::string::npos) json["label"] = std::stol(facts.label);
  if (plan.components) json["component"] = facts.component.empty() ? ordered_json() : ordered_json(std::stol(facts.component));
  for (const auto& [name, value] : one.columns)
    if (name != "Image" && name != "Mask") json["columns"][name] = value;
  json["software"] = {{"name", "Choana"}, {"version", version}, {"definitions", "IBSI reference manual"}};
  json["settings"] = ordered_json::parse(processing::ibsi::canonical_json(*plan.ibsi));
  std::vector<std::string> warnings = facts.notes;
  if (facts.ledger) {
    json["delineation"] = ordered_json::parse(ledger_json(*facts.ledger));
    warnings.insert(warnings.end(), facts.ledger->notes.begin(), facts.ledger->notes.end());
  }
  json["features"] = ordered_json::array();
  json["not_computed"] = ordered_json::array();
  if (!result) {
    json["error"] = {{"code", to_string(result.error().code)}, {"step", result.error().step}, {"text", result.error().message}};
    json["warnings"] = warnings;
    return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }
  for (const IbsiFeatureValue& feature : result->features) {
    if (!feature.computed()) {
      const auto& why = std::get<NotComputed>(feature.value);
      json["not_computed"].push_back({{"name", feature.name()}, {"reason", why.reason}, {"text", why.text}});
      continue;
    }
    ordered_json item{{"name", feature.name()}, {"value", feature.number()}, {"unit", feature.unit}, {"code", {{"scheme", "IBSI"}, {"value", feature.code}}},
                      {"aggregation", feature.aggregation}, {"family", feature.family}};
    if (feature.levels > 0) item["levels"] = feature.levels;
    json["features"].push_back(std::move(item));
  }
  warnings.insert(warnings.end(), result->notes.begin(), result->notes.end());
  json["warnings"] = warnings;
  json["voxels"] = {{"original", result->voxels_original}, {"resampled", result->voxels_morphological}, {"used", result->voxels_intensity}};
  json["volume_ml"] = {{"original", result->volume_original_ml}, {"resampled", result->volume_morphological_ml}};
  if (facts.interpolation_ratio) json["interpolation_ratio"] = *facts.interpolation_ratio;
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace choana::node::extract
