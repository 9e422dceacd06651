#pragma once

#include <cstddef>
#include <vector>

namespace choana::processing {

/// The largest absolute value among the eigenvalues of a symmetric matrix of n rows (row after row; the lower triangle is read), for the small matrices of kernels: Householder
/// tridiagonalisation, then Laguerre's method from both ends (implicit QL for large ones). matrix and scratch (2 n values) are overwritten; nothing is allocated.
[[nodiscard]] double largest_magnitude_eigenvalue(std::vector<double>& matrix, std::size_t n, std::vector<double>& scratch);

}  // namespace choana::processing
