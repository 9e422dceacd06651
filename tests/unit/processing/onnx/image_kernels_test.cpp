#include "processing/onnx/image_kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/unit/processing/onnx/onnx_models.h"

namespace choana::processing {
namespace {

struct Case {
  std::vector<float> input = test::random_floats(3 * 2048, 1), weights = test::random_floats(3 * 4 * 16 * 16, 2), bias = test::random_floats(16, 3), added = test::random_floats(6 * 16, 4);
  std::vector<std::ptrdiff_t> taps{0, 16, 200, 304};

  [[nodiscard]] ConvolutionTile tile(std::vector<float>& output) const {
    ConvolutionTile tile;
    tile.input = input.data();
    tile.taps = taps.data();
    tile.tap_count = 4;
    tile.blocks = 3;
    tile.block_step = 2048;
    tile.channels = 16;
    tile.pixel_step = 32;
    tile.weights = tile.ahead = weights.data();
    tile.bias = bias.data();
    tile.added = added.data();
    tile.output = output.data();
    tile.rectify = true;
    return tile;
  }
};

std::vector<const ImageKernels*> kernels_of_this_cpu() {
  std::vector<const ImageKernels*> all{&kernels_for_any_cpu()};
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0) all.push_back(&kernels_for_avx2());
  if (__builtin_cpu_supports("avx512f") != 0) all.push_back(&kernels_for_avx512());
#endif
  return all;
}

TEST(ImageKernels, GiveTheSumOfProductsOnEveryVectorUnit) {
  const Case c;
  for (const ImageKernels* kernels : kernels_of_this_cpu())
    for (int pixels = 1; pixels <= std::min(kernels->pixels_max, 6); ++pixels) {
      std::vector<float> output(6 * 16, -1);
      kernels->convolve(c.tile(output), pixels, 1);
      for (int p = 0; p < 6; ++p)
        for (std::size_t f = 0; f < 16; ++f) {
          const std::size_t at = static_cast<std::size_t>(p) * 16 + f;
          if (p >= pixels) {
            ASSERT_EQ(output[at], -1) << kernels->name << " wrote beyond its tile";
            continue;
          }
          double sum = static_cast<double>(c.bias[f]) + c.added[at], scale = 1;
          for (std::size_t block = 0; block < 3; ++block)
            for (std::size_t tap = 0; tap < 4; ++tap)
              for (std::size_t channel = 0; channel < 16; ++channel) {
                const double product =
                    static_cast<double>(c.input[block * 2048 + static_cast<std::size_t>(c.taps[tap]) + channel + static_cast<std::size_t>(p) * 32]) * c.weights[((block * 4 + tap) * 16 + channel) * 16 + f];
                sum += product;
                scale += std::abs(product);
              }
          ASSERT_NEAR(output[at], std::max(sum, 0.0), 2e-6 * scale) << kernels->name;
        }
    }
}

TEST(ImageKernels, GiveTheSameBitsOnUnitsThatFuse) {
  const Case c;
  std::vector<std::vector<float>> outputs;
  for (const ImageKernels* kernels : kernels_of_this_cpu()) {
    if (kernels == &kernels_for_any_cpu()) continue;
    outputs.emplace_back(6 * 16);
    kernels->convolve(c.tile(outputs.back()), 6, 1);
  }
  if (outputs.size() < 2) GTEST_SKIP() << "this CPU has one such unit or none";
  EXPECT_EQ(outputs[0], outputs[1]);
}

TEST(ImageKernels, KeepWhatIsNotANumber) {
  Case c;
  c.bias[3] = std::nanf("");
  for (const ImageKernels* kernels : kernels_of_this_cpu()) {
    std::vector<float> output(16);
    kernels->convolve(c.tile(output), 1, 1);
    EXPECT_TRUE(std::isnan(output[3])) << kernels->name;
    EXPECT_FALSE(std::isnan(output[4])) << kernels->name;
  }
}

}  // namespace
}  // namespace choana::processing
