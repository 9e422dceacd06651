#include "processing/prediction/readers/xgboost_reader.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>

#include "processing/prediction/learners/prepared_trees.h"
#include "processing/prediction/readers/foreign_json_internal.h"
#include "processing/prediction/readers/ir_reader.h"
#include "processing/prediction/readers/table.h"
#include "processing/prediction/readers/tree_check.h"
#include "processing/prediction/shapley/tree_shapley.h"

namespace choana::processing {
namespace {

using nlohmann::json;

// How base_score, which is a value, becomes a margin: XGBoost's ProbToMargin of the objective.
enum class BaseSpace { margin, logit, log };

struct Objective {
  Link link;
  BaseSpace base;
};

const std::map<std::string, Objective>& objectives() {
  static const std::map<std::string, Objective> known{
      {"binary:logistic", {Link::logistic, BaseSpace::logit}},   {"reg:logistic", {Link::logistic, BaseSpace::logit}},
      {"binary:logitraw", {Link::identity, BaseSpace::margin}},  {"binary:hinge", {Link::step, BaseSpace::margin}},
      {"multi:softprob", {Link::softmax, BaseSpace::margin}},    {"multi:softmax", {Link::softmax, BaseSpace::margin}},
      {"count:poisson", {Link::exponential, BaseSpace::log}},    {"reg:gamma", {Link::exponential, BaseSpace::log}},
      {"reg:tweedie", {Link::exponential, BaseSpace::log}},      {"survival:cox", {Link::exponential, BaseSpace::log}},
      {"survival:aft", {Link::exponential, BaseSpace::log}},     {"reg:squarederror", {Link::identity, BaseSpace::margin}},
      {"reg:linear", {Link::identity, BaseSpace::margin}},       {"reg:squaredlogerror", {Link::identity, BaseSpace::margin}},
      {"reg:pseudohubererror", {Link::identity, BaseSpace::margin}}, {"reg:absoluteerror", {Link::identity, BaseSpace::margin}},
      {"reg:quantileerror", {Link::identity, BaseSpace::margin}}, {"rank:pairwise", {Link::identity, BaseSpace::margin}},
      {"rank:ndcg", {Link::identity, BaseSpace::margin}},        {"rank:map", {Link::identity, BaseSpace::margin}}};
  return known;
}

float margin_of_base(float base, BaseSpace space) {
  if (space == BaseSpace::margin) return base;
  if (space == BaseSpace::log) {
    if (!(base > 0)) throw ReaderRefusal("has a base_score that is not above zero");
    return std::log(base);
  }
  if (!(base > 0 && base < 1)) throw ReaderRefusal("has a base_score that is not a probability");
  return -std::log(1.0F / base - 1.0F);
}

// "5E-1", "[5.28E-1]", "[-2.8E-1,1.5E-1,1.3E-1]", a number, or a list of numbers.
std::vector<float> read_base(const json& value) {
  std::vector<float> list;
  const auto add = [&list](double number) { list.push_back(static_cast<float>(number)); };
  if (value.is_array()) {
    for (const json& item : value) add(number_of(item, "base_score"));
  } else if (value.is_string() && value.get_ref<const std::string&>().starts_with('[')) {
    std::string text = value.get<std::string>();
    if (!text.ends_with(']')) throw ReaderRefusal("has a base_score that does not end");
    text = text.substr(1, text.size() - 2);
    for (std::size_t start = 0; start <= text.size();) {
      const std::size_t end = std::min(text.find(',', start), text.size());
      const auto number = parse_number(text.substr(start, end - start));
      if (!number) throw ReaderRefusal("has a base_score that is not a number");
      add(*number);
      start = end + 1;
    }
  } else {
    add(number_of(value, "base_score"));
  }
  if (list.empty() || list.size() > ir_classes_max) throw ReaderRefusal("has a base_score of unknown form");
  for (const float number : list)
    if (!std::isfinite(number)) throw ReaderRefusal("has a base_score that is not finite");
  return list;
}

struct Head {
  std::size_t features = 0;
  std::size_t groups = 1;
  std::vector<float> base;  // margins, one a group
  Link link = Link::identity;
};

Head read_head(const json& learner) {
  Head head;
  const json& parameters = learner.at("learner_model_param");
  const double features = number_of(parameters.at("num_feature"), "num_feature"), classes = number_of(parameters.at("num_class"), "num_class");
  if (!(features >= 1 && features <= static_cast<double>(ir_features_max))) throw ReaderRefusal("has no usable num_feature");
  if (!(classes >= 0 && classes <= static_cast<double>(ir_classes_max))) throw ReaderRefusal("has no usable num_class");
  if (parameters.contains("num_target") && number_of(parameters.at("num_target"), "num_target") > 1)
    throw ReaderRefusal("has several targets (multi-output), which Choana does not read; save one model a target");
  head.features = static_cast<std::size_t>(features);
  head.groups = std::max<std::size_t>(1, static_cast<std::size_t>(classes));
  const std::string name = learner.at("objective").at("name").get<std::string>();
  const auto objective = objectives().find(name);
  if (objective == objectives().end())
    throw ReaderRefusal("has the objective '" + name.substr(0, 40) + "', whose link from margin to value Choana does not know");
  head.link = objective->second.link;
  if (head.link == Link::softmax && head.groups < 2) throw ReaderRefusal("has a softmax objective and fewer than two classes");
  if (head.link != Link::softmax && head.groups > 1) throw ReaderRefusal("has classes, but the objective " + name);
  std::vector<float> base = read_base(parameters.at("base_score"));
  if (base.size() != 1 && base.size() != head.groups) throw ReaderRefusal("has as many base scores as neither classes nor one");
  if (base.size() == 1) base.assign(head.groups, base.front());
  for (const float value : base) head.base.push_back(margin_of_base(value, objective->second.base));
  return head;
}

// Beyond float is infinite, as XGBoost reads it.
double as_float(double number) {
  if (std::abs(number) > static_cast<double>(std::numeric_limits<float>::max())) return std::copysign(std::numeric_limits<double>::infinity(), number);
  return static_cast<double>(static_cast<float>(number));
}

DecisionTree read_tree(const json& object, std::size_t features) {
  const json& parameters = object.at("tree_param");
  if (parameters.contains("size_leaf_vector") && number_of(parameters.at("size_leaf_vector"), "size_leaf_vector") > 1)
    throw ReaderRefusal("has trees with vector leaves (multi_strategy=multi_output_tree), which Choana does not read");
  const std::vector<int> left = integer_list(object.at("left_children"), "left_children"), right = integer_list(object.at("right_children"), "right_children"),
                         index = integer_list(object.at("split_indices"), "split_indices"), missing = integer_list(object.at("default_left"), "default_left");
  const std::vector<double> condition = number_list(object.at("split_conditions"), "split_conditions"), hessian = number_list(object.at("sum_hessian"), "sum_hessian");
  const std::vector<int> type = object.contains("split_type") ? integer_list(object.at("split_type"), "split_type") : std::vector<int>(left.size(), 0);
  const std::size_t count = left.size();
  if (count == 0 || count > ir_nodes_max || right.size() != count || index.size() != count || missing.size() != count || condition.size() != count ||
      hessian.size() != count || type.size() != count)
    throw ReaderRefusal("has a tree whose arrays are empty or of different lengths");
  DecisionTree tree;
  tree.nodes.resize(count);
  for (std::size_t n = 0; n < count; ++n) {
    TreeNode& node = tree.nodes[n];
    node.cover = std::max(0.0, hessian[n]);
    node.left = left[n];
    node.right = right[n];
    if (left[n] == -1 && right[n] == -1) {
      node.value = as_float(condition[n]);
      continue;
    }
    node.feature = index[n];
    if (node.feature < 0) throw ReaderRefusal("has a tree that splits on no feature");
    node.threshold = type[n] == 1 ? 0 : as_float(condition[n]);
    node.missing = missing[n] != 0 ? TreeNode::Missing::left : TreeNode::Missing::right;
    if (type[n] != 0 && type[n] != 1) throw ReaderRefusal("has a tree with splits of an unknown type");
  }
  if (std::find(type.begin(), type.end(), 1) != type.end()) {
    const std::vector<int> nodes = integer_list(object.at("categories_nodes"), "categories_nodes"), segments = integer_list(object.at("categories_segments"), "categories_segments"),
                           sizes = integer_list(object.at("categories_sizes"), "categories_sizes"), all = integer_list(object.at("categories"), "categories");
    if (segments.size() != nodes.size() || sizes.size() != nodes.size()) throw ReaderRefusal("has categories of different lengths");
    for (std::size_t s = 0; s < nodes.size(); ++s) {
      const auto start = static_cast<std::size_t>(segments[s]), size = static_cast<std::size_t>(sizes[s]);
      if (nodes[s] < 0 || static_cast<std::size_t>(nodes[s]) >= count || segments[s] < 0 || sizes[s] < 0 || start > all.size() || size > all.size() - start)
        throw ReaderRefusal("has categories out of range");
      // Members go right; what is no category (below 0, from 2^24 on) goes left. Source: XGBoost src/common/categorical.h.
      CategorySet set{{}, false, std::nextafter(0.0, -1.0), 16777216.0, true};
      for (std::size_t c = start; c < start + size; ++c) {
        if (all[c] < 0 || all[c] >= 1 << 20) throw ReaderRefusal("has a category out of range");
        const auto category = static_cast<std::size_t>(all[c]);
        if (set.bits.size() <= category / 32) set.bits.resize(category / 32 + 1, 0);
        set.bits[category / 32] |= 1U << (category % 32);
      }
      tree.nodes[static_cast<std::size_t>(nodes[s])].category_set = static_cast<int>(tree.category_sets.size());
      tree.category_sets.push_back(std::move(set));
    }
    for (std::size_t n = 0; n < count; ++n)
      if (type[n] == 1 && !tree.nodes[n].is_leaf() && tree.nodes[n].category_set < 0) throw ReaderRefusal("has a split on categories without its categories");
  }
  if (const std::string trouble = check_tree(tree, features); !trouble.empty()) throw ReaderRefusal("has a tree that " + trouble);
  return tree;
}

TreeEnsemble read_trees(const json& model, const std::vector<double>& weights, const Head& head, int iterations) {
  TreeEnsemble ensemble;
  ensemble.rule = SplitRule::lt_f32;
  ensemble.sum = SumRule::f32;
  ensemble.base.assign(head.base.begin(), head.base.end());
  ensemble.link = head.link;
  ensemble.link_detail.in_float = true;
  ensemble.has_cover = true;
  const std::vector<int> groups = integer_list(model.at("tree_info"), "tree_info");
  const json& trees = model.at("trees");
  if (!trees.is_array() || trees.size() != groups.size()) throw ReaderRefusal("has another number of trees than of tree_info");
  if (trees.size() > ir_trees_max) throw ReaderRefusal("has more than " + std::to_string(ir_trees_max) + " trees");
  if (!weights.empty() && weights.size() != trees.size()) throw ReaderRefusal("has another number of weights (weight_drop) than of trees");
  std::size_t count = trees.size();
  if (iterations > 0) {
    const double parallel = std::max(1.0, number_of(model.at("gbtree_model_param").at("num_parallel_tree"), "num_parallel_tree"));
    const double wanted = parallel * static_cast<double>(head.groups) * iterations;
    if (!(wanted <= static_cast<double>(count))) throw ReaderRefusal("has fewer rounds than the " + std::to_string(iterations) + " that are asked for");
    count = static_cast<std::size_t>(wanted);
  }
  std::size_t nodes = 0;
  for (std::size_t t = 0; t < count; ++t) {
    DecisionTree tree = read_tree(trees[t], head.features);
    if (groups[t] < 0 || static_cast<std::size_t>(groups[t]) >= head.groups) throw ReaderRefusal("has a tree of a class out of range");
    tree.group = groups[t];
    nodes += tree.nodes.size();
    if (nodes > ir_nodes_max) throw ReaderRefusal("has more than " + std::to_string(ir_nodes_max) + " nodes");
    // DART adds weight * leaf, the product rounded to float.
    if (!weights.empty())
      for (TreeNode& node : tree.nodes)
        if (node.is_leaf()) node.value = static_cast<double>(static_cast<float>(weights[t]) * static_cast<float>(node.value));
    ensemble.trees.push_back(std::move(tree));
  }
  ensemble.expected = expected_margins(ensemble);
  ensemble.prepared = prepare_trees(ensemble);
  return ensemble;
}

LinearModel read_linear(const json& model, const Head& head) {
  const std::vector<double> weights = number_list(model.at("weights"), "weights");
  if (weights.size() != (head.features + 1) * head.groups) throw ReaderRefusal("has another number of weights than features and classes ask for");
  for (const double weight : weights)
    if (!std::isfinite(weight)) throw ReaderRefusal("has a weight that is not finite");
  LinearModel linear;
  linear.link = head.link;
  linear.link_detail.in_float = true;
  linear.in_float = true;
  linear.skips_missing = true;
  for (std::size_t g = 0; g < head.groups; ++g) {
    linear.coefficients.emplace_back();
    for (std::size_t f = 0; f < head.features; ++f) linear.coefficients.back().push_back(weights[f * head.groups + g]);
    // This booster adds the first base score to every class (found in 3.2.0, which writes one a class).
    linear.intercepts.push_back(static_cast<double>(static_cast<float>(weights[head.features * head.groups + g]) + head.base[0]));
  }
  return linear;
}

// XGBoost writes the key length of binary JSON right after the brace; text has a quote or a blank there.
bool is_binary(std::string_view bytes) { return bytes.size() > 1 && bytes[0] == '{' && bytes[1] != '"' && bytes[1] != '}' && bytes.substr(1, 1).find_first_of(" \t\r\n") == std::string_view::npos; }

json parse(std::string_view bytes) {
  if (bytes.starts_with("binf") || bytes.starts_with("bs64"))
    throw ReaderRefusal("is in XGBoost's old binary format, which says too little; save it again with save_model('model.json')");
  if (is_binary(bytes)) return parse_foreign(bytes, true);
  // XGBoost writes NaN (thresholds of categorical splits) and Infinity, which JSON has not: null and the largest double.
  std::string text;
  text.reserve(bytes.size());
  bool quoted = false;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    const char c = bytes[at];
    if (quoted && c == '\\' && at + 1 < bytes.size()) {
      text += c;
      text += bytes[++at];
      continue;
    }
    if (c == '"') quoted = !quoted;
    if (!quoted && c == 'N' && bytes.substr(at, 3) == "NaN") {
      text += "null";
      at += 2;
    } else if (!quoted && c == 'I' && bytes.substr(at, 8) == "Infinity") {
      text += "1.7976931348623157e308";
      at += 7;
    } else {
      text += c;
    }
  }
  return parse_foreign(text, false);
}

}  // namespace

Result<Learner> read_xgboost(std::string_view bytes, const std::string& name, int iterations) {
  return read_foreign(name, "XGBoost", [&] {
    const json document = parse(bytes);
    const json& learner = document.at("learner");
    const Head head = read_head(learner);
    Learner result;
    result.features.assign(head.features, "");
    if (const auto names = learner.find("feature_names"); names != learner.end() && names->is_array() && names->size() == head.features)
      for (std::size_t f = 0; f < head.features; ++f)
        if ((*names)[f].is_string()) result.features[f] = (*names)[f].get<std::string>();
    const json& booster = learner.at("gradient_booster");
    const std::string kind = booster.at("name").get<std::string>();
    if (kind == "gblinear") {
      if (iterations > 0) throw ReaderRefusal("is a gblinear model, which cannot be cut to fewer rounds");
      result.model = read_linear(booster.at("model"), head);
    } else if (kind == "gbtree") {
      result.model = read_trees(booster.at("model"), {}, head, iterations);
    } else if (kind == "dart") {
      const std::vector<double> weights = number_list(booster.at("weight_drop"), "weight_drop");
      for (const double weight : weights)
        if (!std::isfinite(weight)) throw ReaderRefusal("has a weight of a tree that is not finite");
      result.model = read_trees(booster.at("gbtree").at("model"), weights, head, iterations);
    } else {
      throw ReaderRefusal("has the booster '" + kind.substr(0, 40) + "'; Choana reads gbtree, dart and gblinear");
    }
    return result;
  });
}

int xgboost_best_rounds(std::string_view bytes) {
  try {
    const json document = parse(bytes);
    const json& attributes = document.at("learner").at("attributes");
    if (!attributes.contains("best_iteration")) return 0;
    const double best = number_of(attributes.at("best_iteration"), "best_iteration");
    return best >= 0 && best < 1e6 ? static_cast<int>(best) + 1 : 0;
  } catch (const std::exception&) {
    return 0;
  }
}

}  // namespace choana::processing
