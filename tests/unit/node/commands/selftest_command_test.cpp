#include "node/commands/selftest_command.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/command_call.h"

namespace choana::node {
namespace {

namespace fs = std::filesystem;

using Outcome = test::CommandOutcome;

Outcome call(std::vector<std::string> words) { return test::call_command(run_selftest, std::move(words)); }

TEST(SelftestCommand, PrintsEveryReferenceValueOfThePhantomAndTheSumAtTheEnd) {
  const Outcome outcome = call({"selftest", "--ibsi"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("morph_volume            RNU0                         556.333       556         4          pass"), std::string::npos)
      << outcome.out.substr(0, 2000);
  EXPECT_NE(outcome.out.find("IBSI mode: 482 of 482 reference values"), std::string::npos);
  EXPECT_NE(outcome.out.find("firstorder_Kurtosis"), std::string::npos);
  EXPECT_EQ(outcome.out.find("FAIL"), std::string::npos);
  EXPECT_TRUE(outcome.out.ends_with("passed\n"));
}

// 148 comparable values, and the features that differ: shared/spec/radiomics.md, section 4 (which counts three, because the longest axis differs by
// less than the printed tolerance).
TEST(SelftestCommand, GivesBothModesAsJson) {
  const auto json = nlohmann::json::parse(call({"selftest", "--ibsi", "--json"}).out);
  EXPECT_EQ(json["format"], "choana-selftest/1");
  EXPECT_TRUE(json["passed"].get<bool>());
  EXPECT_EQ(json["ibsi"]["values"].size(), 482u);
  EXPECT_EQ(json["pyradiomics"]["passed"], 148);
  EXPECT_EQ(json["pyradiomics"]["of"], 148);
  std::vector<std::string> different;
  for (const auto& mode : json["pyradiomics"]["values"])
    if (!mode["difference"].get<std::string>().empty()) different.push_back(mode["feature"]);
  EXPECT_EQ(different, (std::vector<std::string>{"shape_MajorAxisLength", "shape_MinorAxisLength", "shape_LeastAxisLength", "firstorder_Kurtosis"}));
}

TEST(SelftestCommand, ChecksThePackagesThatComeWithChoana) {
  setenv("CHOANA_DATA_DIR", (std::string(CHOANA_SOURCE_DIR) + "/conf").c_str(), 1);
  const auto json = nlohmann::json::parse(call({"selftest", "--json"}).out);
  EXPECT_TRUE(json["passed"].get<bool>());
  EXPECT_GE(json["packages"].size(), 2u);
  EXPECT_FALSE(json["ibsi"].contains("values"));
}

TEST(SelftestCommand, EndsWithOneWhenAPackageDoesNotReproduceItself) {
  const fs::path folder = fs::path(testing::TempDir()) / "choana-selftest-broken";
  fs::remove_all(folder);
  fs::create_directories(folder / "models/broken");
  std::ofstream(folder / "models/broken/manifest.yaml") << "format: choana-model/1\n";
  setenv("CHOANA_DATA_DIR", folder.c_str(), 1);
  const Outcome outcome = call({"selftest"});
  unsetenv("CHOANA_DATA_DIR");
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.err.find("package broken: refused"), std::string::npos);
  EXPECT_TRUE(outcome.out.ends_with("FAILED\n"));
  fs::remove_all(folder);
}

TEST(SelftestCommand, RefusesUnknownOptions) { EXPECT_EQ(call({"selftest", "--isbi"}).code, 2); }

}  // namespace
}  // namespace choana::node
