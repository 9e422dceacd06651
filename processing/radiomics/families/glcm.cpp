#include "processing/radiomics/families/glcm.h"

#include <Eigen/Dense>
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <unordered_map>
#include <utility>

namespace choana::processing {
namespace {

/// Above this number of levels, sums over all pairs of marginals are taken in closed form and no dense matrix is made.
constexpr std::size_t dense_levels_max = 1024;

/// A distribution over whole numbers: (value, probability), ascending.
using Distribution = std::vector<std::pair<double, double>>;

double entropy_term(double p) { return p * std::log2(p + epsilon); }

/// Marginals, moments and entropies of one co-occurrence matrix, computed once and shared by the formulas.
struct CooccurrenceStatistics {
  const CooccurrenceMatrix& matrix;
  std::vector<double> level;
  std::vector<double> px;
  std::vector<double> py;
  double ux = 0;
  double uy = 0;
  double hx = 0;
  double hy = 0;
  double hxy = 0;
  double hxy1 = 0;
  double hxy2 = 0;
  Distribution sums;         // p_{x+y}(k)
  Distribution differences;  // p_{x-y}(k)

  explicit CooccurrenceStatistics(const CooccurrenceMatrix& source) : matrix(source) {
    level.assign(matrix.levels.begin(), matrix.levels.end());
    px.assign(level.size(), 0);
    py.assign(level.size(), 0);
    for (const MatrixEntry& entry : matrix.entries) {
      px[entry.row] += entry.count;
      py[entry.column] += entry.count;
      ux += level[entry.row] * entry.count;
      uy += level[entry.column] * entry.count;
      hxy -= entropy_term(entry.count);
    }
    for (const double p : px) hx -= entropy_term(p);
    for (const double p : py) hy -= entropy_term(p);
    for (const MatrixEntry& entry : matrix.entries) hxy1 -= entry.count * std::log2(px[entry.row] * py[entry.column] + epsilon);
    if (level.size() <= dense_levels_max) {
      for (const double a : px)
        for (const double b : py)
          if (a > 0 && b > 0) hxy2 -= a * b * std::log2(a * b + epsilon);
    } else {
      // -sum ab log2(ab + e) = H(x) + H(y) - e * (number of pairs) / ln 2, up to terms in e^2.
      double pairs_x = 0;
      double pairs_y = 0;
      for (const double p : px)
        if (p > 0) {
          hxy2 -= p * std::log2(p);
          ++pairs_x;
        }
      for (const double p : py)
        if (p > 0) {
          hxy2 -= p * std::log2(p);
          ++pairs_y;
        }
      hxy2 -= epsilon * pairs_x * pairs_y / std::log(2.0);
    }
    collect();
  }

  template <typename Function>
  [[nodiscard]] double expectation(Function&& f) const {
    double sum = 0;
    for (const MatrixEntry& entry : matrix.entries) sum += entry.count * f(level[entry.row], level[entry.column]);
    return sum;
  }
  template <typename Function>
  [[nodiscard]] static double expectation(const Distribution& distribution, Function&& f) {
    double sum = 0;
    for (const auto& [k, p] : distribution) sum += p * f(k);
    return sum;
  }

 private:
  void collect() {
    const auto highest = static_cast<std::size_t>(matrix.highest_level);
    if (highest <= 65536) {
      std::vector<double> sum_table(2 * highest + 1, 0);
      std::vector<double> difference_table(highest + 1, 0);
      for (const MatrixEntry& entry : matrix.entries) {
        const int a = matrix.levels[entry.row];
        const int b = matrix.levels[entry.column];
        sum_table[static_cast<std::size_t>(a + b)] += entry.count;
        difference_table[static_cast<std::size_t>(std::abs(a - b))] += entry.count;
      }
      for (std::size_t k = 0; k < sum_table.size(); ++k)
        if (sum_table[k] > 0) sums.emplace_back(static_cast<double>(k), sum_table[k]);
      for (std::size_t k = 0; k < difference_table.size(); ++k)
        if (difference_table[k] > 0) differences.emplace_back(static_cast<double>(k), difference_table[k]);
      return;
    }
    std::unordered_map<long, double> sum_table;
    std::unordered_map<long, double> difference_table;
    for (const MatrixEntry& entry : matrix.entries) {
      const long a = matrix.levels[entry.row];
      const long b = matrix.levels[entry.column];
      sum_table[a + b] += entry.count;
      difference_table[std::abs(a - b)] += entry.count;
    }
    sums.assign(sum_table.begin(), sum_table.end());
    differences.assign(difference_table.begin(), difference_table.end());
    std::sort(sums.begin(), sums.end());
    std::sort(differences.begin(), differences.end());
  }
};

using S = CooccurrenceStatistics;

double autocorrelation(const S& s) {
  return s.expectation([](double i, double j) { return i * j; });
}
double cluster(const S& s, int power) {
  return s.expectation([&](double i, double j) { return std::pow(i + j - s.ux - s.uy, power); });
}
double cluster_prominence(const S& s) { return cluster(s, 4); }
double cluster_shade(const S& s) { return cluster(s, 3); }
double cluster_tendency(const S& s) { return cluster(s, 2); }
double contrast(const S& s) {
  return s.expectation([](double i, double j) { return (i - j) * (i - j); });
}
double correlation(const S& s) {
  // A single level has no spread; asked first, because rounding may leave a variance of 1e-32.
  const auto occupied = [](const std::vector<double>& marginal) { return std::count_if(marginal.begin(), marginal.end(), [](double p) { return p > 0; }); };
  if (occupied(s.px) < 2 || occupied(s.py) < 2) return 1;
  const double variance_x = s.expectation([&](double i, double) { return (i - s.ux) * (i - s.ux); });
  const double variance_y = s.expectation([&](double, double j) { return (j - s.uy) * (j - s.uy); });
  const double deviations = std::sqrt(variance_x) * std::sqrt(variance_y);
  if (deviations == 0) return 1;
  return s.expectation([&](double i, double j) { return (i - s.ux) * (j - s.uy); }) / (deviations + epsilon);
}
double difference_average(const S& s) {
  return S::expectation(s.differences, [](double k) { return k; });
}
double difference_entropy(const S& s) {
  double sum = 0;
  for (const auto& [k, p] : s.differences) sum -= entropy_term(p);
  return sum;
}
double difference_variance(const S& s) {
  const double average = difference_average(s);
  return S::expectation(s.differences, [&](double k) { return (k - average) * (k - average); });
}
double inverse_difference(const S& s) {
  return S::expectation(s.differences, [](double k) { return 1 / (1 + k); });
}
double inverse_difference_moment(const S& s) {
  return S::expectation(s.differences, [](double k) { return 1 / (1 + k * k); });
}
double inverse_difference_moment_normalised(const S& s) {
  const double highest = s.matrix.highest_level;
  return S::expectation(s.differences, [&](double k) { return 1 / (1 + k * k / (highest * highest)); });
}
double inverse_difference_normalised(const S& s) {
  const double highest = s.matrix.highest_level;
  return S::expectation(s.differences, [&](double k) { return 1 / (1 + k / highest); });
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
  return S::expectation(s.differences, [](double k) { return k > 0 ? 1 / (k * k) : 0.0; });
}
double joint_average(const S& s) { return s.ux; }
double joint_energy(const S& s) {
  double sum = 0;
  for (const MatrixEntry& entry : s.matrix.entries) sum += entry.count * entry.count;
  return sum;
}
double joint_entropy(const S& s) { return s.hxy; }
double maximum_probability(const S& s) {
  double largest = 0;
  for (const MatrixEntry& entry : s.matrix.entries) largest = std::max(largest, entry.count);
  return largest;
}
double sum_average(const S& s) {
  return S::expectation(s.sums, [](double k) { return k; });
}
double sum_entropy(const S& s) {
  double sum = 0;
  for (const auto& [k, p] : s.sums) sum -= entropy_term(p);
  return sum;
}
double sum_squares(const S& s) {
  return s.expectation([&](double i, double) { return (i - s.ux) * (i - s.ux); });
}

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
  Eigen::MatrixXd p = Eigen::MatrixXd::Zero(row_count, column_count);
  Eigen::VectorXd px(row_count);
  Eigen::VectorXd py(column_count);
  for (std::size_t at = 0; at < s.level.size(); ++at) {
    if (row_of[at] >= 0) px(row_of[at]) = s.px[at];
    if (column_of[at] >= 0) py(column_of[at]) = s.py[at];
  }
  for (const MatrixEntry& entry : s.matrix.entries) p(row_of[entry.row], column_of[entry.column]) = entry.count;
  const Eigen::VectorXd root_x = px.array().sqrt().inverse();
  const Eigen::VectorXd root_y = py.array().sqrt().inverse();
  const Eigen::MatrixXd a = root_x.asDiagonal() * p * root_y.asDiagonal();
  const bool guard_matters = epsilon / (px.minCoeff() * py.minCoeff()) > 1e-8;
  const bool symmetric = s.matrix.symmetric;
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(symmetric ? a : Eigen::MatrixXd(a * a.transpose()),
                                                              guard_matters ? Eigen::ComputeEigenvectors : Eigen::EigenvaluesOnly);
  Eigen::Index first = 0;
  Eigen::Index second = 1;
  const Eigen::VectorXd values = solver.eigenvalues();
  const auto magnitude = [&](Eigen::Index at) { return symmetric ? values(at) * values(at) : std::max(0.0, values(at)); };
  if (magnitude(second) > magnitude(first)) std::swap(first, second);
  Eigen::Index third = -1;
  for (Eigen::Index at = 2; at < values.size(); ++at) {
    if (magnitude(at) > magnitude(first)) {
      third = second;
      second = first;
      first = at;
    } else if (magnitude(at) > magnitude(second)) {
      third = second;
      second = at;
    } else if (third < 0 || magnitude(at) > magnitude(third)) {
      third = at;
    }
  }
  double eigenvalue = magnitude(second);
  if (guard_matters) {
    const double gap = std::min(magnitude(first) - eigenvalue, third < 0 ? 1.0 : eigenvalue - magnitude(third));
    if (gap < 1e-3) {
      eigenvalue = std::max(0.0, second_eigenvalue_of_q(p, px, py));
    } else {
      const Eigen::VectorXd u = solver.eigenvectors().col(second);
      const Eigen::RowVectorXd v = u.transpose() * a;
      double shift = 0;
      for (Eigen::Index i = 0; i < p.rows(); ++i)
        for (Eigen::Index k = 0; k < p.cols(); ++k)
          if (p(i, k) > 0) shift += u(i) * a(i, k) * v(k) * epsilon / (px(i) * py(k) + epsilon);
      eigenvalue = std::max(0.0, eigenvalue - shift);
    }
  }
  return std::sqrt(eigenvalue);
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

std::vector<NamedValue> glcm_features(const std::vector<CooccurrenceMatrix>& directions, const std::vector<std::string>& names) {
  std::vector<CooccurrenceStatistics> statistics;
  statistics.reserve(directions.size());
  for (const CooccurrenceMatrix& matrix : directions) statistics.emplace_back(matrix);
  NotComputed why{"no_pairs", "No two voxels of the region are neighbours at the given distances."};
  if (!directions.empty()) {
    why = {"not_defined", "The value is not defined for any direction of this region."};
    if (directions.front().levels.size() > dense_levels_max) why = {"too_many_levels", "The region has more than 1024 grey levels."};
  }
  return evaluate_mean(std::span<const Row>(rows), names, statistics, why);
}

std::vector<FeatureDescription> describe_glcm() { return describe_rows("glcm", std::span<const Row>(rows)); }

}  // namespace choana::processing
