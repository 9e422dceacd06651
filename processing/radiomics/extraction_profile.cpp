#include "processing/radiomics/extraction_profile.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <set>

#include "core/near_match.h"
#include "processing/radiomics/diagnostics.h"
#include "processing/radiomics/feature_catalogue.h"
#include "processing/radiomics/filters/wavelet.h"

namespace choana::processing {
namespace {

constexpr std::size_t profile_bytes_max = 1u << 20;

tl::unexpected<Error> bad(std::string message) { return fail(ErrorCode::invalid_profile, "parse_profile", std::move(message)); }

/// Scalars are read as YAML 1.2 reads them, which is what PyRadiomics does: `yes` is a string, `5.0` no integer.
bool is_plain(const YAML::Node& node) { return node.IsScalar() && node.Tag() != "!"; }

bool is_null(const YAML::Node& node) {
  if (node.IsNull()) return true;
  if (!is_plain(node)) return false;
  const std::string& text = node.Scalar();
  return text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL";
}

std::optional<bool> read_bool(const YAML::Node& node) {
  if (!is_plain(node)) return std::nullopt;
  const std::string& text = node.Scalar();
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  return std::nullopt;
}

std::optional<long> read_integer(const YAML::Node& node) {
  if (!is_plain(node)) return std::nullopt;
  std::string_view text = node.Scalar();
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  int base = 10;
  for (const auto& [prefix, of] : {std::pair{"0x", 16}, {"0o", 8}, {"0b", 2}})
    if (text.starts_with(prefix)) base = of;
  if (base != 10) text.remove_prefix(2);
  if (text.starts_with('-')) return std::nullopt;
  long value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return negative ? -value : value;
}

std::optional<double> read_number(const YAML::Node& node) {
  if (!is_plain(node)) return std::nullopt;
  if (const auto whole = read_integer(node)) return static_cast<double>(*whole);
  std::string_view text = node.Scalar();
  if (text.starts_with('+')) text.remove_prefix(1);
  if (text.find_first_not_of("0123456789.eE+-") != std::string_view::npos) return std::nullopt;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

/// A value as a Python literal.
std::string literal(const YAML::Node& node) {
  if (is_null(node)) return "None";
  if (const auto truth = read_bool(node)) return *truth ? "True" : "False";
  if (read_number(node)) return node.Scalar();
  if (node.IsSequence()) {
    std::string text = "[";
    for (const auto& item : node) text += (text.size() > 1 ? ", " : "") + literal(item);
    return text + "]";
  }
  if (node.IsMap()) {
    std::string text = "{";
    for (const auto& item : node) text += (text.size() > 1 ? ", '" : "'") + item.first.Scalar() + "': " + literal(item.second);
    return text + "}";
  }
  return "'" + node.Scalar() + "'";
}

using Apply = std::function<bool(ExtractionSettings&, const YAML::Node&)>;

struct SettingRule {
  bool list = false;
  std::string expects;
  Apply apply;
};

/// null stands for false, as it does in Python's conditions.
template <typename T>
Apply boolean(T ExtractionSettings::* member, bool allow_null = true) {
  return [=](ExtractionSettings& s, const YAML::Node& node) {
    const auto value = allow_null && is_null(node) ? std::optional(false) : read_bool(node);
    if (value) s.*member = *value;
    return value.has_value();
  };
}

template <typename T>
Apply integer(T ExtractionSettings::* member, long lowest, long highest = std::numeric_limits<int>::max()) {
  return [=](ExtractionSettings& s, const YAML::Node& node) {
    const auto value = read_integer(node);
    if (!value || *value < lowest || *value > highest) return false;
    s.*member = static_cast<int>(*value);
    return true;
  };
}

template <typename T>
Apply positive(T ExtractionSettings::* member) {
  return [=](ExtractionSettings& s, const YAML::Node& node) {
    const auto value = read_number(node);
    if (!value || !(*value > 0)) return false;
    s.*member = *value;
    return true;
  };
}

/// A value that may be null, which unsets the setting.
template <typename T>
Apply or_null(T ExtractionSettings::* member, Apply apply) {
  return [=](ExtractionSettings& s, const YAML::Node& node) {
    if (!is_null(node)) return apply(s, node);
    s.*member = T{};
    return true;
  };
}

std::optional<Interpolation> read_interpolation(const YAML::Node& node) {
  if (const auto number = read_integer(node)) {
    if (*number == 1) return Interpolation::nearest_neighbour;
    if (*number == 2) return Interpolation::linear;
    if (*number == 3) return Interpolation::cubic_bspline;
    return std::nullopt;
  }
  if (!node.IsScalar()) return std::nullopt;
  const std::string& text = node.Scalar();
  if (text == "sitkNearestNeighbor") return Interpolation::nearest_neighbour;
  if (text == "sitkLinear") return Interpolation::linear;
  if (text == "sitkBSpline") return Interpolation::cubic_bspline;
  return std::nullopt;
}

std::optional<std::vector<double>> read_numbers(const YAML::Node& node) {
  if (!node.IsSequence() || node.size() > 1000) return std::nullopt;
  std::vector<double> values;
  for (const auto& item : node) {
    const auto value = read_number(item);
    if (!value) return std::nullopt;
    values.push_back(*value);
  }
  return values;
}

/// Every setting that a parameter file may hold under `setting` or an image type, with its check.
const std::map<std::string, SettingRule>& setting_rules() {
  using S = ExtractionSettings;
  static const std::map<std::string, SettingRule> rules = [] {
    std::map<std::string, SettingRule> r;
    r["minimumROIDimensions"] = {false, "a whole number from 1 to 3", integer(&S::minimum_roi_dimensions, 1, 3)};
    r["minimumROISize"] = {false, "a whole number above 0", or_null(&S::minimum_roi_size, integer(&S::minimum_roi_size, 1))};
    r["geometryTolerance"] = {false, "a number above 0", nullptr};
    r["geometryTolerance"].apply = [](S& s, const YAML::Node& node) {
      if (is_null(node)) return s.geometry_tolerance = S{}.geometry_tolerance, true;
      const auto value = read_number(node);
      if (!value || !(*value > 0)) return false;
      s.geometry_tolerance = *value;
      return true;
    };
    r["correctMask"] = {false, "true or false", boolean(&S::correct_mask)};
    r["additionalInfo"] = {false, "true or false", boolean(&S::additional_info)};
    r["label"] = {false, "a whole number above 0", integer(&S::label, 1)};
    r["label_channel"] = {false, "a whole number, 0 or more", integer(&S::label_channel, 0)};
    r["binWidth"] = {false, "a number above 0", positive(&S::bin_width)};
    r["binCount"] = {false, "a whole number above 0", or_null(&S::bin_count, integer(&S::bin_count, 1))};
    r["normalize"] = {false, "true or false", boolean(&S::normalize)};
    r["normalizeScale"] = {false, "a number above 0", positive(&S::normalize_scale)};
    r["removeOutliers"] = {false, "a number above 0", or_null(&S::remove_outliers, positive(&S::remove_outliers))};
    r["resampledPixelSpacing"] = {true, "three numbers, 0 or more (0 keeps the spacing of the mask)",
                                  or_null(&S::resampled_pixel_spacing_mm, [](S& s, const YAML::Node& node) {
                                    const auto values = read_numbers(node);
                                    if (!values || values->size() != 3 || std::any_of(values->begin(), values->end(), [](double v) { return v < 0; })) return false;
                                    s.resampled_pixel_spacing_mm = std::array<double, 3>{(*values)[0], (*values)[1], (*values)[2]};
                                    return true;
                                  })};
    r["interpolator"] = {false, "sitkBSpline, sitkLinear, sitkNearestNeighbor or null (the other SimpleITK interpolators are not available)",
                         or_null(&S::interpolator, [](S& s, const YAML::Node& node) {
                           s.interpolator = read_interpolation(node);
                           return s.interpolator.has_value();
                         })};
    r["padDistance"] = {false, "a whole number from 0 to 10000", integer(&S::pad_distance_voxels, 0, 10000)};
    r["distances"] = {true, "a list of whole numbers from 1 to 100", [](S& s, const YAML::Node& node) {
                        if (!node.IsSequence() || node.size() == 0 || node.size() > 100) return false;
                        std::vector<int> values;
                        for (const auto& item : node) {
                          const auto value = read_integer(item);
                          if (!value || *value < 1 || *value > 100) return false;
                          values.push_back(static_cast<int>(*value));
                        }
                        s.distances_voxels = values;
                        return true;
                      }};
    r["force2D"] = {false, "true or false", boolean(&S::force_2d)};
    r["force2Ddimension"] = {false, "0, 1 or 2", integer(&S::force_2d_dimension, 0, 2)};
    r["resegmentRange"] = {true, "one or two numbers", or_null(&S::resegment_range, [](S& s, const YAML::Node& node) {
                             const auto values = read_numbers(node);
                             if (!values || values->empty() || values->size() > 2) return false;
                             s.resegment_range = *values;
                             return true;
                           })};
    r["resegmentMode"] = {false, "absolute, relative or sigma", [](S& s, const YAML::Node& node) {
                            if (!node.IsScalar()) return false;
                            const std::string& text = node.Scalar();
                            if (text == "absolute") s.resegment_mode = ResegmentMode::absolute;
                            else if (text == "relative") s.resegment_mode = ResegmentMode::relative;
                            else if (text == "sigma") s.resegment_mode = ResegmentMode::sigma;
                            else return false;
                            return true;
                          }};
    r["resegmentShape"] = {false, "true or false", boolean(&S::resegment_shape)};
    r["preCrop"] = {false, "true or false", boolean(&S::pre_crop)};
    r["voxelArrayShift"] = {false, "a whole number", [](S& s, const YAML::Node& node) {
                              const auto value = read_integer(node);
                              if (value) s.voxel_array_shift = static_cast<double>(*value);
                              return value.has_value();
                            }};
    r["symmetricalGLCM"] = {false, "true or false", boolean(&S::symmetrical_glcm)};
    r["weightingNorm"] = {false, "euclidean, manhattan, infinity, no_weighting or null", or_null(&S::weighting_norm, [](S& s, const YAML::Node& node) {
                            if (!node.IsScalar()) return false;
                            const std::string& text = node.Scalar();
                            if (text == "euclidean") s.weighting_norm = WeightingNorm::euclidean;
                            else if (text == "manhattan") s.weighting_norm = WeightingNorm::manhattan;
                            else if (text == "infinity") s.weighting_norm = WeightingNorm::infinity;
                            else if (text == "no_weighting") s.weighting_norm = WeightingNorm::no_weighting;
                            else return false;
                            return true;
                          })};
    r["gldm_a"] = {false, "a whole number, 0 or more", integer(&S::gldm_alpha, 0)};
    r["sigma"] = {true, "a list of up to 100 numbers above 0 (millimetres)", [](S& s, const YAML::Node& node) {
                    if (!node.IsSequence() || node.size() > 100) return false;
                    std::vector<LogScale> scales;
                    for (const auto& item : node) {
                      const auto value = read_number(item);
                      if (!value || !(*value > 0)) return false;
                      const auto whole = read_integer(item);
                      scales.push_back({*value, whole ? std::to_string(*whole) : python_text(*value)});
                    }
                    s.log_scales = std::move(scales);
                    return true;
                  }};
    r["wavelet"] = {false, "a discrete wavelet of PyWavelets, such as coif1, db2, sym4, bior1.3 or haar", [](S& s, const YAML::Node& node) {
                      if (!node.IsScalar()) return false;
                      s.wavelet = node.Scalar();
                      return find_wavelet(s.wavelet).has_value();
                    }};
    r["start_level"] = {false, "a whole number from 0 to 32", integer(&S::wavelet_start_level, 0, 32)};
    r["level"] = {false, "a whole number from 1 to 32", integer(&S::wavelet_levels, 1, 32)};
    r["gradientUseSpacing"] = {false, "true or false", boolean(&S::gradient_use_spacing, false)};
    r["lbp2DRadius"] = {false, "a number above 0", positive(&S::lbp2d_radius_pixels)};
    r["lbp2DSamples"] = {false, "a whole number from 1 to 1000", integer(&S::lbp2d_samples, 1, 1000)};
    r["lbp2DMethod"] = {false, "default, ror, uniform or var", [](S& s, const YAML::Node& node) {
                          if (!node.IsScalar()) return false;
                          const std::string& text = node.Scalar();
                          if (text == "default") s.lbp2d_method = LocalPatternMethod::standard;
                          else if (text == "ror") s.lbp2d_method = LocalPatternMethod::rotation_invariant;
                          else if (text == "uniform") s.lbp2d_method = LocalPatternMethod::uniform;
                          else if (text == "var") s.lbp2d_method = LocalPatternMethod::variance;
                          else return false;
                          return true;
                        }};
    r["lbp3DLevels"] = {false, "a whole number from 1 to 16", integer(&S::lbp3d_levels, 1, 16)};
    r["lbp3DIcosphereRadius"] = {false, "a number above 0", positive(&S::lbp3d_icosphere_radius_voxels)};
    r["lbp3DIcosphereSubdivision"] = {false, "a whole number from 0 to 5", integer(&S::lbp3d_icosphere_subdivision, 0, 5)};
    return r;
  }();
  return rules;
}

const std::vector<std::string>& image_type_names() {
  static const std::vector<std::string> names{"Original",    "LoG",      "Wavelet", "Square", "SquareRoot", "Logarithm",
                                              "Exponential", "Gradient", "LBP2D",   "LBP3D"};
  return names;
}

std::vector<std::string> setting_names() {
  std::vector<std::string> names;
  for (const auto& [name, rule] : setting_rules()) names.push_back(name);
  return names;
}

/// Why a value was refused.
tl::unexpected<Error> refused(const std::string& key, const SettingRule& rule, const YAML::Node& node, const std::string& where) {
  if (key == "wavelet" && node.IsScalar())
    if (const auto filters = find_wavelet(node.Scalar()); !filters) return bad(filters.error().message);
  return bad("The setting '" + key + "'" + (where.empty() ? "" : " in " + where) + " must be " + rule.expects + "; it is " + literal(node) + ".");
}

Status apply_settings(ExtractionSettings& settings, const YAML::Node& map, const std::string& where) {
  std::set<std::string> seen;
  for (const auto& item : map) {
    const std::string key = item.first.IsScalar() ? item.first.Scalar() : std::string();
    if (!seen.insert(key).second) return bad("The setting '" + key + "' stands twice in " + where + ".");
    const auto rule = setting_rules().find(key);
    if (rule == setting_rules().end()) return bad("Unknown setting '" + key + "' in " + where + "." + did_you_mean(key, setting_names()));
    if (!rule->second.apply(settings, item.second)) return refused(key, rule->second, item.second, where);
  }
  return {};
}

const std::vector<std::string>& voxel_setting_names() {
  static const std::vector<std::string> names{"kernelRadius", "maskedKernel", "initValue", "voxelBatch"};
  return names;
}

/// One setting of voxelSetting. key: a known one.
Status apply_voxel_setting(VoxelSettings& voxel, const std::string& key, const YAML::Node& node) {
  const auto refuse = [&](const char* expects) { return bad("The setting '" + key + "' in voxelSetting must be " + expects + "; it is " + literal(node) + "."); };
  if (key == "kernelRadius") {
    const auto value = read_integer(node);
    if (!value || *value < 1 || *value > 100) return refuse("a whole number from 1 to 100");
    voxel.kernel_radius_voxels = static_cast<int>(*value);
  } else if (key == "maskedKernel") {
    const auto value = is_null(node) ? std::optional(false) : read_bool(node);
    if (!value) return refuse("true or false");
    voxel.masked_kernel = *value;
  } else if (key == "initValue") {
    // PyRadiomics' own example says `nan`, which its schema takes for a number.
    const std::string text = node.IsScalar() ? node.Scalar() : std::string();
    const bool no_number = text == ".nan" || text == ".NaN" || text == ".NAN" || text == "nan" || text == "NaN";
    const auto value = no_number ? std::optional(std::numeric_limits<double>::quiet_NaN()) : read_number(node);
    if (!value) return refuse("a number or .nan");
    voxel.initial_value = *value;
  } else {
    const auto value = read_integer(node);
    if (!value || *value < 1 || *value > std::numeric_limits<int>::max()) return refuse("a whole number above 0");
    voxel.voxel_batch = static_cast<int>(*value);
  }
  return {};
}

Status read_families(ExtractionProfile& profile, const YAML::Node& map) {
  if (!map.IsMap()) return bad("featureClass must be a map of class names, such as 'firstorder:'.");
  std::vector<std::string> families;
  for (const std::string_view name : family_names()) families.emplace_back(name);
  std::set<std::string> seen;
  for (const auto& item : map) {
    const std::string family = item.first.IsScalar() ? item.first.Scalar() : std::string();
    if (std::find(families.begin(), families.end(), family) == families.end())
      return bad("Unknown feature class '" + family + "'." + did_you_mean(family, families));
    if (!seen.insert(family).second) return bad("The feature class '" + family + "' stands twice.");
    FamilyRequest request{family, {}};
    if (!is_null(item.second)) {
      if (!item.second.IsSequence()) return bad("The feature class '" + family + "' must be empty or a list of feature names.");
      for (const auto& entry : item.second) {
        const std::string name = entry.IsScalar() ? entry.Scalar() : std::string();
        if (find_feature(family, name) == nullptr) {
          std::vector<std::string> candidates;
          for (const FeatureDescription& feature : feature_catalogue())
            if (feature.family == family) candidates.emplace_back(feature.name);
          return bad("Unknown feature '" + name + "' in class '" + family + "'." + did_you_mean(name, candidates));
        }
        if (std::find(request.names.begin(), request.names.end(), name) == request.names.end()) request.names.push_back(name);
      }
    }
    profile.families.push_back(std::move(request));
  }
  return {};
}

Status read_image_types(ExtractionProfile& profile, const YAML::Node& map) {
  if (!map.IsMap()) return bad("imageType must be a map, such as 'Original: {}'.");
  for (const auto& item : map) {
    const std::string name = item.first.IsScalar() ? item.first.Scalar() : std::string();
    if (std::find(image_type_names().begin(), image_type_names().end(), name) == image_type_names().end())
      return bad("Unknown image type '" + name + "'." + did_you_mean(name, image_type_names()));
    if (std::any_of(profile.image_types.begin(), profile.image_types.end(), [&](const ImageTypeRequest& other) { return other.name == name; }))
      return bad("The image type '" + name + "' stands twice.");
    if (!item.second.IsMap()) return bad("The image type '" + name + "' needs a map of settings; write '" + name + ": {}' for none.");
    ImageTypeRequest request{name, profile.settings, literal(item.second), {}};
    if (auto status = apply_settings(request.settings, item.second, "imageType " + name); !status) return status;
    if (item.second["label"]) request.label = request.settings.label;
    profile.image_types.push_back(std::move(request));
  }
  return {};
}

Status read_voxel_settings(ExtractionProfile& profile, const YAML::Node& map) {
  const std::vector<std::string>& known = voxel_setting_names();
  if (!map.IsMap()) return bad("voxelSetting must be a map; leave the key out or write 'voxelSetting: {}' for none.");
  std::set<std::string> seen;
  for (const auto& item : map) {
    const std::string key = item.first.IsScalar() ? item.first.Scalar() : std::string();
    if (std::find(known.begin(), known.end(), key) == known.end()) return bad("Unknown setting '" + key + "' in voxelSetting." + did_you_mean(key, known));
    if (!seen.insert(key).second) return bad("The setting '" + key + "' stands twice in voxelSetting.");
    if (auto status = apply_voxel_setting(profile.voxel, key, item.second); !status) return status;
    profile.written.emplace_back(key, literal(item.second));
  }
  return {};
}

void enable_all(ExtractionProfile& profile, bool shape_2d) {
  profile.families.clear();
  for (const char* family : {"firstorder", "glcm", "gldm", "glrlm", "glszm", "ngtdm", "shape", "shape2D"})
    if (shape_2d || std::string_view(family) != "shape2D") profile.families.push_back({family, {}});
}

std::string number_text(double value) {
  char buffer[32];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value);
  return {buffer, end};
}

template <typename T, typename Text>
std::string json_list(const T& values, Text&& text) {
  std::string list = "[";
  for (const auto& value : values) list += (list.size() > 1 ? "," : "") + text(value);
  return list + "]";
}

std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + "\"";
}

std::string canonical_settings(const ExtractionSettings& s) {
  const auto truth = [](bool value) { return std::string(value ? "true" : "false"); };
  const auto integer_or_null = [](const std::optional<int>& value) { return value ? std::to_string(*value) : std::string("null"); };
  std::map<std::string, std::string> values;
  values["minimumROIDimensions"] = std::to_string(s.minimum_roi_dimensions);
  values["minimumROISize"] = integer_or_null(s.minimum_roi_size);
  values["geometryTolerance"] = number_text(s.geometry_tolerance);
  values["correctMask"] = truth(s.correct_mask);
  values["label"] = std::to_string(s.label);
  values["binWidth"] = number_text(s.bin_width);
  values["binCount"] = integer_or_null(s.bin_count);
  values["normalize"] = truth(s.normalize);
  values["normalizeScale"] = number_text(s.normalize_scale);
  values["removeOutliers"] = s.remove_outliers ? number_text(*s.remove_outliers) : "null";
  values["resampledPixelSpacing"] = s.resampled_pixel_spacing_mm ? json_list(*s.resampled_pixel_spacing_mm, number_text) : "null";
  std::string interpolator = "null";
  if (s.interpolator == Interpolation::cubic_bspline) interpolator = "\"sitkBSpline\"";
  if (s.interpolator == Interpolation::linear) interpolator = "\"sitkLinear\"";
  if (s.interpolator == Interpolation::nearest_neighbour) interpolator = "\"sitkNearestNeighbor\"";
  values["interpolator"] = interpolator;
  values["padDistance"] = std::to_string(s.pad_distance_voxels);
  values["distances"] = json_list(s.distances_voxels, [](int value) { return std::to_string(value); });
  values["force2D"] = truth(s.force_2d);
  values["force2Ddimension"] = std::to_string(s.force_2d_dimension);
  values["resegmentRange"] = s.resegment_range.empty() ? "null" : json_list(s.resegment_range, number_text);
  values["resegmentMode"] = s.resegment_mode == ResegmentMode::absolute ? "\"absolute\"" : s.resegment_mode == ResegmentMode::relative ? "\"relative\"" : "\"sigma\"";
  values["resegmentShape"] = truth(s.resegment_shape);
  values["preCrop"] = truth(s.pre_crop);
  values["voxelArrayShift"] = number_text(s.voxel_array_shift);
  values["symmetricalGLCM"] = truth(s.symmetrical_glcm);
  std::string norm = "null";
  if (s.weighting_norm == WeightingNorm::euclidean) norm = "\"euclidean\"";
  if (s.weighting_norm == WeightingNorm::manhattan) norm = "\"manhattan\"";
  if (s.weighting_norm == WeightingNorm::infinity) norm = "\"infinity\"";
  if (s.weighting_norm == WeightingNorm::no_weighting) norm = "\"no_weighting\"";
  values["weightingNorm"] = norm;
  values["gldm_a"] = std::to_string(s.gldm_alpha);
  values["sigma"] = json_list(s.log_scales, [](const LogScale& scale) { return quoted(scale.text); });
  values["wavelet"] = quoted(s.wavelet);
  values["start_level"] = std::to_string(s.wavelet_start_level);
  values["level"] = std::to_string(s.wavelet_levels);
  values["gradientUseSpacing"] = truth(s.gradient_use_spacing);
  values["lbp2DRadius"] = number_text(s.lbp2d_radius_pixels);
  values["lbp2DSamples"] = std::to_string(s.lbp2d_samples);
  constexpr const char* methods[] = {"\"default\"", "\"ror\"", "\"uniform\"", "\"var\""};
  values["lbp2DMethod"] = methods[static_cast<int>(s.lbp2d_method)];
  values["lbp3DLevels"] = std::to_string(s.lbp3d_levels);
  values["lbp3DIcosphereRadius"] = number_text(s.lbp3d_icosphere_radius_voxels);
  values["lbp3DIcosphereSubdivision"] = std::to_string(s.lbp3d_icosphere_subdivision);
  std::string text = "{";
  for (const auto& [key, value] : values) text += (text.size() > 1 ? "," : "") + quoted(key) + ":" + value;
  return text + "}";
}

}  // namespace

ExtractionProfile default_profile() {
  ExtractionProfile profile;
  enable_all(profile, false);
  return profile;
}

Result<ExtractionProfile> parse_profile(std::string_view yaml, std::string name) {
  if (yaml.size() > profile_bytes_max) return bad("The parameter file is larger than 1 MiB.");
  try {
    const YAML::Node root = YAML::Load(std::string(yaml));
    if (!root.IsMap()) return bad("A parameter file is a map with the keys setting, imageType, featureClass, voxelSetting.");
    ExtractionProfile profile;
    profile.name = std::move(name);
    const std::vector<std::string> top{"setting", "imageType", "featureClass", "voxelSetting"};
    std::set<std::string> seen;
    for (const auto& item : root) {
      const std::string key = item.first.IsScalar() ? item.first.Scalar() : std::string();
      if (std::find(top.begin(), top.end(), key) == top.end()) return bad("Unknown key '" + key + "'." + did_you_mean(key, top));
      if (!seen.insert(key).second) return bad("The key '" + key + "' stands twice.");
    }
    if (const YAML::Node settings = root["setting"]) {
      if (!settings.IsMap()) return bad("setting must be a map; leave the key out or write 'setting: {}' for none.");
      if (auto status = apply_settings(profile.settings, settings, "setting"); !status) return fail(status.error());
      for (const auto& item : settings) profile.written.emplace_back(item.first.Scalar(), literal(item.second));
    }
    if (const YAML::Node voxel = root["voxelSetting"])
      if (auto status = read_voxel_settings(profile, voxel); !status) return fail(status.error());
    profile.image_types.clear();
    if (const YAML::Node types = root["imageType"])
      if (auto status = read_image_types(profile, types); !status) return fail(status.error());
    if (profile.image_types.empty()) profile.image_types.push_back({"Original", profile.settings, "{}", {}});
    if (const YAML::Node classes = root["featureClass"])
      if (auto status = read_families(profile, classes); !status) return fail(status.error());
    // A file without classes enables all of them, shape2D too: only a run without a file leaves shape2D out.
    if (profile.families.empty()) enable_all(profile, true);
    return profile;
  } catch (const YAML::Exception& error) {
    return bad("The parameter file is not valid YAML: " + std::string(error.what()));
  }
}

namespace {

/// As Python's dictionary does it: a setting that stands there keeps its place.
void write_setting(ExtractionProfile& profile, std::string_view key, std::string text) {
  for (auto& entry : profile.written)
    if (entry.first == key) {
      entry.second = std::move(text);
      return;
    }
  profile.written.emplace_back(key, std::move(text));
}

}  // namespace

Status override_setting(ExtractionProfile& profile, std::string_view key, std::string_view value) {
  if (std::find(voxel_setting_names().begin(), voxel_setting_names().end(), key) != voxel_setting_names().end()) {
    try {
      YAML::Node node = YAML::Load(value == "None" ? std::string("null") : std::string(value));
      if (key == "maskedKernel" && (value == "1" || value == "0")) node = YAML::Load(value == "1" ? "true" : "false");
      if (auto status = apply_voxel_setting(profile.voxel, std::string(key), node); !status) return status;
      write_setting(profile, key, literal(node));
      return {};
    } catch (const YAML::Exception&) {
      return bad("The value of '" + std::string(key) + "' cannot be read: " + std::string(value) + ".");
    }
  }
  const auto rule = setting_rules().find(std::string(key));
  if (rule == setting_rules().end()) return bad("Unknown setting '" + std::string(key) + "'." + did_you_mean(key, setting_names()));
  try {
    YAML::Node node;
    if (rule->second.list && value != "null" && value != "None") node = YAML::Load("[" + std::string(value) + "]");
    else node = YAML::Load(value == "None" ? std::string("null") : std::string(value));
    // The PyRadiomics command takes 1 for true.
    ExtractionSettings probe;
    if (!rule->second.apply(probe, node) && rule->second.expects == "true or false" && (value == "1" || value == "0")) node = YAML::Load(value == "1" ? "true" : "false");
    const auto apply = [&](ExtractionSettings& settings) -> Status {
      if (rule->second.apply(settings, node)) return {};
      return refused(std::string(key), rule->second, node, "");
    };
    if (auto status = apply(profile.settings); !status) return status;
    for (ImageTypeRequest& type : profile.image_types)
      if (type.overrides.find("'" + std::string(key) + "'") == std::string::npos)
        if (auto status = apply(type.settings); !status) return status;
    write_setting(profile, key, literal(node));
    return {};
  } catch (const YAML::Exception&) {
    return bad("The value of '" + std::string(key) + "' cannot be read: " + std::string(value) + ".");
  }
}

std::string canonical_json(const ExtractionProfile& profile) {
  std::string text = "{\"featureClass\":[";
  bool first = true;
  for (const FamilyRequest& family : profile.families) {
    text += std::string(first ? "" : ",") + "{\"class\":" + quoted(family.family) + ",\"features\":" + json_list(family.names, quoted) + "}";
    first = false;
  }
  text += "],\"imageType\":[";
  first = true;
  for (const ImageTypeRequest& type : profile.image_types) {
    text += std::string(first ? "" : ",") + "{\"setting\":" + canonical_settings(type.settings) + ",\"type\":" + quoted(type.name) + "}";
    first = false;
  }
  return text + "],\"mode\":\"pyradiomics-3.0.1\",\"profile\":" + quoted(profile.name) + ",\"setting\":" + canonical_settings(profile.settings) + "}";
}

std::string settings_literal(const ExtractionProfile& profile, int label) {
  std::vector<std::pair<std::string, std::string>> entries{{"minimumROIDimensions", "2"},
                                                           {"minimumROISize", "None"},
                                                           {"normalize", "False"},
                                                           {"normalizeScale", "1"},
                                                           {"removeOutliers", "None"},
                                                           {"resampledPixelSpacing", "None"},
                                                           {"interpolator", "'sitkBSpline'"},
                                                           {"preCrop", "False"},
                                                           {"padDistance", "5"},
                                                           {"distances", "[1]"},
                                                           {"force2D", "False"},
                                                           {"force2Ddimension", "0"},
                                                           {"resegmentRange", "None"},
                                                           {"label", "1"},
                                                           {"additionalInfo", "True"}};
  const auto put = [&](const std::string& key, const std::string& value) {
    for (auto& entry : entries)
      if (entry.first == key) {
        entry.second = value;
        return;
      }
    entries.emplace_back(key, value);
  };
  for (const auto& [key, value] : profile.written) put(key, value);
  put("label", std::to_string(label));
  std::string text = "{";
  for (const auto& [key, value] : entries) text += (text.size() > 1 ? ", '" : "'") + key + "': " + value;
  return text + "}";
}

std::string image_types_literal(const ExtractionProfile& profile) {
  std::string text = "{";
  for (const ImageTypeRequest& type : profile.image_types) text += (text.size() > 1 ? ", '" : "'") + type.name + "': " + type.overrides;
  return text + "}";
}

}  // namespace choana::processing
