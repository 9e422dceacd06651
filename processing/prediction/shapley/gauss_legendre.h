#pragma once

#include <cstddef>
#include <vector>

namespace choana::processing {

/// Nodes and weights on (0, 1); the weights add up to 1.
struct Quadrature {
  std::vector<double> nodes;
  std::vector<double> weights;
};

/// Gauss-Legendre quadrature with `count` nodes: exact for polynomials of degree 2 count - 1.
/// Source: NIST DLMF 3.5(v); nodes by Newton's method from the usual cosine estimate.
[[nodiscard]] Quadrature gauss_legendre(std::size_t count);

}  // namespace choana::processing
