#include "processing/radiomics/families/leading_eigenvalue.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "core/vectorised.h"

namespace choana::processing {
namespace {

constexpr std::size_t lanes = 8;
constexpr double precision = 1e-15;

std::size_t whole_lanes(std::size_t count) { return (count + lanes - 1) / lanes * lanes; }

/// product = matrix x vector over the first `count` rows and columns of a symmetric matrix; both vectors are padded with 0.
CHOANA_VECTORISED void multiply(const double* matrix, std::size_t stride, std::size_t count, const double* vector, double* product) {
  const std::size_t width = whole_lanes(count);
  for (std::size_t i = 0; i < width; ++i) product[i] = 0;
  for (std::size_t j = 0; j < count; ++j) {
    const double factor = vector[j];
    const double* row = matrix + j * stride;
    for (std::size_t i = 0; i < width; ++i) product[i] += factor * row[i];
  }
}

/// matrix -= u q^T + q u^T.
CHOANA_VECTORISED void update(double* matrix, std::size_t stride, std::size_t count, const double* u, const double* q) {
  const std::size_t width = whole_lanes(count);
  for (std::size_t j = 0; j < count; ++j) {
    double* row = matrix + j * stride;
    const double uj = u[j];
    const double qj = q[j];
    for (std::size_t i = 0; i < width; ++i) row[i] -= uj * q[i] + qj * u[i];
  }
}

/// How many eigenvalues of the tridiagonal matrix lie below each of eight numbers.
CHOANA_VECTORISED void count_below(const double* diagonal, const double* beside, std::size_t n, const double* numbers, double* counts) {
  constexpr double tiny = 1e-290;
  double q[lanes];
  for (std::size_t l = 0; l < lanes; ++l) {
    counts[l] = 0;
    q[l] = 1;
  }
  for (std::size_t i = 0; i < n; ++i) {
    const double coupling = i == 0 ? 0.0 : beside[i] * beside[i];
    for (std::size_t l = 0; l < lanes; ++l) {
      double next = diagonal[i] - numbers[l] - coupling / q[l];
      next = std::fabs(next) < tiny ? -tiny : next;
      counts[l] += next < 0 ? 1.0 : 0.0;
      q[l] = next;
    }
  }
}

}  // namespace

void LeadingEigenvalue::resize(std::size_t n) {
  n_ = n;
  stride_ = whole_lanes(n);
  matrix_.assign(n * stride_, 0);
  scale_.assign(n, 0);
  diagonal_.assign(n, 0);
  beside_.assign(n, 0);
  product_.assign(stride_, 0);
}

double LeadingEigenvalue::find() {
  if (n_ == 1) return diagonal_[0] = matrix_[0];
  // Row i is cleared left of its neighbour i - 1 by H = 1 - u u^T / h, from the last row up.
  for (std::size_t i = n_ - 1; i >= 1; --i) {
    double* u = row(i);
    diagonal_[i] = u[i];
    double norm = 0;
    for (std::size_t k = 0; k < i; ++k) norm += u[k] * u[k];
    const double f = u[i - 1];
    if (!(norm - f * f > 1e-300)) {
      beside_[i] = f;
      continue;
    }
    const double g = f >= 0 ? -std::sqrt(norm) : std::sqrt(norm);
    beside_[i] = g;
    const double h = norm - f * g;
    scale_[i] = h;
    u[i - 1] = f - g;
    for (std::size_t k = i; k < stride_; ++k) u[k] = 0;
    multiply(matrix_.data(), stride_, i, u, product_.data());
    double projection = 0;
    for (std::size_t k = 0; k < i; ++k) {
      product_[k] /= h;
      projection += product_[k] * u[k];
    }
    const double half = projection / (h + h);
    for (std::size_t k = 0; k < i; ++k) product_[k] -= half * u[k];
    for (std::size_t k = i; k < stride_; ++k) product_[k] = 0;
    update(matrix_.data(), stride_, i, u, product_.data());
  }
  diagonal_[0] = matrix_[0];
  // The largest magnitude lies in [low, high]: each round divides that by nine.
  double low = 0;
  double high = 1 + 1e-12;
  while (high - low > precision) {
    double numbers[lanes], mirrored[lanes], below[lanes], below_mirrored[lanes];
    for (std::size_t l = 0; l < lanes; ++l) {
      numbers[l] = low + (high - low) * static_cast<double>(l + 1) / static_cast<double>(lanes + 1);
      mirrored[l] = -numbers[l];
    }
    if (numbers[0] <= low || numbers[lanes - 1] >= high) break;
    count_below(diagonal_.data(), beside_.data(), n_, numbers, below);
    count_below(diagonal_.data(), beside_.data(), n_, mirrored, below_mirrored);
    double next_high = high;
    for (std::size_t l = 0; l < lanes; ++l) {
      const bool beyond = below[l] < static_cast<double>(n_) || below_mirrored[l] > 0;
      if (beyond) low = numbers[l];
      else {
        next_high = numbers[l];
        break;
      }
    }
    high = next_high;
  }
  const double magnitude = 0.5 * (low + high);
  double numbers[lanes], below[lanes];
  std::fill(numbers, numbers + lanes, low);
  count_below(diagonal_.data(), beside_.data(), n_, numbers, below);
  return below[0] < static_cast<double>(n_) ? magnitude : -magnitude;
}

std::size_t LeadingEigenvalue::count_beyond(double magnitude) const {
  double numbers[lanes] = {magnitude, -magnitude};
  double below[lanes];
  count_below(diagonal_.data(), beside_.data(), n_, numbers, below);
  return n_ - static_cast<std::size_t>(below[0]) + static_cast<std::size_t>(below[1]);
}

std::vector<double> LeadingEigenvalue::vector_of(double eigenvalue) const {
  const std::size_t n = n_;
  std::vector<double> vector(stride_, 0);
  if (n == 1) {
    vector[0] = 1;
    return vector;
  }
  // Two steps of inverse iteration on the tridiagonal matrix, by elimination with row exchanges.
  std::vector<double> main(n), above(n), above2(n);
  for (std::size_t i = 0; i < n; ++i) vector[i] = 1.0 + 0.01 * static_cast<double>((i * 7919) % 101);
  for (int step = 0; step < 3; ++step) {
    for (std::size_t i = 0; i < n; ++i) {
      main[i] = diagonal_[i] - eigenvalue;
      above[i] = i + 1 < n ? beside_[i + 1] : 0;
      above2[i] = 0;
    }
    for (std::size_t i = 0; i + 1 < n; ++i) {
      double below = beside_[i + 1];
      if (std::abs(below) > std::abs(main[i])) {
        std::swap(main[i], below);
        std::swap(above[i], main[i + 1]);
        std::swap(above2[i], above[i + 1]);
        std::swap(vector[i], vector[i + 1]);
      }
      if (main[i] == 0) main[i] = std::numeric_limits<double>::epsilon();
      const double factor = below / main[i];
      main[i + 1] -= factor * above[i];
      above[i + 1] -= factor * above2[i];
      vector[i + 1] -= factor * vector[i];
    }
    if (main[n - 1] == 0) main[n - 1] = std::numeric_limits<double>::epsilon();
    for (std::size_t i = n; i-- > 0;) {
      if (i + 1 < n) vector[i] -= above[i] * vector[i + 1];
      if (i + 2 < n) vector[i] -= above2[i] * vector[i + 2];
      vector[i] /= main[i];
    }
    double norm = 0;
    for (std::size_t i = 0; i < n; ++i) norm += vector[i] * vector[i];
    norm = std::sqrt(norm);
    for (std::size_t i = 0; i < n; ++i) vector[i] /= norm;
  }
  // Undo the reflections, the last first.
  for (std::size_t i = 1; i < n; ++i) {
    if (scale_[i] == 0) continue;
    const double* u = matrix_.data() + i * stride_;
    double projection = 0;
    for (std::size_t k = 0; k < i; ++k) projection += u[k] * vector[k];
    projection /= scale_[i];
    for (std::size_t k = 0; k < i; ++k) vector[k] -= projection * u[k];
  }
  return vector;
}

}  // namespace choana::processing
