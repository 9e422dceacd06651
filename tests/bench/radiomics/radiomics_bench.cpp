// CPU time of one thread for the 107 features of the original image. Prints; asserts nothing.
//   radiomics_bench [IMAGE MASK]

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <string>

#include "processing/itk/image_file.h"
#include "processing/radiomics/feature_extractor.h"

namespace {

using namespace choana;
using namespace choana::processing;

struct Case {
  ScalarVolume image;
  MaskVolume mask;
};

/// An ellipsoid in a smooth, noisy image.
Case ellipsoid(Index3 size, Vector3 spacing_mm, Vector3 radii_mm) {
  const auto geometry = *VolumeGeometry::make(size, spacing_mm, {0, 0, 0}, {1, 0, 0, 0, 1, 0, 0, 0, 1});
  Case one{{geometry, {}, PixelType::int16}, {geometry, {}}};
  unsigned state = 1;
  for (int k = 0; k < size[2]; ++k)
    for (int j = 0; j < size[1]; ++j)
      for (int i = 0; i < size[0]; ++i) {
        state = state * 1664525u + 1013904223u;
        const double noise = static_cast<double>(state >> 8) / 16777216.0;
        one.image.voxels.push_back(std::floor(400 + 250 * std::sin(0.11 * i) * std::cos(0.09 * j) + 100 * std::sin(0.2 * k) + 80 * noise));
        double radius = 0;
        const int index[3] = {i, j, k};
        for (std::size_t axis = 0; axis < 3; ++axis) {
          const double distance = (index[axis] - 0.5 * (size[axis] - 1)) * spacing_mm[axis] / radii_mm[axis];
          radius += distance * distance;
        }
        one.mask.labels.push_back(radius < 1 ? 1 : 0);
      }
  return one;
}

void measure(const char* what, const Case& one, const std::string& settings, const std::string& classes = "shape: , firstorder: , glcm: , gldm: , glrlm: , glszm: , ngtdm: ") {
  const auto profile = parse_profile("setting: {additionalInfo: false" + settings + "}\nfeatureClass: {" + classes + "}\n", "bench");
  double best = 1e9;
  std::size_t voxels = 0;
  int levels = 0;
  for (int repeat = 0; repeat < 5; ++repeat) {
    const std::clock_t start = std::clock();
    const auto result = extract_features(one.image, one.mask, 1, *profile);
    const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    if (!result) {
      std::printf("%s: %s\n", what, result.error().message.c_str());
      return;
    }
    best = std::min(best, seconds);
    voxels = result->voxels_used;
    if (!result->levels.empty()) levels = result->levels[0].highest;
  }
  std::printf("%-46s %7zu voxels %4d levels %9.2f ms CPU\n", what, voxels, levels, 1000 * best);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3) {
    const auto image = read_image_file(argv[1]);
    const auto mask = read_mask_file(argv[2]);
    if (!image || !mask) return 1;
    const Case one{*image, *mask};
    measure("given case, original grid", one, "");
    measure("given case, 1 mm B-spline", one, ", resampledPixelSpacing: [1, 1, 1]");
    return 0;
  }
  const Case isotropic = ellipsoid({200, 200, 120}, {1, 1, 1}, {26, 25, 22});
  measure("200 x 200 x 120 at 1 mm, original grid", isotropic, "");
  for (const char* family : {"shape", "firstorder", "glcm", "gldm", "glrlm", "glszm", "ngtdm"}) measure(family, isotropic, "", std::string(family) + ": ");
  const Case thick = ellipsoid({320, 320, 40}, {0.75, 0.75, 4.4}, {31, 30, 30});
  measure("320 x 320 x 40 at 4.4 mm, original grid", thick, "");
  measure("320 x 320 x 40 at 4.4 mm, 1 mm B-spline", thick, ", resampledPixelSpacing: [1, 1, 1]");
  measure("the same, first order alone", thick, ", resampledPixelSpacing: [1, 1, 1]", "firstorder: [Mean]");
  return 0;
}
