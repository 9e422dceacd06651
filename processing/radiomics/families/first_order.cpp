#include "processing/radiomics/families/first_order.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include "processing/radiomics/families/sample_kernels.h"

namespace choana::processing {
namespace {

/// Where a percentile lies between two places of the sorted sample.
struct PercentilePlace {
  std::size_t below = 0;
  std::size_t above = 0;
  double t = 0;

  PercentilePlace(std::size_t count, double percent) {
    const double position = static_cast<double>(count - 1) * (percent / 100);
    below = static_cast<std::size_t>(std::floor(position));
    above = std::min(below + 1, count - 1);
    t = position - static_cast<double>(below);
  }
  [[nodiscard]] double between(double a, double b) const { return t >= 0.5 ? b - (b - a) * (1 - t) : a + (b - a) * t; }
};

/// Sample statistics that several features share.
struct IntensityStatistics {
  const IntensitySample& sample;
  SampleRange extent;
  CentralSums central;
  double mean = 0;
  double energy = 0;
  double p10 = 0;
  double p25 = 0;
  double median = 0;
  double p75 = 0;
  double p90 = 0;
  bool flat = false;

  explicit IntensityStatistics(const IntensitySample& source) : sample(source), extent(range_and_sum(source.values)) {
    flat = extent.low == extent.high;
    mean = flat ? extent.low : extent.sum / count();
    central = central_sums(sample.values, mean);
    energy = sum_of_squares(sample.values, sample.shift);
    const std::size_t size = sample.values.size();
    const std::array percentiles{PercentilePlace(size, 10), PercentilePlace(size, 25), PercentilePlace(size, 75), PercentilePlace(size, 90)};
    std::vector<std::size_t> places{(size - 1) / 2, size / 2};
    for (const PercentilePlace& percentile : percentiles) {
      places.push_back(percentile.below);
      places.push_back(percentile.above);
    }
    const std::vector<double> at = order_statistics(sample.values, extent.low, extent.high, places);
    median = size % 2 == 1 ? at[0] : (at[0] + at[1]) / 2;
    p10 = percentiles[0].between(at[2], at[3]);
    p25 = percentiles[1].between(at[4], at[5]);
    p75 = percentiles[2].between(at[6], at[7]);
    p90 = percentiles[3].between(at[8], at[9]);
  }
  [[nodiscard]] double count() const { return static_cast<double>(sample.values.size()); }
  [[nodiscard]] double m2() const { return central.second / count(); }
  [[nodiscard]] double m3() const { return central.third / count(); }
  [[nodiscard]] double m4() const { return central.fourth / count(); }
};

using S = IntensityStatistics;

double energy(const S& s) { return s.energy; }
double total_energy(const S& s) { return s.sample.voxel_volume_mm3 * s.energy; }
double root_mean_squared(const S& s) { return std::sqrt(s.energy / s.count()); }
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
double minimum(const S& s) { return s.extent.low; }
double maximum(const S& s) { return s.extent.high; }
double percentile_10(const S& s) { return s.p10; }
double percentile_90(const S& s) { return s.p90; }
double mean(const S& s) { return s.mean; }
double median(const S& s) { return s.median; }
double interquartile_range(const S& s) { return s.p75 - s.p25; }
double range(const S& s) { return s.extent.high - s.extent.low; }
double mean_absolute_deviation(const S& s) { return s.central.absolute / s.count(); }
// The closed range: values tied with a percentile belong to it.
double robust_mean_absolute_deviation(const S& s) { return deviation_within(s.sample.values, s.p10, s.p90); }
double skewness(const S& s) { return s.flat || s.m2() == 0 ? 0.0 : s.m3() / std::pow(s.m2(), 1.5); }
double kurtosis(const S& s) { return s.flat || s.m2() == 0 ? 0.0 : s.m4() / (s.m2() * s.m2()); }
double variance(const S& s) { return s.m2(); }
double standard_deviation(const S& s) { return std::sqrt(s.m2()); }

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
  const PercentilePlace place(ascending.size(), percent);
  return place.between(ascending[place.below], ascending[place.above]);
}

std::vector<NamedValue> first_order_features(const IntensitySample& sample, const std::vector<std::string>& names) {
  return evaluate(std::span<const Row>(rows), names, IntensityStatistics(sample), NotComputed{"not_finite", "The value is not finite for this region."});
}

std::vector<FeatureDescription> describe_first_order() { return describe_rows("firstorder", std::span<const Row>(rows)); }

}  // namespace choana::processing
