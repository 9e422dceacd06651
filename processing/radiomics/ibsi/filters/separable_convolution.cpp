#include "processing/radiomics/ibsi/filters/separable_convolution.h"

#include <algorithm>
#include <utility>

#include "core/task_pool.h"

namespace choana::processing::ibsi {

LineKernel LineKernel::reversed() const {
  LineKernel result;
  for (std::size_t at = shifts.size(); at-- > 0;) {
    result.shifts.push_back(-shifts[at]);
    result.weights.push_back(weights[at]);
  }
  return result;
}

LineKernel centred_kernel(const std::vector<double>& kernel) {
  LineKernel line;
  const int half = (static_cast<int>(kernel.size()) - 1) / 2;
  for (std::size_t at = kernel.size(); at-- > 0;) {
    line.shifts.push_back(half - static_cast<int>(at));
    line.weights.push_back(kernel[at]);
  }
  return line;
}

std::int64_t boundary_index(std::int64_t index, std::int64_t size, Boundary boundary) {
  if (index >= 0 && index < size) return index;
  switch (boundary) {
    case Boundary::zero: return -1;
    case Boundary::nearest: return index < 0 ? 0 : size - 1;
    case Boundary::periodic: return ((index % size) + size) % size;
    case Boundary::mirror: {
      const std::int64_t period = 2 * size;
      const std::int64_t folded = ((index % period) + period) % period;
      return folded < size ? folded : period - 1 - folded;
    }
  }
  return -1;
}

std::vector<double> convolve_axis(const std::vector<double>& values, const Index3& size, int axis, const LineKernel& kernel, Boundary boundary, TaskPool* pool) {
  std::vector<double> result(values.size(), 0.0);
  const auto ni = static_cast<std::size_t>(size[0]);
  const auto nj = static_cast<std::size_t>(size[1]);
  const auto nk = static_cast<std::size_t>(size[2]);
  const std::size_t taps = kernel.shifts.size();
  if (axis == 0) {
    const int before = std::max(0, -*std::min_element(kernel.shifts.begin(), kernel.shifts.end()));
    const int after = std::max(0, *std::max_element(kernel.shifts.begin(), kernel.shifts.end()));
    run_tasks(pool, nk, [&](std::size_t k) {
      std::vector<double> line(static_cast<std::size_t>(before + after) + ni);
      for (std::size_t j = 0; j < nj; ++j) {
        const double* row = values.data() + (k * nj + j) * ni;
        double* out = result.data() + (k * nj + j) * ni;
        for (std::size_t at = 0; at < line.size(); ++at) {
          const std::int64_t index = boundary_index(static_cast<std::int64_t>(at) - before, size[0], boundary);
          line[at] = index < 0 ? 0.0 : row[index];
        }
        for (std::size_t tap = 0; tap < taps; ++tap) {
          const double weight = kernel.weights[tap];
          const double* in = line.data() + before + kernel.shifts[tap];
          for (std::size_t i = 0; i < ni; ++i) out[i] += weight * in[i];
        }
      }
    });
    return result;
  }
  // Along j and k whole rows are added, so that the inner loop runs over i.
  run_tasks(pool, nk, [&](std::size_t k) {
    for (std::size_t j = 0; j < nj; ++j) {
      double* out = result.data() + (k * nj + j) * ni;
      for (std::size_t tap = 0; tap < taps; ++tap) {
        const auto along = static_cast<std::int64_t>(axis == 1 ? j : k);
        const std::int64_t index = boundary_index(along + kernel.shifts[tap], size[static_cast<std::size_t>(axis)], boundary);
        if (index < 0) continue;
        const auto source = static_cast<std::size_t>(index);
        const double* in = values.data() + (axis == 1 ? (k * nj + source) : (source * nj + j)) * ni;
        const double weight = kernel.weights[tap];
        for (std::size_t i = 0; i < ni; ++i) out[i] += weight * in[i];
      }
    }
  });
  return result;
}

std::vector<double> convolve(std::vector<double> values, const Index3& size, const std::vector<SeparablePass>& passes, Boundary boundary, TaskPool* pool) {
  for (const SeparablePass& pass : passes)
    for (int axis = 0; axis < 3; ++axis)
      if (!pass.kernels[axis].shifts.empty()) values = convolve_axis(values, size, axis, pass.kernels[axis], boundary, pool);
  return values;
}

std::vector<RightAngleRotation> right_angle_rotations(bool by_slice) {
  std::vector<RightAngleRotation> rotations;
  Index3 order{0, 1, 2};
  do {
    if (by_slice && order[2] != 2) continue;
    int parity = 1;
    for (std::size_t a = 0; a < 3; ++a)
      for (std::size_t b = a + 1; b < 3; ++b)
        if (order[a] > order[b]) parity = -parity;
    for (int signs = 0; signs < 8; ++signs) {
      if (by_slice && (signs & 4) != 0) continue;
      int determinant = parity;
      RightAngleRotation rotation{order, {}};
      for (int a = 0; a < 3; ++a) {
        rotation.flip[a] = ((signs >> a) & 1) != 0;
        if (rotation.flip[a]) determinant = -determinant;
      }
      if (determinant == 1) rotations.push_back(rotation);
    }
  } while (std::next_permutation(order.begin(), order.end()));
  return rotations;
}

SeparablePass rotated(const SeparablePass& pass, const RightAngleRotation& rotation) {
  SeparablePass result;
  for (std::size_t a = 0; a < 3; ++a)
    result.kernels[rotation.to[a]] = rotation.flip[a] ? pass.kernels[a].reversed() : pass.kernels[a];
  return result;
}

void ResponsePool::add(std::vector<double> response, double weight) {
  if (values_.empty()) {
    values_ = std::move(response);
    if (pooling_ == Pooling::average && weight != 1)
      for (double& value : values_) value *= weight;
    weight_ = weight;
    return;
  }
  weight_ += weight;
  for (std::size_t at = 0; at < values_.size(); ++at) {
    switch (pooling_) {
      case Pooling::average: values_[at] += weight * response[at]; break;
      case Pooling::maximum: values_[at] = std::max(values_[at], response[at]); break;
      case Pooling::minimum: values_[at] = std::min(values_[at], response[at]); break;
    }
  }
}

std::vector<double> ResponsePool::take() {
  if (pooling_ == Pooling::average && weight_ != 1)
    for (double& value : values_) value /= weight_;
  return std::move(values_);
}

std::vector<double> convolve_rotated(const std::vector<double>& values, const Index3& size, const std::vector<SeparablePass>& passes, bool by_slice,
                                     Pooling pooling, Boundary boundary, TaskPool* pool) {
  std::vector<std::pair<std::vector<SeparablePass>, int>> distinct;
  for (const RightAngleRotation& rotation : right_angle_rotations(by_slice)) {
    std::vector<SeparablePass> turned;
    for (const SeparablePass& pass : passes) turned.push_back(rotated(pass, rotation));
    const auto same = std::find_if(distinct.begin(), distinct.end(), [&](const auto& known) { return known.first == turned; });
    if (same == distinct.end()) distinct.emplace_back(std::move(turned), 1);
    else ++same->second;
  }
  ResponsePool responses(pooling);
  for (const auto& [turned, count] : distinct) responses.add(convolve(values, size, turned, boundary, pool), count);
  return responses.take();
}

}  // namespace choana::processing::ibsi
