#include "processing/radiomics/filters/wavelet.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "processing/radiomics/feature_extractor.h"
#include "tests/unit/processing/filters/filter_fixture.h"

namespace choana::processing {
namespace {

using namespace test_filters;

TEST(Wavelet, KnowsEveryDiscreteWaveletOfPyWavelets) {
  // pywt.wavelist(kind='discrete') of PyWavelets 1.9.0 has 106 names.
  EXPECT_EQ(std::set<std::string>(wavelet_names().begin(), wavelet_names().end()).size(), 106u);
  for (const std::string& name : wavelet_names()) {
    const auto filters = find_wavelet(name);
    ASSERT_TRUE(filters) << name;
    ASSERT_EQ(filters->low.size(), filters->high.size()) << name;
    ASSERT_EQ(filters->low.size() % 2, 0u) << name;
    double low = 0;
    double high = 0;
    double energy = 0;
    double mixed = 0;
    for (std::size_t tap = 0; tap < filters->low.size(); ++tap) {
      low += filters->low[tap];
      high += filters->high[tap];
      energy += filters->low[tap] * filters->low[tap];
      mixed += filters->low[tap] * filters->high[tap];
    }
    // What makes it a wavelet: a constant passes the low filter with the factor sqrt(2) and vanishes in the high one. Meyer's filter is cut short.
    const double tolerance = name == "dmey" ? 3e-3 : 2e-7;
    EXPECT_NEAR(low, std::sqrt(2.0), tolerance) << name;
    EXPECT_NEAR(high, 0, tolerance) << name;
    if (name.starts_with("bior") || name.starts_with("rbio")) continue;
    EXPECT_NEAR(energy, 1, tolerance) << name;
    EXPECT_NEAR(mixed, 0, 1e-12) << name;
  }
}

TEST(Wavelet, RefusesContinuousWaveletsWhenAFileIsRead) {
  // radiomics.md 9 item 18.
  for (const char* name : {"mexh", "morl", "gaus3", "cmor1.5-1.0"}) {
    const auto profile = parse_profile("imageType: {Wavelet: {wavelet: " + std::string(name) + "}}", "test");
    ASSERT_FALSE(profile) << name;
    EXPECT_NE(profile.error().message.find("continuous"), std::string::npos) << profile.error().message;
  }
  EXPECT_NE(parse_profile("setting: {wavelet: coif18}", "test").error().message.find("Did you mean coif1"), std::string::npos);
}

TEST(Wavelet, TakesBothFiltersOfABiorthogonalPairAtTheSameOffset) {
  // radiomics.md 9 item 15: bior1.3, impulse at 6 of 12: low at 3..8, high at 5 and 6. The other axes are constant: factor 2 in LLL and HLL.
  const auto one = formula_case({12, 2, 2}, PixelType::int16, [](int i, int, int) { return i == 6 ? 1.0 : 0.0; });
  const DerivedImages images = derive(one, "Wavelet", "wavelet: bior1.3");
  const double r = std::sqrt(2.0) / 2;
  const std::vector<double> low{0, 0, 0, -r / 8, r / 8, r, r, r / 8, -r / 8, 0, 0, 0};
  const std::vector<double> high{0, 0, 0, 0, 0, -r, r, 0, 0, 0, 0, 0};
  for (int i = 0; i < 12; ++i) {
    EXPECT_NEAR(voxel(image_named(images, "wavelet-LLL"), i, 0, 0), 2 * low[static_cast<std::size_t>(i)], 1e-12) << i;
    EXPECT_NEAR(voxel(image_named(images, "wavelet-HLL"), i, 1, 1), 2 * high[static_cast<std::size_t>(i)], 1e-12) << i;
  }
}

TEST(Wavelet, WrapsMoreThanOnceWhereTheAxisIsShorterThanTheFilter) {
  // radiomics.md 9 item 16: [1, 4] with db4 and coif1. The other axes, shorter than the filter too, are constant.
  const auto one = formula_case({2, 4, 2}, PixelType::int16, [](int i, int, int) { return i == 0 ? 1.0 : 4.0; });
  const DerivedImages db4 = derive(one, "Wavelet", "wavelet: db4");
  const DerivedImages coif1 = derive(one, "Wavelet", "wavelet: coif1");
  for (int i = 0; i < 2; ++i) {
    EXPECT_NEAR(voxel(image_named(db4, "wavelet-LLL"), i, 0, 0), 2 * 3.535534, 5e-6);
    EXPECT_NEAR(voxel(image_named(coif1, "wavelet-LLL"), i, 0, 0), 2 * 3.535534, 5e-6);
    EXPECT_NEAR(voxel(image_named(db4, "wavelet-HLL"), i, 0, 0), (i == 0 ? 2 : -2) * 2.121320, 5e-6);
    EXPECT_NEAR(voxel(image_named(coif1, "wavelet-HLL"), i, 0, 0), (i == 0 ? -2 : 2) * 2.121320, 5e-6);
  }
}

TEST(Wavelet, LeavesTheStartLevelOutOfTheName) {
  // radiomics.md 9 item 17: start_level 1, level 2 gives the second level as wavelet-..., the third as wavelet2-...
  const auto one = pattern_int16();
  const DerivedImages shifted = derive(one, "Wavelet", "start_level: 1, level: 2");
  const DerivedImages plain = derive(one, "Wavelet", "level: 3");
  std::vector<std::string> names;
  for (const DerivedImage& image : shifted.images) names.push_back(image.name);
  EXPECT_EQ(names, (std::vector<std::string>{"wavelet-LLH", "wavelet-LHL", "wavelet-LHH", "wavelet-HLL", "wavelet-HLH", "wavelet-HHL", "wavelet-HHH", "wavelet2-LLH", "wavelet2-LHL",
                                             "wavelet2-LHH", "wavelet2-HLL", "wavelet2-HLH", "wavelet2-HHL", "wavelet2-HHH", "wavelet2-LLL"}));
  EXPECT_EQ(image_named(shifted, "wavelet-LHL").volume->voxels, image_named(plain, "wavelet2-LHL").volume->voxels);
  EXPECT_EQ(image_named(shifted, "wavelet2-LLL").volume->voxels, image_named(plain, "wavelet3-LLL").volume->voxels);
}

TEST(Wavelet, NamesTheAxesInTheOrderIJK) {
  // Only k varies: what is left is low in i and j.
  const auto one = formula_case({6, 8, 10}, PixelType::int16, [](int, int, int k) { return k % 2 == 0 ? 5.0 : -5.0; });
  const DerivedImages images = derive(one, "Wavelet");
  for (const DerivedImage& image : images.images) {
    double largest = 0;
    for (const double value : image.volume->voxels) largest = std::max(largest, std::abs(value));
    if (image.name == "wavelet-LLH") EXPECT_GT(largest, 1);
    else EXPECT_LT(largest, 1e-9) << image.name;
  }
}

TEST(Wavelet, LeavesTheFlatAxisOfForce2dAlone) {
  const auto one = pattern_int16();
  const DerivedImages axial = derive(one, "Wavelet", "wavelet: haar, force2D: true, force2Ddimension: 0");
  std::vector<std::string> names;
  for (const DerivedImage& image : axial.images) names.push_back(image.name);
  EXPECT_EQ(names, (std::vector<std::string>{"wavelet-LH", "wavelet-HL", "wavelet-HH", "wavelet-LL"}));
  // Haar by hand at (3, 2, 1): the sum over the voxel and its successors in i and j, halved.
  const auto at = [&](int i, int j) { return one.image.voxels[one.image.geometry.offset(i, j, 1)]; };
  EXPECT_NEAR(voxel(image_named(axial, "wavelet-LL"), 3, 2, 1), (at(3, 2) + at(4, 2) + at(3, 3) + at(4, 3)) / 2, 1e-12);
  const DerivedImages sagittal = derive(one, "Wavelet", "wavelet: haar, force2D: true, force2Ddimension: 2");
  const auto across = [&](int j, int k) { return one.image.voxels[one.image.geometry.offset(3, j, k)]; };
  EXPECT_NEAR(voxel(image_named(sagittal, "wavelet-LL"), 3, 2, 1), (across(2, 1) + across(3, 1) + across(2, 2) + across(3, 2)) / 2, 1e-12);
}

TEST(Wavelet, MultipliesAConstantByTwoToTheThreeHalves) {
  const auto one = formula_case({5, 6, 7}, PixelType::float64, [](int, int, int) { return 10.0; });
  for (const DerivedImage& image : derive(one, "Wavelet").images)
    for (const double value : image.volume->voxels) EXPECT_NEAR(value, image.name == "wavelet-LLL" ? 10 * std::pow(2, 1.5) : 0, 1e-10) << image.name;
}

TEST(Wavelet, SumsSinglePrecisionImagesInSinglePrecision) {
  // radiomics.md 9 item 6; values of PyWavelets 1.9.0, to the last bit. coif1's single precision taps are not the rounded double ones.
  expect_images(derive(pattern_float32(), "Wavelet"),
                {{"wavelet-LLH", {7.385657787322998, -13.461372375488281, 0.6779057383537292, -0.3546988368034363}, -45.56999605894089},
                 {"wavelet-LHL", {0.2844765782356262, 0.618791937828064, 11.480888366699219, -1.3109692335128784}, -23.098821483552456},
                 {"wavelet-LHH", {0.09757824242115021, -4.360369682312012, -6.916225910186768, -3.2539196014404297}, 6.799250528216362},
                 {"wavelet-HLL", {7.552345275878906, 10.376582145690918, -20.427549362182617, 2.7016124725341797}, -108.6553670167923},
                 {"wavelet-HLH", {-1.0414091348648071, 0.28419575095176697, 15.334819793701172, -1.1988898515701294}, -3.570027247071266},
                 {"wavelet-HHL", {-0.7765825986862183, 1.5015745162963867, -11.73210334777832, 5.287452220916748}, 0.8482222557067871},
                 {"wavelet-HHH", {0.37721073627471924, -0.5403949022293091, 3.7773947715759277, 2.915346384048462}, 0.028421729803085327},
                 {"wavelet-LLL", {-9.80431079864502, 49.93136978149414, 59.88260269165039, 37.21168518066406}, 11775.874787092209}},
                PixelType::float32);
}

TEST(Wavelet, TransformsTheApproximationAgainWithTheSameFilters) {
  // PyWavelets 1.9.0, db3, level 2, odd sizes.
  expect_images(derive(pattern_int16(), "Wavelet", "wavelet: db3, level: 2"),
                {{"wavelet-LLH", {32.8066604303079, -18.643575529273996, 116.0368688383651, -14.190047682113889}, 611.2009359627218},
                 {"wavelet-LHL", {51.16448662216852, 105.95431127903392, -94.94765271315492, 40.14014379757995}, -448.3645743730271},
                 {"wavelet-LHH", {-52.20621905543755, 16.779355156702373, -25.579480759167932, 7.486309833280638}, 114.6309843358062},
                 {"wavelet-HLL", {-2.8183740391331824, -84.58729155029185, 7.924949557357471, -35.35630354552934}, -380.81847102643525},
                 {"wavelet-HLH", {67.70575047778972, -65.1573998777083, 5.622394531548421, -1.0106663633763497}, -96.54925077440623},
                 {"wavelet-HHL", {15.398546425739479, 2.9882091375922757, -5.445831863336494, 9.326632947592476}, 159.71057398174742},
                 {"wavelet-HHH", {18.107151063658492, -45.61097109929108, 20.706469569248966, 0.8671772457035887}, -3.326108434753138},
                 {"wavelet2-LLH", {17.290451160012932, 104.31735311269007, -64.52281429017106, 106.13085554049182}, 2732.292132224481},
                 {"wavelet2-LHL", {-67.5006082164711, 42.73220396582775, 23.63962687491708, -86.74463134363498}, 900.5297934856103},
                 {"wavelet2-LHH", {14.374820735164636, -27.692205764605983, -3.9124199953045564, 12.68256573601317}, -93.43943752070052},
                 {"wavelet2-HLL", {83.7220058716191, 155.71778214930043, 100.85461826720305, -59.26061903174103}, 1814.5564390144293},
                 {"wavelet2-HLH", {-4.448830668318067, -30.58856969551535, 12.551150437133625, -3.9875280021155306}, -122.02293691443609},
                 {"wavelet2-HHL", {18.72604622964975, 1.0359134489411046, 8.441855934845764, -4.033264592448143}, -4.726056746459477},
                 {"wavelet2-HHH", {-0.046344391709130184, 9.940014470569967, -6.328279251094252, -6.5506742864085465}, 4.413928311474024},
                 {"wavelet2-LLL", {87.91377596720719, -215.4422705049588, 100.17822705624422, 583.6695296612661}, 9774.481366328013}},
                PixelType::float64);
}

}  // namespace
}  // namespace choana::processing
