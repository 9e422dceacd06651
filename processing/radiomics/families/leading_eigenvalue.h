#pragma once

#include <cstddef>
#include <vector>

namespace choana::processing {

/// The eigenvalue of largest magnitude of a symmetric matrix whose eigenvalues lie in [-1, 1], and its eigenvector where that is asked for:
/// Householder tridiagonalisation, then Sturm counts on a grid of candidates. The other eigenvalues are never computed.
/// Tables are kept from one matrix to the next.
class LeadingEigenvalue {
 public:
  /// Room for an n x n matrix; at(row, column) is to be filled (both halves).
  void resize(std::size_t n);
  [[nodiscard]] double& at(std::size_t row, std::size_t column) { return matrix_[row * stride_ + column]; }
  [[nodiscard]] double* row(std::size_t row) { return matrix_.data() + row * stride_; }

  /// The eigenvalue, to 1e-15. The matrix is used up.
  [[nodiscard]] double find();
  /// After find(): number of eigenvalues of larger magnitude.
  [[nodiscard]] std::size_t count_beyond(double magnitude) const;
  /// After find(): the unit eigenvector of an eigenvalue that stands apart from the others.
  [[nodiscard]] std::vector<double> vector_of(double eigenvalue) const;

 private:
  std::size_t n_ = 0;
  std::size_t stride_ = 0;               // n rounded up to whole vectors, the rest is 0
  std::vector<double> matrix_;           // row i keeps the Householder vector that cleared it
  std::vector<double> scale_;            // h of each Householder vector; 0: none
  std::vector<double> diagonal_;
  std::vector<double> beside_;           // beside_[i] couples i - 1 and i
  std::vector<double> product_;
};

}  // namespace choana::processing
