#include "processing/prediction/shapley/interventional_shapley.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "processing/prediction/shapley/gauss_legendre.h"
#include "processing/prediction/shapley/tree_shapley.h"

namespace choana::processing {
namespace {

// Walks one tree with a row and a background row side by side. Where they part, the row's way needs the feature known
// and the background's way needs it unknown. A leaf reached with `known` + `unknown` such features is a game of weight
// known! unknown! / (known + unknown)!.
class PairedWalk {
 public:
  PairedWalk(std::size_t features, std::vector<double>& shares) : sides_(features, 0), shares_(shares) {}

  // False if a value is missing where the tree has no rule for it.
  [[nodiscard]] bool add(const DecisionTree& tree, SplitRule rule, const std::vector<double>& row, const std::vector<double>& other) {
    tree_ = &tree;
    rule_ = rule;
    row_ = &row;
    other_ = &other;
    defined_ = true;
    visit(0);
    return defined_;
  }

 private:
  void visit(int index) {
    const TreeNode& node = tree_->nodes[static_cast<std::size_t>(index)];
    if (node.is_leaf()) return give(node.value);
    const auto feature = static_cast<std::size_t>(node.feature);
    const auto mine = way_at(*tree_, node, rule_, (*row_)[feature]), its = way_at(*tree_, node, rule_, (*other_)[feature]);
    if (mine == TreeNode::Missing::undefined || its == TreeNode::Missing::undefined) {
      defined_ = false;
      return;
    }
    const auto child = [&](TreeNode::Missing way) { return way == TreeNode::Missing::left ? node.left : node.right; };
    if (mine == its) return visit(child(mine));
    if (sides_[feature] > 0) return visit(child(mine));
    if (sides_[feature] < 0) return visit(child(its));
    sides_[feature] = 1;
    known_.push_back(feature);
    visit(child(mine));
    known_.pop_back();
    sides_[feature] = -1;
    unknown_.push_back(feature);
    visit(child(its));
    unknown_.pop_back();
    sides_[feature] = 0;
  }

  void give(double value) {
    const std::size_t k = known_.size(), u = unknown_.size();
    if (k + u == 0) return;
    // k! u! / (k + u)! = 1 / binomial, built up without large numbers.
    double inverse = 1;
    for (std::size_t n = 1; n <= u; ++n) inverse *= static_cast<double>(n) / static_cast<double>(k + n);
    for (const std::size_t feature : known_) shares_[feature] += value * inverse / static_cast<double>(k);
    for (const std::size_t feature : unknown_) shares_[feature] -= value * inverse / static_cast<double>(u);
  }

  std::vector<int> sides_;
  std::vector<double>& shares_;
  std::vector<std::size_t> known_, unknown_;
  const DecisionTree* tree_ = nullptr;
  SplitRule rule_ = SplitRule::le_f64;
  const std::vector<double>* row_ = nullptr;
  const std::vector<double>* other_ = nullptr;
  bool defined_ = true;
};

// The same walk for many background rows at once: those that part from the row at the same splits are one game, counted so often.
class GroupedWalk {
 public:
  GroupedWalk(const PreparedBackground& background, const std::vector<double>& slots)
      : background_(background), slots_(slots), sides_(background.trees->used.size(), 0) {
    for (std::size_t k = 0; k < tabled; ++k)
      for (std::size_t u = 0; u < tabled; ++u) inverses_[k][u] = inverse_binomial(k, u);
  }

  void add(const PreparedTree& tree, std::vector<double>& shares) {
    tree_ = &tree;
    splits_ = background_.trees->splits.data() + tree.first_split;
    shares_ = &shares;
    for (block_ = 0; block_ < background_.blocks; ++block_) {
      const std::size_t rows = std::min<std::size_t>(64, background_.rows.size() - 64 * block_);
      visit(0, rows == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << rows) - 1);
    }
  }

 private:
  static constexpr std::size_t tabled = 12;

  // k! u! / (k + u)!, built up without large numbers.
  static double inverse_binomial(std::size_t k, std::size_t u) {
    double inverse = 1;
    for (std::size_t n = 1; n <= u; ++n) inverse *= static_cast<double>(n) / static_cast<double>(k + n);
    return inverse;
  }

  void visit(std::int32_t at, std::uint64_t set) {
    const auto position = static_cast<std::size_t>(at);
    if (position >= tree_->splits) return give(background_.trees->leaves[tree_->first_leaf + position - tree_->splits], std::popcount(set));
    const PreparedSplit& split = splits_[position];
    const std::uint64_t left = background_.left[(tree_->first_split + position) * background_.blocks + block_];
    const bool goes_left = slots_[split.slot] <= split.threshold;
    const std::int32_t mine = goes_left ? split.left : split.right, others = goes_left ? split.right : split.left;
    const std::uint32_t feature = split.slot / 4;
    if (sides_[feature] > 0) return visit(mine, set);
    const std::uint64_t same = set & (goes_left ? left : ~left), parted = set & ~same;
    if (same != 0) visit(mine, same);
    if (parted == 0) return;
    if (sides_[feature] < 0) return visit(others, parted);
    sides_[feature] = 1;
    known_.push_back(feature);
    visit(mine, parted);
    known_.pop_back();
    sides_[feature] = -1;
    unknown_.push_back(feature);
    visit(others, parted);
    unknown_.pop_back();
    sides_[feature] = 0;
  }

  void give(double value, int rows) {
    const std::size_t k = known_.size(), u = unknown_.size();
    if (k + u == 0) return;
    const double weight = value * rows * (k < tabled && u < tabled ? inverses_[k][u] : inverse_binomial(k, u));
    for (const std::uint32_t feature : known_) (*shares_)[feature] += weight / static_cast<double>(k);
    for (const std::uint32_t feature : unknown_) (*shares_)[feature] -= weight / static_cast<double>(u);
  }

  const PreparedBackground& background_;
  const std::vector<double>& slots_;
  std::vector<std::int8_t> sides_;  // by used feature: 1 known, -1 unknown, 0 not decided
  std::vector<std::uint32_t> known_, unknown_;
  double inverses_[tabled][tabled];
  const PreparedTree* tree_ = nullptr;
  const PreparedSplit* splits_ = nullptr;
  std::vector<double>* shares_ = nullptr;
  std::size_t block_ = 0;
};

// Small and the same everywhere, unlike the distributions of the standard library.
class Generator {
 public:
  explicit Generator(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {  // SplitMix64
    std::uint64_t z = state_ += 0x9E3779B97F4A7C15U;
    z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31U);
  }

 private:
  std::uint64_t state_;
};

}  // namespace

PreparedBackground prepare_background(const TreeEnsemble& ensemble, const std::vector<std::vector<double>>& background) {
  PreparedBackground prepared;
  prepared.rows = background;
  prepared.trees = ensemble.prepared != nullptr && ensemble.prepared->fits(ensemble) ? ensemble.prepared : prepare_trees(ensemble);
  prepared.blocks = (background.size() + 63) / 64;
  prepared.left.assign(prepared.trees->splits.size() * prepared.blocks, 0);
  prepared.bases.assign(ensemble.base.size(), 0.0);
  std::vector<double> slots;
  for (std::size_t b = 0; b < background.size(); ++b) {
    prepared.missing = prepare_row(*prepared.trees, ensemble.rule, background[b], slots) || prepared.missing;
    for (std::size_t s = 0; s < prepared.trees->splits.size(); ++s)
      if (slots[prepared.trees->splits[s].slot] <= prepared.trees->splits[s].threshold) prepared.left[s * prepared.blocks + b / 64] |= std::uint64_t{1} << (b % 64);
    for (const DecisionTree& tree : ensemble.trees) {
      const int leaf = leaf_of(tree, ensemble.rule, background[b]);
      if (leaf < 0) {
        prepared.trouble = Error{ErrorCode::missing_value, "explain", "An input of a background row is missing and a tree does not say where missing values go."};
        return prepared;
      }
      prepared.bases[static_cast<std::size_t>(tree.group)] += tree.nodes[static_cast<std::size_t>(leaf)].value / static_cast<double>(background.size());
    }
  }
  for (std::size_t g = 0; g < prepared.bases.size(); ++g) prepared.bases[g] = ensemble.base[g] + ensemble.scale * prepared.bases[g];
  return prepared;
}

Result<std::vector<Attribution>> explain_trees_interventional(const TreeEnsemble& ensemble, const std::vector<double>& row, const PreparedBackground& background) {
  if (background.trouble) return fail(*background.trouble);
  const PreparedTrees& prepared = *background.trees;
  int depth = 0;
  for (const PreparedTree& tree : prepared.trees) depth = std::max(depth, tree.depth);
  if (depth > explained_depth_max)
    return fail(ErrorCode::not_computable, "explain", "A tree is deeper than " + std::to_string(explained_depth_max) + " levels and is not explained.");
  const std::size_t used = prepared.used.size();
  std::vector<double> slots;
  const bool missing = prepare_row(prepared, ensemble.rule, row, slots) || background.missing;
  std::vector<std::vector<double>> shares(ensemble.base.size(), std::vector<double>(used, 0.0)), slow(ensemble.base.size(), std::vector<double>(row.size(), 0.0));
  GroupedWalk walk(background, slots);
  for (std::size_t t = 0; t < ensemble.trees.size(); ++t) {
    const PreparedTree& tree = prepared.trees[t];
    const auto group = static_cast<std::size_t>(tree.group);
    if (tree.plain && !(missing && tree.undefined)) {
      walk.add(tree, shares[group]);
      continue;
    }
    PairedWalk paired(row.size(), slow[group]);
    for (const auto& other : background.rows)
      if (!paired.add(ensemble.trees[t], ensemble.rule, row, other))
        return fail(ErrorCode::missing_value, "explain", "An input is missing and a tree does not say where missing values go.");
  }
  std::vector<Attribution> attributions;
  const double factor = ensemble.scale / static_cast<double>(background.rows.size());
  for (std::size_t g = 0; g < ensemble.base.size(); ++g) {
    for (std::size_t f = 0; f < used; ++f) slow[g][prepared.used[f]] += shares[g][f];
    for (double& share : slow[g]) share *= factor;
    attributions.push_back({background.bases[g], std::move(slow[g])});
  }
  return attributions;
}

Result<std::vector<Attribution>> explain_trees_interventional(const TreeEnsemble& ensemble, const std::vector<double>& row,
                                                              const std::vector<std::vector<double>>& background) {
  return explain_trees_interventional(ensemble, row, prepare_background(ensemble, background));
}

Attribution explain_product_kernel(const ProductKernel& kernel, const std::vector<double>& row, const std::vector<std::vector<double>>& background) {
  const std::size_t inputs = row.size();
  const Quadrature quadrature = gauss_legendre(std::max<std::size_t>(1, (inputs + 1) / 2));
  const std::size_t nodes = quadrature.nodes.size();
  Attribution attribution{0, std::vector<double>(inputs, 0.0)};
  std::vector<double> known(inputs), unknown(inputs), before((inputs + 1) * nodes), after(nodes);
  for (std::size_t v = 0; v < kernel.vectors.size(); ++v) {
    for (std::size_t i = 0; i < inputs; ++i) known[i] = std::exp(-kernel.rates[i] * (kernel.vectors[v][i] - row[i]) * (kernel.vectors[v][i] - row[i]));
    for (const auto& other : background) {
      double product = 1;
      for (std::size_t i = 0; i < inputs; ++i) {
        unknown[i] = std::exp(-kernel.rates[i] * (kernel.vectors[v][i] - other[i]) * (kernel.vectors[v][i] - other[i]));
        product *= unknown[i];
      }
      attribution.base += kernel.weights[v] * product;
      // Products of the factors before and after each input: nothing is divided, a factor may be 0.
      std::fill_n(before.begin(), nodes, 1.0);
      for (std::size_t i = 0; i < inputs; ++i)
        for (std::size_t q = 0; q < nodes; ++q)
          before[(i + 1) * nodes + q] = before[i * nodes + q] * (unknown[i] + (known[i] - unknown[i]) * quadrature.nodes[q]);
      for (std::size_t q = 0; q < nodes; ++q) after[q] = quadrature.weights[q] * kernel.weights[v];
      for (std::size_t i = inputs; i-- > 0;) {
        double integral = 0;
        for (std::size_t q = 0; q < nodes; ++q) {
          integral += before[i * nodes + q] * after[q];
          after[q] *= unknown[i] + (known[i] - unknown[i]) * quadrature.nodes[q];
        }
        attribution.shares[i] += (known[i] - unknown[i]) * integral;
      }
    }
  }
  const double count = static_cast<double>(background.size());
  for (double& share : attribution.shares) share /= count;
  attribution.base = attribution.base / count + kernel.offset;
  return attribution;
}

std::vector<Attribution> explain_naive_bayes(const GaussianNaiveBayes& model, const std::vector<double>& row, const std::vector<std::vector<double>>& background) {
  const std::size_t classes = model.priors.size();
  std::vector<Attribution> logs(classes);
  for (std::size_t c = 0; c < classes; ++c) {
    logs[c].shares.assign(row.size(), 0.0);
    logs[c].base = std::log(model.priors[c]);
    for (std::size_t i = 0; i < row.size(); ++i) {
      const auto term = [&](double x) { return -0.5 * (x - model.means[c][i]) * (x - model.means[c][i]) / model.variances[c][i]; };
      double mean = 0;
      for (const auto& other : background) mean += term(other[i]) / static_cast<double>(background.size());
      logs[c].base += mean - 0.5 * std::log(2 * std::acos(-1.0) * model.variances[c][i]);
      logs[c].shares[i] = term(row[i]) - mean;
    }
  }
  if (classes != 2) return logs;
  Attribution odds{logs[1].base - logs[0].base, std::vector<double>(row.size())};
  for (std::size_t i = 0; i < row.size(); ++i) odds.shares[i] = logs[1].shares[i] - logs[0].shares[i];
  return {odds};
}

Result<std::vector<Attribution>> explain_by_enumeration(const Learner& learner, const std::vector<double>& row, const std::vector<std::vector<double>>& background) {
  const std::size_t inputs = row.size(), outputs = learner.outputs();
  if (inputs > enumerated_inputs_max)
    return fail(ErrorCode::limit_exceeded, "explain", "More than " + std::to_string(enumerated_inputs_max) + " inputs are not enumerated.");
  const std::size_t subsets = std::size_t{1} << inputs;
  std::vector<double> games(subsets * outputs, 0.0);
  std::vector<std::vector<double>> mixed(background.size(), std::vector<double>(inputs));
  for (std::size_t s = 0; s < subsets; ++s) {
    for (std::size_t b = 0; b < background.size(); ++b)
      for (std::size_t i = 0; i < inputs; ++i) mixed[b][i] = ((s >> i) & 1U) != 0 ? row[i] : background[b][i];
    const auto margins = margins_of(learner, mixed);
    if (!margins) return fail(margins.error());
    for (const auto& one : *margins)
      for (std::size_t o = 0; o < outputs; ++o) games[s * outputs + o] += one[o] / static_cast<double>(background.size());
  }
  // Weight of a subset of n inputs that misses the one in question: n! (inputs - n - 1)! / inputs!.
  std::vector<double> weights(inputs);
  for (std::size_t n = 0; n < inputs; ++n) {
    double weight = 1 / static_cast<double>(inputs);
    for (std::size_t k = 1; k <= n; ++k) weight *= static_cast<double>(k) / static_cast<double>(inputs - k);
    weights[n] = weight;
  }
  std::vector<Attribution> attributions(outputs);
  for (std::size_t o = 0; o < outputs; ++o) {
    attributions[o] = {games[o], std::vector<double>(inputs, 0.0)};
    for (std::size_t i = 0; i < inputs; ++i)
      for (std::size_t s = 0; s < subsets; ++s)
        if (((s >> i) & 1U) == 0)
          attributions[o].shares[i] += weights[static_cast<std::size_t>(std::popcount(s))] * (games[(s | (std::size_t{1} << i)) * outputs + o] - games[s * outputs + o]);
  }
  return attributions;
}

Result<SampledAttributions> explain_by_permutation(const Learner& learner, const std::vector<double>& row, const std::vector<std::vector<double>>& background,
                                                   std::size_t pairs, std::uint64_t seed) {
  const std::size_t inputs = row.size(), outputs = learner.outputs();
  // Every background row has its turn equally often, so that the base is their mean.
  pairs = (std::max<std::size_t>(pairs, 1) + background.size() - 1) / background.size() * background.size();
  std::vector<double> sums(inputs * outputs, 0.0), squares(inputs * outputs, 0.0), one(inputs * outputs), bases(outputs, 0.0);
  std::vector<std::size_t> order(inputs);
  std::iota(order.begin(), order.end(), std::size_t{0});
  Generator generator(seed);
  for (std::size_t p = 0; p < pairs; ++p) {
    const std::vector<double>& other = background[p % background.size()];
    for (std::size_t i = inputs; i > 1; --i) std::swap(order[i - 1], order[generator.next() % i]);
    std::fill(one.begin(), one.end(), 0.0);
    for (const bool reversed : {false, true}) {
      // The background row, and after each input that takes its value from the row.
      std::vector<std::vector<double>> mixed{other};
      for (std::size_t step = 0; step < inputs; ++step) {
        const std::size_t i = order[reversed ? inputs - 1 - step : step];
        mixed.push_back(mixed.back());
        mixed.back()[i] = row[i];
      }
      const auto margins = margins_of(learner, mixed);
      if (!margins) return fail(margins.error());
      if (!reversed)
        for (std::size_t o = 0; o < outputs; ++o) bases[o] += (*margins)[0][o];
      for (std::size_t step = 0; step < inputs; ++step) {
        const std::size_t i = order[reversed ? inputs - 1 - step : step];
        for (std::size_t o = 0; o < outputs; ++o) one[i * outputs + o] += 0.5 * ((*margins)[step + 1][o] - (*margins)[step][o]);
      }
    }
    for (std::size_t n = 0; n < one.size(); ++n) {
      sums[n] += one[n];
      squares[n] += one[n] * one[n];
    }
  }
  SampledAttributions result;
  const double count = static_cast<double>(pairs);
  result.attributions.assign(outputs, Attribution{0, std::vector<double>(inputs, 0.0)});
  for (std::size_t o = 0; o < outputs; ++o) {
    result.attributions[o].base = bases[o] / count;
    for (std::size_t i = 0; i < inputs; ++i) {
      const double mean = sums[i * outputs + o] / count;
      result.attributions[o].shares[i] = mean;
      const double variance = std::max(0.0, squares[i * outputs + o] / count - mean * mean);
      if (pairs > 1) result.standard_error = std::max(result.standard_error, std::sqrt(variance / (count - 1)));
    }
  }
  return result;
}

}  // namespace choana::processing
