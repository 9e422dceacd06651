#include "processing/radiomics/families/glcm.h"

#include <Eigen/Dense>
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <utility>

#include "processing/radiomics/families/leading_eigenvalue.h"

namespace choana::processing {
namespace {

/// Above this number of levels no dense matrix is made for MCC.
constexpr std::size_t dense_levels_max = 1024;
/// Up to this highest level, sums and differences of levels are tabulated.
constexpr std::size_t tabulated_level_max = 65536;
/// Up to this number of occupied levels, entropies of independent marginals are summed pair by pair, exactly as the reference does: where a
/// matrix factorises, rounding decides about 0 or no value.
constexpr std::size_t pairwise_levels_max = 16;

/// A distribution over whole numbers: (value, probability), ascending.
using Distribution = std::vector<std::pair<double, double>>;

double entropy_term(double p) { return p * std::log2(p + epsilon); }

template <typename Function>
double expectation(const Distribution& distribution, Function&& f) {
  double sum = 0;
  for (const auto& [k, p] : distribution) sum += p * f(k);
  return sum;
}

/// Marginals, moments and entropies of one co-occurrence matrix: one sweep over the cells, the rest from marginals and from the
/// distributions of i + j and |i - j|. Holds its tables from one matrix to the next.
class CooccurrenceStatistics {
 public:
  const CooccurrenceMatrix* matrix = nullptr;
  std::vector<double> level;
  std::vector<double> px;
  std::vector<double> py;
  double ux = 0;
  double uy = 0;
  double variance_x = 0;
  double hx = 0;
  double hy = 0;
  double hxy = 0;
  double hxy1 = 0;
  double hxy2 = 0;
  double product = 0;         // sum of i j p
  double energy = 0;          // sum of p^2
  double largest = 0;
  Distribution sums;          // p_{x+y}(k)
  Distribution differences;   // p_{|x-y|}(k)
  mutable LeadingEigenvalue leading;  // tables for MCC

  void assign(const CooccurrenceMatrix& source) {
    matrix = &source;
    level.assign(source.levels.begin(), source.levels.end());
    px.assign(level.size(), 0);
    py.assign(level.size(), 0);
    ux = uy = variance_x = hx = hy = hxy = hxy1 = hxy2 = product = energy = largest = 0;
    sums.clear();
    differences.clear();
    if (static_cast<std::size_t>(source.highest_level) <= tabulated_level_max) sweep_tabulated();
    else sweep_listed();
    for (std::size_t at = 0; at < level.size(); ++at) {
      ux += level[at] * px[at];
      uy += level[at] * py[at];
      hx -= entropy_term(px[at]);
      hy -= entropy_term(py[at]);
    }
    for (std::size_t at = 0; at < level.size(); ++at) variance_x += (level[at] - ux) * (level[at] - ux) * px[at];
    entropies_of_marginals();
  }

  [[nodiscard]] bool varies(const std::vector<double>& marginal) const {
    return std::count_if(marginal.begin(), marginal.end(), [](double p) { return p > 0; }) > 1;
  }

 private:
  /// f(row, column, p, weight): of a symmetric matrix the upper half alone, its cells off the diagonal with weight 2.
  template <typename Function>
  void each_cell(Function&& f) const {
    if (!matrix->symmetric) {
      for (const MatrixEntry& entry : matrix->entries) f(entry.row, entry.column, entry.count, 1.0);
      return;
    }
    for (const MatrixEntry& entry : matrix->entries)
      if (entry.column >= entry.row) f(entry.row, entry.column, entry.count, entry.column == entry.row ? 1.0 : 2.0);
  }

  template <typename AddSum, typename AddDifference>
  void sweep(AddSum&& add_sum, AddDifference&& add_difference) {
    const bool symmetric = matrix->symmetric;
    const int* levels = matrix->levels.data();
    each_cell([&](std::uint32_t row, std::uint32_t column, double p, double weight) {
      const int a = levels[row];
      const int b = levels[column];
      const double mass = weight * p;
      px[row] += p;
      if (!symmetric) py[column] += p;
      else if (row != column) px[column] += p;
      add_sum(a + b, mass);
      add_difference(std::abs(a - b), mass);
      product += level[row] * level[column] * mass;
      energy += p * mass;
      largest = std::max(largest, p);
      hxy -= mass * std::log2(p + epsilon);
    });
    if (symmetric) py = px;
  }

  void sweep_tabulated() {
    const auto highest = static_cast<std::size_t>(matrix->highest_level);
    sum_table_.assign(2 * highest + 1, 0);
    difference_table_.assign(highest + 1, 0);
    sweep([&](int k, double p) { sum_table_[static_cast<std::size_t>(k)] += p; }, [&](int k, double p) { difference_table_[static_cast<std::size_t>(k)] += p; });
    for (std::size_t k = 0; k < sum_table_.size(); ++k)
      if (sum_table_[k] > 0) sums.emplace_back(static_cast<double>(k), sum_table_[k]);
    for (std::size_t k = 0; k < difference_table_.size(); ++k)
      if (difference_table_[k] > 0) differences.emplace_back(static_cast<double>(k), difference_table_[k]);
  }
  void sweep_listed() {
    std::unordered_map<int, double> sum_table;
    std::unordered_map<int, double> difference_table;
    sweep([&](int k, double p) { sum_table[k] += p; }, [&](int k, double p) { difference_table[k] += p; });
    sums.assign(sum_table.begin(), sum_table.end());
    differences.assign(difference_table.begin(), difference_table.end());
    std::sort(sums.begin(), sums.end());
    std::sort(differences.begin(), differences.end());
  }

  void entropies_of_marginals() {
    const auto occupied = static_cast<std::size_t>(std::count_if(px.begin(), px.end(), [](double p) { return p > 0; }));
    if (occupied <= pairwise_levels_max) {
      for (const MatrixEntry& entry : matrix->entries) hxy1 -= entry.count * std::log2(px[entry.row] * py[entry.column] + epsilon);
      for (const double a : px)
        for (const double b : py)
          if (a > 0 && b > 0) hxy2 -= a * b * std::log2(a * b + epsilon);
      return;
    }
    // log2(ab + e) = log2 a + log2 b + e / (ab ln 2) up to terms in e^2, and rows and columns of p sum to px and py.
    double exact = 0;
    double pairs_x = 0;
    double pairs_y = 0;
    for (const double p : px)
      if (p > 0) {
        exact -= p * std::log2(p);
        ++pairs_x;
      }
    for (const double p : py)
      if (p > 0) {
        exact -= p * std::log2(p);
        ++pairs_y;
      }
    double guarded = 0;
    each_cell([&](std::uint32_t row, std::uint32_t column, double p, double weight) { guarded += weight * p / (px[row] * py[column]); });
    hxy1 = exact - epsilon * guarded / std::log(2.0);
    hxy2 = exact - epsilon * pairs_x * pairs_y / std::log(2.0);
  }

  std::vector<double> sum_table_;
  std::vector<double> difference_table_;
};

using S = CooccurrenceStatistics;

double autocorrelation(const S& s) { return s.product; }
double cluster_prominence(const S& s) {
  return expectation(s.sums, [&](double k) { return (k - s.ux - s.uy) * (k - s.ux - s.uy) * (k - s.ux - s.uy) * (k - s.ux - s.uy); });
}
double cluster_shade(const S& s) {
  return expectation(s.sums, [&](double k) { return (k - s.ux - s.uy) * (k - s.ux - s.uy) * (k - s.ux - s.uy); });
}
double cluster_tendency(const S& s) {
  return expectation(s.sums, [&](double k) { return (k - s.ux - s.uy) * (k - s.ux - s.uy); });
}
double contrast(const S& s) {
  return expectation(s.differences, [](double k) { return k * k; });
}
double correlation(const S& s) {
  // A single level has no spread; asked first, because rounding may leave a variance of 1e-32.
  if (!s.varies(s.px) || !s.varies(s.py)) return 1;
  double variance_y = 0;
  for (std::size_t at = 0; at < s.level.size(); ++at) variance_y += (s.level[at] - s.uy) * (s.level[at] - s.uy) * s.py[at];
  const double deviations = std::sqrt(s.variance_x) * std::sqrt(variance_y);
  if (deviations == 0) return 1;
  // Variance of i + j less that of i - j: four covariances, without the cancellation of sum i j p - ux uy.
  const double covariance = (cluster_tendency(s) - (contrast(s) - (s.ux - s.uy) * (s.ux - s.uy))) / 4;
  return covariance / (deviations + epsilon);
}
double difference_average(const S& s) {
  return expectation(s.differences, [](double k) { return k; });
}
double difference_entropy(const S& s) {
  double sum = 0;
  for (const auto& [k, p] : s.differences) sum -= entropy_term(p);
  return sum;
}
double difference_variance(const S& s) {
  const double average = difference_average(s);
  return expectation(s.differences, [&](double k) { return (k - average) * (k - average); });
}
double inverse_difference(const S& s) {
  return expectation(s.differences, [](double k) { return 1 / (1 + k); });
}
double inverse_difference_moment(const S& s) {
  return expectation(s.differences, [](double k) { return 1 / (1 + k * k); });
}
double inverse_difference_moment_normalised(const S& s) {
  const double highest = s.matrix->highest_level;
  return expectation(s.differences, [&](double k) { return 1 / (1 + k * k / (highest * highest)); });
}
double inverse_difference_normalised(const S& s) {
  const double highest = s.matrix->highest_level;
  return expectation(s.differences, [&](double k) { return 1 / (1 + k / highest); });
}
double information_correlation_1(const S& s) {
  const double largest = std::max(s.hx, s.hy);
  return largest == 0 ? 0.0 : (s.hxy - s.hxy1) / largest;
}
double information_correlation_2(const S& s) {
  if (s.hxy2 == s.hxy) return 0;
  // Where rounding makes HXY the larger, the reference has no value for this direction.
  const double inside = 1 - std::exp(-2 * (s.hxy2 - s.hxy));
  return inside < 0 ? not_a_number : std::sqrt(inside);
}
double inverse_variance(const S& s) {
  return expectation(s.differences, [](double k) { return k > 0 ? 1 / (k * k) : 0.0; });
}
double joint_average(const S& s) { return s.ux; }
double joint_energy(const S& s) { return s.energy; }
double joint_entropy(const S& s) { return s.hxy; }
double maximum_probability(const S& s) { return s.largest; }
double sum_average(const S& s) {
  return expectation(s.sums, [](double k) { return k; });
}
double sum_entropy(const S& s) {
  double sum = 0;
  for (const auto& [k, p] : s.sums) sum -= entropy_term(p);
  return sum;
}
double sum_squares(const S& s) { return s.variance_x; }

/// Q(i, j) = sum_k p(i, k) p(j, k) / (px(i) py(k) + eps), as the reference builds it.
double second_eigenvalue_of_q(const Eigen::MatrixXd& p, const Eigen::VectorXd& px, const Eigen::VectorXd& py) {
  const Eigen::Index n = p.rows();
  Eigen::MatrixXd q = Eigen::MatrixXd::Zero(n, n);
  for (Eigen::Index i = 0; i < n; ++i) {
    const Eigen::RowVectorXd scaled = p.row(i).array() / (px(i) * py.transpose().array() + epsilon);
    q.row(i) = scaled * p.transpose();
  }
  const Eigen::EigenSolver<Eigen::MatrixXd> solver(q, false);
  Eigen::VectorXd values = solver.eigenvalues().real();
  std::sort(values.begin(), values.end());
  return values(n - 2);
}

/// Maximal correlation coefficient: the square root of the second eigenvalue of Q, which is the second singular value of
/// A = Dx^-1/2 P Dy^-1/2. The guard eps in Q moves the eigenvalue noticeably only where px(i) py(k) is tiny; then
/// first-order perturbation corrects for it, or Q itself is solved when the two leading eigenvalues are close.
double maximal_correlation(const S& s) {
  if (s.level.size() < 2) return 1;
  std::vector<int> row_of(s.level.size(), -1);
  std::vector<int> column_of(s.level.size(), -1);
  int row_count = 0;
  int column_count = 0;
  // A symmetric matrix has the same empty rows and columns, so one numbering serves both and A stays symmetric.
  for (std::size_t at = 0; at < s.level.size(); ++at) {
    if (s.px[at] > 0) row_of[at] = row_count++;
    if (s.py[at] > 0) column_of[at] = column_count++;
  }
  if (row_count < 2) return 0;
  if (static_cast<std::size_t>(std::max(row_count, column_count)) > dense_levels_max) return not_a_number;
  const auto n = static_cast<std::size_t>(row_count);
  std::vector<double> px;
  std::vector<double> py;
  for (const double p : s.px)
    if (p > 0) px.push_back(p);
  for (const double p : s.py)
    if (p > 0) py.push_back(p);
  const bool symmetric = s.matrix->symmetric;
  const auto inverse_roots = [](const std::vector<double>& marginal) {
    std::vector<double> roots;
    for (const double p : marginal) roots.push_back(1 / std::sqrt(p));
    return roots;
  };
  const std::vector<double> rx = inverse_roots(px);
  const std::vector<double> ry = inverse_roots(py);
  LeadingEigenvalue& leading = s.leading;
  leading.resize(n);
  // The first eigenvector is known: sqrt(px), of eigenvalue 1. Without it the second is the largest.
  if (symmetric) {
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < n; ++j) leading.at(i, j) = -(px[i] * rx[i]) * (px[j] * rx[j]);
    for (const MatrixEntry& entry : s.matrix->entries) {
      const auto i = static_cast<std::size_t>(row_of[entry.row]);
      const auto j = static_cast<std::size_t>(column_of[entry.column]);
      leading.at(i, j) += entry.count * rx[i] * ry[j];
    }
  } else {
    Eigen::MatrixXd a = Eigen::MatrixXd::Zero(row_count, column_count);
    for (const MatrixEntry& entry : s.matrix->entries) {
      const auto i = row_of[entry.row];
      const auto j = column_of[entry.column];
      a(i, j) = entry.count * rx[static_cast<std::size_t>(i)] * ry[static_cast<std::size_t>(j)];
    }
    const Eigen::MatrixXd squared = a * a.transpose();
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < n; ++j)
        leading.at(i, j) = squared(static_cast<Eigen::Index>(i), static_cast<Eigen::Index>(j)) - (px[i] * rx[i]) * (px[j] * rx[j]);
  }
  const double found = leading.find();
  const double eigenvalue = symmetric ? found * found : std::max(0.0, found);
  const bool guard_matters = epsilon / (*std::min_element(px.begin(), px.end()) * *std::min_element(py.begin(), py.end())) > 1e-8;
  if (!guard_matters) return std::sqrt(eigenvalue);

  constexpr double gap_least = 1e-3;
  const double third = eigenvalue - gap_least;
  if (1 - eigenvalue < gap_least || (third > 0 && leading.count_beyond(symmetric ? std::sqrt(third) : third) > 1) || third <= 0) {
    Eigen::MatrixXd p = Eigen::MatrixXd::Zero(row_count, column_count);
    for (const MatrixEntry& entry : s.matrix->entries) p(row_of[entry.row], column_of[entry.column]) = entry.count;
    return std::sqrt(std::max(0.0, second_eigenvalue_of_q(p, Eigen::Map<const Eigen::VectorXd>(px.data(), row_count), Eigen::Map<const Eigen::VectorXd>(py.data(), column_count))));
  }
  const std::vector<double> u = leading.vector_of(found);
  std::vector<double> v(py.size(), 0);  // u^T A
  for (const MatrixEntry& entry : s.matrix->entries) {
    const auto i = static_cast<std::size_t>(row_of[entry.row]);
    const auto j = static_cast<std::size_t>(column_of[entry.column]);
    v[j] += u[i] * entry.count * rx[i] * ry[j];
  }
  double shift = 0;
  for (const MatrixEntry& entry : s.matrix->entries) {
    const auto i = static_cast<std::size_t>(row_of[entry.row]);
    const auto j = static_cast<std::size_t>(column_of[entry.column]);
    shift += u[i] * entry.count * rx[i] * ry[j] * v[j] * epsilon / (px[i] * py[j] + epsilon);
  }
  return std::sqrt(std::max(0.0, eigenvalue - shift));
}

using Row = FeatureRow<CooccurrenceStatistics>;
constexpr auto none = Quantity::none;

constexpr std::array rows{
    Row{"Autocorrelation", "QWB0", none, autocorrelation},
    Row{"ClusterProminence", "AE86", none, cluster_prominence},
    Row{"ClusterShade", "7NFM", none, cluster_shade},
    Row{"ClusterTendency", "DG8W", none, cluster_tendency},
    Row{"Contrast", "ACUI", none, contrast},
    Row{"Correlation", "NI2N", none, correlation},
    Row{"DifferenceAverage", "TF7R", none, difference_average},
    Row{"DifferenceEntropy", "NTRS", none, difference_entropy},
    Row{"DifferenceVariance", "D3YU", none, difference_variance},
    Row{"Dissimilarity", "8S9J", none, nullptr, Availability::retired},      // equals DifferenceAverage
    Row{"Homogeneity1", "GLCM_HOMOGEN1", none, nullptr, Availability::retired},  // equals Id
    Row{"Homogeneity2", "GLCM_HOMOGEN2", none, nullptr, Availability::retired},  // equals Idm
    Row{"Id", "IB1Z", none, inverse_difference},
    Row{"Idm", "WF0Z", none, inverse_difference_moment},
    Row{"Idmn", "1QCO", none, inverse_difference_moment_normalised},
    Row{"Idn", "NDRX", none, inverse_difference_normalised},
    Row{"Imc1", "R8DG", none, information_correlation_1},
    Row{"Imc2", "JN9H", none, information_correlation_2},
    Row{"InverseVariance", "E8JP", none, inverse_variance},
    Row{"JointAverage", "60VM", none, joint_average},
    Row{"JointEnergy", "8ZQL", none, joint_energy},
    Row{"JointEntropy", "TU9B", none, joint_entropy},
    Row{"MCC", "GLCM_MCC", none, maximal_correlation},
    Row{"MaximumProbability", "GYBY", none, maximum_probability},
    Row{"SumAverage", "ZGXS", none, sum_average},
    Row{"SumEntropy", "P6QZ", none, sum_entropy},
    Row{"SumSquares", "UR99", none, sum_squares},
    Row{"SumVariance", "OEEB", none, nullptr, Availability::retired},  // equals ClusterTendency
};

}  // namespace

struct GlcmMeans::State {
  std::vector<const Row*> selected;
  std::vector<double> sums;
  std::vector<std::size_t> counts;
  CooccurrenceStatistics statistics;
  std::size_t matrices = 0;
  bool many_levels = false;
};

GlcmMeans::GlcmMeans(const std::vector<std::string>& names) : state_(std::make_unique<State>()) {
  state_->selected = select_rows(std::span<const Row>(rows), names);
  state_->sums.assign(state_->selected.size(), 0);
  state_->counts.assign(state_->selected.size(), 0);
}
GlcmMeans::~GlcmMeans() = default;

void GlcmMeans::add(const CooccurrenceMatrix& direction) {
  State& state = *state_;
  ++state.matrices;
  state.many_levels = direction.levels.size() > dense_levels_max;
  state.statistics.assign(direction);
  for (std::size_t at = 0; at < state.selected.size(); ++at) {
    const double value = state.selected[at]->formula(state.statistics);
    if (std::isnan(value)) continue;
    state.sums[at] += value;
    ++state.counts[at];
  }
}

std::vector<NamedValue> GlcmMeans::values() const {
  const State& state = *state_;
  NotComputed why{"no_pairs", "No two voxels of the region are neighbours at the given distances."};
  if (state.matrices > 0) {
    why = {"not_defined", "The value is not defined for any direction of this region."};
    if (state.many_levels) why = {"too_many_levels", "The region has more than 1024 grey levels."};
  }
  std::vector<NamedValue> values;
  for (std::size_t at = 0; at < state.selected.size(); ++at) {
    const double mean = state.sums[at] / static_cast<double>(state.counts[at]);
    if (state.counts[at] > 0 && std::isfinite(mean)) values.push_back({state.selected[at]->name, mean});
    else values.push_back({state.selected[at]->name, why});
  }
  return values;
}

std::vector<NamedValue> glcm_features(const std::vector<CooccurrenceMatrix>& directions, const std::vector<std::string>& names) {
  GlcmMeans means(names);
  for (const CooccurrenceMatrix& direction : directions) means.add(direction);
  return means.values();
}

std::vector<FeatureDescription> describe_glcm() { return describe_rows("glcm", std::span<const Row>(rows)); }

}  // namespace choana::processing
