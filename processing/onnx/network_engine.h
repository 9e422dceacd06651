#pragma once

// Private to this folder: image networks in single precision on oneDNN, in its own memory layouts.

#include <cstdint>
#include <memory>
#include <vector>

#include "processing/onnx/operators.h"
#include "processing/onnx/tensor.h"
#include "processing/onnx/window.h"

namespace choana::processing {

/// A float32 tensor in a layout that oneDNN chose.
class BlockedTensor;
using BlockedPointer = std::shared_ptr<BlockedTensor>;

/// Runs convolutions, pools and sums one after the other on one thread. Primitives and rearranged weights are kept by node, so a second image of the
/// same size costs arithmetic alone. Not for several threads at once. Functions throw dnnl::error and std::bad_alloc; the session catches them.
class NetworkEngine {
 public:
  NetworkEngine();
  ~NetworkEngine();
  NetworkEngine(const NetworkEngine&) = delete;
  NetworkEngine& operator=(const NetworkEngine&) = delete;

  [[nodiscard]] BlockedPointer from_plain(const Tensor& tensor);
  [[nodiscard]] static Tensor to_plain(const BlockedTensor& tensor);
  [[nodiscard]] static const std::vector<std::int64_t>& shape_of(const BlockedTensor& tensor);

  struct Convolution {
    const Tensor* weights = nullptr;  // (filters, channels / groups, kernel...)
    const Tensor* bias = nullptr;     // (filters) or none
    std::int64_t groups = 1;
    bool rectify = false;
  };
  /// added: summed to the result before it is rectified, or none. overwrite: nobody reads `added` afterwards.
  [[nodiscard]] BlockedPointer convolve(std::size_t node, const BlockedPointer& input, const Convolution& how, const Window& window, const BlockedPointer& added, bool overwrite);
  enum class Pool { largest, mean, mean_with_pads };
  [[nodiscard]] BlockedPointer pool(std::size_t node, const BlockedPointer& input, Pool kind, const Window& window);
  [[nodiscard]] BlockedPointer rectify(std::size_t node, const BlockedPointer& input);
  /// Both of one shape.
  [[nodiscard]] BlockedPointer add(std::size_t node, const BlockedPointer& a, const BlockedPointer& b, bool rectify);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace choana::processing
