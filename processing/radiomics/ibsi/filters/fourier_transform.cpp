#include "processing/radiomics/ibsi/filters/fourier_transform.h"

#include <array>
#include <cmath>
#include <numbers>

namespace choana::processing::ibsi {
namespace {

constexpr std::array<std::size_t, 4> small_factors{2, 3, 5, 7};

std::complex<double> unit(double turns) { return std::polar(1.0, -2 * std::numbers::pi * turns); }

}  // namespace

FourierTransform::FourierTransform(std::size_t length) : length_(length) {
  std::size_t rest = length;
  for (const std::size_t factor : small_factors)
    for (; rest % factor == 0; rest /= factor) factors_.push_back(factor);
  if (rest == 1) {
    twiddles_.reserve(length);
    for (std::size_t n = 0; n < length; ++n) twiddles_.push_back(unit(static_cast<double>(n) / static_cast<double>(length)));
    return;
  }
  factors_.clear();
  std::size_t padded = 1;
  while (padded < 2 * length - 1) padded *= 2;
  inner_.emplace_back(padded);
  chirp_spectrum_.assign(padded, 0);
  for (std::size_t n = 0; n < length; ++n) {
    // n^2 mod 2N keeps the angle exact for long transforms.
    const std::size_t square = (n * n) % (2 * length);
    chirp_.push_back(unit(static_cast<double>(square) / static_cast<double>(2 * length)));
    chirp_spectrum_[n] = std::conj(chirp_[n]);
    if (n > 0) chirp_spectrum_[padded - n] = std::conj(chirp_[n]);
  }
  inner_.front().forward(chirp_spectrum_.data());
}

/// out[0..n) = transform of in[0], in[stride], ...: decimation in time, one factor a level.
void FourierTransform::mixed_radix(const Complex* in, Complex* out, std::size_t n, std::size_t stride, std::size_t factor_at) const {
  if (n == 1) {
    out[0] = in[0];
    return;
  }
  const std::size_t radix = factors_[factor_at];
  const std::size_t part = n / radix;
  for (std::size_t r = 0; r < radix; ++r) mixed_radix(in + r * stride, out + r * part, part, stride * radix, factor_at + 1);
  const std::size_t step = length_ / n;
  if (radix == 2) {
    for (std::size_t m = 0; m < part; ++m) {
      const Complex odd = twiddles_[m * step] * out[part + m];
      out[part + m] = out[m] - odd;
      out[m] += odd;
    }
    return;
  }
  std::array<Complex, 7> terms;
  for (std::size_t m = 0; m < part; ++m) {
    for (std::size_t r = 0; r < radix; ++r) terms[r] = twiddles_[(r * m * step) % length_] * out[r * part + m];
    for (std::size_t q = 0; q < radix; ++q) {
      Complex sum = terms[0];
      for (std::size_t r = 1; r < radix; ++r) sum += twiddles_[((r * q) % radix) * (length_ / radix)] * terms[r];
      out[q * part + m] = sum;
    }
  }
}

void FourierTransform::bluestein(Complex* data) const {
  const FourierTransform& inner = inner_.front();
  std::vector<Complex> work(inner.length(), 0);
  for (std::size_t n = 0; n < length_; ++n) work[n] = data[n] * chirp_[n];
  inner.forward(work.data());
  for (std::size_t m = 0; m < work.size(); ++m) work[m] *= chirp_spectrum_[m];
  inner.inverse(work.data());
  for (std::size_t n = 0; n < length_; ++n) data[n] = work[n] * chirp_[n];
}

void FourierTransform::forward(Complex* data) const {
  if (!inner_.empty()) {
    bluestein(data);
    return;
  }
  const std::vector<Complex> copy(data, data + length_);
  mixed_radix(copy.data(), data, length_, 1, 0);
}

void FourierTransform::inverse(Complex* data) const {
  for (std::size_t n = 0; n < length_; ++n) data[n] = std::conj(data[n]);
  forward(data);
  const double factor = 1.0 / static_cast<double>(length_);
  for (std::size_t n = 0; n < length_; ++n) data[n] = std::conj(data[n]) * factor;
}

std::size_t fast_fourier_length(std::size_t length) {
  for (std::size_t n = length;; ++n) {
    std::size_t rest = n;
    for (const std::size_t factor : {2, 3, 5})
      while (rest % factor == 0) rest /= factor;
    if (rest == 1) return n;
  }
}

}  // namespace choana::processing::ibsi
