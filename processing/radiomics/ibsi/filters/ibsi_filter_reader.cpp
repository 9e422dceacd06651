#include <yaml-cpp/yaml.h>

#include <charconv>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "processing/radiomics/ibsi/filters/filter_functions.h"
#include "processing/radiomics/ibsi/filters/ibsi_filter.h"

namespace choana::processing::ibsi {
namespace {

constexpr std::size_t bytes_max = 1u << 20;
constexpr std::size_t filters_max = 1000;

tl::unexpected<Error> bad(std::string message) { return fail(ErrorCode::invalid_profile, "parse_filters", std::move(message)); }

/// Reads one map of settings; remembers the first problem.
class SettingReader {
 public:
  explicit SettingReader(const YAML::Node& node) : node_(node) {}

  void read(const char* key, double& value) {
    if (const auto text = scalar(key)) {
      const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
      if (error != std::errc() || end != text->data() + text->size() || !std::isfinite(value)) complain(key, *text, "a number");
    }
  }
  void read(const char* key, int& value) {
    if (const auto text = scalar(key)) {
      const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
      if (error != std::errc() || end != text->data() + text->size()) complain(key, *text, "a whole number");
    }
  }
  void read(const char* key, bool& value) {
    if (const auto text = scalar(key)) {
      if (*text != "true" && *text != "false") complain(key, *text, "true or false");
      value = *text == "true";
    }
  }
  void read(const char* key, std::string& value) {
    if (const auto text = scalar(key)) value = *text;
  }
  template <typename Enum>
  void read(const char* key, Enum& value, const std::map<std::string, Enum>& words) {
    const auto text = scalar(key);
    if (!text) return;
    const auto found = words.find(*text);
    if (found != words.end()) {
      value = found->second;
      return;
    }
    std::string all;
    for (const auto& [word, meaning] : words) all += (all.empty() ? "" : ", ") + word;
    complain(key, *text, "one of " + all);
  }
  void require(const char* key) {
    known_.insert(key);
    if (!node_[key] && problem_.empty()) problem_ = std::string("the key '") + key + "' is missing";
  }

  /// After all keys were read.
  [[nodiscard]] std::string problem() const {
    if (!problem_.empty()) return problem_;
    for (const auto& item : node_) {
      const std::string key = item.first.IsScalar() ? item.first.Scalar() : "?";
      if (known_.contains(key)) continue;
      std::string all;
      for (const std::string& word : known_) all += (all.empty() ? "" : ", ") + word;
      return "the key '" + key.substr(0, 60) + "' is not known; known are " + all;
    }
    return {};
  }

 private:
  std::optional<std::string> scalar(const char* key) {
    known_.insert(key);
    const YAML::Node value = node_[key];
    if (!value) return std::nullopt;
    if (value.IsScalar()) return value.Scalar();
    complain(key, "...", "a single value");
    return std::nullopt;
  }
  void complain(const char* key, const std::string& text, const std::string& wanted) {
    if (problem_.empty()) problem_ = std::string(key) + " must be " + wanted + ", not '" + text.substr(0, 60) + "'";
  }

  YAML::Node node_;
  std::set<std::string> known_{"type"};
  std::string problem_;
};

const std::map<std::string, Boundary> boundaries{{"zero", Boundary::zero}, {"nearest", Boundary::nearest}, {"periodic", Boundary::periodic}, {"mirror", Boundary::mirror}};
const std::map<std::string, Pooling> poolings{{"average", Pooling::average}, {"max", Pooling::maximum}, {"min", Pooling::minimum}};
const std::map<std::string, GaborResponse> gabor_responses{
    {"modulus", GaborResponse::modulus}, {"real", GaborResponse::real}, {"imaginary", GaborResponse::imaginary}, {"angle", GaborResponse::angle}};

void read_settings(SettingReader& reader, MeanFilter& filter) {
  reader.require("support_voxels");
  reader.read("support_voxels", filter.support_voxels);
  reader.read("by_slice", filter.by_slice);
}

void read_settings(SettingReader& reader, LaplacianOfGaussianFilter& filter) {
  reader.require("sigma_mm");
  reader.read("sigma_mm", filter.sigma_mm);
  reader.read("cutoff_sigmas", filter.cutoff_sigmas);
  reader.read("zero_mean", filter.zero_mean);
  reader.read("by_slice", filter.by_slice);
}

void read_settings(SettingReader& reader, LawsFilter& filter) {
  reader.require("kernels");
  reader.read("kernels", filter.kernels);
  reader.read("rotation_invariant", filter.rotation_invariant);
  reader.read("pooling", filter.pooling, poolings);
  reader.read("energy_distance_voxels", filter.energy_distance_voxels);
}

void read_settings(SettingReader& reader, GaborFilter& filter) {
  for (const char* key : {"sigma_mm", "lambda_mm", "gamma"}) reader.require(key);
  reader.read("sigma_mm", filter.sigma_mm);
  reader.read("lambda_mm", filter.lambda_mm);
  reader.read("gamma", filter.gamma);
  reader.read("theta_degrees", filter.theta_degrees);
  reader.read("theta_step_degrees", filter.theta_step_degrees);
  reader.read("orthogonal_planes", filter.orthogonal_planes);
  reader.read("response", filter.response, gabor_responses);
  reader.read("pooling", filter.pooling, poolings);
}

void read_settings(SettingReader& reader, SeparableWaveletFilter& filter) {
  for (const char* key : {"wavelet", "subband"}) reader.require(key);
  reader.read("wavelet", filter.wavelet);
  reader.read("subband", filter.subband);
  reader.read("level", filter.level);
  reader.read("rotation_invariant", filter.rotation_invariant);
  reader.read("pooling", filter.pooling, poolings);
}

void read_settings(SettingReader& reader, SimoncelliFilter& filter) {
  reader.require("level");
  reader.read("level", filter.level);
  reader.read("by_slice", filter.by_slice);
}

template <typename Filter>
Result<IbsiFilter> read_one(const YAML::Node& node) {
  Filter filter;
  SettingReader reader(node);
  read_settings(reader, filter);
  reader.read("boundary", filter.boundary, boundaries);
  if (const std::string problem = reader.problem(); !problem.empty()) return bad("In the filter of type '" + node["type"].Scalar() + "': " + problem + ".");
  if (const Status status = check(filter); !status) return bad(status.error().message);
  return IbsiFilter(filter);
}

Result<IbsiFilter> read_filter(const YAML::Node& node) {
  if (!node.IsMap() || !node["type"] || !node["type"].IsScalar()) return bad("Each filter needs settings with a `type`: mean, log, laws, gabor, wavelet or simoncelli.");
  const std::string type = node["type"].Scalar();
  if (type == "mean") return read_one<MeanFilter>(node);
  if (type == "log") return read_one<LaplacianOfGaussianFilter>(node);
  if (type == "laws") return read_one<LawsFilter>(node);
  if (type == "gabor") return read_one<GaborFilter>(node);
  if (type == "wavelet") return read_one<SeparableWaveletFilter>(node);
  if (type == "simoncelli") return read_one<SimoncelliFilter>(node);
  return bad("The filter type '" + type.substr(0, 60) + "' is not known: mean, log, laws, gabor, wavelet and simoncelli are.");
}

}  // namespace

Result<std::vector<IbsiFilter>> parse_ibsi_filters(std::string_view yaml) {
  if (yaml.size() > bytes_max) return bad("The list of filters is longer than 1 MiB.");
  try {
    const YAML::Node root = YAML::Load(std::string(yaml));
    std::vector<IbsiFilter> filters;
    if (root.IsNull()) return filters;
    if (root.IsMap()) {
      auto filter = read_filter(root);
      if (!filter) return fail(filter.error());
      filters.push_back(std::move(*filter));
      return filters;
    }
    if (!root.IsSequence()) return bad("The filters must be a list of settings, such as [{type: mean, support_voxels: 3}].");
    if (root.size() > filters_max) return bad("More than 1000 filters were asked for.");
    for (const auto& node : root) {
      auto filter = read_filter(node);
      if (!filter) return fail(filter.error());
      filters.push_back(std::move(*filter));
    }
    return filters;
  } catch (const YAML::Exception& problem) {
    return bad("The list of filters is not valid YAML (line " + std::to_string(problem.mark.line + 1) + ").");
  }
}

}  // namespace choana::processing::ibsi
