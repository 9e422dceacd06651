#pragma once

#include <vector>

namespace choana::processing {

/// k nearest training rows by Euclidean distance; equally far rows in the order of the training rows.
struct NearestNeighbours {
  std::size_t k = 5;
  bool by_distance = false;             // a neighbour weighs 1 / distance, and an exact hit takes all the weight; else all weigh the same
  std::vector<std::vector<double>> rows;
  std::vector<int> labels;              // class of each row, from 0
  std::size_t classes = 2;
};

/// Share of the neighbours' weight by class; adds up to 1.
[[nodiscard]] std::vector<double> class_shares(const NearestNeighbours& model, const std::vector<double>& row);

}  // namespace choana::processing
