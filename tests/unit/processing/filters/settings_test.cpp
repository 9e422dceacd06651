// How parameter files choose image types, and the profiles that come with Choana.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "processing/radiomics/feature_extractor.h"
#include "tests/support/volumes.h"

namespace choana::processing {
namespace {

std::string message_of(const std::string& yaml) {
  const auto profile = parse_profile(yaml, "test");
  return profile ? "accepted" : profile.error().message;
}

TEST(FilterSettings, ReadEverySettingAndItsOverrides) {
  const auto profile = parse_profile(R"(
setting: {sigma: [1, 2.50], wavelet: db3, level: 2, start_level: 1, gradientUseSpacing: false, lbp2DRadius: 1.5, lbp2DSamples: 12, lbp2DMethod: ror,
          lbp3DLevels: 3, lbp3DIcosphereRadius: 2, lbp3DIcosphereSubdivision: 2}
imageType:
  LoG: {}
  Wavelet: {wavelet: bior3.1, binWidth: 7}
  LBP2D: {lbp2DMethod: var}
voxelSetting: {kernelRadius: 2, maskedKernel: false, initValue: nan, voxelBatch: 100}
)",
                                     "test");
  ASSERT_TRUE(profile) << profile.error().message;
  const ExtractionSettings& log = profile->image_types.at(0).settings;
  // A sigma under setting is used by LoG: {} (radiomics.md 9 item 22).
  EXPECT_EQ(log.log_scales, (std::vector<LogScale>{{1, "1"}, {2.5, "2.5"}}));
  EXPECT_EQ(log.wavelet, "db3");
  EXPECT_EQ(log.wavelet_levels, 2);
  EXPECT_EQ(log.wavelet_start_level, 1);
  EXPECT_FALSE(log.gradient_use_spacing);
  EXPECT_EQ(log.lbp2d_radius_pixels, 1.5);
  EXPECT_EQ(log.lbp2d_samples, 12);
  EXPECT_EQ(log.lbp3d_levels, 3);
  EXPECT_EQ(log.lbp3d_icosphere_radius_voxels, 2);
  EXPECT_EQ(log.lbp3d_icosphere_subdivision, 2);
  EXPECT_EQ(profile->image_types.at(1).settings.wavelet, "bior3.1");
  EXPECT_EQ(profile->image_types.at(1).settings.bin_width, 7);
  EXPECT_EQ(profile->settings.bin_width, 25);
  EXPECT_EQ(profile->image_types.at(2).settings.lbp2d_method, LocalPatternMethod::variance);
  EXPECT_EQ(profile->voxel.kernel_radius_voxels, 2);
  EXPECT_FALSE(profile->voxel.masked_kernel);
  EXPECT_TRUE(std::isnan(profile->voxel.initial_value));
  EXPECT_EQ(profile->voxel.voxel_batch, 100);
}

TEST(FilterSettings, HavePyRadiomicsDefaults) {
  const ExtractionSettings settings;
  EXPECT_TRUE(settings.log_scales.empty());
  EXPECT_EQ(settings.wavelet, "coif1");
  EXPECT_EQ(settings.lbp2d_samples, 8);  // the documentation says 9
  EXPECT_EQ(VoxelSettings{}.kernel_radius_voxels, 1);
  EXPECT_EQ(VoxelSettings{}.initial_value, 0);
}

TEST(FilterSettings, OfferTheNearMatchOfAnUnknownName) {
  EXPECT_NE(message_of("setting: {lbp3DLevel: 2}").find("Did you mean lbp3DLevels"), std::string::npos) << message_of("setting: {lbp3DLevel: 2}");
  EXPECT_NE(message_of("imageType: {LoG: {sigmas: [1]}}").find("Did you mean sigma"), std::string::npos);
  EXPECT_NE(message_of("imageType: {SquareRot: {}}").find("Did you mean SquareRoot"), std::string::npos);
  EXPECT_NE(message_of("imageType: {Wavelet: {wavelet: ceif1}}").find("Did you mean coif1"), std::string::npos) << message_of("imageType: {Wavelet: {wavelet: ceif1}}");
  EXPECT_NE(message_of("voxelSetting: {kernelradius: 2}").find("Did you mean kernelRadius"), std::string::npos);
}

TEST(FilterSettings, AreCheckedAsPyRadiomicsSchemaChecksThem) {
  // radiomics.md 9 item 21; tests/interop/yaml_files.py asks PyRadiomics itself the same.
  for (const char* yaml : {"setting: {sigma: 1.0}", "setting: {sigma: [0]}", "setting: {sigma: [one]}", "setting: {level: 0}", "setting: {level: 1.0}", "setting: {start_level: -1}",
                           "setting: {gradientUseSpacing: no}", "setting: {lbp2DMethod: nri_uniform}", "setting: {lbp2DSamples: 8.0}", "setting: {lbp2DRadius: 0}",
                           "setting: {lbp3DLevels: 0}", "setting: {lbp3DIcosphereRadius: -1}", "setting: {lbp3DIcosphereSubdivision: -1}", "setting: {kernelRadius: 2}",
                           "voxelSetting: {kernelRadius: 0}", "voxelSetting: {maskedKernel: 1}", "voxelSetting: {voxelBatch: 0}", "voxelSetting: {binWidth: 5}", "voxelSetting:",
                           "voxelSetting: {kernelRadius: 1, kernelRadius: 2}"})
    EXPECT_FALSE(parse_profile(yaml, "test")) << yaml;
  for (const char* yaml : {"setting: {sigma: []}", "setting: {padDistance: 0x7}", "setting: {padDistance: 0o7}", "setting: {normalize: null}", "voxelSetting: {initValue: .nan}", "setting: {wavelet: rbio6.8}"})
    EXPECT_TRUE(parse_profile(yaml, "test")) << yaml;
}

TEST(FilterSettings, OnTheCommandLineReachEveryImageTypeThatDoesNotOverrideThem) {
  auto profile = parse_profile("imageType: {LoG: {}, Wavelet: {wavelet: haar}}", "test");
  ASSERT_TRUE(override_setting(*profile, "sigma", "1,2.0"));
  ASSERT_TRUE(override_setting(*profile, "wavelet", "db2"));
  ASSERT_TRUE(override_setting(*profile, "kernelRadius", "3"));
  EXPECT_FALSE(override_setting(*profile, "kernelRadius", "0"));
  EXPECT_FALSE(override_setting(*profile, "wavelet", "mexh"));
  EXPECT_EQ(profile->image_types.at(0).settings.log_scales, (std::vector<LogScale>{{1, "1"}, {2, "2.0"}}));
  EXPECT_EQ(profile->image_types.at(0).settings.wavelet, "db2");
  EXPECT_EQ(profile->image_types.at(1).settings.wavelet, "haar");
  EXPECT_EQ(profile->voxel.kernel_radius_voxels, 3);
}

TEST(FilterSettings, MeasureTheLabelOfAnImageTypeThatNamesOne) {
  test::RandomCase one = test::random_case(3);
  for (std::size_t at = 0; at < one.mask.labels.size(); at += 3)
    if (one.mask.labels[at] == 1) one.mask.labels[at] = 2;
  const auto profile = parse_profile("imageType: {Original: {}, Square: {label: 2}, SquareRoot: {label: 9}}\nfeatureClass: {firstorder: [Energy]}", "test");
  const auto result = extract_features(one.image, one.mask, 1, *profile);
  ASSERT_TRUE(result);
  EXPECT_EQ(std::get<NotComputed>(result->features.values().at(2).value).reason, "roi_empty");
  const auto other = extract_features(one.image, one.mask, 2, *parse_profile("imageType: {Square: {}}\nfeatureClass: {firstorder: [Energy]}", "test"));
  EXPECT_NEAR(result->features.values().at(1).number(), other->features.values().at(0).number(), 0.2 * other->features.values().at(0).number());
}

TEST(FilterSettings, ChangeTheCanonicalText) {
  const auto text = [](const std::string& yaml) { return canonical_json(*parse_profile(yaml, "p")); };
  EXPECT_NE(text("imageType: {LoG: {sigma: [1]}}"), text("imageType: {LoG: {sigma: [1.0]}}"));
  EXPECT_NE(text("imageType: {Wavelet: {}}"), text("imageType: {Wavelet: {wavelet: haar}}"));
  EXPECT_NE(text("imageType: {LBP3D: {}}"), text("imageType: {LBP3D: {lbp3DLevels: 3}}"));
  EXPECT_EQ(text("imageType: {LBP2D: {lbp2DRadius: 1}}"), text("imageType: {LBP2D: {lbp2DRadius: 1.0}}"));
}

TEST(ShapeInTwoDimensions, IsLeftOutByAnIndexIntoTheWrongAxis) {
  // radiomics.md 9 item 20: dimension 0 (z) looks at the size in x.
  test::RandomCase one = test::random_case(4, {6, 12, 9});
  for (std::size_t at = 0; at < one.mask.labels.size(); ++at) {
    const auto i = at % 6;
    const auto j = at / 6 % 12;
    const auto k = at / 72;
    one.mask.labels[at] = i == 3 && j > 2 && j < 9 && k > 2 && k < 7 ? 1 : 0;
  }
  const auto sagittal = extract_features(one.image, one.mask, 1, *parse_profile("setting: {force2D: true}\nfeatureClass: {shape2D: , firstorder: [Mean]}", "test"));
  ASSERT_TRUE(sagittal);
  EXPECT_EQ(sagittal->features.size(), 1u);
  EXPECT_NE(sagittal->notes.at(0).find("shape2D"), std::string::npos);
}

TEST(RegionsWithoutPairs, OfOneLevelHaveAnMccOfOne) {
  // PyRadiomics 3.0.1: two voxels of equal intensity that do not touch; the other GLCM features have no value.
  test::RandomCase one = test::random_case(4);
  std::fill(one.mask.labels.begin(), one.mask.labels.end(), 0u);
  for (const Index3& at : {Index3{2, 2, 2}, Index3{6, 6, 2}}) {
    one.mask.labels[one.mask.geometry.offset(at[0], at[1], at[2])] = 1;
    one.image.voxels[one.image.geometry.offset(at[0], at[1], at[2])] = 50;
  }
  const auto result = extract_features(one.image, one.mask, 1, *parse_profile("featureClass: {glcm: [MCC, Contrast]}", "test"));
  ASSERT_TRUE(result);
  EXPECT_EQ(result->features.values().at(0).number(), 1);
  EXPECT_FALSE(result->features.values().at(1).computed());
}

struct SeedProfile {
  const char* name;
  std::size_t columns;
};

void PrintTo(const SeedProfile& seed, std::ostream* out) { *out << seed.name; }

class SeedProfiles : public testing::TestWithParam<SeedProfile> {};

TEST_P(SeedProfiles, GiveTheColumnsOfTheirPaper) {
  // spec/radiomics.md section 3. The 975 columns of paper 4 are not reproducible; its profile is the superset of 1130.
  const auto file = std::filesystem::path(CHOANA_SOURCE_DIR) / "conf/profiles" / (std::string(GetParam().name) + ".yaml");
  std::ifstream in(file);
  std::stringstream text;
  text << in.rdbuf();
  const auto profile = parse_profile(text.str(), GetParam().name);
  ASSERT_TRUE(profile) << profile.error().message;
  const test::RandomCase one = test::random_case(7, {26, 24, 10});
  const auto result = extract_features(one.image, one.mask, 1, *profile);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_TRUE(result->missing_images.empty());
  EXPECT_EQ(result->features.size(), GetParam().columns);
  std::set<std::string> names;
  for (const FeatureValue& value : result->features.values()) names.insert(value.id.str());
  EXPECT_EQ(names.size(), GetParam().columns);
}

INSTANTIATE_TEST_SUITE_P(Papers, SeedProfiles,
                         testing::Values(SeedProfile{"seed-1-sun", 1130}, SeedProfile{"seed-2-zhuang", 1197}, SeedProfile{"seed-3-wu", 1133}, SeedProfile{"seed-4-hu", 1130},
                                         SeedProfile{"seed-5-qiu", 1834}));

}  // namespace
}  // namespace choana::processing
