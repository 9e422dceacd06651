#include "processing/prediction/readers/lightgbm_reader.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "processing/prediction/learners/prepared_trees.h"
#include "processing/prediction/readers/foreign_json_internal.h"
#include "processing/prediction/readers/ir_reader.h"
#include "processing/prediction/readers/table.h"
#include "processing/prediction/readers/tree_check.h"
#include "processing/prediction/shapley/tree_shapley.h"

namespace choana::processing {
namespace {

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = std::min(text.find(' ', start), text.size());
    if (end > start) words.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  return words;
}

double number_in(std::string_view word, const std::string& what) {
  // LightGBM writes infinite borders as inf; nothing else may be without a finite number.
  if (word == "inf" || word == "+inf") return std::numeric_limits<double>::infinity();
  const auto number = parse_number(word);
  if (!number) throw ReaderRefusal("has something else than numbers in " + what);
  return *number;
}

// Lines `key=value` of one block; a line without `=` counts as a key with an empty value.
class Block {
 public:
  void add(std::string_view line) {
    const std::size_t equals = line.find('=');
    const std::string key(line.substr(0, equals));
    if (!fields_.emplace(key, equals == std::string_view::npos ? std::string_view{} : line.substr(equals + 1)).second)
      throw ReaderRefusal("has the line '" + key.substr(0, 40) + "' twice in one place");
  }
  [[nodiscard]] bool has(const std::string& key) const { return fields_.contains(key); }
  [[nodiscard]] std::string_view text(const std::string& key) const {
    const auto found = fields_.find(key);
    if (found == fields_.end()) throw ReaderRefusal("is not a complete LightGBM model: it has no line '" + key + "'");
    return found->second;
  }
  [[nodiscard]] std::vector<double> numbers(const std::string& key, std::size_t count) const {
    std::vector<double> list;
    for (const std::string_view word : words_of(text(key))) list.push_back(number_in(word, key));
    if (list.size() != count) throw ReaderRefusal("has " + std::to_string(list.size()) + " numbers in " + key + " instead of " + std::to_string(count));
    return list;
  }
  [[nodiscard]] std::vector<int> integers(const std::string& key, std::size_t count) const {
    std::vector<int> list;
    for (const double number : numbers(key, count)) {
      if (!(std::abs(number) <= 2147483647.0) || number != std::floor(number)) throw ReaderRefusal("has something else than whole numbers in " + key);
      list.push_back(static_cast<int>(number));
    }
    return list;
  }
  [[nodiscard]] std::size_t whole(const std::string& key, std::size_t low, std::size_t high) const {
    const double number = number_in(text(key), key);
    if (!(number >= static_cast<double>(low) && number <= static_cast<double>(high)) || number != std::floor(number))
      throw ReaderRefusal("has a " + key + " that is not a whole number from " + std::to_string(low) + " to " + std::to_string(high));
    return static_cast<std::size_t>(number);
  }

 private:
  std::map<std::string, std::string_view> fields_;
};

struct Objective {
  Link link = Link::identity;
  double slope = 1;
};

// "binary sigmoid:1", "multiclass num_class:3", "regression sqrt", ...
Objective read_objective(std::string_view text, std::size_t groups) {
  const std::vector<std::string_view> words = words_of(text);
  if (words.empty()) return {};
  const std::string name(words[0]);
  static const std::map<std::string, Link> links{
      {"binary", Link::logistic},        {"multiclass", Link::softmax},      {"multiclassova", Link::logistic},   {"cross_entropy", Link::logistic},
      {"cross_entropy_lambda", Link::softplus}, {"regression", Link::identity}, {"regression_l1", Link::identity}, {"huber", Link::identity},
      {"fair", Link::identity},          {"poisson", Link::exponential},     {"quantile", Link::identity},        {"mape", Link::identity},
      {"gamma", Link::exponential},      {"tweedie", Link::exponential},     {"lambdarank", Link::identity},      {"rank_xendcg", Link::identity},
      {"custom", Link::identity},        {"none", Link::identity}};
  const auto found = links.find(name);
  if (found == links.end()) throw ReaderRefusal("has the objective '" + name.substr(0, 40) + "', whose link from margin to value Choana does not know");
  Objective objective{found->second, 1};
  const bool takes_classes = name == "multiclass" || name == "multiclassova" || name == "custom" || name == "none";
  if (takes_classes == (groups == 1) && name.starts_with("multiclass")) throw ReaderRefusal("has one class and the objective " + name);
  if (!takes_classes && groups > 1) throw ReaderRefusal("has classes, but the objective " + name);
  for (const std::string_view word : words) {
    if (word == "sqrt") objective.link = Link::square;
    if (!word.starts_with("sigmoid:")) continue;
    objective.slope = number_in(word.substr(8), "sigmoid");
    if (!(objective.slope > 0) || !std::isfinite(objective.slope)) throw ReaderRefusal("has a sigmoid that is not above zero");
  }
  return objective;
}

void read_categories(const Block& block, std::size_t sets, DecisionTree& tree) {
  const std::vector<int> boundaries = block.integers("cat_boundaries", sets + 1);
  for (std::size_t s = 0; s < sets; ++s)
    if (boundaries[s] < 0 || boundaries[s] > boundaries[s + 1]) throw ReaderRefusal("has cat_boundaries that do not ascend");
  const std::vector<double> words = block.numbers("cat_threshold", static_cast<std::size_t>(boundaries[sets]));
  for (std::size_t s = 0; s < sets; ++s) {
    CategorySet set;  // members go left; what is no category, right
    for (int w = boundaries[s]; w < boundaries[s + 1]; ++w) {
      const double word = words[static_cast<std::size_t>(w)];
      if (!(word >= 0 && word <= 4294967295.0) || word != std::floor(word)) throw ReaderRefusal("has a cat_threshold out of range");
      set.bits.push_back(static_cast<std::uint32_t>(word));
    }
    tree.category_sets.push_back(std::move(set));
  }
}

DecisionTree read_tree(const Block& block, std::size_t features, bool& has_cover) {
  if (block.has("is_linear") && block.text("is_linear") != "0") throw ReaderRefusal("has linear trees (linear_tree), which Choana does not read");
  const std::size_t leaves = block.whole("num_leaves", 1, ir_nodes_max / 2), splits = leaves - 1;
  DecisionTree tree;
  tree.nodes.resize(splits + leaves);
  const std::vector<double> values = block.numbers("leaf_value", leaves);
  has_cover = has_cover && (splits == 0 || (block.has("leaf_count") && block.has("internal_count")));
  const std::vector<double> leaf_cover = splits > 0 && has_cover ? block.numbers("leaf_count", leaves) : std::vector<double>(leaves, 1.0);
  for (std::size_t l = 0; l < leaves; ++l) {
    tree.nodes[splits + l].value = values[l];
    tree.nodes[splits + l].cover = leaf_cover[l];
  }
  if (splits > 0) {
    const std::size_t sets = block.has("num_cat") ? block.whole("num_cat", 0, splits) : 0;
    if (sets > 0) read_categories(block, sets, tree);
    const std::vector<int> feature = block.integers("split_feature", splits), left = block.integers("left_child", splits), right = block.integers("right_child", splits),
                           type = block.integers("decision_type", splits);
    const std::vector<double> threshold = block.numbers("threshold", splits), cover = has_cover ? block.numbers("internal_count", splits) : std::vector<double>(splits, 0.0);
    for (std::size_t n = 0; n < splits; ++n) {
      TreeNode& node = tree.nodes[n];
      node.feature = feature[n];
      if (node.feature < 0) throw ReaderRefusal("has a tree that splits on no feature");
      node.threshold = threshold[n];
      node.cover = cover[n];
      // Leaves are written as the complement of their number.
      const auto child = [&](int c) { return c >= 0 ? (static_cast<std::size_t>(c) < splits ? c : -1) : static_cast<int>(splits) + ~c; };
      node.left = child(left[n]);
      node.right = child(right[n]);
      if (type[n] < 0 || type[n] > 15) throw ReaderRefusal("has a decision_type that is unknown");
      if ((type[n] & 1) != 0) {
        if (!(threshold[n] >= 0 && threshold[n] < static_cast<double>(sets)) || threshold[n] != std::floor(threshold[n]))
          throw ReaderRefusal("has a categorical split without its categories");
        node.category_set = static_cast<int>(threshold[n]);
        node.missing = TreeNode::Missing::right;
        continue;
      }
      const bool default_left = (type[n] & 2) != 0;
      const int missing = (type[n] >> 2) & 3;  // 0 none, 1 zero, 2 NaN
      if (missing == 3) throw ReaderRefusal("has a decision_type that is unknown");
      node.zero_is_missing = missing == 1;
      // Where NaN is not the missing value of a split, it counts as 0.
      const bool left_when_missing = missing == 0 ? goes_left(SplitRule::lightgbm, 0.0, node.threshold) : default_left;
      node.missing = left_when_missing ? TreeNode::Missing::left : TreeNode::Missing::right;
    }
  }
  if (const std::string trouble = check_tree(tree, features); !trouble.empty()) throw ReaderRefusal("has a tree that " + trouble);
  return tree;
}

}  // namespace

Result<Learner> read_lightgbm(std::string_view text, const std::string& name) {
  return read_foreign(name, "LightGBM", [&] {
    Block head;
    std::vector<Block> trees;
    bool ended = false, first = true;
    for (std::size_t start = 0; start < text.size() && !ended;) {
      const std::size_t end = std::min(text.find('\n', start), text.size());
      std::string_view line = text.substr(start, end - start);
      start = end + 1;
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (line.empty()) continue;
      if (first && line != "tree") throw ReaderRefusal("is not a LightGBM text model (it does not begin with 'tree'); save it with booster.save_model('model.txt')");
      if (first) {
        first = false;
      } else if (line == "end of trees") {
        ended = true;
      } else if (line.starts_with("Tree=")) {
        if (trees.size() >= ir_trees_max) throw ReaderRefusal("has more than " + std::to_string(ir_trees_max) + " trees");
        trees.emplace_back();
      } else {
        (trees.empty() ? head : trees.back()).add(line);
      }
    }
    if (!ended) throw ReaderRefusal("was cut off: the line 'end of trees' is not there");
    if (head.has("tree_sizes") && words_of(head.text("tree_sizes")).size() != trees.size()) throw ReaderRefusal("has another number of trees than its tree_sizes say");
    if (trees.empty()) throw ReaderRefusal("has no tree");

    Learner learner;
    const std::size_t features = head.whole("max_feature_idx", 0, ir_features_max - 1) + 1;
    learner.features.assign(features, "");
    if (const auto names = words_of(head.text("feature_names")); names.size() == features) learner.features.assign(names.begin(), names.end());
    const std::size_t groups = head.whole("num_tree_per_iteration", 1, ir_classes_max);
    if (trees.size() % groups != 0) throw ReaderRefusal("has a number of trees that is no multiple of its classes");
    const Objective objective = head.has("objective") ? read_objective(head.text("objective"), groups) : Objective{};

    TreeEnsemble ensemble;
    ensemble.rule = SplitRule::lightgbm;
    ensemble.base.assign(groups, 0.0);
    ensemble.link = objective.link;
    ensemble.link_detail.slope = objective.slope;
    if (head.has("average_output")) ensemble.link_detail.divisor = static_cast<double>(trees.size() / groups);
    ensemble.has_cover = true;
    std::size_t nodes = 0;
    for (std::size_t t = 0; t < trees.size(); ++t) {
      ensemble.trees.push_back(read_tree(trees[t], features, ensemble.has_cover));
      ensemble.trees.back().group = static_cast<int>(t % groups);
      nodes += ensemble.trees.back().nodes.size();
      if (nodes > ir_nodes_max) throw ReaderRefusal("has more than " + std::to_string(ir_nodes_max) + " nodes");
    }
    if (ensemble.has_cover) ensemble.expected = expected_margins(ensemble);
    ensemble.prepared = prepare_trees(ensemble);
    learner.model = std::move(ensemble);
    return learner;
  });
}

}  // namespace choana::processing
