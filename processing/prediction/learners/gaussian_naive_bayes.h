#pragma once

#include <vector>

namespace choana::processing {

/// Gaussian naive Bayes, one row a class; variances are already smoothed.
struct GaussianNaiveBayes {
  std::vector<double> priors;
  std::vector<std::vector<double>> means;
  std::vector<std::vector<double>> variances;
};

/// Logarithm of prior x likelihood, one a class.
[[nodiscard]] std::vector<double> joint_log_likelihoods(const GaussianNaiveBayes& model, const std::vector<double>& row);

}  // namespace choana::processing
