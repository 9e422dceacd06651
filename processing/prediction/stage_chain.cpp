#include "processing/prediction/stage_chain.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <utility>

#include "core/near_match.h"
#include "processing/prediction/readers/model_reader.h"
#include "processing/prediction/shapley/linear_shapley.h"
#include "processing/prediction/shapley/tree_shapley.h"

namespace choana::processing {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

tl::unexpected<Error> refuse(const std::string& sentence) { return fail(ErrorCode::invalid_package, "build_stages", sentence); }

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

bool StageChain::opens(const Column& column) const {
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

double StageChain::value_of(const Column& column, const std::vector<double>& features, const std::vector<StageScore>& scores) const {
  const auto index = static_cast<std::size_t>(column.index);
  if (column.stage < 0) return features[index];
  const StageScore& score = scores[static_cast<std::size_t>(column.stage)];
  return column.margin ? score.margins[index] : score.values[index];
}

Result<StageChain::Stage> StageChain::build_stage(const PackageManifest& manifest, const StageSpec& spec,
                                                  const std::map<std::string, std::string>& files, const StageChain& before) {
  Stage stage;
  stage.id = spec.id;
  stage.is_learner = spec.type != "standard";
  const std::string here = "The stage '" + spec.id + "'";

  std::vector<std::string> known;
  for (const PackageFeature& feature : manifest.features) known.push_back(feature.id);
  for (const Stage& earlier : before.stages_) known.push_back(earlier.id);
  for (const std::string& word : spec.in) {
    const std::size_t count = stage.inputs.size();
    if (is_group(word)) {
      for (std::size_t f = 0; f < manifest.features.size(); ++f)
        if (word == "features" || manifest.features[f].kind == word)
          stage.inputs.push_back({-1, static_cast<int>(f), false, manifest.features[f].id});
      if (stage.inputs.size() == count) return refuse(here + " takes '" + word + "', and features.csv has no such feature.");
      continue;
    }
    for (std::size_t f = 0; f < manifest.features.size(); ++f)
      if (manifest.features[f].id == word) stage.inputs.push_back({-1, static_cast<int>(f), false, word});
    for (std::size_t s = 0; s < before.stages_.size(); ++s) {
      const Stage& earlier = before.stages_[s];
      const std::vector<std::string> names = before.value_names(s);
      if (word == earlier.id || (earlier.is_learner && word == earlier.id + ".margin")) {
        const bool margin = word != earlier.id;
        for (std::size_t v = 0; v < names.size(); ++v) {
          const std::string name = earlier.is_learner ? word + (names[v].empty() ? "" : "." + names[v]) : names[v];
          stage.inputs.push_back({static_cast<int>(s), static_cast<int>(v), margin, name});
        }
        continue;
      }
      for (std::size_t v = 0; v < names.size(); ++v) {
        if (names[v].empty()) continue;
        if (word == earlier.id + "." + names[v])
          stage.inputs.push_back({static_cast<int>(s), static_cast<int>(v), false, earlier.is_learner ? word : names[v]});
        else if (earlier.is_learner && word == earlier.id + ".margin." + names[v])
          stage.inputs.push_back({static_cast<int>(s), static_cast<int>(v), true, word});
      }
    }
    if (stage.inputs.size() == count)
      return refuse(here + " takes '" + word.substr(0, 128) + "', which is neither a feature nor an earlier stage." + did_you_mean(word, known));
    const bool exact_feature = std::any_of(manifest.features.begin(), manifest.features.end(), [&](const auto& f) { return f.id == word; });
    if (exact_feature && stage.inputs.size() > count + 1)
      return refuse(here + " takes '" + word.substr(0, 128) + "', which is the name of a feature and of a stage's output.");
  }
  std::set<std::string> names;
  for (const Column& column : stage.inputs)
    if (!names.insert(column.name).second) return refuse(here + " takes '" + column.name + "' twice.");

  std::set<int> depends;
  for (const Column& column : stage.inputs) {
    if (column.stage < 0)
      depends.insert(column.index);
    else if (const Stage& earlier = before.stages_[static_cast<std::size_t>(column.stage)]; earlier.is_learner)
      depends.insert(earlier.depends_on.begin(), earlier.depends_on.end());
    else
      depends.insert(before.root_feature(column));
  }
  depends.erase(-1);
  stage.depends_on.assign(depends.begin(), depends.end());

  if (!stage.is_learner) {
    if (spec.from_features) {
      for (const Column& column : stage.inputs) {
        if (column.stage >= 0) return refuse(here + " scales another stage's output and must state mean and scale itself.");
        const PackageFeature& feature = manifest.features[static_cast<std::size_t>(column.index)];
        stage.scaler.mean.push_back(feature.train_mean);
        stage.scaler.scale.push_back(feature.train_sd);
      }
    } else {
      stage.scaler = {spec.mean, spec.scale};
    }
    if (stage.scaler.mean.size() != stage.inputs.size() || stage.scaler.scale.size() != stage.inputs.size())
      return refuse(here + " needs one mean and one scale for each of its " + std::to_string(stage.inputs.size()) + " inputs.");
    for (std::size_t i = 0; i < stage.inputs.size(); ++i)
      if (!std::isfinite(stage.scaler.mean[i]) || !(stage.scaler.scale[i] > 0) || !std::isfinite(stage.scaler.scale[i]))
        return refuse(here + " needs a training mean and a standard deviation above zero for " + stage.inputs[i].name + ".");
    return stage;
  }

  const auto file = files.find(spec.file);
  if (file == files.end()) return refuse(here + " names the file " + spec.file.substr(0, 128) + ", which the package does not hold.");
  std::vector<std::string> inputs;
  for (const Column& column : stage.inputs) inputs.push_back(column.name);
  auto learner = read_model(spec.format, file->second, spec.file, inputs, spec.iterations);
  if (!learner) return fail(learner.error().code, "build_stages", here + ": " + learner.error().message);
  stage.learner = std::move(*learner);
  if (stage.learner.kind() != spec.type)
    return refuse(here + " has the type " + spec.type + ", but " + spec.file + " holds a " + std::string(stage.learner.kind()) + ".");
  if (!spec.link.empty() && spec.link != to_string(stage.learner.link()))
    return refuse(here + " has the link " + spec.link + ", but " + spec.file + " says " + std::string(to_string(stage.learner.link())) + ".");
  return stage;
}

Status StageChain::prepare_explanation(const PackageManifest& manifest, Stage& stage) const {
  const auto stated = manifest.explain.find(stage.id);
  const bool is_linear = std::holds_alternative<LinearModel>(stage.learner.model);
  const bool is_trees = std::holds_alternative<TreeEnsemble>(stage.learner.model);
  const std::string natural = is_linear ? "linear" : "tree_path_dependent";
  const bool asked = stated != manifest.explain.end() && stated->second.method != "none";
  if (stated != manifest.explain.end() && !asked) return {};
  if (!is_linear && !is_trees) {
    if (asked) return refuse("The stage '" + stage.id + "' is a " + std::string(stage.learner.kind()) + ", which this version of Choana does not explain.");
    return {};
  }
  if (asked && stated->second.method != natural)
    return refuse("The stage '" + stage.id + "' is a " + std::string(stage.learner.kind()) + " and is explained by " + natural + ", not by " +
                  stated->second.method + ".");
  if (!is_linear) {
    if (std::get<TreeEnsemble>(stage.learner.model).has_cover) stage.method = natural;
    else if (asked) return refuse("The stage '" + stage.id + "' is to be explained, but its trees carry no cover.");
    return {};
  }
  // Training mean of every input. A scaler is affine, so its output at the mean is the mean of its output.
  std::vector<double> at_mean_features = train_mean_;
  std::vector<StageScore> at_mean(stages_.size());
  for (std::size_t s = 0; s < stages_.size(); ++s) {
    const Stage& earlier = stages_[s];
    if (earlier.is_learner) {
      at_mean[s] = {std::vector<double>(earlier.learner.outputs(), nan), std::vector<double>(earlier.learner.outputs(), nan)};
    } else {
      std::vector<double> row;
      for (const Column& column : earlier.inputs) row.push_back(value_of(column, at_mean_features, at_mean));
      at_mean[s].values = earlier.scaler.apply(row);
    }
  }
  bool complete = true;
  for (const Column& column : stage.inputs) {
    double mean = value_of(column, at_mean_features, at_mean);
    const bool given = stated != manifest.explain.end() && stated->second.mean.contains(column.name);
    if (given) mean = stated->second.mean.at(column.name);
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
  if (complete) stage.method = natural;
  return {};
}

Result<StageChain> StageChain::build(const PackageManifest& manifest, const std::map<std::string, std::string>& files) {
  StageChain chain;
  chain.feature_count_ = manifest.features.size();
  for (const PackageFeature& feature : manifest.features) chain.train_mean_.push_back(feature.train_mean);
  for (const StageSpec& spec : manifest.stages) {
    auto stage = build_stage(manifest, spec, files, chain);
    if (!stage) return fail(stage.error());
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

Result<std::vector<StageScore>> StageChain::run(const std::vector<double>& features) const {
  if (features.size() != feature_count_)
    return fail(ErrorCode::invalid_argument, "predict", "The package takes " + std::to_string(feature_count_) + " features, got " +
                                                            std::to_string(features.size()) + ".");
  std::vector<StageScore> scores;
  scores.reserve(stages_.size());
  for (const Stage& stage : stages_) {
    std::vector<double> row;
    row.reserve(stage.inputs.size());
    for (const Column& column : stage.inputs) row.push_back(value_of(column, features, scores));
    if (!stage.is_learner) {
      scores.push_back({{}, stage.scaler.apply(row)});
      continue;
    }
    auto result = score(stage.learner, row);
    if (!result) return fail(result.error().code, "predict", "Stage " + stage.id + ": " + result.error().message);
    scores.push_back({std::move(result->margins), std::move(result->values)});
  }
  return scores;
}

void StageChain::collect_contributions(std::size_t index, std::vector<int>& features, std::vector<std::string>& stages) const {
  const Stage& stage = stages_[index];
  const bool is_linear = std::holds_alternative<LinearModel>(stage.learner.model);
  for (std::size_t i = 0; i < stage.inputs.size(); ++i) {
    const Column& column = stage.inputs[i];
    if (const int feature = root_feature(column); feature >= 0)
      features.push_back(feature);
    else if (is_linear && std::isnan(stage.mean[i]))
      collect_contributions(static_cast<std::size_t>(column.stage), features, stages);
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

Result<StageExplanation> StageChain::explain_unchecked(std::size_t index, std::size_t output, const std::vector<double>& features,
                                                       const std::vector<StageScore>& scores) const {
  const Stage& stage = stages_[index];
  if (stage.method.empty())
    return fail(ErrorCode::not_computable, "explain", "The package has no explanation for the stage " + stage.id + ".");
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

  if (const auto* trees = std::get_if<TreeEnsemble>(&stage.learner.model)) {
    const auto attributions = explain_trees(*trees, z);
    if (!attributions) return fail(attributions.error());
    result.base = (*attributions)[output].base;
    for (std::size_t i = 0; i < stage.inputs.size(); ++i) give(stage.inputs[i], (*attributions)[output].shares[i], row[i]);
  } else {
    const auto& model = std::get<LinearModel>(stage.learner.model);
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
      const auto inner = explain_unchecked(static_cast<std::size_t>(column.stage), static_cast<std::size_t>(column.index), features, scores);
      if (!inner) return inner;
      result.base += factor * (inner->base - centre);
      for (const StageContribution& part : inner->contributions) {
        if (part.feature >= 0)
          by_feature[part.feature] += factor * part.contribution;
        else
          give_stage(part.name, factor * part.contribution, part.value);
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
