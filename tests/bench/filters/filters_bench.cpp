// CPU time of one thread for the derived images of each image type, without resampling: what a filter costs when the image is much larger than the region.
// Prints; asserts nothing.
//   filters_bench [IMAGE MASK]

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <string>

#include "processing/itk/image_file.h"
#include "processing/radiomics/filters/filter_catalogue.h"
#include "processing/radiomics/region_preparation.h"

namespace {

using namespace choana;
using namespace choana::processing;

struct Case {
  ScalarVolume image;
  MaskVolume mask;
};

/// A ball of about 60,000 voxels in 200 x 200 x 120.
Case ball() {
  const auto geometry = *VolumeGeometry::make({200, 200, 120}, {1, 1, 1}, {0, 0, 0}, {1, 0, 0, 0, 1, 0, 0, 0, 1});
  Case one{{geometry, {}, PixelType::int16}, {geometry, {}}};
  unsigned state = 1;
  for (int k = 0; k < 120; ++k)
    for (int j = 0; j < 200; ++j)
      for (int i = 0; i < 200; ++i) {
        state = state * 1664525u + 1013904223u;
        one.image.voxels.push_back(std::floor(400 + 250 * std::sin(0.11 * i) * std::cos(0.09 * j) + 100 * std::sin(0.2 * k) + 80 * (static_cast<double>(state >> 8) / 16777216.0)));
        const double radius = (i - 100.0) * (i - 100.0) + (j - 100.0) * (j - 100.0) + (k - 60.0) * (k - 60.0);
        one.mask.labels.push_back(radius < 24.3 * 24.3 ? 1 : 0);
      }
  return one;
}

void measure(const Case& one) {
  for (const char* types : {"Original: {}", "LoG: {sigma: [1.0]}", "LoG: {sigma: [3.0]}", "LoG: {sigma: [5.0]}", "Wavelet: {}", "Wavelet: {wavelet: db10}", "Wavelet: {level: 3}", "Square: {}",
                            "SquareRoot: {}", "Logarithm: {}", "Exponential: {}", "Gradient: {}", "LBP2D: {}", "LBP3D: {}"}) {
    const auto profile = parse_profile("imageType: {" + std::string(types) + "}\nsetting: {additionalInfo: false}", "bench");
    const auto prepared = prepare_region(one.image, one.mask, 1, *profile);
    if (!prepared) {
      std::printf("%s\n", prepared.error().message.c_str());
      return;
    }
    double best = 1e9;
    std::size_t images = 0;
    for (int repeat = 0; repeat < 5; ++repeat) {
      const std::clock_t start = std::clock();
      const auto derived = derive_images(profile->image_types[0].name, {*prepared->image, prepared->intensity_mask(), 1, prepared->box, nullptr}, profile->image_types[0].settings);
      best = std::min(best, static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC);
      images = derived ? derived->images.size() : 0;
    }
    std::printf("%-28s %zu images of %zu voxels, %.1f ms CPU (minimum of 5)\n", types, images, prepared->voxels_used, 1e3 * best);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3) {
    const auto image = read_image_file(argv[1]);
    const auto mask = read_mask_file(argv[2]);
    if (!image || !mask) return 1;
    measure({*image, *mask});
    return 0;
  }
  measure(ball());
  return 0;
}
