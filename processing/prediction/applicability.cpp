#include "processing/prediction/applicability.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <limits>
#include <utility>

#include "core/near_match.h"
#include "processing/prediction/readers/json_internal.h"

namespace choana::processing {
namespace {

constexpr std::size_t distance_features_max = 512;
constexpr double number_max = 1e100;  // squares and their sums stay far below the largest double
constexpr double symmetry_tolerance = 1e-9;

constexpr std::array attributes{
    AcquisitionAttribute{"field_strength_t", "magnetic field strength", "T", [](const SeriesFacts& s) { return s.acquisition.field_strength_t; }},
    AcquisitionAttribute{"repetition_time_ms", "repetition time", "ms", [](const SeriesFacts& s) { return s.acquisition.repetition_time_ms; }},
    AcquisitionAttribute{"echo_time_ms", "echo time", "ms", [](const SeriesFacts& s) { return s.acquisition.echo_time_ms; }},
    AcquisitionAttribute{"inversion_time_ms", "inversion time", "ms", [](const SeriesFacts& s) { return s.acquisition.inversion_time_ms; }},
    AcquisitionAttribute{"flip_angle_deg", "flip angle", "degrees", [](const SeriesFacts& s) { return s.acquisition.flip_angle_deg; }},
    AcquisitionAttribute{"slice_thickness_mm", "slice thickness", "mm", [](const SeriesFacts& s) { return s.acquisition.slice_thickness_mm; }},
    AcquisitionAttribute{"slice_spacing_mm", "distance between slices", "mm",
                         [](const SeriesFacts& s) { return s.spacing_mm[2] > 0 ? std::optional<double>(s.spacing_mm[2]) : std::nullopt; }},
    AcquisitionAttribute{"pixel_spacing_mm", "pixel spacing", "mm",
                         [](const SeriesFacts& s) {
                           const double larger = std::max(s.spacing_mm[0], s.spacing_mm[1]);
                           return larger > 0 ? std::optional<double>(larger) : std::nullopt;
                         }},
    AcquisitionAttribute{"b_value_s_per_mm2", "b-value", "s/mm2", [](const SeriesFacts& s) { return s.acquisition.b_value_s_per_mm2; }},
};

// Spacing that was computed from positions differs from what the header says in its last digits: that is no difference.
bool within(double value, double low, double high) {
  const double slack = 1e-6 * std::max(std::abs(low), std::abs(high));
  return value >= low - slack && value <= high + slack;
}

// "SIEMENS" names "Siemens Healthineers" too, "GE" names "GE MEDICAL SYSTEMS", but not "Geneva".
bool names_manufacturer(const std::string& listed, const std::string& stated) {
  if (stated.size() < listed.size()) return false;
  for (std::size_t n = 0; n < listed.size(); ++n)
    if (std::tolower(static_cast<unsigned char>(listed[n])) != std::tolower(static_cast<unsigned char>(stated[n]))) return false;
  return stated.size() == listed.size() || std::isalnum(static_cast<unsigned char>(stated[listed.size()])) == 0;
}

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

std::string range_text(double low, double high, std::string_view unit) { return short_number(low) + " to " + short_number(high) + " " + std::string(unit); }

void flag_series(const RequiredSequence& sequence, const PredictionContext& context, std::vector<std::string>& flags) {
  if (sequence.acquisition.empty() && sequence.manufacturers.empty()) return;
  const auto series = context.series.find(sequence.role);
  if (series == context.series.end() && !sequence.required) return;  // there is none: its features are missing, which is said elsewhere
  for (const AcquisitionRange& range : sequence.acquisition) {
    const auto attribute = std::find_if(attributes.begin(), attributes.end(), [&](const AcquisitionAttribute& a) { return a.key == range.attribute; });
    if (attribute == attributes.end()) continue;
    const std::string what = sequence.role + " " + std::string(attribute->words);
    const std::string training = range_text(range.low, range.high, attribute->unit);
    const auto value = series == context.series.end() ? std::nullopt : attribute->value(series->second);
    if (!value || !std::isfinite(*value))
      flags.push_back(what + " is not stated, so it cannot be held against the " + training + " of the training data.");
    else if (!within(*value, range.low, range.high))
      flags.push_back(what + " " + short_number(*value) + " " + std::string(attribute->unit) + " lies outside " + training + " of the training data.");
  }
  if (sequence.manufacturers.empty()) return;
  const std::string stated = series == context.series.end() ? "" : series->second.acquisition.manufacturer;
  if (stated.empty())
    flags.push_back(sequence.role + " manufacturer is not stated; the training data came from " + join(sequence.manufacturers) + ".");
  else if (std::none_of(sequence.manufacturers.begin(), sequence.manufacturers.end(), [&](const std::string& listed) { return names_manufacturer(listed, stated); }))
    flags.push_back(sequence.role + " manufacturer '" + stated.substr(0, 64) + "' is none of the training data (" + join(sequence.manufacturers) + ").");
}

}  // namespace

std::span<const AcquisitionAttribute> acquisition_attributes() { return attributes; }

std::string short_number(double value) {
  char text[64];
  const double magnitude = std::abs(value);
  if (magnitude >= 1000 && magnitude < 1e7) {
    // 9800 and not 9.8e+03; rounded to four digits, as the others are.
    const double unit = std::pow(10.0, std::floor(std::log10(magnitude)) - 3);
    std::snprintf(text, sizeof text, "%.0f", std::round(value / unit) * unit);
    std::string digits = text;
    for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > (value < 0 ? 1 : 0); at -= 3) digits.insert(static_cast<std::size_t>(at), ",");
    return digits;
  }
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

std::string label_of(const PackageFeature& feature) {
  std::string label = feature.kind == "clinical" || feature.kind == "table" ? feature.id : feature.role + " " + feature.feature;
  if (label.starts_with("clinical.")) label.erase(0, 9);
  std::replace(label.begin(), label.end(), '_', ' ');
  return label;
}

std::vector<std::string> applicability_flags(const PackageManifest& manifest, const std::map<std::string, double>& inputs, const PredictionContext& context,
                                             const std::map<std::string, double>& harmonised) {
  std::vector<std::string> flags;
  for (const RequiredSequence& sequence : manifest.sequences) flag_series(sequence, context, flags);
  for (const RequiredRoi& roi : manifest.rois) {
    if (!roi.volume_min_ml || !roi.volume_max_ml) continue;
    const auto volume = context.volume_ml.find(roi.name);
    if (volume == context.volume_ml.end() && !roi.required) continue;
    const std::string training = range_text(*roi.volume_min_ml, *roi.volume_max_ml, "ml");
    if (volume == context.volume_ml.end())
      flags.push_back("The volume of the region " + roi.name + " is not known, so it cannot be held against the " + training + " of the training data.");
    else if (!within(volume->second, *roi.volume_min_ml, *roi.volume_max_ml))
      flags.push_back("The volume of the region " + roi.name + ", " + short_number(volume->second) + " ml, lies outside " + training + " of the training data.");
  }
  for (const PackageFeature& feature : manifest.features) {
    const auto measured = inputs.find(feature.id);
    if (!manifest.guard.enabled || measured == inputs.end() || std::isnan(measured->second)) continue;
    const auto after = harmonised.find(feature.id);
    const double value = after == harmonised.end() ? measured->second : after->second;
    if (!(value < feature.q01) && !(value > feature.q99)) continue;  // also where a quantile is not given
    const std::string unit = feature.unit == "1" ? "" : " " + feature.unit;
    flags.push_back(label_of(feature) + " is " + short_number(value) + unit + (after == harmonised.end() ? "" : " after harmonisation") + ", outside the training range of " +
                    short_number(feature.q01) + " to " + short_number(feature.q99) + unit + ".");
  }
  return flags;
}

Result<TrainingDistance> TrainingDistance::read(std::string_view json, const std::string& name) {
  const auto refuse = [&](const std::string& what) { return fail(ErrorCode::invalid_package, "admit_package", name + ": " + what); };
  if (json.size() > (std::size_t{16} << 20U)) return fail(ErrorCode::limit_exceeded, "admit_package", "The file " + name + " is larger than 16 MiB.");
  const auto document = parse_json_strictly(json, name);
  if (!document) return fail(document.error());
  if (!document->is_object()) return refuse("must hold one JSON object.");
  const std::vector<std::string> known{"format", "of", "features", "mean", "precision", "limit", "quantile", "note"};
  for (const auto& [key, value] : document->items())
    if (std::find(known.begin(), known.end(), key) == known.end()) return refuse("has the unknown field '" + key.substr(0, 64) + "'." + did_you_mean(key, known));
  for (const char* key : {"format", "of", "features", "mean", "precision", "limit"})
    if (!document->contains(key)) return refuse(std::string("lacks the field '") + key + "'.");
  if (!(*document)["format"].is_string() || (*document)["format"] != "choana-distance/1") return refuse("'format' must be choana-distance/1.");
  TrainingDistance distance;
  if (!(*document)["of"].is_string()) return refuse("'of' must name a stage, or be features.");
  distance.of = (*document)["of"].get<std::string>();
  const nlohmann::json& features = (*document)["features"];
  if (!features.is_array() || features.empty()) return refuse("'features' must be a list of names.");
  if (features.size() > distance_features_max)
    return fail(ErrorCode::limit_exceeded, "admit_package", name + " is about " + std::to_string(features.size()) + " features; at most " + std::to_string(distance_features_max) + " can be held.");
  for (const nlohmann::json& one : features) {
    if (!one.is_string() || one.get_ref<const std::string&>().empty()) return refuse("'features' must be a list of names.");
    const std::string feature = one.get<std::string>();
    if (std::find(distance.features.begin(), distance.features.end(), feature) != distance.features.end()) return refuse("names '" + feature.substr(0, 256) + "' twice.");
    distance.features.push_back(feature);
  }
  const std::size_t n = distance.features.size();
  std::string wrong;
  const auto numbers = [&](const nlohmann::json& list, const std::string& what, std::vector<double>& into) {
    if (!list.is_array() || list.size() != n) {
      wrong = what + " must hold exactly " + std::to_string(n) + " numbers, one a feature.";
      return false;
    }
    for (const nlohmann::json& one : list) {
      if (!one.is_number() || !(std::abs(one.get<double>()) <= number_max)) {
        wrong = what + " holds something that is no number of at most 1e100.";
        return false;
      }
      into.push_back(one.get<double>());
    }
    return true;
  };
  if (!numbers((*document)["mean"], "'mean'", distance.mean)) return refuse(wrong);
  const nlohmann::json& rows = (*document)["precision"];
  if (!rows.is_array() || rows.size() != n) return refuse("'precision' must have exactly " + std::to_string(n) + " rows, one a feature.");
  for (std::size_t r = 0; r < n; ++r)
    if (!numbers(rows[r], "'precision' row " + std::to_string(r + 1), distance.precision)) return refuse(wrong);
  std::vector<double> factor = distance.precision;
  for (std::size_t r = 0; r < n; ++r)
    for (std::size_t c = 0; c < r; ++c) {
      const double scale = std::sqrt(std::max(0.0, factor[r * n + r]) * std::max(0.0, factor[c * n + c]));
      if (!(std::abs(factor[r * n + c] - factor[c * n + r]) <= symmetry_tolerance * scale))
        return refuse("'precision' is not symmetric (row " + std::to_string(r + 1) + ", column " + std::to_string(c + 1) + ").");
    }
  // Cholesky: it exists exactly when the matrix is positive definite.
  for (std::size_t r = 0; r < n; ++r)
    for (std::size_t c = 0; c <= r; ++c) {
      double sum = factor[r * n + c];
      for (std::size_t k = 0; k < c; ++k) sum -= factor[r * n + k] * factor[c * n + k];
      if (r == c && !(sum > 0 && std::isfinite(sum)))
        return refuse("'precision' is not positive definite (it fails at '" + distance.features[r].substr(0, 256) + "'): is a feature a combination of others?");
      factor[r * n + c] = r == c ? std::sqrt(sum) : sum / factor[c * n + c];
    }
  const nlohmann::json& limit = (*document)["limit"];
  if (!limit.is_number() || !(limit.get<double>() > 0) || !(limit.get<double>() <= number_max)) return refuse("'limit' must be a number above 0.");
  distance.limit = limit.get<double>();
  if (document->contains("quantile")) {
    const nlohmann::json& quantile = (*document)["quantile"];
    if (!quantile.is_number() || !(quantile.get<double>() > 0 && quantile.get<double>() < 1)) return refuse("'quantile' must lie between 0 and 1.");
    distance.quantile = quantile.get<double>();
  }
  return distance;
}

double TrainingDistance::squared(const std::vector<double>& row) const {
  const std::size_t n = features.size();
  double sum = 0;
  for (std::size_t r = 0; r < n; ++r) {
    double weighted = 0;
    for (std::size_t c = 0; c < n; ++c) weighted += precision[r * n + c] * (row[c] - mean[c]);
    sum += (row[r] - mean[r]) * weighted;
  }
  return std::isfinite(sum) ? sum : std::numeric_limits<double>::infinity();
}

}  // namespace choana::processing
