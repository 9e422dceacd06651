#pragma once

#include <cstddef>
#include <vector>

namespace choana::processing {

/// The largest absolute value among the eigenvalues of a symmetric matrix of n rows (row after row), for the small matrices of kernels: Householder
/// tridiagonalisation, then implicit QL without vectors. matrix and scratch (2 n values) are overwritten; nothing is allocated.
[[nodiscard]] double largest_magnitude_eigenvalue(std::vector<double>& matrix, std::size_t n, std::vector<double>& scratch);

}  // namespace choana::processing
