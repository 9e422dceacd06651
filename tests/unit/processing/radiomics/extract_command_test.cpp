#include "node/commands/extract_command.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "processing/itk/image_file.h"
#include "tests/support/csv.h"
#include "tests/support/volumes.h"

namespace choana::node {
namespace {

class ExtractCommand : public testing::Test {
 protected:
  void SetUp() override {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::path(testing::TempDir()) / (std::string("choana_extract_") + info->name());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    const test::RandomCase one = test::random_case(8);
    ASSERT_TRUE(processing::write_image_file(one.image, folder_ / "image.nrrd"));
    ASSERT_TRUE(processing::write_mask_file(one.mask, folder_ / "mask.nrrd"));
    out_ = (folder_ / "out").string();
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  int run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "choana extract");
    std::vector<char*> pointers;
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    return run_extract(static_cast<int>(pointers.size()), pointers.data());
  }
  std::string path(const char* name) const { return (folder_ / name).string(); }
  void write(const char* name, const std::string& text) { std::ofstream(folder_ / name) << text; }

  std::filesystem::path folder_;
  std::string out_;
};

TEST_F(ExtractCommand, WritesTheColumnsOfPyRadiomics) {
  ASSERT_EQ(run({path("image.nrrd"), path("mask.nrrd"), "--format", "csv", "--out", out_}), 0);
  const auto rows = test::read_csv(out_);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].size(), 2u + 22u + 107u);
  EXPECT_EQ(rows[0][0], "Image");
  EXPECT_EQ(rows[0][2], "diagnostics_Versions_PyRadiomics");
  EXPECT_EQ(rows[0][24], "original_shape_Elongation");
  EXPECT_EQ(rows[0].back(), "original_ngtdm_Strength");
}

TEST_F(ExtractCommand, CarriesTheColumnsOfABatchAndGoesOnAfterAFailure) {
  write("batch.csv", "Patient,Image,Mask,Label\nA,image.nrrd,mask.nrrd,1\nB,image.nrrd,gone.nrrd,1\nC,image.nrrd,mask.nrrd,\n");
  EXPECT_EQ(run({path("batch.csv"), "--format", "csv", "--out", out_, "--jobs", "2", "--format-path", "basename", "--out-dir", path("cases")}), 1);
  const auto rows = test::read_csv(out_);
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_EQ(rows[0][0], "Patient");
  EXPECT_EQ(rows[1][1], "image.nrrd");
  EXPECT_EQ(rows[2][0], "B");
  EXPECT_EQ(rows[2].back(), "");
  EXPECT_EQ(rows[1].back(), rows[3].back());
  EXPECT_TRUE(std::filesystem::exists(folder_ / "cases/features_1.csv"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "cases/features_2.csv"));
}

TEST_F(ExtractCommand, WritesJsonAndDetails) {
  ASSERT_EQ(run({path("image.nrrd"), path("mask.nrrd"), "--format", "json", "--out", out_, "--details", path("details"), "-s", "binWidth:10"}), 0);
  std::ifstream in(out_);
  const auto cases = nlohmann::json::parse(in);
  ASSERT_EQ(cases.size(), 1u);
  EXPECT_EQ(cases[0]["diagnostics_Configuration_Settings"]["binWidth"], 10);
  std::ifstream details_file(path("details"));
  const auto details = nlohmann::json::parse(details_file);
  ASSERT_EQ(details["features"].size(), 107u);
  const auto& mean = details["features"][22];
  EXPECT_EQ(mean["name"], "original_firstorder_Mean");
  EXPECT_EQ(mean["code"]["value"], "Q4LE");
  EXPECT_EQ(mean["value"], cases[0]["original_firstorder_Mean"]);
  EXPECT_EQ(details["features"][40]["aggregation"], "3D_avg");
}

TEST_F(ExtractCommand, EndsWithTwoOnWrongUsageOrSettings) {
  EXPECT_EQ(run({path("image.nrrd")}), 2);
  EXPECT_EQ(run({path("image.nrrd"), path("mask.nrrd"), "--formt", "csv"}), 2);
  EXPECT_EQ(run({path("image.nrrd"), path("mask.nrrd"), "-s", "binWith:10"}), 2);
  EXPECT_EQ(run({path("image.nrrd"), path("mask.nrrd"), "--mode", "voxel"}), 2);
  write("bad.yaml", "setting: {normalize: yes}");
  EXPECT_EQ(run({path("image.nrrd"), path("mask.nrrd"), "--param", path("bad.yaml")}), 2);
  EXPECT_EQ(run({path("image.nrrd"), path("mask.nrrd"), "--validate"}), 0);
  EXPECT_EQ(run({path("image.nrrd"), path("gone.nrrd"), "--validate"}), 1);
}

TEST_F(ExtractCommand, ResumesFromTheFolderOfCases) {
  write("batch.csv", "Image,Mask\nimage.nrrd,mask.nrrd\n");
  ASSERT_EQ(run({path("batch.csv"), "--format", "csv", "--out", out_, "--out-dir", path("cases")}), 0);
  std::filesystem::remove(folder_ / "mask.nrrd");
  EXPECT_EQ(run({path("batch.csv"), "--format", "csv", "--out", path("again"), "--out-dir", path("cases"), "--resume"}), 0);
  EXPECT_EQ(test::read_csv(out_), test::read_csv(path("again")));
}

}  // namespace
}  // namespace choana::node
