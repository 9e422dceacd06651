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

constexpr std::size_t laguerre_size_max = 40;
constexpr int laguerre_steps_max = 40;

/// The largest root of the characteristic polynomial of sign x the tridiagonal matrix (squares: of the subdiagonal, squares[i] couples i - 1 and i), from above: Laguerre's
/// method comes down monotonically where all roots are real.
struct LargestRoot {
  double x = 0;
  double sign = 1;
  bool settled = false;

  void step(const double* d, const double* squares, std::size_t n) {
    double p0 = 1, p1 = x - sign * d[0];   // the polynomial of the first 0, 1, ... rows
    double q0 = 0, q1 = 1;                 // its derivative
    double r0 = 0, r1 = 0;                 // half its second derivative
    for (std::size_t i = 1; i < n; ++i) {
      const double t = x - sign * d[i];
      const double s = squares[i];
      const double p2 = t * p1 - s * p0;
      const double q2 = t * q1 + p1 - s * q0;
      const double r2 = t * r1 + q1 - s * r0;
      p0 = p1;
      p1 = p2;
      q0 = q1;
      q1 = q2;
      r0 = r1;
      r1 = r2;
    }
    if (!(p1 > 0)) {  // at the root, or below it by rounding
      settled = true;
      return;
    }
    const auto degree = static_cast<double>(n);
    const double g = q1 / p1;
    const double h = g * g - 2 * r1 / p1;
    const double inside = std::max(0.0, (degree - 1) * (degree * h - g * g));
    const double move = degree / (g + std::sqrt(inside));
    if (!(move > 1e-14)) settled = true;
    if (move > 0) x -= move;
  }
};

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
  if (n <= laguerre_size_max) {
    double* squares = matrix.data();  // its values are no longer needed
    double bound = 0;
    for (std::size_t i = 0; i < n; ++i) {
      squares[i] = e[i] * e[i];
      bound = std::max(bound, std::abs(d[i]) + std::abs(e[i]) + (i + 1 < n ? std::abs(e[i + 1]) : 0.0));
    }
    if (bound == 0) return 0;
    bound *= 1 + 1e-12;
    LargestRoot above{bound, 1, false};
    LargestRoot below{bound, -1, false};
    // Side by side, so that one hides the latency of the other.
    for (int step = 0; step < laguerre_steps_max && !(above.settled && below.settled); ++step) {
      if (!above.settled) above.step(d, squares, n);
      if (!below.settled) below.step(d, squares, n);
    }
    if (above.settled && below.settled) return std::max(above.x, below.x);
  }
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
