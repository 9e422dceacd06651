#pragma once

#include <cstddef>
#include <vector>

namespace choana::processing {

/// Discrete Fourier transforms of one length, a power of two. The factors come from square roots alone, which every processor rounds alike, so
/// results do not depend on the machine.
class FourierTransform {
 public:
  /// size: a power of two, >= 2.
  explicit FourierTransform(std::size_t size);

  [[nodiscard]] std::size_t size() const { return size_; }

  /// re + i im -> sum over n of (re + i im)[n] exp(-2 pi i k n / size), in place.
  void forward(std::vector<double>& re, std::vector<double>& im) const { transform(re.data(), im.data()); }
  /// The same with exp(+...): `size` times the inverse.
  void backward(std::vector<double>& re, std::vector<double>& im) const { transform(im.data(), re.data()); }

 private:
  void transform(double* re, double* im) const;

  std::size_t size_;
  std::vector<std::size_t> reversed_;
  std::vector<double> cosines_, sines_;  // stage by stage: for half-length h, h factors beginning at h - 1
};

}  // namespace choana::processing
