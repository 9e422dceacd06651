#include "processing/radiomics/families/ngtdm.h"

#include <array>
#include <cmath>
#include <cstddef>

namespace choana::processing {
namespace {

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

double busyness(const ToneDifferences& t) {
  const double sum = t.pair_sum([&](std::size_t i, std::size_t j) { return std::abs(t.matrix.levels[i] * t.p[i] - t.matrix.levels[j] * t.p[j]); });
  return sum == 0 ? 0.0 : t.weighted_differences / sum;
}

double coarseness(const ToneDifferences& t) { return t.weighted_differences == 0 ? 1e6 : 1.0 / t.weighted_differences; }

double complexity(const ToneDifferences& t) {
  const double sum = t.pair_sum([&](std::size_t i, std::size_t j) {
    return std::abs(t.matrix.levels[i] - t.matrix.levels[j]) * (t.p[i] * t.matrix.differences[i] + t.p[j] * t.matrix.differences[j]) / (t.p[i] + t.p[j]);
  });
  return sum / t.voxels;
}

double contrast(const ToneDifferences& t) {
  const auto present = static_cast<double>(t.p.size());
  if (t.p.size() < 2) return 0;
  const double sum = t.pair_sum([&](std::size_t i, std::size_t j) {
    const double difference = t.matrix.levels[i] - t.matrix.levels[j];
    return t.p[i] * t.p[j] * difference * difference;
  });
  return sum * t.difference_sum / (t.voxels * present * (present - 1));
}

double strength(const ToneDifferences& t) {
  if (t.difference_sum == 0) return 0;
  const double sum = t.pair_sum([&](std::size_t i, std::size_t j) {
    const double difference = t.matrix.levels[i] - t.matrix.levels[j];
    return (t.p[i] + t.p[j]) * difference * difference;
  });
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
  return evaluate(std::span<const Row>(rows), names, ToneDifferences(matrix), NotComputed{"not_finite", "The value is not finite for this region."});
}

std::vector<FeatureDescription> describe_ngtdm() { return describe_rows("ngtdm", std::span<const Row>(rows)); }

}  // namespace choana::processing
