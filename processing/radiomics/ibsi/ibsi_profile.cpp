#include "processing/radiomics/ibsi/ibsi_profile.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <map>
#include <set>
#include <utility>

#include "core/near_match.h"
#include "processing/radiomics/diagnostics.h"

namespace choana::processing::ibsi {
namespace {

constexpr std::size_t profile_bytes_max = 1u << 20;
constexpr int distance_voxels_max = 10;   // a neighbourhood of 21^3 voxels
constexpr double infinity = std::numeric_limits<double>::infinity();

tl::unexpected<Error> bad(std::string message) { return fail(ErrorCode::invalid_profile, "parse_ibsi_profile", std::move(message)); }

std::string shown(const YAML::Node& node) { return node.IsScalar() ? "'" + node.Scalar().substr(0, 60) + "'" : "a list or map"; }

std::optional<double> number(const YAML::Node& node) {
  if (!node.IsScalar() || node.Tag() == "!") return std::nullopt;
  std::string_view text = node.Scalar();
  if (text == ".inf" || text == "+.inf") return infinity;
  if (text == "-.inf") return -infinity;
  if (text.starts_with('+')) text.remove_prefix(1);
  if (text.empty() || text.find_first_not_of("0123456789.eE+-") != std::string_view::npos) return std::nullopt;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// The keys of one map of the file: each is read once, what is left over is an error.
class Section {
 public:
  Section(const YAML::Node& node, std::string where, std::vector<std::string> keys) : node_(node), where_(std::move(where)), keys_(std::move(keys)) {}

  [[nodiscard]] Status check() const {
    if (!node_.IsMap()) return bad(where_ + " must be a map of settings.");
    std::set<std::string> seen;
    for (const auto& item : node_) {
      const std::string key = item.first.IsScalar() ? item.first.Scalar() : std::string();
      if (std::find(keys_.begin(), keys_.end(), key) == keys_.end())
        return bad("There is no setting '" + key.substr(0, 60) + "' in " + where_ + "." + did_you_mean(key, keys_));
      if (!seen.insert(key).second) return bad("The setting '" + key + "' stands twice in " + where_ + ".");
    }
    return {};
  }

  [[nodiscard]] YAML::Node operator[](const std::string& key) const { return node_[key]; }
  [[nodiscard]] bool has(const std::string& key) const { return node_[key].IsDefined() && !node_[key].IsNull(); }

  [[nodiscard]] Status read(const std::string& key, double& value, double low, double high) const {
    if (!has(key)) return {};
    const auto given = number(node_[key]);
    if (!given || !(*given >= low) || !(*given <= high)) return wrong(key, "a number from " + python_text(low) + " to " + python_text(high));
    value = *given;
    return {};
  }
  [[nodiscard]] Status read(const std::string& key, int& value, int low, int high) const {
    double given = value;
    if (!has(key)) return {};
    if (auto status = read(key, given, low, high); !status || given != std::floor(given))
      return wrong(key, "a whole number from " + std::to_string(low) + " to " + std::to_string(high));
    value = static_cast<int>(given);
    return {};
  }
  [[nodiscard]] Status read(const std::string& key, bool& value) const {
    if (!has(key)) return {};
    const std::string text = node_[key].IsScalar() ? node_[key].Scalar() : std::string();
    if (text != "true" && text != "false") return wrong(key, "true or false");
    value = text == "true";
    return {};
  }
  template <typename Enum>
  [[nodiscard]] Status read(const std::string& key, Enum& value, const std::vector<std::pair<std::string, Enum>>& words) const {
    if (!node_[key].IsDefined()) return {};
    std::vector<std::string> names;
    for (const auto& [word, meaning] : words) {
      if (node_[key].IsScalar() && node_[key].Scalar() == word) {
        value = meaning;
        return {};
      }
      names.push_back(word);
    }
    std::string list;
    for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
    return wrong(key, "one of " + list, node_[key].IsScalar() ? did_you_mean(node_[key].Scalar(), names) : std::string());
  }
  /// A list of known words, put in the order of `known`.
  [[nodiscard]] Status read_words(const std::string& key, std::vector<std::string>& words, const std::vector<std::string>& known) const {
    if (!has(key)) return {};
    const YAML::Node list = node_[key];
    if (!list.IsSequence() || list.size() == 0 || list.size() > 1000) return wrong(key, "a list of names");
    std::set<std::string> wanted;
    for (const auto& item : list) {
      const std::string word = item.IsScalar() ? item.Scalar() : std::string();
      if (std::find(known.begin(), known.end(), word) == known.end())
        return bad("'" + word.substr(0, 60) + "' is none of the " + key + "." + did_you_mean(word, known));
      wanted.insert(word);
    }
    words.clear();
    for (const std::string& word : known)
      if (wanted.contains(word)) words.push_back(word);
    return {};
  }

  [[nodiscard]] tl::unexpected<Error> wrong(const std::string& key, const std::string& expected, const std::string& hint = {}) const {
    return bad("The setting '" + key + "' in " + where_ + " must be " + expected + "; it is " + shown(node_[key]) + "." + hint);
  }

 private:
  YAML::Node node_;
  std::string where_;
  std::vector<std::string> keys_;
};

Status read_interpolation(const YAML::Node& node, IbsiProfile& profile) {
  const Section section(node, "interpolation", {"spacing_mm", "image", "mask", "mask_threshold", "rounding"});
  if (auto status = section.check(); !status) return status;
  GridSettings grid;
  const YAML::Node spacing = section["spacing_mm"];
  const std::size_t axes = profile.by_slice ? 2 : 3;
  const std::string expected = profile.by_slice ? "one number above 0, or two (i, j): interpolation by slice leaves k alone" : "one number above 0, or three (i, j, k; 0 keeps the spacing)";
  const auto valid = [](const std::optional<double>& value, bool zero) { return value && *value <= 1000 && (*value >= 1e-3 || (zero && *value == 0)); };
  if (spacing.IsDefined() && spacing.IsScalar()) {
    const auto value = number(spacing);
    if (!valid(value, false)) return section.wrong("spacing_mm", expected);
    for (std::size_t axis = 0; axis < axes; ++axis) grid.spacing_mm[axis] = *value;
  } else if (spacing.IsDefined() && spacing.IsSequence() && spacing.size() == axes) {
    for (std::size_t axis = 0; axis < axes; ++axis) {
      const auto value = number(spacing[axis]);
      if (!valid(value, true)) return section.wrong("spacing_mm", expected);
      grid.spacing_mm[axis] = *value;
    }
  } else {
    return section.wrong("spacing_mm", expected);
  }
  using I = ImageInterpolation;
  using M = MaskInterpolation;
  if (auto s = section.read<I>("image", grid.image, {{"nearest", I::nearest_neighbour}, {"linear", I::linear}, {"cubic_spline", I::cubic_spline}}); !s) return s;
  if (auto s = section.read<M>("mask", grid.mask, {{"nearest", M::nearest_neighbour}, {"linear", M::linear}}); !s) return s;
  if (auto s = section.read("mask_threshold", grid.mask_threshold, 0.01, 1.0); !s) return s;
  if (auto s = section.read<bool>("rounding", grid.round_intensities, {{"none", false}, {"nearest_integer", true}}); !s) return s;
  profile.grid = grid;
  return {};
}

Status read_resegmentation(const YAML::Node& node, ResegmentationSettings& settings) {
  const Section section(node, "resegmentation", {"range", "outlier_sigmas"});
  if (auto status = section.check(); !status) return status;
  if (section.has("range")) {
    const YAML::Node range = section["range"];
    if (!range.IsSequence() || range.size() != 2) return section.wrong("range", "two numbers, [lower, upper]; null or .inf leaves an end open");
    const auto lower = range[0].IsNull() ? std::optional(-infinity) : number(range[0]);
    const auto upper = range[1].IsNull() ? std::optional(infinity) : number(range[1]);
    if (!lower || !upper || !(*lower < *upper)) return section.wrong("range", "two numbers, the lower first");
    settings.lower = *lower;
    settings.upper = *upper;
  }
  if (section.has("outlier_sigmas")) {
    double sigmas = 3;
    if (auto status = section.read("outlier_sigmas", sigmas, 0.1, 100); !status) return status;
    settings.outlier_sigmas = sigmas;
  }
  return {};
}

Status read_discretisation(const YAML::Node& node, const std::string& where, DiscretisationSettings& settings) {
  const Section section(node, where, {"method", "bin_count", "bin_width"});
  if (auto status = section.check(); !status) return status;
  if (!section.has("method")) return bad("The section " + where + " lacks its 'method': none, fixed_bin_number or fixed_bin_size.");
  using D = DiscretisationMethod;
  if (auto s = section.read<D>("method", settings.method, {{"none", D::none}, {"fixed_bin_number", D::fixed_bin_number}, {"fixed_bin_size", D::fixed_bin_size}}); !s) return s;
  if (section.has("bin_count") != (settings.method == D::fixed_bin_number)) return bad("In " + where + " bin_count belongs to fixed_bin_number, and fixed_bin_number needs it.");
  if (section.has("bin_width") != (settings.method == D::fixed_bin_size)) return bad("In " + where + " bin_width belongs to fixed_bin_size, and fixed_bin_size needs it.");
  if (auto s = section.read("bin_count", settings.bin_count, 2, grey_levels_max); !s) return s;
  return section.read("bin_width", settings.bin_width, 1e-12, 1e12);
}

Status read_texture(const YAML::Node& root, IbsiProfile& profile) {
  const std::vector<std::pair<std::string, int*>> distances{
      {"glcm", &profile.glcm_distance_voxels}, {"ngtdm", &profile.ngtdm_distance_voxels}, {"ngldm", &profile.ngldm_distance_voxels}};
  for (const auto& [family, distance] : distances) {
    if (!root[family].IsDefined()) continue;
    std::vector<std::string> keys{"distance_voxels"};
    if (family == "ngldm") keys.push_back("alpha");
    const Section section(root[family], family, keys);
    if (auto status = section.check(); !status) return status;
    if (auto status = section.read("distance_voxels", *distance, 1, distance_voxels_max); !status) return status;
    if (family == "ngldm")
      if (auto status = section.read("alpha", profile.ngldm_alpha, 0.0, 1e6); !status) return status;
  }
  return {};
}

Result<IbsiProfile> read_profile(const YAML::Node& root, std::string name) {
  IbsiProfile profile;
  profile.name = std::move(name);
  const Section top(root, "the parameter file",
                    {"mode", "dimensions", "label", "interpolation", "resegmentation", "discretisation", "volume_histogram", "glcm", "ngtdm", "ngldm", "families",
                     "aggregations", "original", "filter"});
  if (auto status = top.check(); !status) return fail(status.error());
  if (!root["mode"].IsDefined() || !root["mode"].IsScalar() || root["mode"].Scalar() != "ibsi") return bad("A parameter file of IBSI mode says `mode: ibsi`.");
  if (auto s = top.read<bool>("dimensions", profile.by_slice, {{"3D", false}, {"2D", true}}); !s) return fail(s.error());
  if (auto s = top.read("label", profile.label, 1, std::numeric_limits<int>::max()); !s) return fail(s.error());
  if (auto s = top.read("original", profile.original); !s) return fail(s.error());
  if (top.has("interpolation"))
    if (auto s = read_interpolation(root["interpolation"], profile); !s) return fail(s.error());
  if (top.has("resegmentation"))
    if (auto s = read_resegmentation(root["resegmentation"], profile.resegmentation); !s) return fail(s.error());
  if (top.has("discretisation"))
    if (auto s = read_discretisation(root["discretisation"], "discretisation", profile.discretisation); !s) return fail(s.error());
  if (top.has("volume_histogram"))
    if (auto s = read_discretisation(root["volume_histogram"], "volume_histogram", profile.volume_histogram); !s) return fail(s.error());
  if (auto s = read_texture(root, profile); !s) return fail(s.error());
  profile.families = ibsi_family_names();
  if (auto s = top.read_words("families", profile.families, ibsi_family_names()); !s) return fail(s.error());
  for (const std::string& word : aggregation_names())
    if (word.starts_with("3D") != profile.by_slice) profile.aggregations.push_back(word);
  if (auto s = top.read_words("aggregations", profile.aggregations, aggregation_names()); !s) return fail(s.error());
  if (top.has("filter")) {
    YAML::Emitter text;
    text << root["filter"];
    auto filters = parse_ibsi_filters(text.c_str());
    if (!filters) return fail(filters.error());
    profile.filters = std::move(*filters);
  }
  if (!profile.original && profile.filters.empty()) return bad("With `original: false` there must be a filter: nothing would be measured.");
  return profile;
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) out += (c == '"' || c == '\\') ? std::string("\\") + c : std::string(1, c);
  return out + "\"";
}

std::string json_number(double value) { return std::isfinite(value) ? python_text(value) : "null"; }

std::string json_list(const std::vector<std::string>& words) {
  std::string text = "[";
  for (const std::string& word : words) text += (text.size() > 1 ? "," : "") + quoted(word);
  return text + "]";
}

std::string json_of(const DiscretisationSettings& settings) {
  switch (settings.method) {
    case DiscretisationMethod::fixed_bin_number: return R"({"method":"fixed_bin_number","bin_count":)" + std::to_string(settings.bin_count) + "}";
    case DiscretisationMethod::fixed_bin_size: return R"({"method":"fixed_bin_size","bin_width":)" + json_number(settings.bin_width) + "}";
    case DiscretisationMethod::none: break;
  }
  return R"({"method":"none"})";
}

}  // namespace

const std::vector<std::string>& ibsi_family_names() {
  static const std::vector<std::string> names{"morphology", "local_intensity", "intensity_statistics", "intensity_histogram", "intensity_volume_histogram", "glcm",
                                              "glrlm",      "glszm",           "gldzm",                "ngtdm",               "ngldm"};
  return names;
}

const std::vector<std::string>& aggregation_names() {
  static const std::vector<std::string> names{"2D_avg", "2D_slice_merged", "2.5D_direction_merged", "2.5D_merged", "3D_avg", "3D_merged", "2D", "2.5D", "3D"};
  return names;
}

bool is_ibsi_profile(std::string_view yaml) {
  if (yaml.size() > profile_bytes_max) return false;
  try {
    const YAML::Node root = YAML::Load(std::string(yaml));
    return root.IsMap() && root["mode"].IsDefined();
  } catch (const YAML::Exception&) {
    return false;
  }
}

Result<IbsiProfile> parse_ibsi_profile(std::string_view yaml, std::string name) {
  if (yaml.size() > profile_bytes_max) return bad("The parameter file is longer than 1 MiB.");
  try {
    const YAML::Node root = YAML::Load(std::string(yaml));
    if (!root.IsMap()) return bad("The parameter file must be a map of settings that begins with `mode: ibsi`.");
    return read_profile(root, std::move(name));
  } catch (const YAML::Exception& problem) {
    return bad("The parameter file is not valid YAML (line " + std::to_string(problem.mark.line + 1) + ").");
  }
}

std::string canonical_json(const IbsiProfile& profile) {
  std::string text = R"({"mode":"ibsi","dimensions":")" + std::string(profile.by_slice ? "2D" : "3D") + "\",\"label\":" + std::to_string(profile.label);
  if (profile.grid) {
    const GridSettings& grid = *profile.grid;
    const char* image[] = {"nearest", "linear", "cubic_spline"};
    const char* mask[] = {"nearest", "linear"};
    text += ",\"interpolation\":{\"spacing_mm\":[" + json_number(grid.spacing_mm[0]) + "," + json_number(grid.spacing_mm[1]) + "," + json_number(grid.spacing_mm[2]) +
            "],\"image\":\"" + image[static_cast<int>(grid.image)] + "\",\"mask\":\"" + mask[static_cast<int>(grid.mask)] + "\",\"mask_threshold\":" +
            json_number(grid.mask_threshold) + ",\"rounding\":\"" + (grid.round_intensities ? "nearest_integer" : "none") + "\"}";
  }
  const ResegmentationSettings& range = profile.resegmentation;
  text += ",\"resegmentation\":{\"range\":[" + json_number(range.lower) + "," + json_number(range.upper) + "],\"outlier_sigmas\":" +
          (range.outlier_sigmas ? json_number(*range.outlier_sigmas) : "null") + "}";
  text += ",\"discretisation\":" + json_of(profile.discretisation) + ",\"volume_histogram\":" + json_of(profile.volume_histogram);
  text += ",\"glcm\":{\"distance_voxels\":" + std::to_string(profile.glcm_distance_voxels) + "},\"ngtdm\":{\"distance_voxels\":" +
          std::to_string(profile.ngtdm_distance_voxels) + "},\"ngldm\":{\"distance_voxels\":" + std::to_string(profile.ngldm_distance_voxels) +
          ",\"alpha\":" + json_number(profile.ngldm_alpha) + "}";
  text += ",\"families\":" + json_list(profile.families) + ",\"aggregations\":" + json_list(profile.aggregations);
  text += std::string(",\"original\":") + (profile.original ? "true" : "false");
  std::vector<std::string> filters;
  for (const IbsiFilter& filter : profile.filters) filters.push_back(filter_name(filter));
  return text + ",\"filter\":" + json_list(filters) + "}";
}

}  // namespace choana::processing::ibsi
