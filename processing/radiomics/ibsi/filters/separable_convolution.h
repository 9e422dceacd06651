#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/geometry.h"
#include "processing/radiomics/ibsi/filters/filter_settings.h"

namespace choana {
class TaskPool;
}

namespace choana::processing::ibsi {

/// A kernel along one axis: out[n] = sum over t of weights[t] x[n + shifts[t]].
struct LineKernel {
  std::vector<int> shifts;
  std::vector<double> weights;

  /// The kernel seen with the axis reversed, taps again in ascending order of shift.
  [[nodiscard]] LineKernel reversed() const;
  friend bool operator==(const LineKernel&, const LineKernel&) = default;
};

/// Convolution with an odd kernel about its centre: out[n] = sum_j kernel[j] x[n + h - j], h = (size - 1) / 2.
[[nodiscard]] LineKernel centred_kernel(const std::vector<double>& kernel);

/// The index inside [0, size) that stands for `index`, however far outside; -1 where the boundary gives zero.
[[nodiscard]] std::int64_t boundary_index(std::int64_t index, std::int64_t size, Boundary boundary);

/// One pass along `axis` (0, 1, 2 = i, j, k) of a volume stored i fastest.
[[nodiscard]] std::vector<double> convolve_axis(const std::vector<double>& values, const Index3& size, int axis, const LineKernel& kernel, Boundary boundary,
                                                TaskPool* pool);

/// Passes that together make one filter: kernels for the axes i, j, k; an empty kernel leaves its axis alone.
struct SeparablePass {
  LineKernel kernels[3];
  friend bool operator==(const SeparablePass& a, const SeparablePass& b) {
    return a.kernels[0] == b.kernels[0] && a.kernels[1] == b.kernels[1] && a.kernels[2] == b.kernels[2];
  }
};

/// Apply the passes in order. `scratch` steps are freed as they go.
[[nodiscard]] std::vector<double> convolve(std::vector<double> values, const Index3& size, const std::vector<SeparablePass>& passes, Boundary boundary, TaskPool* pool);

/// A rotation by right angles: axis `to[a]` gets what belonged to axis a, reversed where flip[a].
struct RightAngleRotation {
  Index3 to{0, 1, 2};
  bool flip[3] = {false, false, false};
};

/// The 24 rotations of a cube, or the 4 of a plane (i, j); the first leaves everything as it is.
[[nodiscard]] std::vector<RightAngleRotation> right_angle_rotations(bool by_slice);

[[nodiscard]] SeparablePass rotated(const SeparablePass& pass, const RightAngleRotation& rotation);

/// Joins responses one at a time.
class ResponsePool {
 public:
  explicit ResponsePool(Pooling pooling) : pooling_(pooling) {}
  /// weight: how many equal responses this one stands for.
  void add(std::vector<double> response, double weight = 1);
  [[nodiscard]] std::vector<double> take();

 private:
  Pooling pooling_;
  std::vector<double> values_;
  double weight_ = 0;
};

/// Convolve at all right-angle rotations of the passes and pool; rotations that give the same kernels are computed once.
[[nodiscard]] std::vector<double> convolve_rotated(const std::vector<double>& values, const Index3& size, const std::vector<SeparablePass>& passes, bool by_slice,
                                                   Pooling pooling, Boundary boundary, TaskPool* pool);

}  // namespace choana::processing::ibsi
