#include "processing/radiomics/extraction_profile.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "processing/radiomics/feature_catalogue.h"
#include "tests/support/shared_data.h"

namespace choana::processing {
namespace {

std::string message_of(const std::string& yaml) {
  const auto profile = parse_profile(yaml, "test");
  return profile ? "accepted" : profile.error().message;
}

TEST(ExtractionProfile, ReadsAPyRadiomicsParameterFile) {
  const auto profile = parse_profile(R"(
imageType:
  Original: {binWidth: 10}
featureClass:
  shape:
  glcm: [Contrast, Id]
setting:
  binWidth: 25
  interpolator: sitkLinear
  resampledPixelSpacing: [1, 1.5, 0]
  weightingNorm: null
  resegmentRange: [-3, 3]
  resegmentMode: sigma
)",
                                     "file");
  ASSERT_TRUE(profile) << profile.error().message;
  EXPECT_EQ(profile->settings.bin_width, 25);
  EXPECT_EQ(profile->image_types.at(0).settings.bin_width, 10);
  EXPECT_EQ(profile->settings.interpolator, Interpolation::linear);
  EXPECT_EQ(profile->settings.resampled_pixel_spacing_mm, (std::array<double, 3>{1, 1.5, 0}));
  EXPECT_EQ(profile->settings.resegment_mode, ResegmentMode::sigma);
  EXPECT_EQ(profile->families, (std::vector<FamilyRequest>{{"shape", {}}, {"glcm", {"Contrast", "Id"}}}));
}

TEST(ExtractionProfile, OffersTheNearMatchOfAnUnknownName) {
  EXPECT_NE(message_of("setting: {binWith: 25}").find("Did you mean binWidth"), std::string::npos) << message_of("setting: {binWith: 25}");
  EXPECT_NE(message_of("featureClass: {glcn: }").find("Did you mean glcm"), std::string::npos);
  EXPECT_NE(message_of("featureClass: {glcm: [Constrast]}").find("Did you mean Contrast"), std::string::npos);
  EXPECT_NE(message_of("imageType: {Wavlet: {}}").find("Did you mean Wavelet"), std::string::npos);
  EXPECT_NE(message_of("settings: {}").find("Did you mean setting"), std::string::npos);
}

TEST(ExtractionProfile, ReadsScalarsAsYaml12) {
  // radiomics.md 9 item 21: what PyRadiomics' reader and schema refuse.
  for (const char* yaml : {"setting: {normalize: yes}", "setting: {padDistance: 5.0}", "setting: {normalize: 1}", "setting:", "imageType: {Original: }",
                           "setting: {binWidth: \"25\"}", "setting: {resampledPixelSpacing: [1, 1]}", "setting: {binWidth: -1}", "setting: {label: 0}",
                           "setting: {minimumROIDimensions: 4}", "setting: {interpolator: sitkGaussian}", "setting: {weightingNorm: euclidian}",
                           "setting: {binWidth: .nan}", "setting: {binWidth: 1, binWidth: 2}", "[1, 2]", "setting: {a", "featureClass: {glcm: Contrast}"})
    EXPECT_FALSE(parse_profile(yaml, "test")) << yaml;
}

TEST(ExtractionProfile, SwitchesResamplingOffWithANullInterpolator) {
  EXPECT_FALSE(parse_profile("setting: {interpolator: null}", "test")->settings.interpolator);
}

TEST(ExtractionProfile, EnablesEveryClassWhenAFileNamesNone) {
  // radiomics.md 9 item 19: eight classes with a file, seven without one.
  EXPECT_EQ(parse_profile("{setting: {binWidth: 5}}", "test")->families.size(), 8u);
  EXPECT_EQ(default_profile().families.size(), 7u);
}

TEST(ExtractionProfile, OverridesASettingAsTheCommandLineWritesIt) {
  ExtractionProfile profile = default_profile();
  EXPECT_TRUE(override_setting(profile, "binWidth", "10"));
  EXPECT_TRUE(override_setting(profile, "resampledPixelSpacing", "2,2,3"));
  EXPECT_TRUE(override_setting(profile, "force2D", "1"));
  EXPECT_EQ(profile.settings.bin_width, 10);
  EXPECT_EQ(profile.image_types.at(0).settings.bin_width, 10);
  EXPECT_EQ(profile.settings.resampled_pixel_spacing_mm, (std::array<double, 3>{2, 2, 3}));
  EXPECT_TRUE(profile.settings.force_2d);
  EXPECT_FALSE(override_setting(profile, "binwidth", "10"));
  EXPECT_FALSE(override_setting(profile, "binWidth", "ten"));
}

TEST(ExtractionProfile, GivesEqualTextForEqualSettings) {
  const auto a = parse_profile("setting: {binWidth: 25, label: 1}", "p");
  const auto b = parse_profile("setting: {label: 1, binWidth: 25.0}", "p");
  EXPECT_EQ(canonical_json(*a), canonical_json(*b));
  EXPECT_NE(canonical_json(*a), canonical_json(*parse_profile("setting: {binWidth: 24}", "p")));
}

TEST(FeatureCatalogue, ListsOneHundredAndSevenFeaturesByDefault) {
  std::set<std::pair<std::string, std::string>> names;
  std::set<std::string> codes;
  int listed = 0;
  for (const FeatureDescription& feature : feature_catalogue()) {
    EXPECT_TRUE(names.emplace(feature.family, feature.name).second) << feature.family << " " << feature.name;
    EXPECT_TRUE(codes.emplace(feature.code).second) << feature.code;
    EXPECT_LE(feature.code.size(), 16u) << "SH allows 16 characters";
    if (feature.availability == Availability::listed && feature.family != "shape2D") ++listed;
  }
  EXPECT_EQ(listed, 107);
}

TEST(FeatureCatalogue, HasTheCodesAndUnitsOfTheCodeTable) {
  // spec/feature-codes.tsv: PS3.16 CID 7466 ff., IBSI manual.
  CHOANA_NEEDS_SHARED("spec/feature-codes.tsv");
  std::ifstream in(test::shared_dir() / "spec/feature-codes.tsv");
  std::string line;
  std::getline(in, line);
  int rows = 0;
  while (std::getline(in, line)) {
    std::vector<std::string> cells;
    std::stringstream text(line);
    for (std::string cell; std::getline(text, cell, '\t');) cells.push_back(cell);
    const FeatureDescription* feature = find_feature(cells.at(1), cells.at(2));
    ASSERT_NE(feature, nullptr) << cells[0];
    EXPECT_EQ(feature->code, cells[3]) << cells[0];
    EXPECT_EQ(feature->scheme, cells[4]) << cells[0];
    EXPECT_EQ(feature->unit, cells[6]) << cells[0];
    if (!cells[9].empty()) {
      EXPECT_EQ(feature->raw_unit, cells[9]) << cells[0];
    }
    ++rows;
  }
  EXPECT_EQ(rows, 107);
}

}  // namespace
}  // namespace choana::processing
