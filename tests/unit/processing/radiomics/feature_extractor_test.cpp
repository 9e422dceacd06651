#include "processing/radiomics/feature_extractor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "processing/itk/image_file.h"
#include "processing/radiomics/diagnostics.h"
#include "tests/support/shared_data.h"
#include "tests/support/volumes.h"

namespace choana::processing {
namespace {

ExtractionProfile settings(const std::string& text, const std::string& classes = "shape: , firstorder: , glcm: , gldm: , glrlm: , glszm: , ngtdm: ") {
  return *parse_profile("setting: {" + text + "}\nfeatureClass: {" + classes + "}\n", "test");
}

double value_of(const ExtractionResult& result, const std::string& name) { return result.features.number(*FeatureId::parse("original_" + name)).value_or(NAN); }

test::RandomCase region(Index3 size, const std::vector<Index3>& voxels, double value = 10) {
  test::RandomCase one{{test::grid(size), {}, PixelType::float64}, {test::grid(size), {}}};
  one.image.voxels.assign(one.image.geometry.voxel_count(), value);
  one.mask.labels.assign(one.image.geometry.voxel_count(), 0);
  for (const Index3& voxel : voxels) one.mask.labels[one.image.geometry.offset(voxel[0], voxel[1], voxel[2])] = 1;
  return one;
}

TEST(FeatureExtractor, GivesOneHundredAndSevenFeaturesInPyRadiomicsOrder) {
  const test::RandomCase one = test::random_case(1);
  const auto result = extract_features(one.image, one.mask, 1, default_profile());
  ASSERT_TRUE(result) << result.error().message;
  ASSERT_EQ(result->features.size(), 107u);
  std::vector<std::string> families;
  for (const FeatureValue& feature : result->features.values()) {
    EXPECT_TRUE(feature.computed()) << feature.id.str();
    if (families.empty() || families.back() != feature.id.family) families.push_back(feature.id.family);
  }
  EXPECT_EQ(families, (std::vector<std::string>{"shape", "firstorder", "glcm", "gldm", "glrlm", "glszm", "ngtdm"}));
  EXPECT_EQ(result->features.values()[21].id.name, "MeanAbsoluteDeviation");
  EXPECT_EQ(result->features.values()[22].id.name, "Mean");
}

TEST(FeatureExtractor, ReadsAFlatRegionAsFlatEvenWhenItsValueIsNotExact) {
  // radiomics.md 9 item 3: 100.7 is not exact in binary; spread, Skewness and Kurtosis are 0.
  test::RandomCase one = test::random_case(2);
  one.image.pixel_type = PixelType::float64;
  std::fill(one.image.voxels.begin(), one.image.voxels.end(), 100.7);
  const auto result = extract_features(one.image, one.mask, 1, default_profile());
  ASSERT_TRUE(result);
  for (const char* name : {"firstorder_Skewness", "firstorder_Kurtosis", "firstorder_Variance", "firstorder_Range", "ngtdm_Contrast", "glcm_Contrast", "glcm_Imc1"})
    EXPECT_EQ(value_of(*result, name), 0) << name;
  EXPECT_EQ(value_of(*result, "glcm_MCC"), 1);
  EXPECT_EQ(value_of(*result, "glcm_Correlation"), 1);
  EXPECT_EQ(value_of(*result, "ngtdm_Coarseness"), 1e6);
  EXPECT_NEAR(value_of(*result, "firstorder_Entropy"), -3.2e-16, 1e-17);
  EXPECT_FALSE(result->notes.empty()) << "one grey level is worth a note";
}

TEST(FeatureExtractor, SaysWhyAFeatureHasNoValueAndKeepsTheRest) {
  // Two voxels that are no neighbours: no pairs and no runs, but everything else.
  const test::RandomCase one = region({9, 9, 9}, {{1, 1, 1}, {5, 2, 7}});
  const auto result = extract_features(one.image, one.mask, 1, default_profile());
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->features.size(), 107u);
  const FeatureValue* contrast = result->features.find(*FeatureId::parse("original_glcm_Contrast"));
  ASSERT_NE(contrast, nullptr);
  ASSERT_FALSE(contrast->computed());
  EXPECT_EQ(std::get<NotComputed>(contrast->value).reason, "no_pairs");
  EXPECT_TRUE(result->features.find(*FeatureId::parse("original_shape_Maximum3DDiameter"))->computed());
  EXPECT_EQ(result->components, 2);
}

TEST(FeatureExtractor, DropsFineBinsThatCannotBeHeldButNotTheCase) {
  test::RandomCase one = test::random_case(3, {10, 10, 5}, PixelType::float32);
  one.image.voxels[one.image.geometry.offset(5, 5, 2)] = 1e9;
  const auto result = extract_features(one.image, one.mask, 1, settings("binWidth: 0.001"));
  ASSERT_TRUE(result);
  EXPECT_EQ(std::get<NotComputed>(result->features.find(*FeatureId::parse("original_glcm_Contrast"))->value).reason, "limit_exceeded");
  EXPECT_TRUE(std::isfinite(value_of(*result, "firstorder_Mean")));
}

TEST(FeatureExtractor, RefusesRegionsThatCannotBeMeasured) {
  const auto code_of = [](const test::RandomCase& one, const ExtractionProfile& profile, int label = 1) {
    const auto result = extract_features(one.image, one.mask, label, profile);
    return result ? std::string("computed") : std::string(to_string(result.error().code));
  };
  EXPECT_EQ(code_of(region({5, 5, 5}, {{2, 2, 2}}), default_profile()), "roi_too_small");
  EXPECT_EQ(code_of(region({5, 5, 5}, {{2, 2, 2}, {3, 2, 2}}), default_profile()), "roi_too_small");
  EXPECT_EQ(code_of(region({5, 5, 5}, {{2, 2, 2}, {3, 2, 2}}), settings("minimumROIDimensions: 1")), "computed");
  EXPECT_EQ(code_of(region({5, 5, 5}, {{2, 2, 2}, {3, 3, 2}, {3, 2, 2}}), settings("minimumROISize: 3")), "roi_too_small");
  EXPECT_EQ(code_of(region({5, 5, 5}, {{2, 2, 2}, {3, 3, 2}, {3, 2, 2}}), settings("minimumROISize: 2")), "computed");
  EXPECT_EQ(code_of(region({5, 5, 5}, {{2, 2, 2}, {3, 3, 2}}), default_profile(), 2), "roi_empty");
  EXPECT_EQ(code_of(region({5, 5, 5}, {{2, 2, 2}, {3, 3, 2}}), settings("resegmentRange: [50, 60]")), "roi_too_small");
}

TEST(FeatureExtractor, SaysHowTheGridsDiffer) {
  test::RandomCase one = test::random_case(1);
  one.mask.geometry = test::grid(one.image.geometry.size(), {0.8, 0.9, 2.5}, {-20, 31, 5.4});
  auto result = extract_features(one.image, one.mask, 1, default_profile());
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::geometry_mismatch);
  EXPECT_NE(result.error().message.find("origin by 0.4"), std::string::npos) << result.error().message;
  EXPECT_TRUE(extract_features(one.image, one.mask, 1, settings("geometryTolerance: 0.9")));
  EXPECT_TRUE(extract_features(one.image, one.mask, 1, settings("correctMask: true")));
  // A tolerance never hides more than a voxel.
  one.mask.geometry = test::grid(one.image.geometry.size(), {0.8, 0.9, 2.5}, {-20, 31, 15});
  EXPECT_FALSE(extract_features(one.image, one.mask, 1, settings("geometryTolerance: 1000")));
}

TEST(FeatureExtractor, NotesFewLevelsAndStrongInterpolation) {
  const test::RandomCase one = test::random_case(1);
  const auto result = extract_features(one.image, one.mask, 1, settings("binWidth: 100, resampledPixelSpacing: [1, 1, 0.5]"));
  ASSERT_TRUE(result);
  std::string notes;
  for (const std::string& note : result->notes) notes += note + "\n";
  EXPECT_NE(notes.find("grey levels"), std::string::npos) << notes;
  EXPECT_NE(notes.find("Along axis k"), std::string::npos) << notes;
  EXPECT_NE(result->voxels_original, result->voxels_resampled);
}

TEST(FeatureExtractor, ComputesWithManyGreyLevels) {
  // Every voxel its own level: matrices stay sparse, and what has a value is finite.
  test::RandomCase one = test::random_case(6, {24, 24, 12}, PixelType::float64);
  for (std::size_t at = 0; at < one.image.voxels.size(); ++at) one.image.voxels[at] = static_cast<double>((at * 7919) % 6911);
  const auto result = extract_features(one.image, one.mask, 1, settings("binWidth: 0.01"));
  ASSERT_TRUE(result);
  EXPECT_GT(result->levels.at(0).present, 1024);
  EXPECT_GT(value_of(*result, "glcm_Imc2"), 0.9);
  EXPECT_EQ(std::get<NotComputed>(result->features.find(*FeatureId::parse("original_glcm_MCC"))->value).reason, "too_many_levels");
}

TEST(FeatureExtractor, TakesEightBitImagesWithoutWrapping) {
  // radiomics.md 9 item 9: uint8 10..244 in steps of 9, binWidth 25: Entropy 3.2999 (NumPy 2 would give 0.3809).
  test::RandomCase one{{test::grid({27, 1, 2}), {}, PixelType::uint8}, {test::grid({27, 1, 2}), {}}};
  for (int k = 0; k < 2; ++k)
    for (int at = 0; at < 27; ++at) {
      one.image.voxels.push_back(10 + 9 * at);
      one.mask.labels.push_back(1);
    }
  EXPECT_NEAR(value_of(*extract_features(one.image, one.mask, 1, default_profile()), "firstorder_Entropy"), 3.2999, 1e-4);
}

TEST(FeatureExtractor, NormalisesBeforeResampling) {
  // radiomics.md 9 items 5 and 10, brain1 at 1 mm.
  CHOANA_NEEDS_SHARED("reference/pyradiomics/images/brain1_image.nrrd");
  const auto folder = test::shared_dir() / "reference/pyradiomics/images";
  auto image = read_image_file(folder / "brain1_image.nrrd");
  const auto mask = read_mask_file(folder / "brain1_label.nrrd");
  const auto first_order = [&](const std::string& text) { return *extract_features(*image, *mask, 1, settings(text, "firstorder: ")); };
  const auto normalised = first_order("normalize: true, normalizeScale: 100, resampledPixelSpacing: [1, 1, 1]");
  EXPECT_NEAR(value_of(normalised, "firstorder_Mean"), 106.017, 5e-4);
  EXPECT_NEAR(value_of(normalised, "firstorder_Variance"), 1450.6, 0.05);
  EXPECT_NEAR(value_of(first_order("resampledPixelSpacing: [1, 1, 1]"), "firstorder_Mean"), 811.938956, 1e-6);
  image->pixel_type = PixelType::float64;
  EXPECT_NEAR(value_of(first_order("resampledPixelSpacing: [1, 1, 1]"), "firstorder_Mean"), 812.442759, 1e-6);
}

TEST(Diagnostics, PrintNumbersAsPythonDoes) {
  EXPECT_EQ(python_text(0.1), "0.1");
  EXPECT_EQ(python_text(2918821481), "2918821481.0");
  EXPECT_EQ(python_text(1e16), "1e+16");
  EXPECT_EQ(python_text(0.00001), "1e-05");
  EXPECT_EQ(python_text(0.0001), "0.0001");
  EXPECT_EQ(python_text(-0.0), "-0.0");
}

TEST(Diagnostics, HashVoxelsAsSimpleItkDoes) {
  // diagnostics of the PyRadiomics baselines, brain1.
  CHOANA_NEEDS_SHARED("reference/pyradiomics/images/brain1_image.nrrd");
  const auto folder = test::shared_dir() / "reference/pyradiomics/images";
  EXPECT_EQ(voxel_hash(*read_image_file(folder / "brain1_image.nrrd")), "5c9ce3ca174f0f8324aa4d277e0fef82dc5ac566");
  EXPECT_EQ(voxel_hash(*read_mask_file(folder / "brain1_label.nrrd")), "9dc2c3137b31fd872997d92c9a92d5178126d9d3");
}

}  // namespace
}  // namespace choana::processing
