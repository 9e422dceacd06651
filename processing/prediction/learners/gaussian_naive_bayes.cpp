#include "processing/prediction/learners/gaussian_naive_bayes.h"

#include <cmath>
#include <numbers>

namespace choana::processing {

std::vector<double> joint_log_likelihoods(const GaussianNaiveBayes& model, const std::vector<double>& row) {
  std::vector<double> logs(model.priors.size());
  for (std::size_t c = 0; c < logs.size(); ++c) {
    double normaliser = 0, distance = 0;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const double variance = model.variances[c][i], offset = row[i] - model.means[c][i];
      normaliser += std::log(2 * std::numbers::pi * variance);
      distance += offset * offset / variance;
    }
    logs[c] = std::log(model.priors[c]) - 0.5 * normaliser - 0.5 * distance;
  }
  return logs;
}

}  // namespace choana::processing
