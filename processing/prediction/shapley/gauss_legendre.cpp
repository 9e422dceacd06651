#include "processing/prediction/shapley/gauss_legendre.h"

#include <cmath>
#include <numbers>

namespace choana::processing {

Quadrature gauss_legendre(std::size_t count) {
  Quadrature quadrature{std::vector<double>(count), std::vector<double>(count)};
  const double n = static_cast<double>(count);
  for (std::size_t i = 0; i < count; ++i) {
    double x = std::cos(std::numbers::pi * (static_cast<double>(i) + 0.75) / (n + 0.5));
    double derivative = 1;
    for (int iteration = 0; iteration < 20; ++iteration) {
      // Legendre polynomials of degree count and count - 1 at x, by their three-term recurrence.
      double previous = 1, current = x;
      for (std::size_t k = 2; k <= count; ++k) {
        const double degree = static_cast<double>(k);
        const double next = ((2 * degree - 1) * x * current - (degree - 1) * previous) / degree;
        previous = current;
        current = next;
      }
      derivative = n * (x * current - previous) / (x * x - 1);
      const double step = current / derivative;
      x -= step;
      if (std::abs(step) < 1e-15) break;
    }
    // From (-1, 1) to (0, 1); the halves of interval and weight cancel into the 1 below.
    quadrature.nodes[i] = (1 - x) / 2;
    quadrature.weights[i] = 1 / ((1 - x * x) * derivative * derivative);
  }
  return quadrature;
}

}  // namespace choana::processing
