#pragma once

#include <complex>
#include <cstddef>
#include <vector>

namespace choana::processing::ibsi {

/// Discrete Fourier transform of one length: X[m] = sum_n x[n] exp(-2 pi i m n / N). Any length: factors 2, 3, 5 and 7 directly, others
/// through a convolution (Bluestein), so that the cost stays N log N. Thread-safe once built.
class FourierTransform {
 public:
  /// length >= 1.
  explicit FourierTransform(std::size_t length);

  [[nodiscard]] std::size_t length() const { return length_; }
  /// In place; data holds `length` values.
  void forward(std::complex<double>* data) const;
  /// The inverse, divided by the length.
  void inverse(std::complex<double>* data) const;

 private:
  using Complex = std::complex<double>;
  void mixed_radix(const Complex* in, Complex* out, std::size_t n, std::size_t stride, std::size_t factor_at) const;
  void bluestein(Complex* data) const;

  std::size_t length_ = 1;
  std::vector<std::size_t> factors_;   // empty for Bluestein
  std::vector<Complex> twiddles_;      // exp(-2 pi i n / N)
  std::vector<Complex> chirp_;         // exp(-pi i n^2 / N)
  std::vector<Complex> chirp_spectrum_;
  std::vector<FourierTransform> inner_;  // none or one: the power of two of the convolution
};

/// Smallest length >= `length` with factors 2, 3 and 5 only.
[[nodiscard]] std::size_t fast_fourier_length(std::size_t length);

}  // namespace choana::processing::ibsi
