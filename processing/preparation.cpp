#include "processing/preparation.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "core/near_match.h"
#include "processing/preprocessing/bias_field_correction.h"
#include "processing/preprocessing/intensity_normaliser.h"

namespace choana::processing {
namespace {

using nlohmann::json;

tl::unexpected<Error> wrong(const std::string& message) { return fail(ErrorCode::invalid_package, "prepare", message); }

Result<json> parse_parameters(const std::string& step, const std::string& text, const std::vector<std::string>& allowed) {
  json parameters = json::parse(text.empty() ? "{}" : text, nullptr, false);
  if (!parameters.is_object()) return wrong("The parameters of the preparation step '" + step + "' are no object.");
  parameters.erase("roles");  // taken care of by `prepare`
  for (const auto& [key, value] : parameters.items())
    if (std::find(allowed.begin(), allowed.end(), key) == allowed.end())
      return wrong("The preparation step '" + step + "' has no parameter '" + key + "'." + did_you_mean(key, allowed));
  return parameters;
}

// A number for all axes, or one for each.
Status read_axes(const json& value, std::array<int, 3>& axes, const std::string& what) {
  if (value.is_number_integer()) {
    axes.fill(value.get<int>());
    return {};
  }
  if (value.is_array() && value.size() == 3 && std::all_of(value.begin(), value.end(), [](const json& v) { return v.is_number_integer(); })) {
    for (std::size_t a = 0; a < 3; ++a) axes[a] = value[a].get<int>();
    return {};
  }
  return wrong("n4: '" + what + "' must be a whole number or three.");
}

Result<BiasFieldSettings> n4_settings(const std::string& text) {
  auto parameters = parse_parameters("n4", text, {"shrink", "iterations", "threshold", "fwhm", "noise", "bins", "control_points", "mask", "engine", "field"});
  if (!parameters) return fail(parameters.error());
  BiasFieldSettings settings;
  try {
    if (parameters->contains("shrink"))
      if (auto read = read_axes(parameters->at("shrink"), settings.n4.shrink, "shrink"); !read) return fail(read.error());
    if (parameters->contains("control_points"))
      if (auto read = read_axes(parameters->at("control_points"), settings.n4.control_points, "control_points"); !read) return fail(read.error());
    if (parameters->contains("iterations")) settings.n4.iterations = parameters->at("iterations").get<std::vector<int>>();
    settings.n4.convergence_threshold = parameters->value("threshold", settings.n4.convergence_threshold);
    settings.n4.full_width_at_half_maximum = parameters->value("fwhm", settings.n4.full_width_at_half_maximum);
    settings.n4.wiener_noise = parameters->value("noise", settings.n4.wiener_noise);
    settings.n4.histogram_bins = parameters->value("bins", settings.n4.histogram_bins);
    const std::string mask = parameters->value("mask", "otsu");
    if (mask == "otsu")
      settings.mask = BiasFieldMask::otsu;
    else if (mask == "positive")
      settings.mask = BiasFieldMask::positive;
    else if (mask == "all")
      settings.mask = BiasFieldMask::every_voxel;
    else
      return wrong("n4: 'mask' is otsu, positive or all.");
    const std::string engine = parameters->value("engine", "choana");
    if (engine != "choana" && engine != "itk") return wrong("n4: 'engine' is choana or itk.");
    settings.engine = engine == "itk" ? BiasFieldEngine::itk : BiasFieldEngine::choana;
    const std::string field = parameters->value("field", "stretched");
    if (field != "stretched" && field != "aligned") return wrong("n4: 'field' is stretched or aligned.");
    settings.field = field == "aligned" ? BiasFieldPlacement::aligned : BiasFieldPlacement::stretched;
  } catch (const json::exception&) {
    return wrong("n4: a parameter has the wrong type.");
  }
  return settings;
}

Result<std::pair<double, double>> rescale_range(const std::string& text) {
  auto parameters = parse_parameters("rescale", text, {"from", "to"});
  if (!parameters) return fail(parameters.error());
  if (parameters->contains("from") && parameters->at("from") != json::array({"min", "max"}))
    return wrong("rescale: 'from' other than [min, max] is not available in this version.");
  const json to = parameters->value("to", json::array({0, 255}));
  if (!to.is_array() || to.size() != 2 || !to[0].is_number() || !to[1].is_number()) return wrong("rescale: 'to' must be two numbers.");
  return std::pair{to[0].get<double>(), to[1].get<double>()};
}

Result<PreparedVolume> run_n4(const SeriesVolume& image, const std::string& parameters, TaskPool* pool) {
  auto settings = n4_settings(parameters);
  if (!settings) return fail(settings.error());
  auto corrected = correct_bias_field(image, *settings, pool);
  if (!corrected) return fail(corrected.error());
  json record = json::parse(canonical_json(*settings), nullptr, false);
  record["mask_voxels"] = corrected->mask_voxels;
  record["shrink_used"] = corrected->shrink;
  record["levels"] = json::array();
  for (const BiasFieldLevel& level : corrected->levels) record["levels"].push_back({{"iterations", level.iterations}, {"convergence", level.convergence}});
  return PreparedVolume{std::move(corrected->series), record.dump()};
}

Result<PreparedVolume> run_rescale(const SeriesVolume& image, const std::string& parameters, TaskPool*) {
  auto range = rescale_range(parameters);
  if (!range) return fail(range.error());
  auto stretched = rescale(image, range->first, range->second);
  if (!stretched) return fail(stretched.error());
  return PreparedVolume{std::move(*stretched), json{{"to", {range->first, range->second}}}.dump()};
}

// With constants of the training cohort: z = (x - mean) / sd.
Result<PreparedVolume> run_normalise(const SeriesVolume& image, const std::string& text, TaskPool*) {
  auto parameters = parse_parameters("normalise", text, {"mean", "sd"});
  if (!parameters) return fail(parameters.error());
  const json mean = parameters->value("mean", json()), sd = parameters->value("sd", json());
  if (!mean.is_number() || !sd.is_number() || !(sd.get<double>() > 0)) return wrong("normalise: 'mean' and a positive 'sd' must be given.");
  std::vector<float> voxels;
  voxels.reserve(image.voxels().size());
  for (const float voxel : image.voxels()) voxels.push_back(static_cast<float>((voxel - mean.get<double>()) / sd.get<double>()));
  auto volume = image.with_voxels(std::move(voxels), PixelType::float32);
  if (!volume) return fail(volume.error());
  return PreparedVolume{std::move(*volume), parameters->dump()};
}

// Said in a manifest for people; the extraction file carries it out.
Result<PreparedVolume> run_nothing(const SeriesVolume& image, const std::string& parameters, TaskPool*) { return PreparedVolume{image, parameters}; }

struct Step {
  const char* name;
  Result<PreparedVolume> (*run)(const SeriesVolume&, const std::string&, TaskPool*);
};

constexpr Step steps[] = {{"n4", run_n4}, {"rescale", run_rescale}, {"resample", run_nothing}, {"normalise", run_normalise}, {"register", run_nothing}};

}  // namespace

Result<PreparedVolume> prepare(const SeriesVolume& image, const std::string& role, const std::string& step, const std::string& parameters_json, TaskPool* pool) {
  const json parameters = json::parse(parameters_json, nullptr, false);
  if (parameters.is_object() && parameters.contains("roles")) {
    const json& roles = parameters["roles"];
    if (!roles.is_array()) return wrong("The step '" + step + "' names its roles by something that is no list.");
    if (std::find(roles.begin(), roles.end(), json(role)) == roles.end()) return PreparedVolume{image, "{}"};
  }
  std::vector<std::string> names;
  for (const Step& known : steps) {
    if (step == known.name) return known.run(image, parameters_json, pool);
    names.emplace_back(known.name);
  }
  return wrong("There is no preparation step '" + step + "'." + did_you_mean(step, names));
}

Result<std::optional<RegistrationRequest>> registration_request(const std::vector<PreparationStep>& all, const std::string& role) {
  std::optional<RegistrationRequest> request;
  for (const PreparationStep& one : all) {
    if (one.step != "register") continue;
    const json given = json::parse(one.parameters_json, nullptr, false);
    if (given.is_object() && given.contains("roles")) {
      if (!given["roles"].is_array()) return wrong("The step 'register' names its roles by something that is no list.");
      if (std::find(given["roles"].begin(), given["roles"].end(), json(role)) == given["roles"].end()) continue;
    }
    auto parameters = parse_parameters("register", one.parameters_json,
                                       {"to", "resample", "otherwise", "seed", "focus_margin_mm", "translation_max_mm", "rotation_max_deg", "overlap_min", "focus_overlap_min", "information_min", "agreement_min"});
    if (!parameters) return fail(parameters.error());
    RegistrationRequest asked;
    try {
      asked.to = parameters->value("to", "");
      asked.resample = parameters->value("resample", false);
      const std::string otherwise = parameters->value("otherwise", "refuse");
      if (otherwise != "refuse" && otherwise != "geometry") return wrong("register: 'otherwise' is refuse or geometry.");
      asked.otherwise_geometry = otherwise == "geometry";
      RegistrationSettings& s = asked.settings;
      s.seed = parameters->value("seed", s.seed);
      s.focus_margin_mm = parameters->value("focus_margin_mm", s.focus_margin_mm);
      s.translation_max_mm = parameters->value("translation_max_mm", s.translation_max_mm);
      s.rotation_max_deg = parameters->value("rotation_max_deg", s.rotation_max_deg);
      s.overlap_min = parameters->value("overlap_min", s.overlap_min);
      s.focus_overlap_min = parameters->value("focus_overlap_min", s.focus_overlap_min);
      s.information_min = parameters->value("information_min", s.information_min);
      s.agreement_min = parameters->value("agreement_min", s.agreement_min);
    } catch (const json::exception&) {
      return wrong("register: a parameter has the wrong type.");
    }
    if (asked.to.empty()) return wrong("register: 'to' must name the role of the reference.");
    if (asked.to == role) continue;
    request = asked;
  }
  return request;
}

}  // namespace choana::processing
