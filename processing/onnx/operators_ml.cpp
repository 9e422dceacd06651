#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <unordered_map>

#include "processing/onnx/operators.h"

namespace choana::processing {
namespace {

// -- rows and labels --

/// A matrix of rows as doubles: (n), (n, features), or more dimensions joined into features.
struct Rows {
  std::vector<double> values;
  std::int64_t count = 0;
  std::int64_t width = 0;
  ElementType type = ElementType::float32;

  [[nodiscard]] const double* row(std::int64_t at) const { return values.data() + at * width; }
};

Result<Rows> read_rows(const OperatorCall& call) {
  const Tensor& x = *call.inputs[0];
  if (x.type() == ElementType::text || x.shape.empty() || x.shape.size() > 2) return fail(call.wrong("needs rows of numbers").value());
  Rows rows{as_doubles(x), x.shape.size() == 2 ? x.shape[0] : 1, x.shape.size() == 2 ? x.shape[1] : x.shape[0], x.type() == ElementType::float64 ? ElementType::float64 : ElementType::float32};
  return rows;
}

/// Class labels, whole numbers or words.
struct Labels {
  std::vector<std::int64_t> numbers;
  std::vector<std::string> words;

  [[nodiscard]] std::size_t size() const { return words.empty() ? numbers.size() : words.size(); }
  [[nodiscard]] Tensor chosen(const std::vector<std::size_t>& at) const {
    const std::vector<std::int64_t> shape{static_cast<std::int64_t>(at.size())};
    if (!words.empty()) {
      std::vector<std::string> list;
      for (const std::size_t each : at) list.push_back(words[each]);
      return {shape, std::move(list)};
    }
    std::vector<std::int64_t> list;
    for (const std::size_t each : at) list.push_back(numbers[each]);
    return {shape, std::move(list)};
  }
};

Labels read_labels(const OperatorCall& call, const std::string& numbers, const std::string& words) { return {call.integers(numbers), call.texts(words)}; }

double logistic(double x) { return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); }

double probit(double x) {
  // Winitzki's approximation, as ONNX Runtime computes it.
  const double y = 2 * x - 1, sign = y < 0 ? -1 : 1, l = std::log((1 - y) * (1 + y)), v = 2 / (3.14159 * 0.147) + 0.5 * l;
  return 1.41421356 * sign * std::sqrt(-v + std::sqrt(v * v - l / 0.147));
}

Status transform(const OperatorCall& call, std::vector<double>& scores) {
  const std::string how = call.text("post_transform", "NONE");
  if (how == "NONE") return {};
  if (how == "LOGISTIC") {
    for (double& score : scores) score = logistic(score);
    return {};
  }
  if (how == "PROBIT") {
    for (double& score : scores) score = probit(score);
    return {};
  }
  if (how == "SOFTMAX" || how == "SOFTMAX_ZERO") {
    double top = -std::numeric_limits<double>::infinity(), sum = 0;
    for (const double score : scores) top = std::max(top, score);
    for (double& score : scores) {
      // SOFTMAX_ZERO leaves scores of 0 out.
      score = how == "SOFTMAX_ZERO" && std::abs(score) < 1e-7 ? 0 : std::exp(score - top);
      sum += score;
    }
    for (double& score : scores) score = sum > 0 ? score / sum : 0;
    return {};
  }
  return call.wrong("has a post_transform that is not known: " + how.substr(0, 32));
}

// -- trees --

enum class Branch { less_or_equal, less, greater_or_equal, greater, equal, not_equal, leaf };

struct Leaf {
  std::size_t target = 0;
  double weight = 0;
};
struct Node {
  Branch branch = Branch::leaf;
  std::int64_t feature = 0;
  double value = 0;
  std::size_t yes = 0, no = 0;
  bool missing_yes = false;
  std::vector<Leaf> leaves;
};
struct Forest {
  std::vector<Node> nodes;
  std::vector<std::size_t> roots;
  std::int64_t features = 0;  // at least so many columns are read
};

Result<Forest> read_forest(const OperatorCall& call, const std::string& leaf_prefix, std::size_t targets) {
  const auto trees = call.integers("nodes_treeids"), ids = call.integers("nodes_nodeids"), features = call.integers("nodes_featureids"), yes = call.integers("nodes_truenodeids"),
             no = call.integers("nodes_falsenodeids"), missing = call.integers("nodes_missing_value_tracks_true");
  const auto modes = call.texts("nodes_modes");
  const auto values = call.numbers("nodes_values");
  const std::size_t count = trees.size();
  if (count == 0 || ids.size() != count || features.size() != count || yes.size() != count || no.size() != count || modes.size() != count || values.size() != count || (!missing.empty() && missing.size() != count))
    return fail(call.wrong("has lists of nodes of different lengths").value());
  const std::map<std::string, Branch> words{{"BRANCH_LEQ", Branch::less_or_equal}, {"BRANCH_LT", Branch::less}, {"BRANCH_GTE", Branch::greater_or_equal}, {"BRANCH_GT", Branch::greater},
                                            {"BRANCH_EQ", Branch::equal}, {"BRANCH_NEQ", Branch::not_equal}, {"LEAF", Branch::leaf}};
  std::map<std::pair<std::int64_t, std::int64_t>, std::size_t> places;
  Forest forest;
  for (std::size_t at = 0; at < count; ++at)
    if (!places.emplace(std::pair{trees[at], ids[at]}, at).second) return fail(call.wrong("has a node twice").value());
  std::vector<bool> has_parent(count, false);
  for (std::size_t at = 0; at < count; ++at) {
    const auto word = words.find(modes[at]);
    if (word == words.end()) return fail(call.wrong("has a node mode that is not known").value());
    Node node{word->second, features[at], values[at], 0, 0, !missing.empty() && missing[at] != 0, {}};
    if (node.branch != Branch::leaf) {
      const auto to_yes = places.find({trees[at], yes[at]}), to_no = places.find({trees[at], no[at]});
      if (to_yes == places.end() || to_no == places.end() || node.feature < 0) return fail(call.wrong("has a node that leads nowhere").value());
      node.yes = to_yes->second;
      node.no = to_no->second;
      // One parent each and a root that has none: no cycle is possible.
      for (const std::size_t child : {node.yes, node.no}) {
        if (has_parent[child] && node.yes != node.no) return fail(call.wrong("has a node with two parents").value());
        has_parent[child] = true;
      }
      forest.features = std::max(forest.features, node.feature + 1);
    }
    forest.nodes.push_back(std::move(node));
  }
  bool first = true;
  std::set<std::int64_t> rooted;
  for (std::size_t at = 0; at < count; ++at) {
    if (has_parent[at]) continue;
    if (!rooted.insert(trees[at]).second) return fail(call.wrong("has a tree with two roots").value());
    forest.roots.push_back(at);
    first = false;
  }
  if (rooted.size() != std::set<std::int64_t>(trees.begin(), trees.end()).size() || first) return fail(call.wrong("has a tree without a root").value());
  const auto leaf_trees = call.integers(leaf_prefix + "_treeids"), leaf_nodes = call.integers(leaf_prefix + "_nodeids"), leaf_targets = call.integers(leaf_prefix + "_ids");
  const auto weights = call.numbers(leaf_prefix + "_weights");
  if (leaf_nodes.size() != leaf_trees.size() || leaf_targets.size() != leaf_trees.size() || weights.size() != leaf_trees.size()) return fail(call.wrong("has lists of leaves of different lengths").value());
  for (std::size_t at = 0; at < leaf_trees.size(); ++at) {
    const auto place = places.find({leaf_trees[at], leaf_nodes[at]});
    if (place == places.end() || leaf_targets[at] < 0 || static_cast<std::size_t>(leaf_targets[at]) >= targets) return fail(call.wrong("has a leaf that belongs to no node or class").value());
    forest.nodes[place->second].leaves.push_back({static_cast<std::size_t>(leaf_targets[at]), weights[at]});
  }
  return forest;
}

const Node& walk_down(const Forest& forest, std::size_t at, const double* row) {
  for (const Node* node = &forest.nodes[at];; node = &forest.nodes[at]) {
    if (node->branch == Branch::leaf) return *node;
    const double x = row[node->feature];
    bool yes = false;
    switch (node->branch) {
      case Branch::less_or_equal: yes = x <= node->value; break;
      case Branch::less: yes = x < node->value; break;
      case Branch::greater_or_equal: yes = x >= node->value; break;
      case Branch::greater: yes = x > node->value; break;
      case Branch::equal: yes = x == node->value; break;
      case Branch::not_equal: yes = x != node->value; break;
      case Branch::leaf: break;
    }
    at = yes || (node->missing_yes && std::isnan(x)) ? node->yes : node->no;
  }
}

Result<std::vector<Tensor>> tree_classifier(const OperatorCall& call) {
  auto rows = read_rows(call);
  if (!rows) return fail(rows.error());
  const Labels labels = read_labels(call, "classlabels_int64s", "classlabels_strings");
  const std::size_t classes = labels.size();
  if (classes == 0) return call.wrong("has no class labels");
  auto forest = read_forest(call, "class", classes);
  if (!forest) return fail(forest.error());
  if (forest->features > rows->width) return call.wrong("reads more features than the rows have");
  const auto base = call.numbers("base_values");
  if (!base.empty() && base.size() != classes && base.size() != 1) return call.wrong("has base values that do not fit its classes");
  std::set<std::size_t> used;
  bool positive = true;
  for (const Node& node : forest->nodes)
    for (const Leaf& leaf : node.leaves) {
      used.insert(leaf.target);
      positive = positive && leaf.weight >= 0;
    }
  // Two classes of which the leaves name one: a single score stands for both.
  const bool binary = classes == 2 && used.size() == 1;
  std::vector<double> scores;
  std::vector<std::size_t> chosen;
  for (std::int64_t r = 0; r < rows->count; ++r) {
    std::vector<double> sums(classes, 0.0);
    for (const std::size_t root : forest->roots)
      for (const Leaf& leaf : walk_down(*forest, root, rows->row(r)).leaves) sums[leaf.target] += leaf.weight;
    if (binary) {
      double score = sums[*used.begin()] + (base.size() == 1 ? base[0] : base.size() == 2 ? base[*used.begin()] : 0.0);
      chosen.push_back(score > (positive ? 0.5 : 0.0) ? 1 : 0);
      const std::string how = call.text("post_transform", "NONE");
      if (how == "PROBIT") score = probit(score);
      else if (how == "LOGISTIC" && !positive) score = logistic(score);
      const bool complement = positive || how == "LOGISTIC";
      scores.push_back(complement ? 1 - score : -score);
      scores.push_back(score);
      continue;
    }
    for (std::size_t c = 0; c < classes && base.size() == classes; ++c) sums[c] += base[c];
    chosen.push_back(static_cast<std::size_t>(std::max_element(sums.begin(), sums.end()) - sums.begin()));
    if (auto status = transform(call, sums); !status) return fail(status.error());
    scores.insert(scores.end(), sums.begin(), sums.end());
  }
  std::vector<Tensor> results = one(labels.chosen(chosen));
  // Scores of classifiers are float32 whatever the input.
  results.push_back(from_doubles({rows->count, static_cast<std::int64_t>(classes)}, std::move(scores), ElementType::float32));
  return results;
}

Result<std::vector<Tensor>> tree_regressor(const OperatorCall& call) {
  auto rows = read_rows(call);
  if (!rows) return fail(rows.error());
  const std::int64_t targets = call.integer("n_targets", 1);
  if (targets < 1 || targets > 10'000) return call.wrong("has an impossible number of targets");
  auto forest = read_forest(call, "target", static_cast<std::size_t>(targets));
  if (!forest) return fail(forest.error());
  if (forest->features > rows->width) return call.wrong("reads more features than the rows have");
  const auto base = call.numbers("base_values");
  if (!base.empty() && static_cast<std::int64_t>(base.size()) != targets) return call.wrong("has base values that do not fit its targets");
  const std::string how = call.text("aggregate_function", "SUM");
  if (how != "SUM" && how != "AVERAGE" && how != "MIN" && how != "MAX") return call.wrong("joins its trees in a way that is not known");
  std::vector<double> all;
  for (std::int64_t r = 0; r < rows->count; ++r) {
    std::vector<double> sums(static_cast<std::size_t>(targets), 0.0);
    std::vector<bool> set(sums.size(), false);
    for (const std::size_t root : forest->roots)
      for (const Leaf& leaf : walk_down(*forest, root, rows->row(r)).leaves) {
        double& sum = sums[leaf.target];
        if (how == "MIN") sum = set[leaf.target] ? std::min(sum, leaf.weight) : leaf.weight;
        else if (how == "MAX") sum = set[leaf.target] ? std::max(sum, leaf.weight) : leaf.weight;
        else sum += leaf.weight;
        set[leaf.target] = true;
      }
    for (std::size_t t = 0; t < sums.size(); ++t) {
      if (how == "AVERAGE") sums[t] /= static_cast<double>(forest->roots.size());
      if (!base.empty()) sums[t] += base[t];
    }
    if (auto status = transform(call, sums); !status) return fail(status.error());
    all.insert(all.end(), sums.begin(), sums.end());
  }
  return one(from_doubles({rows->count, targets}, std::move(all), ElementType::float32));
}

// -- linear models --

Result<std::vector<Tensor>> linear_classifier(const OperatorCall& call) {
  auto rows = read_rows(call);
  if (!rows) return fail(rows.error());
  const auto coefficients = call.numbers("coefficients"), intercepts = call.numbers("intercepts");
  const Labels labels = read_labels(call, "classlabels_ints", "classlabels_strings");
  if (rows->width < 1 || coefficients.empty() || coefficients.size() % static_cast<std::size_t>(rows->width) != 0) return call.wrong("has coefficients that do not fit the rows");
  const std::size_t outputs = coefficients.size() / static_cast<std::size_t>(rows->width);
  if ((!intercepts.empty() && intercepts.size() != outputs) || labels.size() < outputs || labels.size() > std::max<std::size_t>(outputs, 2)) return call.wrong("has labels or intercepts that do not fit");
  std::vector<double> scores;
  std::vector<std::size_t> chosen;
  for (std::int64_t r = 0; r < rows->count; ++r) {
    std::vector<double> margins;
    for (std::size_t o = 0; o < outputs; ++o) {
      double sum = intercepts.empty() ? 0 : intercepts[o];
      for (std::int64_t f = 0; f < rows->width; ++f) sum += coefficients[o * static_cast<std::size_t>(rows->width) + static_cast<std::size_t>(f)] * rows->row(r)[f];
      margins.push_back(sum);
    }
    const bool single = outputs == 1 && labels.size() == 2;
    chosen.push_back(single ? (margins[0] > 0 ? 1 : 0) : static_cast<std::size_t>(std::max_element(margins.begin(), margins.end()) - margins.begin()));
    if (single) {
      const bool to_probability = call.text("post_transform", "NONE") == "LOGISTIC";
      const double positive = to_probability ? logistic(margins[0]) : margins[0];
      margins = {to_probability ? 1 - positive : -positive, positive};
    } else if (auto status = transform(call, margins); !status) {
      return fail(status.error());
    }
    scores.insert(scores.end(), margins.begin(), margins.end());
  }
  std::vector<Tensor> results = one(labels.chosen(chosen));
  const std::int64_t columns = static_cast<std::int64_t>(scores.size()) / std::max<std::int64_t>(rows->count, 1);
  results.push_back(from_doubles({rows->count, columns}, std::move(scores), ElementType::float32));
  return results;
}

Result<std::vector<Tensor>> linear_regressor(const OperatorCall& call) {
  auto rows = read_rows(call);
  if (!rows) return fail(rows.error());
  const auto coefficients = call.numbers("coefficients"), intercepts = call.numbers("intercepts");
  const std::int64_t targets = call.integer("targets", 1);
  if (targets < 1 || static_cast<std::int64_t>(coefficients.size()) != targets * rows->width || (!intercepts.empty() && static_cast<std::int64_t>(intercepts.size()) != targets))
    return call.wrong("has coefficients that do not fit the rows");
  std::vector<double> all;
  for (std::int64_t r = 0; r < rows->count; ++r) {
    std::vector<double> sums;
    for (std::int64_t t = 0; t < targets; ++t) {
      double sum = intercepts.empty() ? 0 : intercepts[static_cast<std::size_t>(t)];
      for (std::int64_t f = 0; f < rows->width; ++f) sum += coefficients[static_cast<std::size_t>(t * rows->width + f)] * rows->row(r)[f];
      sums.push_back(sum);
    }
    if (auto status = transform(call, sums); !status) return fail(status.error());
    all.insert(all.end(), sums.begin(), sums.end());
  }
  return one(from_doubles({rows->count, targets}, std::move(all), ElementType::float32));
}

// -- support vectors --

struct Kernel {
  std::string kind;
  double gamma = 0, coef0 = 0, degree = 0;

  [[nodiscard]] double operator()(const double* a, const double* b, std::size_t count) const {
    double sum = 0;
    if (kind == "RBF") {
      for (std::size_t at = 0; at < count; ++at) sum += (a[at] - b[at]) * (a[at] - b[at]);
      return std::exp(-gamma * sum);
    }
    for (std::size_t at = 0; at < count; ++at) sum += a[at] * b[at];
    if (kind == "POLY") return std::pow(gamma * sum + coef0, degree);
    if (kind == "SIGMOID") return std::tanh(gamma * sum + coef0);
    return sum;
  }
};

Result<Kernel> read_kernel(const OperatorCall& call) {
  Kernel kernel{call.text("kernel_type", "LINEAR"), 0, 0, 0};
  const auto parameters = call.numbers("kernel_params");
  if (kernel.kind != "LINEAR" && kernel.kind != "RBF" && kernel.kind != "POLY" && kernel.kind != "SIGMOID") return fail(call.wrong("has a kernel that is not known").value());
  if (kernel.kind != "LINEAR" && parameters.size() < 3) return fail(call.wrong("needs gamma, coef0 and degree").value());
  if (parameters.size() >= 3) {
    kernel.gamma = parameters[0];
    kernel.coef0 = parameters[1];
    kernel.degree = parameters[2];
  }
  return kernel;
}

// Pairwise probabilities to class probabilities: Wu, Lin and Weng 2004, second method, with libsvm's stopping rule.
std::vector<double> couple(const std::vector<double>& pairwise, std::size_t classes) {
  std::vector<double> q(classes * classes, 0.0), p(classes, 1.0 / static_cast<double>(classes)), qp(classes);
  for (std::size_t t = 0; t < classes; ++t)
    for (std::size_t j = 0; j < classes; ++j) {
      if (j == t) continue;
      q[t * classes + t] += pairwise[j * classes + t] * pairwise[j * classes + t];
      q[t * classes + j] = -pairwise[j * classes + t] * pairwise[t * classes + j];
    }
  const double eps = 0.005 / static_cast<double>(classes);
  for (std::size_t iteration = 0; iteration < std::max<std::size_t>(100, classes); ++iteration) {
    double pqp = 0;
    for (std::size_t t = 0; t < classes; ++t) {
      qp[t] = 0;
      for (std::size_t j = 0; j < classes; ++j) qp[t] += q[t * classes + j] * p[j];
      pqp += p[t] * qp[t];
    }
    double worst = 0;
    for (std::size_t t = 0; t < classes; ++t) worst = std::max(worst, std::abs(qp[t] - pqp));
    if (worst < eps) break;
    for (std::size_t t = 0; t < classes; ++t) {
      const double step = (-qp[t] + pqp) / q[t * classes + t];
      p[t] += step;
      pqp = (pqp + step * (step * q[t * classes + t] + 2 * qp[t])) / (1 + step) / (1 + step);
      for (std::size_t j = 0; j < classes; ++j) {
        qp[j] = (qp[j] + step * q[t * classes + j]) / (1 + step);
        p[j] /= 1 + step;
      }
    }
  }
  return p;
}

Result<std::vector<Tensor>> svm_classifier(const OperatorCall& call) {
  auto rows = read_rows(call);
  if (!rows) return fail(rows.error());
  auto kernel = read_kernel(call);
  if (!kernel) return fail(kernel.error());
  const Labels labels = read_labels(call, "classlabels_ints", "classlabels_strings");
  const auto vectors = call.numbers("support_vectors"), coefficients = call.numbers("coefficients"), rho = call.numbers("rho"), prob_a = call.numbers("prob_a"), prob_b = call.numbers("prob_b");
  const auto per_class = call.integers("vectors_per_class");
  const std::size_t classes = labels.size();
  const auto width = static_cast<std::size_t>(rows->width);
  if (classes < 2 || per_class.size() != classes || std::any_of(per_class.begin(), per_class.end(), [](std::int64_t n) { return n < 0 || n > 10'000'000; }))
    return call.wrong("is not of the kind with support vectors by class, which alone is supported");
  std::vector<std::size_t> first{0};
  for (const std::int64_t n : per_class) first.push_back(first.back() + static_cast<std::size_t>(n));
  const std::size_t count = first.back(), pairs = classes * (classes - 1) / 2;
  if (width == 0 || vectors.size() != count * width || coefficients.size() != count * (classes - 1) || rho.size() != pairs || (!prob_a.empty() && (prob_a.size() != pairs || prob_b.size() != pairs)))
    return call.wrong("has support vectors, coefficients or offsets that do not fit");
  std::vector<double> scores;
  std::vector<std::size_t> chosen;
  for (std::int64_t r = 0; r < rows->count; ++r) {
    std::vector<double> values;
    for (std::size_t v = 0; v < count; ++v) values.push_back((*kernel)(rows->row(r), vectors.data() + v * width, width));
    std::vector<double> decisions;
    std::vector<int> votes(classes, 0);
    for (std::size_t i = 0; i < classes; ++i)
      for (std::size_t j = i + 1; j < classes; ++j) {
        double sum = rho[decisions.size()];
        for (std::size_t v = first[i]; v < first[i + 1]; ++v) sum += coefficients[(j - 1) * count + v] * values[v];
        for (std::size_t v = first[j]; v < first[j + 1]; ++v) sum += coefficients[i * count + v] * values[v];
        decisions.push_back(sum);
        ++votes[sum > 0 ? i : j];
      }
    if (!prob_a.empty()) {
      std::vector<double> pairwise(classes * classes, 0.0);
      std::size_t pair = 0;
      for (std::size_t i = 0; i < classes; ++i)
        for (std::size_t j = i + 1; j < classes; ++j, ++pair) {
          const double p = std::clamp(1 - logistic(decisions[pair] * prob_a[pair] + prob_b[pair]), 1e-7, 1 - 1e-7);
          pairwise[i * classes + j] = p;
          pairwise[j * classes + i] = 1 - p;
        }
      std::vector<double> probabilities = couple(pairwise, classes);
      chosen.push_back(static_cast<std::size_t>(std::max_element(probabilities.begin(), probabilities.end()) - probabilities.begin()));
      if (auto status = transform(call, probabilities); !status) return fail(status.error());
      scores.insert(scores.end(), probabilities.begin(), probabilities.end());
      continue;
    }
    chosen.push_back(static_cast<std::size_t>(std::max_element(votes.begin(), votes.end()) - votes.begin()));
    // Two classes, as ONNX Runtime writes them: first what is positive for class 1 (the pairwise decision is so for class 0), then its negative.
    if (classes == 2) decisions = {-decisions[0], decisions[0]};
    if (classes != 2)
      if (auto status = transform(call, decisions); !status) return fail(status.error());
    scores.insert(scores.end(), decisions.begin(), decisions.end());
  }
  std::vector<Tensor> results = one(labels.chosen(chosen));
  const std::int64_t columns = static_cast<std::int64_t>(scores.size()) / std::max<std::int64_t>(rows->count, 1);
  results.push_back(from_doubles({rows->count, columns}, std::move(scores), ElementType::float32));
  return results;
}

Result<std::vector<Tensor>> svm_regressor(const OperatorCall& call) {
  auto rows = read_rows(call);
  if (!rows) return fail(rows.error());
  auto kernel = read_kernel(call);
  if (!kernel) return fail(kernel.error());
  const auto vectors = call.numbers("support_vectors"), coefficients = call.numbers("coefficients"), rho = call.numbers("rho");
  const auto count = static_cast<std::size_t>(std::clamp<std::int64_t>(call.integer("n_supports", 0), 0, 10'000'000)), width = static_cast<std::size_t>(rows->width);
  const bool linear = count == 0;
  if (rho.empty() || (linear ? coefficients.size() != width : vectors.size() != count * width || coefficients.size() != count)) return call.wrong("has support vectors or coefficients that do not fit");
  std::vector<double> all;
  for (std::int64_t r = 0; r < rows->count; ++r) {
    double sum = rho[0];
    if (linear) sum += (*kernel)(rows->row(r), coefficients.data(), width);
    for (std::size_t v = 0; v < count; ++v) sum += coefficients[v] * (*kernel)(rows->row(r), vectors.data() + v * width, width);
    all.push_back(call.integer("one_class", 0) != 0 ? (sum > 0 ? 1 : -1) : sum);
  }
  return one(from_doubles({rows->count, 1}, std::move(all), ElementType::float32));
}

// -- preparation of rows --

Result<std::vector<Tensor>> scaler(const OperatorCall& call) {
  auto rows = read_rows(call);
  if (!rows) return fail(rows.error());
  const auto offset = call.numbers("offset"), scale = call.numbers("scale");
  const auto width = static_cast<std::size_t>(rows->width);
  if ((offset.size() != 1 && offset.size() != width) || (scale.size() != 1 && scale.size() != width)) return call.wrong("has offsets or scales that do not fit the rows");
  for (std::size_t at = 0; at < rows->values.size(); ++at) {
    const std::size_t f = at % width;
    // In the steps of single precision: subtract, round, multiply, round.
    const double shifted = rows->values[at] - offset[offset.size() == 1 ? 0 : f];
    rows->values[at] = static_cast<double>(static_cast<float>(shifted)) * scale[scale.size() == 1 ? 0 : f];
  }
  return one(from_doubles(call.inputs[0]->shape, std::move(rows->values), ElementType::float32));
}

Result<std::vector<Tensor>> normalizer(const OperatorCall& call) {
  auto rows = read_rows(call);
  if (!rows) return fail(rows.error());
  const std::string norm = call.text("norm", "MAX");
  if (norm != "MAX" && norm != "L1" && norm != "L2") return call.wrong("has a norm that is not known");
  for (std::int64_t r = 0; r < rows->count; ++r) {
    double* row = rows->values.data() + r * rows->width;
    double size = norm == "MAX" ? -std::numeric_limits<double>::infinity() : 0;
    for (std::int64_t f = 0; f < rows->width; ++f) size = norm == "MAX" ? std::max(size, row[f]) : size + (norm == "L1" ? std::abs(row[f]) : row[f] * row[f]);
    if (norm == "L2") size = std::sqrt(size);
    for (std::int64_t f = 0; f < rows->width && size != 0; ++f) row[f] /= size;
  }
  return one(from_doubles(call.inputs[0]->shape, std::move(rows->values), ElementType::float32));
}

Result<std::vector<Tensor>> imputer(const OperatorCall& call) {
  auto rows = read_rows(call);
  if (!rows) return fail(rows.error());
  const auto with = call.numbers("imputed_value_floats");
  const double replaced = call.number("replaced_value_float", std::numeric_limits<double>::quiet_NaN());
  const auto width = static_cast<std::size_t>(rows->width);
  if (with.size() != 1 && with.size() != width) return call.wrong("has values that do not fit the rows");
  for (std::size_t at = 0; at < rows->values.size(); ++at)
    if (std::isnan(replaced) ? std::isnan(rows->values[at]) : rows->values[at] == replaced) rows->values[at] = with[with.size() == 1 ? 0 : at % width];
  return one(from_doubles(call.inputs[0]->shape, std::move(rows->values), rows->type));
}

Result<std::vector<Tensor>> binarizer(const OperatorCall& call) {
  auto rows = read_rows(call);
  if (!rows) return fail(rows.error());
  const double threshold = call.number("threshold", 0);
  for (double& value : rows->values) value = value > threshold ? 1 : 0;
  return one(from_doubles(call.inputs[0]->shape, std::move(rows->values), rows->type));
}

Result<std::vector<Tensor>> array_feature_extractor(const OperatorCall& call) {
  const Tensor& data = *call.inputs[0];
  const auto indices = as_integers(call.inputs[1]);
  if (!indices || data.shape.empty()) return call.wrong("needs rows and integer indices");
  const std::int64_t n = data.shape.back(), outer = product(data.shape, 0, data.shape.size() - 1);
  std::vector<std::int64_t> shape(data.shape.begin(), data.shape.end() - 1);
  if (shape.empty()) shape.push_back(1);
  shape.push_back(static_cast<std::int64_t>(indices->size()));
  return std::visit(
      [&](const auto& values) -> Result<std::vector<Tensor>> {
        std::decay_t<decltype(values)> taken;
        for (std::int64_t row = 0; row < outer; ++row)
          for (const std::int64_t index : *indices) {
            if (index < 0 || index >= n) return call.wrong("takes a feature that is not there");
            taken.push_back(values[static_cast<std::size_t>(row * n + index)]);
          }
        return one({shape, std::move(taken)});
      },
      data.data);
}

template <typename Key, typename Value>
Result<std::vector<Tensor>> encode(const OperatorCall& call, const std::vector<Key>& keys, const std::vector<Value>& values, const Value& otherwise) {
  if (keys.size() != values.size()) return call.wrong("has keys and values of different lengths");
  std::map<Key, Value> table;
  for (std::size_t at = 0; at < keys.size(); ++at) table[keys[at]] = values[at];
  std::vector<Value> result;
  for (const Key& key : call.inputs[0]->values<Key>()) {
    const auto found = table.find(key);
    result.push_back(found == table.end() ? otherwise : found->second);
  }
  return one({call.inputs[0]->shape, std::move(result)});
}

Result<std::vector<Tensor>> label_encoder(const OperatorCall& call) {
  const ElementType type = call.inputs[0]->type();
  const auto floats = [&](const std::string& key) {
    const auto values = call.numbers(key);
    return std::vector<float>(values.begin(), values.end());
  };
  const std::string other_text = call.text("default_string", "_Unused");
  const std::int64_t other_integer = call.integer("default_int64", -1);
  const auto other_float = static_cast<float>(call.number("default_float", 0));
  if (call.has("classes_strings")) {  // opset 1: a word and its place
    const auto words = call.texts("classes_strings");
    std::vector<std::int64_t> places(words.size());
    for (std::size_t at = 0; at < words.size(); ++at) places[at] = static_cast<std::int64_t>(at);
    if (type == ElementType::text) return encode(call, words, places, other_integer);
    if (type == ElementType::int64) return encode(call, places, words, other_text);
    return call.wrong("gets labels of a type that does not fit");
  }
  if (type == ElementType::int64 && call.has("keys_int64s")) {
    if (call.has("values_int64s")) return encode(call, call.integers("keys_int64s"), call.integers("values_int64s"), other_integer);
    if (call.has("values_strings")) return encode(call, call.integers("keys_int64s"), call.texts("values_strings"), other_text);
    if (call.has("values_floats")) return encode(call, call.integers("keys_int64s"), floats("values_floats"), other_float);
  }
  if (type == ElementType::text && call.has("keys_strings")) {
    if (call.has("values_int64s")) return encode(call, call.texts("keys_strings"), call.integers("values_int64s"), other_integer);
    if (call.has("values_strings")) return encode(call, call.texts("keys_strings"), call.texts("values_strings"), other_text);
    if (call.has("values_floats")) return encode(call, call.texts("keys_strings"), floats("values_floats"), other_float);
  }
  if (type == ElementType::float32 && call.has("keys_floats")) {
    if (call.has("values_floats")) return encode(call, floats("keys_floats"), floats("values_floats"), other_float);
    if (call.has("values_int64s")) return encode(call, floats("keys_floats"), call.integers("values_int64s"), other_integer);
  }
  return call.wrong("maps labels in a way that is not supported");
}

// A list of maps from label to score holds the same numbers as the matrix it is made of.
Result<std::vector<Tensor>> zip_map(const OperatorCall& call) { return one(*call.inputs[0]); }

Result<std::vector<Tensor>> feature_vectorizer(const OperatorCall& call) {
  std::int64_t rows = -1, width = 0;
  for (const Tensor* input : call.inputs) {
    if (input == nullptr || input->type() == ElementType::text || input->shape.empty() || input->shape.size() > 2) return call.wrong("needs rows of numbers");
    const std::int64_t count = input->shape.size() == 2 ? input->shape[0] : 1;
    if (rows >= 0 && count != rows) return call.wrong("joins different numbers of rows");
    rows = count;
    width += input->shape.back();
  }
  std::vector<double> joined;
  std::vector<std::vector<double>> parts;
  for (const Tensor* input : call.inputs) parts.push_back(as_doubles(*input));
  for (std::int64_t row = 0; row < rows; ++row)
    for (std::size_t at = 0; at < parts.size(); ++at) {
      const std::int64_t n = call.inputs[at]->shape.back();
      joined.insert(joined.end(), parts[at].begin() + row * n, parts[at].begin() + (row + 1) * n);
    }
  return one(from_doubles({rows, width}, std::move(joined), ElementType::float32));
}

Result<std::vector<Tensor>> one_hot_encoder(const OperatorCall& call) {
  const auto categories = call.integers("cats_int64s");
  const auto words = call.texts("cats_strings");
  const Tensor& x = *call.inputs[0];
  const bool lenient = call.integer("zeros", 1) != 0;
  const std::size_t count = words.empty() ? categories.size() : words.size();
  std::vector<double> result;
  const auto place = [&](std::size_t at) {
    if (!lenient && at == count) return false;
    for (std::size_t c = 0; c < count; ++c) result.push_back(c == at ? 1 : 0);
    return true;
  };
  bool known = true;
  if (x.type() == ElementType::text) {
    for (const std::string& value : x.values<std::string>()) known = place(static_cast<std::size_t>(std::find(words.begin(), words.end(), value) - words.begin())) && known;
  } else {
    for (const double value : as_doubles(x))
      known = place(static_cast<std::size_t>(std::find_if(categories.begin(), categories.end(), [value](std::int64_t c) { return static_cast<double>(c) == value; }) - categories.begin())) && known;
  }
  if (!known) return call.wrong("gets a category that it does not know");
  std::vector<std::int64_t> shape = x.shape;
  shape.push_back(static_cast<std::int64_t>(count));
  return one(from_doubles(shape, std::move(result), ElementType::float32));
}

constexpr OperatorRow rows[] = {
    {"TreeEnsembleClassifier", tree_classifier, 1}, {"TreeEnsembleRegressor", tree_regressor, 1}, {"LinearClassifier", linear_classifier, 1}, {"LinearRegressor", linear_regressor, 1},
    {"SVMClassifier", svm_classifier, 1}, {"SVMRegressor", svm_regressor, 1}, {"Scaler", scaler, 1}, {"Normalizer", normalizer, 1}, {"Imputer", imputer, 1}, {"Binarizer", binarizer, 1},
    {"ArrayFeatureExtractor", array_feature_extractor, 2}, {"LabelEncoder", label_encoder, 1}, {"ZipMap", zip_map, 1}, {"FeatureVectorizer", feature_vectorizer, 1},
    {"OneHotEncoder", one_hot_encoder, 1},
};

}  // namespace

std::span<const OperatorRow> machine_learning_operators() { return rows; }

}  // namespace choana::processing
