#include "processing/prediction/learners/nearest_neighbours.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace choana::processing {

std::vector<double> class_shares(const NearestNeighbours& model, const std::vector<double>& row) {
  std::vector<std::pair<double, std::size_t>> order(model.rows.size());
  for (std::size_t n = 0; n < order.size(); ++n) {
    double sum = 0;
    for (std::size_t i = 0; i < row.size(); ++i) sum += (model.rows[n][i] - row[i]) * (model.rows[n][i] - row[i]);
    order[n] = {sum, n};
  }
  const std::size_t k = std::min(model.k, order.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(k), order.end());
  const bool hit = order.front().first == 0;
  std::vector<double> shares(model.classes, 0.0);
  double total = 0;
  for (std::size_t n = 0; n < k; ++n) {
    const double distance = std::sqrt(order[n].first);
    const double weight = !model.by_distance ? 1.0 : hit ? (distance == 0 ? 1.0 : 0.0) : 1 / distance;
    shares[static_cast<std::size_t>(model.labels[order[n].second])] += weight;
    total += weight;
  }
  for (double& share : shares) share /= total;
  return shares;
}

}  // namespace choana::processing
