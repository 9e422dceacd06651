#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/result.h"
#include "processing/prediction/learners/learner.h"
#include "processing/prediction/learners/prepared_trees.h"
#include "processing/prediction/shapley/attribution.h"

namespace choana::processing {

/// Interventional Shapley values of margins: where an input is unknown it takes its values from the background rows, which
/// count equally. base = mean margin over the background. One attribution an output. row and background: the learner's
/// inputs before its scaler.

/// Background rows beside the trees that they explain: which of them go left at each split, as bits, and the mean margins.
struct PreparedBackground {
  std::vector<std::vector<double>> rows;
  std::shared_ptr<const PreparedTrees> trees;
  std::size_t blocks = 0;              // of 64 rows
  std::vector<std::uint64_t> left;     // by split, then block
  std::vector<double> bases;           // by output
  bool missing = false;                // some row lacks an input that some split asks
  std::optional<Error> trouble;        // a row that the trees cannot score
};
[[nodiscard]] PreparedBackground prepare_background(const TreeEnsemble& ensemble, const std::vector<std::vector<double>>& background);

/// Trees, closed form by leaf (Lundberg et al. 2020, doi 10.1038/s42256-019-0138-9, algorithm 2); background rows that take the same way are walked
/// together. Missing values allowed where the trees have a rule. Errors: missing_value; not_computable (trees deeper than `explained_depth_max`).
[[nodiscard]] Result<std::vector<Attribution>> explain_trees_interventional(const TreeEnsemble& ensemble, const std::vector<double>& row, const PreparedBackground& background);
[[nodiscard]] Result<std::vector<Attribution>> explain_trees_interventional(const TreeEnsemble& ensemble, const std::vector<double>& row,
                                                                            const std::vector<std::vector<double>>& background);

/// Sum over v of weight v * product over inputs of exp(-rate_i (v_i - x_i)^2), plus offset: the decision of an RBF support
/// vector machine, the mean of a Gaussian process. A product game, whose Shapley integral Gauss-Legendre quadrature
/// computes exactly (decision 0005). Cost: vectors x background x inputs^2 / 2.
struct ProductKernel {
  std::vector<double> rates;                    // one an input
  std::vector<std::vector<double>> vectors;
  std::vector<double> weights;                  // one a vector
  double offset = 0;
};
[[nodiscard]] Attribution explain_product_kernel(const ProductKernel& kernel, const std::vector<double>& row, const std::vector<std::vector<double>>& background);

/// Gaussian naive Bayes: the margins are sums over inputs, so the share is the term at the row minus its mean over the
/// background. Two classes: one attribution, of log odds.
[[nodiscard]] std::vector<Attribution> explain_naive_bayes(const GaussianNaiveBayes& model, const std::vector<double>& row,
                                                           const std::vector<std::vector<double>>& background);

/// Up to this many inputs all subsets are enumerated.
constexpr std::size_t enumerated_inputs_max = 15;

/// Any learner, exactly: the margins of all 2^inputs subsets. Errors: as `score`; limit_exceeded (too many inputs).
[[nodiscard]] Result<std::vector<Attribution>> explain_by_enumeration(const Learner& learner, const std::vector<double>& row,
                                                                      const std::vector<std::vector<double>>& background);

/// Any learner, estimated: random orders of the inputs, each with its reverse, the background rows in turn. The numbers
/// depend on the inputs and the seed alone. Adds up exactly. standard_error: largest of any share.
/// Source: Castro, Gomez, Tejada 2009; the pairs are antithetic (Mitchell et al. 2022, JMLR 23).
struct SampledAttributions {
  std::vector<Attribution> attributions;
  double standard_error = 0;
};
[[nodiscard]] Result<SampledAttributions> explain_by_permutation(const Learner& learner, const std::vector<double>& row,
                                                                 const std::vector<std::vector<double>>& background, std::size_t pairs = 200,
                                                                 std::uint64_t seed = 20260101);

}  // namespace choana::processing
