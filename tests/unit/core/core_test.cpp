#include <gtest/gtest.h>

#include <cmath>

#include "core/feature.h"
#include "core/geometry.h"
#include "core/near_match.h"
#include "core/region_of_interest.h"
#include "core/sha256.h"
#include "core/unique_identifier.h"

namespace choana {
namespace {

TEST(Sha256, ReproducesTheExampleOfFips180) {
  // FIPS 180-4, example "abc".
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(UniqueIdentifier, IsAFunctionOfRoleAndKey) {
  const std::string uid = derive_uid("series", "key");
  EXPECT_EQ(uid, derive_uid("series", "key"));
  EXPECT_NE(uid, derive_uid("serie", "skey"));
  EXPECT_TRUE(uid.starts_with("2.25."));
  EXPECT_LE(uid.size(), 44U);
  EXPECT_TRUE(is_valid_uid(uid));
}

TEST(UniqueIdentifier, RefusesWhatIsNoUid) {
  for (const char* text : {"", ".1", "1.", "1..2", "1.2a", "../1", "1.2 ", "1.2\n"}) EXPECT_FALSE(is_valid_uid(text)) << text;
  EXPECT_FALSE(is_valid_uid(std::string(65, '1')));
  EXPECT_FALSE(is_valid_uid(std::string("1.2\0.3", 6)));
  EXPECT_TRUE(is_valid_uid(std::string(64, '1')));
}

TEST(VolumeGeometry, MapsIndicesToPatientAndBackOnAnObliqueGrid) {
  const double c = std::cos(0.3), s = std::sin(0.3);
  const auto geometry = VolumeGeometry::make({4, 5, 6}, {0.5, 0.7, 3}, {10, -20, 30}, {1, 0, 0, 0, c, -s, 0, s, c});
  ASSERT_TRUE(geometry);
  const Vector3 point = geometry->index_to_patient({1, 2, 3});
  EXPECT_NEAR(point[0], 10.5, 1e-12);
  EXPECT_NEAR(point[1], -20 + 1.4 * c - 9 * s, 1e-12);
  EXPECT_NEAR(point[2], 30 + 1.4 * s + 9 * c, 1e-12);
  const Vector3 index = geometry->patient_to_index(point);
  EXPECT_NEAR(index[0], 1, 1e-12);
  EXPECT_NEAR(index[1], 2, 1e-12);
  EXPECT_NEAR(index[2], 3, 1e-12);
}

TEST(VolumeGeometry, RefusesSkewedAxes) {
  const auto geometry = VolumeGeometry::make({4, 5, 6}, {1, 1, 1}, {0, 0, 0}, {1, 0.1, 0, 0, 1, 0, 0, 0, 1});
  ASSERT_FALSE(geometry);
  EXPECT_EQ(geometry.error().code, ErrorCode::geometry_mismatch);
}

TEST(RegionOfInterest, IsNeverEmpty) {
  const auto geometry = VolumeGeometry::make({2, 2, 2}, {1, 1, 1}, {0, 0, 0}, {1, 0, 0, 0, 1, 0, 0, 0, 1}).value();
  EXPECT_EQ(RegionOfInterest::make("GTVp", geometry, std::vector<std::uint8_t>(8, 0), {}).error().code, ErrorCode::roi_empty);
  EXPECT_EQ(RegionOfInterest::make("GTVp", geometry, std::vector<std::uint8_t>(7, 1), {}).error().code, ErrorCode::invalid_argument);
}

TEST(FeatureVector, TurnsNotFiniteValuesIntoAReason) {
  FeatureVector features;
  ASSERT_TRUE(features.add({"original", "glcm", "MCC"}, std::nan("")));
  ASSERT_TRUE(features.add({"original", "glcm", "Contrast"}, 2.0));
  EXPECT_FALSE(features.add({"original", "glcm", "Contrast"}, 3.0));
  EXPECT_FALSE(features.values()[0].computed());
  EXPECT_EQ(features.number({"original", "glcm", "Contrast"}), 2.0);
  EXPECT_FALSE(features.number({"original", "glcm", "MCC"}));
}

TEST(FeatureId, ReadsTheNamesThatPyRadiomicsPrints) {
  const auto id = FeatureId::parse("log-sigma-1-0-mm-3D_firstorder_10Percentile");
  ASSERT_TRUE(id);
  EXPECT_EQ(id->image, "log-sigma-1-0-mm-3D");
  EXPECT_EQ(id->family, "firstorder");
  EXPECT_EQ(id->name, "10Percentile");
  EXPECT_EQ(id->str(), "log-sigma-1-0-mm-3D_firstorder_10Percentile");
  EXPECT_FALSE(FeatureId::parse("Contrast"));
  EXPECT_FALSE(FeatureId::parse("glcm_Contrast"));
}

TEST(NearMatch, OffersTheMisspeltKey) {
  EXPECT_EQ(did_you_mean("ae_titel", {"ae_title", "state_dir"}), " Did you mean ae_title?");
  EXPECT_EQ(did_you_mean("zzz", {"ae_title", "state_dir"}), "");
}

}  // namespace
}  // namespace choana
