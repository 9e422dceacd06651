#include <gtest/gtest.h>

#include <cmath>

#include "processing/radiomics/feature_extractor.h"
#include "processing/radiomics/filters/icosphere.h"
#include "processing/radiomics/filters/lbp3d.h"
#include "tests/unit/processing/filters/filter_fixture.h"

namespace choana::processing {
namespace {

using namespace test_filters;

TEST(LocalBinaryPatterns2d, EqualScikitImageInEveryMethod) {
  // scikit-image 0.24.0 local_binary_pattern through PyRadiomics.
  const auto one = pattern_float32();
  expect_images(derive(one, "LBP2D"), {{"lbp-2D", {8, 5, 9, 2}, 1026}}, PixelType::float32);
  expect_images(derive(one, "LBP2D", "lbp2DMethod: default"), {{"lbp-2D", {255, 248, 67, 24}, 32223}}, PixelType::float32);
  expect_images(derive(one, "LBP2D", "lbp2DMethod: ror"), {{"lbp-2D", {255, 31, 13, 3}, 8867}}, PixelType::float32);
  expect_images(derive(one, "LBP2D", "lbp2DMethod: var"), {{"lbp-2D", {3.872654438018799, 44.042137145996094, 61.1254997253418, 117.52249145507812}, 17325.7590880394}},
                PixelType::float32);
}

TEST(LocalBinaryPatterns2d, AreStoredInThePixelTypeOfTheImage) {
  // radiomics.md 9 item 6: variances truncate in an int16 image, ten bits wrap in a uint8 one.
  expect_images(derive(pattern_int16(), "LBP2D", "lbp2DMethod: var"), {{"lbp-2D", {956, 2158, 2995, 2400}, 573935}}, PixelType::int16);
  expect_images(derive(pattern_uint8(), "LBP2D", "lbp2DSamples: 10, lbp2DMethod: default, lbp2DRadius: 1.5, force2Ddimension: 1"), {{"lbp-2D", {255, 240, 28, 56}, 21862}},
                PixelType::uint8);
}

TEST(LocalBinaryPatterns2d, WorkInThePlaneAcrossForce2dDimension) {
  expect_images(derive(pattern_int16(), "LBP2D", "force2Ddimension: 2"), {{"lbp-2D", {8, 5, 9, 4}, 1121}}, PixelType::int16);
}

TEST(LocalBinaryPatterns2d, RefuseMoreBitsThanANumberHolds) {
  const auto one = pattern_int16();
  auto profile = parse_profile("imageType: {LBP2D: {lbp2DMethod: default, lbp2DSamples: 32}}", "test");
  ASSERT_TRUE(profile);
  const auto images = derive_images("LBP2D", {one.image, one.mask, 1, {{0, 0, 0}, {7, 7, 5}}, nullptr}, profile->image_types.at(0).settings);
  ASSERT_FALSE(images);
  EXPECT_EQ(images.error().code, ErrorCode::invalid_profile);
}

TEST(LocalBinaryPatterns3d, RoundAndClampSamplesOfIntegerImages) {
  // radiomics.md 9 item 7; SciPy 1.13.1 and trimesh 4.4.9 through PyRadiomics. The pattern overshoots 0 and 255.
  expect_images(derive(pattern_uint8(), "LBP3D"),
                {{"lbp-3D-m1", {21.660280258017085, 12.893023963105417, 13.408744921629642, 2.578604792621081}, 1733.338141599892},
                 {"lbp-3D-m2", {18.401806215963283, 12.33100134309799, 10.335076215715622, 2.247181456071725}, 1879.2422582054683},
                 {"lbp-3D-k", {2.863920855373885, -1.0956730962573409, -0.8007406075403742, 4.025487740363685}, -115.11241250869614}},
                PixelType::float64);
  expect_images(derive(pattern_int16(), "LBP3D"),
                {{"lbp-3D-m1", {21.660280258017085, 12.893023963105417, 13.408744921629642, 19.597396423920216}, 2555.397349487492},
                 {"lbp-3D-m2", {18.401806215963283, 12.33100134309799, 10.335076215715622, 16.884179208817624}, 2446.8871847140126},
                 {"lbp-3D-k", {0.08917533936934818, -1.0956730962573409, -0.8007406075403742, 5.35189587299808}, 114.75812765201096}},
                PixelType::float64);
}

TEST(LocalBinaryPatterns3d, ComputeSinglePrecisionSamplesInSinglePrecision) {
  expect_images(derive(pattern_float32(), "LBP3D", "lbp3DLevels: 3, lbp3DIcosphereRadius: 1.5, lbp3DIcosphereSubdivision: 2"),
                {{"lbp-3D-m1", {164.08264861963283, 93.18273872226071, 49.629936928160454, 23.295684680565177}, 10139.699971179885},
                 {"lbp-3D-m2", {141.149291213015, 104.78180947791184, 68.15107136212372, 32.09946804747109}, 12256.141132195022},
                 {"lbp-3D-m3", {126.77470922597436, 67.85024070620042, 53.94150777678278, 28.222292944074802}, 10332.431855461447},
                 {"lbp-3D-k", {8.33973503112793, -1.0786595344543457, -1.1228880882263184, 3.233895778656006}, 8.768576741218567}},
                PixelType::float64);
}

TEST(LocalBinaryPatterns3d, DecideEqualNeighboursByTheSameRoundingAsSciPy) {
  // radiomics.md 9 item 8: a plateau of 100 beside one of 90; spline samples at whole voxels are not exact.
  const auto plateau = formula_case({7, 7, 5}, PixelType::float64, [](int i, int j, int k) { return i + j + k < 9 ? 100.0 : 90.0; });
  const DerivedImages images = derive(plateau, "LBP3D");
  const DerivedImage& m1 = image_named(images, "lbp-3D-m1");
  const DerivedImage& m2 = image_named(images, "lbp-3D-m2");
  EXPECT_EQ(voxel(m1, 0, 0, 0), 3.094325751145299);
  EXPECT_EQ(voxel(m1, 3, 2, 1), 13.924465880153846);
  EXPECT_EQ(voxel(m1, 5, 4, 3), 11.861582046056983);
  EXPECT_NEAR(sum(m1), 2009.248854410348, 1e-8);
  EXPECT_EQ(voxel(m2, 3, 2, 1), 11.767862442663523);
  EXPECT_NEAR(sum(m2), 1962.4079528716043, 1e-8);
}

TEST(LocalBinaryPatterns3d, TakeTheKurtosisOfEqualSamplesAsMinusThreeAndKeepTheCase) {
  // radiomics.md 9 item 2.
  auto flat = formula_case({8, 8, 8}, PixelType::int16, [](int i, int, int) { return i < 4 ? 100.0 : 101.0; });
  const DerivedImages images = derive(flat, "LBP3D");
  EXPECT_EQ(voxel(image_named(images, "lbp-3D-k"), 1, 3, 3), -3);
  EXPECT_FALSE(images.notes.empty());
  const auto profile = parse_profile("imageType: {Original: {}, LBP3D: {binCount: 8}}\nfeatureClass: {firstorder: [Mean, Maximum], glcm: [Contrast]}", "test");
  const auto result = extract_features(flat.image, flat.mask, 1, *profile);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->features.size(), 12u);
  for (const FeatureValue& value : result->features.values()) EXPECT_TRUE(value.computed()) << value.id.str();
}

TEST(LocalBinaryPatterns3d, AreMissingWithAReasonWhereSplinesWouldCarryNaN) {
  auto one = pattern_float32();
  one.image.voxels[100] = NAN;
  const DerivedImages images = derive(one, "LBP3D");
  EXPECT_TRUE(images.images.empty());
  ASSERT_EQ(images.missing.size(), 3u);
  EXPECT_EQ(images.missing[2].name, "lbp-3D-k");
}

TEST(LocalBinaryPatterns3d, LookAtTheRegionAlone) {
  auto one = pattern_int16();
  std::fill(one.mask.labels.begin(), one.mask.labels.end(), 0u);
  one.mask.labels[one.image.geometry.offset(3, 2, 1)] = 1;
  const DerivedImages images = derive(one, "LBP3D");
  EXPECT_EQ(voxel(image_named(images, "lbp-3D-m1"), 3, 2, 1), 12.893023963105417);
  EXPECT_EQ(voxel(image_named(images, "lbp-3D-m1"), 5, 4, 3), 0);
}

TEST(Icosphere, HasTheVerticesOfTrimesh) {
  // trimesh 4.4.9 icosphere(2, 1.5), to the last bit.
  const auto vertices = icosphere(2, 1.5);
  ASSERT_EQ(vertices.size(), 162u);
  EXPECT_EQ(vertices[14], (Vector3{-0.46352549156242107, -1.2135254915624212, 0.75}));
  EXPECT_EQ(vertices[100], (Vector3{1.2940027206242792, -0.38983786951163163, 0.6508328468290422}));
  EXPECT_EQ(vertices[161], (Vector3{-1.4265847744427305, -0.3942983340893503, 0.2436897721746798}));
  EXPECT_EQ(icosphere(0, 1).size(), 12u);
  EXPECT_EQ(icosphere(1, 1).size(), 42u);
  for (const Vector3& vertex : icosphere(3, 2)) EXPECT_NEAR(norm(vertex), 2, 1e-14);
}

TEST(SphericalHarmonics, EqualSciPyInItsArgumentOrder) {
  // scipy.special.sph_harm(m, n, azimuth, polar), SciPy 1.13.1.
  const auto check = [](int m, int n, double azimuth, double polar, std::complex<double> expected) {
    const auto value = spherical_harmonic(m, n, azimuth, polar);
    EXPECT_EQ(value.real(), expected.real()) << m << " " << n;
    EXPECT_EQ(value.imag(), expected.imag()) << m << " " << n;
  };
  check(0, 0, 0.3, 1.1, {0.28209479177387814, 0});
  check(-1, 1, 0.3, 1.1, {0.29415472440126644, -0.09099271925124008});
  check(1, 1, 0.3, 1.1, {-0.29415472440126644, -0.09099271925124008});
  check(2, 3, 2.0, -0.7, {-0.21204247984458507, -0.24550729592624193});
  check(-4, 5, 1.0, 2.5, {0.09859817346407336, -0.1141590636374995});
}

}  // namespace
}  // namespace choana::processing
