#include "processing/prediction/stage_chain.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iterator>
#include <limits>
#include <optional>
#include <set>
#include <utility>

#include "core/near_match.h"
#include "processing/prediction/readers/combat_reader.h"
#include "processing/prediction/readers/model_reader.h"
#include "processing/prediction/readers/table.h"
#include "processing/prediction/shapley/linear_shapley.h"
#include "processing/prediction/shapley/tree_shapley.h"

namespace choana::processing {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

constexpr std::size_t background_rows_max = 100;
constexpr std::size_t onnx_inputs_quick = 8;

tl::unexpected<Error> refuse(const std::string& sentence) { return fail(ErrorCode::invalid_package, "build_stages", sentence); }

// The learner as a linear model of its scaled inputs, where it is one.
std::optional<LinearModel> linear_form(const Learner& learner) {
  if (const auto* linear = std::get_if<LinearModel>(&learner.model)) return *linear;
  if (const auto* cox = std::get_if<CoxModel>(&learner.model)) {
    double at_zero = 0;
    for (std::size_t i = 0; i < cox->coefficients.size(); ++i) at_zero -= cox->coefficients[i] * cox->centre[i];
    return LinearModel{{cox->coefficients}, {at_zero}, Link::identity};
  }
  if (const auto* calibration = std::get_if<ScoreCalibration>(&learner.model)) {
    if (calibration->calibrator.isotonic) return LinearModel{{{1.0}}, {0.0}, Link::identity};
    return LinearModel{{{-calibration->calibrator.a}}, {-calibration->calibrator.b}, Link::identity};
  }
  const auto* machine = std::get_if<SupportVectorMachine>(&learner.model);
  if (machine == nullptr || machine->kernel != SupportVectorMachine::Kernel::linear) return std::nullopt;
  std::vector<double> coefficients(learner.features.size(), 0.0);
  for (std::size_t v = 0; v < machine->support_vectors.size(); ++v)
    for (std::size_t i = 0; i < coefficients.size(); ++i) coefficients[i] += machine->dual_coefficients[v] * machine->support_vectors[v][i];
  return LinearModel{{std::move(coefficients)}, {machine->intercept}, Link::identity};
}

// The margin as a sum of products of one-dimensional Gaussians, where it is one.
std::optional<ProductKernel> kernel_form(const Learner& learner) {
  const auto* machine = std::get_if<SupportVectorMachine>(&learner.model);
  if (machine != nullptr && machine->kernel == SupportVectorMachine::Kernel::rbf)
    return ProductKernel{std::vector<double>(learner.features.size(), machine->gamma), machine->support_vectors, machine->dual_coefficients, machine->intercept};
  const auto* process = std::get_if<GaussianProcess>(&learner.model);
  if (process == nullptr) return std::nullopt;
  ProductKernel kernel{{}, process->rows, process->y_minus_pi, 0};
  for (const double scale : process->length_scales) kernel.rates.push_back(0.5 / (scale * scale));
  for (double& weight : kernel.weights) weight *= process->constant;
  return kernel;
}

// Rows of background.csv: the features of the package, whatever their order in the file, and the sites where it has that column.
struct Background {
  std::vector<std::vector<double>> rows;
  std::vector<std::string> sites;
};

Result<Background> read_background(const PackageManifest& manifest, const std::map<std::string, std::string>& files) {
  Background background;
  if (manifest.background_file.empty()) return background;
  const auto file = files.find(manifest.background_file);
  if (file == files.end()) return refuse("background names the file " + manifest.background_file.substr(0, 128) + ", which the package does not hold.");
  const auto table = read_table(file->second, manifest.background_file, background_rows_max);
  if (!table) return fail(table.error().code == ErrorCode::limit_exceeded ? ErrorCode::limit_exceeded : ErrorCode::invalid_package, "read_background", table.error().message);
  if (table->rows.empty()) return refuse(manifest.background_file + " has no row.");
  const auto site = table->find("site");
  for (const auto& cells : table->rows) {
    background.rows.emplace_back();
    if (site) background.sites.push_back(cells[*site]);
    for (const PackageFeature& feature : manifest.features) {
      const auto column = table->find(feature.id);
      if (!column) return refuse(manifest.background_file + " lacks the feature " + feature.id + "." + did_you_mean(feature.id, table->columns));
      const std::string& cell = cells[*column];
      const auto number = parse_number(cell);
      if (!number && !cell.empty()) return refuse(manifest.background_file + ", row " + std::to_string(background.rows.size()) + ": " + feature.id + " is not a finite number.");
      background.rows.back().push_back(number.value_or(nan));
    }
  }
  return background;
}

bool is_group(const std::string& word) {
  return word == "radiomic" || word == "clinical" || word == "deep" || word == "habitat" || word == "table" || word == "features";
}

}  // namespace

std::vector<std::string> StageChain::value_names(std::size_t stage) const {
  std::vector<std::string> names;
  const Stage& s = stages_[stage];
  if (!s.is_learner) {
    for (const Column& column : s.inputs) names.push_back(column.name);
  } else if (s.learner.outputs() == 1) {
    names.emplace_back();
  } else {
    for (std::size_t c = 0; c < s.learner.outputs(); ++c) names.push_back(std::to_string(c));
  }
  return names;
}

int StageChain::find(const std::string& id) const {
  for (std::size_t s = 0; s < stages_.size(); ++s)
    if (stages_[s].id == id) return static_cast<int>(s);
  return -1;
}

// Back through scalers, which are affine, to what they scale.
StageChain::Source StageChain::source_of(const Column& column) const {
  Source source{column, 1, 0};
  while (source.column.stage >= 0) {
    const Stage& stage = stages_[static_cast<std::size_t>(source.column.stage)];
    const auto* affine = std::get_if<AffineMap>(&stage.map);
    if (stage.is_learner || affine == nullptr || affine->clip) break;
    const auto i = static_cast<std::size_t>(source.column.index);
    source.offset -= source.slope * affine->shift[i] / affine->scale[i];
    source.slope /= affine->scale[i];
    source.column = Column(stage.inputs[i]);
  }
  return source;
}

bool StageChain::opens(const Column& scaled) const {
  const Column column = source_of(scaled).column;
  if (column.stage < 0) return false;
  const Stage& stage = stages_[static_cast<std::size_t>(column.stage)];
  return stage.is_learner && (column.margin || stage.learner.link() == Link::identity) && !stage.method.empty();
}

// The feature that a column shows, scaled or not; -1 if it is a learner's output.
int StageChain::root_feature(const Column& column) const {
  if (column.stage < 0) return column.index;
  const Stage& stage = stages_[static_cast<std::size_t>(column.stage)];
  return stage.is_learner ? -1 : root_feature(stage.inputs[static_cast<std::size_t>(column.index)]);
}

// The feature whose figures in features.csv hold for a column: the feature itself, also where it was harmonised or imputed; -1 where it was scaled.
int StageChain::training_feature(const Column& column) const {
  if (column.stage < 0) return column.index;
  const Stage& stage = stages_[static_cast<std::size_t>(column.stage)];
  if (stage.is_learner || std::holds_alternative<AffineMap>(stage.map)) return -1;
  return training_feature(stage.inputs[static_cast<std::size_t>(column.index)]);
}

void StageChain::collect_dependencies(const Column& column, std::set<int>& features) const {
  if (column.stage < 0) {
    features.insert(column.index);
    return;
  }
  const Stage& stage = stages_[static_cast<std::size_t>(column.stage)];
  if (stage.is_learner) {
    features.insert(stage.depends_on.begin(), stage.depends_on.end());
    return;
  }
  collect_dependencies(stage.inputs[static_cast<std::size_t>(column.index)], features);
  for (const Column& covariate : stage.covariates) collect_dependencies(covariate, features);
}

bool StageChain::needs_site() const {
  for (std::size_t s = 0; s < stages_.size(); ++s)
    if (combat(s) != nullptr) return true;
  return false;
}

std::vector<std::string> StageChain::site_names() const {
  std::vector<std::string> names;
  bool first = true;
  for (std::size_t s = 0; s < stages_.size(); ++s) {
    const CombatParameters* parameters = combat(s);
    if (parameters == nullptr) continue;
    if (first)
      for (const CombatSite& site : parameters->sites) names.push_back(site.name);
    else
      std::erase_if(names, [&](const std::string& name) { return parameters->find(name) == nullptr; });
    first = false;
  }
  return names;
}

std::vector<int> StageChain::features_in(std::size_t stage) const {
  std::vector<int> features;
  for (const Column& column : stages_[stage].inputs) features.push_back(root_feature(column));
  return features;
}

std::vector<double> StageChain::on_training_scale(const std::vector<double>& features, const std::vector<StageScore>& scores) const {
  std::vector<double> values = features;
  for (std::size_t s = 0; s < stages_.size(); ++s) {
    if (combat(s) == nullptr) continue;
    for (std::size_t i = 0; i < stages_[s].inputs.size(); ++i)
      if (const int feature = training_feature(stages_[s].inputs[i]); feature >= 0 && !std::isnan(features[static_cast<std::size_t>(feature)]))
        values[static_cast<std::size_t>(feature)] = scores[s].values[i];
  }
  return values;
}

double StageChain::value_of(const Column& column, const std::vector<double>& features, const std::vector<StageScore>& scores) const {
  const auto index = static_cast<std::size_t>(column.index);
  if (column.stage < 0) return features[index];
  const StageScore& score = scores[static_cast<std::size_t>(column.stage)];
  return column.margin ? score.margins[index] : score.values[index];
}

// The columns that a word of `in` stands for.
Result<std::vector<StageChain::Column>> StageChain::resolve(const PackageManifest& manifest, const std::string& word, const std::string& here) const {
  std::vector<Column> columns;
  if (is_group(word)) {
    for (std::size_t f = 0; f < manifest.features.size(); ++f)
      if (word == "features" || manifest.features[f].kind == word) columns.push_back({-1, static_cast<int>(f), false, manifest.features[f].id});
    if (columns.empty()) return refuse(here + " takes '" + word + "', and features.csv has no such feature.");
    return columns;
  }
  bool exact_feature = false;
  for (std::size_t f = 0; f < manifest.features.size(); ++f)
    if (manifest.features[f].id == word) {
      columns.push_back({-1, static_cast<int>(f), false, word});
      exact_feature = true;
    }
  for (std::size_t s = 0; s < stages_.size(); ++s) {
    const Stage& earlier = stages_[s];
    const std::vector<std::string> names = value_names(s);
    if (word == earlier.id || (earlier.is_learner && word == earlier.id + ".margin")) {
      const bool margin = word != earlier.id;
      for (std::size_t v = 0; v < names.size(); ++v) {
        const std::string name = earlier.is_learner ? word + (names[v].empty() ? "" : "." + names[v]) : names[v];
        columns.push_back({static_cast<int>(s), static_cast<int>(v), margin, name});
      }
      continue;
    }
    for (std::size_t v = 0; v < names.size(); ++v) {
      if (names[v].empty()) continue;
      if (word == earlier.id + "." + names[v])
        columns.push_back({static_cast<int>(s), static_cast<int>(v), false, earlier.is_learner ? word : names[v]});
      else if (earlier.is_learner && word == earlier.id + ".margin." + names[v])
        columns.push_back({static_cast<int>(s), static_cast<int>(v), true, word});
    }
  }
  if (columns.empty()) {
    std::vector<std::string> known;
    for (const PackageFeature& feature : manifest.features) known.push_back(feature.id);
    for (const Stage& earlier : stages_) known.push_back(earlier.id);
    return refuse(here + " takes '" + word.substr(0, 128) + "', which is neither a feature nor an earlier stage." + did_you_mean(word, known));
  }
  if (exact_feature && columns.size() > 1) return refuse(here + " takes '" + word.substr(0, 128) + "', which is the name of a feature and of a stage's output.");
  return columns;
}

// Parameters of a stage that is no learner, one of each for every input.
Status StageChain::build_map(const PackageManifest& manifest, const StageSpec& spec, const std::map<std::string, std::string>& files, const StageChain& before, Stage& stage) {
  const std::string here = "The stage '" + spec.id + "'";
  const std::size_t count = stage.inputs.size();
  if (spec.type == "combat") {
    if (!manifest.site) return refuse(here + " harmonises, so the manifest must say what tells the site: inputs.site.from.");
    const auto file = files.find(spec.file);
    if (file == files.end()) return refuse(here + " names the file " + spec.file.substr(0, 128) + ", which the package does not hold.");
    auto parameters = read_combat(file->second, spec.file, spec.unknown_site);
    if (!parameters) return fail(parameters.error().code, "build_stages", here + ": " + parameters.error().message);
    if (parameters->features.size() != count) return refuse(here + " takes " + std::to_string(count) + " inputs, and " + spec.file + " lists " + std::to_string(parameters->features.size()) + " features.");
    for (std::size_t i = 0; i < count; ++i)
      if (parameters->features[i] != stage.inputs[i].name)
        return refuse(here + " takes '" + stage.inputs[i].name.substr(0, 128) + "' as input " + std::to_string(i + 1) + ", but " + spec.file + " lists '" + parameters->features[i].substr(0, 128) + "' there.");
    const auto& from = manifest.site->from;
    const auto says = [&](const char* attribute) { return std::find(from.begin(), from.end(), attribute) != from.end(); };
    for (const CombatSite& site : parameters->sites)
      for (const SiteMatch& match : site.matches)
        if ((!match.manufacturer.empty() && !says("Manufacturer")) || (!match.manufacturer_model_name.empty() && !says("ManufacturerModelName")) || (match.field_strength_t && !says("MagneticFieldStrength")))
          return refuse(here + ": the site '" + site.name + "' of " + spec.file + " is matched by an attribute that inputs.site.from does not name.");
    for (const CombatCovariate& covariate : parameters->covariates) {
      auto columns = before.resolve(manifest, covariate.name, here + ", in its covariates,");
      if (!columns) return fail(columns.error());
      if (columns->size() != 1 || is_group(covariate.name)) return refuse(here + " has the covariate '" + covariate.name.substr(0, 128) + "', which is not one value.");
      stage.covariates.push_back(std::move(columns->front()));
    }
    stage.map = std::move(*parameters);
    return {};
  }
  // From features.csv: (name in messages, value of a feature); the figures hold for a feature as measured or as harmonised, not for one that is scaled.
  using Figure = double (*)(const PackageFeature&);
  const auto figures = [&](const std::string& key, Figure figure) -> Result<std::vector<double>> {
    std::vector<double> values;
    if (!spec.from_features) {
      values = spec.params.at(key);
      if (values.size() != count) return refuse(here + " needs one " + key + " for each of its " + std::to_string(count) + " inputs.");
    } else {
      for (const Column& column : stage.inputs) {
        const int feature = before.training_feature(column);
        if (feature < 0) return refuse(here + " takes '" + column.name.substr(0, 128) + "', which is not a feature on its own scale: it must state its parameters itself.");
        values.push_back(figure(manifest.features[static_cast<std::size_t>(feature)]));
      }
    }
    for (std::size_t i = 0; i < count; ++i)
      if (!std::isfinite(values[i])) return refuse(here + " needs a finite " + key + " for " + stage.inputs[i].name + ".");
    return values;
  };
  const auto affine = [&](const std::string& shift, Figure shift_of, const std::string& scale, Figure scale_of, const char* what) -> Status {
    auto first = figures(shift, shift_of);
    if (!first) return fail(first.error());
    auto second = figures(scale, scale_of);
    if (!second) return fail(second.error());
    if (spec.type == "min_max")
      for (std::size_t i = 0; i < count; ++i) (*second)[i] -= (*first)[i];
    for (std::size_t i = 0; i < count; ++i)
      if (!((*second)[i] > 0) || !std::isfinite((*second)[i])) return refuse(here + " needs " + what + " above zero for " + stage.inputs[i].name + ".");
    stage.map = AffineMap{std::move(*first), std::move(*second), spec.clip};
    return {};
  };
  const Figure mean = [](const PackageFeature& f) { return f.train_mean; };
  const Figure sd = [](const PackageFeature& f) { return f.train_sd; };
  const Figure low = [](const PackageFeature& f) { return f.train_min; };
  const Figure high = [](const PackageFeature& f) { return f.train_max; };
  const Figure range = [](const PackageFeature& f) { return f.train_max - f.train_min; };
  if (spec.type == "standard") return affine("mean", mean, "scale", sd, "a training mean and a standard deviation");
  if (spec.type == "mean_range") return affine("mean", mean, "range", range, "a range");
  if (spec.type == "min_max") return affine("min", low, "max", high, "a maximum that lies");
  if (spec.type == "robust") return affine("centre", mean, "scale", sd, "a scale");
  auto values = figures("values", mean);
  if (!values) return fail(values.error());
  stage.map = Imputation{std::move(*values)};
  return {};
}

Result<StageChain::Stage> StageChain::build_stage(const PackageManifest& manifest, const StageSpec& spec,
                                                  const std::map<std::string, std::string>& files, const StageChain& before) {
  Stage stage;
  stage.id = spec.id;
  static const std::set<std::string> maps{"standard", "mean_range", "min_max", "robust", "impute", "combat"};
  stage.is_learner = !maps.contains(spec.type);
  const std::string here = "The stage '" + spec.id + "'";
  for (const std::string& word : spec.in) {
    auto columns = before.resolve(manifest, word, here);
    if (!columns) return fail(columns.error());
    stage.inputs.insert(stage.inputs.end(), std::make_move_iterator(columns->begin()), std::make_move_iterator(columns->end()));
  }
  std::set<std::string> names;
  for (const Column& column : stage.inputs)
    if (!names.insert(column.name).second) return refuse(here + " takes '" + column.name + "' twice.");
  if (!stage.is_learner)
    if (const Status status = build_map(manifest, spec, files, before, stage); !status) return fail(status.error());

  std::set<int> depends;
  for (const Column& column : stage.inputs) before.collect_dependencies(column, depends);
  for (const Column& column : stage.covariates) before.collect_dependencies(column, depends);
  stage.depends_on.assign(depends.begin(), depends.end());
  if (!stage.is_learner) return stage;
  if (spec.type == "calibration") {
    if (stage.inputs.size() != 1) return refuse(here + " calibrates one value, and " + std::to_string(stage.inputs.size()) + " are given.");
    const Column source = before.source_of(stage.inputs.front()).column;
    if (source.stage >= 0 && before.stages_[static_cast<std::size_t>(source.stage)].is_learner && !source.margin &&
        before.stages_[static_cast<std::size_t>(source.stage)].learner.link() != Link::identity) {
      stage.explained_through = source;
      stage.explained_through->margin = true;
    }
    stage.learner.features = {stage.inputs.front().name};
    stage.learner.model = ScoreCalibration{spec.calibrator};
    return stage;
  }

  const auto file = files.find(spec.file);
  if (file == files.end()) return refuse(here + " names the file " + spec.file.substr(0, 128) + ", which the package does not hold.");
  std::vector<std::string> inputs;
  for (const Column& column : stage.inputs) inputs.push_back(column.name);
  auto learner = read_model(spec.format, file->second, spec.file, inputs, spec.iterations, spec.onnx);
  if (!learner) return fail(learner.error().code, "build_stages", here + ": " + learner.error().message);
  stage.learner = std::move(*learner);
  if (stage.learner.kind() != spec.type)
    return refuse(here + " has the type " + spec.type + ", but " + spec.file + " holds a " + std::string(stage.learner.kind()) + ".");
  if (!spec.link.empty() && spec.link != to_string(stage.learner.link()))
    return refuse(here + " has the link " + spec.link + ", but " + spec.file + " says " + std::string(to_string(stage.learner.link())) + ".");
  return stage;
}

// Ways to explain a learner's margin, the best first. What needs background rows is there only where the package has any.
std::vector<std::string> StageChain::methods_for(const Stage& stage) {
  std::vector<std::string> methods;
  const bool has_background = !stage.background.empty();
  if (stage.linear) methods.emplace_back("linear");
  if (const auto* trees = std::get_if<TreeEnsemble>(&stage.learner.model)) {
    if (trees->has_cover) methods.emplace_back("tree_path_dependent");
    if (has_background) methods.emplace_back("tree_interventional");
  }
  if (!has_background) return methods;
  if (stage.kernel) methods.emplace_back("product_kernel");
  if (std::holds_alternative<GaussianNaiveBayes>(stage.learner.model)) methods.emplace_back("additive");
  // A graph takes longer a row than the learners of our own: by itself it is enumerated only where that is quick.
  const bool quick = !std::holds_alternative<OnnxModel>(stage.learner.model) || stage.inputs.size() <= onnx_inputs_quick;
  if (quick && stage.inputs.size() <= enumerated_inputs_max) methods.emplace_back("enumeration");
  methods.emplace_back("permutation");
  if (!quick && stage.inputs.size() <= enumerated_inputs_max) methods.emplace_back("enumeration");
  return methods;
}

Status StageChain::prepare_explanation(const PackageManifest& manifest, Stage& stage) const {
  const auto stated = manifest.explain.find(stage.id);
  const bool asked = stated != manifest.explain.end() && stated->second.method != "none";
  if (stated != manifest.explain.end() && !asked) return {};
  if (std::holds_alternative<ScoreCalibration>(stage.learner.model)) {
    // Explained by the stage that it calibrates, whatever way that is.
    const Column source = source_of(stage.inputs.front()).column;
    const std::string inner = source.stage < 0 ? std::string("linear") : stages_[static_cast<std::size_t>(source.stage)].method;
    if (asked && stated->second.method != "linear" && stated->second.method != inner)
      return refuse("The stage '" + stage.id + "' is explained by the stage that it calibrates (" + (inner.empty() ? "which has no explanation" : inner) + "), not by " + stated->second.method + ".");
    if (stage.explained_through) {
      stage.method = inner;
      return {};
    }
    stage.linear = linear_form(stage.learner);
    return prepare_linear(manifest, stage, asked);
  }
  stage.linear = linear_form(stage.learner);
  stage.kernel = kernel_form(stage.learner);
  for (const auto& row : stage.background) stage.scaled_background.push_back(stage.learner.scaler ? stage.learner.scaler->apply(row) : row);
  // A quadratic form needs no more of the training data than means and deviations: two rows have the same.
  if (stage.background.empty() && std::holds_alternative<GaussianNaiveBayes>(stage.learner.model)) {
    std::vector<double> low, high;
    for (const Column& column : stage.inputs) {
      const int feature = training_feature(column);
      const double mean = feature >= 0 ? train_mean_[static_cast<std::size_t>(feature)] : nan, sd = feature >= 0 ? manifest.features[static_cast<std::size_t>(feature)].train_sd : nan;
      low.push_back(mean - sd);
      high.push_back(mean + sd);
    }
    const auto finite = [](double x) { return std::isfinite(x); };
    if (std::all_of(low.begin(), low.end(), finite) && std::all_of(high.begin(), high.end(), finite)) {
      stage.background = {low, high};
      stage.scaled_background = stage.learner.scaler ? std::vector{stage.learner.scaler->apply(low), stage.learner.scaler->apply(high)} : stage.background;
      stage.method = "additive";
      if (!asked || stated->second.method == "additive") return {};
      stage.method.clear();
      stage.background.clear();
    }
  }
  const std::vector<std::string> methods = methods_for(stage);
  if (asked && std::find(methods.begin(), methods.end(), stated->second.method) == methods.end()) {
    std::string all;
    for (const std::string& method : methods) all += (all.empty() ? "" : ", ") + method;
    return refuse("The stage '" + stage.id + "' (" + std::string(stage.learner.kind()) + ") cannot be explained by " + stated->second.method +
                  (all.empty() ? ": its trees carry no cover, or the package has no background rows." : "; possible are " + all + "."));
  }
  const std::string method = asked ? stated->second.method : methods.empty() ? "" : methods.front();
  if (method != "linear") {
    stage.method = method;
    if (method == "tree_interventional") stage.beside_trees = prepare_background(std::get<TreeEnsemble>(stage.learner.model), stage.scaled_background);
    return {};
  }
  if (const Status status = prepare_linear(manifest, stage, asked); !status) return status;
  return {};
}

Status StageChain::prepare_linear(const PackageManifest& manifest, Stage& stage, bool asked) const {
  const auto stated = manifest.explain.find(stage.id);
  // Training mean of every input. A scaler is affine, so its output at the mean is the mean of its output; harmonised and imputed features have the
  // means that features.csv states.
  std::vector<double> at_mean_features = train_mean_;
  std::vector<StageScore> at_mean(stages_.size());
  for (std::size_t s = 0; s < stages_.size(); ++s) {
    const Stage& earlier = stages_[s];
    if (earlier.is_learner) {
      at_mean[s] = {std::vector<double>(earlier.learner.outputs(), nan), std::vector<double>(earlier.learner.outputs(), nan)};
    } else {
      std::vector<double> row;
      for (const Column& column : earlier.inputs) row.push_back(value_of(column, at_mean_features, at_mean));
      at_mean[s].values = std::holds_alternative<AffineMap>(earlier.map) ? *apply_map(earlier.map, row, {}, {}) : row;
    }
  }
  bool complete = true;
  for (const Column& column : stage.inputs) {
    double mean = value_of(column, at_mean_features, at_mean);
    const bool given = stated != manifest.explain.end() && stated->second.mean.contains(column.name);
    if (given) mean = stated->second.mean.at(column.name);
    if (std::isnan(mean) && !opens(column) && !stage.background.empty()) {
      mean = 0;
      for (const auto& row : stage.background) mean += row[stage.mean.size()] / static_cast<double>(stage.background.size());
    }
    // A mean that is given closes a stage that could be opened: the package wants it shown as one contribution.
    if (std::isnan(mean) && !opens(column)) {
      complete = false;
      if (asked)
        return refuse("The stage '" + stage.id + "' is to be explained, but the training mean of '" + column.name +
                      "' is unknown: state it under explain." + stage.id + ".mean.");
    }
    stage.mean.push_back(mean);
  }
  if (stated != manifest.explain.end())
    for (const auto& [name, mean] : stated->second.mean)
      if (std::find(stage.learner.features.begin(), stage.learner.features.end(), name) == stage.learner.features.end())
        return refuse("explain." + stage.id + ".mean names '" + name.substr(0, 128) + "', which is not an input of that stage." +
                      did_you_mean(name, stage.learner.features));
  if (complete) stage.method = "linear";
  return {};
}

Result<StageChain> StageChain::build(const PackageManifest& manifest, const std::map<std::string, std::string>& files) {
  StageChain chain;
  chain.feature_count_ = manifest.features.size();
  for (const PackageFeature& feature : manifest.features) chain.train_mean_.push_back(feature.train_mean);
  const auto background = read_background(manifest, files);
  if (!background) return fail(background.error());
  std::vector<std::vector<StageScore>> background_scores(background->rows.size());
  for (const StageSpec& spec : manifest.stages) {
    auto stage = build_stage(manifest, spec, files, chain);
    if (!stage) return fail(stage.error());
    for (std::size_t b = 0; b < background->rows.size(); ++b) {
      const std::vector<double>& features = background->rows[b];
      if (std::holds_alternative<CombatParameters>(stage->map) && background->sites.empty())
        return refuse(manifest.background_file + " lacks the column 'site', which the stage " + spec.id + " needs.");
      auto scored = chain.run_stage(*stage, features, background_scores[b], background->sites.empty() ? std::string_view{} : background->sites[b]);
      if (!scored) return refuse("Row " + std::to_string(b + 1) + " of " + manifest.background_file + " cannot be scored by the stage " + spec.id + ": " + scored.error().message);
      if (stage->is_learner) {
        std::vector<double> row;
        for (const Column& column : stage->inputs) row.push_back(chain.value_of(column, features, background_scores[b]));
        stage->background.push_back(std::move(row));
      }
      background_scores[b].push_back(std::move(*scored));
    }
    if (stage->is_learner)
      if (const Status status = chain.prepare_explanation(manifest, *stage); !status) return fail(status.error());
    chain.stages_.push_back(std::move(*stage));
  }
  std::vector<std::string> ids;
  for (const Stage& stage : chain.stages_) ids.push_back(stage.id);
  for (const auto& [id, spec] : manifest.explain)
    if (const int at = chain.find(id); at < 0 || !chain.stages_[static_cast<std::size_t>(at)].is_learner)
      return refuse("explain names '" + id.substr(0, 64) + "', which is not a learner among the stages." + did_you_mean(id, ids));
  return chain;
}

Result<StageScore> StageChain::run_stage(const Stage& stage, const std::vector<double>& features, const std::vector<StageScore>& scores, std::string_view site) const {
  std::vector<double> row, covariates;
  row.reserve(stage.inputs.size());
  for (const Column& column : stage.inputs) row.push_back(value_of(column, features, scores));
  if (stage.is_learner) {
    auto result = score(stage.learner, row);
    if (!result) return fail(result.error());
    if (stage.explained_through) result->margins = {value_of(*stage.explained_through, features, scores)};
    return StageScore{std::move(result->margins), std::move(result->values)};
  }
  for (const Column& column : stage.covariates) covariates.push_back(value_of(column, features, scores));
  auto mapped = apply_map(stage.map, row, site, covariates);
  if (!mapped) return fail(mapped.error());
  return StageScore{{}, std::move(*mapped)};
}

Result<std::vector<StageScore>> StageChain::run(const std::vector<double>& features, std::string_view site) const {
  if (features.size() != feature_count_)
    return fail(ErrorCode::invalid_argument, "predict", "The package takes " + std::to_string(feature_count_) + " features, got " +
                                                            std::to_string(features.size()) + ".");
  std::vector<StageScore> scores;
  scores.reserve(stages_.size());
  for (const Stage& stage : stages_) {
    auto scored = run_stage(stage, features, scores, site);
    if (!scored) return fail(scored.error().code, "predict", "Stage " + stage.id + ": " + scored.error().message);
    scores.push_back(std::move(*scored));
  }
  return scores;
}

void StageChain::collect_contributions(std::size_t index, std::vector<int>& features, std::vector<std::string>& stages) const {
  const Stage& stage = stages_[index];
  if (stage.explained_through) return collect_contributions(static_cast<std::size_t>(stage.explained_through->stage), features, stages);
  const bool is_linear = stage.method == "linear";
  for (std::size_t i = 0; i < stage.inputs.size(); ++i) {
    const Column& column = stage.inputs[i];
    if (const int feature = root_feature(column); feature >= 0)
      features.push_back(feature);
    else if (is_linear && std::isnan(stage.mean[i]))
      collect_contributions(static_cast<std::size_t>(source_of(column).column.stage), features, stages);
    else if (std::find(stages.begin(), stages.end(), column.name) == stages.end())
      stages.push_back(column.name);
  }
}

std::vector<std::string> StageChain::contribution_names(std::size_t stage, const PackageManifest& manifest) const {
  std::vector<std::string> names;
  if (!is_explained(stage)) return names;
  std::vector<int> features;
  std::vector<std::string> stages;
  collect_contributions(stage, features, stages);
  const std::set<int> distinct(features.begin(), features.end());
  for (const int feature : distinct) names.push_back(manifest.features[static_cast<std::size_t>(feature)].id);
  names.insert(names.end(), stages.begin(), stages.end());
  return names;
}

Result<StageExplanation> StageChain::explain(std::size_t stage, std::size_t output, const std::vector<double>& features,
                                             const std::vector<StageScore>& scores) const {
  auto explanation = explain_unchecked(stage, output, features, scores);
  if (!explanation) return explanation;
  Attribution parts{explanation->base, {}};
  for (const StageContribution& c : explanation->contributions) parts.shares.push_back(c.contribution);
  if (!is_additive(parts, explanation->margin))
    return fail(ErrorCode::not_computable, "explain", "The contributions of stage " + stages_[stage].id + " do not add up to its margin and are not shown.");
  return explanation;
}

Result<std::vector<Attribution>> StageChain::attribute(const Stage& stage, const std::vector<double>& row, const std::vector<double>& scaled, std::string& method) {
  if (method == "tree_path_dependent") return explain_trees(std::get<TreeEnsemble>(stage.learner.model), scaled);
  if (method == "tree_interventional") return explain_trees_interventional(std::get<TreeEnsemble>(stage.learner.model), scaled, *stage.beside_trees);
  if (method == "product_kernel") return std::vector<Attribution>{explain_product_kernel(*stage.kernel, scaled, stage.scaled_background)};
  if (method == "additive") return explain_naive_bayes(std::get<GaussianNaiveBayes>(stage.learner.model), scaled, stage.scaled_background);
  if (method == "enumeration") return explain_by_enumeration(stage.learner, row, stage.background);
  auto sampled = explain_by_permutation(stage.learner, row, stage.background);
  if (!sampled) return fail(sampled.error());
  char error[64];
  std::snprintf(error, sizeof error, " (standard error up to %.2g)", sampled->standard_error);
  method += error;
  return std::move(sampled->attributions);
}

Result<StageExplanation> StageChain::explain_unchecked(std::size_t index, std::size_t output, const std::vector<double>& features,
                                                       const std::vector<StageScore>& scores) const {
  const Stage& stage = stages_[index];
  if (stage.method.empty())
    return fail(ErrorCode::not_computable, "explain", "The package has no explanation for the stage " + stage.id + ".");
  if (stage.explained_through)
    return explain_unchecked(static_cast<std::size_t>(stage.explained_through->stage), static_cast<std::size_t>(stage.explained_through->index), features, scores);
  StageExplanation result;
  result.method = stage.method;
  result.margin = scores[index].margins[output];
  std::vector<double> row;
  for (const Column& column : stage.inputs) row.push_back(value_of(column, features, scores));
  const std::vector<double> z = stage.learner.scaler ? stage.learner.scaler->apply(row) : row;

  std::map<int, double> by_feature;                // index of the feature -> share
  std::vector<StageContribution> by_stage;
  const auto give_stage = [&](const std::string& name, double share, double value) {
    for (StageContribution& part : by_stage)
      if (part.name == name) {
        part.contribution += share;
        return;
      }
    by_stage.push_back({name, -1, value, share});
  };
  const auto give = [&](const Column& column, double share, double value) {
    if (const int feature = root_feature(column); feature >= 0)
      by_feature[feature] += share;
    else
      give_stage(column.name, share, value);
  };

  if (stage.method != "linear") {
    const auto attributions = attribute(stage, row, z, result.method);
    if (!attributions) return fail(attributions.error());
    result.base = (*attributions)[output].base;
    for (std::size_t i = 0; i < stage.inputs.size(); ++i) give(stage.inputs[i], (*attributions)[output].shares[i], row[i]);
  } else {
    const LinearModel& model = *stage.linear;
    // A booster that skips missing values takes them for 0.
    for (double& value : row)
      if (std::isnan(value) && model.skips_missing) value = 0;
    result.base = model.intercepts[output];
    for (std::size_t i = 0; i < stage.inputs.size(); ++i) {
      const Column& column = stage.inputs[i];
      const double centre = stage.learner.scaler ? stage.learner.scaler->mean[i] : 0;
      const double factor = model.coefficients[output][i] / (stage.learner.scaler ? stage.learner.scaler->scale[i] : 1);
      if (!std::isnan(stage.mean[i])) {
        result.base += factor * (stage.mean[i] - centre);
        give(column, factor * (row[i] - stage.mean[i]), row[i]);
        continue;
      }
      const Source source = source_of(column);
      const auto inner = explain_unchecked(static_cast<std::size_t>(source.column.stage), static_cast<std::size_t>(source.column.index), features, scores);
      if (!inner) return inner;
      if (std::holds_alternative<ScoreCalibration>(stage.learner.model)) result.method = inner->method;
      result.base += factor * (source.slope * inner->base + source.offset - centre);
      for (const StageContribution& part : inner->contributions) {
        if (part.feature >= 0)
          by_feature[part.feature] += factor * source.slope * part.contribution;
        else
          give_stage(part.name, factor * source.slope * part.contribution, part.value);
      }
    }
  }
  // Every feature that the stage depends on has its place, also one that no tree uses.
  for (const auto& [feature, share] : by_feature)
    result.contributions.push_back({{}, feature, features[static_cast<std::size_t>(feature)], share});
  for (StageContribution& part : by_stage) result.contributions.push_back(std::move(part));
  return result;
}

}  // namespace choana::processing
