#pragma once

// Private to this folder: the sliding window that convolution and pooling share.

#include <cstdint>
#include <vector>

#include "processing/onnx/operators.h"

namespace choana::processing {

/// Spatial geometry of a convolution or pooling; one number an axis.
struct Window {
  std::vector<std::int64_t> kernel, strides, dilations, pads_before, pads_after, output;
};

/// Read strides, dilations, pads, auto_pad and ceil_mode. shape: of the input, (batch, channels, spatial...).
/// Errors: invalid_package.
[[nodiscard]] Result<Window> read_window(const OperatorCall& call, const std::vector<std::int64_t>& shape, std::vector<std::int64_t> kernel);

}  // namespace choana::processing
