#include "processing/radiomics/voxel_maps.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "processing/radiomics/feature_catalogue.h"
#include "processing/radiomics/voxel/kernel_evaluator.h"
#include "processing/radiomics/voxel/second_eigenvalue.h"
#include "tests/support/volumes.h"

namespace choana::processing {
namespace {

struct Case {
  ScalarVolume image;
  MaskVolume mask;
};

/// Grey values (7 i + 11 j + 5 k + (i j k mod 13)) mod 97 in 8 x 7 x 6 voxels, a ball of 81 of them.
Case ball() {
  const Index3 size{8, 7, 6};
  const VolumeGeometry geometry = test::grid(size, {0.5, 0.75, 2}, {1, 2, 3});
  Case one{{geometry, {}, PixelType::int16}, {geometry, {}}};
  for (int k = 0; k < size[2]; ++k)
    for (int j = 0; j < size[1]; ++j)
      for (int i = 0; i < size[0]; ++i) {
        one.image.voxels.push_back((i * 7 + j * 11 + k * 5 + (i * j * k) % 13) % 97);
        one.mask.labels.push_back((i - 4) * (i - 4) + (j - 3) * (j - 3) + (k - 3) * (k - 3) <= 6 ? 1u : 0u);
      }
  return one;
}

ExtractionProfile profile_of(const std::string& yaml) {
  auto profile = parse_profile(yaml, "test");
  if (!profile) throw std::runtime_error(to_string(profile.error()));
  return *profile;
}

struct Extracted {
  VoxelMapSummary summary;
  std::map<std::string, VoxelMap> maps;
  std::vector<std::string> order;
};

Result<Extracted> extract(const Case& one, const std::string& yaml, const VoxelMapLimits& limits = {}, TaskPool* pool = nullptr) {
  Extracted extracted;
  auto summary = extract_voxel_maps(one.image, one.mask, 1, profile_of(yaml), [&](VoxelMap&& map) -> Status {
    extracted.order.push_back(map.id.str());
    extracted.maps.emplace(map.id.str(), std::move(map));
    return {};
  }, pool, {}, limits);
  if (!summary) return fail(summary.error());
  extracted.summary = std::move(*summary);
  return extracted;
}

/// The value at a voxel of the image.
double at(const Extracted& extracted, const Case& one, const std::string& name, const Index3& voxel) {
  const ScalarVolume& map = extracted.maps.at(name).volume;
  const Vector3 index = map.geometry.patient_to_index(one.image.geometry.index_to_patient({static_cast<double>(voxel[0]), static_cast<double>(voxel[1]), static_cast<double>(voxel[2])}));
  return map.voxels[map.geometry.offset(static_cast<int>(std::lround(index[0])), static_cast<int>(std::lround(index[1])), static_cast<int>(std::lround(index[2])))];
}

struct Reference {
  const char* feature;
  double inside;   // voxel (3, 2, 2)
  double pole;     // voxel (6, 3, 3)
};

/// PyRadiomics 3.0.1 (NumPy 1.26.4, SciPy 1.13.1, SimpleITK 2.5.7), binWidth 10, execute(..., voxelBased=True) on `ball()`.
const Reference references[] = {
    {"original_firstorder_10Percentile", 54.0, 5.0},
    {"original_firstorder_90Percentile", 78.4, 93.6},
    {"original_firstorder_Energy", 88493.0, 91028.0},
    {"original_firstorder_Entropy", 1.9232196723355062, 2.2607845582978507},
    {"original_firstorder_InterquartileRange", 7.75, 78.0},
    {"original_firstorder_Kurtosis", 2.7020842701415497, 1.5208823425627245},
    {"original_firstorder_Maximum", 86.0, 96.0},
    {"original_firstorder_Mean", 65.85, 60.333333333333336},
    {"original_firstorder_MeanAbsoluteDeviation", 7.25, 34.99999999999999},
    {"original_firstorder_Median", 65.5, 80.0},
    {"original_firstorder_Minimum", 48.0, 4.0},
    {"original_firstorder_Range", 38.0, 92.0},
    {"original_firstorder_RobustMeanAbsoluteDeviation", 5.307958477508651, 33.86666666666667},
    {"original_firstorder_RootMeanSquared", 66.51804266512958, 71.11336801974093},
    {"original_firstorder_Skewness", 0.27785419869462047, -0.6421115720378331},
    {"original_firstorder_TotalEnergy", 66369.75, 68271.0},
    {"original_firstorder_Uniformity", 0.325, 0.2160493827160494},
    {"original_firstorder_Variance", 88.42749999999998, 1416.9999999999998},
    {"original_glcm_Autocorrelation", 49.18070818070818, 48.5844017094017},
    {"original_glcm_ClusterProminence", 9.948339463497256, 2286.67927572147},
    {"original_glcm_ClusterShade", 0.29378420126247484, -127.04240158739573},
    {"original_glcm_ClusterTendency", 1.9083800899277092, 29.332784306742635},
    {"original_glcm_Contrast", 1.6797924297924296, 24.20405982905983},
    {"original_glcm_Correlation", 0.22436988665461233, 0.07840084198506249},
    {"original_glcm_DifferenceAverage", 0.9929792429792429, 3.411324786324786},
    {"original_glcm_DifferenceEntropy", 1.0381300997168572, 1.2054595932323464},
    {"original_glcm_DifferenceVariance", 0.27316389518770473, 9.14795524691358},
    {"original_glcm_Id", 0.6083638583638582, 0.4527599715099715},
    {"original_glcm_Idm", 0.5721916971916972, 0.40298620131171725},
    {"original_glcm_Idmn", 0.9838804315377677, 0.852601623994648},
    {"original_glcm_Idn", 0.9147978090285782, 0.7942528103131818},
    {"original_glcm_Imc1", -0.46252764991475054, -0.5947511593869833},
    {"original_glcm_Imc2", 0.8680518176799339, 0.9453504912668146},
    {"original_glcm_InverseVariance", 0.4828296703296703, 0.3402005104530733},
    {"original_glcm_JointAverage", 7.007173382173381, 6.864850427350428},
    {"original_glcm_JointEnergy", 0.1977004477004477, 0.15036651234567902},
    {"original_glcm_JointEntropy", 2.7289922447710087, 2.9124847893909727},
    {"original_glcm_MCC", 0.8161675052449144, 0.901004952193556},
    {"original_glcm_MaximumProbability", 0.29685592185592186, 0.18963675213675213},
    {"original_glcm_SumAverage", 14.014346764346762, 13.729700854700855},
    {"original_glcm_SumEntropy", 2.040958056736822, 2.1336386355448203},
    {"original_glcm_SumSquares", 0.8970431299300347, 13.384211033950617},
    {"original_gldm_DependenceEntropy", 3.384183719779185, 2.947702779220087},
    {"original_gldm_DependenceNonUniformity", 2.7, 5.555555555555555},
    {"original_gldm_DependenceNonUniformityNormalized", 0.135, 0.30864197530864196},
    {"original_gldm_DependenceVariance", 7.050000000000001, 0.7654320987654322},
    {"original_gldm_GrayLevelNonUniformity", 6.5, 3.888888888888889},
    {"original_gldm_GrayLevelVariance", 0.9475, 14.1358024691358},
    {"original_gldm_HighGrayLevelEmphasis", 50.65, 57.111111111111114},
    {"original_gldm_LargeDependenceEmphasis", 27.3, 10.444444444444445},
    {"original_gldm_LargeDependenceHighGrayLevelEmphasis", 1332.65, 691.2222222222222},
    {"original_gldm_LargeDependenceLowGrayLevelEmphasis", 0.5660103379314688, 2.314763803155007},
    {"original_gldm_LowGrayLevelEmphasis", 0.021337955089443184, 0.25812542866941013},
    {"original_gldm_SmallDependenceEmphasis", 0.1854532391660368, 0.13223765432098766},
    {"original_gldm_SmallDependenceHighGrayLevelEmphasis", 9.523319830246916, 6.130015432098765},
    {"original_gldm_SmallDependenceLowGrayLevelEmphasis", 0.004367821679881326, 0.03762231652949246},
    {"original_glrlm_GrayLevelNonUniformity", 5.123415082839945, 3.5796279010079908},
    {"original_glrlm_GrayLevelNonUniformityNormalized", 0.2927855944428962, 0.21727205774379119},
    {"original_glrlm_GrayLevelVariance", 1.062999218010706, 14.216438122533686},
    {"original_glrlm_HighGrayLevelRunEmphasis", 50.987027774361074, 56.39297662493364},
    {"original_glrlm_LongRunEmphasis", 1.5616750281551421, 1.3517458785558332},
    {"original_glrlm_LongRunHighGrayLevelEmphasis", 78.38712613198503, 78.73232613289173},
    {"original_glrlm_LongRunLowGrayLevelEmphasis", 0.03315806334610604, 0.3385727741655905},
    {"original_glrlm_LowGrayLevelRunEmphasis", 0.02140978875087333, 0.26160322657028884},
    {"original_glrlm_RunEntropy", 2.2965759561778882, 2.432697371065081},
    {"original_glrlm_RunLengthNonUniformity", 13.65299023169945, 14.647523969243425},
    {"original_glrlm_RunLengthNonUniformityNormalized", 0.761111994909881, 0.8606085796187279},
    {"original_glrlm_RunPercentage", 0.8653846153846154, 0.9188034188034186},
    {"original_glrlm_RunVariance", 0.13959903770432122, 0.07923162881746369},
    {"original_glrlm_ShortRunEmphasis", 0.8722608710254576, 0.9198335381310495},
    {"original_glrlm_ShortRunHighGrayLevelEmphasis", 44.75830496010302, 51.305419745224604},
    {"original_glrlm_ShortRunLowGrayLevelEmphasis", 0.018731488021743594, 0.24248224604286978},
    {"original_glszm_GrayLevelNonUniformity", 1.3333333333333333, 1.0},
    {"original_glszm_GrayLevelNonUniformityNormalized", 0.2222222222222222, 0.2},
    {"original_glszm_GrayLevelVariance", 1.8055555555555554, 14.0},
    {"original_glszm_HighGrayLevelZoneEmphasis", 53.166666666666664, 50.0},
    {"original_glszm_LargeAreaEmphasis", 21.0, 14.0},
    {"original_glszm_LargeAreaHighGrayLevelEmphasis", 1024.1666666666667, 880.8},
    {"original_glszm_LargeAreaLowGrayLevelEmphasis", 0.44212808117073993, 3.5176311728395064},
    {"original_glszm_LowGrayLevelZoneEmphasis", 0.021963603342571594, 0.25759413580246915},
    {"original_glszm_SizeZoneNonUniformity", 1.6666666666666667, 1.4},
    {"original_glszm_SizeZoneNonUniformityNormalized", 0.2777777777777778, 0.28},
    {"original_glszm_SmallAreaEmphasis", 0.42874999999999996, 0.10522222222222222},
    {"original_glszm_SmallAreaHighGrayLevelEmphasis", 21.331666666666667, 3.447222222222222},
    {"original_glszm_SmallAreaLowGrayLevelEmphasis", 0.010759643749475098, 0.025581543209876545},
    {"original_glszm_ZoneEntropy", 2.5849625007211543, 2.321928094887361},
    {"original_glszm_ZonePercentage", 0.3, 0.2777777777777778},
    {"original_glszm_ZoneVariance", 9.88888888888889, 1.04},
    {"original_ngtdm_Busyness", 0.08043336952005681, 0.42012186106113997},
    {"original_ngtdm_Coarseness", 0.45708275186936337, 0.08638046706016057},
    {"original_ngtdm_Complexity", 4.811532650534701, 65.62740719183297},
    {"original_ngtdm_Contrast", 0.05611902825244931, 4.047079886949168},
    {"original_ngtdm_Strength", 2.4903540626418526, 5.519549612763168},
};

TEST(VoxelMaps, HaveTheValuesOfPyRadiomicsInTheRegionAndInitValueOutside) {
  const Case one = ball();
  const auto extracted = extract(one, "setting: {binWidth: 10}\n");
  ASSERT_TRUE(extracted) << to_string(extracted.error());
  EXPECT_EQ(extracted->summary.maps, std::size(references));
  for (const Reference& reference : references) {
    ASSERT_TRUE(extracted->maps.contains(reference.feature)) << reference.feature;
    EXPECT_NEAR(at(*extracted, one, reference.feature, {3, 2, 2}), reference.inside, 1e-9 + 1e-9 * std::abs(reference.inside)) << reference.feature;
    EXPECT_NEAR(at(*extracted, one, reference.feature, {6, 3, 3}), reference.pole, 1e-9 + 1e-9 * std::abs(reference.pole)) << reference.feature;
    EXPECT_EQ(extracted->maps.at(reference.feature).volume.voxels.front(), 0) << "outside the region";
  }
}

TEST(VoxelMaps, CoverTheBoxOfTheRegionAndTheKernelRadiusWithinTheImage) {
  const Case one = ball();
  const auto extracted = extract(one, "setting: {binWidth: 10}\nfeatureClass: {firstorder: [Mean]}\n");
  ASSERT_TRUE(extracted);
  // The region spans i 2..6, j 1..5, k 1..5 of 8 x 7 x 6: one voxel more, but k ends at 5.
  EXPECT_EQ(extracted->summary.geometry.size(), (Index3{7, 7, 6}));
  EXPECT_EQ(extracted->summary.geometry.origin_mm(), (Vector3{1.5, 2, 3}));
  EXPECT_EQ(extracted->maps.begin()->second.volume.geometry, extracted->summary.geometry);
}

TEST(VoxelMaps, AreNamedAndOrderedLikeTheFeaturesOfARegionWithoutShape) {
  const auto extracted = extract(ball(), "featureClass: {shape: , glcm: [Contrast, Autocorrelation], firstorder: [Mean, StandardDeviation]}\nimageType: {Original: {}, Square: {}}\n");
  ASSERT_TRUE(extracted);
  EXPECT_EQ(extracted->order, (std::vector<std::string>{"original_glcm_Contrast", "original_glcm_Autocorrelation", "original_firstorder_Mean", "original_firstorder_StandardDeviation",
                                                        "square_glcm_Contrast", "square_glcm_Autocorrelation", "square_firstorder_Mean", "square_firstorder_StandardDeviation"}));
}

TEST(VoxelMaps, KnowEveryFeatureOfTheCatalogue) {
  for (const FeatureDescription& feature : feature_catalogue()) {
    if (feature.family == "shape" || feature.family == "shape2D" || feature.availability == Availability::retired) continue;
    const auto names = kernel_feature_names(feature.family);
    EXPECT_NE(std::find(names.begin(), names.end(), feature.name), names.end()) << feature.family << " " << feature.name;
  }
}

TEST(VoxelMaps, OfALoneVoxelHaveNoPairsAndNoRuns) {
  // PyRadiomics: no GLCM and GLRLM value (NaN), and no MCC for the whole batch, for which initValue stays.
  Case one = ball();
  one.mask.labels.assign(one.mask.labels.size(), 0);
  for (const Index3 voxel : {Index3{1, 1, 1}, Index3{5, 3, 3}, Index3{6, 3, 3}}) one.mask.labels[one.mask.geometry.offset(voxel[0], voxel[1], voxel[2])] = 1;
  const auto extracted = extract(one, "setting: {binWidth: 10}\nvoxelSetting: {initValue: -5}\n");
  ASSERT_TRUE(extracted) << to_string(extracted.error());
  for (const char* name : {"original_glcm_Contrast", "original_glcm_JointAverage", "original_glrlm_RunEntropy"}) {
    EXPECT_TRUE(std::isnan(at(*extracted, one, name, {1, 1, 1}))) << name;
    EXPECT_FALSE(std::isnan(at(*extracted, one, name, {5, 3, 3}))) << name;
    EXPECT_EQ(extracted->maps.at(name).voxels_without_value, 1U);
  }
  EXPECT_EQ(at(*extracted, one, "original_glcm_MCC", {5, 3, 3}), -5);
  EXPECT_EQ(at(*extracted, one, "original_glszm_ZonePercentage", {1, 1, 1}), 1);
  EXPECT_EQ(extracted->maps.at("original_glcm_Contrast").volume.voxels.front(), -5);
  ASSERT_FALSE(extracted->summary.notes.empty());
  EXPECT_NE(extracted->summary.notes.back().find("MCC"), std::string::npos);
}

TEST(VoxelMaps, WithAnUnmaskedKernelSeeTheBox) {
  const Case one = ball();
  const auto extracted = extract(one, "setting: {binWidth: 10}\nvoxelSetting: {maskedKernel: false}\nfeatureClass: {firstorder: [Mean, Energy]}\n");
  ASSERT_TRUE(extracted);
  double sum = 0;
  for (int k = 2; k <= 4; ++k)
    for (int j = 2; j <= 4; ++j)
      for (int i = 5; i <= 7; ++i) sum += one.image.voxels[one.image.geometry.offset(i, j, k)];
  EXPECT_NEAR(at(*extracted, one, "original_firstorder_Mean", {6, 3, 3}), sum / 27, 1e-12);
}

TEST(VoxelMaps, KeepAnImageWithVoxelsThatAreNoNumbersFromLosingTheOthers) {
  Case one = ball();
  one.image.pixel_type = PixelType::float64;
  one.image.voxels[one.image.geometry.offset(4, 3, 3)] = std::numeric_limits<double>::quiet_NaN();
  const auto extracted = extract(one, "featureClass: {firstorder: [Mean]}\n");
  ASSERT_TRUE(extracted);
  EXPECT_EQ(extracted->maps.begin()->second.voxels_without_value, extracted->summary.voxels);
  EXPECT_FALSE(extracted->summary.notes.empty());
}

TEST(VoxelMaps, SayWhatIsTooLarge) {
  const auto radius = extract(ball(), "voxelSetting: {kernelRadius: 40}\n");
  ASSERT_FALSE(radius);
  EXPECT_EQ(radius.error().code, ErrorCode::limit_exceeded);
  EXPECT_NE(radius.error().message.find("kernelRadius"), std::string::npos);
  const auto levels = extract(ball(), "setting: {binWidth: 0.00001}\n");
  ASSERT_FALSE(levels);
  EXPECT_EQ(levels.error().code, ErrorCode::limit_exceeded);
}

TEST(VoxelMaps, EndWithTheErrorOfTheSink) {
  const Case one = ball();
  int seen = 0;
  const auto summary = extract_voxel_maps(one.image, one.mask, 1, profile_of("setting: {binWidth: 10}\n"), [&](VoxelMap&&) -> Status {
    if (++seen == 3) return fail(ErrorCode::disk_full, "write", "The disk is full.");
    return {};
  });
  ASSERT_FALSE(summary);
  EXPECT_EQ(summary.error().code, ErrorCode::disk_full);
  EXPECT_EQ(seen, 3);
}

TEST(VoxelMaps, TellHowFarTheyAre) {
  const Case one = ball();
  std::vector<double> shares;
  const auto summary = extract_voxel_maps(one.image, one.mask, 1, profile_of("imageType: {Original: {}, Square: {}}\n"), [](VoxelMap&&) -> Status { return {}; }, nullptr,
                                          [&](double share) { shares.push_back(share); });
  ASSERT_TRUE(summary);
  EXPECT_EQ(shares.front(), 0);
  EXPECT_EQ(shares.back(), 1);
  EXPECT_TRUE(std::is_sorted(shares.begin(), shares.end()));
}

TEST(SmallEigenvalues, HaveTheLargestMagnitude) {
  // 2 cos(pi k / (n + 1)), k = 1..n: a path of n nodes (any textbook on graph spectra).
  for (const std::size_t n : {1, 2, 3, 4, 5, 9, 14, 27}) {
    std::vector<double> matrix(n * n, 0.0);
    std::vector<double> scratch(2 * n);
    for (std::size_t at = 0; at + 1 < n; ++at) matrix[at * n + at + 1] = matrix[(at + 1) * n + at] = 1;
    EXPECT_NEAR(largest_magnitude_eigenvalue(matrix, n, scratch), n == 1 ? 0.0 : 2 * std::cos(3.14159265358979323846 / static_cast<double>(n + 1)), 1e-13) << n;
  }
}

}  // namespace
}  // namespace choana::processing
