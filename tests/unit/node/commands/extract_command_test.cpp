#include "node/commands/extract_command.h"

#include <nlohmann/json.hpp>

#include "core/sha256.h"
#include "node/commands/extract/case_inputs.h"
#include "node/commands/extract/details.h"
#include "node/commands/extract/messages.h"
#include "tests/unit/node/commands/extract_case.h"

namespace choana::node {
namespace {

class ExtractCommand : public test::ExtractCase {};

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
  write("batch.csv", "Patient,Image,Mask,Label\nA,image.nrrd,mask.nrrd,1\nB,image.nrrd,gone.nrrd,1\nC,image.nrrd,mask.nrrd,\nD,image.nrrd,mask.nrrd,one\n");
  EXPECT_EQ(run({path("batch.csv"), "--format", "csv", "--out", out_, "--jobs", "2", "--format-path", "basename", "--out-dir", path("cases")}), 1);
  const auto rows = test::read_csv(out_);
  ASSERT_EQ(rows.size(), 5u);
  EXPECT_EQ(rows[0][0], "Patient");
  EXPECT_EQ(rows[1][1], "image.nrrd");
  EXPECT_EQ(rows[2][0], "B");
  EXPECT_EQ(rows[2].back(), "");
  EXPECT_EQ(rows[1].back(), rows[3].back());
  EXPECT_EQ(rows[4].back(), "");
  EXPECT_NE(said_.find("case 2: There is no mask gone.nrrd"), std::string::npos) << said_;
  EXPECT_NE(said_.find("case 4: 'one' is no label"), std::string::npos) << said_;
  EXPECT_TRUE(std::filesystem::exists(folder_ / "cases/features_1.csv"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "cases/features_2.csv"));
}

TEST_F(ExtractCommand, WritesJsonAndDetails) {
  ASSERT_EQ(run({path("image.nrrd"), path("mask.nrrd"), "--format", "json", "--out", out_, "--details", path("details"), "-s", "binWidth:10"}), 0);
  const auto cases = nlohmann::json::parse(text_of(out_));
  ASSERT_EQ(cases.size(), 1u);
  EXPECT_EQ(cases[0]["diagnostics_Configuration_Settings"]["binWidth"], 10);
  const auto details = nlohmann::json::parse(text_of(path("details")));
  ASSERT_EQ(details["features"].size(), 107u);
  const auto& mean = details["features"][22];
  EXPECT_EQ(mean["name"], "original_firstorder_Mean");
  EXPECT_EQ(mean["code"]["value"], "Q4LE");
  EXPECT_EQ(mean["value"], cases[0]["original_firstorder_Mean"]);
  EXPECT_EQ(details["features"][40]["aggregation"], "3D_avg");
  EXPECT_EQ(details["levels"][0]["image"], "original");
}

TEST_F(ExtractCommand, LaysJsonOutAsPython) {
  ASSERT_EQ(run({path("image.nrrd"), path("mask.nrrd"), "--format", "json"}), 0);
  // json.dump(..., indent=2) of the pyradiomics command puts every item of a list on a line of its own.
  EXPECT_NE(printed_.find("\n    \"diagnostics_Image-original_Size\": [\n      18,\n      16,\n      9\n    ],\n"), std::string::npos);
  EXPECT_TRUE(printed_.ends_with("\n  }\n]"));
}

TEST_F(ExtractCommand, EndsWithTwoOnWrongUsageOrSettings) {
  EXPECT_EQ(run({path("image.nrrd")}), 2);
  EXPECT_EQ(run({path("image.nrrd"), path("mask.nrrd"), "--formt", "csv"}), 2);
  EXPECT_NE(said_.find("--format"), std::string::npos) << said_;
  EXPECT_EQ(run({path("image.nrrd"), path("mask.nrrd"), "-s", "binWith:10"}), 2);
  EXPECT_NE(said_.find("binWidth"), std::string::npos) << said_;
  EXPECT_EQ(run({path("image.nrrd"), path("mask.nrrd"), "-s", "binWidth:0,5"}), 2);
  EXPECT_NE(said_.find("decimal mark is a point"), std::string::npos) << said_;
  EXPECT_EQ(run({path("image.nrrd"), path("mask.nrrd"), "--label", "0"}), 2);
  EXPECT_EQ(run({path("image.nrrd"), path("mask.nrrd"), "--param", "no-such-profile"}), 2);
  write("bad.yaml", "setting: {normalize: yes}");
  EXPECT_EQ(run({path("image.nrrd"), path("mask.nrrd"), "--param", path("bad.yaml")}), 2);
  EXPECT_EQ(run({path("image.nrrd"), path("mask.nrrd"), "--validate"}), 0);
  EXPECT_EQ(run({path("image.nrrd"), path("gone.nrrd"), "--validate"}), 1);
}

TEST_F(ExtractCommand, RefusesTablesOfAnotherDialect) {
  write("semicolons.csv", "Image;Mask\nimage.nrrd;mask.nrrd\n");
  EXPECT_EQ(run({path("semicolons.csv")}), 2);
  EXPECT_NE(said_.find("separated by semicolons"), std::string::npos) << said_;
  write("tabs.csv", "Image\tMask\nimage.nrrd\tmask.nrrd\n");
  EXPECT_EQ(run({path("tabs.csv")}), 2);
  write("decimals.csv", "Image,Mask,Age\nimage.nrrd,mask.nrrd,61,5\n");
  EXPECT_EQ(run({path("decimals.csv")}), 2);
  EXPECT_NE(said_.find("decimal comma"), std::string::npos) << said_;
  write("columns.csv", "Images,Mask\nimage.nrrd,mask.nrrd\n");
  EXPECT_EQ(run({path("columns.csv")}), 2);
  EXPECT_NE(said_.find("Did you mean Images"), std::string::npos) << said_;
}

TEST_F(ExtractCommand, MeasuresSeveralLabelsInOnePass) {
  ASSERT_EQ(run({path("image.nrrd"), path("mask.nrrd"), "-f", "csv", "-o", out_, "--label", "5,1", "--union"}), 0) << said_;
  EXPECT_EQ(column("Label"), (std::vector<std::string>{"5", "1", "5+1"}));
  const auto voxels = column("original_shape_VoxelVolume");
  ASSERT_EQ(voxels.size(), 3u);
  EXPECT_NEAR(std::stod(voxels[0]) + std::stod(voxels[1]), std::stod(voxels[2]), 1e-9);
  const std::string together = path("all");
  ASSERT_EQ(run({path("image.nrrd"), path("mask.nrrd"), "-f", "csv", "-o", together, "--label", "all"}), 0);
  EXPECT_EQ(column("Label", together), (std::vector<std::string>{"1", "2", "5"}));
  const std::string alone = path("alone");
  ASSERT_EQ(run({path("image.nrrd"), path("mask.nrrd"), "-f", "csv", "-o", alone, "--label", "5"}), 0);
  EXPECT_TRUE(column("Label", alone).empty());
  EXPECT_EQ(column("original_glcm_Contrast", alone)[0], column("original_glcm_Contrast", together)[2]);
}

TEST_F(ExtractCommand, MeasuresThePartsOfARegion) {
  ASSERT_EQ(run({path("image.nrrd"), path("mask.nrrd"), "-f", "csv", "-o", out_, "-s", "label:5", "--components"}), 0) << said_;
  EXPECT_EQ(column("Component"), (std::vector<std::string>{"", "1", "2"}));
  const auto voxels = column("diagnostics_Mask-original_VoxelNum");
  ASSERT_EQ(voxels.size(), 3u);
  EXPECT_EQ(voxels[0], "45");
  EXPECT_EQ(voxels[1], "27");
  EXPECT_EQ(voxels[2], "18");
}

TEST_F(ExtractCommand, GivesTheSameRowsAtAnyNumberOfThreads) {
  write("batch.csv", "Image,Mask,Label\nimage.nrrd,mask.nrrd,all\nimage.nrrd,mask.nrrd,1\nimage.nrrd,gone.nrrd,1\nimage.nrrd,mask.nrrd,2\n");
  EXPECT_EQ(run({path("batch.csv"), "-f", "csv", "-o", path("one"), "--details", path("one.json")}), 1);
  EXPECT_EQ(run({path("batch.csv"), "-f", "csv", "-o", path("four"), "--details", path("four.json"), "-j", "4"}), 1);
  EXPECT_EQ(text_of(path("one")), text_of(path("four")));
  EXPECT_EQ(text_of(path("one.json")), text_of(path("four.json")));
  EXPECT_FALSE(text_of(path("one.json")).empty());
}

TEST_F(ExtractCommand, KeepsTheColumnOfASkippedValue) {
  write("flat.yaml", "featureClass: {firstorder: [Mean], glrlm: [RunEntropy]}\nsetting: {minimumROIDimensions: 1}\n");
  const test::RandomCase one = test::random_case(8);
  processing::MaskVolume line{one.mask.geometry, std::vector<std::uint32_t>(one.mask.labels.size(), 0)};
  for (int i = 3; i < 5; ++i) line.labels[line.geometry.offset(i, 4, 4)] = 1;
  ASSERT_TRUE(processing::write_mask_file(line, folder_ / "line.nrrd"));
  ASSERT_EQ(run({path("image.nrrd"), path("line.nrrd"), "-f", "csv", "-o", out_, "--skip-nans", "-p", path("flat.yaml")}), 0) << said_;
  EXPECT_EQ(column("original_glrlm_RunEntropy").size(), 1u) << "pyradiomics names the column and leaves the cell empty";
}

TEST_F(ExtractCommand, SaysMessagesByLevelAndKeepsThemInTheLogFile) {
  write("batch.csv", "Image,Mask\nimage.nrrd,gone.nrrd\n");
  EXPECT_EQ(run({path("batch.csv"), "-o", out_, "--log-file", path("log"), "--logging-level", "INFO", "-v", "1"}), 1);
  EXPECT_EQ(said_.find("gone.nrrd"), std::string::npos) << said_;
  const std::string log = text_of(path("log"));
  EXPECT_NE(log.find("E: (case 1) choana.extract: There is no mask gone.nrrd"), std::string::npos) << log;
  EXPECT_NE(log.find("I: (case 1) choana.extract: started"), std::string::npos) << log;
}

TEST_F(ExtractCommand, WritesAMapForEachFeatureInVoxelMode) {
  write("maps.yaml", "featureClass: {firstorder: [Mean], glcm: [Contrast], shape: }\n");
  ASSERT_EQ(run({path("image.nrrd"), path("mask.nrrd"), "--mode", "voxel", "-p", path("maps.yaml"), "-od", path("maps"), "-f", "csv", "-o", out_, "-l", "2,5"}), 0) << said_;
  EXPECT_EQ(column("original_firstorder_Mean"), (std::vector<std::string>{path("maps/Case-1_label-2_original_firstorder_Mean.nrrd"), path("maps/Case-1_label-5_original_firstorder_Mean.nrrd")}));
  const auto map = processing::read_image_file(path("maps/Case-1_label-2_original_firstorder_Mean.nrrd"));
  ASSERT_TRUE(map);
  EXPECT_EQ(map->geometry.size(), (Index3{4, 4, 4})) << "the box of the region and one voxel more, within the image";
  EXPECT_TRUE(std::filesystem::exists(path("maps/Case-1_label-5_original_glcm_Contrast.nrrd")));
}

TEST_F(ExtractCommand, SavesTheImagesThatWereMeasured) {
  write("filters.yaml", "setting: {binWidth: 10, resampledPixelSpacing: [1, 1, 1]}\nimageType: {Original: {}, Square: {}}\nfeatureClass: {firstorder: [Mean, Maximum], glcm: [Contrast]}\n");
  ASSERT_EQ(run({path("image.nrrd"), path("mask.nrrd"), "-p", path("filters.yaml"), "-f", "csv", "-o", out_, "--save-images", path("images"), "--details", path("details")}), 0) << said_;
  const auto image = processing::read_image_file(path("images/Case-1_square.nrrd"));
  const auto mask = processing::read_mask_file(path("images/Case-1_mask.nrrd"));
  const auto levels = processing::read_image_file(path("images/Case-1_square_levels.nrrd"));
  ASSERT_TRUE(image && mask && levels) << said_;
  double sum = 0, voxels = 0, highest = 0;
  for (std::size_t at = 0; at < mask->labels.size(); ++at) {
    if (mask->labels[at] == 0) continue;
    sum += image->voxels[at];
    ++voxels;
    highest = std::max(highest, levels->voxels[at]);
  }
  EXPECT_NEAR(sum / voxels, std::stod(column("square_firstorder_Mean").at(0)), 1e-9);
  const auto details = nlohmann::json::parse(text_of(path("details")));
  EXPECT_EQ(details["levels"][1]["highest"], highest);
  ASSERT_EQ(details["files"].size(), 5u);
  EXPECT_EQ(details["files"][0]["sha256"], *sha256_hex_of_file(path("images/Case-1_image.nrrd")));
}

TEST(ExtractProgress, TellsCountRateAndTimeLeft) {
  EXPECT_EQ(extract::progress_line(10, 0, 40, 20, 70), "[=======>                      ] 10/40 cases, 30.0 a minute, 1:00 left");
  EXPECT_EQ(extract::progress_line(2, 5, 10, 1, 20), " 7/10 cases (5 from ");
}

TEST(ExtractDetails, ProposesABinWidthWhereLevelsAreTooFewOrTooMany) {
  EXPECT_FALSE(extract::proposed_bin_width({"original", 40, 38}, 25, 1000));
  EXPECT_DOUBLE_EQ(*extract::proposed_bin_width({"original", 1, 1}, 25, 5.9), 0.2);
  EXPECT_DOUBLE_EQ(*extract::proposed_bin_width({"original", 400, 390}, 25, {}), 200);
}

TEST(ExtractParts, AreNumberedBySize) {
  const processing::MaskVolume mask{test::grid({5, 1, 1}), {7, 0, 7, 7, 0}};
  processing::MaskVolume parts;
  EXPECT_EQ(extract::split_components(mask, 7, 10, parts), 2u);
  EXPECT_EQ(parts.labels, (std::vector<std::uint32_t>{2, 0, 1, 1, 0}));
  EXPECT_EQ(extract::split_components(mask, 7, 1, parts), 2u);
  EXPECT_EQ(parts.labels, (std::vector<std::uint32_t>{0, 0, 1, 1, 0}));
}

}  // namespace
}  // namespace choana::node
