#include "processing/prediction/model_package.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <optional>
#include <set>
#include <span>
#include <utility>

#include "core/near_match.h"
#include "processing/prediction/applicability.h"
#include "processing/prediction/package_files.h"
#include "processing/prediction/package_signature.h"
#include "processing/prediction/readers/json_internal.h"
#include "processing/prediction/readers/manifest_reader.h"
#include "processing/prediction/readers/table.h"
#include "processing/prediction/selftest.h"
#include "processing/prediction/stage_chain.h"

namespace choana::processing {

struct ModelPackage::Content {
  PackageManifest manifest;
  std::string sha256;
  std::vector<DeepNetwork> networks;
  StageChain chain;
  std::vector<std::size_t> stage_of_output;
  SelftestReport selftest;
  std::optional<TrainingDistance> distance;
  int distance_stage = -1;                   // whose values it takes; -1: features
  std::vector<std::size_t> distance_values;  // positions among them
};

/// What the stages made of one case.
struct ModelPackage::Run {
  std::vector<double> row;
  std::vector<StageScore> stages;
  std::vector<OutputScore> outputs;
};

namespace {

tl::unexpected<Error> refuse(const std::string& sentence) { return fail(ErrorCode::invalid_package, "admit_package", sentence); }

// Is the feature's region a habitat that the manifest makes on its role: habitat1 to the largest number there can be, or all of them?
bool of_habitats(const PackageManifest& manifest, const PackageFeature& feature) {
  return std::any_of(manifest.habitats.begin(), manifest.habitats.end(), [&](const RequiredHabitats& habitats) {
    if (std::find(habitats.measured_on.begin(), habitats.measured_on.end(), feature.role) == habitats.measured_on.end()) return false;
    if (feature.roi == habitats.name) return feature.kind == "habitat" && feature.feature == "count";
    const int most = habitats.settings.habitats.value_or(habitats.settings.habitats_max);
    for (int n = 1; n <= most; ++n)
      if (feature.roi == habitats.name + std::to_string(n)) return true;
    return false;
  });
}

// Put class 0 before class 1: the other probability, and everything of the margin with the other sign.
void add_class_0(OutputScore& output, bool margin_is_share) {
  const double whole = margin_is_share ? 1 : 0;  // a share of class 1 has the rest of 1 on the other side
  output.values.insert(output.values.begin(), 1 - output.values.front());
  output.margins.insert(output.margins.begin(), whole - output.margins.front());
  if (output.explanations.empty()) return;
  Explanation mirrored = output.explanations.front();
  mirrored.base = whole - mirrored.base;
  mirrored.output = whole - mirrored.output;
  for (Contribution& part : mirrored.contributions) part.contribution = -part.contribution;
  output.explanations.insert(output.explanations.begin(), std::move(mirrored));
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

// What the case was given that it did not have: values of its own, or a site.
std::vector<std::string> stand_ins(const PackageManifest& manifest, const StageChain& chain, const std::vector<double>& row, const CaseSite& site) {
  std::vector<std::string> sentences;
  for (std::size_t s = 0; s < chain.size(); ++s) {
    if (const Imputation* imputation = chain.imputation(s)) {
      const std::vector<int> features = chain.features_in(s);
      for (std::size_t i = 0; i < features.size(); ++i)
        if (features[i] >= 0 && std::isnan(row[static_cast<std::size_t>(features[i])]))
          sentences.push_back(label_of(manifest.features[static_cast<std::size_t>(features[i])]) + " is missing and was taken for " + short_number(imputation->values[i]) + " (stage " + chain.id(s) + ").");
    }
    if (const CombatParameters* combat = chain.combat(s); combat != nullptr && combat->find(site.name) == nullptr)
      sentences.push_back((site.note.empty() ? (site.name.empty() ? "The site of this case is not known." : "The site '" + site.name.substr(0, 64) + "' is none that the model was harmonised for (" + joined(chain.site_names()) + ").")
                                             : site.note) +
                          " Its features were harmonised as those of the site " + combat->reference + " (stage " + chain.id(s) + ").");
  }
  return sentences;
}

// The whole curve, and the times that the outputs of its stage report.
SurvivalCurve curve_of(const PackageManifest& manifest, const OutputSpec& output, const CoxModel& model, double log_hazard) {
  SurvivalCurve curve{output.time_unit, model.times, survival_steps(model, log_hazard), {}};
  for (const OutputSpec& other : manifest.outputs) {
    if (other.from != output.from) continue;
    if (curve.time_unit.empty()) curve.time_unit = other.time_unit;
    if (other.horizon && std::find(curve.horizons.begin(), curve.horizons.end(), *other.horizon) == curve.horizons.end()) curve.horizons.push_back(*other.horizon);
  }
  std::sort(curve.horizons.begin(), curve.horizons.end());
  return curve;
}

// A missing value that an impute stage takes need not be refused, unless the manifest says so.
void let_imputed_pass(PackageManifest& manifest, const StageChain& chain) {
  for (std::size_t s = 0; s < chain.size(); ++s) {
    if (chain.imputation(s) == nullptr) continue;
    for (const int f : chain.features_in(s)) {
      if (f < 0) continue;
      const PackageFeature& feature = manifest.features[static_cast<std::size_t>(f)];
      if (!manifest.missing_by_kind.contains(feature.kind)) manifest.missing_by_feature.try_emplace(feature.id, MissingRule::pass);
    }
  }
}

Status check_features(const PackageManifest& manifest) {
  for (const PackageFeature& feature : manifest.features) {
    const std::string here = "features.csv: " + feature.id;
    if (feature.kind == "table") continue;
    if (feature.kind == "clinical") {
      const std::string name = feature.id.starts_with("clinical.") ? feature.id.substr(9) : feature.id;
      if (std::none_of(manifest.clinical.begin(), manifest.clinical.end(), [&](const ClinicalInput& c) { return c.name == name; }))
        return refuse(here + " is a clinical value that inputs.clinical does not list.");
      continue;
    }
    if (std::none_of(manifest.sequences.begin(), manifest.sequences.end(), [&](const auto& s) { return s.role == feature.role; }))
      return refuse(here + " is measured on the role '" + feature.role + "', which inputs.sequences does not list.");
    const auto roi = std::find_if(manifest.rois.begin(), manifest.rois.end(), [&](const auto& r) { return r.name == feature.roi; });
    if (roi == manifest.rois.end() && of_habitats(manifest, feature)) {
      if (feature.kind == "radiomic" && !manifest.extraction_file.contains(feature.role)) return refuse(here + " is measured on " + feature.role + ", which has no extraction file.");
      continue;
    }
    if (feature.kind == "deep" && !manifest.network_of(feature))
      return refuse(here + " is a deep feature, but no network of `deep` on " + feature.role + " of " + feature.roi + " gives a '" + feature.feature.substr(0, 64) + "'.");
    if (roi == manifest.rois.end()) return refuse(here + " is measured in the region '" + feature.roi + "', which inputs.rois does not list and habitats do not make there.");
    if (std::find(roi->of_roles.begin(), roi->of_roles.end(), feature.role) == roi->of_roles.end())
      return refuse(here + " is measured on " + feature.role + ", but the region " + roi->name + " is not wanted there (inputs.rois." + roi->name + ".of).");
    if (feature.kind == "radiomic" && !manifest.extraction_file.contains(feature.role))
      return refuse(here + " is measured on " + feature.role + ", which has no extraction file.");
  }
  for (const auto& [id, rule] : manifest.missing_by_feature)
    if (std::none_of(manifest.features.begin(), manifest.features.end(), [&, wanted = id](const auto& f) { return f.id == wanted; })) {
      std::vector<std::string> ids;
      for (const PackageFeature& feature : manifest.features) ids.push_back(feature.id);
      return refuse("missing names '" + id.substr(0, 128) + "', which is not in features.csv." + did_you_mean(id, ids));
    }
  return {};
}

Status read_extraction(PackageManifest& manifest, const PackageFiles& files) {
  for (const auto& [role, path] : manifest.extraction_file) {
    if (std::none_of(manifest.sequences.begin(), manifest.sequences.end(), [&, wanted = role](const auto& s) { return s.role == wanted; }))
      return refuse("extraction names the role '" + role.substr(0, 32) + "', which inputs.sequences does not list.");
    const std::string* text = files.find(path);
    if (text == nullptr) return refuse("extraction." + role + " names the file " + path.substr(0, 128) + ", which the package does not hold.");
    if (text->size() > (std::size_t{256} << 10U)) return refuse("The extraction file " + path + " is larger than 256 KiB.");
    manifest.extraction[role] = *text;
  }
  return {};
}

// The network gives here what it gave where the package was made: values of some of its features for a ramp.
Status check_network(const PackageManifest& manifest, const RequiredNetwork& required, const DeepNetwork& network, const PackageFiles& files) {
  if (required.check_file.empty()) return {};
  const std::string* csv = files.find(required.check_file);
  if (csv == nullptr) return refuse("deep names the check " + required.check_file.substr(0, 128) + ", which the package does not hold.");
  const auto table = read_table(*csv, required.check_file, 100'000, 2);
  if (!table) return fail(table.error());
  if (table->columns != std::vector<std::string>{"feature", "value"} || table->rows.empty()) return refuse(required.check_file + " must have the columns feature and value, and rows.");
  for (const auto& row : table->rows) {
    const auto position = required.position_of(row[0]);
    const auto expected = parse_number(row[1]);
    if (!position || *position >= network.length() || !expected) return refuse(required.check_file + " has the row '" + row[0].substr(0, 64) + "', which is no value of the network " + required.file + ".");
    const double got = network.ramp_output()[*position];
    if (!(std::abs(got - *expected) <= manifest.deep_tolerance * std::max(1.0, std::abs(*expected))))
      return fail(ErrorCode::selftest_mismatch, "admit_package",
                  "The network " + required.file + " gives " + print_number(got) + " for " + row[0] + " of the ramp, but " + required.check_file + " expects " + print_number(*expected) +
                      ": it computes something else here than where the package was made.");
  }
  return {};
}

// Every network that the manifest names, tried once; every deep feature lies within its network's output.
Result<std::vector<DeepNetwork>> read_networks(const PackageManifest& manifest, const PackageFiles& files) {
  std::vector<DeepNetwork> networks;
  for (const RequiredNetwork& required : manifest.networks) {
    const std::string* bytes = files.find(required.file);
    if (bytes == nullptr) return refuse("deep names the network " + required.file.substr(0, 128) + ", which the package does not hold.");
    auto network = DeepNetwork::prepare(*bytes, required.file, required.settings);
    if (!network) return fail(network.error());
    if (auto status = check_network(manifest, required, *network, files); !status) return fail(status.error());
    networks.push_back(std::move(*network));
  }
  for (const PackageFeature& feature : manifest.features) {
    const auto n = manifest.network_of(feature);
    if (!n) continue;
    const RequiredNetwork& required = manifest.networks[*n];
    if (const auto position = required.position_of(feature.feature); *position >= networks[*n].length())
      return refuse("features.csv: " + feature.id + " lies beyond the network " + required.file + ", which gives " + std::to_string(networks[*n].length()) + " values (" + required.name + "_" +
                    std::to_string(required.settings.first_index) + " to " + required.name + "_" + std::to_string(networks[*n].length() - 1 + static_cast<std::size_t>(required.settings.first_index)) + ").");
  }
  return networks;
}

Status read_performance(PackageManifest& manifest, const PackageFiles& files) {
  if (manifest.performance_file.empty()) return {};
  const std::string* text = files.find(manifest.performance_file);
  if (text == nullptr) return refuse("performance names the file " + manifest.performance_file.substr(0, 128) + ", which the package does not hold.");
  if (text->size() > (std::size_t{1} << 20U)) return refuse("The file " + manifest.performance_file + " is larger than 1 MiB.");
  const auto document = parse_json_strictly(*text, manifest.performance_file);
  if (!document) return fail(document.error());
  if (!document->is_object()) return refuse(manifest.performance_file + " must hold one JSON object.");
  const auto summary = document->find("summary");
  if (summary == document->end()) return {};  // nothing to show; the file is for people then
  if (!summary->is_string() || summary->get_ref<const std::string&>().size() > 400)
    return refuse(manifest.performance_file + ": 'summary' must be one line of at most 400 characters.");
  manifest.performance = summary->get<std::string>();
  return {};
}

}  // namespace

Result<ModelPackage> ModelPackage::load(const std::filesystem::path& directory) {
  const auto files = read_package_files(directory);
  if (!files) return fail(files.error());
  return admit(*files);
}

Result<ModelPackage> ModelPackage::admit(const PackageFiles& files) {
  const std::string* text = files.find("manifest.yaml");
  if (text == nullptr) return refuse("The package has no manifest.yaml.");
  auto manifest = read_manifest(*text);
  if (!manifest) return fail(manifest.error());
  if (const Status status = check_signature(files, manifest->key_id); !status) return fail(status.error());
  const std::string* features = files.find(manifest->features_file);
  if (features == nullptr) return refuse("features names the file " + manifest->features_file.substr(0, 128) + ", which the package does not hold.");
  auto rows = read_package_features(*features);
  if (!rows) return fail(rows.error());
  manifest->features = std::move(*rows);
  if (const Status status = read_extraction(*manifest, files); !status) return fail(status.error());
  if (const Status status = read_performance(*manifest, files); !status) return fail(status.error());
  if (const Status status = check_features(*manifest); !status) return fail(status.error());
  auto networks = read_networks(*manifest, files);
  if (!networks) return fail(networks.error());
  auto chain = StageChain::build(*manifest, files.content);
  if (!chain) return fail(chain.error());
  if (chain->needs_site() && std::any_of(manifest->features.begin(), manifest->features.end(), [](const auto& feature) { return feature.id == "site"; }))
    return refuse("features.csv names a feature 'site', which is the column of the site in tables of a package that harmonises.");
  if (manifest->site && manifest->site->required && !chain->needs_site()) return refuse("inputs.site asks for the site, which only harmonisation needs, and no stage is of the type combat.");
  let_imputed_pass(*manifest, *chain);

  auto content = std::make_shared<Content>();
  std::vector<std::string> ids;
  for (std::size_t s = 0; s < chain->size(); ++s) ids.push_back(chain->id(s));
  if (const std::string& file = manifest->guard.distance_file; !file.empty()) {
    const std::string* json = files.find(file);
    if (json == nullptr) return refuse("uncertainty.distance names the file " + file.substr(0, 128) + ", which the package does not hold.");
    auto distance = TrainingDistance::read(*json, file.substr(0, 128));
    if (!distance) return fail(distance.error());
    std::vector<std::string> names;
    if (distance->of == "features") {
      for (const PackageFeature& feature : manifest->features) names.push_back(feature.id);
    } else {
      content->distance_stage = chain->find(distance->of);
      if (content->distance_stage < 0 || chain->is_learner(static_cast<std::size_t>(content->distance_stage))) {
        ids.push_back("features");
        return refuse(file.substr(0, 128) + ": 'of' is '" + distance->of.substr(0, 64) + "', which is neither features nor a stage that scales or harmonises." + did_you_mean(distance->of, ids));
      }
      names = chain->value_names(static_cast<std::size_t>(content->distance_stage));
    }
    for (const std::string& feature : distance->features) {
      const auto at = std::find(names.begin(), names.end(), feature);
      if (at == names.end()) return refuse(file.substr(0, 128) + " names '" + feature.substr(0, 256) + "', which is no value of " + distance->of + "." + did_you_mean(feature, names));
      content->distance_values.push_back(static_cast<std::size_t>(at - names.begin()));
    }
    content->distance = std::move(*distance);
  }
  for (OutputSpec& output : manifest->outputs) {
    const int stage = chain->find(output.from);
    if (stage < 0 || !chain->is_learner(static_cast<std::size_t>(stage)))
      return refuse("The output '" + output.name + "' comes from '" + output.from + "', which is not a learner among the stages." + did_you_mean(output.from, ids));
    content->stage_of_output.push_back(static_cast<std::size_t>(stage));
    const bool probability = output.horizon || is_probability(chain->learner(static_cast<std::size_t>(stage)).link());
    if (output.unit.empty()) output.unit = probability ? "%" : "1";
    if (output.decimals < 0) output.decimals = output.unit == "%" ? 1 : 3;
    const bool is_cox = std::holds_alternative<CoxModel>(chain->learner(static_cast<std::size_t>(stage)).model);
    const std::string& stage_unit = manifest->stages[static_cast<std::size_t>(stage)].time_unit;
    if (!output.time_unit.empty() && !is_cox) return refuse("The output '" + output.name + "' states a time_unit, but the stage " + output.from + " is no cox model.");
    if (!output.time_unit.empty() && !stage_unit.empty() && output.time_unit != stage_unit)
      return refuse("The output '" + output.name + "' gives its time in the unit " + output.time_unit + ", but the stage " + output.from + " has a baseline in the unit " + stage_unit + ".");
    if (output.time_unit.empty()) output.time_unit = stage_unit;
    for (const OutputSpec& other : std::span(manifest->outputs.data(), &output))
      if (other.from == output.from && !other.time_unit.empty() && !output.time_unit.empty() && other.time_unit != output.time_unit)
        return refuse("The outputs '" + output.name + "' and '" + other.name + "' give the time of one baseline in different units.");
    if (output.horizon && !is_cox) return refuse("The output '" + output.name + "' asks for survival at a horizon, but the stage " + output.from + " is no cox model.");
    if (output.both_classes && ((chain->learner(static_cast<std::size_t>(stage)).link() != Link::logistic && chain->learner(static_cast<std::size_t>(stage)).link() != Link::own) || chain->learner(static_cast<std::size_t>(stage)).outputs() != 1))
      return refuse("The output '" + output.name + "' asks for both classes, but the stage " + output.from + " is not the probability of one of two classes.");
    if (output.unit == "%" && !probability)
      return refuse("The output '" + output.name + "' is given in %, but the stage " + output.from + " is not a probability (link identity).");
  }
  for (const ThresholdSpec& threshold : manifest->thresholds) {
    const int stage = chain->find(threshold.on);
    if (stage < 0 || !chain->is_learner(static_cast<std::size_t>(stage)))
      return refuse("A threshold stands on '" + threshold.on + "', which is not a learner among the stages." + did_you_mean(threshold.on, ids));
    if (is_probability(chain->learner(static_cast<std::size_t>(stage)).link()) && !(threshold.value >= 0 && threshold.value <= 1))
      return refuse("The threshold on '" + threshold.on + "' is not a probability of 0 to 1.");
  }
  const std::string* selftest = files.find(manifest->selftest_file);
  if (selftest == nullptr) return refuse("selftest names the file " + manifest->selftest_file.substr(0, 128) + ", which the package does not hold.");
  auto report = run_selftest(*manifest, *chain, *selftest);
  if (!report) return fail(report.error());
  content->manifest = std::move(*manifest);
  content->sha256 = files.sums_sha256;
  content->networks = std::move(*networks);
  content->chain = std::move(*chain);
  content->selftest = *report;
  return ModelPackage(std::move(content));
}

const PackageManifest& ModelPackage::manifest() const { return content_->manifest; }
const std::string& ModelPackage::sha256() const { return content_->sha256; }
std::size_t ModelPackage::selftest_rows() const { return content_->selftest.rows; }
double ModelPackage::selftest_deviation() const { return content_->selftest.largest_deviation; }

const std::vector<DeepNetwork>& ModelPackage::networks() const { return content_->networks; }

std::vector<std::string> ModelPackage::stage_summary() const {
  std::vector<std::string> lines;
  for (std::size_t s = 0; s < content_->chain.size(); ++s) {
    const StageSpec& spec = content_->manifest.stages[s];
    std::string line = spec.id + ": " + spec.type;
    if (content_->chain.is_learner(s)) {
      const Learner& learner = content_->chain.learner(s);
      line += ", " + std::to_string(learner.features.size()) + " inputs";
      if (const auto* trees = std::get_if<TreeEnsemble>(&learner.model)) line += ", " + std::to_string(trees->trees.size()) + " trees";
      if (const auto* graph = std::get_if<OnnxModel>(&learner.model)) line += ", " + graph->summary();
      line += ", link " + std::string(to_string(learner.link()));
      line += content_->chain.is_explained(s) ? ", explained by " + content_->chain.method(s) : ", not explained";
    } else {
      line += ", " + std::to_string(content_->chain.value_names(s).size()) + " inputs";
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

std::size_t ModelPackage::classes_of(const OutputSpec& output) const {
  return output.both_classes ? 2 : content_->chain.learner(static_cast<std::size_t>(content_->chain.find(output.from))).outputs();
}

std::vector<std::string> ModelPackage::explained_by(const OutputSpec& output) const {
  const auto stage = static_cast<std::size_t>(content_->chain.find(output.from));
  return content_->chain.contribution_names(stage, content_->manifest);
}

bool ModelPackage::needs_site() const { return content_->chain.needs_site(); }
std::vector<std::string> ModelPackage::site_names() const { return content_->chain.site_names(); }

std::vector<std::string> ModelPackage::harmonised_roles() const {
  std::vector<std::string> roles;
  const StageChain& chain = content_->chain;
  for (std::size_t s = 0; s < chain.size(); ++s) {
    if (chain.combat(s) == nullptr) continue;
    for (const int f : chain.features_in(s)) {
      if (f < 0) continue;
      const std::string& role = content_->manifest.features[static_cast<std::size_t>(f)].role;
      if (!role.empty() && std::find(roles.begin(), roles.end(), role) == roles.end()) roles.push_back(role);
    }
  }
  return roles;
}

Result<CaseSite> ModelPackage::site_of(const PredictionContext& context) const {
  const StageChain& chain = content_->chain;
  if (!chain.needs_site() || !context.site.name.empty() || context.series.empty()) return context.site;
  CaseSite result;
  std::set<std::string> names;
  std::string unknown;
  bool refused = false, silent = true;
  for (std::size_t s = 0; s < chain.size(); ++s) {
    const CombatParameters* combat = chain.combat(s);
    if (combat == nullptr) continue;
    refused = refused || combat->unknown_site == UnknownSite::refuse;
    for (const std::string& role : harmonised_roles()) {
      const auto series = context.series.find(role);
      if (series == context.series.end()) continue;  // its features are missing, which is said elsewhere
      const AcquisitionFacts& facts = series->second.acquisition;
      silent = silent && facts.manufacturer.empty() && facts.manufacturer_model_name.empty() && !facts.field_strength_t;
      const auto site = processing::site_of(*combat, facts);
      if (site)
        names.insert(*site);
      else if (site.error().code == ErrorCode::not_found)
        unknown = site.error().message;
      else
        return fail(site.error());
    }
  }
  if (silent && content_->manifest.site && content_->manifest.site->required)
    return fail(ErrorCode::missing_value, "site_of", "The model " + content_->manifest.id + " harmonises its features and needs the site of the study, but the headers of its series name neither manufacturer, model nor field strength.");
  if (names.size() == 1 && unknown.empty()) return CaseSite{*names.begin(), {}};
  if (unknown.empty())
    result.note = "The series of this study come from different sites (" + joined({names.begin(), names.end()}) + "), and ComBat knows one site a case.";
  else
    result.note = unknown;
  if (!refused) return result;
  return fail(ErrorCode::outside_training_range, "site_of", result.note + " The model " + content_->manifest.id + " gives no prediction for it.");
}

Result<std::vector<OutputScore>> ModelPackage::score(const std::map<std::string, double>& inputs, bool with_explanations, const CaseSite& site) const {
  auto run = this->run(inputs, with_explanations, site);
  if (!run) return fail(run.error());
  return std::move(run->outputs);
}

Result<ModelPackage::Run> ModelPackage::run(const std::map<std::string, double>& inputs, bool with_explanations, const CaseSite& site) const {
  const PackageManifest& manifest = content_->manifest;
  auto row = admit_row(manifest, inputs);
  if (!row) return fail(row.error());
  if (const Status status = check_site(manifest, content_->chain, site.name.empty() ? site.note : site.name); !status) return fail(status.error());
  auto scores = content_->chain.run(*row, site.name);
  if (!scores) return fail(scores.error());
  std::vector<OutputScore> outputs;
  for (std::size_t o = 0; o < manifest.outputs.size(); ++o) {
    const std::size_t stage = content_->stage_of_output[o];
    OutputScore output{manifest.outputs[o].name, (*scores)[stage].values, (*scores)[stage].margins, {}, {}};
    if (manifest.outputs[o].horizon)
      output.values = {survival(std::get<CoxModel>(content_->chain.learner(stage).model), output.margins.front(), *manifest.outputs[o].horizon)};
    for (std::size_t c = 0; with_explanations && content_->chain.is_explained(stage) && c < (*scores)[stage].values.size(); ++c) {
      const auto explained = content_->chain.explain(stage, c, *row, *scores);
      Explanation explanation;
      explanation.space = "margin";
      // What does not add up, or cannot be told, is not shown: no method, no contributions.
      if (explained) {
        explanation.method = explained->method;
        explanation.base = explained->base;
        explanation.output = explained->margin;
        for (const StageContribution& part : explained->contributions) {
          if (part.feature < 0) {
            explanation.contributions.push_back({part.name, part.name, part.value, "1", part.contribution});
            continue;
          }
          const PackageFeature& feature = manifest.features[static_cast<std::size_t>(part.feature)];
          // What a deep feature is depends on its network: the label names it.
          const auto network = manifest.network_of(feature);
          const std::string label = label_of(feature) + (network ? " of " + content_->networks[*network].label().substr(8) : "");
          explanation.contributions.push_back({feature.id, label, part.value, feature.unit, part.contribution});
        }
      }
      output.explanations.push_back(std::move(explanation));
      if (!explained) output.withheld = explained.error().message;
    }
    if (manifest.outputs[o].both_classes) add_class_0(output, content_->chain.learner(stage).margin_is_share());
    outputs.push_back(std::move(output));
  }
  return Run{std::move(*row), std::move(*scores), std::move(outputs)};
}

Result<std::optional<double>> ModelPackage::squared_distance(const std::map<std::string, double>& inputs, const CaseSite& site) const {
  if (!content_->distance) return std::optional<double>{};
  const auto row = admit_row(content_->manifest, inputs);
  if (!row) return fail(row.error());
  const std::vector<double>* values = &*row;
  std::vector<StageScore> scores;
  if (content_->distance_stage >= 0) {
    auto run = content_->chain.run(*row, site.name);
    if (!run) return fail(run.error());
    scores = std::move(*run);
    values = &scores[static_cast<std::size_t>(content_->distance_stage)].values;
  }
  std::vector<double> selected;
  for (const std::size_t at : content_->distance_values) {
    if (std::isnan((*values)[at])) return std::optional<double>{};
    selected.push_back((*values)[at]);
  }
  return std::optional<double>(content_->distance->squared(selected));
}

Result<std::vector<Prediction>> ModelPackage::predict(const std::map<std::string, double>& inputs, const PredictionContext& context) const {
  const PackageManifest& manifest = content_->manifest;
  const auto site = site_of(context);
  if (!site) return fail(site.error());
  auto run = this->run(inputs, true, *site);
  if (!run) return fail(run.error());
  std::vector<OutputScore>& scores = run->outputs;

  Applicability applicability;
  std::map<std::string, double> harmonised;
  const std::vector<double> compared = content_->chain.on_training_scale(run->row, run->stages);
  for (std::size_t f = 0; f < manifest.features.size(); ++f)
    if (compared[f] != run->row[f] && !std::isnan(compared[f])) harmonised[manifest.features[f].id] = compared[f];
  applicability.flags = applicability_flags(manifest, inputs, context, harmonised);
  applicability.inside = static_cast<int>(applicability.flags.size()) <= manifest.guard.max_flagged;
  bool withhold = !applicability.inside && manifest.guard.withhold;
  std::string why = std::to_string(applicability.flags.size()) + " of its properties outside the training data or not known, " + std::to_string(manifest.guard.max_flagged) + " allowed";
  if (content_->distance) {
    const auto squared = squared_distance(inputs, *site);
    if (!squared) return fail(squared.error());
    const TrainingDistance& distance = *content_->distance;
    // The features may each lie in their range and still be a combination that training never saw. One such flag is enough.
    if (!*squared || **squared > distance.limit) {
      std::string sentence = *squared ? "The features together lie far from the training data: squared Mahalanobis distance " + (std::isfinite(**squared) ? short_number(**squared) : "beyond measure") +
                                            ", limit " + short_number(distance.limit)
                                      : std::string("The distance of the features from the training data is not known, because a value is missing; limit ") + short_number(distance.limit);
      if (distance.quantile) sentence += " (the " + short_number(100 * *distance.quantile) + " % quantile of the training data)";
      applicability.flags.push_back(sentence + ".");
      applicability.inside = false;
      if (manifest.guard.distance_withhold && !withhold) why = "its features together are too far from it";
      withhold = withhold || manifest.guard.distance_withhold;
    }
  }
  if (withhold) {
    std::string all;
    for (const std::string& flag : applicability.flags) all += " " + flag;
    return fail(ErrorCode::outside_training_range, "predict",
                "The model " + manifest.id + " withholds its prediction, because this case is unlike its training data (" + why + ")." + all);
  }

  for (std::string& sentence : stand_ins(manifest, content_->chain, run->row, *site)) applicability.flags.push_back(std::move(sentence));
  if (content_->chain.needs_site()) {
    const std::vector<std::string> names = content_->chain.site_names();
    applicability.inside = applicability.inside && std::find(names.begin(), names.end(), site->name) != names.end();
  }

  std::vector<Prediction> predictions;
  for (std::size_t o = 0; o < scores.size(); ++o) {
    const OutputSpec& spec = manifest.outputs[o];
    OutputScore& score = scores[o];
    for (std::size_t c = 0; c < score.values.size(); ++c) {
      Prediction prediction;
      prediction.package = manifest.id;
      prediction.version = manifest.version;
      prediction.status = manifest.status;
      prediction.title = manifest.title;
      prediction.output = score.values.size() == 1 ? spec.name : spec.name + " (class " + std::to_string(c) + ")";
      prediction.endpoint = spec.endpoint;
      prediction.unit = spec.unit;
      prediction.decimals = spec.decimals;
      const double factor = spec.unit == "%" ? 100 : 1;
      prediction.value = factor * score.values[c];
      prediction.margin = score.margins[c];
      prediction.performance = manifest.performance;
      prediction.intended_use = manifest.intended_use;
      prediction.applicability = applicability;
      if (c < score.explanations.size()) prediction.explanation = std::move(score.explanations[c]);
      const CoxModel* cox = std::get_if<CoxModel>(&content_->chain.learner(content_->stage_of_output[o]).model);
      if (cox != nullptr) prediction.survival_curve = curve_of(manifest, spec, *cox, score.margins[c]);
      // A threshold stands in the stage's own space: of a cox model that is the log hazard, also where the output is a survival.
      const double reaches = cox != nullptr ? score.margins[c] : score.values[c];
      const auto shown = [&](double threshold) { return factor * (spec.horizon ? survival(*cox, threshold, *spec.horizon) : threshold); };
      // Ascending: the highest threshold that is reached names the group, below the lowest one its `otherwise` does.
      const ThresholdSpec* reached = nullptr;
      const ThresholdSpec* lowest = nullptr;
      for (const ThresholdSpec& threshold : manifest.thresholds) {
        if (threshold.on != spec.from || score.values.size() != 1) continue;
        if (lowest == nullptr) lowest = &threshold;
        if (reaches >= threshold.value) reached = &threshold;
      }
      if (reached != nullptr) {
        prediction.threshold = shown(reached->value);
        prediction.group = reached->label;
        prediction.risk = reached->risk;
      } else if (lowest != nullptr) {
        prediction.threshold = shown(lowest->value);
        prediction.group = lowest->otherwise;
        prediction.risk = lowest->otherwise_risk;
      }
      predictions.push_back(std::move(prediction));
    }
  }
  return predictions;
}

}  // namespace choana::processing
