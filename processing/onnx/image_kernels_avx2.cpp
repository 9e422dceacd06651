#define KERNEL_LANES 8
#define KERNEL_PIXELS 6
#define KERNEL_FILTER_BLOCKS 1
#include "processing/onnx/image_kernels_inline.h"

namespace choana::processing {

const ImageKernels& kernels_for_avx2() {
  static constexpr ImageKernels kernels{"avx2", KERNEL_PIXELS, KERNEL_FILTER_BLOCKS, &convolve, &largest, &mean, &winograd_input, &winograd_output};
  return kernels;
}

}  // namespace choana::processing
