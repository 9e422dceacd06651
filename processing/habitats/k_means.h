#pragma once

#include <cstdint>
#include <vector>

#include "core/result.h"
#include "processing/habitats/point_table.h"

namespace choana {
class TaskPool;
}

namespace choana::processing {

struct KMeansSettings {
  int starts = 10;
  int iterations_max = 300;
  std::uint64_t seed = 1;
};

struct KMeansClusters {
  std::vector<int> labels;       // 0..k-1, one a row
  std::vector<double> centres;   // k x columns
  double inertia = 0;            // sum of squared distances to the own centre
  int iterations = 0;            // of the start that won
  bool converged = false;        // no label changed in the last iteration
};

/// Lloyd's k-means from several k-means++ seedings (greedy, 2 + ln k candidates a centre as in scikit-learn); the start with the
/// lowest inertia wins, the first of equals. A cluster that empties takes the point farthest from its centre. Runs until no label
/// changes. The same values at any number of threads.
/// Errors: invalid_argument (k < 1, no points, values that are not finite), roi_too_small (fewer different points than k).
/// Source: Lloyd 1982; Arthur and Vassilvitskii 2007.
[[nodiscard]] Result<KMeansClusters> k_means(const PointTable& points, int k, const KMeansSettings& settings, TaskPool* pool = nullptr);

/// How many of the points differ from each other, counted up to `most`.
[[nodiscard]] std::size_t distinct_points(const PointTable& points, std::size_t most);

}  // namespace choana::processing
