#include "processing/habitats/gaussian_mixture.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "core/task_pool.h"
#include "processing/habitats/k_means.h"

namespace choana::processing {
namespace {

constexpr const char* step = "gaussian_mixture";
constexpr double epsilon = 10 * std::numeric_limits<double>::epsilon();  // keeps an empty component's weight positive, as scikit-learn does

/// A component ready for densities: inverse of the Cholesky factor (lower, row by row) and the logarithm of everything constant.
struct Density {
  const double* mean = nullptr;
  std::vector<double> inverse_factor;
  double log_constant = 0;
};

// Cholesky in place, then the inverse of the factor. False if the matrix is not positive definite.
bool invert_factor(std::vector<double> matrix, std::size_t d, std::vector<double>& inverse, double& log_determinant) {
  log_determinant = 0;
  for (std::size_t r = 0; r < d; ++r)
    for (std::size_t c = 0; c <= r; ++c) {
      double sum = matrix[r * d + c];
      for (std::size_t m = 0; m < c; ++m) sum -= matrix[r * d + m] * matrix[c * d + m];
      if (r == c) {
        if (!(sum > 0) || !std::isfinite(sum)) return false;
        matrix[r * d + r] = std::sqrt(sum);
        log_determinant += 2 * std::log(matrix[r * d + r]);
      } else {
        matrix[r * d + c] = sum / matrix[c * d + c];
      }
    }
  inverse.assign(d * d, 0.0);
  for (std::size_t c = 0; c < d; ++c)
    for (std::size_t r = c; r < d; ++r) {
      double sum = r == c ? 1.0 : 0.0;
      for (std::size_t m = c; m < r; ++m) sum -= matrix[r * d + m] * inverse[m * d + c];
      inverse[r * d + c] = sum / matrix[r * d + r];
    }
  return true;
}

bool densities_of(const GaussianMixture& mixture, std::size_t d, std::vector<Density>& densities) {
  const std::size_t k = mixture.weights.size();
  densities.resize(k);
  for (std::size_t c = 0; c < k; ++c) {
    const auto begin = mixture.covariances.begin() + static_cast<std::ptrdiff_t>(c * d * d);
    double log_determinant = 0;
    if (!invert_factor(std::vector<double>(begin, begin + static_cast<std::ptrdiff_t>(d * d)), d, densities[c].inverse_factor, log_determinant)) return false;
    densities[c].mean = mixture.means.data() + c * d;
    densities[c].log_constant = std::log(mixture.weights[c]) - 0.5 * (static_cast<double>(d) * std::log(2 * std::numbers::pi) + log_determinant);
  }
  return true;
}

double log_density(const Density& density, const double* point, std::size_t d) {
  double sum = 0;
  for (std::size_t r = 0; r < d; ++r) {
    double y = 0;
    for (std::size_t c = 0; c <= r; ++c) y += density.inverse_factor[r * d + c] * (point[c] - density.mean[c]);
    sum += y * y;
  }
  return density.log_constant - 0.5 * sum;
}

/// Weighted sums of a maximisation step, taken around the previous means so that nothing cancels.
struct Sums {
  std::vector<double> weight, first, second;

  Sums(std::size_t k, std::size_t d) : weight(k, 0.0), first(k * d, 0.0), second(k * d * d, 0.0) {}
  void add(std::size_t c, double r, const double* point, const double* around, std::size_t d) {
    weight[c] += r;
    for (std::size_t a = 0; a < d; ++a) {
      const double x = r * (point[a] - around[a]);
      first[c * d + a] += x;
      for (std::size_t b = 0; b <= a; ++b) second[(c * d + a) * d + b] += x * (point[b] - around[b]);
    }
  }
};

void maximise(GaussianMixture& mixture, const Sums& sums, std::size_t rows, std::size_t d, double regularisation) {
  const std::size_t k = mixture.weights.size();
  for (std::size_t c = 0; c < k; ++c) {
    const double n = sums.weight[c] + epsilon;
    mixture.weights[c] = n / static_cast<double>(rows);
    std::vector<double> shift(d);
    for (std::size_t a = 0; a < d; ++a) {
      shift[a] = sums.first[c * d + a] / n;
      mixture.means[c * d + a] += shift[a];
    }
    for (std::size_t a = 0; a < d; ++a)
      for (std::size_t b = 0; b <= a; ++b) {
        double value = sums.second[(c * d + a) * d + b] / n - shift[a] * shift[b];
        if (a == b) value = std::max(0.0, value) + regularisation;
        mixture.covariances[(c * d + a) * d + b] = mixture.covariances[(c * d + b) * d + a] = value;
      }
  }
  double all = 0;
  for (const double weight : mixture.weights) all += weight;
  for (double& weight : mixture.weights) weight /= all;
}

/// One pass over the points: mean log-likelihood, and, where `sums` is given, the sums of the next maximisation.
double expect(const GaussianMixture& mixture, const std::vector<Density>& densities, const PointTable& points, Sums* sums) {
  const std::size_t k = densities.size(), d = points.columns, rows = points.rows();
  std::vector<double> logs(k);
  double total = 0;
  for (std::size_t n = 0; n < rows; ++n) {
    const double* point = points.row(n);
    double highest = -std::numeric_limits<double>::infinity();
    for (std::size_t c = 0; c < k; ++c) highest = std::max(highest, logs[c] = log_density(densities[c], point, d));
    double sum = 0;
    // Below a double's last bit of the sum a component has no share in the point: most pairs of a point and a far component.
    for (std::size_t c = 0; c < k; ++c) sum += logs[c] = logs[c] - highest < -42 ? 0 : std::exp(logs[c] - highest);
    total += highest + std::log(sum);
    if (sums != nullptr)
      for (std::size_t c = 0; c < k; ++c)
        if (logs[c] > 0) sums->add(c, logs[c] / sum, point, mixture.means.data() + c * d, d);
  }
  return total / static_cast<double>(rows);
}

double bic_of(double log_likelihood, std::size_t rows, std::size_t k, std::size_t d) {
  const double parameters = static_cast<double>(k * d * (d + 1) / 2 + k * d + k - 1);
  return -2 * static_cast<double>(rows) * log_likelihood + parameters * std::log(static_cast<double>(rows));
}

std::optional<GaussianMixture> run_start(const PointTable& points, int components, const GaussianMixtureSettings& settings, std::uint64_t start) {
  const std::size_t k = static_cast<std::size_t>(components), d = points.columns, rows = points.rows();
  KMeansSettings seeding;
  seeding.starts = 1;
  seeding.seed = settings.seed * 0x9E3779B97F4A7C15ULL + start;
  const auto clusters = k_means(points, components, seeding);
  if (!clusters) return std::nullopt;
  GaussianMixture mixture;
  mixture.weights.assign(k, 0.0);
  mixture.means = clusters->centres;
  mixture.covariances.assign(k * d * d, 0.0);
  Sums first(k, d);
  for (std::size_t n = 0; n < rows; ++n) {
    const auto c = static_cast<std::size_t>(clusters->labels[n]);
    first.add(c, 1.0, points.row(n), mixture.means.data() + c * d, d);
  }
  maximise(mixture, first, rows, d, settings.regularisation);
  std::vector<Density> densities;
  double previous = -std::numeric_limits<double>::infinity();
  while (mixture.iterations < settings.iterations_max && !mixture.converged) {
    if (!densities_of(mixture, d, densities)) return std::nullopt;
    Sums sums(k, d);
    const double likelihood = expect(mixture, densities, points, &sums);
    maximise(mixture, sums, rows, d, settings.regularisation);
    ++mixture.iterations;
    mixture.converged = std::abs(likelihood - previous) < settings.tolerance;
    previous = likelihood;
  }
  if (!densities_of(mixture, d, densities)) return std::nullopt;
  mixture.log_likelihood = expect(mixture, densities, points, nullptr);
  mixture.bic = bic_of(mixture.log_likelihood, rows, k, d);
  if (!std::isfinite(mixture.log_likelihood)) return std::nullopt;
  return mixture;
}

Status check(const PointTable& points, int k, const GaussianMixtureSettings& settings) {
  if (k < 1 || points.rows() == 0 || settings.starts < 1 || settings.iterations_max < 1 || !(settings.tolerance > 0) || !(settings.regularisation >= 0))
    return fail(ErrorCode::invalid_argument, step, "A Gaussian mixture needs points, at least one component, one start and one iteration, and a tolerance above zero.");
  if (!std::all_of(points.values.begin(), points.values.end(), [](double v) { return std::isfinite(v); }))
    return fail(ErrorCode::invalid_argument, step, "A Gaussian mixture was given a value that is not a finite number.");
  return {};
}

std::optional<GaussianMixture> best_of(std::vector<std::optional<GaussianMixture>>& starts, std::size_t first, std::size_t count) {
  std::optional<GaussianMixture> best;
  for (std::size_t s = first; s < first + count; ++s)
    if (starts[s] && (!best || starts[s]->log_likelihood > best->log_likelihood)) best = std::move(starts[s]);
  return best;
}

tl::unexpected<Error> unfitted(const PointTable& points, int k) {
  if (distinct_points(points, static_cast<std::size_t>(k)) < static_cast<std::size_t>(k))
    return fail(ErrorCode::roi_too_small, step, "There are fewer different voxels than the " + std::to_string(k) + " components asked for.");
  return fail(ErrorCode::degenerate_input, step, "The voxels do not spread in all directions of the features, so that no Gaussian can be fitted to them.");
}

}  // namespace

Result<GaussianMixture> fit_gaussian_mixture(const PointTable& points, int k, const GaussianMixtureSettings& settings, TaskPool* pool) {
  if (const auto good = check(points, k, settings); !good) return fail(good.error());
  std::vector<std::optional<GaussianMixture>> starts(static_cast<std::size_t>(settings.starts));
  run_tasks(pool, starts.size(), [&](std::size_t s) { starts[s] = run_start(points, k, settings, s); });
  auto best = best_of(starts, 0, starts.size());
  if (!best) return unfitted(points, k);
  return std::move(*best);
}

Result<std::vector<std::optional<GaussianMixture>>> fit_gaussian_mixtures(const PointTable& points, int k_max, const GaussianMixtureSettings& settings, TaskPool* pool) {
  if (const auto good = check(points, k_max, settings); !good) return fail(good.error());
  const auto count = static_cast<std::size_t>(settings.starts), models = static_cast<std::size_t>(k_max);
  std::vector<std::optional<GaussianMixture>> starts(models * count);
  // The largest mixtures take longest: first.
  run_tasks(pool, starts.size(), [&](std::size_t t) {
    const std::size_t at = starts.size() - 1 - t;
    starts[at] = run_start(points, static_cast<int>(at / count) + 1, settings, at % count);
  });
  std::vector<std::optional<GaussianMixture>> best(models);
  for (std::size_t k = 0; k < models; ++k) best[k] = best_of(starts, k * count, count);
  if (!best.front()) return unfitted(points, 1);
  return best;
}

Result<std::vector<int>> most_probable_components(const GaussianMixture& mixture, const PointTable& points) {
  const std::size_t d = points.columns;
  if (d == 0 || mixture.means.size() != mixture.weights.size() * d) return fail(ErrorCode::invalid_argument, step, "The mixture was fitted to other features than these.");
  std::vector<Density> densities;
  if (!densities_of(mixture, d, densities)) return fail(ErrorCode::degenerate_input, step, "A component of the mixture has no spread.");
  std::vector<int> labels(points.rows());
  for (std::size_t n = 0; n < labels.size(); ++n) {
    double highest = -std::numeric_limits<double>::infinity();
    for (std::size_t c = 0; c < densities.size(); ++c)
      if (const double value = log_density(densities[c], points.row(n), d); value > highest) {
        highest = value;
        labels[n] = static_cast<int>(c);
      }
  }
  return labels;
}

}  // namespace choana::processing
