#include "processing/radiomics/selected_extraction.h"

#include <gtest/gtest.h>

#include <cmath>

#include "processing/radiomics/feature_extractor.h"
#include "tests/support/volumes.h"

namespace choana::processing {
namespace {

const char* const image_types = R"(
imageType:
  Original: {}
  Wavelet: {}
  LoG: {sigma: [1.0, 2.0]}
  Square: {}
  Logarithm: {}
  Gradient: {}
  LBP2D: {}
  LBP3D: {}
featureClass: {shape: , firstorder: , glcm: [Contrast, JointEntropy], glszm: [ZoneEntropy]}
)";

std::set<FeatureId> ids(const std::vector<const char*>& names) {
  std::set<FeatureId> set;
  for (const char* name : names) set.insert(*FeatureId::parse(name));
  return set;
}

// Regions of one image that differ by a slab.
MaskVolume smaller(const MaskVolume& mask, int by) {
  MaskVolume result = mask;
  const Index3& size = mask.geometry.size();
  for (int k = 0; k < size[2]; ++k)
    for (int j = 0; j < size[1]; ++j)
      for (int i = 0; i < by && i < size[0]; ++i) result.labels[mask.geometry.offset(i + size[0] / 4, j, k)] = 0;
  return result;
}

TEST(SelectedExtraction, GivesTheValuesOfTheWholeExtractionOfEachRegion) {
  const auto wanted = ids({"original_shape_MeshVolume", "original_firstorder_Kurtosis", "wavelet-HHL_glcm_Contrast", "log-sigma-2-0-mm-3D_firstorder_Mean", "square_glszm_ZoneEntropy",
                           "logarithm_firstorder_Entropy", "gradient_glcm_JointEntropy", "lbp-2D_firstorder_Entropy", "lbp-3D-k_glszm_ZoneEntropy"});
  for (const char* setting : {"binWidth: 20", "binWidth: 20, resampledPixelSpacing: [1.3, 1.3, 1.3]", "binWidth: 20, preCrop: true, padDistance: 3", "binWidth: 20, normalize: true, normalizeScale: 100"})
    for (const std::uint32_t seed : {1U, 2U}) {
      SCOPED_TRACE(testing::Message() << setting << ", seed " << seed);
      const test::RandomCase one = test::random_case(seed, {24, 22, 12}, PixelType::int16);
      const auto profile = parse_profile(std::string("setting: {") + setting + "}\n" + image_types, "test");
      ASSERT_TRUE(profile) << profile.error().message;
      const auto region = [&](std::size_t n) { return smaller(one.mask, static_cast<int>(n)); };
      TaskPool pool(3);
      const auto serial = extract_selected(one.image, 5, region, 1, *profile, wanted), parallel = extract_selected(one.image, 5, region, 1, *profile, wanted, &pool);
      ASSERT_EQ(serial.size(), 5U);
      for (std::size_t n = 0; n < serial.size(); ++n) {
        const auto whole = extract_features(one.image, region(n), 1, *profile);
        ASSERT_EQ(whole.has_value(), serial[n].has_value());
        if (!whole) continue;
        for (const FeatureId& id : wanted) {
          const auto expected = whole->features.number(id), got = serial[n]->number(id);
          ASSERT_EQ(expected.has_value(), got.has_value()) << id.str();
          if (!expected) continue;
          // LoG cuts its lines at a distance from the box: the last bit of a float32.
          if (id.image.starts_with("log-sigma")) EXPECT_NEAR(*got, *expected, 1e-5 * std::max(1.0, std::abs(*expected))) << id.str();
          else EXPECT_EQ(*got, *expected) << id.str();
          EXPECT_EQ(*got, parallel[n]->number(id)) << id.str();
        }
        EXPECT_EQ(serial[n]->size(), wanted.size()) << "and nothing else";
      }
    }
}

TEST(SelectedExtraction, SaysOfEachRegionWhyItHasNoValues) {
  const test::RandomCase one = test::random_case(3);
  const auto results = extract_selected(one.image, 2, [&](std::size_t n) {
    MaskVolume mask = one.mask;
    if (n == 1) std::fill(mask.labels.begin(), mask.labels.end(), 0U);
    return mask;
  }, 1, default_profile(), ids({"original_firstorder_Mean"}));
  EXPECT_TRUE(results[0]);
  ASSERT_FALSE(results[1]);
  EXPECT_EQ(results[1].error().code, ErrorCode::roi_empty);
}

TEST(SelectedExtraction, MeasuresShapeWithoutFilteringAnything) {
  const auto some = narrowed(default_profile(), ids({"original_shape_Sphericity"}));
  EXPECT_TRUE(some.image_types.empty());
  ASSERT_EQ(some.families.size(), 1U);
  const test::RandomCase one = test::random_case(4);
  const auto result = extract_selected(one.image, 1, [&](std::size_t) { return one.mask; }, 1, default_profile(), ids({"original_shape_Sphericity"}));
  ASSERT_TRUE(result[0]);
  EXPECT_EQ(result[0]->size(), 1U);
}

}  // namespace
}  // namespace choana::processing
