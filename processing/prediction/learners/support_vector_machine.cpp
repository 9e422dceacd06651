#include "processing/prediction/learners/support_vector_machine.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace choana::processing {
namespace {

double kernel_value(const SupportVectorMachine& machine, const std::vector<double>& vector, const std::vector<double>& row) {
  using Kernel = SupportVectorMachine::Kernel;
  double sum = 0;
  if (machine.kernel == Kernel::rbf) {
    for (std::size_t i = 0; i < row.size(); ++i) sum += (vector[i] - row[i]) * (vector[i] - row[i]);
    return std::exp(-machine.gamma * sum);
  }
  for (std::size_t i = 0; i < row.size(); ++i) sum += vector[i] * row[i];
  if (machine.kernel == Kernel::poly) return std::pow(machine.gamma * sum + machine.coef0, machine.degree);
  if (machine.kernel == Kernel::sigmoid) return std::tanh(machine.gamma * sum + machine.coef0);
  return sum;
}

// 1 / (1 + exp(f)) without overflow.
double falling_sigmoid(double f) { return f >= 0 ? std::exp(-f) / (1.0 + std::exp(-f)) : 1.0 / (1.0 + std::exp(f)); }

// libsvm's coupling of two classes from the pairwise probability of class 0; returns the probability of class 1.
double coupled(double first) {
  constexpr double smallest = 1e-7;
  first = std::clamp(first, smallest, 1 - smallest);
  const std::array<std::array<double, 2>, 2> r{{{0, first}, {1 - first, 0}}};
  std::array<std::array<double, 2>, 2> q{};
  q[0][0] = r[1][0] * r[1][0];
  q[1][1] = r[0][1] * r[0][1];
  q[0][1] = q[1][0] = -r[1][0] * r[0][1];
  std::array<double, 2> p{0.5, 0.5}, qp{};
  constexpr double tolerance = 0.005 / 2;
  for (int iteration = 0; iteration < 100; ++iteration) {
    double pqp = 0;
    for (std::size_t t = 0; t < 2; ++t) {
      qp[t] = q[t][0] * p[0] + q[t][1] * p[1];
      pqp += p[t] * qp[t];
    }
    if (std::max(std::abs(qp[0] - pqp), std::abs(qp[1] - pqp)) < tolerance) break;
    for (std::size_t t = 0; t < 2; ++t) {
      const double step = (-qp[t] + pqp) / q[t][t];
      p[t] += step;
      pqp = (pqp + step * (step * q[t][t] + 2 * qp[t])) / (1 + step) / (1 + step);
      for (std::size_t j = 0; j < 2; ++j) {
        qp[j] = (qp[j] + step * q[t][j]) / (1 + step);
        p[j] /= 1 + step;
      }
    }
  }
  return p[1];
}

}  // namespace

double svm_decision(const SupportVectorMachine& machine, const std::vector<double>& row) {
  double sum = 0;
  for (std::size_t v = 0; v < machine.support_vectors.size(); ++v)
    sum += machine.dual_coefficients[v] * kernel_value(machine, machine.support_vectors[v], row);
  return sum + machine.intercept;
}

double svm_value(const SupportVectorMachine& machine, double decision) {
  using Probability = SupportVectorMachine::Probability;
  if (machine.probability == Probability::sigmoid) return falling_sigmoid(machine.a * decision + machine.b);
  // libsvm's own decision has class 0 on its positive side, hence the sign of d.
  if (machine.probability == Probability::libsvm_coupling) return coupled(falling_sigmoid(-machine.a * decision + machine.b));
  return decision;
}

}  // namespace choana::processing
