#include "node/result_json.h"

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/version.h"
#include "reporting/feature_codes.h"

namespace choana::node {
namespace {

using nlohmann::ordered_json;

ordered_json number_or_null(const std::optional<double>& value) {
  if (!value || !std::isfinite(*value)) return nullptr;
  return *value;
}

// Parameters are kept as canonical JSON text inside the program and become JSON here.
ordered_json parsed(const std::string& text) {
  ordered_json value = ordered_json::parse(text.empty() ? "{}" : text, nullptr, false);
  return value.is_discarded() ? ordered_json(text) : value;
}

ordered_json series_json(const SeriesDecision& series) {
  return {{"series_instance_uid", series.series_instance_uid}, {"series_number", series.series_number},
          {"description", series.description}, {"role", series.role}, {"reasons", series.reasons}, {"rejected", series.rejected}};
}

ordered_json roi_json(const RegionOfInterest& roi, const std::string& role, const std::string& series_uid) {
  const RoiOrigin& origin = roi.origin();
  return {{"name", roi.name()}, {"source", std::string(to_string(origin.kind))}, {"role", role},
          {"series_instance_uid", series_uid}, {"voxels", roi.voxels()}, {"volume_ml", roi.volume_ml()},
          {"contour_volume_ml", origin.contour_volume_ml}, {"contours_used", origin.contours_used},
          {"contours_dropped", origin.contours_dropped}, {"fraction_outside_image", origin.fraction_outside_image},
          {"notes", origin.notes}};
}

ordered_json prediction_json(const Prediction& prediction) {
  ordered_json contributions = ordered_json::array();
  for (const Contribution& c : prediction.explanation.contributions)
    contributions.push_back({{"feature", c.feature}, {"value", std::isfinite(c.value) ? ordered_json(c.value) : ordered_json(nullptr)},
                             {"unit", c.unit}, {"contribution", c.contribution}});
  ordered_json json = {{"package", prediction.package}, {"version", prediction.version}, {"status", prediction.status},
                       {"output", prediction.output}, {"value", prediction.value}, {"unit", prediction.unit},
                       {"margin", number_or_null(prediction.margin)}};
  if (prediction.interval_low && prediction.interval_high)
    json["interval"] = {*prediction.interval_low, *prediction.interval_high};
  else
    json["interval"] = nullptr;
  if (const auto& how = prediction.robustness)
    json["robustness"] = {{"perturbed", how->count}, {"used", how->used}, {"coverage", how->coverage}, {"translation_mm", how->translation_mm}, {"rotation_deg", how->rotation_deg},
                          {"boundary_mm", how->boundary_mm}, {"moved", how->moved}, {"kept", how->kept}};
  json["threshold"] = number_or_null(prediction.threshold);
  json["group"] = prediction.group;
  json["base"] = prediction.explanation.base;
  json["explanation"] = {{"method", prediction.explanation.method}, {"space", prediction.explanation.space},
                         {"output", prediction.explanation.output}};
  json["contributions"] = std::move(contributions);
  if (const auto& curve = prediction.survival_curve)
    json["survival_curve"] = {{"time_unit", curve->time_unit}, {"time", curve->time}, {"survival", curve->survival}, {"horizons", curve->horizons}};
  json["applicability"] = {{"inside", prediction.applicability.inside}, {"flags", prediction.applicability.flags}};
  return json;
}

}  // namespace

std::string write_result_json(const StudyFindings& findings, const std::vector<ResultFile>& objects, const std::string& settings_sha256) {
  ordered_json json;
  json["format"] = "choana-result/1";
  json["study_instance_uid"] = findings.study_instance_uid;
  json["outcome"] = std::string(to_string(findings.outcome));
  if (findings.outcome == Outcome::reported)
    json["reason"] = nullptr;
  else
    json["reason"] = {{"code", std::string(to_string(findings.reason.code))}, {"text", findings.reason.message}};
  json["software"] = {{"name", product_name}, {"version", version}};
  json["settings_sha256"] = settings_sha256;

  json["series"] = ordered_json::array();
  for (const SeriesDecision& series : findings.series) json["series"].push_back(series_json(series));

  json["rois"] = ordered_json::array();
  for (const MeasuredSeries& measured : findings.measured)
    for (const RegionOfInterest& roi : measured.rois)
      json["rois"].push_back(roi_json(roi, measured.role, measured.volume.reference().series_instance_uid));

  json["habitats"] = ordered_json::array();
  for (const HabitatMap& map : findings.habitats) {
    const MeasuredSeries& measured = findings.measured[map.measured];
    ordered_json one = {{"role", measured.role}, {"roi", measured.rois[map.roi].name()}, {"series_instance_uid", measured.volume.reference().series_instance_uid}, {"name", map.name},
                        {"method", map.method}, {"scheme", parsed(map.scheme)}, {"bic", ordered_json::array()}, {"habitats", ordered_json::array()}, {"notes", map.notes}};
    for (const auto& [k, bic] : map.criterion) one["bic"].push_back({{"k", k}, {"value", bic}});
    for (const Habitat& habitat : map.habitats) {
      ordered_json means = ordered_json::object();
      for (const auto& [feature, mean] : habitat.means) means[feature] = mean;
      one["habitats"].push_back({{"number", habitat.number}, {"name", habitat.region.name()}, {"voxels", habitat.region.voxels()}, {"volume_ml", habitat.region.volume_ml()},
                                 {"fraction", habitat.fraction}, {"means", std::move(means)}, {"measured", habitat.measured}});
    }
    json["habitats"].push_back(std::move(one));
  }

  json["features"] = ordered_json::array();
  json["not_computed"] = ordered_json::array();
  for (const Measurement& measurement : findings.measurements) {
    const bool raw = reporting::measured_raw_intensities(measurement, findings.steps);
    for (const FeatureValue& feature : measurement.features.values()) {
      const std::string name = feature.id.str();
      if (!feature.computed()) {
        json["not_computed"].push_back({{"role", measurement.role}, {"roi", measurement.roi}, {"name", name},
                                        {"reason", std::get<NotComputed>(feature.value).reason}, {"text", std::get<NotComputed>(feature.value).text}});
        continue;
      }
      const reporting::FeatureCode code = reporting::feature_code(feature.id);
      ordered_json row = {{"role", measurement.role}, {"roi", measurement.roi}, {"name", name}, {"value", feature.number()},
                          {"unit", reporting::feature_unit(feature.id, raw).code},
                          {"code", {{"scheme", code.concept_name.scheme}, {"value", code.concept_name.value}}}};
      row["series_instance_uid"] = measurement.series_instance_uid;
      row["profile"] = measurement.profile;
      json["features"].push_back(std::move(row));
    }
  }

  json["clinical"] = ordered_json::array();
  for (const ClinicalValue& value : findings.clinical)
    json["clinical"].push_back({{"name", value.name}, {"value", value.value}, {"unit", value.unit}, {"date", value.date.empty() ? ordered_json(nullptr) : ordered_json(value.date)}, {"source", value.source}});
  json["predictions"] = ordered_json::array();
  for (const Prediction& prediction : findings.predictions) json["predictions"].push_back(prediction_json(prediction));

  json["objects"] = ordered_json::array();
  for (const ResultFile& object : objects)
    json["objects"].push_back({{"file", object.file}, {"kind", object.kind}, {"sop_class_uid", object.sop_class_uid},
                               {"sop_instance_uid", object.sop_instance_uid}, {"series_instance_uid", object.series_instance_uid}});

  json["steps"] = ordered_json::array();
  for (const StepRecord& step : findings.steps)
    json["steps"].push_back({{"name", step.name}, {"role", step.role}, {"parameters", parsed(step.parameters)},
                             {"seconds", std::round(step.seconds * 1e6) / 1e6}});

  json["issues"] = ordered_json::array();
  for (const StudyIssue& issue : findings.issues)
    json["issues"].push_back({{"code", std::string(to_string(issue.code))}, {"text", issue.text}, {"role", issue.role}, {"roi", issue.roi}});

  // Text from DICOM is UTF-8 by contract; should a reader ever slip, a replacement character beats a lost result.
  return json.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

Result<ResultSummary> read_result_json(const std::string& text) {
  const auto wrong = [](const char* what) {
    return fail(ErrorCode::invalid_attribute, "read_result_json", std::string("The result document is not of format choana-result/1: ") + what + ".");
  };
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (json.is_discarded() || !json.is_object()) return wrong("it is no JSON object");
  try {
    if (json.at("format") != "choana-result/1") return wrong("another format is named");
    ResultSummary summary;
    summary.study_instance_uid = json.at("study_instance_uid").get<std::string>();
    const auto outcome = json.at("outcome").get<std::string>();
    if (outcome == "reported") {
      summary.outcome = Outcome::reported;
    } else if (outcome == "not_analysed") {
      summary.outcome = Outcome::not_analysed;
    } else if (outcome == "failed") {
      summary.outcome = Outcome::failed;
    } else {
      return wrong("unknown outcome");
    }
    if (json.at("reason").is_object()) {
      summary.reason_code = json["reason"].at("code").get<std::string>();
      summary.reason_text = json["reason"].at("text").get<std::string>();
    }
    for (const auto& object : json.at("objects")) {
      ResultFile row{object.at("file").get<std::string>(), object.at("kind").get<std::string>(), object.at("sop_class_uid").get<std::string>(),
                       object.at("sop_instance_uid").get<std::string>(), object.at("series_instance_uid").get<std::string>()};
      // The worker parses strangers' data; its word is not trusted with paths.
      const std::filesystem::path file(row.file);
      if (file.empty() || file.is_absolute() || file != file.filename()) return wrong("an object's file leaves the result folder");
      summary.objects.push_back(std::move(row));
    }
    return summary;
  } catch (const nlohmann::json::exception&) {
    return wrong("a member is missing or has the wrong type");
  }
}

}  // namespace choana::node
