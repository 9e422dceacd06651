#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/result.h"
#include "processing/habitats/point_table.h"

namespace choana {
class TaskPool;
}

namespace choana::processing {

/// scikit-learn's defaults are one start, tol 1e-3 and 100 iterations; these are what its results settle to (spec: habitats).
struct GaussianMixtureSettings {
  int starts = 5;
  int iterations_max = 1000;
  double tolerance = 1e-6;        // of the mean log-likelihood of a point, between two iterations
  double regularisation = 1e-6;   // added to the diagonal of every covariance
  std::uint64_t seed = 1;
};

/// A mixture of Gaussians with full covariances.
struct GaussianMixture {
  std::vector<double> weights;      // k
  std::vector<double> means;        // k x columns
  std::vector<double> covariances;  // k x columns x columns
  double log_likelihood = 0;        // mean of a point
  double bic = 0;                   // -2 rows log_likelihood + parameters ln rows: the lower the better
  int iterations = 0;               // of the start that won
  bool converged = false;

  [[nodiscard]] int components() const { return static_cast<int>(weights.size()); }
};

/// Fit by expectation maximisation. Each start takes its responsibilities from one k-means++ and Lloyd run; the start with the
/// highest likelihood wins, the first of equals. Sums of exponentials by log-sum-exp, densities by Cholesky. The same values at any
/// number of threads.
/// Errors: invalid_argument (k < 1, no points, values that are not finite), roi_too_small (fewer different points than k),
/// degenerate_input (a covariance that is not positive definite in spite of the regularisation).
/// Source: Dempster, Laird and Rubin 1977; Schwarz 1978 for the BIC; conventions of scikit-learn's GaussianMixture.
[[nodiscard]] Result<GaussianMixture> fit_gaussian_mixture(const PointTable& points, int k, const GaussianMixtureSettings& settings, TaskPool* pool = nullptr);

/// Mixtures of 1 to k_max components, each fitted as above, side by side. An entry stays empty where its fit failed.
/// Errors: as above where k = 1 fails.
[[nodiscard]] Result<std::vector<std::optional<GaussianMixture>>> fit_gaussian_mixtures(const PointTable& points, int k_max, const GaussianMixtureSettings& settings,
                                                                                       TaskPool* pool = nullptr);

/// The component a point most probably belongs to (0..k-1, the lowest of equals), one a row.
/// Errors: invalid_argument (other columns), degenerate_input.
[[nodiscard]] Result<std::vector<int>> most_probable_components(const GaussianMixture& mixture, const PointTable& points);

}  // namespace choana::processing
