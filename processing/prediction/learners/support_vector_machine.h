#pragma once

#include <vector>

namespace choana::processing {

/// A two-class support vector machine: decision d = sum of dual_coefficients * K(support vector, x) + intercept, class 1
/// where d > 0.
struct SupportVectorMachine {
  enum class Kernel { linear, poly, rbf, sigmoid };
  /// How d becomes a probability. none: it does not, the value is d. sigmoid: 1 / (1 + exp(A d + B)). libsvm_coupling:
  /// what libsvm (and scikit-learn's SVC) does even for two classes: its pairwise estimate, then its iterative coupling
  /// that stops early (up to 0.004 away from the sigmoid; spec/models.md 2, trap 7).
  enum class Probability { none, sigmoid, libsvm_coupling };

  Kernel kernel = Kernel::rbf;
  double gamma = 0;
  double coef0 = 0;
  double degree = 3;
  std::vector<std::vector<double>> support_vectors;
  std::vector<double> dual_coefficients;
  double intercept = 0;
  Probability probability = Probability::none;
  double a = 0;
  double b = 0;
};

[[nodiscard]] double svm_decision(const SupportVectorMachine& machine, const std::vector<double>& row);

/// Probability of class 1 (Probability::none: the decision itself).
/// Source: libsvm 3.24 sigmoid_predict and multiclass_probability; Wu, Lin, Weng 2004 (JMLR 5), algorithm 2.
[[nodiscard]] double svm_value(const SupportVectorMachine& machine, double decision);

}  // namespace choana::processing
