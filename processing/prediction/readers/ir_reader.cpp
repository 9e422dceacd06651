#include "processing/prediction/readers/ir_reader.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "core/near_match.h"
#include "processing/prediction/learners/prepared_trees.h"
#include "processing/prediction/readers/json_internal.h"
#include "processing/prediction/readers/tree_check.h"
#include "processing/prediction/shapley/tree_shapley.h"

namespace choana::processing {
namespace {

using nlohmann::json;

// Reads the fields of one JSON object. The first problem is kept and everything after it answers with defaults, so that
// a reader states its fields in a row and asks once whether all was well.
class Fields {
 public:
  Fields(const json& object, std::string where, std::optional<Error>& problem)
      : object_(object), where_(std::move(where)), problem_(problem) {
    if (!object_.is_object()) complain("must be a JSON object");
  }

  void complain(const std::string& what, ErrorCode code = ErrorCode::invalid_package) {
    if (!problem_) problem_ = Error{code, "read_ir", where_ + " " + what + (what.ends_with('?') ? "" : "."), {}};
  }

  [[nodiscard]] bool has(const std::string& key) { return object_.is_object() && object_.contains(key); }

  const json* find(const std::string& key, bool required = true) {
    known_.push_back(key);
    if (problem_) return nullptr;
    const auto found = object_.find(key);
    if (found == object_.end()) {
      if (required) complain("has no field '" + key + "'");
      return nullptr;
    }
    return &*found;
  }

  std::string text(const std::string& key) {
    const json* value = find(key);
    if (value == nullptr) return {};
    if (value->is_string()) return value->get<std::string>();
    complain("field '" + key + "' must be text");
    return {};
  }

  double number(const std::string& key) {
    const json* value = find(key);
    if (value == nullptr) return 0;
    if (value->is_number()) return value->get<double>();
    complain("field '" + key + "' must be a number");
    return 0;
  }

  // A single number stands for a list of one.
  std::vector<double> numbers(const std::string& key) {
    const json* value = find(key);
    return value == nullptr ? std::vector<double>{} : numbers_of(*value, key);
  }

  std::vector<double> numbers_of(const json& value, const std::string& key) {
    if (value.is_number()) return {value.get<double>()};
    if (!value.is_array()) {
      complain("field '" + key + "' must be a list of numbers");
      return {};
    }
    std::vector<double> list;
    list.reserve(value.size());
    for (const json& item : value) {
      if (!item.is_number()) {
        complain("field '" + key + "' must hold numbers only");
        return {};
      }
      list.push_back(item.get<double>());
    }
    return list;
  }

  // A list of rows of numbers, all of one length.
  std::vector<std::vector<double>> rows(const std::string& key, std::size_t columns) {
    const json* value = find(key);
    return value == nullptr ? std::vector<std::vector<double>>{} : rows_of(*value, key, columns);
  }

  std::vector<std::vector<double>> rows_of(const json& value, const std::string& key, std::size_t columns) {
    std::vector<std::vector<double>> list;
    if (!value.is_array() || value.empty()) {
      complain("field '" + key + "' must be a list of rows of numbers");
      return list;
    }
    for (const json& row : value) {
      list.push_back(row.is_array() ? numbers_of(row, key) : std::vector<double>{});
      if (list.back().size() == columns) continue;
      complain("field '" + key + "' must have " + std::to_string(columns) + " numbers in every row");
      return {};
    }
    return list;
  }

  std::vector<int> integers(const std::string& key) {
    const json* value = find(key);
    if (value == nullptr) return {};
    if (!value->is_array()) {
      complain("field '" + key + "' must be a list of whole numbers");
      return {};
    }
    std::vector<int> list;
    list.reserve(value->size());
    for (const json& item : *value) {
      if (item.is_boolean()) {
        list.push_back(item.get<bool>() ? 1 : 0);
        continue;
      }
      const bool fits = item.is_number_integer() && (!item.is_number_unsigned() || item.get<std::uint64_t>() <= 1'000'000'000U) &&
                        item.get<std::int64_t>() >= -1'000'000'000 && item.get<std::int64_t>() <= 1'000'000'000;
      if (!fits) {
        complain("field '" + key + "' must hold whole numbers only");
        return {};
      }
      list.push_back(static_cast<int>(item.get<std::int64_t>()));
    }
    return list;
  }

  template <typename T>
  T choice(const std::string& key, const std::vector<std::pair<std::string, T>>& choices) {
    const std::string word = text(key);
    std::string all;
    for (const auto& [name, value] : choices) {
      if (name == word) return value;
      all += (all.empty() ? "" : ", ") + name;
    }
    complain("field '" + key + "' is '" + word.substr(0, 40) + "'; known are " + all);
    return choices.front().second;
  }

  void forbid_the_rest() {
    if (!object_.is_object()) return;
    for (const auto& item : object_.items())
      if (item.key() != "note" && std::find(known_.begin(), known_.end(), item.key()) == known_.end())
        complain(unknown_field(item.key()));
  }

 private:
  [[nodiscard]] std::string unknown_field(const std::string& key) const {
    const std::string hint = did_you_mean(key, known_);
    return "has the unknown field '" + key.substr(0, 64) + "'" + (hint.empty() ? "" : "." + hint);
  }

  const json& object_;
  std::string where_;
  std::optional<Error>& problem_;
  std::vector<std::string> known_;
};

const std::vector<std::pair<std::string, Link>> links{
    {"identity", Link::identity}, {"logistic", Link::logistic}, {"softmax", Link::softmax}};

void check_link(Fields& fields, Link link, std::size_t groups) {
  if (link == Link::logistic && groups != 1) fields.complain("has the link logistic, which takes one margin, and " + std::to_string(groups));
  if (link == Link::softmax && groups < 2) fields.complain("has the link softmax, which takes two margins or more, and one");
}

std::vector<std::string> read_features(Fields& fields) {
  const json* list = fields.find("features");
  std::vector<std::string> names;
  if (list == nullptr) return names;
  if (!list->is_array() || list->empty()) {
    fields.complain("field 'features' must be a list of names");
    return names;
  }
  if (list->size() > ir_features_max) {
    fields.complain("has more than " + std::to_string(ir_features_max) + " features", ErrorCode::limit_exceeded);
    return names;
  }
  std::set<std::string> seen;
  for (const json& item : *list) {
    if (!item.is_string() || item.get_ref<const std::string&>().empty() || item.get_ref<const std::string&>().size() > 256) {
      fields.complain("field 'features' must hold names of 1 to 256 characters");
      return names;
    }
    if (!seen.insert(item.get<std::string>()).second) {
      fields.complain("names the feature '" + item.get<std::string>() + "' twice");
      return names;
    }
    names.push_back(item.get<std::string>());
  }
  return names;
}

std::optional<StandardScaler> read_scaler(Fields& fields, std::size_t count, const std::string& name, std::optional<Error>& problem) {
  if (!fields.has("scaler")) return std::nullopt;
  const json* object = fields.find("scaler");
  if (object == nullptr || object->is_null()) return std::nullopt;
  Fields scaler(*object, name + ": the scaler", problem);
  scaler.choice<int>("kind", {{"standard", 0}});
  StandardScaler result{scaler.numbers("mean"), scaler.numbers("scale")};
  scaler.forbid_the_rest();
  if (!problem && (result.mean.size() != count || result.scale.size() != count))
    scaler.complain("needs one mean and one scale for each of the " + std::to_string(count) + " features");
  if (!problem && std::any_of(result.scale.begin(), result.scale.end(), [](double s) { return !(s > 0); }))
    scaler.complain("has a scale that is not above zero");
  return result;
}

LinearModel read_linear(Fields& fields, std::size_t count) {
  LinearModel model;
  if (const json* rows = fields.find("coef")) {
    if (rows->is_array() && !rows->empty() && rows->front().is_array()) {
      if (rows->size() > ir_classes_max) fields.complain("has too many classes", ErrorCode::limit_exceeded);
      for (const json& row : *rows) model.coefficients.push_back(fields.numbers_of(row, "coef"));
    } else {
      model.coefficients.push_back(fields.numbers_of(*rows, "coef"));
    }
  }
  model.intercepts = fields.numbers("intercept");
  model.link = fields.choice("link", links);
  for (const auto& row : model.coefficients)
    if (row.size() != count)
      fields.complain("has " + std::to_string(row.size()) + " coefficients for " + std::to_string(count) + " features");
  if (model.intercepts.size() != model.coefficients.size())
    fields.complain("has " + std::to_string(model.intercepts.size()) + " intercepts for " +
                    std::to_string(model.coefficients.size()) + " rows of coefficients");
  check_link(fields, model.link, model.intercepts.size());
  return model;
}

DecisionTree read_tree(const json& object, const std::string& where, std::size_t features, std::size_t groups, bool& has_cover,
                       std::optional<Error>& problem) {
  Fields fields(object, where, problem);
  DecisionTree tree;
  const double group = fields.number("group");
  const std::vector<int> feature = fields.integers("feature"), left = fields.integers("left"), right = fields.integers("right");
  const std::vector<double> threshold = fields.numbers("threshold"), value = fields.numbers("value");
  const bool with_missing = fields.has("missing_left"), with_cover = fields.has("cover");
  const std::vector<int> missing = with_missing ? fields.integers("missing_left") : std::vector<int>{};
  const std::vector<double> cover = with_cover ? fields.numbers("cover") : std::vector<double>{};
  fields.forbid_the_rest();
  has_cover = has_cover && with_cover;
  const std::size_t count = feature.size();
  if (problem) return tree;
  if (group < 0 || group != std::floor(group) || group >= static_cast<double>(groups)) {
    fields.complain("has group " + std::to_string(group) + ", and there are " + std::to_string(groups) + " (one a base)");
    return tree;
  }
  tree.group = static_cast<int>(group);
  if (count == 0) fields.complain("has no node");
  if (threshold.size() != count || left.size() != count || right.size() != count || value.size() != count ||
      (with_missing && missing.size() != count) || (with_cover && cover.size() != count))
    fields.complain("has arrays of different lengths");
  if (problem) return tree;
  tree.nodes.resize(count);
  for (std::size_t n = 0; n < count && !problem; ++n) {
    TreeNode& node = tree.nodes[n];
    const std::string at = " at node " + std::to_string(n);
    node.feature = feature[n];
    // "missing right, all others left" (scikit-learn 1.4 and later) is written as the largest double.
    node.threshold = threshold[n] == std::numeric_limits<double>::max() ? std::numeric_limits<double>::infinity() : threshold[n];
    node.left = left[n];
    node.right = right[n];
    node.value = value[n];
    if (with_cover) node.cover = cover[n];
    if (node.cover < 0) fields.complain("has a negative cover" + at);
    if (with_missing) {
      if (missing[n] != 0 && missing[n] != 1) fields.complain("has missing_left " + std::to_string(missing[n]) + at + "; 0 or 1 is meant");
      node.missing = missing[n] == 1 ? TreeNode::Missing::left : TreeNode::Missing::right;
    }
  }
  if (problem) return tree;
  if (const auto trouble = check_tree(tree, features); !trouble.empty()) fields.complain(trouble);
  return tree;
}

TreeEnsemble read_trees(Fields& fields, std::size_t features, const std::string& name, std::optional<Error>& problem) {
  TreeEnsemble ensemble;
  ensemble.rule = fields.choice<SplitRule>("compare", {{"le_f32_f64", SplitRule::le_f32_f64},
                                                       {"lt_f32", SplitRule::lt_f32},
                                                       {"le_f64", SplitRule::le_f64},
                                                       {"gt_f32", SplitRule::gt_f32}});
  ensemble.sum = fields.choice<SumRule>("sum", {{"f64", SumRule::f64}, {"f32", SumRule::f32}});
  ensemble.scale = fields.number("scale");
  ensemble.base = fields.numbers("base");
  ensemble.link = fields.choice("link", links);
  // For people: the scale already holds 1/n.
  if (const json* average = fields.find("average", false); average != nullptr && !average->is_boolean() && !average->is_number())
    fields.complain("field 'average' must be true or false");
  const json* trees = fields.find("trees");
  if (problem) return ensemble;
  if (ensemble.base.empty() || ensemble.base.size() > ir_classes_max) fields.complain("needs a base for each group, 1 to 1000 of them");
  check_link(fields, ensemble.link, ensemble.base.size());
  if (!trees->is_array() || trees->empty()) fields.complain("field 'trees' must be a list of trees");
  if (trees->size() > ir_trees_max)
    fields.complain("has more than " + std::to_string(ir_trees_max) + " trees", ErrorCode::limit_exceeded);
  std::size_t nodes = 0;
  ensemble.has_cover = true;
  for (std::size_t t = 0; t < trees->size() && !problem; ++t) {
    ensemble.trees.push_back(read_tree((*trees)[t], name + ": tree " + std::to_string(t), features, ensemble.base.size(),
                                       ensemble.has_cover, problem));
    nodes += ensemble.trees.back().nodes.size();
    if (nodes > ir_nodes_max) fields.complain("has more than " + std::to_string(ir_nodes_max) + " nodes", ErrorCode::limit_exceeded);
  }
  return ensemble;
}

SupportVectorMachine read_svm(Fields& fields, std::size_t count) {
  using Kernel = SupportVectorMachine::Kernel;
  using Probability = SupportVectorMachine::Probability;
  SupportVectorMachine machine;
  machine.kernel = fields.choice<Kernel>("kernel", {{"linear", Kernel::linear}, {"poly", Kernel::poly}, {"rbf", Kernel::rbf}, {"sigmoid", Kernel::sigmoid}});
  // Kernels use some of these; a field that a kernel does not use may still be there.
  for (const auto& [key, target, needed] :
       {std::tuple<const char*, double*, bool>{"gamma", &machine.gamma, machine.kernel != Kernel::linear},
        {"coef0", &machine.coef0, machine.kernel == Kernel::poly || machine.kernel == Kernel::sigmoid},
        {"degree", &machine.degree, machine.kernel == Kernel::poly}}) {
    if (needed || fields.has(key)) *target = fields.number(key);
  }
  machine.support_vectors = fields.rows("sv", count);
  const json* dual = fields.find("dual_coef");
  // scikit-learn keeps the coefficients of two classes as one row.
  if (dual != nullptr) machine.dual_coefficients = fields.numbers_of(dual->is_array() && dual->size() == 1 && dual->front().is_array() ? dual->front() : *dual, "dual_coef");
  const std::vector<double> intercept = fields.numbers("intercept");
  if (intercept.size() == 1)
    machine.intercept = intercept[0];
  else
    fields.complain("needs one intercept");
  if (machine.support_vectors.size() != machine.dual_coefficients.size())
    fields.complain("has " + std::to_string(machine.dual_coefficients.size()) + " coefficients for " + std::to_string(machine.support_vectors.size()) + " support vectors");
  machine.probability = fields.choice<Probability>("probability", {{"none", Probability::none}, {"sigmoid", Probability::sigmoid}, {"libsvm_coupling", Probability::libsvm_coupling}});
  const bool has_map = machine.probability != Probability::none;
  if (has_map || fields.has("A")) machine.a = fields.number("A");
  if (has_map || fields.has("B")) machine.b = fields.number("B");
  return machine;
}

GaussianNaiveBayes read_gaussian_nb(Fields& fields, std::size_t count) {
  GaussianNaiveBayes model{fields.numbers("prior"), fields.rows("mean", count), fields.rows("var", count)};
  const std::size_t classes = model.priors.size();
  if (classes < 2 || classes > ir_classes_max || model.means.size() != classes || model.variances.size() != classes)
    fields.complain("needs a prior, a row of means and a row of variances for each of two classes or more");
  for (const double prior : model.priors)
    if (!(prior > 0)) fields.complain("has a prior that is not above zero");
  for (const auto& row : model.variances)
    for (const double variance : row)
      if (!(variance > 0)) fields.complain("has a variance that is not above zero");
  return model;
}

MultilayerPerceptron read_mlp(Fields& fields, std::size_t count) {
  using Activation = MultilayerPerceptron::Activation;
  MultilayerPerceptron network;
  const json* layers = fields.find("coefs");
  const json* intercepts = fields.find("intercepts");
  network.activation = fields.choice<Activation>("activation", {{"relu", Activation::relu}, {"tanh", Activation::tanh}, {"logistic", Activation::logistic}, {"identity", Activation::identity}});
  network.output = fields.choice<Link>("output", {{"logistic", Link::logistic}, {"softmax", Link::softmax}, {"identity", Link::identity}});
  if (layers == nullptr || intercepts == nullptr) return network;
  if (!layers->is_array() || layers->empty() || layers->size() > 64 || !intercepts->is_array() || intercepts->size() != layers->size()) {
    fields.complain("needs coefs and intercepts for each of 1 to 64 layers");
    return network;
  }
  std::size_t inputs = count;
  for (std::size_t layer = 0; layer < layers->size(); ++layer) {
    network.intercepts.push_back(fields.numbers_of((*intercepts)[layer], "intercepts"));
    network.weights.push_back(fields.rows_of((*layers)[layer], "coefs", network.intercepts.back().size()));
    if (network.intercepts.back().empty() || network.weights.back().size() != inputs)
      fields.complain("has " + std::to_string(network.weights.back().size()) + " rows of coefs in layer " + std::to_string(layer + 1) + " for " + std::to_string(inputs) + " inputs");
    inputs = network.intercepts.back().size();
  }
  check_link(fields, network.output, inputs);
  return network;
}

NearestNeighbours read_knn(Fields& fields, std::size_t count) {
  NearestNeighbours model;
  const double k = fields.number("k");
  model.by_distance = fields.choice<bool>("weights", {{"uniform", false}, {"distance", true}});
  fields.choice<int>("metric", {{"euclidean", 0}});
  model.rows = fields.rows("x", count);
  model.labels = fields.integers("y");
  if (fields.has("ties")) fields.choice<int>("ties", {{"training row index ascending", 0}});
  if (!(k >= 1 && k <= static_cast<double>(model.rows.size())) || k != std::floor(k)) fields.complain("needs a whole k from 1 to the number of rows in x");
  else model.k = static_cast<std::size_t>(k);
  if (model.labels.size() != model.rows.size()) fields.complain("has " + std::to_string(model.labels.size()) + " classes in y for " + std::to_string(model.rows.size()) + " rows in x");
  for (const int label : model.labels) {
    if (label < 0 || label >= static_cast<int>(ir_classes_max)) fields.complain("has a class in y that is not a number from 0");
    else model.classes = std::max(model.classes, static_cast<std::size_t>(label) + 1);
  }
  return model;
}

GaussianProcess read_gp(Fields& fields, std::size_t count) {
  GaussianProcess process;
  fields.choice<int>("kernel", {{"constant*rbf", 0}});
  process.constant = fields.number("constant");
  process.length_scales = fields.numbers("length_scale");
  process.rows = fields.rows("x", count);
  process.y_minus_pi = fields.numbers("y_minus_pi");
  process.w_sr = fields.numbers("w_sr");
  process.lower = fields.rows("L", process.rows.size());
  const std::size_t rows = process.rows.size();
  if (process.length_scales.size() == 1) process.length_scales.assign(count, process.length_scales.front());
  if (process.length_scales.size() != count) fields.complain("needs one length_scale, or one for each feature");
  for (const double scale : process.length_scales)
    if (!(scale > 0)) fields.complain("has a length_scale that is not above zero");
  if (!(process.constant > 0)) fields.complain("needs a constant above zero");
  if (process.y_minus_pi.size() != rows || process.w_sr.size() != rows || process.lower.size() != rows) fields.complain("needs y_minus_pi, w_sr and L for each row in x");
  for (std::size_t n = 0; n < process.lower.size() && process.lower.size() == rows; ++n)
    if (!(process.lower[n][n] > 0)) fields.complain("has an L whose diagonal is not above zero");
  return process;
}

CoxModel read_cox(Fields& fields, std::size_t count, const std::string& name, std::optional<Error>& problem) {
  CoxModel model{fields.numbers("coef"), fields.numbers("centre"), {}, {}};
  fields.choice<int>("ties", {{"efron", 0}, {"breslow", 1}, {"exact", 2}});
  if (model.coefficients.size() != count || model.centre.size() != count) fields.complain("needs one coef and one centre for each feature");
  const json* object = fields.find("baseline");
  if (object == nullptr) return model;
  Fields baseline(*object, name + ": the baseline", problem);
  baseline.choice<int>("at", {{"centre", 0}});
  model.times = baseline.numbers("time");
  model.cumulative_hazards = baseline.numbers("cumulative_hazard");
  baseline.forbid_the_rest();
  if (model.times.size() != model.cumulative_hazards.size() || model.times.empty()) baseline.complain("needs as many values of time as of cumulative_hazard, at least one");
  for (std::size_t n = 0; n < model.times.size() && !problem; ++n) {
    if (n > 0 && !(model.times[n - 1] < model.times[n])) baseline.complain("needs its times in ascending order");
    if (model.cumulative_hazards[n] < (n > 0 ? model.cumulative_hazards[n - 1] : 0)) baseline.complain("has a cumulative_hazard that falls");
  }
  return model;
}

CalibratedModel::Calibrator read_calibrator(const json& object, const std::string& where, std::optional<Error>& problem) {
  Fields fields(object, where, problem);
  CalibratedModel::Calibrator calibrator;
  calibrator.isotonic = fields.choice<bool>("kind", {{"sigmoid", false}, {"isotonic", true}});
  if (calibrator.isotonic) {
    calibrator.x = fields.numbers("x");
    calibrator.y = fields.numbers("y");
    if (calibrator.x.empty() || calibrator.x.size() != calibrator.y.size()) fields.complain("needs as many x as y, at least one");
    for (std::size_t n = 1; n < calibrator.x.size() && !problem; ++n)
      if (!(calibrator.x[n - 1] < calibrator.x[n])) fields.complain("needs x in ascending order");
    for (std::size_t n = 1; n < calibrator.y.size() && !problem; ++n)
      if (calibrator.y[n] < calibrator.y[n - 1]) fields.complain("needs a y that does not fall");
    for (const double y : calibrator.y)
      if (!(y >= 0 && y <= 1)) fields.complain("needs y between 0 and 1");
  } else {
    calibrator.a = fields.number("a");
    calibrator.b = fields.number("b");
  }
  fields.forbid_the_rest();
  return calibrator;
}

TreeEnsemble read_calibrated_trees(Fields& fields, std::size_t features, const std::string& name, std::optional<Error>& problem) {
  TreeEnsemble ensemble = read_trees(fields, features, name, problem);
  if (!problem) ensemble.prepared = prepare_trees(ensemble);
  return ensemble;
}

CalibratedModel read_calibrated(Fields& fields, std::size_t count, const std::string& name, std::optional<Error>& problem) {
  CalibratedModel model;
  const json* members = fields.find("members");
  if (members == nullptr) return model;
  if (!members->is_array() || members->empty() || members->size() > 100) {
    fields.complain("needs 1 to 100 members");
    return model;
  }
  for (std::size_t m = 0; m < members->size() && !problem; ++m) {
    const std::string where = name + ": member " + std::to_string(m);
    Fields member((*members)[m], where, problem);
    const json* base_object = member.find("base");
    const json* calibrator = member.find("calibrator");
    member.forbid_the_rest();
    if (problem) break;
    CalibratedModel::Member result;
    Fields base(*base_object, where + ", base", problem);
    const std::string kind = base.text("kind");
    // A base may repeat what the whole says; it has the same inputs.
    if (base.has("ir")) base.number("ir");
    if (base.has("features")) base.find("features");
    if (kind == "linear")
      result.base = read_linear(base, count);
    else if (kind == "svm")
      result.base = read_svm(base, count);
    else if (kind == "tree_ensemble")
      result.base = read_calibrated_trees(base, count, where, problem);
    else
      base.complain("has the kind '" + kind.substr(0, 40) + "'; a calibrated model rests on linear, svm or tree_ensemble");
    base.forbid_the_rest();
    result.calibrator = read_calibrator(*calibrator, where + ", calibrator", problem);
    if (problem) break;
    const auto* linear = std::get_if<LinearModel>(&result.base);
    const auto* trees = std::get_if<TreeEnsemble>(&result.base);
    if ((linear != nullptr && linear->intercepts.size() != 1) || (trees != nullptr && trees->base.size() != 1)) base.complain("must have one margin");
    model.members.push_back(std::move(result));
  }
  return model;
}

}  // namespace

Result<Learner> read_ir(std::string_view text, const std::string& name) {
  if (text.size() > ir_bytes_max)
    return fail(ErrorCode::limit_exceeded, "read_ir", name + " is larger than " + std::to_string(ir_bytes_max >> 20U) + " MiB.");
  const auto document = parse_json_strictly(text, name, 8);
  if (!document) return fail(document.error());
  std::optional<Error> problem;
  Fields fields(*document, name, problem);
  if (problem) return fail(*problem);
  if (fields.number("ir") != 1) fields.complain("is not IR version 1 (field 'ir')");
  const std::string kind = fields.text("kind");
  Learner learner;
  learner.features = read_features(fields);
  learner.scaler = read_scaler(fields, learner.features.size(), name, problem);
  if (problem) return fail(*problem);
  if (kind == "linear") {
    learner.model = read_linear(fields, learner.features.size());
  } else if (kind == "tree_ensemble") {
    TreeEnsemble ensemble = read_trees(fields, learner.features.size(), name, problem);
    if (!problem && ensemble.has_cover) ensemble.expected = expected_margins(ensemble);
    if (!problem) ensemble.prepared = prepare_trees(ensemble);
    learner.model = std::move(ensemble);
  } else if (kind == "svm") {
    learner.model = read_svm(fields, learner.features.size());
  } else if (kind == "gaussian_nb") {
    learner.model = read_gaussian_nb(fields, learner.features.size());
  } else if (kind == "mlp") {
    learner.model = read_mlp(fields, learner.features.size());
  } else if (kind == "calibrated") {
    learner.model = read_calibrated(fields, learner.features.size(), name, problem);
  } else if (kind == "knn") {
    learner.model = read_knn(fields, learner.features.size());
  } else if (kind == "gp_laplace") {
    learner.model = read_gp(fields, learner.features.size());
  } else if (kind == "cox") {
    learner.model = read_cox(fields, learner.features.size(), name, problem);
  } else {
    fields.complain("has the kind '" + kind.substr(0, 40) + "'; this version of Choana runs linear, tree_ensemble, svm, gaussian_nb, mlp, calibrated, knn, gp_laplace and cox");
  }
  fields.forbid_the_rest();
  if (problem) return fail(*problem);
  return learner;
}

}  // namespace choana::processing
