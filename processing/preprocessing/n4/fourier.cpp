#include "processing/preprocessing/n4/fourier.h"

#include <cassert>
#include <cmath>
#include <utility>

namespace choana::processing {

FourierTransform::FourierTransform(std::size_t size) : size_(size), reversed_(size, 0), cosines_(size - 1), sines_(size - 1) {
  assert(size >= 2 && (size & (size - 1)) == 0);
  for (std::size_t n = 0; n < size; ++n) reversed_[n] = (reversed_[n / 2] / 2) | ((n & 1) != 0 ? size / 2 : 0);
  // Factors exp(-i pi n / h), n < h. Those of 2h: the even ones are those of h, an odd one is its even neighbour turned by exp(-i pi / 2h).
  double cosine = -1;  // of pi / h
  double sine = 0;
  cosines_[0] = 1;
  sines_[0] = 0;
  for (std::size_t half = 1; half < size / 2; half *= 2) {
    const double next = half == 1 ? 0 : std::sqrt(0.5 * (1 + cosine));
    sine = half == 1 ? 1 : sine / (2 * next);
    cosine = next;
    for (std::size_t n = 0; n < half; ++n) {
      const double c = cosines_[half - 1 + n], s = sines_[half - 1 + n];
      cosines_[2 * half - 1 + 2 * n] = c;
      sines_[2 * half - 1 + 2 * n] = s;
      cosines_[2 * half + 2 * n] = c * cosine - s * -sine;
      sines_[2 * half + 2 * n] = c * -sine + s * cosine;
    }
  }
}

void FourierTransform::transform(double* re, double* im) const {
  for (std::size_t n = 0; n < size_; ++n) {
    const std::size_t other = reversed_[n];
    if (other <= n) continue;
    std::swap(re[n], re[other]);
    std::swap(im[n], im[other]);
  }
  for (std::size_t half = 1; half < size_; half *= 2) {
    const double* c = cosines_.data() + half - 1;
    const double* s = sines_.data() + half - 1;
    for (std::size_t start = 0; start < size_; start += 2 * half) {
      double* re0 = re + start;
      double* im0 = im + start;
      double* re1 = re0 + half;
      double* im1 = im0 + half;
      for (std::size_t n = 0; n < half; ++n) {
        const double a = re1[n] * c[n] - im1[n] * s[n];
        const double b = re1[n] * s[n] + im1[n] * c[n];
        re1[n] = re0[n] - a;
        im1[n] = im0[n] - b;
        re0[n] += a;
        im0[n] += b;
      }
    }
  }
}

}  // namespace choana::processing
