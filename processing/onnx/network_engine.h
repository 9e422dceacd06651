#pragma once

// Private to this folder: image networks in single precision, channels in blocks of sixteen side by side.

#include <cstdint>
#include <memory>
#include <vector>

#include "processing/onnx/operators.h"
#include "processing/onnx/tensor.h"
#include "processing/onnx/window.h"

namespace choana::processing {

/// A float32 tensor (batch, channels, 1 to 3 spatial axes) as [batch][block of channels][position][channel of the block]; channels that fill up the last
/// block are zero.
class BlockedTensor;
using BlockedPointer = std::shared_ptr<BlockedTensor>;

/// The weights of a convolution, arranged for the vector unit of this machine. Immutable.
class PackedConvolution {
 public:
  /// weights: (filters, channels / groups, kernel...), float32, 1 to 3 kernel axes, filters a multiple of groups, nothing empty; bias: (filters) or none.
  /// steps_of_one: strides and dilations are 1 on every axis.
  PackedConvolution(const Tensor& weights, const Tensor* bias, std::int64_t groups, bool steps_of_one);
  ~PackedConvolution();
  PackedConvolution(const PackedConvolution&) = delete;
  PackedConvolution& operator=(const PackedConvolution&) = delete;

  /// Whether such weights can be packed.
  [[nodiscard]] static bool takes(const Tensor& weights, const Tensor* bias, std::int64_t groups);
  [[nodiscard]] const std::vector<std::int64_t>& weights_shape() const;
  [[nodiscard]] std::int64_t groups() const;

 private:
  friend class NetworkEngine;
  struct State;
  std::unique_ptr<const State> state_;
};

/// Buffers of values that are no longer needed, for the next ones: fresh pages from the system cost more than a pooling.
class BufferPool;

/// Carries out one run of a network, one operator after the other, on one thread. Functions throw std::bad_alloc; the session catches it.
class NetworkEngine {
 public:
  /// pool: may hold buffers of an earlier run; not shared with a run at the same time.
  explicit NetworkEngine(std::shared_ptr<BufferPool> pool = nullptr);
  ~NetworkEngine();
  NetworkEngine(const NetworkEngine&) = delete;
  NetworkEngine& operator=(const NetworkEngine&) = delete;

  [[nodiscard]] const std::shared_ptr<BufferPool>& pool() const { return pool_; }
  /// Which vector unit is used: any_cpu, avx2 or avx512.
  [[nodiscard]] static const char* unit();

  [[nodiscard]] BlockedPointer from_plain(const Tensor& tensor);
  [[nodiscard]] static Tensor to_plain(const BlockedTensor& tensor);
  [[nodiscard]] static const std::vector<std::int64_t>& shape_of(const BlockedTensor& tensor);

  /// An image in one of two orders.
  struct Image {
    const Tensor* plain = nullptr;
    const BlockedTensor* blocked = nullptr;
  };
  /// added: summed to the result before it is rectified, or none. overwrite: nobody reads `added` afterwards.
  [[nodiscard]] BlockedPointer convolve(const Image& input, const PackedConvolution& how, const Window& window, const BlockedPointer& added, bool overwrite, bool rectify);
  enum class Pool { largest, mean, mean_with_pads };
  /// Every window must meet the input.
  [[nodiscard]] BlockedPointer pool(const BlockedTensor& input, Pool kind, const Window& window);
  [[nodiscard]] BlockedPointer rectify(const BlockedTensor& input);
  /// Both of one shape.
  [[nodiscard]] BlockedPointer add(const BlockedTensor& a, const BlockedTensor& b, bool rectify);

 private:
  [[nodiscard]] BlockedPointer make(std::vector<std::int64_t> shape);
  std::shared_ptr<BufferPool> pool_;
};

}  // namespace choana::processing
