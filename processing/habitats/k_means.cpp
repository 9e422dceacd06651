#include "processing/habitats/k_means.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/task_pool.h"
#include "processing/habitats/counter_random.h"

namespace choana::processing {
namespace {

double squared_distance(const double* a, const double* b, std::size_t columns) {
  double sum = 0;
  for (std::size_t c = 0; c < columns; ++c) sum += (a[c] - b[c]) * (a[c] - b[c]);
  return sum;
}

// Greedy k-means++: of several candidates drawn by squared distance, the one that leaves the least inertia.
std::vector<double> seeded_centres(const PointTable& points, int k, CounterRandom random) {
  const std::size_t rows = points.rows(), columns = points.columns;
  std::vector<double> centres;
  centres.reserve(static_cast<std::size_t>(k) * columns);
  const auto take = [&](std::size_t n) { centres.insert(centres.end(), points.row(n), points.row(n) + columns); };
  const std::size_t first = random.below(rows);
  take(first);
  std::vector<double> nearest(rows);
  double left = 0;
  for (std::size_t n = 0; n < rows; ++n) left += nearest[n] = squared_distance(points.row(n), points.row(first), columns);
  const int candidates = 2 + static_cast<int>(std::log(k));
  std::vector<double> trial(rows), best(rows);
  for (int c = 1; c < k; ++c) {
    double best_left = std::numeric_limits<double>::infinity();
    std::size_t chosen = 0;
    for (int attempt = 0; attempt < candidates; ++attempt) {
      const double wanted = random.uniform() * left;
      double sum = 0;
      std::size_t n = 0;
      while (n + 1 < rows && (sum += nearest[n]) <= wanted) ++n;
      double after = 0;
      for (std::size_t m = 0; m < rows; ++m) after += trial[m] = std::min(nearest[m], squared_distance(points.row(m), points.row(n), columns));
      if (after < best_left) {
        best_left = after;
        chosen = n;
        best.swap(trial);
      }
    }
    take(chosen);
    nearest.swap(best);
    left = best_left;
  }
  return centres;
}

KMeansClusters run_start(const PointTable& points, int k, const KMeansSettings& settings, std::uint64_t stream) {
  const std::size_t rows = points.rows(), columns = points.columns, clusters = static_cast<std::size_t>(k);
  KMeansClusters found;
  found.centres = seeded_centres(points, k, CounterRandom(settings.seed, stream));
  found.labels.assign(rows, -1);
  std::vector<double> distance(rows);
  for (found.iterations = 0; found.iterations < settings.iterations_max && !found.converged; ++found.iterations) {
    bool changed = false;
    for (std::size_t n = 0; n < rows; ++n) {
      int label = 0;
      double least = std::numeric_limits<double>::infinity();
      for (std::size_t c = 0; c < clusters; ++c) {
        const double d = squared_distance(points.row(n), found.centres.data() + c * columns, columns);
        if (d < least) {
          least = d;
          label = static_cast<int>(c);
        }
      }
      distance[n] = least;
      changed = changed || label != found.labels[n];
      found.labels[n] = label;
    }
    std::vector<double> sums(clusters * columns, 0.0);
    std::vector<std::size_t> counts(clusters, 0);
    for (std::size_t n = 0; n < rows; ++n) ++counts[static_cast<std::size_t>(found.labels[n])];
    for (std::size_t c = 0; c < clusters; ++c) {
      if (counts[c] > 0) continue;
      // The farthest point of a cluster that can spare one.
      std::size_t farthest = rows;
      for (std::size_t n = 0; n < rows; ++n)
        if (counts[static_cast<std::size_t>(found.labels[n])] > 1 && (farthest == rows || distance[n] > distance[farthest])) farthest = n;
      if (farthest == rows) continue;
      --counts[static_cast<std::size_t>(found.labels[farthest])];
      found.labels[farthest] = static_cast<int>(c);
      distance[farthest] = 0;
      ++counts[c];
      changed = true;
    }
    found.converged = !changed;
    for (std::size_t n = 0; n < rows; ++n)
      for (std::size_t c = 0; c < columns; ++c) sums[static_cast<std::size_t>(found.labels[n]) * columns + c] += points.row(n)[c];
    for (std::size_t c = 0; c < clusters; ++c)
      for (std::size_t f = 0; f < columns && counts[c] > 0; ++f) found.centres[c * columns + f] = sums[c * columns + f] / static_cast<double>(counts[c]);
  }
  found.inertia = 0;
  for (std::size_t n = 0; n < rows; ++n)
    found.inertia += squared_distance(points.row(n), found.centres.data() + static_cast<std::size_t>(found.labels[n]) * columns, columns);
  return found;
}

}  // namespace

std::size_t distinct_points(const PointTable& points, std::size_t most) {
  std::vector<std::size_t> seen;
  for (std::size_t n = 0; n < points.rows() && seen.size() < most; ++n)
    if (std::none_of(seen.begin(), seen.end(), [&](std::size_t m) { return std::equal(points.row(n), points.row(n) + points.columns, points.row(m)); })) seen.push_back(n);
  return seen.size();
}

Result<KMeansClusters> k_means(const PointTable& points, int k, const KMeansSettings& settings, TaskPool* pool) {
  constexpr const char* step = "k_means";
  if (k < 1 || points.rows() == 0 || settings.starts < 1 || settings.iterations_max < 1)
    return fail(ErrorCode::invalid_argument, step, "k-means needs points, at least one cluster, one start and one iteration.");
  if (!std::all_of(points.values.begin(), points.values.end(), [](double v) { return std::isfinite(v); }))
    return fail(ErrorCode::invalid_argument, step, "k-means was given a value that is not a finite number.");
  if (distinct_points(points, static_cast<std::size_t>(k)) < static_cast<std::size_t>(k))
    return fail(ErrorCode::roi_too_small, step, "There are fewer different voxels than the " + std::to_string(k) + " clusters asked for.");
  std::vector<KMeansClusters> starts(static_cast<std::size_t>(settings.starts));
  run_tasks(pool, starts.size(), [&](std::size_t s) { starts[s] = run_start(points, k, settings, 1000 * static_cast<std::uint64_t>(k) + s); });
  std::size_t best = 0;
  for (std::size_t s = 1; s < starts.size(); ++s)
    if (starts[s].inertia < starts[best].inertia) best = s;
  return std::move(starts[best]);
}

}  // namespace choana::processing
