#include "processing/prediction/learners/gaussian_process.h"

#include <array>
#include <cmath>
#include <numbers>

namespace choana::processing {
namespace {

std::vector<double> kernel_row(const GaussianProcess& process, const std::vector<double>& row) {
  std::vector<double> k(process.rows.size());
  for (std::size_t n = 0; n < k.size(); ++n) {
    double sum = 0;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const double d = (process.rows[n][i] - row[i]) / process.length_scales[i];
      sum += d * d;
    }
    k[n] = process.constant * std::exp(-0.5 * sum);
  }
  return k;
}

double mean_of(const GaussianProcess& process, const std::vector<double>& k) {
  double sum = 0;
  for (std::size_t n = 0; n < k.size(); ++n) sum += k[n] * process.y_minus_pi[n];
  return sum;
}

}  // namespace

double latent_mean(const GaussianProcess& process, const std::vector<double>& row) { return mean_of(process, kernel_row(process, row)); }

double process_probability(const GaussianProcess& process, const std::vector<double>& row) {
  const std::vector<double> k = kernel_row(process, row);
  const double mean = mean_of(process, k);
  // v = L^-1 (W^1/2 k), forward substitution.
  std::vector<double> v(k.size());
  double explained = 0;
  for (std::size_t n = 0; n < k.size(); ++n) {
    double sum = process.w_sr[n] * k[n];
    for (std::size_t m = 0; m < n; ++m) sum -= process.lower[n][m] * v[m];
    v[n] = sum / process.lower[n][n];
    explained += v[n] * v[n];
  }
  const double variance = process.constant - explained;
  static constexpr std::array<double, 5> lambdas{0.41, 0.4, 0.37, 0.44, 0.39};
  static constexpr std::array<double, 5> weights{-1854.8214151, 3516.89893646, 221.29346712, 128.12323805, -2010.49422654};
  const double alpha = 1 / (2 * variance);
  double probability = 0, total = 0;
  for (std::size_t t = 0; t < lambdas.size(); ++t) {
    const double integral = std::sqrt(std::numbers::pi / alpha) * std::erf(lambdas[t] * mean * std::sqrt(alpha / (alpha + lambdas[t] * lambdas[t]))) /
                            (2 * std::sqrt(variance * 2 * std::numbers::pi));
    probability += weights[t] * integral;
    total += weights[t];
  }
  return probability + 0.5 * total;
}

}  // namespace choana::processing
