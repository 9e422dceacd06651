#include "processing/prediction/learners/multilayer_perceptron.h"

#include <cmath>

namespace choana::processing {

std::vector<double> network_margins(const MultilayerPerceptron& network, const std::vector<double>& row) {
  using Activation = MultilayerPerceptron::Activation;
  std::vector<double> values = row;
  for (std::size_t layer = 0; layer < network.weights.size(); ++layer) {
    std::vector<double> next(network.intercepts[layer].size(), 0.0);
    for (std::size_t in = 0; in < values.size(); ++in)
      for (std::size_t out = 0; out < next.size(); ++out) next[out] += values[in] * network.weights[layer][in][out];
    for (std::size_t out = 0; out < next.size(); ++out) {
      double& value = next[out];
      value += network.intercepts[layer][out];
      if (layer + 1 == network.weights.size()) continue;
      if (network.activation == Activation::relu) value = value > 0 ? value : 0;
      if (network.activation == Activation::tanh) value = std::tanh(value);
      if (network.activation == Activation::logistic) value = 1 / (1 + std::exp(-value));
    }
    values = std::move(next);
  }
  return values;
}

}  // namespace choana::processing
