#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "processing/radiomics/ibsi/ibsi_profile.h"

namespace choana::processing::ibsi {
namespace {

IbsiProfile shipped(const std::string& name) {
  std::ifstream in(std::filesystem::path(CHOANA_SOURCE_DIR) / "conf/profiles" / (name + ".yaml"));
  std::stringstream text;
  text << in.rdbuf();
  EXPECT_TRUE(is_ibsi_profile(text.str())) << name;
  const auto profile = parse_ibsi_profile(text.str(), name);
  EXPECT_TRUE(profile.has_value()) << name << ": " << (profile ? "" : profile.error().message);
  return profile ? *profile : IbsiProfile{};
}

std::string refusal(const std::string& yaml) {
  const auto profile = parse_ibsi_profile(yaml, "test");
  EXPECT_FALSE(profile.has_value()) << yaml;
  if (profile) return {};
  EXPECT_EQ(profile.error().code, ErrorCode::invalid_profile);
  return profile.error().message;
}

// Settings: IBSI reference manual, reference data sets, configurations A to E.
TEST(IbsiProfile, HoldsTheConfigurationsOfTheManual) {
  const IbsiProfile a = shipped("ibsi-ct-a");
  EXPECT_TRUE(a.by_slice);
  EXPECT_FALSE(a.grid.has_value());
  EXPECT_EQ(a.resegmentation.lower, -500);
  EXPECT_EQ(a.resegmentation.upper, 400);
  EXPECT_EQ(a.discretisation.method, DiscretisationMethod::fixed_bin_size);
  EXPECT_EQ(a.discretisation.bin_width, 25);
  EXPECT_EQ(a.volume_histogram.method, DiscretisationMethod::none);
  EXPECT_EQ(a.aggregations, (std::vector<std::string>{"2D_avg", "2D_slice_merged", "2.5D_direction_merged", "2.5D_merged", "2D", "2.5D"}));

  const IbsiProfile b = shipped("ibsi-ct-b");
  ASSERT_TRUE(b.grid.has_value());
  EXPECT_EQ(b.grid->spacing_mm, (std::array<double, 3>{2, 2, 0})) << "the slice axis stays";
  EXPECT_EQ(b.grid->image, ImageInterpolation::linear);
  EXPECT_TRUE(b.grid->round_intensities);
  EXPECT_EQ(b.discretisation.bin_count, 32);

  const IbsiProfile c = shipped("ibsi-ct-c");
  EXPECT_FALSE(c.by_slice);
  EXPECT_EQ(c.grid->spacing_mm, (std::array<double, 3>{2, 2, 2}));
  EXPECT_EQ(c.volume_histogram.bin_width, 2.5);
  EXPECT_EQ(c.aggregations, (std::vector<std::string>{"3D_avg", "3D_merged", "3D"}));

  const IbsiProfile d = shipped("ibsi-ct-d");
  EXPECT_EQ(d.resegmentation.outlier_sigmas, 3);
  EXPECT_FALSE(std::isfinite(d.resegmentation.lower));

  const IbsiProfile e = shipped("ibsi-ct-e");
  EXPECT_EQ(e.grid->image, ImageInterpolation::cubic_spline);
  EXPECT_EQ(e.resegmentation.outlier_sigmas, 3);
  EXPECT_EQ(e.resegmentation.lower, -1000);
  EXPECT_EQ(e.volume_histogram.bin_count, 1000);
}

TEST(IbsiProfile, DoesNotRoundTheIntensitiesOfMr) {
  const IbsiProfile mr = shipped("ibsi-mr");
  EXPECT_FALSE(mr.grid->round_intensities);
  EXPECT_EQ(mr.discretisation.method, DiscretisationMethod::fixed_bin_number);
}

TEST(IbsiProfile, IsToldFromAParameterFileOfPyRadiomics) {
  EXPECT_TRUE(is_ibsi_profile("mode: ibsi\n"));
  EXPECT_FALSE(is_ibsi_profile("setting: {binWidth: 25}\nimageType: {Original: {}}\n"));
  EXPECT_FALSE(is_ibsi_profile("]["));
  EXPECT_FALSE(is_ibsi_profile(""));
}

TEST(IbsiProfile, OffersNearMatchesForUnknownNames) {
  EXPECT_NE(refusal("mode: ibsi\ninterpolaton: {spacing_mm: 2}").find("Did you mean interpolation"), std::string::npos);
  EXPECT_NE(refusal("mode: ibsi\nfamilies: [glmc]").find("Did you mean"), std::string::npos);
  EXPECT_NE(refusal("mode: ibsi\naggregations: [3D_mergd]").find("3D_merged"), std::string::npos);
  EXPECT_NE(refusal("mode: ibsi\ninterpolation: {spacing_mm: 2, image: cubic_splin}").find("cubic_spline"), std::string::npos);
  EXPECT_NE(refusal("mode: pyradiomics").find("mode: ibsi"), std::string::npos);
}

TEST(IbsiProfile, RefusesValuesOutOfRange) {
  for (const char* yaml : {"mode: ibsi\ninterpolation: {spacing_mm: 0}", "mode: ibsi\ninterpolation: {spacing_mm: [1, 1]}", "mode: ibsi\ndimensions: 2D\ninterpolation: {spacing_mm: [1, 1, 1]}",
                           "mode: ibsi\ninterpolation: {image: linear}", "mode: ibsi\ninterpolation: {spacing_mm: .nan}", "mode: ibsi\ninterpolation: {spacing_mm: 2, mask_threshold: 0}",
                           "mode: ibsi\nresegmentation: {range: [4, 1]}", "mode: ibsi\nresegmentation: {range: 4}", "mode: ibsi\nresegmentation: {outlier_sigmas: -3}",
                           "mode: ibsi\ndiscretisation: {method: fixed_bin_number}", "mode: ibsi\ndiscretisation: {method: fixed_bin_number, bin_count: 1}",
                           "mode: ibsi\ndiscretisation: {method: fixed_bin_number, bin_count: 2.5}", "mode: ibsi\ndiscretisation: {method: fixed_bin_size, bin_count: 3}",
                           "mode: ibsi\ndiscretisation: {method: fixed_bin_size, bin_width: 0}", "mode: ibsi\ndiscretisation: {bin_width: 3}", "mode: ibsi\nglcm: {distance_voxels: 0}", "mode: ibsi\nngldm: {distance_voxels: 11}",
                           "mode: ibsi\nngldm: {alpha: -1}", "mode: ibsi\nngtdm: {alpha: 1}", "mode: ibsi\nfamilies: []", "mode: ibsi\nlabel: 0", "mode: ibsi\noriginal: yes",
                           "mode: ibsi\noriginal: false", "mode: ibsi\ndimensions: 3", "mode: ibsi\nmode: ibsi", "mode: ibsi\nfilter: [{type: log}]", "- mode: ibsi", "mode: [ibsi", ""})
    refusal(yaml);
}

TEST(IbsiProfile, LeavesAnEndOfTheRangeOpen) {
  const auto profile = parse_ibsi_profile("mode: ibsi\nresegmentation: {range: [0, .inf]}", "half");
  ASSERT_TRUE(profile.has_value());
  EXPECT_EQ(profile->resegmentation.lower, 0);
  EXPECT_FALSE(std::isfinite(profile->resegmentation.upper));
  EXPECT_EQ(parse_ibsi_profile("mode: ibsi\nresegmentation: {range: [0, null]}", "half")->resegmentation, profile->resegmentation);
}

TEST(IbsiProfile, GivesEqualTextForEqualSettings) {
  const auto one = parse_ibsi_profile("mode: ibsi\nlabel: 2\nglcm: {distance_voxels: 2}\nfilter: [{type: mean, support_voxels: 3}]", "a");
  const auto same = parse_ibsi_profile("filter: {type: mean, support_voxels: 3}\nglcm:\n  distance_voxels: 2\nmode: ibsi\nlabel: 2", "b");
  ASSERT_TRUE(one && same);
  EXPECT_EQ(canonical_json(*one), canonical_json(*same));
  EXPECT_NE(canonical_json(*one).find("mean-3D-3"), std::string::npos);
}

}  // namespace
}  // namespace choana::processing::ibsi
