#include "processing/prediction/readers/catboost_reader.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "processing/prediction/learners/prepared_trees.h"
#include "processing/prediction/readers/foreign_json_internal.h"
#include "processing/prediction/readers/ir_reader.h"
#include "processing/prediction/readers/tree_check.h"
#include "processing/prediction/shapley/tree_shapley.h"

namespace choana::processing {
namespace {

using nlohmann::json;

// The value that CatBoost's own `predict_proba` (or `predict`) gives for each loss.
Link link_of(const std::string& loss) {
  static const std::map<std::string, Link> links{
      {"Logloss", Link::logistic},   {"CrossEntropy", Link::logistic}, {"Focal", Link::logistic},       {"MultiClass", Link::softmax},
      {"MultiClassOneVsAll", Link::logistic}, {"MultiLogloss", Link::logistic}, {"MultiCrossEntropy", Link::logistic}, {"Poisson", Link::exponential},
      {"Tweedie", Link::exponential}, {"RMSE", Link::identity},        {"MAE", Link::identity},         {"Quantile", Link::identity},
      {"MultiQuantile", Link::identity}, {"MultiRMSE", Link::identity}, {"Lq", Link::identity},         {"Huber", Link::identity},
      {"Expectile", Link::identity}, {"MAPE", Link::identity},         {"LogCosh", Link::identity},     {"Cox", Link::identity},
      {"SurvivalAft", Link::identity}, {"PairLogit", Link::identity},  {"PairLogitPairwise", Link::identity}, {"YetiRank", Link::identity},
      {"YetiRankPairwise", Link::identity}, {"QueryRMSE", Link::identity}, {"QuerySoftMax", Link::identity}, {"QueryCrossEntropy", Link::logistic},
      {"LambdaMart", Link::identity}, {"StochasticRank", Link::identity}};
  const auto found = links.find(loss);
  if (found == links.end()) throw ReaderRefusal("has the loss '" + loss.substr(0, 40) + "', whose link from margin to value Choana does not know");
  return found->second;
}

std::string loss_of(const json& document) {
  const json* info = document.contains("model_info") ? &document.at("model_info") : nullptr;
  if (info == nullptr || !info->contains("params")) throw ReaderRefusal("does not say which loss it was trained for (model_info.params)");
  const json& written = info->at("params");
  // Older versions keep the parameters as text within the text.
  const json parsed = written.is_string() ? parse_foreign(written.get_ref<const std::string&>(), false) : json();
  const json& parameters = written.is_string() ? parsed : written;
  const json& loss = parameters.at("loss_function");
  return loss.is_string() ? loss.get<std::string>() : loss.at("type").get<std::string>();
}

struct FloatFeature {
  int input = 0;
  TreeNode::Missing missing = TreeNode::Missing::left;
};

std::vector<FloatFeature> read_features(const json& document, std::vector<std::string>& names) {
  const json& info = document.at("features_info");
  for (const char* kind : {"categorical_features", "ctrs", "text_features", "embedding_features"})
    if (info.contains(kind) && !info.at(kind).empty())
      throw ReaderRefusal(std::string("has ") + kind + ", which Choana does not read; train with numeric features only");
  const json& list = info.at("float_features");
  if (!list.is_array() || list.empty() || list.size() > ir_features_max) throw ReaderRefusal("has no float_features, or too many");
  std::vector<FloatFeature> features(list.size());
  names.assign(list.size(), "");
  std::vector<char> seen(list.size(), 0);
  for (const json& item : list) {
    const double index = number_of(item.at("feature_index"), "feature_index"), flat = number_of(item.at("flat_feature_index"), "flat_feature_index");
    const double count = static_cast<double>(list.size());
    if (!(index >= 0 && index < count && flat >= 0 && flat < count) || index != std::floor(index) || flat != std::floor(flat))
      throw ReaderRefusal("has a feature with an index out of range");
    if (seen[static_cast<std::size_t>(index)]++ != 0) throw ReaderRefusal("has two features of the same index");
    FloatFeature& feature = features[static_cast<std::size_t>(index)];
    feature.input = static_cast<int>(flat);
    const std::string treatment = item.contains("nan_value_treatment") ? item.at("nan_value_treatment").get<std::string>() : "AsIs";
    if (treatment != "AsIs" && treatment != "AsFalse" && treatment != "AsTrue") throw ReaderRefusal("has the unknown nan_value_treatment '" + treatment.substr(0, 20) + "'");
    feature.missing = treatment == "AsTrue" ? TreeNode::Missing::right : TreeNode::Missing::left;
    for (const char* key : {"feature_id", "feature_name"})
      if (item.contains(key) && item.at(key).is_string()) names[static_cast<std::size_t>(flat)] = item.at(key).get<std::string>();
  }
  return features;
}

void set_split(TreeNode& node, const json& split, const std::vector<FloatFeature>& features) {
  const std::string type = split.contains("split_type") ? split.at("split_type").get<std::string>() : "FloatFeature";
  if (type != "FloatFeature") throw ReaderRefusal("has a split of the type " + type.substr(0, 40) + "; Choana reads splits of numeric features only");
  const double index = number_of(split.at("float_feature_index"), "float_feature_index");
  if (!(index >= 0 && index < static_cast<double>(features.size())) || index != std::floor(index)) throw ReaderRefusal("has a split on a feature out of range");
  const FloatFeature& feature = features[static_cast<std::size_t>(index)];
  node.feature = feature.input;
  node.missing = feature.missing;
  node.threshold = number_of(split.at("border"), "border");
}

// One tree a dimension; the leaf values of a tree are written leaf by leaf, all dimensions of a leaf together.
std::vector<DecisionTree> read_oblivious(const json& object, const std::vector<FloatFeature>& features, std::size_t dimensions) {
  const json none = json::array();
  const json& splits = object.contains("splits") && !object.at("splits").is_null() ? object.at("splits") : none;
  const std::size_t depth = splits.size();
  if (!splits.is_array() || depth > 16) throw ReaderRefusal("has a tree deeper than 16");
  const std::size_t leaves = std::size_t{1} << depth;
  const std::vector<double> values = number_list(object.at("leaf_values"), "leaf_values");
  if (values.size() != leaves * dimensions) throw ReaderRefusal("has a tree with another number of leaf_values than its splits ask for");
  std::vector<double> weights(leaves, 0.0);
  if (object.contains("leaf_weights") && !object.at("leaf_weights").empty()) weights = number_list(object.at("leaf_weights"), "leaf_weights");
  if (weights.size() != leaves) throw ReaderRefusal("has a tree with another number of leaf_weights than leaves");
  // Heap order: node n has the children 2n + 1 and 2n + 2; the last split is the root.
  DecisionTree tree;
  tree.nodes.resize(2 * leaves - 1);
  for (std::size_t level = 0, first = 0; level < depth; first = 2 * first + 1, ++level)
    for (std::size_t n = first; n < 2 * first + 1; ++n) {
      set_split(tree.nodes[n], splits[depth - 1 - level], features);
      tree.nodes[n].left = static_cast<int>(2 * n + 1);
      tree.nodes[n].right = static_cast<int>(2 * n + 2);
    }
  for (std::size_t l = 0; l < leaves; ++l) tree.nodes[leaves - 1 + l].cover = weights[l];
  for (std::size_t n = leaves - 1; n-- > 0;) tree.nodes[n].cover = tree.nodes[2 * n + 1].cover + tree.nodes[2 * n + 2].cover;
  std::vector<DecisionTree> trees(dimensions, tree);
  for (std::size_t d = 0; d < dimensions; ++d) {
    trees[d].group = static_cast<int>(d);
    for (std::size_t l = 0; l < leaves; ++l) trees[d].nodes[leaves - 1 + l].value = values[l * dimensions + d];
  }
  return trees;
}

// Nested objects {split, left, right} and leaves {value, weight}; the parser bounds the nesting, so a walk may recurse.
std::vector<DecisionTree> read_nested(const json& root, const std::vector<FloatFeature>& features, std::size_t dimensions) {
  std::vector<DecisionTree> trees(dimensions);
  for (std::size_t d = 0; d < dimensions; ++d) trees[d].group = static_cast<int>(d);
  std::vector<std::pair<const json*, int>> order;  // object, index of its parent
  std::vector<std::pair<const json*, std::pair<int, bool>>> open{{&root, {-1, false}}};
  while (!open.empty()) {
    const auto [object, origin] = open.back();
    open.pop_back();
    const int index = static_cast<int>(trees[0].nodes.size());
    if (trees[0].nodes.size() >= ir_nodes_max) throw ReaderRefusal("has too many nodes");
    for (DecisionTree& tree : trees) {
      tree.nodes.emplace_back();
      if (origin.first >= 0) (origin.second ? tree.nodes[static_cast<std::size_t>(origin.first)].left : tree.nodes[static_cast<std::size_t>(origin.first)].right) = index;
    }
    if (object->contains("split")) {
      for (DecisionTree& tree : trees) set_split(tree.nodes.back(), object->at("split"), features);
      open.push_back({&object->at("right"), {index, false}});
      open.push_back({&object->at("left"), {index, true}});
      continue;
    }
    const json& value = object->at("value");
    const std::vector<double> values = value.is_number() ? std::vector<double>{value.get<double>()} : number_list(value, "value");
    if (values.size() != dimensions) throw ReaderRefusal("has a leaf with another number of values than dimensions");
    for (std::size_t d = 0; d < dimensions; ++d) {
      trees[d].nodes.back().value = values[d];
      trees[d].nodes.back().cover = object->contains("weight") ? number_of(object->at("weight"), "weight") : 0.0;
    }
  }
  // Children stand behind their parents.
  for (DecisionTree& tree : trees)
    for (std::size_t n = tree.nodes.size(); n-- > 0;)
      if (TreeNode& node = tree.nodes[n]; !node.is_leaf())
        node.cover = tree.nodes[static_cast<std::size_t>(node.left)].cover + tree.nodes[static_cast<std::size_t>(node.right)].cover;
  return trees;
}

}  // namespace

Result<Learner> read_catboost(std::string_view text, const std::string& name) {
  return read_foreign(name, "CatBoost", [&] {
    const json document = parse_foreign(text, false);
    Learner learner;
    const std::vector<FloatFeature> features = read_features(document, learner.features);
    TreeEnsemble ensemble;
    ensemble.rule = SplitRule::gt_f32;
    ensemble.link = link_of(loss_of(document));
    ensemble.scale = 1;
    ensemble.base = {0.0};
    if (document.contains("scale_and_bias")) {
      const json& pair = document.at("scale_and_bias");
      if (!pair.is_array() || pair.size() != 2) throw ReaderRefusal("has a scale_and_bias of unknown form");
      ensemble.scale = number_of(pair[0], "scale_and_bias");
      ensemble.base = pair[1].is_array() ? number_list(pair[1], "scale_and_bias") : std::vector<double>{number_of(pair[1], "scale_and_bias")};
    }
    const bool oblivious = document.contains("oblivious_trees");
    const json& trees = oblivious ? document.at("oblivious_trees") : document.at("trees");
    if (!trees.is_array() || trees.empty() || trees.size() > ir_trees_max) throw ReaderRefusal("has no tree, or more than " + std::to_string(ir_trees_max));
    if (ensemble.base.empty() || ensemble.base.size() > ir_classes_max) throw ReaderRefusal("has too many dimensions");
    // A single bias may stand for several dimensions; the first tree says how many there are.
    if (ensemble.base.size() == 1 && oblivious && trees[0].contains("splits") && trees[0].at("splits").is_array() && trees[0].at("splits").size() <= 16) {
      const std::size_t leaves = std::size_t{1} << trees[0].at("splits").size(), values = trees[0].at("leaf_values").size();
      if (values > leaves && values % leaves == 0 && values / leaves <= ir_classes_max) ensemble.base.assign(values / leaves, ensemble.base.front());
    }
    const std::size_t dimensions = ensemble.base.size();
    if (ensemble.link == Link::softmax && dimensions < 2) throw ReaderRefusal("is trained for classes and has one dimension");
    bool weighted = true;
    std::size_t nodes = 0;
    for (const json& tree : trees)
      for (DecisionTree& one : oblivious ? read_oblivious(tree, features, dimensions) : read_nested(tree, features, dimensions)) {
        if (const std::string trouble = check_tree(one, features.size()); !trouble.empty()) throw ReaderRefusal("has a tree that " + trouble);
        nodes += one.nodes.size();
        if (nodes > ir_nodes_max) throw ReaderRefusal("has more than " + std::to_string(ir_nodes_max) + " nodes");
        weighted = weighted && one.nodes.front().cover > 0;
        ensemble.trees.push_back(std::move(one));
      }
    ensemble.has_cover = weighted;
    if (weighted) ensemble.expected = expected_margins(ensemble);
    ensemble.prepared = prepare_trees(ensemble);
    learner.model = std::move(ensemble);
    return learner;
  });
}

}  // namespace choana::processing
