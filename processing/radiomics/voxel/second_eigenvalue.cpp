#include "processing/radiomics/voxel/second_eigenvalue.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace choana::processing {
namespace {

constexpr int sweeps_max = 60;

/// Reduce to a tridiagonal matrix: diagonal d[0..n), subdiagonal e[1..n) (e[0] = 0). Only the lower triangle is read.
void tridiagonalise(double* a, std::size_t n, double* d, double* e) {
  for (std::size_t i = n - 1; i >= 1; --i) {
    double* row = a + i * n;
    if (i == 1) {
      e[1] = row[0];
      break;
    }
    double h = 0;
    for (std::size_t k = 0; k < i; ++k) h += row[k] * row[k];
    const double tail = h - row[i - 1] * row[i - 1];
    if (!(tail > std::numeric_limits<double>::min())) {
      e[i] = row[i - 1];
      continue;
    }
    const double f = row[i - 1];
    const double g = f >= 0 ? -std::sqrt(h) : std::sqrt(h);
    e[i] = g;
    h -= f * g;
    row[i - 1] = f - g;
    // p = A u / h in d[0..i), K = u^T p / (2 h), then A -= u q^T + q u^T with q = p - K u.
    for (std::size_t j = 0; j < i; ++j) d[j] = 0;
    for (std::size_t j = 0; j < i; ++j) {
      const double* other = a + j * n;
      const double uj = row[j];
      double sum = other[j] * uj;
      for (std::size_t k = 0; k < j; ++k) {
        sum += other[k] * row[k];
        d[k] += other[k] * uj;
      }
      d[j] += sum;
    }
    double product = 0;
    for (std::size_t j = 0; j < i; ++j) {
      d[j] /= h;
      product += d[j] * row[j];
    }
    const double half = product / (h + h);
    for (std::size_t j = 0; j < i; ++j) d[j] -= half * row[j];
    for (std::size_t j = 0; j < i; ++j) {
      double* other = a + j * n;
      const double uj = row[j];
      const double qj = d[j];
      for (std::size_t k = 0; k <= j; ++k) other[k] -= uj * d[k] + qj * row[k];
    }
  }
  e[0] = 0;
  for (std::size_t i = 0; i < n; ++i) d[i] = a[i * n + i];
}

}  // namespace

double largest_magnitude_eigenvalue(std::vector<double>& matrix, std::size_t n, std::vector<double>& scratch) {
  double* a = matrix.data();
  if (n == 1) return std::abs(a[0]);
  if (n == 2) {
    const double mean = 0.5 * (a[0] + a[3]);
    const double half = 0.5 * (a[0] - a[3]);
    return std::abs(mean) + std::sqrt(half * half + a[2] * a[2]);
  }
  double* d = scratch.data();
  double* e = scratch.data() + n;
  tridiagonalise(a, n, d, e);
  // Implicit QL on each unreduced block; e is shifted so that e[i] couples i and i + 1.
  double scale = 0;  // what is lost against the norm of the matrix is lost
  for (std::size_t i = 0; i < n; ++i) scale = std::max(scale, std::abs(d[i]) + std::abs(e[i]));
  for (std::size_t i = 1; i < n; ++i) e[i - 1] = e[i];
  e[n - 1] = 0;
  for (std::size_t l = 0; l < n; ++l) {
    for (int sweep = 0; sweep < sweeps_max; ++sweep) {
      std::size_t m = l;
      for (; m + 1 < n; ++m)
        if (std::abs(e[m]) <= std::numeric_limits<double>::epsilon() * (scale + std::abs(d[m]) + std::abs(d[m + 1]))) break;
      if (m == l) break;
      double g = (d[l + 1] - d[l]) / (2 * e[l]);
      double r = std::sqrt(g * g + 1);
      g = d[m] - d[l] + e[l] / (g + (g >= 0 ? r : -r));
      double s = 1;
      double c = 1;
      double p = 0;
      bool early = false;
      for (std::size_t i = m; i-- > l;) {
        const double f = s * e[i];
        const double b = c * e[i];
        r = std::sqrt(f * f + g * g);
        e[i + 1] = r;
        if (r == 0) {
          d[i + 1] -= p;
          e[m] = 0;
          early = true;
          break;
        }
        s = f / r;
        c = g / r;
        g = d[i + 1] - p;
        const double t = (d[i] - g) * s + 2 * c * b;
        p = s * t;
        d[i + 1] = g + p;
        g = c * t - b;
      }
      if (early) continue;
      d[l] -= p;
      e[l] = g;
      e[m] = 0;
    }
  }
  double largest = 0;
  for (std::size_t i = 0; i < n; ++i) largest = std::max(largest, std::abs(d[i]));
  return largest;
}

}  // namespace choana::processing
