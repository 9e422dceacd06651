#include "processing/radiomics/ibsi/intensity_features.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <string>

#include "processing/radiomics/families/first_order.h"
#include "processing/radiomics/ibsi/ibsi_discretiser.h"

namespace choana::processing::ibsi {
namespace {

const NotComputed flat_region{"flat_region", "The region has one intensity only, or a mean or quartile sum of zero, so the ratio is not defined."};

/// What the statistics of intensities and of grey levels share.
class Sample {
 public:
  explicit Sample(std::span<const double> values) : sorted_(values.begin(), values.end()) {
    std::sort(sorted_.begin(), sorted_.end());
    flat_ = sorted_.front() == sorted_.back();
    mean_ = flat_ ? sorted_.front() : mean_of([](double x) { return x; });
    p10_ = percentile(10);
    p90_ = percentile(90);
  }

  template <typename Function>
  [[nodiscard]] double mean_of(Function&& f) const {
    double sum = 0;
    for (const double value : sorted_) sum += f(value);
    return sum / static_cast<double>(sorted_.size());
  }
  [[nodiscard]] double percentile(double percent) const { return percentile_of_sorted(sorted_, percent); }
  [[nodiscard]] double mean() const { return mean_; }
  [[nodiscard]] bool flat() const { return flat_; }
  [[nodiscard]] double minimum() const { return sorted_.front(); }
  [[nodiscard]] double maximum() const { return sorted_.back(); }
  [[nodiscard]] double moment(int order) const {
    return mean_of([&](double x) {
      const double d = x - mean_;
      return order == 2 ? d * d : order == 3 ? d * d * d : d * d * d * d;
    });
  }
  [[nodiscard]] double p10() const { return p10_; }
  [[nodiscard]] double p90() const { return p90_; }
  [[nodiscard]] const std::vector<double>& sorted() const { return sorted_; }

 private:
  std::vector<double> sorted_;
  double mean_ = 0;
  double p10_ = 0;
  double p90_ = 0;
  bool flat_ = false;
};

double mean(const Sample& s) { return s.mean(); }
double variance(const Sample& s) { return s.flat() ? 0 : s.moment(2); }
double skewness(const Sample& s) { return s.flat() ? no_value : s.moment(3) / std::pow(s.moment(2), 1.5); }
double kurtosis(const Sample& s) { return s.flat() ? no_value : s.moment(4) / (s.moment(2) * s.moment(2)) - 3; }
double median(const Sample& s) { return s.percentile(50); }
double minimum(const Sample& s) { return s.minimum(); }
double percentile_10(const Sample& s) { return s.p10(); }
double percentile_90(const Sample& s) { return s.p90(); }
double maximum(const Sample& s) { return s.maximum(); }
double interquartile_range(const Sample& s) { return s.percentile(75) - s.percentile(25); }
double range(const Sample& s) { return s.maximum() - s.minimum(); }
double mean_absolute_deviation(const Sample& s) {
  return s.mean_of([&](double x) { return std::abs(x - s.mean()); });
}
double robust_mean_absolute_deviation(const Sample& s) {
  const auto begin = std::lower_bound(s.sorted().begin(), s.sorted().end(), s.p10());
  const auto end = std::upper_bound(s.sorted().begin(), s.sorted().end(), s.p90());
  if (begin >= end) return no_value;
  const Sample inner(std::span<const double>(begin, end));
  return mean_absolute_deviation(inner);
}
double median_absolute_deviation(const Sample& s) {
  const double centre = median(s);
  return s.mean_of([&](double x) { return std::abs(x - centre); });
}
double coefficient_of_variation(const Sample& s) { return s.mean() == 0 ? no_value : std::sqrt(variance(s)) / s.mean(); }
double quartile_dispersion(const Sample& s) {
  const double sum = s.percentile(75) + s.percentile(25);
  return sum == 0 ? no_value : interquartile_range(s) / sum;
}
double energy(const Sample& s) {
  return s.mean_of([](double x) { return x * x; }) * static_cast<double>(s.sorted().size());
}
double root_mean_square(const Sample& s) {
  return std::sqrt(s.mean_of([](double x) { return x * x; }));
}

using StatisticsRow = IbsiFeatureRow<Sample>;
constexpr std::array statistics_rows{
    StatisticsRow{"stat_mean", "Q4LE", units::intensity, mean},
    StatisticsRow{"stat_var", "ECT3", units::intensity_squared, variance},
    StatisticsRow{"stat_skew", "KE2A", units::none, skewness},
    StatisticsRow{"stat_kurt", "IPH6", units::none, kurtosis},
    StatisticsRow{"stat_median", "Y12H", units::intensity, median},
    StatisticsRow{"stat_min", "1GSF", units::intensity, minimum},
    StatisticsRow{"stat_p10", "QG58", units::intensity, percentile_10},
    StatisticsRow{"stat_p90", "8DWT", units::intensity, percentile_90},
    StatisticsRow{"stat_max", "84IY", units::intensity, maximum},
    StatisticsRow{"stat_iqr", "SALO", units::intensity, interquartile_range},
    StatisticsRow{"stat_range", "2OJQ", units::intensity, range},
    StatisticsRow{"stat_mad", "4FUA", units::intensity, mean_absolute_deviation},
    StatisticsRow{"stat_rmad", "1128", units::intensity, robust_mean_absolute_deviation},
    StatisticsRow{"stat_medad", "N72L", units::intensity, median_absolute_deviation},
    StatisticsRow{"stat_cov", "7TET", units::none, coefficient_of_variation},
    StatisticsRow{"stat_qcod", "9S40", units::none, quartile_dispersion},
    StatisticsRow{"stat_energy", "N8CA", units::intensity_squared, energy},
    StatisticsRow{"stat_rms", "5ZWQ", units::intensity, root_mean_square},
};

/// Grey levels as a sample and as a histogram without gaps.
struct Histogram {
  Sample sample;
  std::vector<double> counts;      // of level 1 ..
  std::vector<double> gradient;

  explicit Histogram(const Discretisation& discretisation) : sample(std::vector<double>(discretisation.levels.begin(), discretisation.levels.end())) {
    counts.assign(static_cast<std::size_t>(discretisation.highest), 0);
    for (const int level : discretisation.levels) counts[static_cast<std::size_t>(level) - 1] += 1;
    const std::size_t n = counts.size();
    gradient.assign(n, 0);
    for (std::size_t at = 0; at < n && n > 1; ++at) {
      if (at == 0) gradient[at] = counts[1] - counts[0];
      else if (at + 1 == n) gradient[at] = counts[at] - counts[at - 1];
      else gradient[at] = (counts[at + 1] - counts[at - 1]) / 2;
    }
  }
};

template <double (*formula)(const Sample&)>
double of_levels(const Histogram& h) {
  return formula(h.sample);
}
/// The fullest bin; of several the one nearest to the mean, of two equally near the lower.
double mode(const Histogram& h) {
  const double most = *std::max_element(h.counts.begin(), h.counts.end());
  double best = 0;
  for (std::size_t at = 0; at < h.counts.size(); ++at) {
    const double level = static_cast<double>(at) + 1;
    if (h.counts[at] == most && (best == 0 || std::abs(level - h.sample.mean()) < std::abs(best - h.sample.mean()))) best = level;
  }
  return best;
}
template <typename Function>
double sum_of_probabilities(const Histogram& h, Function&& f) {
  double sum = 0;
  for (const double count : h.counts)
    if (count > 0) sum += f(count / static_cast<double>(h.sample.sorted().size()));
  return sum;
}
double entropy(const Histogram& h) {
  return 0 - sum_of_probabilities(h, [](double p) { return p * std::log2(p); });
}
double uniformity(const Histogram& h) {
  return sum_of_probabilities(h, [](double p) { return p * p; });
}
double maximum_gradient(const Histogram& h) { return *std::max_element(h.gradient.begin(), h.gradient.end()); }
double maximum_gradient_level(const Histogram& h) { return static_cast<double>(std::max_element(h.gradient.begin(), h.gradient.end()) - h.gradient.begin()) + 1; }
double minimum_gradient(const Histogram& h) { return *std::min_element(h.gradient.begin(), h.gradient.end()); }
double minimum_gradient_level(const Histogram& h) { return static_cast<double>(std::min_element(h.gradient.begin(), h.gradient.end()) - h.gradient.begin()) + 1; }

using HistogramRow = IbsiFeatureRow<Histogram>;
constexpr std::array histogram_rows{
    HistogramRow{"ih_mean", "X6K6", units::none, of_levels<mean>},
    HistogramRow{"ih_var", "CH89", units::none, of_levels<variance>},
    HistogramRow{"ih_skew", "88K1", units::none, of_levels<skewness>},
    HistogramRow{"ih_kurt", "C3I7", units::none, of_levels<kurtosis>},
    HistogramRow{"ih_median", "WIFQ", units::none, of_levels<median>},
    HistogramRow{"ih_min", "1PR8", units::none, of_levels<minimum>},
    HistogramRow{"ih_p10", "GPMT", units::none, of_levels<percentile_10>},
    HistogramRow{"ih_p90", "OZ0C", units::none, of_levels<percentile_90>},
    HistogramRow{"ih_max", "3NCY", units::none, of_levels<maximum>},
    HistogramRow{"ih_mode", "AMMC", units::none, mode},
    HistogramRow{"ih_iqr", "WR0O", units::none, of_levels<interquartile_range>},
    HistogramRow{"ih_range", "5Z3W", units::none, of_levels<range>},
    HistogramRow{"ih_mad", "D2ZX", units::none, of_levels<mean_absolute_deviation>},
    HistogramRow{"ih_rmad", "WRZB", units::none, of_levels<robust_mean_absolute_deviation>},
    HistogramRow{"ih_medad", "4RNL", units::none, of_levels<median_absolute_deviation>},
    HistogramRow{"ih_cov", "CWYJ", units::none, of_levels<coefficient_of_variation>},
    HistogramRow{"ih_qcod", "SLWD", units::none, of_levels<quartile_dispersion>},
    HistogramRow{"ih_entropy", "TLU2", units::none, entropy},
    HistogramRow{"ih_uniformity", "BJ5W", units::none, uniformity},
    HistogramRow{"ih_max_grad", "12CE", units::none, maximum_gradient},
    HistogramRow{"ih_max_grad_g", "8E6O", units::none, maximum_gradient_level},
    HistogramRow{"ih_min_grad", "VQB3", units::none, minimum_gradient},
    HistogramRow{"ih_min_grad_g", "RHQZ", units::none, minimum_gradient_level},
};

/// Discretised intensities `first`, `first + step`, ... and the fraction of the volume that has at least each of them.
struct VolumeHistogram {
  double first = 0;
  double step = 1;
  std::vector<double> volume_fractions;

  /// The largest volume fraction among intensities of at least this fraction of the range.
  [[nodiscard]] double volume_at(double intensity_fraction) const {
    if (volume_fractions.size() < 2) return no_value;
    const double last = static_cast<double>(volume_fractions.size() - 1);
    for (std::size_t at = 0; at < volume_fractions.size(); ++at)
      if (static_cast<double>(at) / last >= intensity_fraction) return volume_fractions[at];
    return no_value;
  }
  /// The least intensity that at most this fraction of the volume has; one step above the range when every intensity of it is more frequent.
  [[nodiscard]] double intensity_at(double volume_fraction) const {
    std::size_t at = 0;
    while (at < volume_fractions.size() && volume_fractions[at] > volume_fraction) ++at;
    return first + step * static_cast<double>(at);
  }
};

double volume_at_10(const VolumeHistogram& h) { return h.volume_at(0.1); }
double volume_at_90(const VolumeHistogram& h) { return h.volume_at(0.9); }
double intensity_at_10(const VolumeHistogram& h) { return h.intensity_at(0.1); }
double intensity_at_90(const VolumeHistogram& h) { return h.intensity_at(0.9); }
double volume_difference(const VolumeHistogram& h) { return h.volume_at(0.1) - h.volume_at(0.9); }
double intensity_difference(const VolumeHistogram& h) { return h.intensity_at(0.1) - h.intensity_at(0.9); }

using VolumeRow = IbsiFeatureRow<VolumeHistogram>;
constexpr std::array volume_rows{
    VolumeRow{"ivh_v10", "BC2M", units::none, volume_at_10},
    VolumeRow{"ivh_v90", "BC2M", units::none, volume_at_90},
    VolumeRow{"ivh_i10", "GBPN", units::intensity, intensity_at_10},
    VolumeRow{"ivh_i90", "GBPN", units::intensity, intensity_at_90},
    VolumeRow{"ivh_diff_v10_v90", "DDTU", units::none, volume_difference},
    VolumeRow{"ivh_diff_i10_i90", "CNV2", units::intensity, intensity_difference},
};

struct Peaks {
  double local = no_value;
  double global = no_value;
};
double local_peak(const Peaks& p) { return p.local; }
double global_peak(const Peaks& p) { return p.global; }

using PeakRow = IbsiFeatureRow<Peaks>;
constexpr std::array peak_rows{
    PeakRow{"loc_peak_loc", "VJGA", units::intensity, local_peak},
    PeakRow{"loc_peak_glob", "0F91", units::intensity, global_peak},
};

std::vector<TaggedValue> no_volume_histogram(const NotComputed& why) { return evaluate_rows(std::span<const VolumeRow>(volume_rows), std::vector<VolumeHistogram>{}, why); }

}  // namespace

std::vector<TaggedValue> intensity_statistics(std::span<const double> intensities) {
  std::vector<Sample> samples;
  samples.emplace_back(intensities);
  return evaluate_rows(std::span<const StatisticsRow>(statistics_rows), samples, flat_region);
}

std::vector<TaggedValue> intensity_histogram(const Discretisation& discretisation) {
  std::vector<Histogram> histograms;
  histograms.emplace_back(discretisation);
  return evaluate_rows(std::span<const HistogramRow>(histogram_rows), histograms, flat_region);
}

std::vector<TaggedValue> intensity_volume_histogram(std::span<const double> intensities, const DiscretisationSettings& settings, const ResegmentationSettings& range) {
  const auto [low, high] = std::minmax_element(intensities.begin(), intensities.end());
  double lower = std::isfinite(range.lower) ? range.lower : *low;
  double upper = std::isfinite(range.upper) ? range.upper : *high;
  VolumeHistogram histogram;
  double bins = 0;
  switch (settings.method) {
    case DiscretisationMethod::none:
      if (!std::all_of(intensities.begin(), intensities.end(), [](double v) { return v == std::floor(v); }))
        return no_volume_histogram({"not_discrete", "Intensities that are no whole numbers need a discretisation for the intensity-volume histogram."});
      histogram.first = lower;
      bins = std::floor(upper - lower) + 1;
      break;
    case DiscretisationMethod::fixed_bin_size:
      histogram.step = settings.bin_width;
      histogram.first = lower + 0.5 * settings.bin_width;
      bins = std::ceil((upper - lower) / settings.bin_width) + 1;
      break;
    case DiscretisationMethod::fixed_bin_number:
      histogram.first = 1;
      lower = *low;
      upper = *high;
      bins = settings.bin_count;
      break;
  }
  if (!(bins <= 10.0 * grey_levels_max))
    return no_volume_histogram({"too_many_levels", "The intensity-volume histogram would have more than a million bins; discretise with a larger bin width."});
  std::vector<double> counts(static_cast<std::size_t>(bins), 0);
  for (const double value : intensities) {
    double bin = 0;
    if (settings.method != DiscretisationMethod::fixed_bin_number) bin = std::floor((value - lower) / histogram.step);
    else if (upper > lower) bin = std::floor(bins * (value - lower) / (upper - lower));
    counts[static_cast<std::size_t>(std::clamp(bin, 0.0, bins - 1))] += 1;
  }
  double below = 0;
  for (const double count : counts) {
    histogram.volume_fractions.push_back(1 - below / static_cast<double>(intensities.size()));
    below += count;
  }
  auto values = evaluate_rows(std::span<const VolumeRow>(volume_rows), std::vector<VolumeHistogram>{histogram}, flat_region);
  if (settings.method == DiscretisationMethod::fixed_bin_number)
    for (TaggedValue& value : values) value.unit = units::none;   // bin numbers
  return values;
}

std::vector<TaggedValue> local_intensity(const ScalarVolume& image, const VoxelBox& box, const MeasuredRegion& region, TaskPool* pool) {
  const double radius = 10 * std::cbrt(3 / (4 * std::numbers::pi));
  const Index3 size = image.geometry.size();
  const Vector3& spacing = image.geometry.spacing_mm();
  constexpr double slack = 1 + 1e-12;
  // The rows of the sphere: offset along j and k, and how far it reaches along i.
  struct SphereRow {
    int j;
    int k;
    int reach;
  };
  std::vector<SphereRow> sphere;
  const double voxels_across = 2 * radius / spacing[1] * (2 * radius / spacing[2]);
  if (!(voxels_across < 1e6) || !(radius / spacing[0] < 1e6))
    return evaluate_rows(std::span<const PeakRow>(peak_rows), std::vector<Peaks>{}, {"limit_exceeded", "Voxels are too small for a sphere of 1 cm3."});
  const int reach_j = static_cast<int>(radius * slack / spacing[1]);
  const int reach_k = static_cast<int>(radius * slack / spacing[2]);
  for (int k = -reach_k; k <= reach_k; ++k)
    for (int j = -reach_j; j <= reach_j; ++j) {
      const double rest = radius * radius * slack - j * spacing[1] * j * spacing[1] - k * spacing[2] * k * spacing[2];
      if (rest >= 0) sphere.push_back({j, k, static_cast<int>(std::sqrt(rest) / spacing[0])});
    }
  // Sums along i up to each voxel, of the rows that can be touched.
  const int k_from = std::max(0, box.lower[2] - reach_k);
  const int k_to = std::min(size[2] - 1, box.lower[2] + box.size[2] - 1 + reach_k);
  const int j_from = std::max(0, box.lower[1] - reach_j);
  const int j_to = std::min(size[1] - 1, box.lower[1] + box.size[1] - 1 + reach_j);
  const std::size_t row_length = static_cast<std::size_t>(size[0]) + 1;
  const auto rows_j = static_cast<std::size_t>(j_to - j_from + 1);
  std::vector<double> sums(rows_j * static_cast<std::size_t>(k_to - k_from + 1) * row_length, 0);
  const auto sum_row = [&](int j, int k) { return sums.data() + (static_cast<std::size_t>(k - k_from) * rows_j + static_cast<std::size_t>(j - j_from)) * row_length; };
  run_tasks(pool, static_cast<std::size_t>(k_to - k_from + 1), [&](std::size_t task) {
    const int k = k_from + static_cast<int>(task);
    for (int j = j_from; j <= j_to; ++j) {
      const double* from = image.voxels.data() + image.geometry.offset(0, j, k);
      double* to = sum_row(j, k);
      for (int i = 0; i < size[0]; ++i) to[i + 1] = to[i] + from[i];
    }
  });
  const double highest = *std::max_element(region.intensities.begin(), region.intensities.end());
  std::vector<Peaks> slices(static_cast<std::size_t>(region.size[2]), Peaks{-std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()});
  run_tasks(pool, slices.size(), [&](std::size_t slice) {
    const int bk = static_cast<int>(slice);
    for (int bj = 0; bj < region.size[1]; ++bj)
      for (int bi = 0; bi < region.size[0]; ++bi) {
        if (region.intensity[region.offset(bi, bj, bk)] == 0) continue;
        const Index3 centre{box.lower[0] + bi, box.lower[1] + bj, box.lower[2] + bk};
        double sum = 0;
        double count = 0;
        for (const SphereRow& row : sphere) {
          const int j = centre[1] + row.j;
          const int k = centre[2] + row.k;
          if (j < 0 || j >= size[1] || k < 0 || k >= size[2]) continue;
          const int from = std::max(0, centre[0] - row.reach);
          const int to = std::min(size[0], centre[0] + row.reach + 1);
          sum += sum_row(j, k)[to] - sum_row(j, k)[from];
          count += to - from;
        }
        Peaks& peaks = slices[slice];
        peaks.global = std::max(peaks.global, sum / count);
        if (image.voxels[image.geometry.offset(centre[0], centre[1], centre[2])] == highest) peaks.local = std::max(peaks.local, sum / count);
      }
  });
  Peaks peaks = slices.front();
  for (const Peaks& slice : slices) {
    peaks.local = std::max(peaks.local, slice.local);
    peaks.global = std::max(peaks.global, slice.global);
  }
  return evaluate_rows(std::span<const PeakRow>(peak_rows), std::vector<Peaks>{peaks}, {"not_finite", "The neighbourhood holds a voxel that is not a number."});
}

void describe_intensity_features(std::vector<IbsiFeatureDescription>& descriptions) {
  describe_rows("local_intensity", std::span<const PeakRow>(peak_rows), descriptions);
  describe_rows("intensity_statistics", std::span<const StatisticsRow>(statistics_rows), descriptions);
  describe_rows("intensity_histogram", std::span<const HistogramRow>(histogram_rows), descriptions);
  describe_rows("intensity_volume_histogram", std::span<const VolumeRow>(volume_rows), descriptions);
}

}  // namespace choana::processing::ibsi
