// A filter that is asked for a box gives there what it gives on the whole image, and does the same with threads.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "core/task_pool.h"
#include "processing/radiomics/feature_extractor.h"
#include "tests/unit/processing/filters/filter_fixture.h"

namespace choana::processing {
namespace {

using namespace test_filters;

struct Request {
  const char* type;
  const char* settings;
};

void PrintTo(const Request& request, std::ostream* out) { *out << request.type << " " << request.settings; }

class BoxedFilter : public testing::TestWithParam<Request> {};

TEST_P(BoxedFilter, GivesInABoxWhatItGivesOnTheWholeImage) {
  const Request& request = GetParam();
  for (const PixelType type : {PixelType::int16, PixelType::float32}) {
    for (std::uint32_t seed = 1; seed <= 6; ++seed) {
      std::mt19937 random(seed);
      const auto up_to = [&](int n) { return static_cast<int>(random() % static_cast<std::uint32_t>(n)); };
      test::RandomCase one = test::random_case(seed, {40 + up_to(30), 15 + up_to(12), 9 + up_to(9)}, type);
      std::fill(one.mask.labels.begin(), one.mask.labels.end(), 1u);
      const Index3& size = one.image.geometry.size();
      VoxelBox box;
      for (std::size_t axis = 0; axis < 3; ++axis) {
        box.size[axis] = 1 + up_to(size[axis] / 3);
        box.lower[axis] = seed % 3 == 0 ? size[axis] - box.size[axis] : seed % 3 == 1 ? 0 : up_to(size[axis] - box.size[axis]);
      }
      const DerivedImages whole = derive(one, request.type, request.settings);
      const DerivedImages boxed = derive(one, request.type, request.settings, box);
      ASSERT_EQ(whole.images.size(), boxed.images.size());
      ASSERT_FALSE(whole.images.empty());
      for (std::size_t at = 0; at < whole.images.size(); ++at) {
        double scale = 0;
        for (const double value : whole.images[at].volume->voxels)
          if (std::isfinite(value)) scale = std::max(scale, std::abs(value));
        // LoG is cut where a voxel's share is below 1e-11: at most a rounding of the float result. The others are the same to the last bit.
        const double tolerance = std::string(request.type) == "LoG" ? 2e-7 * scale : 0;
        for (int k = 0; k < box.size[2]; ++k)
          for (int j = 0; j < box.size[1]; ++j)
            for (int i = 0; i < box.size[0]; ++i) {
              const double wanted = voxel(whole.images[at], box.lower[0] + i, box.lower[1] + j, box.lower[2] + k);
              const double got = voxel(boxed.images[at], box.lower[0] + i, box.lower[1] + j, box.lower[2] + k);
              if (std::isnan(wanted)) EXPECT_TRUE(std::isnan(got));
              else ASSERT_LE(std::abs(got - wanted), tolerance) << whole.images[at].name << " seed " << seed << " at " << i << " " << j << " " << k;
            }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(ImageTypes, BoxedFilter,
                         testing::Values(Request{"Original", ""}, Request{"LoG", "sigma: [0.5, 1.0, 4]"}, Request{"Wavelet", ""},
                                         Request{"Wavelet", "wavelet: db5, level: 3, start_level: 1"}, Request{"Wavelet", "wavelet: dmey"},
                                         Request{"Wavelet", "wavelet: bior2.8, level: 2, force2D: true, force2Ddimension: 1"}, Request{"Square", ""}, Request{"SquareRoot", ""},
                                         Request{"Logarithm", ""}, Request{"Exponential", ""}, Request{"Gradient", ""}, Request{"LBP2D", "lbp2DRadius: 2.5, lbp2DMethod: var"},
                                         Request{"LBP2D", "force2Ddimension: 2"}, Request{"LBP3D", ""}, Request{"LBP3D", "lbp3DIcosphereRadius: 3.3"}));

TEST(Filters, GiveEqualNeighbourhoodsEqualValues) {
  // radiomics.md 9 item 1: voxels that tie in the input must tie in the image, or percentiles fall apart. Sixths are not exact in binary; the row
  // length is no multiple of any vector length.
  const auto periodic = formula_case({45, 10, 9}, PixelType::float64, [](int i, int j, int k) { return ((i % 4) * 5 + j + k) / 6.0; });
  for (const char* type : {"Square", "SquareRoot", "Logarithm", "Exponential", "Gradient", "Wavelet", "LBP2D"})
    for (const DerivedImage& image : derive(periodic, type).images)
      for (int i = 8; i + 4 < 38; ++i)
        for (int j = 3; j < 7; ++j) ASSERT_EQ(voxel(image, i, j, 4), voxel(image, i + 4, j, 4)) << image.name << " " << i;
}

TEST(Filters, GiveThePixelTypesOfPyRadiomics) {
  // radiomics.md 9 item 6.
  for (const PixelType type : {PixelType::uint8, PixelType::int16, PixelType::float32, PixelType::float64}) {
    const auto one = formula_case({9, 8, 7}, type, [](int i, int j, int k) { return (i * 7 + j * 5 + k * 3) % 40; });
    const auto type_of = [&](const char* name, const char* settings = "") { return derive(one, name, settings).images.at(0).volume->pixel_type; };
    EXPECT_EQ(type_of("Original"), type);
    EXPECT_EQ(type_of("LoG", "sigma: [1.0]"), PixelType::float32);
    EXPECT_EQ(type_of("Gradient"), PixelType::float32);
    EXPECT_EQ(type_of("Wavelet"), type == PixelType::float32 ? PixelType::float32 : PixelType::float64);
    EXPECT_EQ(type_of("Square"), PixelType::float64);
    EXPECT_EQ(type_of("Exponential"), PixelType::float64);
    EXPECT_EQ(type_of("LBP2D"), type);
    EXPECT_EQ(type_of("LBP3D"), PixelType::float64);
  }
}

TEST(Filters, GiveTheSameFeaturesWithAndWithoutThreads) {
  const test::RandomCase one = test::random_case(5, {24, 20, 12}, PixelType::float32);
  const auto profile = parse_profile("imageType: {Original: {}, LoG: {sigma: [1.0, 2.0]}, Wavelet: {}, Square: {}, SquareRoot: {}, Logarithm: {}, Exponential: {}, Gradient: {}, LBP2D: {}, "
                                     "LBP3D: {}}\nsetting: {binCount: 12}\nfeatureClass: {shape: , firstorder: , glcm: , gldm: , glrlm: , glszm: , ngtdm: }",
                                     "test");
  ASSERT_TRUE(profile) << profile.error().message;
  TaskPool pool(4);
  const auto alone = extract_features(one.image, one.mask, 1, *profile);
  const auto together = extract_features(one.image, one.mask, 1, *profile, &pool);
  ASSERT_TRUE(alone && together);
  ASSERT_EQ(alone->features.size(), 14u + 93u * 20u);
  ASSERT_EQ(alone->features.size(), together->features.size());
  for (std::size_t at = 0; at < alone->features.size(); ++at) {
    EXPECT_EQ(alone->features.values()[at].id, together->features.values()[at].id);
    EXPECT_EQ(alone->features.values()[at].value, together->features.values()[at].value) << alone->features.values()[at].id.str();
  }
  EXPECT_EQ(alone->notes, together->notes);
}

}  // namespace
}  // namespace choana::processing
