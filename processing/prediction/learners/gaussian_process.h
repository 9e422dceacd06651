#pragma once

#include <vector>

namespace choana::processing {

/// Two-class Gaussian process by Laplace's approximation, kernel constant * exp(-sum (d_i / length_scale_i)^2 / 2).
struct GaussianProcess {
  double constant = 1;
  std::vector<double> length_scales;               // one an input
  std::vector<std::vector<double>> rows;           // training rows
  std::vector<double> y_minus_pi;                  // label minus probability at the mode
  std::vector<double> w_sr;                        // square root of W
  std::vector<std::vector<double>> lower;          // Cholesky factor of I + W^1/2 K W^1/2, lower triangle
};

/// Mean of the latent function: the margin. Class 1 where it is above 0.
[[nodiscard]] double latent_mean(const GaussianProcess& process, const std::vector<double>& row);

/// Probability of class 1: the logistic function averaged over the latent distribution by a sum of five error functions.
/// Source: Williams and Barber 1998, appendix A; the coefficients are those of scikit-learn.
[[nodiscard]] double process_probability(const GaussianProcess& process, const std::vector<double>& row);

}  // namespace choana::processing
