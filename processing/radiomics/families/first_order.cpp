#include "processing/radiomics/families/first_order.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

namespace choana::processing {
namespace {

/// Sample statistics that several features share.
struct IntensityStatistics {
  const IntensitySample& sample;
  std::vector<double> sorted;
  double mean = 0;
  double m2 = 0;
  double m3 = 0;
  double m4 = 0;
  double p10 = 0;
  double p90 = 0;
  bool flat = false;

  explicit IntensityStatistics(const IntensitySample& source) : sample(source), sorted(source.values) {
    std::sort(sorted.begin(), sorted.end());
    const auto count = static_cast<double>(sorted.size());
    flat = sorted.front() == sorted.back();
    for (const double value : sample.values) mean += value;
    mean = flat ? sorted.front() : mean / count;
    for (const double value : sample.values) {
      const double d = value - mean;
      m2 += d * d;
      m3 += d * d * d;
      m4 += d * d * d * d;
    }
    m2 /= count;
    m3 /= count;
    m4 /= count;
    p10 = percentile_of_sorted(sorted, 10);
    p90 = percentile_of_sorted(sorted, 90);
  }
  [[nodiscard]] double count() const { return static_cast<double>(sorted.size()); }
};

using S = IntensityStatistics;

double energy(const S& s) {
  double sum = 0;
  for (const double value : s.sample.values) sum += (value + s.sample.shift) * (value + s.sample.shift);
  return sum;
}
double total_energy(const S& s) { return s.sample.voxel_volume_mm3 * energy(s); }
double root_mean_squared(const S& s) { return std::sqrt(energy(s) / s.count()); }
double entropy(const S& s) {
  double sum = 0;
  for (const std::size_t count : s.sample.level_counts) {
    const double p = static_cast<double>(count) / s.count();
    sum -= p * std::log2(p + epsilon);
  }
  return sum;
}
double uniformity(const S& s) {
  double sum = 0;
  for (const std::size_t count : s.sample.level_counts) {
    const double p = static_cast<double>(count) / s.count();
    sum += p * p;
  }
  return sum;
}
double minimum(const S& s) { return s.sorted.front(); }
double maximum(const S& s) { return s.sorted.back(); }
double percentile_10(const S& s) { return s.p10; }
double percentile_90(const S& s) { return s.p90; }
double mean(const S& s) { return s.mean; }
double median(const S& s) {
  const std::size_t middle = s.sorted.size() / 2;
  return s.sorted.size() % 2 == 1 ? s.sorted[middle] : (s.sorted[middle - 1] + s.sorted[middle]) / 2;
}
double interquartile_range(const S& s) { return percentile_of_sorted(s.sorted, 75) - percentile_of_sorted(s.sorted, 25); }
double range(const S& s) { return s.sorted.back() - s.sorted.front(); }
double mean_absolute_deviation(const S& s) {
  double sum = 0;
  for (const double value : s.sample.values) sum += std::abs(value - s.mean);
  return sum / s.count();
}
double robust_mean_absolute_deviation(const S& s) {
  // The closed range: values tied with a percentile belong to it.
  const auto first = std::lower_bound(s.sorted.begin(), s.sorted.end(), s.p10);
  const auto last = std::upper_bound(s.sorted.begin(), s.sorted.end(), s.p90);
  const auto count = static_cast<double>(last - first);
  if (!(count > 0)) return not_a_number;
  double sum = 0;
  for (auto value = first; value != last; ++value) sum += *value;
  const double centre = sum / count;
  double deviations = 0;
  for (auto value = first; value != last; ++value) deviations += std::abs(*value - centre);
  return deviations / count;
}
double skewness(const S& s) { return s.flat || s.m2 == 0 ? 0.0 : s.m3 / std::pow(s.m2, 1.5); }
double kurtosis(const S& s) { return s.flat || s.m2 == 0 ? 0.0 : s.m4 / (s.m2 * s.m2); }
double variance(const S& s) { return s.m2; }
double standard_deviation(const S& s) { return std::sqrt(s.m2); }

using Row = FeatureRow<IntensityStatistics>;
constexpr auto none = Quantity::none;
constexpr auto intensity = Quantity::intensity;

constexpr std::array rows{
    Row{"10Percentile", "QG58", intensity, percentile_10},
    Row{"90Percentile", "8DWT", intensity, percentile_90},
    Row{"Energy", "N8CA", Quantity::intensity_squared, energy},
    Row{"Entropy", "TLU2", none, entropy},
    Row{"InterquartileRange", "SALO", intensity, interquartile_range},
    // IBSI's kurtosis (IPH6) is this value minus 3, so the code is ours.
    Row{"Kurtosis", "FO_KURTOSIS", none, kurtosis},
    Row{"Maximum", "84IY", intensity, maximum},
    Row{"MeanAbsoluteDeviation", "4FUA", intensity, mean_absolute_deviation},
    Row{"Mean", "Q4LE", intensity, mean},
    Row{"Median", "Y12H", intensity, median},
    Row{"Minimum", "1GSF", intensity, minimum},
    Row{"Range", "2OJQ", intensity, range},
    Row{"RobustMeanAbsoluteDeviation", "1128", intensity, robust_mean_absolute_deviation},
    Row{"RootMeanSquared", "5ZWQ", intensity, root_mean_squared},
    Row{"Skewness", "KE2A", none, skewness},
    Row{"StandardDeviation", "FO_STDEV", intensity, standard_deviation, Availability::by_name},
    Row{"TotalEnergy", "FO_TOTALENERGY", Quantity::intensity_squared_volume, total_energy},
    Row{"Uniformity", "BJ5W", none, uniformity},
    Row{"Variance", "ECT3", Quantity::intensity_squared, variance},
};

}  // namespace

double percentile_of_sorted(std::span<const double> ascending, double percent) {
  const double position = static_cast<double>(ascending.size() - 1) * (percent / 100);
  const auto below = static_cast<std::size_t>(std::floor(position));
  const std::size_t above = std::min(below + 1, ascending.size() - 1);
  const double t = position - static_cast<double>(below);
  const double a = ascending[below];
  const double b = ascending[above];
  return t >= 0.5 ? b - (b - a) * (1 - t) : a + (b - a) * t;
}

std::vector<NamedValue> first_order_features(const IntensitySample& sample, const std::vector<std::string>& names) {
  return evaluate(std::span<const Row>(rows), names, IntensityStatistics(sample), NotComputed{"not_finite", "The value is not finite for this region."});
}

std::vector<FeatureDescription> describe_first_order() { return describe_rows("firstorder", std::span<const Row>(rows)); }

}  // namespace choana::processing
