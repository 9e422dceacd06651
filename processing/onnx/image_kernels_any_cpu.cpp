#define KERNEL_LANES 4
#define KERNEL_PIXELS 2
#define KERNEL_FILTER_BLOCKS 1
#include "processing/onnx/image_kernels_inline.h"

namespace choana::processing {

const ImageKernels& kernels_for_any_cpu() {
  static constexpr ImageKernels kernels{"any_cpu", KERNEL_PIXELS, KERNEL_FILTER_BLOCKS, &convolve, &largest, &mean, &winograd_input, &winograd_output};
  return kernels;
}

}  // namespace choana::processing
