#pragma once

#include <vector>

#include "processing/prediction/learners/link.h"

namespace choana::processing {

/// A fully connected network.
struct MultilayerPerceptron {
  enum class Activation { relu, tanh, logistic, identity };
  std::vector<std::vector<std::vector<double>>> weights;  // [layer][in][out]
  std::vector<std::vector<double>> intercepts;            // [layer][out]
  Activation activation = Activation::relu;               // of the hidden layers
  Link output = Link::logistic;
};

/// Outputs of the last layer before its link.
[[nodiscard]] std::vector<double> network_margins(const MultilayerPerceptron& network, const std::vector<double>& row);

}  // namespace choana::processing
