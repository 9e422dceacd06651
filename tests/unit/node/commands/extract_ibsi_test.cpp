// `choana extract` with a parameter file of IBSI mode.

#include <nlohmann/json.hpp>

#include "processing/itk/image_file.h"
#include "processing/radiomics/ibsi/digital_phantom.h"
#include "tests/unit/node/commands/extract_case.h"

namespace choana::node {
namespace {

class ExtractIbsi : public test::ExtractCase {
 protected:
  void SetUp() override {
    test::ExtractCase::SetUp();
    ASSERT_TRUE(processing::write_image_file(processing::ibsi::phantom_image(), path("phantom.nrrd")).has_value());
    ASSERT_TRUE(processing::write_mask_file(processing::ibsi::phantom_mask(), path("phantom-mask.nrrd")).has_value());
  }
  static std::string profile(const std::string& name) { return std::string(CHOANA_SOURCE_DIR) + "/conf/profiles/" + name + ".yaml"; }
};

// Values: IBSI reference manual, digital phantom.
TEST_F(ExtractIbsi, NamesImageTagAndAggregationInTheColumns) {
  ASSERT_EQ(run({path("phantom.nrrd"), path("phantom-mask.nrrd"), "--param", profile("ibsi-phantom"), "--format", "csv", "--out", out_}), 0) << said_;
  const auto rows = test::read_csv(out_);
  ASSERT_EQ(rows.size(), 2u);
  ASSERT_EQ(rows[0].size(), 2u + 5u + 482u);
  EXPECT_EQ(rows[0][2], "diagnostics_ibsi_GridSize");
  EXPECT_EQ(rows[1][2], "(5, 4, 4)");
  const auto value = [&](const std::string& name) {
    const auto found = std::find(rows[0].begin(), rows[0].end(), name);
    return found == rows[0].end() ? -1e9 : std::stod(rows[1][static_cast<std::size_t>(found - rows[0].begin())]);
  };
  EXPECT_NEAR(value("original_cm_joint_max_2.5D_merged"), 0.492, 0.0005);
  EXPECT_NEAR(value("original_dzm_zdnu_2D"), 3.79, 0.005);
  EXPECT_NEAR(value("original_stat_kurt"), -0.355, 0.0005);
}

TEST_F(ExtractIbsi, SaysCodeAggregationAndLevelsInTheDetails) {
  ASSERT_EQ(run({path("phantom.nrrd"), path("phantom-mask.nrrd"), "--param", profile("ibsi-phantom"), "--format", "csv", "--out", out_, "--details", path("details.json")}), 0);
  std::ifstream in(path("details.json"));
  const auto json = nlohmann::json::parse(in);
  EXPECT_EQ(json["mode"], "ibsi");
  EXPECT_EQ(json["settings"]["mode"], "ibsi");
  EXPECT_EQ(json["voxels"]["used"], 74);
  bool seen = false;
  for (const auto& feature : json["features"])
    if (feature["name"] == "original_rlm_sre_3D_merged") {
      seen = true;
      EXPECT_EQ(feature["code"]["scheme"], "IBSI");
      EXPECT_EQ(feature["code"]["value"], "22OV");
      EXPECT_EQ(feature["aggregation"], "3D_merged");
      EXPECT_EQ(feature["levels"], 6);
    }
  EXPECT_TRUE(seen);
}

TEST_F(ExtractIbsi, GivesTheReasonOfWhatItCannotCompute) {
  // Values of a ramp from -500 are no grey levels.
  write("levels.yaml", "mode: ibsi\nfamilies: [intensity_statistics, ngtdm]\naggregations: [3D]\n");
  auto image = processing::ibsi::phantom_image();
  for (double& value : image.voxels) value -= 500;
  ASSERT_TRUE(processing::write_image_file(image, path("low.nrrd")).has_value());
  ASSERT_EQ(run({path("low.nrrd"), path("phantom-mask.nrrd"), "--param", path("levels.yaml"), "--format", "csv", "--out", out_, "--details", path("details.json")}), 0) << said_;
  std::ifstream in(path("details.json"));
  const auto json = nlohmann::json::parse(in);
  EXPECT_EQ(json["features"].size(), 18u);
  ASSERT_EQ(json["not_computed"].size(), 5u);
  EXPECT_EQ(json["not_computed"][0]["reason"], "degenerate_input");
}

TEST_F(ExtractIbsi, RefusesWhatBelongsToTheOtherMode) {
  EXPECT_EQ(run({path("phantom.nrrd"), path("phantom-mask.nrrd"), "--param", profile("ibsi-phantom"), "--setting", "binWidth:5"}), 2);
  EXPECT_NE(said_.find("--setting"), std::string::npos);
  write("typo.yaml", "mode: ibsi\nresegmentaton: {range: [0, 1]}\n");
  EXPECT_EQ(run({path("phantom.nrrd"), path("phantom-mask.nrrd"), "--param", path("typo.yaml")}), 2);
  EXPECT_NE(said_.find("Did you mean resegmentation"), std::string::npos) << said_;
}

}  // namespace
}  // namespace choana::node
