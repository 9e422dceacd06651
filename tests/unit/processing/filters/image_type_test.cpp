// LoG, gradient and the pointwise images.

#include <gtest/gtest.h>

#include <cmath>

#include "processing/itk/image_file.h"
#include "processing/radiomics/feature_extractor.h"
#include "tests/support/shared_data.h"
#include "tests/unit/processing/filters/filter_fixture.h"

namespace choana::processing {
namespace {

using namespace test_filters;

TEST(LaplacianOfGaussian, EqualsItkToTheLastBit) {
  // SimpleITK 2.5.7 LaplacianRecursiveGaussian; the YAML type shows in the name (radiomics.md 9 item 22).
  expect_images(derive(pattern_int16(), "LoG", "sigma: [1.0, 2]"),
                {{"log-sigma-1-0-mm-3D", {30.36690330505371, -5.443271636962891, -4.677297115325928, 19.116046905517578}, -343.6027828156948},
                 {"log-sigma-2-mm-3D", {31.276498794555664, -11.637094497680664, -2.426832675933838, -2.8841238021850586}, -1053.6333566876128}},
                PixelType::float32);
}

TEST(LaplacianOfGaussian, NamesEachSigmaAsItIsWrittenAndComputesANameOnce) {
  // radiomics.md 9 item 22.
  std::vector<std::string> names;
  for (const DerivedImage& image : derive(pattern_int16(), "LoG", "sigma: [1, 1.0, 2.5, 1, 1.00, 0.75]").images) names.push_back(image.name);
  EXPECT_EQ(names, (std::vector<std::string>{"log-sigma-1-mm-3D", "log-sigma-1-0-mm-3D", "log-sigma-2-5-mm-3D", "log-sigma-0-75-mm-3D"}));
}

TEST(LaplacianOfGaussian, LeavesOutASigmaThatDoesNotFitAndSaysWhy) {
  // 7 x 7 x 5 voxels of 0.8 x 1.0 x 2.5 mm: size >= ceil(sigma / spacing) + 1 holds up to 4.8 mm (i).
  const DerivedImages images = derive(pattern_int16(), "LoG", "sigma: [4.8, 4.9, 30]");
  ASSERT_EQ(images.images.size(), 1u);
  EXPECT_EQ(images.images[0].name, "log-sigma-4-8-mm-3D");
  ASSERT_EQ(images.missing.size(), 2u);
  EXPECT_EQ(images.missing[0].name, "log-sigma-4-9-mm-3D");
  EXPECT_EQ(images.missing[0].why.reason, "image_too_small");
  EXPECT_NE(images.missing[1].why.text.find("7 x 7 x 5"), std::string::npos);
  // Fewer than four voxels on an axis: none.
  const auto thin = formula_case({9, 9, 3}, PixelType::int16, pattern);
  EXPECT_EQ(derive(thin, "LoG", "sigma: [1.0]").missing.size(), 1u);
  // An extraction goes on without the columns and lists what is missing.
  const auto profile = parse_profile("imageType: {Original: {}, LoG: {sigma: [1.0, 30.0]}}\nfeatureClass: {firstorder: [Mean]}", "test");
  const auto result = extract_features(thin.image, thin.mask, 1, *profile);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->features.size(), 1u);
  EXPECT_EQ(result->missing_images.size(), 2u);
  EXPECT_NE(result->notes.back().find("log-sigma-30-0-mm-3D"), std::string::npos);
}

TEST(LaplacianOfGaussian, VanishesOnAConstantAndNotesAnEmptyListOfSigmas) {
  const auto flat = formula_case({8, 9, 10}, PixelType::int16, [](int, int, int) { return 100.0; });
  const DerivedImages images = derive(flat, "LoG", "sigma: [2.0]");
  for (const double value : images.images.at(0).volume->voxels) EXPECT_NEAR(value, 0, 2e-4);
  EXPECT_EQ(derive(flat, "LoG").images.size(), 0u);
  EXPECT_EQ(derive(flat, "LoG").notes.size(), 1u);
}

TEST(Gradient, EqualsItkToTheLastBit) {
  // SimpleITK 2.5.7 GradientMagnitude, with and without spacing.
  expect_images(derive(pattern_int16(), "Gradient"), {{"gradient", {21.20378875732422, 76.65509033203125, 109.54251098632812, 85.19580841064453}, 18698.09100627899}}, PixelType::float32);
  expect_images(derive(pattern_int16(), "Gradient", "gradientUseSpacing: false"),
                {{"gradient", {18.02082061767578, 69.51978302001953, 105.0238037109375, 69.70294189453125}, 19112.141098976135}}, PixelType::float32);
}

TEST(Gradient, OfASlopeIsTheSlopeAndHalfOfItAtTheEdge) {
  const auto slope = formula_case({5, 4, 4}, PixelType::float64, [](int i, int, int) { return 3.0 * i; }, {0.5, 1, 1});
  const DerivedImage image = derive(slope, "Gradient").images.at(0);
  EXPECT_EQ(voxel(image, 2, 1, 1), 6);
  EXPECT_EQ(voxel(image, 0, 1, 1), 3);
  EXPECT_EQ(voxel(image, 4, 3, 3), 3);
}

TEST(PointwiseImages, EqualPyRadiomics) {
  const auto one = pattern_int16();
  const auto check = [&](const std::string& type, const Expected& expected) {
    const DerivedImages images = derive(one, type);
    ASSERT_EQ(images.images.size(), 1u);
    const DerivedImage& image = images.images[0];
    EXPECT_EQ(image.name, expected.name);
    EXPECT_EQ(image.volume->pixel_type, PixelType::float64);
    const std::vector<Index3> probes{{0, 0, 0}, {3, 2, 1}, {5, 4, 3}, {6, 6, 4}};
    for (std::size_t at = 0; at < 4; ++at) EXPECT_DOUBLE_EQ(voxel(image, probes[at][0], probes[at][1], probes[at][2]), expected.probes[at]) << type;
    EXPECT_NEAR(sum(image), expected.sum, 1e-9 * expected.sum) << type;
  };
  check("Square", {"square", {66.66666666666667, 0.006666666666666668, 5.226666666666668, 0.8066666666666669}, 9191.740000000002});
  check("SquareRoot", {"squareroot", {-122.47448713915891, -12.24744871391589, 64.8074069840786, -40.620192023179804}, 5118.642518338131});
  check("Logarithm", {"logarithm", {-137.97677228337645, -20.72279810288506, 100.67095934968134, -74.29045410885847}, 5065.692642320977});
  check("Exponential", {"exponential", {0.035421952306087044, 0.9671475253952003, 2.548025099252107, 0.6925003134857617}, 4152.825808542742});
}

TEST(PointwiseImages, ScaleByTheWholeImageNotByTheRegion) {
  auto one = pattern_int16();
  const VoxelBox box{{0, 0, 0}, {3, 3, 3}};
  const double before = derive(one, "Square", "", box).images.at(0).volume->voxels.at(5);
  one.image.voxels.back() = 2000;  // far from the box
  EXPECT_NE(derive(one, "Square", "", box).images.at(0).volume->voxels.at(5), before);
}

TEST(PointwiseImages, OfAnImageOfZerosCostTheirFeaturesNotTheCase) {
  auto zeros = formula_case({6, 6, 6}, PixelType::int16, [](int, int, int) { return 0.0; });
  const auto profile = parse_profile("imageType: {Original: {}, Square: {}, Exponential: {}}\nfeatureClass: {firstorder: [Mean], glcm: [Contrast]}", "test");
  const auto result = extract_features(zeros.image, zeros.mask, 1, *profile);
  ASSERT_TRUE(result);
  ASSERT_EQ(result->features.size(), 6u);
  EXPECT_TRUE(result->features.values()[0].computed());
  EXPECT_EQ(std::get<NotComputed>(result->features.values()[2].value).reason, "not_finite_voxel");
}

/// Mean of an image type of brain1, as radiomics.md 9 gives it.
double mean_of_brain1(const std::string& type, const std::string& settings) {
  static const auto image = *read_image_file(test::shared_dir() / "reference/pyradiomics/images/brain1_image.nrrd");
  static const auto mask = *read_mask_file(test::shared_dir() / "reference/pyradiomics/images/brain1_label.nrrd");
  const auto profile = parse_profile("imageType: {" + type + "}\nfeatureClass: {firstorder: [Mean]}\nsetting: {" + settings + "}", "test");
  const auto result = extract_features(image, mask, 1, *profile);
  EXPECT_TRUE(result);
  return result ? result->features.values().at(0).number() : NAN;
}

TEST(ImageTypes, SeeTheImageAsItWasCropped) {
  // radiomics.md 9 items 11 to 13, brain1.
  CHOANA_NEEDS_SHARED("reference/pyradiomics/images/brain1_image.nrrd");
  EXPECT_NEAR(mean_of_brain1("LoG: {sigma: [5.0]}", "resampledPixelSpacing: [1, 1, 1], padDistance: 5"), -106.693, 5e-4);
  EXPECT_NEAR(mean_of_brain1("LoG: {sigma: [5.0]}", "resampledPixelSpacing: [1, 1, 1], padDistance: 10"), -100.282, 5e-4);
  EXPECT_NEAR(mean_of_brain1("Square: {}", "resampledPixelSpacing: [1, 1, 1], padDistance: 5"), 336.664, 5e-4);
  EXPECT_NEAR(mean_of_brain1("Square: {}", "resampledPixelSpacing: [1, 1, 1], padDistance: 10"), 267.537, 5e-4);
  EXPECT_EQ(mean_of_brain1("Wavelet: {}", "resampledPixelSpacing: [1, 1, 1], padDistance: 5"), mean_of_brain1("Wavelet: {}", "resampledPixelSpacing: [1, 1, 1], padDistance: 10"));
  EXPECT_NEAR(mean_of_brain1("Square: {}", ""), 230.795, 5e-4);
  EXPECT_NEAR(mean_of_brain1("Square: {}", "preCrop: true"), 342.828, 5e-4);
  EXPECT_NEAR(mean_of_brain1("Exponential: {}", ""), 9.517, 5e-4);
  EXPECT_NEAR(mean_of_brain1("Exponential: {}", "preCrop: true"), 25.344, 5e-4);
  EXPECT_NEAR(mean_of_brain1("Logarithm: {}", ""), 2551.66, 5e-3);
  EXPECT_NEAR(mean_of_brain1("Logarithm: {}", "preCrop: true"), 1806.86, 5e-3);
  // The image's own spacing still crops.
  EXPECT_NEAR(mean_of_brain1("Square: {}", "resampledPixelSpacing: [0, 0, 0]"), 342.828, 5e-4);
}

}  // namespace
}  // namespace choana::processing
