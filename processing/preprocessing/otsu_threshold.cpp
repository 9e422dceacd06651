#include "processing/preprocessing/otsu_threshold.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <limits>

#include "core/vectorised.h"

namespace choana::processing {
namespace {

/// Bins as ITK's histogram has them: edges in double, but their distance in float.
struct Bins {
  double low = 0;
  double high = 0;
  float interval = 0;
  std::size_t count = 0;

  Bins(double lowest, double highest, int bins) : low(lowest), count(static_cast<std::size_t>(bins)) {
    // A hundredth of a bin more at the end, so that the highest value lies inside.
    high = highest + (highest - lowest) / static_cast<double>(bins) / 100.0;
    interval = (static_cast<float>(high) - static_cast<float>(low)) / static_cast<float>(bins);
  }
  [[nodiscard]] double lower_edge(std::size_t bin) const { return low + static_cast<double>(static_cast<float>(bin) * interval); }
  [[nodiscard]] double upper_edge(std::size_t bin) const { return bin + 1 == count ? high : lower_edge(bin + 1); }
  [[nodiscard]] double centre(std::size_t bin) const { return (lower_edge(bin) + upper_edge(bin)) / 2; }
};

CHOANA_VECTORISED void guess_bins(const float* values, std::size_t count, double low, double per_bin, double last, std::int32_t* guesses) {
  for (std::size_t n = 0; n < count; ++n) {
    const double at = (static_cast<double>(values[n]) - low) * per_bin;
    guesses[n] = static_cast<std::int32_t>(at < last ? at : last);
  }
}

std::vector<std::uint64_t> count_values(std::span<const float> values, const Bins& bins) {
  constexpr std::size_t block = 512;
  std::vector<std::uint64_t> counts(bins.count, 0);
  if (!(bins.interval > 0)) {  // all values equal: ITK has them in the last bin
    counts.back() = values.size();
    return counts;
  }
  std::vector<double> edges;  // lower edge of each bin, and one that nothing reaches
  for (std::size_t bin = 0; bin < bins.count; ++bin) edges.push_back(bins.lower_edge(bin));
  edges.push_back(std::numeric_limits<double>::infinity());
  std::int32_t guesses[block];
  for (std::size_t start = 0; start < values.size(); start += block) {
    const std::size_t length = std::min(block, values.size() - start);
    guess_bins(values.data() + start, length, bins.low, 1.0 / static_cast<double>(bins.interval), static_cast<double>(bins.count - 1), guesses);
    for (std::size_t n = 0; n < length; ++n) {
      const auto value = static_cast<double>(values[start + n]);
      auto bin = static_cast<std::size_t>(guesses[n]);
      while (value < edges[bin]) --bin;
      while (value >= edges[bin + 1]) ++bin;
      ++counts[bin];
    }
  }
  return counts;
}

/// ITK's test for a variance that is larger by more than rounding: one unit in the last place, or a tenth of double's epsilon.
bool almost_equal(double a, double b) {
  if (std::fabs(a - b) <= 0.1 * std::numeric_limits<double>::epsilon()) return true;
  if (std::signbit(a) != std::signbit(b)) return false;
  const auto distance = std::bit_cast<std::int64_t>(a) - std::bit_cast<std::int64_t>(b);
  return distance <= 1 && distance >= -1;
}

}  // namespace

float otsu_threshold(std::span<const float> values, int bins) {
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  const Bins grid(static_cast<double>(*low), static_cast<double>(*high), bins);
  const std::vector<std::uint64_t> counts = count_values(values, grid);
  const auto total = static_cast<double>(values.size());
  double global_mean = 0;
  for (std::size_t bin = 0; bin < grid.count; ++bin) global_mean += grid.centre(bin) * static_cast<double>(counts[bin]);
  global_mean /= total;

  // Two classes, the lower one growing bin by bin. The sum of count times squared mean stands for the variance between them: they differ by a constant.
  std::uint64_t below = counts[0];
  double mean_below = below > 0 ? grid.centre(0) : 0;
  double mean_above = 0;
  const auto variance = [&] {
    const std::uint64_t rest = values.size() - below;
    double sum = static_cast<double>(below) * (mean_below * mean_below);
    sum += static_cast<double>(rest) * (mean_above * mean_above);
    return sum / total;
  };
  const auto update_above = [&] {
    const std::uint64_t rest = values.size() - below;
    mean_above = rest > 0 ? (global_mean * total - mean_below * static_cast<double>(below)) / static_cast<double>(rest) : 0;
  };
  update_above();
  double best = variance();
  std::size_t best_bin = 0;
  for (std::size_t bin = 1; bin + 1 < grid.count; ++bin) {
    const std::uint64_t before = below;
    below += counts[bin];
    mean_below = below > 0 ? (mean_below * static_cast<double>(before) + grid.centre(bin) * static_cast<double>(counts[bin])) / static_cast<double>(below) : 0;
    update_above();
    const double now = variance();
    if (now > best && !almost_equal(best, now)) {
      best = now;
      best_bin = bin;
    }
  }
  return static_cast<float>(grid.upper_edge(best_bin));
}

std::vector<std::uint8_t> above(std::span<const float> values, float threshold) {
  std::vector<std::uint8_t> mask(values.size());
  std::transform(values.begin(), values.end(), mask.begin(), [threshold](float value) { return value > threshold ? std::uint8_t{1} : std::uint8_t{0}; });
  return mask;
}

}  // namespace choana::processing
