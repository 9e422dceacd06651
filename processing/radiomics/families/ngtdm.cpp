#include "processing/radiomics/families/ngtdm.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>

namespace choana::processing {
namespace {

/// Up to this many levels double sums are taken pair by pair, as the reference does; above, in closed form where there is one.
constexpr std::size_t pairwise_levels_max = 2048;
/// Complexity has none: above this many levels it is not computed (400 million pairs).
constexpr std::size_t complexity_levels_max = 20000;

/// Quantities that several features share. p_i = n_i / N.
struct ToneDifferences {
  const ToneDifferenceMatrix& matrix;
  std::vector<double> p;
  double voxels = 0;
  double difference_sum = 0;      // sum of s_i
  double weighted_differences = 0; // sum of p_i s_i

  explicit ToneDifferences(const ToneDifferenceMatrix& source) : matrix(source) {
    for (const double count : matrix.counts) voxels += count;
    for (std::size_t i = 0; i < matrix.counts.size(); ++i) {
      p.push_back(matrix.counts[i] / voxels);
      difference_sum += matrix.differences[i];
      weighted_differences += p[i] * matrix.differences[i];
    }
  }

  /// Sum of f(i, j) over ordered pairs of levels that occur.
  template <typename Function>
  [[nodiscard]] double pair_sum(Function&& f) const {
    double sum = 0;
    for (std::size_t i = 0; i < p.size(); ++i)
      for (std::size_t j = 0; j < p.size(); ++j) sum += f(i, j);
    return sum;
  }
};

/// sum over ordered pairs of |x_i - x_j|: sorted, each value is added once for every smaller one and taken away for every larger one.
double absolute_differences(std::vector<double> x) {
  std::sort(x.begin(), x.end());
  double sum = 0;
  const auto count = static_cast<double>(x.size());
  for (std::size_t at = 0; at < x.size(); ++at) sum += x[at] * (2 * static_cast<double>(at) + 1 - count);
  return 2 * sum;
}

double busyness(const ToneDifferences& t) {
  double sum = 0;
  if (t.p.size() <= pairwise_levels_max) {
    sum = t.pair_sum([&](std::size_t i, std::size_t j) { return std::abs(t.matrix.levels[i] * t.p[i] - t.matrix.levels[j] * t.p[j]); });
  } else {
    std::vector<double> weighted;
    for (std::size_t i = 0; i < t.p.size(); ++i) weighted.push_back(t.matrix.levels[i] * t.p[i]);
    sum = absolute_differences(std::move(weighted));
  }
  return sum == 0 ? 0.0 : t.weighted_differences / sum;
}

double coarseness(const ToneDifferences& t) { return t.weighted_differences == 0 ? 1e6 : 1.0 / t.weighted_differences; }

double complexity(const ToneDifferences& t) {
  // The quotient binds each pair of levels together: there is no shorter way than all pairs.
  if (t.p.size() > complexity_levels_max) return not_a_number;
  const double sum = t.pair_sum([&](std::size_t i, std::size_t j) {
    return std::abs(t.matrix.levels[i] - t.matrix.levels[j]) * (t.p[i] * t.matrix.differences[i] + t.p[j] * t.matrix.differences[j]) / (t.p[i] + t.p[j]);
  });
  return sum / t.voxels;
}

double contrast(const ToneDifferences& t) {
  const auto present = static_cast<double>(t.p.size());
  if (t.p.size() < 2) return 0;
  double sum = 0;
  if (t.p.size() <= pairwise_levels_max) {
    sum = t.pair_sum([&](std::size_t i, std::size_t j) {
      const double difference = t.matrix.levels[i] - t.matrix.levels[j];
      return t.p[i] * t.p[j] * difference * difference;
    });
  } else {
    // Twice the variance of the levels.
    double mean = 0;
    for (std::size_t i = 0; i < t.p.size(); ++i) mean += t.p[i] * t.matrix.levels[i];
    for (std::size_t i = 0; i < t.p.size(); ++i) sum += 2 * t.p[i] * (t.matrix.levels[i] - mean) * (t.matrix.levels[i] - mean);
  }
  return sum * t.difference_sum / (t.voxels * present * (present - 1));
}

double strength(const ToneDifferences& t) {
  if (t.difference_sum == 0) return 0;
  double sum = 0;
  if (t.p.size() <= pairwise_levels_max) {
    sum = t.pair_sum([&](std::size_t i, std::size_t j) {
      const double difference = t.matrix.levels[i] - t.matrix.levels[j];
      return (t.p[i] + t.p[j]) * difference * difference;
    });
  } else {
    // For each level, the squared distances to all others around their common middle.
    const auto present = static_cast<double>(t.p.size());
    double middle = 0;
    for (const double level : t.matrix.levels) middle += level / present;
    double squares = 0;
    for (const double level : t.matrix.levels) squares += (level - middle) * (level - middle);
    for (std::size_t i = 0; i < t.p.size(); ++i) sum += 2 * t.p[i] * (squares + present * (t.matrix.levels[i] - middle) * (t.matrix.levels[i] - middle));
  }
  return sum / t.difference_sum;
}

using Row = FeatureRow<ToneDifferences>;
constexpr auto none = Quantity::none;

constexpr std::array rows{
    Row{"Busyness", "NQ30", none, busyness}, Row{"Coarseness", "QCDE", none, coarseness}, Row{"Complexity", "HDEZ", none, complexity},
    Row{"Contrast", "65HE", none, contrast}, Row{"Strength", "1X9X", none, strength},
};

}  // namespace

std::vector<NamedValue> ngtdm_features(const ToneDifferenceMatrix& matrix, const std::vector<std::string>& names) {
  const bool many_levels = matrix.levels.size() > complexity_levels_max;
  return evaluate(std::span<const Row>(rows), names, ToneDifferences(matrix),
                  many_levels ? NotComputed{"too_many_levels", "The region has more than " + std::to_string(complexity_levels_max) + " grey levels."}
                              : NotComputed{"not_finite", "The value is not finite for this region."});
}

std::vector<FeatureDescription> describe_ngtdm() { return describe_rows("ngtdm", std::span<const Row>(rows)); }

}  // namespace choana::processing
