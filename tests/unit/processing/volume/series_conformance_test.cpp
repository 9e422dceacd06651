// Real series of shared/data: what is in them is said in the README beside each.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "node/series_rules_reader.h"
#include "processing/roles/series_roles.h"
#include "processing/volume/volume_builder.h"
#include "tests/support/series_on_disk.h"
#include "tests/support/shared_data.h"

namespace choana {
namespace {

namespace fs = std::filesystem;

processing::VolumeSet volumes_of(const std::string& folder) {
  auto set = processing::build_volumes(test::read_series(test::shared_dir() / "data" / folder));
  if (!set) {
    ADD_FAILURE() << to_string(set.error());
    return {};
  }
  return *set;
}

std::string role_of(const processing::BuiltVolume& built) {
  std::ifstream file(fs::path(CHOANA_SOURCE_DIR) / "conf/series-rules.toml");
  std::stringstream text;
  text << file.rdbuf();
  const auto rules = node::read_series_rules(text.str(), "series-rules.toml");
  if (!rules) return to_string(rules.error());
  return processing::classify_series(built.volume.acquisition(), processing::summarise(built), *rules).role;
}

TEST(RealSeries, GeDiffusionIsSplitIntoSevenVolumes) {
  CHOANA_NEEDS_SHARED("data/mr-dwi-ge-signa");
  const auto set = volumes_of("mr-dwi-ge-signa/01_Ax_DWI_TENSOR_R2");
  EXPECT_TRUE(set.rejected.empty());
  ASSERT_EQ(set.volumes.size(), 7U);
  EXPECT_EQ(set.volumes.front().b_value_s_per_mm2, 0);
  EXPECT_EQ(role_of(set.volumes.front()), "DWI-b0");
  for (std::size_t n = 1; n < 7; ++n) {
    EXPECT_EQ(set.volumes[n].b_value_s_per_mm2, 1000);
    EXPECT_EQ(set.volumes[n].volume.geometry().size(), (Index3{256, 256, 2}));
    EXPECT_EQ(role_of(set.volumes[n]), "DWI-b1000");
  }
}

TEST(RealSeries, SiemensEnhancedObjectsAreReadByTheirFunctionalGroups) {
  CHOANA_NEEDS_SHARED("data/mr-enhanced-siemens-xa30");
  const auto t1 = volumes_of("mr-enhanced-siemens-xa30/5_anat-T1w_acq-tfl");
  ASSERT_EQ(t1.volumes.size(), 1U);
  EXPECT_EQ(t1.volumes[0].volume.geometry().size(), (Index3{128, 128, 96}));
  for (const double spacing : t1.volumes[0].volume.geometry().spacing_mm()) EXPECT_NEAR(spacing, 2, 1e-4);
  EXPECT_EQ(processing::plane_of(t1.volumes[0].volume.geometry()), "sagittal");
  EXPECT_EQ(role_of(t1.volumes[0]), "T1");
  const auto dwi = volumes_of("mr-enhanced-siemens-xa30/10_DWI_dir80_PA-first2of21");
  ASSERT_EQ(dwi.volumes.size(), 2U);
  EXPECT_EQ(role_of(dwi.volumes[0]), "DWI-b0");
  EXPECT_EQ(role_of(dwi.volumes[1]), "DWI-b2500");
  EXPECT_EQ(dwi.volumes[1].volume.geometry().size(), (Index3{72, 72, 39}));
  const auto adc = volumes_of("mr-enhanced-siemens-xa30/11_DWI_dir80_PA_ADC");
  ASSERT_EQ(adc.volumes.size(), 1U);
  EXPECT_EQ(role_of(adc.volumes[0]), "ADC");
  const auto trace = volumes_of("mr-enhanced-siemens-xa30/12_DWI_dir80_PA_TRACEW");
  ASSERT_EQ(trace.volumes.size(), 1U);
  EXPECT_EQ(role_of(trace.volumes[0]), "DWI-b2500");
}

TEST(RealSeries, GeAdcMapIsOneObliqueVolume) {
  CHOANA_NEEDS_SHARED("data/mr-adc-qinprostate-ge");
  const auto set = volumes_of("mr-adc-qinprostate-ge/image");
  ASSERT_EQ(set.volumes.size(), 1U);
  EXPECT_EQ(set.volumes[0].volume.geometry().size(), (Index3{256, 256, 20}));
  EXPECT_NEAR(set.volumes[0].volume.geometry().spacing_mm()[2], 3.0, 1e-3);
  EXPECT_EQ(set.volumes[0].volume.pixel_type(), PixelType::int16);
  EXPECT_EQ(role_of(set.volumes[0]), "ADC");
}

TEST(RealSeries, DescriptionsCarryWhatAnonymisersLeft) {
  CHOANA_NEEDS_SHARED("data/mr-t2fs-sts001-siemens-rtstruct");
  const auto t2 = volumes_of("mr-t2fs-sts001-siemens-rtstruct/image");
  ASSERT_EQ(t2.volumes.size(), 1U);
  EXPECT_EQ(role_of(t2.volumes[0]), "T2-FS");
  EXPECT_EQ(t2.volumes[0].volume.pixel_type(), PixelType::uint16);
  for (const char* patient : {"STS_002", "STS_003", "STS_035"}) {
    const auto t1 = volumes_of(std::string("mr-t1-ibsi-sts-rtstruct/") + patient + "/image");
    ASSERT_EQ(t1.volumes.size(), 1U);
    EXPECT_EQ(role_of(t1.volumes[0]), "T1");
  }
}

TEST(RealSeries, ObliqueSlicesWithRectangularPixelsAndWithoutThicknessAreAVolume) {
  CHOANA_NEEDS_SHARED("data/rtstruct-oddities");
  const auto set = volumes_of("rtstruct-oddities/rt-utils/oriented_data");
  ASSERT_EQ(set.volumes.size(), 1U);
  const VolumeGeometry& geometry = set.volumes[0].volume.geometry();
  EXPECT_NEAR(geometry.spacing_mm()[0], 2.5, 1e-6);
  EXPECT_NEAR(geometry.spacing_mm()[1], 3.5, 1e-6);
}

TEST(RealSeries, UnevenSlicesAreRejectedWithAReason) {
  CHOANA_NEEDS_SHARED("data/seg-sr-highdicom");
  const auto set = volumes_of("seg-sr-highdicom/ct-source-77654033-CT2");
  EXPECT_TRUE(set.volumes.empty());
  ASSERT_EQ(set.rejected.size(), 1U);
  EXPECT_NE(set.rejected[0].find("unevenly spaced"), std::string::npos) << set.rejected[0];
}

}  // namespace
}  // namespace choana
