#include "processing/radiomics/ibsi/texture_features.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <map>
#include <span>
#include <utility>

#include "processing/radiomics/ibsi/texture_matrices.h"

namespace choana::processing::ibsi {
namespace {

const NotComputed no_pairs{"no_pairs", "No two voxels of the region are neighbours, or the value is not defined for one grey level only."};
const NotComputed not_defined{"not_defined", "The value is not defined for this region."};

constexpr std::size_t paired_levels_max = 10'000;

double minus_plogp(double p) { return p > 0 ? -p * std::log2(p) : 0; }

/// Joint distribution of grey levels, with its marginal (the matrix is symmetric), sum and difference distributions.
class Cooccurrences {
 public:
  explicit Cooccurrences(const TextureMatrix& matrix) : cells_(matrix.cells), level_count_(matrix.level_count) {
    double total = 0;
    for (const TextureCell& cell : cells_) total += cell.count;
    int highest = 0;
    for (TextureCell& cell : cells_) {
      cell.count /= total;
      highest = std::max(highest, cell.level);
    }
    marginal_.assign(static_cast<std::size_t>(highest) + 1, 0);
    sums_.assign(2 * static_cast<std::size_t>(highest) + 1, 0);
    differences_.assign(static_cast<std::size_t>(highest) + 1, 0);
    for (const TextureCell& cell : cells_) {
      marginal_[static_cast<std::size_t>(cell.level)] += cell.count;
      sums_[static_cast<std::size_t>(cell.level + cell.column)] += cell.count;
      differences_[static_cast<std::size_t>(std::abs(cell.level - cell.column))] += cell.count;
      joint_entropy_ += minus_plogp(cell.count);
      maximum_ = std::max(maximum_, cell.count);
    }
    for (std::size_t level = 0; level < marginal_.size(); ++level) {
      mean_ += static_cast<double>(level) * marginal_[level];
      marginal_entropy_ += minus_plogp(marginal_[level]);
    }
    for (std::size_t level = 0; level < marginal_.size(); ++level) variance_ += (static_cast<double>(level) - mean_) * (static_cast<double>(level) - mean_) * marginal_[level];
  }

  template <typename Function>
  [[nodiscard]] double over_cells(Function&& f) const {
    double sum = 0;
    for (const TextureCell& cell : cells_) sum += f(static_cast<double>(cell.level), static_cast<double>(cell.column), cell.count);
    return sum;
  }
  template <typename Function>
  [[nodiscard]] double over_sums(Function&& f) const {
    return over(sums_, f);
  }
  template <typename Function>
  [[nodiscard]] double over_differences(Function&& f) const {
    return over(differences_, f);
  }
  [[nodiscard]] bool empty() const { return cells_.empty(); }
  [[nodiscard]] double mean() const { return mean_; }
  [[nodiscard]] double variance() const { return variance_; }
  [[nodiscard]] double maximum() const { return maximum_; }
  [[nodiscard]] double joint_entropy() const { return joint_entropy_; }
  [[nodiscard]] double marginal_entropy() const { return marginal_entropy_; }
  [[nodiscard]] double level_count() const { return level_count_; }

 private:
  template <typename Function>
  [[nodiscard]] static double over(const std::vector<double>& distribution, Function&& f) {
    double sum = 0;
    for (std::size_t k = 0; k < distribution.size(); ++k)
      if (distribution[k] > 0) sum += f(static_cast<double>(k), distribution[k]);
    return sum;
  }

  std::vector<TextureCell> cells_;   // count holds the probability
  double level_count_;
  std::vector<double> marginal_;
  std::vector<double> sums_;
  std::vector<double> differences_;
  double mean_ = 0;
  double variance_ = 0;
  double maximum_ = 0;
  double joint_entropy_ = 0;
  double marginal_entropy_ = 0;
};

using C = Cooccurrences;
double joint_maximum(const C& c) { return c.maximum(); }
double joint_average(const C& c) { return c.mean(); }
double joint_variance(const C& c) { return c.variance(); }
double joint_entropy(const C& c) { return c.joint_entropy(); }
double difference_average(const C& c) {
  return c.over_differences([](double k, double p) { return k * p; });
}
double difference_variance(const C& c) {
  const double mean = difference_average(c);
  return c.over_differences([&](double k, double p) { return (k - mean) * (k - mean) * p; });
}
double difference_entropy(const C& c) {
  return c.over_differences([](double, double p) { return minus_plogp(p); });
}
double sum_average(const C& c) {
  return c.over_sums([](double k, double p) { return k * p; });
}
double sum_variance(const C& c) {
  const double mean = sum_average(c);
  return c.over_sums([&](double k, double p) { return (k - mean) * (k - mean) * p; });
}
double sum_entropy(const C& c) {
  return c.over_sums([](double, double p) { return minus_plogp(p); });
}
double angular_second_moment(const C& c) {
  return c.over_cells([](double, double, double p) { return p * p; });
}
double contrast(const C& c) {
  return c.over_differences([](double k, double p) { return k * k * p; });
}
double inverse_difference(const C& c) {
  return c.over_differences([](double k, double p) { return p / (1 + k); });
}
double inverse_difference_normalised(const C& c) {
  return c.over_differences([&](double k, double p) { return p / (1 + k / c.level_count()); });
}
double inverse_difference_moment(const C& c) {
  return c.over_differences([](double k, double p) { return p / (1 + k * k); });
}
double inverse_difference_moment_normalised(const C& c) {
  return c.over_differences([&](double k, double p) { return p / (1 + k * k / (c.level_count() * c.level_count())); });
}
double inverse_variance(const C& c) {
  return c.over_differences([](double k, double p) { return k > 0 ? p / (k * k) : 0; });
}
double correlation(const C& c) {
  if (!(c.variance() > 0)) return no_value;
  return c.over_cells([&](double i, double j, double p) { return (i - c.mean()) * (j - c.mean()) * p; }) / c.variance();
}
double autocorrelation(const C& c) {
  return c.over_cells([](double i, double j, double p) { return i * j * p; });
}
template <int power>
double cluster(const C& c) {
  return c.over_sums([&](double k, double p) { return std::pow(k - 2 * c.mean(), power) * p; });
}
/// HXY1 and HXY2 of the manual both equal the sum of the two marginal entropies.
double information_correlation_1(const C& c) { return c.marginal_entropy() > 0 ? (c.joint_entropy() - 2 * c.marginal_entropy()) / c.marginal_entropy() : no_value; }
double information_correlation_2(const C& c) {
  return std::sqrt(std::max(0.0, 1 - std::exp(-2 * (2 * c.marginal_entropy() - c.joint_entropy()))));
}

/// A direction or slice without a pair has no value.
template <double (*formula)(const C&)>
double if_any(const C& c) {
  return c.empty() ? no_value : formula(c);
}

using CRow = IbsiFeatureRow<Cooccurrences>;
constexpr std::array cooccurrence_rows{
    CRow{"cm_joint_max", "GYBY", units::none, if_any<joint_maximum>},
    CRow{"cm_joint_avg", "60VM", units::none, if_any<joint_average>},
    CRow{"cm_joint_var", "UR99", units::none, if_any<joint_variance>},
    CRow{"cm_joint_entr", "TU9B", units::none, if_any<joint_entropy>},
    CRow{"cm_diff_avg", "TF7R", units::none, if_any<difference_average>},
    CRow{"cm_diff_var", "D3YU", units::none, if_any<difference_variance>},
    CRow{"cm_diff_entr", "NTRS", units::none, if_any<difference_entropy>},
    CRow{"cm_sum_avg", "ZGXS", units::none, if_any<sum_average>},
    CRow{"cm_sum_var", "OEEB", units::none, if_any<sum_variance>},
    CRow{"cm_sum_entr", "P6QZ", units::none, if_any<sum_entropy>},
    CRow{"cm_energy", "8ZQL", units::none, if_any<angular_second_moment>},
    CRow{"cm_contrast", "ACUI", units::none, if_any<contrast>},
    CRow{"cm_dissimilarity", "8S9J", units::none, if_any<difference_average>},
    CRow{"cm_inv_diff", "IB1Z", units::none, if_any<inverse_difference>},
    CRow{"cm_inv_diff_norm", "NDRX", units::none, if_any<inverse_difference_normalised>},
    CRow{"cm_inv_diff_mom", "WF0Z", units::none, if_any<inverse_difference_moment>},
    CRow{"cm_inv_diff_mom_norm", "1QCO", units::none, if_any<inverse_difference_moment_normalised>},
    CRow{"cm_inv_var", "E8JP", units::none, if_any<inverse_variance>},
    CRow{"cm_corr", "NI2N", units::none, if_any<correlation>},
    CRow{"cm_auto_corr", "QWB0", units::none, if_any<autocorrelation>},
    CRow{"cm_clust_tend", "DG8W", units::none, if_any<cluster<2>>},
    CRow{"cm_clust_shade", "7NFM", units::none, if_any<cluster<3>>},
    CRow{"cm_clust_prom", "AE86", units::none, if_any<cluster<4>>},
    CRow{"cm_info_corr1", "R8DG", units::none, if_any<information_correlation_1>},
    CRow{"cm_info_corr2", "JN9H", units::none, if_any<information_correlation_2>},
};

/// What runs, zones and dependences share: one algebra over grey level i and size, distance or dependence j.
class SizeDistribution {
 public:
  explicit SizeDistribution(const TextureMatrix& matrix) : cells_(matrix.cells), voxels_(matrix.voxels) {
    std::map<int, double> by_size;
    for (const TextureCell& cell : cells_) {
      total_ += cell.count;
      if (levels_.empty() || levels_.back().first != cell.level) levels_.emplace_back(cell.level, 0);
      levels_.back().second += cell.count;
      by_size[cell.column] += cell.count;
    }
    sizes_.assign(by_size.begin(), by_size.end());
  }

  [[nodiscard]] double total() const { return total_; }
  [[nodiscard]] double voxels() const { return voxels_; }
  template <typename Function>
  [[nodiscard]] double mean(Function&& f) const {
    double sum = 0;
    for (const TextureCell& cell : cells_) sum += cell.count * f(static_cast<double>(cell.level), static_cast<double>(cell.column));
    return sum / total_;
  }
  /// Sum over cells of f(probability).
  template <typename Function>
  [[nodiscard]] double over_probabilities(Function&& f) const {
    double sum = 0;
    for (const TextureCell& cell : cells_) sum += f(cell.count / total_);
    return sum;
  }
  [[nodiscard]] double level_non_uniformity() const { return squares(levels_) / total_; }
  [[nodiscard]] double size_non_uniformity() const { return squares(sizes_) / total_; }

 private:
  [[nodiscard]] static double squares(const std::vector<std::pair<int, double>>& sums) {
    double sum = 0;
    for (const auto& [key, count] : sums) sum += count * count;
    return sum;
  }

  const std::vector<TextureCell>& cells_;
  double voxels_;
  double total_ = 0;
  std::vector<std::pair<int, double>> levels_;
  std::vector<std::pair<int, double>> sizes_;
};

using S = SizeDistribution;
/// Mean of i^level_power j^size_power.
template <int level_power, int size_power>
double emphasis(const S& s) {
  const auto raised = [](double x, int power) { return power == 0 ? 1 : power > 0 ? x * x : 1 / (x * x); };
  return s.mean([&](double i, double j) { return raised(i, level_power) * raised(j, size_power); });
}
double level_non_uniformity(const S& s) { return s.level_non_uniformity(); }
double level_non_uniformity_normalised(const S& s) { return s.level_non_uniformity() / s.total(); }
double size_non_uniformity(const S& s) { return s.size_non_uniformity(); }
double size_non_uniformity_normalised(const S& s) { return s.size_non_uniformity() / s.total(); }
double percentage(const S& s) { return s.total() / s.voxels(); }
double level_variance(const S& s) {
  const double mean = s.mean([](double i, double) { return i; });
  return s.mean([&](double i, double) { return (i - mean) * (i - mean); });
}
double size_variance(const S& s) {
  const double mean = s.mean([](double, double j) { return j; });
  return s.mean([&](double, double j) { return (j - mean) * (j - mean); });
}
double size_entropy(const S& s) { return s.over_probabilities(minus_plogp); }
double size_energy(const S& s) {
  return s.over_probabilities([](double p) { return p * p; });
}

using SRow = IbsiFeatureRow<SizeDistribution>;
constexpr std::array run_rows{
    SRow{"rlm_sre", "22OV", units::none, emphasis<0, -2>},
    SRow{"rlm_lre", "W4KF", units::none, emphasis<0, 2>},
    SRow{"rlm_lgre", "V3SW", units::none, emphasis<-2, 0>},
    SRow{"rlm_hgre", "G3QZ", units::none, emphasis<2, 0>},
    SRow{"rlm_srlge", "HTZT", units::none, emphasis<-2, -2>},
    SRow{"rlm_srhge", "GD3A", units::none, emphasis<2, -2>},
    SRow{"rlm_lrlge", "IVPO", units::none, emphasis<-2, 2>},
    SRow{"rlm_lrhge", "3KUM", units::none, emphasis<2, 2>},
    SRow{"rlm_glnu", "R5YN", units::none, level_non_uniformity},
    SRow{"rlm_glnu_norm", "OVBL", units::none, level_non_uniformity_normalised},
    SRow{"rlm_rlnu", "W92Y", units::none, size_non_uniformity},
    SRow{"rlm_rlnu_norm", "IC23", units::none, size_non_uniformity_normalised},
    SRow{"rlm_r_perc", "9ZK5", units::none, percentage},
    SRow{"rlm_gl_var", "8CE5", units::none, level_variance},
    SRow{"rlm_rl_var", "SXLW", units::none, size_variance},
    SRow{"rlm_rl_entr", "HJ9O", units::none, size_entropy},
};
constexpr std::array size_zone_rows{
    SRow{"szm_sze", "5QRC", units::none, emphasis<0, -2>},
    SRow{"szm_lze", "48P8", units::none, emphasis<0, 2>},
    SRow{"szm_lgze", "XMSY", units::none, emphasis<-2, 0>},
    SRow{"szm_hgze", "5GN9", units::none, emphasis<2, 0>},
    SRow{"szm_szlge", "5RAI", units::none, emphasis<-2, -2>},
    SRow{"szm_szhge", "HW1V", units::none, emphasis<2, -2>},
    SRow{"szm_lzlge", "YH51", units::none, emphasis<-2, 2>},
    SRow{"szm_lzhge", "J17V", units::none, emphasis<2, 2>},
    SRow{"szm_glnu", "JNSA", units::none, level_non_uniformity},
    SRow{"szm_glnu_norm", "Y1RO", units::none, level_non_uniformity_normalised},
    SRow{"szm_zsnu", "4JP3", units::none, size_non_uniformity},
    SRow{"szm_zsnu_norm", "VB3A", units::none, size_non_uniformity_normalised},
    SRow{"szm_z_perc", "P30P", units::none, percentage},
    SRow{"szm_gl_var", "BYLV", units::none, level_variance},
    SRow{"szm_zs_var", "3NSA", units::none, size_variance},
    SRow{"szm_zs_entr", "GU8N", units::none, size_entropy},
};
constexpr std::array distance_zone_rows{
    SRow{"dzm_sde", "0GBI", units::none, emphasis<0, -2>},
    SRow{"dzm_lde", "MB4I", units::none, emphasis<0, 2>},
    SRow{"dzm_lgze", "S1RA", units::none, emphasis<-2, 0>},
    SRow{"dzm_hgze", "K26C", units::none, emphasis<2, 0>},
    SRow{"dzm_sdlge", "RUVG", units::none, emphasis<-2, -2>},
    SRow{"dzm_sdhge", "DKNJ", units::none, emphasis<2, -2>},
    SRow{"dzm_ldlge", "A7WM", units::none, emphasis<-2, 2>},
    SRow{"dzm_ldhge", "KLTH", units::none, emphasis<2, 2>},
    SRow{"dzm_glnu", "VFT7", units::none, level_non_uniformity},
    SRow{"dzm_glnu_norm", "7HP3", units::none, level_non_uniformity_normalised},
    SRow{"dzm_zdnu", "V294", units::none, size_non_uniformity},
    SRow{"dzm_zdnu_norm", "IATH", units::none, size_non_uniformity_normalised},
    SRow{"dzm_z_perc", "VIWW", units::none, percentage},
    SRow{"dzm_gl_var", "QK93", units::none, level_variance},
    SRow{"dzm_zd_var", "7WT1", units::none, size_variance},
    SRow{"dzm_zd_entr", "GBDU", units::none, size_entropy},
};
constexpr std::array dependence_rows{
    SRow{"ngl_lde", "SODN", units::none, emphasis<0, -2>},
    SRow{"ngl_hde", "IMOQ", units::none, emphasis<0, 2>},
    SRow{"ngl_lgce", "TL9H", units::none, emphasis<-2, 0>},
    SRow{"ngl_hgce", "OAE7", units::none, emphasis<2, 0>},
    SRow{"ngl_ldlge", "EQ3F", units::none, emphasis<-2, -2>},
    SRow{"ngl_ldhge", "JA6D", units::none, emphasis<2, -2>},
    SRow{"ngl_hdlge", "NBZI", units::none, emphasis<-2, 2>},
    SRow{"ngl_hdhge", "9QMG", units::none, emphasis<2, 2>},
    SRow{"ngl_glnu", "FP8K", units::none, level_non_uniformity},
    SRow{"ngl_glnu_norm", "5SPA", units::none, level_non_uniformity_normalised},
    SRow{"ngl_dcnu", "Z87G", units::none, size_non_uniformity},
    SRow{"ngl_dcnu_norm", "OKJI", units::none, size_non_uniformity_normalised},
    SRow{"ngl_dc_perc", "6XV8", units::none, percentage},
    SRow{"ngl_gl_var", "1PFV", units::none, level_variance},
    SRow{"ngl_dc_var", "DNX2", units::none, size_variance},
    SRow{"ngl_dc_entr", "FCBV", units::none, size_entropy},
    SRow{"ngl_dc_energy", "CAS9", units::none, size_energy},
};

/// Grey tone differences: probability p and summed difference s of each level; levels without a voxel that has neighbours do not occur.
class ToneDifferences {
 public:
  explicit ToneDifferences(const std::vector<ToneRow>& rows) : rows_(rows) {
    for (const ToneRow& row : rows_) {
      voxels_ += row.count;
      differences_ += row.difference;
    }
    for (const ToneRow& row : rows_) weighted_ += row.count / voxels_ * row.difference;
  }
  [[nodiscard]] const std::vector<ToneRow>& rows() const { return rows_; }
  [[nodiscard]] double probability(const ToneRow& row) const { return row.count / voxels_; }
  /// Sum over the levels of f(level, probability).
  template <typename Function>
  [[nodiscard]] double over_levels(Function&& f) const {
    double sum = 0;
    for (const ToneRow& row : rows_) sum += f(static_cast<double>(row.level), probability(row));
    return sum;
  }
  [[nodiscard]] bool empty() const { return rows_.empty(); }
  [[nodiscard]] double levels() const { return static_cast<double>(rows_.size()); }
  [[nodiscard]] double voxels() const { return voxels_; }
  [[nodiscard]] double differences() const { return differences_; }
  [[nodiscard]] double weighted() const { return weighted_; }   // sum of p s

 private:
  const std::vector<ToneRow>& rows_;
  double voxels_ = 0;
  double differences_ = 0;
  double weighted_ = 0;
};

using T = ToneDifferences;
double coarseness(const T& t) { return t.empty() ? no_value : t.weighted() > 0 ? 1 / t.weighted() : 1e6; }
/// The sums over all pairs of levels have closed forms, but for complexity.
double tone_contrast(const T& t) {
  if (t.empty() || t.levels() == 1) return t.empty() ? no_value : 0;
  // sum of p q (i - j)^2 is twice the variance
  const double mean = t.over_levels([](double i, double p) { return i * p; });
  const double variance = t.over_levels([&](double i, double p) { return (i - mean) * (i - mean) * p; });
  return 2 * variance / (t.levels() * (t.levels() - 1)) * t.differences() / t.voxels();
}
double busyness(const T& t) {
  if (t.empty() || t.levels() == 1) return t.empty() ? no_value : 0;
  // sum of |a - b| over pairs of a = i p: in ascending order a counts once for each below and minus once for each above
  std::vector<double> weighted;
  for (const ToneRow& row : t.rows()) weighted.push_back(row.level * t.probability(row));
  std::sort(weighted.begin(), weighted.end());
  double sum = 0;
  for (std::size_t at = 0; at < weighted.size(); ++at) sum += 2 * (2 * static_cast<double>(at) + 1 - t.levels()) * weighted[at];
  return t.weighted() / sum;
}
double complexity(const T& t) {
  if (t.empty() || t.rows().size() > paired_levels_max) return no_value;
  double sum = 0;
  for (const ToneRow& a : t.rows())
    for (const ToneRow& b : t.rows())
      sum += std::abs(a.level - b.level) * (t.probability(a) * a.difference + t.probability(b) * b.difference) / (t.probability(a) + t.probability(b));
  return sum / t.voxels();
}
double strength(const T& t) {
  if (t.empty()) return no_value;
  if (!(t.differences() > 0)) return 0;
  // sum of (p + q)(i - j)^2 = 2 sum over i of p (n (i - c)^2 + sum over j of (j - c)^2), c the mean of the levels
  double centre = 0;
  for (const ToneRow& row : t.rows()) centre += row.level / t.levels();
  double spread = 0;
  for (const ToneRow& row : t.rows()) spread += (row.level - centre) * (row.level - centre);
  return 2 * t.over_levels([&](double i, double p) { return p * (t.levels() * (i - centre) * (i - centre) + spread); }) / t.differences();
}

using TRow = IbsiFeatureRow<ToneDifferences>;
constexpr std::array tone_rows{
    TRow{"ngt_coarseness", "QCDE", units::none, coarseness},
    TRow{"ngt_contrast", "65HE", units::none, tone_contrast},
    TRow{"ngt_busyness", "NQ30", units::none, busyness},
    TRow{"ngt_complexity", "HDEZ", units::none, complexity},
    TRow{"ngt_strength", "1X9X", units::none, strength},
};

/// Each row as the mean over the matrices; one without a value is left out. Statistics are made of one matrix at a time.
template <typename Source, typename Matrix>
std::vector<TaggedValue> evaluate_matrices(std::span<const IbsiFeatureRow<Source>> rows, const std::vector<Matrix>& matrices, const NotComputed& why) {
  std::vector<double> sums(rows.size(), 0);
  std::vector<double> counts(rows.size(), 0);
  for (const Matrix& matrix : matrices) {
    const Source source(matrix);
    for (std::size_t row = 0; row < rows.size(); ++row) {
      const double value = rows[row].formula(source);
      if (std::isnan(value)) continue;
      sums[row] += value;
      counts[row] += 1;
    }
  }
  std::vector<TaggedValue> values;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    values.push_back({rows[row].tag, rows[row].code, rows[row].unit, why});
    if (const double mean = sums[row] / counts[row]; counts[row] > 0 && std::isfinite(mean)) values.back().value = mean;
  }
  return values;
}

std::vector<TaggedValue> evaluate_tones(const std::vector<std::vector<ToneRow>>& tables) {
  auto values = evaluate_matrices<ToneDifferences>(std::span<const TRow>(tone_rows), tables, no_pairs);
  if (std::any_of(tables.begin(), tables.end(), [](const auto& table) { return table.size() > paired_levels_max; }))
    for (TaggedValue& value : values)
      if (value.tag == "ngt_complexity") value.value = NotComputed{"too_many_levels", "Complexity compares all pairs of grey levels; the region has more than 10,000."};
  return values;
}

bool is_directional(const std::string& family) { return family == "glcm" || family == "glrlm"; }
bool is_texture(const std::string& family) { return is_directional(family) || family == "glszm" || family == "gldzm" || family == "ngtdm" || family == "ngldm"; }

/// Families of the settings with the aggregations that apply, in their order.
std::vector<TextureValues> requests(const IbsiProfile& profile) {
  std::vector<TextureValues> wanted;
  for (const std::string& family : profile.families) {
    if (!is_texture(family)) continue;
    for (const std::string& aggregation : profile.aggregations)
      if (is_directional(family) == (aggregation.find('_') != std::string::npos)) wanted.push_back({family, aggregation, {}});
  }
  return wanted;
}

std::vector<TaggedValue> evaluate_family(const std::string& family, const std::vector<TextureMatrix>& matrices) {
  if (family == "glcm") return evaluate_matrices<Cooccurrences>(std::span<const CRow>(cooccurrence_rows), matrices, no_pairs);
  std::span<const SRow> rows = run_rows;
  if (family == "glszm") rows = size_zone_rows;
  if (family == "gldzm") rows = distance_zone_rows;
  if (family == "ngldm") rows = dependence_rows;
  return evaluate_matrices<SizeDistribution>(rows, matrices, not_defined);
}

/// The directions of a neighbourhood, one of each pair of opposite ones: 13, or 4 in a slice.
std::vector<Index3> directions(bool by_slice) {
  std::vector<Index3> steps;
  for (int k = 0; k <= (by_slice ? 0 : 1); ++k)
    for (int j = -1; j <= 1; ++j)
      for (int i = -1; i <= 1; ++i)
        if (k > 0 || j > 0 || (j == 0 && i > 0)) steps.push_back({i, j, k});
  return steps;
}

Index3 times(int factor, const Index3& step) { return {factor * step[0], factor * step[1], factor * step[2]}; }

/// The region as one volume, or as one volume a slice; slices without a voxel are left out.
struct Stack {
  std::vector<LevelGrid> volumes;
  std::vector<std::vector<int>> border_distances;   // of each voxel, as in the volumes
};

Stack make_stack(const MeasuredRegion& region, const Discretisation& discretisation, bool by_slice, int margin) {
  const std::vector<int> distance = distance_to_border(region.size, region.morphological, by_slice);
  Stack stack;
  const int slabs = by_slice ? region.size[2] : 1;
  const Index3 size{region.size[0], region.size[1], by_slice ? 1 : region.size[2]};
  const std::size_t slab_voxels = region.intensity.size() / static_cast<std::size_t>(slabs);
  std::size_t next = 0;
  for (int slab = 0; slab < slabs; ++slab) {
    const std::size_t from = static_cast<std::size_t>(slab) * slab_voxels;
    const std::span<const std::uint8_t> inside(region.intensity.data() + from, slab_voxels);
    std::vector<int> levels;
    std::vector<int> border;
    for (std::size_t at = 0; at < slab_voxels; ++at) {
      if (inside[at] == 0) continue;
      levels.push_back(discretisation.levels[next++]);
      border.push_back(distance[from + at]);
    }
    if (levels.empty()) continue;
    stack.volumes.emplace_back(size, inside, levels, margin, by_slice);
    stack.border_distances.push_back(std::move(border));
  }
  return stack;
}

/// Matrices [volume][direction] to those that features are computed from and averaged over.
std::vector<TextureMatrix> aggregate(const std::vector<std::vector<TextureMatrix>>& matrices, const std::string& aggregation) {
  std::vector<TextureMatrix> all;
  for (const auto& of_volume : matrices) all.insert(all.end(), of_volume.begin(), of_volume.end());
  if (aggregation.ends_with("_avg")) return all;
  if (aggregation == "3D_merged" || aggregation == "2.5D_merged") return {merge(all)};
  std::vector<TextureMatrix> merged;
  if (aggregation == "2D_slice_merged") {
    for (const auto& of_volume : matrices) merged.push_back(merge(of_volume));
    return merged;
  }
  for (std::size_t direction = 0; direction < matrices.front().size(); ++direction) {   // 2.5D_direction_merged
    std::vector<TextureMatrix> along;
    for (const auto& of_volume : matrices) along.push_back(of_volume[direction]);
    merged.push_back(merge(along));
  }
  return merged;
}

/// All texture families on the volumes of one stack (slices, or the whole region).
void measure_stack(const Stack& stack, bool by_slice, int level_count, const IbsiProfile& profile, std::vector<TextureValues>& values, TaskPool* pool) {
  const auto wanted = [&](std::string_view family) {
    return std::any_of(values.begin(), values.end(), [&](const TextureValues& v) { return v.family == family && v.aggregation.starts_with("3D") != by_slice; });
  };
  const std::vector<Index3> steps = directions(by_slice);
  const std::size_t volumes = stack.volumes.size();
  using Directional = std::vector<std::vector<TextureMatrix>>;
  Directional pairs(volumes, std::vector<TextureMatrix>(steps.size()));
  Directional runs = pairs;
  if (wanted("glcm") || wanted("glrlm"))
    run_tasks(pool, volumes * steps.size(), [&](std::size_t task) {
      const LevelGrid& volume = stack.volumes[task / steps.size()];
      const std::size_t direction = task % steps.size();
      if (wanted("glcm")) pairs[task / steps.size()][direction] = count_pairs(volume, times(profile.glcm_distance_voxels, steps[direction]), level_count);
      if (wanted("glrlm")) runs[task / steps.size()][direction] = count_runs_along(volume, steps[direction], level_count);
    });
  std::vector<ZoneMatrices> zones(volumes);
  std::vector<TextureMatrix> dependences(volumes);
  std::vector<std::vector<ToneRow>> tones(volumes);
  run_tasks(pool, volumes, [&](std::size_t at) {
    const LevelGrid& volume = stack.volumes[at];
    if (wanted("glszm") || wanted("gldzm")) zones[at] = count_zones_of(volume, stack.border_distances[at], by_slice, level_count);
    if (wanted("ngldm")) dependences[at] = count_dependence(volume, profile.ngldm_distance_voxels, by_slice, profile.ngldm_alpha, level_count);
    if (wanted("ngtdm")) tones[at] = count_tone_differences(volume, profile.ngtdm_distance_voxels, by_slice);
  });
  run_tasks(pool, values.size(), [&](std::size_t at) {
    TextureValues& value = values[at];
    if (value.aggregation.starts_with("3D") == by_slice) return;
    const bool merged = value.aggregation == "2.5D";
    if (value.family == "glcm" || value.family == "glrlm") {
      value.values = evaluate_family(value.family, aggregate(value.family == "glcm" ? pairs : runs, value.aggregation));
    } else if (value.family == "ngtdm") {
      value.values = evaluate_tones(merged ? std::vector<std::vector<ToneRow>>{merge(tones)} : tones);
    } else {
      std::vector<TextureMatrix> matrices = dependences;
      if (value.family != "ngldm")
        for (std::size_t volume = 0; volume < volumes; ++volume) matrices[volume] = value.family == "glszm" ? zones[volume].by_size : zones[volume].by_distance;
      value.values = evaluate_family(value.family, merged ? std::vector<TextureMatrix>{merge(matrices)} : matrices);
    }
  });
}

}  // namespace

std::vector<TextureValues> texture_features(const MeasuredRegion& region, const Discretisation& discretisation, const IbsiProfile& profile, TaskPool* pool) {
  std::vector<TextureValues> values = requests(profile);
  const int margin = std::max({1, profile.glcm_distance_voxels, profile.ngtdm_distance_voxels, profile.ngldm_distance_voxels});
  for (const bool by_slice : {true, false}) {
    if (std::none_of(values.begin(), values.end(), [&](const TextureValues& v) { return v.aggregation.starts_with("3D") != by_slice; })) continue;
    measure_stack(make_stack(region, discretisation, by_slice, margin), by_slice, discretisation.highest, profile, values, pool);
  }
  return values;
}

std::vector<TextureValues> no_texture_features(const IbsiProfile& profile, const NotComputed& why) {
  std::vector<TextureValues> values = requests(profile);
  for (TextureValues& value : values) {
    if (value.family == "ngtdm") value.values = evaluate_rows(std::span<const TRow>(tone_rows), std::vector<ToneDifferences>{}, why);
    else if (value.family == "glcm") value.values = evaluate_rows(std::span<const CRow>(cooccurrence_rows), std::vector<Cooccurrences>{}, why);
    else {
      value.values = evaluate_family(value.family, {});
      for (TaggedValue& one : value.values) one.value = why;
    }
  }
  return values;
}

void describe_texture_features(std::vector<IbsiFeatureDescription>& descriptions) {
  describe_rows("glcm", std::span<const CRow>(cooccurrence_rows), descriptions);
  describe_rows("glrlm", std::span<const SRow>(run_rows), descriptions);
  describe_rows("glszm", std::span<const SRow>(size_zone_rows), descriptions);
  describe_rows("gldzm", std::span<const SRow>(distance_zone_rows), descriptions);
  describe_rows("ngtdm", std::span<const TRow>(tone_rows), descriptions);
  describe_rows("ngldm", std::span<const SRow>(dependence_rows), descriptions);
}

}  // namespace choana::processing::ibsi
