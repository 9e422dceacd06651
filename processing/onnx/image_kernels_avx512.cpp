#define KERNEL_LANES 16
#define KERNEL_PIXELS 14
#define KERNEL_FILTER_BLOCKS 2
#include "processing/onnx/image_kernels_inline.h"

namespace choana::processing {

const ImageKernels& kernels_for_avx512() {
  static constexpr ImageKernels kernels{"avx512", KERNEL_PIXELS, KERNEL_FILTER_BLOCKS, &convolve, &largest, &mean, &winograd_input, &winograd_output};
  return kernels;
}

}  // namespace choana::processing
