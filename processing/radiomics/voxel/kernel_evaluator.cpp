#include "processing/radiomics/voxel/kernel_evaluator.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "processing/radiomics/families/first_order.h"
#include "processing/radiomics/families/glcm.h"
#include "processing/radiomics/families/glrlm.h"
#include "processing/radiomics/matrices/cooccurrence.h"
#include "processing/radiomics/matrices/run_length.h"
#include "processing/radiomics/voxel/second_eigenvalue.h"

namespace choana::processing {
namespace {

constexpr std::array<std::string_view, first_order_kernel_features> first_order_names{
    "10Percentile", "90Percentile", "Energy", "Entropy", "InterquartileRange", "Kurtosis", "Maximum", "MeanAbsoluteDeviation", "Mean", "Median", "Minimum", "Range",
    "RobustMeanAbsoluteDeviation", "RootMeanSquared", "Skewness", "StandardDeviation", "TotalEnergy", "Uniformity", "Variance"};
constexpr std::array<std::string_view, glcm_kernel_features> glcm_names{
    "Autocorrelation", "ClusterProminence", "ClusterShade", "ClusterTendency", "Contrast", "Correlation", "DifferenceAverage", "DifferenceEntropy", "DifferenceVariance",
    "Id", "Idm", "Idmn", "Idn", "Imc1", "Imc2", "InverseVariance", "JointAverage", "JointEnergy", "JointEntropy", "MCC", "MaximumProbability", "SumAverage", "SumEntropy", "SumSquares"};
constexpr std::array<std::string_view, glrlm_kernel_features> glrlm_names{
    "GrayLevelNonUniformity", "GrayLevelNonUniformityNormalized", "GrayLevelVariance", "HighGrayLevelRunEmphasis", "LongRunEmphasis", "LongRunHighGrayLevelEmphasis",
    "LongRunLowGrayLevelEmphasis", "LowGrayLevelRunEmphasis", "RunEntropy", "RunLengthNonUniformity", "RunLengthNonUniformityNormalized", "RunPercentage", "RunVariance",
    "ShortRunEmphasis", "ShortRunHighGrayLevelEmphasis", "ShortRunLowGrayLevelEmphasis"};
constexpr std::array<std::string_view, glszm_kernel_features> glszm_names{
    "GrayLevelNonUniformity", "GrayLevelNonUniformityNormalized", "GrayLevelVariance", "HighGrayLevelZoneEmphasis", "LargeAreaEmphasis", "LargeAreaHighGrayLevelEmphasis",
    "LargeAreaLowGrayLevelEmphasis", "LowGrayLevelZoneEmphasis", "SizeZoneNonUniformity", "SizeZoneNonUniformityNormalized", "SmallAreaEmphasis", "SmallAreaHighGrayLevelEmphasis",
    "SmallAreaLowGrayLevelEmphasis", "ZoneEntropy", "ZonePercentage", "ZoneVariance"};
constexpr std::array<std::string_view, gldm_kernel_features> gldm_names{
    "DependenceEntropy", "DependenceNonUniformity", "DependenceNonUniformityNormalized", "DependenceVariance", "GrayLevelNonUniformity", "GrayLevelVariance", "HighGrayLevelEmphasis",
    "LargeDependenceEmphasis", "LargeDependenceHighGrayLevelEmphasis", "LargeDependenceLowGrayLevelEmphasis", "LowGrayLevelEmphasis", "SmallDependenceEmphasis",
    "SmallDependenceHighGrayLevelEmphasis", "SmallDependenceLowGrayLevelEmphasis"};
constexpr std::array<std::string_view, ngtdm_kernel_features> ngtdm_names{"Busyness", "Coarseness", "Complexity", "Contrast", "Strength"};

/// Positions in glcm_names.
enum GlcmFeature : std::size_t {
  autocorrelation, cluster_prominence, cluster_shade, cluster_tendency, contrast, correlation, difference_average, difference_entropy, difference_variance,
  inverse_difference, inverse_difference_moment, inverse_difference_moment_normalised, inverse_difference_normalised, information_1, information_2, inverse_variance,
  joint_average, joint_energy, joint_entropy, maximal_correlation_coefficient, maximum_probability, sum_average, sum_entropy, sum_squares
};

/// What count_level_sizes gives.
enum LevelSizeStatistic : std::size_t {
  small, large, level_uniformity, level_uniformity_normalised, size_uniformity, size_uniformity_normalised, percentage, level_variance, size_variance, entropy, low, high,
  small_low, small_high, large_low, large_high, level_size_statistics
};

constexpr std::array<LevelSizeStatistic, glrlm_kernel_features> glrlm_order{
    level_uniformity, level_uniformity_normalised, level_variance, high, large, large_high, large_low, low, entropy, size_uniformity, size_uniformity_normalised, percentage, size_variance,
    small, small_high, small_low};
constexpr std::array<LevelSizeStatistic, glszm_kernel_features> glszm_order{
    level_uniformity, level_uniformity_normalised, level_variance, high, large, large_high, large_low, low, size_uniformity, size_uniformity_normalised, small, small_high, small_low, entropy,
    percentage, size_variance};
constexpr std::array<LevelSizeStatistic, gldm_kernel_features> gldm_order{
    entropy, size_uniformity, size_uniformity_normalised, size_variance, level_uniformity, level_variance, high, large, large_high, large_low, low, small, small_high, small_low};

constexpr std::uint32_t table_total_max = 256;

/// p log2(p + eps) for p = count / total: kernels have few voxels, so most of these come from a table.
class EntropyTable {
 public:
  EntropyTable() {
    terms_.reserve((table_total_max + 1) * (table_total_max + 2) / 2);
    for (std::uint32_t total = 0; total <= table_total_max; ++total)
      for (std::uint32_t count = 0; count <= total; ++count) terms_.push_back(total == 0 ? 0.0 : exact(count, total));
  }
  /// count <= total.
  [[nodiscard]] double operator()(std::uint32_t count, std::uint32_t total) const {
    return total <= table_total_max ? terms_[total * (total + 1) / 2 + count] : exact(count, total);
  }

 private:
  static double exact(std::uint32_t count, std::uint32_t total) {
    const double p = static_cast<double>(count) / static_cast<double>(total);
    return p * std::log2(p + epsilon);
  }
  std::vector<double> terms_;
};

const EntropyTable& entropy_table() {
  static const EntropyTable table;
  return table;
}

}  // namespace

std::span<const std::string_view> kernel_feature_names(std::string_view family) {
  if (family == "firstorder") return first_order_names;
  if (family == "glcm") return glcm_names;
  if (family == "glrlm") return glrlm_names;
  if (family == "glszm") return glszm_names;
  if (family == "gldm") return gldm_names;
  if (family == "ngtdm") return ngtdm_names;
  return {};
}

KernelEvaluator::KernelEvaluator(const KernelContext& context) : context_(context) {
  const KernelGeometry& kernel = *context.geometry;
  positions_ = kernel.size();
  levels_max_ = std::min(positions_, context.levels->size());
  local_.assign(positions_, -1);
  stamp_.assign(context.levels->size(), 0);
  local_of_.assign(context.levels->size(), 0);
  level_.resize(levels_max_);
  level_squared_.resize(levels_max_);
  level_inverse_squared_.resize(levels_max_);
  std::size_t pairs_max = 0;
  for (const auto& pairs : kernel.pairs) pairs_max = std::max(pairs_max, pairs.size());
  const std::size_t sizes_max = std::max(positions_, 2 * kernel.pairs.size() + 1) + 1;
  cells_.assign(levels_max_ * std::max(levels_max_, sizes_max), 0);
  touched_.reserve(pairs_max);
  touched_cells_.reserve(positions_);
  const auto highest = static_cast<std::size_t>(context.highest_level);
  sums_.assign(2 * highest + 1, 0);
  differences_.assign(highest + 1, 0);
  touched_sums_.reserve(pairs_max);
  touched_differences_.reserve(pairs_max);
  px_.assign(levels_max_, 0);
  py_.assign(levels_max_, 0);
  level_counts_.assign(levels_max_, 0);
  size_counts_.assign(sizes_max, 0);
  items_.reserve(positions_);
  parent_.resize(positions_);
  zone_size_.resize(positions_);
  dependence_.resize(positions_);
  neighbour_sum_.resize(positions_);
  neighbour_count_.resize(positions_);
  tone_count_.resize(levels_max_);
  tone_difference_.resize(levels_max_);
  sorted_.reserve(positions_);
  inside_values_.reserve(positions_);
  pair_a_.resize(pairs_max);
  pair_b_.resize(pairs_max);
  matrix_.resize(levels_max_ * levels_max_);
  vector_.resize(2 * levels_max_);
  root_of_count_.push_back(0);
  inverse_root_of_count_.push_back(0);
  for (std::size_t at = 1; at <= 2 * pairs_max; ++at) {
    root_of_count_.push_back(std::sqrt(static_cast<double>(at)));
    inverse_root_of_count_.push_back(1 / root_of_count_.back());
  }
  node_of_.resize(levels_max_);
  root_.resize(2 * levels_max_);
  parity_.resize(levels_max_);
  const auto ng = static_cast<double>(context.highest_level);
  difference_weights_.reserve(highest + 1);
  for (std::size_t at = 0; at <= highest; ++at) {
    const auto k = static_cast<double>(at);
    difference_weights_.push_back({1 / (1 + k), 1 / (1 + k * k), 1 / (1 + k / ng), 1 / (1 + k * k / (ng * ng)), at == 0 ? 0.0 : 1 / (k * k)});
  }
  first_order_stamp_.assign(context.first_order_levels->size(), 0);
  first_order_count_.assign(context.first_order_levels->size(), 0);
  first_order_touched_.reserve(positions_);
}

KernelEvaluator::~KernelEvaluator() = default;

void KernelEvaluator::load(const std::int32_t* ranks, std::span<const std::ptrdiff_t> offsets) {
  ++serial_;
  level_count_ = 0;
  voxels_ = 0;
  for (std::size_t at = 0; at < positions_; ++at) {
    const std::int32_t rank = ranks[offsets[at]];
    if (rank < 0) {
      local_[at] = -1;
      continue;
    }
    const auto r = static_cast<std::size_t>(rank);
    if (stamp_[r] != serial_) {
      stamp_[r] = serial_;
      local_of_[r] = level_count_;
      const int level = (*context_.levels)[r];
      const auto local = static_cast<std::size_t>(level_count_++);
      level_[local] = level;
      level_squared_[local] = static_cast<double>(level) * level;
      level_inverse_squared_[local] = 1 / level_squared_[local];
    }
    local_[at] = local_of_[r];
    ++voxels_;
  }
}

void KernelEvaluator::first_order(const double* values, const std::int32_t* first_order_ranks, std::span<const std::ptrdiff_t> offsets, double* out) {
  const EntropyTable& entropy_of = entropy_table();
  ++first_order_serial_;
  first_order_touched_.clear();
  inside_values_.clear();
  for (const std::ptrdiff_t offset : offsets) {
    const std::int32_t rank = first_order_ranks[offset];
    if (rank < 0) continue;
    inside_values_.push_back(values[offset]);
    const auto r = static_cast<std::size_t>(rank);
    if (first_order_stamp_[r] != first_order_serial_) {
      first_order_stamp_[r] = first_order_serial_;
      first_order_count_[r] = 0;
      first_order_touched_.push_back(rank);
    }
    ++first_order_count_[r];
  }
  sorted_.assign(inside_values_.begin(), inside_values_.end());
  std::sort(sorted_.begin(), sorted_.end());
  const std::size_t n = sorted_.size();
  const auto count = static_cast<double>(n);
  const bool flat = sorted_.front() == sorted_.back();
  double sum = 0;
  double energy = 0;
  for (const double value : inside_values_) {
    sum += value;
    const double shifted = value + context_.voxel_array_shift;
    energy += shifted * shifted;
  }
  const double mean = flat ? sorted_.front() : sum / count;
  double m2 = 0;
  double m3 = 0;
  double m4 = 0;
  double deviation = 0;
  for (const double value : inside_values_) {
    const double d = value - mean;
    m2 += d * d;
    m3 += d * d * d;
    m4 += d * d * d * d;
    deviation += std::abs(d);
  }
  m2 /= count;
  m3 /= count;
  m4 /= count;
  const double p10 = percentile_of_sorted(sorted_, 10);
  const double p90 = percentile_of_sorted(sorted_, 90);
  // The closed range: values tied with a percentile belong to it.
  double robust_sum = 0;
  double robust_count = 0;
  for (const double value : sorted_)
    if (value >= p10 && value <= p90) {
      robust_sum += value;
      ++robust_count;
    }
  const double robust_mean = robust_sum / robust_count;
  double robust = 0;
  for (const double value : sorted_)
    if (value >= p10 && value <= p90) robust += std::abs(value - robust_mean);
  double entropy_sum = 0;
  double uniformity = 0;
  for (const std::int32_t rank : first_order_touched_) {
    const std::uint32_t c = first_order_count_[static_cast<std::size_t>(rank)];
    entropy_sum -= entropy_of(c, static_cast<std::uint32_t>(n));
    const double p = static_cast<double>(c) / count;
    uniformity += p * p;
  }
  const bool spread = !flat && m2 != 0;
  const double volume = context_.spacing_mm[0] * context_.spacing_mm[1] * context_.spacing_mm[2];
  out[0] = p10;
  out[1] = p90;
  out[2] = energy;
  out[3] = entropy_sum;
  out[4] = percentile_of_sorted(sorted_, 75) - percentile_of_sorted(sorted_, 25);
  out[5] = spread ? m4 / (m2 * m2) : 0.0;
  out[6] = sorted_.back();
  out[7] = deviation / count;
  out[8] = mean;
  out[9] = n % 2 == 1 ? sorted_[n / 2] : (sorted_[n / 2 - 1] + sorted_[n / 2]) / 2;
  out[10] = sorted_.front();
  out[11] = sorted_.back() - sorted_.front();
  out[12] = robust_count > 0 ? robust / robust_count : not_a_number;
  out[13] = std::sqrt(energy / count);
  out[14] = spread ? m3 / (m2 * std::sqrt(m2)) : 0.0;
  out[15] = std::sqrt(m2);
  out[16] = volume * energy;
  out[17] = uniformity;
  out[18] = m2;
}

bool KernelEvaluator::mark_directions(std::span<std::uint8_t> seen) const {
  bool all = true;
  const auto& directions = context_.geometry->pairs;
  for (std::size_t d = 0; d < directions.size(); ++d) {
    if (seen[d] != 0) continue;
    for (const KernelPair& pair : directions[d])
      if (local_[pair.from] >= 0 && local_[pair.to] >= 0) {
        seen[d] = 1;
        break;
      }
    all = all && seen[d] != 0;
  }
  return all;
}

/// The matrix of the current direction, rows and columns by ascending level.
std::vector<double> KernelEvaluator::dense_probabilities(double total, std::vector<std::size_t>& order) const {
  order.resize(static_cast<std::size_t>(level_count_));
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return level_[a] < level_[b]; });
  const auto n = order.size();
  std::vector<double> p(n * n, 0.0);
  for (std::size_t row = 0; row < n; ++row)
    for (std::size_t column = 0; column < n; ++column) {
      const std::size_t a = order[row];
      const std::size_t b = order[column];
      double count = 0;
      if (context_.symmetric) count = (a == b ? 2.0 : 1.0) * static_cast<double>(cells_[std::min(a, b) * n + std::max(a, b)]);
      else count = static_cast<double>(cells_[a * n + b]);
      p[row * n + column] = count / total;
    }
  return p;
}

/// All pairs start (or end) at one level: its deviation is 0, or 1e-16 as rounding decides, which makes the correlation 1 or 0. Summed in the order of the reference.
double KernelEvaluator::correlation_of_single_line(double total) const {
  std::vector<std::size_t> order;
  const std::vector<double> p = dense_probabilities(total, order);
  const std::size_t n = order.size();
  const auto sum = [&](auto&& term) {
    double result = 0;
    for (std::size_t row = 0; row < n; ++row)
      for (std::size_t column = 0; column < n; ++column)
        result += term(static_cast<double>(level_[order[row]]), static_cast<double>(level_[order[column]]), p[row * n + column]);
    return result;
  };
  const double ux = sum([](double i, double, double q) { return i * q; });
  const double uy = sum([](double, double j, double q) { return j * q; });
  const double deviations = std::sqrt(sum([&](double i, double, double q) { return q * ((i - ux) * (i - ux)); })) *
                            std::sqrt(sum([&](double, double j, double q) { return q * ((j - uy) * (j - uy)); }));
  if (deviations == 0) return 1;
  return sum([&](double i, double j, double q) { return q * (i - ux) * (j - uy); }) / (deviations + epsilon);
}

/// Rows and columns are independent, or nearly: whether HXY or HXY2 is larger is decided by rounding, so both are summed in the order of the reference.
double KernelEvaluator::imc2_of_independent(double total) const {
  std::vector<std::size_t> order;
  const std::vector<double> p = dense_probabilities(total, order);
  const std::size_t n = order.size();
  std::vector<double> px(n, 0.0);
  std::vector<double> py(n, 0.0);
  for (std::size_t row = 0; row < n; ++row)
    for (std::size_t column = 0; column < n; ++column) {
      px[row] += p[row * n + column];
      py[column] += p[row * n + column];
    }
  double hxy = 0;
  double hxy2 = 0;
  for (std::size_t row = 0; row < n; ++row)
    for (std::size_t column = 0; column < n; ++column) {
      const double joint = p[row * n + column];
      const double product = px[row] * py[column];
      hxy += joint * std::log2(joint + epsilon);
      hxy2 += product * std::log2(product + epsilon);
    }
  if (hxy == hxy2) return 0;
  const double inside = 1 - std::exp(-2 * (hxy - hxy2));
  return inside < 0 ? not_a_number : std::sqrt(inside);
}

/// Square root of the second eigenvalue of Q, which is the second singular value of A = Dx^-1/2 P Dy^-1/2; the first is 1 with known vectors.
double KernelEvaluator::maximal_correlation(double total) {
  const auto n = static_cast<std::size_t>(level_count_);
  if (context_.levels->size() < 2) return 1;
  if (!context_.symmetric) {
    // Rows and columns as the nodes of a graph: with two parts the eigenvalue 1 occurs twice.
    std::size_t rows = 0;
    std::size_t columns = 0;
    for (std::size_t a = 0; a < n; ++a) {
      rows += px_[a] > 0 ? 1 : 0;
      columns += py_[a] > 0 ? 1 : 0;
    }
    if (rows < 2 || columns < 2) return 0;
    std::fill_n(matrix_.begin(), n * n, 0.0);
    for (const TouchedCell& cell : touched_)
      matrix_[cell.index] = static_cast<double>(cells_[cell.index]) / std::sqrt(static_cast<double>(px_[cell.row]) * static_cast<double>(py_[cell.column]));
    // A A^T without the part of the known vector sqrt(px).
    std::vector<double> square(n * n, 0.0);
    for (std::size_t a = 0; a < n; ++a)
      for (std::size_t b = 0; b <= a; ++b) {
        double sum = -std::sqrt(static_cast<double>(px_[a]) * static_cast<double>(px_[b])) / total;
        for (std::size_t k = 0; k < n; ++k) sum += matrix_[a * n + k] * matrix_[b * n + k];
        square[a * n + b] = square[b * n + a] = sum;
      }
    return std::sqrt(largest_magnitude_eigenvalue(square, n, vector_));
  }
  std::size_t m = 0;
  for (std::size_t a = 0; a < n; ++a) node_of_[a] = px_[a] > 0 ? static_cast<int>(m++) : -1;
  if (m < 2) return 0;
  // Levels as the nodes of a graph, cells as its edges: with two parts, or with one that is bipartite, the singular value 1 occurs twice.
  for (std::size_t at = 0; at < m; ++at) {
    root_[at] = static_cast<int>(at);
    parity_[at] = 0;
  }
  std::size_t parts = m;
  bool odd = false;
  for (const TouchedCell& cell : touched_) {
    auto a = static_cast<std::size_t>(node_of_[cell.row]);
    auto b = static_cast<std::size_t>(node_of_[cell.column]);
    if (a == b) {
      odd = true;
      continue;
    }
    std::uint8_t parity = 1;
    while (static_cast<std::size_t>(root_[a]) != a) {
      parity ^= parity_[a];
      a = static_cast<std::size_t>(root_[a]);
    }
    while (static_cast<std::size_t>(root_[b]) != b) {
      parity ^= parity_[b];
      b = static_cast<std::size_t>(root_[b]);
    }
    if (a == b) {
      odd = odd || parity != 0;
      continue;
    }
    root_[b] = static_cast<int>(a);
    parity_[b] = parity;
    --parts;
  }
  if (parts > 1 || !odd) return 1;
  // A - v v^T with v = sqrt(px / total); the lower triangle is enough.
  const double scale = 1 / total;
  for (std::size_t a = 0; a < n; ++a)
    if (node_of_[a] >= 0) vector_[static_cast<std::size_t>(node_of_[a])] = root_of_count_[px_[a]];
  for (std::size_t a = 0; a < m; ++a) {
    const double part = -scale * vector_[a];
    for (std::size_t b = 0; b <= a; ++b) matrix_[a * m + b] = part * vector_[b];
  }
  for (const TouchedCell& cell : touched_) {
    auto a = static_cast<std::size_t>(node_of_[cell.row]);
    auto b = static_cast<std::size_t>(node_of_[cell.column]);
    if (a < b) std::swap(a, b);
    matrix_[a * m + b] += (a == b ? 2.0 : 1.0) * static_cast<double>(cells_[cell.index]) * inverse_root_of_count_[px_[cell.row]] * inverse_root_of_count_[px_[cell.column]];
  }
  return largest_magnitude_eigenvalue(matrix_, m, vector_);
}

/// No value; but where the region has grey level 1 alone, the reference's InverseVariance is a sum over nothing, which is 0, for each direction it keeps.
void KernelEvaluator::fill_without_pairs(double* out, bool kept_directions) const {
  std::fill_n(out, glcm_kernel_features, not_a_number);
  if (kept_directions && context_.highest_level == 1) out[inverse_variance] = 0;
}

bool KernelEvaluator::glcm(std::span<const std::uint8_t> skip, double* out) {
  if (context_.norm != WeightingNorm::none) return glcm_weighted(out);
  const EntropyTable& entropy_of = entropy_table();
  std::fill_n(out, glcm_kernel_features, 0.0);
  const KernelGeometry& kernel = *context_.geometry;
  const bool symmetric = context_.symmetric;
  const auto n = static_cast<std::size_t>(level_count_);
  std::size_t directions = 0;
  std::size_t information_directions = 0;
  bool missing = false;
  for (std::size_t d = 0; d < kernel.pairs.size(); ++d) {
    if (skip[d] != 0) continue;
    std::uint32_t pairs = 0;
    for (const KernelPair& pair : kernel.pairs[d]) {
      const std::int32_t a = local_[pair.from];
      const std::int32_t b = local_[pair.to];
      if (a < 0 || b < 0) continue;
      pair_a_[pairs] = a;
      pair_b_[pairs++] = b;
    }
    if (pairs == 0) {
      missing = true;
      continue;
    }
    ++directions;
    std::fill_n(px_.begin(), n, 0u);
    if (!symmetric) std::fill_n(py_.begin(), n, 0u);
    touched_.clear();
    touched_sums_.clear();
    touched_differences_.clear();
    double products = 0;
    for (std::uint32_t at = 0; at < pairs; ++at) {
      const auto a = static_cast<std::size_t>(pair_a_[at]);
      const auto b = static_cast<std::size_t>(pair_b_[at]);
      const int i = level_[a];
      const int j = level_[b];
      products += static_cast<double>(i) * j;
      ++px_[a];
      ++(symmetric ? px_ : py_)[b];
      const std::size_t cell = symmetric && b < a ? b * n + a : a * n + b;
      if (cells_[cell]++ == 0) touched_.push_back({static_cast<std::uint32_t>(cell), static_cast<std::uint32_t>(symmetric && b < a ? b : a), static_cast<std::uint32_t>(symmetric && b < a ? a : b)});
      if (sums_[static_cast<std::size_t>(i + j)]++ == 0) touched_sums_.push_back(i + j);
      const int k = std::abs(i - j);
      if (differences_[static_cast<std::size_t>(k)]++ == 0) touched_differences_.push_back(k);
    }
    const double count = pairs;
    const std::uint32_t total = symmetric ? 2 * pairs : pairs;
    const double scale = 1.0 / total;

    // Over i + j and over |i - j|.
    double sum_mean = 0;
    double sum_entropy_value = 0;
    for (const int s : touched_sums_) {
      const std::uint32_t c = sums_[static_cast<std::size_t>(s)];
      sum_mean += static_cast<double>(c) * s;
      sum_entropy_value -= entropy_of(c, pairs);
    }
    sum_mean /= count;
    double tendency = 0;
    double shade = 0;
    double prominence = 0;
    for (const int s : touched_sums_) {
      const auto c = static_cast<double>(sums_[static_cast<std::size_t>(s)]);
      sums_[static_cast<std::size_t>(s)] = 0;
      const double t = s - sum_mean;
      tendency += c * t * t;
      shade += c * t * t * t;
      prominence += c * t * t * t * t;
    }
    tendency /= count;
    double difference_mean = 0;
    double difference_squares = 0;
    double difference_entropy_value = 0;
    std::array<double, 5> weighted{};
    for (const int k : touched_differences_) {
      const std::uint32_t c = differences_[static_cast<std::size_t>(k)];
      const std::array<double, 5>& weights = difference_weights_[static_cast<std::size_t>(k)];
      for (std::size_t at = 0; at < 5; ++at) weighted[at] += c * weights[at];
      difference_mean += static_cast<double>(c) * k;
      difference_squares += static_cast<double>(c) * k * k;
      difference_entropy_value -= entropy_of(c, pairs);
    }
    difference_mean /= count;
    double spread = 0;
    for (const int k : touched_differences_) {
      const auto c = static_cast<double>(differences_[static_cast<std::size_t>(k)]);
      differences_[static_cast<std::size_t>(k)] = 0;
      spread += c * (k - difference_mean) * (k - difference_mean);
    }

    // Marginals. Summed over rows and columns the reference's HXY1 and HXY2 are both HX + HY.
    double ux = 0.5 * sum_mean;
    double uy = ux;
    if (!symmetric) {
      ux = uy = 0;
      for (std::size_t a = 0; a < n; ++a) {
        ux += static_cast<double>(px_[a]) * level_[a];
        uy += static_cast<double>(py_[a]) * level_[a];
      }
      ux *= scale;
      uy *= scale;
    }
    double variance_x = 0;
    double variance_y = 0;
    double hx = 0;
    double hy = 0;
    std::size_t rows = 0;
    std::size_t columns = 0;
    for (std::size_t a = 0; a < n; ++a) {
      if (px_[a] > 0) {
        ++rows;
        variance_x += static_cast<double>(px_[a]) * (level_[a] - ux) * (level_[a] - ux);
        hx -= entropy_of(px_[a], total);
      }
      if (!symmetric && py_[a] > 0) {
        ++columns;
        variance_y += static_cast<double>(py_[a]) * (level_[a] - uy) * (level_[a] - uy);
        hy -= entropy_of(py_[a], total);
      }
    }
    variance_x *= scale;
    variance_y *= scale;
    double covariance = 0;
    if (symmetric) {
      variance_y = variance_x;
      hy = hx;
      columns = rows;
      covariance = 0.25 * (tendency - difference_squares / count);
    } else {
      for (std::uint32_t at = 0; at < pairs; ++at)
        covariance += (level_[static_cast<std::size_t>(pair_a_[at])] - ux) * (level_[static_cast<std::size_t>(pair_b_[at])] - uy);
      covariance *= scale;
    }

    // Cells.
    double energy = 0;
    double hxy = 0;
    std::uint32_t largest = 0;
    for (const TouchedCell& cell : touched_) {
      const std::uint32_t c = cells_[cell.index];
      if (symmetric && cell.row == cell.column) {
        const double p = 2 * c * scale;
        energy += p * p;
        hxy -= entropy_of(2 * c, total);
        largest = std::max(largest, 2 * c);
      } else {
        const double p = c * scale;
        energy += (symmetric ? 2 : 1) * p * p;
        hxy -= (symmetric ? 2 : 1) * entropy_of(c, total);
        largest = std::max(largest, c);
      }
    }

    out[autocorrelation] += products / count;
    out[cluster_prominence] += prominence / count;
    out[cluster_shade] += shade / count;
    out[cluster_tendency] += tendency;
    out[contrast] += difference_squares / count;
    const double deviations = std::sqrt(variance_x) * std::sqrt(variance_y);
    if (rows != columns && (rows < 2 || columns < 2)) out[correlation] += correlation_of_single_line(total);
    else out[correlation] += rows < 2 || columns < 2 || deviations == 0 ? 1.0 : covariance / (deviations + epsilon);
    out[difference_average] += difference_mean;
    out[difference_entropy] += difference_entropy_value;
    out[difference_variance] += spread / count;
    out[inverse_difference] += weighted[0] / count;
    out[inverse_difference_moment] += weighted[1] / count;
    out[inverse_difference_normalised] += weighted[2] / count;
    out[inverse_difference_moment_normalised] += weighted[3] / count;
    out[inverse_variance] += weighted[4] / count;
    if (rows == 1 && columns == 1) {
      ++information_directions;  // both are 0
    } else {
      const double information = hx + hy - hxy;
      const double larger = std::max(hx, hy);
      out[information_1] += larger == 0 ? 0.0 : -information / larger;
      const double second = information > 1e-9 ? std::sqrt(1 - std::exp(-2 * information)) : imc2_of_independent(total);
      if (!std::isnan(second)) {
        out[information_2] += second;
        ++information_directions;
      }
    }
    out[joint_average] += ux;
    out[joint_energy] += energy;
    out[joint_entropy] += hxy;
    out[maximal_correlation_coefficient] += maximal_correlation(total);
    out[maximum_probability] += largest * scale;
    out[sum_average] += sum_mean;
    out[sum_entropy] += sum_entropy_value;
    out[sum_squares] += variance_x;
    for (const TouchedCell& cell : touched_) cells_[cell.index] = 0;
  }
  if (directions == 0) {
    fill_without_pairs(out, missing);
    return missing;
  }
  const double information = out[information_2];
  for (std::size_t at = 0; at < glcm_kernel_features; ++at) out[at] /= static_cast<double>(directions);
  out[information_2] = information_directions == 0 ? not_a_number : information / static_cast<double>(information_directions);
  if (missing) out[joint_average] = not_a_number;
  return missing;
}

/// With a weighting norm the directions of a kernel are one matrix of real numbers: the general formulas serve.
bool KernelEvaluator::glcm_weighted(double* out) {
  const KernelGeometry& kernel = *context_.geometry;
  const auto n = static_cast<std::size_t>(level_count_);
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return level_[a] < level_[b]; });
  std::vector<std::size_t> row_of(n);
  CooccurrenceMatrix matrix;
  for (std::size_t row = 0; row < n; ++row) {
    row_of[order[row]] = row;
    matrix.levels.push_back(level_[order[row]]);
  }
  std::vector<double> counts(n * n, 0.0);
  for (std::size_t d = 0; d < kernel.pairs.size(); ++d) {
    const double length = offset_length_mm(kernel.directions[d], context_.spacing_mm, context_.norm);
    const double weight = context_.norm == WeightingNorm::no_weighting ? 1.0 : std::exp(-(length * length));
    for (const KernelPair& pair : kernel.pairs[d]) {
      if (local_[pair.from] < 0 || local_[pair.to] < 0) continue;
      const std::size_t a = row_of[static_cast<std::size_t>(local_[pair.from])];
      const std::size_t b = row_of[static_cast<std::size_t>(local_[pair.to])];
      counts[a * n + b] += weight;
      if (context_.symmetric) counts[b * n + a] += weight;
    }
  }
  double total = 0;
  for (const double count : counts) total += count;
  if (!(total > 0)) {
    fill_without_pairs(out, true);
    return true;
  }
  matrix.highest_level = context_.highest_level;
  matrix.symmetric = context_.symmetric;
  for (std::size_t a = 0; a < n; ++a)
    for (std::size_t b = 0; b < n; ++b)
      if (counts[a * n + b] > 0) matrix.entries.push_back({static_cast<std::uint32_t>(a), static_cast<std::uint32_t>(b), counts[a * n + b] / total});
  const std::vector<NamedValue> values = glcm_features({matrix}, {});
  for (std::size_t at = 0; at < glcm_kernel_features; ++at) out[at] = std::holds_alternative<double>(values[at].value) ? std::get<double>(values[at].value) : not_a_number;
  // One level in this kernel, but several in the region: the reference's Q has a second eigenvalue, 0.
  if (n == 1) out[maximal_correlation_coefficient] = context_.levels->size() < 2 ? 1.0 : 0.0;
  return false;
}

void KernelEvaluator::count_level_sizes(std::span<const Item> items, int size_max, double* stats) {
  const EntropyTable& entropy_of = entropy_table();
  const auto n = static_cast<std::size_t>(level_count_);
  const auto sizes = static_cast<std::size_t>(size_max) + 1;
  std::fill_n(level_counts_.begin(), n, 0u);
  std::fill_n(size_counts_.begin(), sizes, 0u);
  touched_cells_.clear();
  for (const Item& item : items) {
    const std::size_t cell = static_cast<std::size_t>(item.level) * sizes + static_cast<std::size_t>(item.size);
    if (cells_[cell]++ == 0) touched_cells_.push_back({static_cast<std::uint32_t>(cell), static_cast<std::uint32_t>(item.level), static_cast<std::uint32_t>(item.size)});
    ++level_counts_[static_cast<std::size_t>(item.level)];
    ++size_counts_[static_cast<std::size_t>(item.size)];
  }
  const auto total = static_cast<std::uint32_t>(items.size());
  const auto count = static_cast<double>(total);
  std::fill_n(stats, static_cast<std::size_t>(level_size_statistics), 0.0);
  double voxels = 0;
  double size_squares = 0;
  for (std::size_t size = 1; size < sizes; ++size) {
    if (size_counts_[size] == 0) continue;
    const auto c = static_cast<double>(size_counts_[size]);
    const auto j = static_cast<double>(size);
    stats[small] += c / (j * j);
    size_squares += c * j * j;
    stats[size_uniformity] += c * c;
    voxels += c * j;
  }
  stats[large] = size_squares;
  const double size_mean = voxels / count;
  for (std::size_t size = 1; size < sizes; ++size)
    if (size_counts_[size] != 0) {
      const double d = static_cast<double>(size) - size_mean;
      stats[size_variance] += size_counts_[size] * d * d;
    }
  double level_sum = 0;
  for (std::size_t a = 0; a < n; ++a) {
    if (level_counts_[a] == 0) continue;
    const auto c = static_cast<double>(level_counts_[a]);
    stats[low] += c * level_inverse_squared_[a];
    stats[high] += c * level_squared_[a];
    stats[level_uniformity] += c * c;
    level_sum += c * level_[a];
  }
  const double level_mean = level_sum / count;
  for (std::size_t a = 0; a < n; ++a)
    if (level_counts_[a] != 0) {
      const double d = level_[a] - level_mean;
      stats[level_variance] += level_counts_[a] * d * d;
    }
  for (const TouchedCell& cell : touched_cells_) {
    const std::uint32_t c = cells_[cell.index];
    cells_[cell.index] = 0;
    const std::size_t a = cell.row;
    const auto j = static_cast<double>(cell.column);
    const double j2 = j * j;
    const double count_low = c * level_inverse_squared_[a];
    const double count_high = c * level_squared_[a];
    stats[small_low] += count_low / j2;
    stats[small_high] += count_high / j2;
    stats[large_low] += count_low * j2;
    stats[large_high] += count_high * j2;
    stats[entropy] -= entropy_of(c, total);
  }
  stats[percentage] = count / voxels;
  for (const std::size_t at : {small, large, level_uniformity, size_uniformity, level_variance, size_variance, low, high, small_low, small_high, large_low, large_high}) stats[at] /= count;
  stats[level_uniformity_normalised] = stats[level_uniformity] / count;
  stats[size_uniformity_normalised] = stats[size_uniformity] / count;
}

bool KernelEvaluator::has_runs() const {
  for (const auto& lines : context_.geometry->lines)
    for (const auto& line : lines) {
      int voxels = 0;
      for (const std::uint16_t position : line) voxels += local_[position] >= 0 ? 1 : 0;
      if (voxels > 1) return true;
    }
  return false;
}

bool KernelEvaluator::glrlm(double* out) {
  if (context_.norm != WeightingNorm::none) return glrlm_weighted(out);
  std::fill_n(out, glrlm_kernel_features, 0.0);
  const KernelGeometry& kernel = *context_.geometry;
  std::size_t directions = 0;
  std::array<double, level_size_statistics> stats{};
  for (const auto& lines : kernel.lines) {
    items_.clear();
    bool shared = false;
    int longest = 1;
    for (const auto& line : lines) {
      std::int32_t run_level = -1;
      int length = 0;
      int voxels = 0;
      for (const std::uint16_t position : line) {
        const std::int32_t level = local_[position];
        voxels += level >= 0 ? 1 : 0;
        if (level == run_level) {
          ++length;
          continue;
        }
        if (run_level >= 0) items_.push_back({run_level, length});
        longest = std::max(longest, length);
        run_level = level;
        length = 1;
      }
      if (run_level >= 0) {
        items_.push_back({run_level, length});
        longest = std::max(longest, length);
      }
      shared = shared || voxels > 1;
    }
    // PyRadiomics drops a direction in which no line holds two voxels.
    if (!shared) continue;
    ++directions;
    count_level_sizes(items_, longest, stats.data());
    for (std::size_t at = 0; at < glrlm_kernel_features; ++at) out[at] += stats[glrlm_order[at]];
  }
  if (directions == 0) {
    std::fill_n(out, glrlm_kernel_features, not_a_number);
    return false;
  }
  for (std::size_t at = 0; at < glrlm_kernel_features; ++at) out[at] /= static_cast<double>(directions);
  return true;
}

bool KernelEvaluator::glrlm_weighted(double* out) {
  const KernelGeometry& kernel = *context_.geometry;
  const auto sizes = static_cast<std::size_t>(2 * kernel.radius + 2);
  std::vector<double> counts(static_cast<std::size_t>(level_count_) * sizes, 0.0);
  for (std::size_t d = 0; d < kernel.lines.size(); ++d) {
    std::vector<std::pair<std::size_t, std::size_t>> runs;
    bool shared = false;
    for (const auto& line : kernel.lines[d]) {
      int voxels = 0;
      for (std::size_t at = 0; at < line.size();) {
        const std::int32_t level = local_[line[at]];
        std::size_t length = 1;
        while (at + length < line.size() && local_[line[at + length]] == level) ++length;
        if (level >= 0) {
          runs.emplace_back(static_cast<std::size_t>(level), length);
          voxels += static_cast<int>(length);
        }
        at += length;
      }
      shared = shared || voxels > 1;
    }
    if (!shared) continue;
    const double weight = context_.norm == WeightingNorm::no_weighting ? 1.0 : offset_length_mm(kernel.line_directions[d], context_.spacing_mm, context_.norm);
    for (const auto& [level, length] : runs) counts[level * sizes + length] += weight;
  }
  LevelSizeMatrix matrix;
  matrix.levels.assign(level_.begin(), level_.begin() + level_count_);
  for (std::size_t cell = 0; cell < counts.size(); ++cell)
    if (counts[cell] > 0) matrix.entries.push_back({static_cast<std::uint32_t>(cell / sizes), static_cast<std::uint32_t>(cell % sizes), counts[cell]});
  if (matrix.entries.empty()) {
    std::fill_n(out, glrlm_kernel_features, not_a_number);
    return false;
  }
  const std::vector<NamedValue> values = glrlm_features({matrix}, {});
  for (std::size_t at = 0; at < glrlm_kernel_features; ++at) out[at] = std::holds_alternative<double>(values[at].value) ? std::get<double>(values[at].value) : not_a_number;
  return true;
}

void KernelEvaluator::glszm(double* out) {
  for (std::size_t at = 0; at < positions_; ++at) parent_[at] = static_cast<std::uint16_t>(at);
  const auto root_of = [&](std::uint16_t at) {
    while (parent_[at] != at) {
      parent_[at] = parent_[parent_[at]];
      at = parent_[at];
    }
    return at;
  };
  for (const KernelPair& pair : context_.geometry->adjacent) {
    if (local_[pair.from] != local_[pair.to] || local_[pair.from] < 0) continue;
    const std::uint16_t a = root_of(pair.from);
    const std::uint16_t b = root_of(pair.to);
    if (a != b) parent_[std::max(a, b)] = std::min(a, b);
  }
  std::fill(zone_size_.begin(), zone_size_.end(), 0u);
  for (std::size_t at = 0; at < positions_; ++at)
    if (local_[at] >= 0) ++zone_size_[root_of(static_cast<std::uint16_t>(at))];
  items_.clear();
  int largest_zone = 1;
  for (std::size_t at = 0; at < positions_; ++at)
    if (zone_size_[at] > 0) {
      items_.push_back({local_[at], static_cast<std::int32_t>(zone_size_[at])});
      largest_zone = std::max(largest_zone, static_cast<int>(zone_size_[at]));
    }
  std::array<double, level_size_statistics> stats{};
  count_level_sizes(items_, largest_zone, stats.data());
  for (std::size_t at = 0; at < glszm_kernel_features; ++at) out[at] = stats[glszm_order[at]];
}

void KernelEvaluator::gldm(double* out) {
  std::fill(dependence_.begin(), dependence_.end(), 1u);
  const int alpha = context_.gldm_alpha;
  for (const auto& pairs : context_.geometry->pairs)
    for (const KernelPair& pair : pairs) {
      const std::int32_t a = local_[pair.from];
      const std::int32_t b = local_[pair.to];
      if (a < 0 || b < 0) continue;
      if (a == b || (alpha > 0 && std::abs(level_[static_cast<std::size_t>(a)] - level_[static_cast<std::size_t>(b)]) <= alpha)) {
        ++dependence_[pair.from];
        ++dependence_[pair.to];
      }
    }
  items_.clear();
  std::uint32_t largest_dependence = 1;
  for (std::size_t at = 0; at < positions_; ++at)
    if (local_[at] >= 0) {
      items_.push_back({local_[at], static_cast<std::int32_t>(dependence_[at])});
      largest_dependence = std::max(largest_dependence, dependence_[at]);
    }
  std::array<double, level_size_statistics> stats{};
  count_level_sizes(items_, static_cast<int>(largest_dependence), stats.data());
  for (std::size_t at = 0; at < gldm_kernel_features; ++at) out[at] = stats[gldm_order[at]];
}

void KernelEvaluator::ngtdm(double* out) {
  std::fill(neighbour_sum_.begin(), neighbour_sum_.end(), 0);
  std::fill(neighbour_count_.begin(), neighbour_count_.end(), 0u);
  for (const auto& pairs : context_.geometry->pairs)
    for (const KernelPair& pair : pairs) {
      const std::int32_t a = local_[pair.from];
      const std::int32_t b = local_[pair.to];
      if (a < 0 || b < 0) continue;
      neighbour_sum_[pair.from] += level_[static_cast<std::size_t>(b)];
      neighbour_sum_[pair.to] += level_[static_cast<std::size_t>(a)];
      ++neighbour_count_[pair.from];
      ++neighbour_count_[pair.to];
    }
  const auto n = static_cast<std::size_t>(level_count_);
  std::fill_n(tone_count_.begin(), n, 0.0);
  std::fill_n(tone_difference_.begin(), n, 0.0);
  for (std::size_t at = 0; at < positions_; ++at) {
    if (local_[at] < 0) continue;
    const auto a = static_cast<std::size_t>(local_[at]);
    tone_count_[a] += 1;
    if (neighbour_count_[at] > 0) tone_difference_[a] += std::abs(level_[a] - static_cast<double>(neighbour_sum_[at]) / neighbour_count_[at]);
  }
  const auto voxels = static_cast<double>(voxels_);
  double difference_sum = 0;
  double weighted_differences = 0;
  for (std::size_t a = 0; a < n; ++a) {
    difference_sum += tone_difference_[a];
    tone_count_[a] /= voxels;  // p_i from here on
    weighted_differences += tone_count_[a] * tone_difference_[a];
  }
  double busy = 0;
  double complex = 0;
  double contrasting = 0;
  double strong = 0;
  for (std::size_t a = 0; a < n; ++a) {
    const double pa = tone_count_[a];
    const double weighted_a = pa * tone_difference_[a];
    for (std::size_t b = 0; b < a; ++b) {
      const double pb = tone_count_[b];
      const double difference = std::abs(level_[a] - level_[b]);
      busy += std::abs(level_[a] * pa - level_[b] * pb);
      complex += difference * (weighted_a + pb * tone_difference_[b]) / (pa + pb);
      contrasting += pa * pb * difference * difference;
      strong += (pa + pb) * difference * difference;
    }
  }
  const auto present = static_cast<double>(n);
  out[0] = busy == 0 ? 0.0 : weighted_differences / (2 * busy);
  out[1] = weighted_differences == 0 ? 1e6 : 1 / weighted_differences;
  out[2] = 2 * complex / voxels;
  out[3] = n < 2 ? 0.0 : 2 * contrasting * difference_sum / (voxels * present * (present - 1));
  out[4] = difference_sum == 0 ? 0.0 : 2 * strong / difference_sum;
}

}  // namespace choana::processing
