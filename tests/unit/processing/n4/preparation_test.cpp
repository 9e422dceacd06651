#include "processing/preparation.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "processing/prediction/model_package.h"
#include "tests/support/head_phantom.h"
#include "tests/unit/processing/prediction/package_copy.h"

namespace choana::processing {
namespace {

using nlohmann::json;

Result<PreparedVolume> n4(const std::string& parameters) { return prepare(test::head_phantom({80, 80, 24}, 1), "T2", "n4", parameters, nullptr); }

TEST(N4Step, IsOursUnlessThePackageSaysItk) {
  const auto ours = n4("{}");
  ASSERT_TRUE(ours) << ours.error().message;
  const json record = json::parse(ours->record_json);
  EXPECT_EQ(record["engine"], "choana");
  EXPECT_EQ(record["field"], "stretched");
  EXPECT_EQ(record["shrink_used"], (std::vector<int>{4, 4, 4}));
  EXPECT_EQ(record["levels"].size(), 4U);
  const auto theirs = n4(R"({"engine": "itk"})");
  ASSERT_TRUE(theirs) << theirs.error().message;
  EXPECT_EQ(json::parse(theirs->record_json)["engine"], "itk");
  // On so small a grid ITK moves by 1e-4 with its number of threads.
  for (std::size_t n = 0; n < ours->volume.voxels().size(); ++n) ASSERT_NEAR(ours->volume.voxels()[n], theirs->volume.voxels()[n], 5e-4 * (1 + theirs->volume.voxels()[n]));
}

TEST(N4Step, TakesAnAlignedFieldAndNoShrinking) {
  const auto stretched = n4("{}"), aligned = n4(R"({"field": "aligned"})"), unshrunk = n4(R"({"shrink": 1, "iterations": [3, 3]})");
  ASSERT_TRUE(stretched && aligned && unshrunk);
  EXPECT_NE(stretched->volume.voxels(), aligned->volume.voxels());
  EXPECT_EQ(json::parse(aligned->record_json)["field"], "aligned");
  EXPECT_EQ(json::parse(unshrunk->record_json)["shrink_used"], (std::vector<int>{1, 1, 1}));
}

TEST(N4Step, IsReadFromThePackageWithAllItsParameters) {
  const test::PackageCopy copy("demo-npc-response");
  copy.replace("manifest.yaml", "{step: n4, shrink: [4, 4, 4]}",
               "{step: n4, shrink: [4, 4, 2], iterations: [3, 2], threshold: 0.002, fwhm: 0.2, noise: 0.02, bins: 100, control_points: 5, mask: positive, engine: choana, field: aligned}");
  copy.seal();
  const auto package = ModelPackage::load(copy.folder());
  ASSERT_TRUE(package) << package.error().message;
  const auto prepared = n4(package->manifest().preprocessing.at(0).parameters_json);
  ASSERT_TRUE(prepared) << prepared.error().message;
  const json record = json::parse(prepared->record_json);
  EXPECT_EQ(record["shrink"], (std::vector<int>{4, 4, 2}));
  EXPECT_EQ(record["iterations"], (std::vector<int>{3, 2}));
  EXPECT_EQ(record["threshold"], 0.002);
  EXPECT_EQ(record["fwhm"], 0.2);
  EXPECT_EQ(record["noise"], 0.02);
  EXPECT_EQ(record["bins"], 100);
  EXPECT_EQ(record["control_points"], (std::vector<int>{5, 5, 5}));
  EXPECT_EQ(record["mask"], "positive");
  EXPECT_EQ(record["field"], "aligned");
}

TEST(N4Step, RefusesAPackageThatAsksForWhatIsNotThere) {
  for (const char* parameters : {R"({"engine": "ants"})", R"({"field": "curved"})", R"({"engine": 1})", R"({"enginee": "itk"})", R"({"mask": "brain"})", R"({"shrink": "4"})"}) {
    const auto refused = n4(parameters);
    ASSERT_FALSE(refused) << parameters;
    EXPECT_EQ(refused.error().code, ErrorCode::invalid_package) << parameters;
  }
  EXPECT_NE(n4(R"({"enginee": "itk"})").error().message.find("Did you mean engine"), std::string::npos);
  EXPECT_EQ(n4(R"({"engine": "itk", "field": "aligned"})").error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(n4(R"({"control_points": 3})").error().code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace choana::processing
