#include <fstream>

#include "tests/unit/node/commands/extract_case.h"

namespace choana::node {
namespace {

class ExtractResume : public test::ExtractCase {
 protected:
  void SetUp() override {
    test::ExtractCase::SetUp();
    write("batch.csv", "Case,Image,Mask,Label\na,image.nrrd,mask.nrrd,1\nb,image.nrrd,mask.nrrd,2\nc,image.nrrd,mask.nrrd,5\n");
  }
  std::vector<std::string> words(std::vector<std::string> more) {
    more.insert(more.begin(), {path("batch.csv"), "-f", "csv", "-o", out_});
    return more;
  }
};

TEST_F(ExtractResume, ContinuesFromTheFolderOfCases) {
  ASSERT_EQ(run(words({"--out-dir", path("cases")})), 0);
  const std::string before = text_of(out_);
  std::filesystem::remove(folder_ / "mask.nrrd");
  EXPECT_EQ(run(words({"--out-dir", path("cases"), "--resume"})), 0);
  EXPECT_NE(said_.find("not there any more"), std::string::npos);
  EXPECT_EQ(text_of(out_), before) << "the table is renewed, not appended to";
}

TEST_F(ExtractResume, DropsAHalfRecordAndComputesTheRest) {
  ASSERT_EQ(run(words({})), 0);
  const std::string whole = text_of(out_);
  // As a kill in the middle of the last case leaves it: no table yet, and half a record.
  const std::string journal = path("out.journal");
  std::filesystem::resize_file(journal, std::filesystem::file_size(journal) - 1000);
  std::filesystem::remove(out_);
  ASSERT_EQ(run(words({"--resume", "-v", "4"})), 0) << said_;
  EXPECT_EQ(text_of(out_), whole);
  EXPECT_NE(said_.find("case 3: started"), std::string::npos) << said_;
  EXPECT_EQ(said_.find("case 1: started"), std::string::npos) << said_;
}

TEST_F(ExtractResume, TakesNewAndChangedCasesAndFailedOnesAgain) {
  write("batch.csv", "Case,Image,Mask,Label\na,image.nrrd,mask.nrrd,1\nb,image.nrrd,later.nrrd,2\n");
  ASSERT_EQ(run(words({})), 1);
  std::filesystem::copy_file(folder_ / "mask.nrrd", folder_ / "later.nrrd");
  write("batch.csv", "Case,Image,Mask,Label\na,image.nrrd,mask.nrrd,1\nb,image.nrrd,later.nrrd,2\nc,image.nrrd,mask.nrrd,5\n");
  ASSERT_EQ(run(words({"--resume", "-v", "4"})), 0) << said_;
  EXPECT_EQ(said_.find("case 1: started"), std::string::npos) << said_;
  const auto values = column("original_shape_VoxelVolume");
  ASSERT_EQ(values.size(), 3u);
  EXPECT_FALSE(values[1].empty());
  // The content counts, not the name.
  const test::RandomCase other = test::random_case(9);
  ASSERT_TRUE(processing::write_mask_file(other.mask, folder_ / "mask.nrrd"));
  ASSERT_EQ(run(words({"--resume"})), 1) << "label 5 is gone";
  EXPECT_NE(said_.find("case 1: Its image or mask changed"), std::string::npos) << said_;
  EXPECT_EQ(said_.find("case 2: Its image"), std::string::npos) << said_;
}

TEST_F(ExtractResume, RefusesToMixSettings) {
  ASSERT_EQ(run(words({})), 0);
  const std::string before = text_of(out_);
  EXPECT_EQ(run(words({"--resume", "-s", "binWidth:10"})), 2);
  EXPECT_NE(said_.find("binWidth 25, now 10"), std::string::npos) << said_;
  EXPECT_EQ(text_of(out_), before);
  EXPECT_EQ(run(words({"-s", "binWidth:10"})), 0) << "without --resume a new table is appended, as pyradiomics does";
  EXPECT_TRUE(text_of(out_).starts_with(before));
  EXPECT_GT(text_of(out_).size(), before.size());
  EXPECT_EQ(run(words({"--resume", "-s", "binWidth:10"})), 0);
  EXPECT_TRUE(text_of(out_).starts_with(before)) << "what stood there before stays";
}

TEST_F(ExtractResume, RefusesResultsWithoutARecord) {
  write("out", "Case,Image\n");
  EXPECT_EQ(run(words({"--resume"})), 2);
  EXPECT_NE(said_.find("no record"), std::string::npos) << said_;
  std::filesystem::create_directories(folder_ / "cases");
  write("cases/features_1.csv", "Image,Mask\n");
  EXPECT_EQ(run({path("batch.csv"), "--out-dir", path("cases"), "--resume"}), 2);
  EXPECT_EQ(run({path("batch.csv"), "--resume"}), 2);
}

}  // namespace
}  // namespace choana::node
