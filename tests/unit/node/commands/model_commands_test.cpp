#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "node/commands/model_command.h"
#include "node/commands/predict_command.h"
#include "processing/prediction/readers/table.h"
#include "tests/support/command_call.h"

namespace choana::node {
namespace {

namespace fs = std::filesystem;

using Outcome = test::CommandOutcome;
constexpr auto call = test::call_command;

std::string demo(const std::string& name) { return std::string(CHOANA_SOURCE_DIR) + "/conf/models/" + name; }

std::string read(const fs::path& file) {
  std::ifstream in(file);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

fs::path scratch() {
  const fs::path folder = fs::path(testing::TempDir()) / ("choana-" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
  fs::remove_all(folder);
  fs::create_directories(folder);
  return folder;
}

TEST(PredictCommand, WritesWhatTheLiveModelGaveForItsSelfTestRows) {
  // selftest.csv holds scikit-learn's own probabilities (version in MODEL_CARD.md); refused rows stand at its end.
  const fs::path out = scratch() / "scores.csv";
  const Outcome outcome = call(run_predict, {"predict", demo("demo-t2-only"), demo("demo-t2-only") + "/selftest.csv", "--explain", "--out", out.string()});
  EXPECT_EQ(outcome.code, 1) << "rows without a volume cannot be scored";
  EXPECT_NE(outcome.err.find("T2.primary.original_shape_MeshVolume"), std::string::npos);
  const auto expected = processing::read_table(read(demo("demo-t2-only") + "/selftest.csv"), "expected", 1000).value();
  const auto got = processing::read_table(read(out), "got", 1000).value();
  ASSERT_EQ(got.rows.size(), expected.rows.size());
  ASSERT_EQ(got.columns.size(), 4U + 6U);
  EXPECT_EQ(got.columns[1], "Residual disease");
  EXPECT_EQ(got.columns[2], "Residual disease.margin");
  EXPECT_EQ(got.columns[3], "Residual disease.base");
  EXPECT_EQ(got.columns[4], "Residual disease.shap.T2.primary.original_shape_MeshVolume");
  std::size_t scored = 0;
  for (std::size_t r = 0; r < got.rows.size(); ++r) {
    EXPECT_EQ(got.rows[r][0], expected.rows[r][0]);
    const std::string& probability = expected.rows[r][*expected.find("combined")];
    if (probability.empty()) {
      EXPECT_TRUE(got.rows[r][1].empty());
      continue;
    }
    ++scored;
    EXPECT_NEAR(processing::parse_number(got.rows[r][1]).value(), processing::parse_number(probability).value(), 1e-12);
    double sum = 0;
    for (std::size_t c = 3; c < got.columns.size(); ++c) sum += processing::parse_number(got.rows[r][c]).value();
    EXPECT_NEAR(sum, processing::parse_number(got.rows[r][2]).value(), 1e-12);
  }
  EXPECT_GE(scored, 40U);
}

TEST(PredictCommand, NamesTheColumnThatIsMissingAndWhatMayBeMeant) {
  const fs::path folder = scratch();
  std::string text = read(demo("demo-t2-only") + "/selftest.csv");
  const std::string name = "T2.primary.original_glcm_Imc2";
  text.replace(text.find(name), name.size(), "T2.primary.original_glcm_Imc_2");
  std::ofstream(folder / "table.csv") << text;
  const Outcome outcome = call(run_predict, {"predict", demo("demo-t2-only"), (folder / "table.csv").string()});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_NE(outcome.err.find("original_glcm_Imc2 is missing. Did you mean T2.primary.original_glcm_Imc_2"), std::string::npos) << outcome.err;
}

TEST(PredictCommand, PrintsJson) {
  const Outcome outcome = call(run_predict, {"predict", demo("demo-npc-response"), demo("demo-npc-response") + "/selftest.csv", "--json", "--explain"});
  EXPECT_EQ(outcome.code, 1);
  const auto rows = nlohmann::json::parse(outcome.out);
  EXPECT_GE(rows.size(), 40U);
  EXPECT_EQ(rows[0]["outputs"][0]["name"], "Complete response");
  EXPECT_EQ(rows[0]["outputs"][0]["explanations"][0]["contributions"].size(), 8U);
  EXPECT_EQ(rows.back()["refused"]["code"], "missing_value");
}

TEST(PredictCommand, AnswersWrongUsageWithTwo) {
  EXPECT_EQ(call(run_predict, {"predict"}).code, 2);
  EXPECT_EQ(call(run_predict, {"predict", "--help"}).code, 0);
  EXPECT_EQ(call(run_predict, {"predict", demo("no-such-model"), "x.csv"}).code, 2);
  EXPECT_EQ(call(run_predict, {"predict", demo("demo-t2-only"), "no-such-table.csv"}).code, 2);
  EXPECT_EQ(call(run_predict, {"predict", demo("demo-t2-only"), demo("demo-t2-only") + "/features.csv"}).code, 2) << "first column is not 'case'";
}

TEST(ModelCommand, ChecksShowsAndLists) {
  const Outcome check = call(run_model, {"model", "check", demo("demo-t2-only"), demo("demo-npc-response")});
  EXPECT_EQ(check.code, 0) << check.err;
  EXPECT_NE(check.out.find("demo-npc-response 0.1.0 (demonstration): admitted"), std::string::npos) << check.out;
  const Outcome show = call(run_model, {"model", "show", "--json", demo("demo-npc-response")});
  EXPECT_EQ(show.code, 0);
  const auto shown = nlohmann::json::parse(show.out);
  EXPECT_EQ(shown[0]["required_roles"], (std::vector<std::string>{"T1C", "T2"}));
  EXPECT_EQ(shown[0]["features"].size(), 8U);
  const Outcome list = call(run_model, {"model", "list", std::string(CHOANA_SOURCE_DIR) + "/conf/models"});
  EXPECT_EQ(list.code, 0);
  EXPECT_NE(list.out.find("demo-t2-only"), std::string::npos);
}

TEST(ModelCommand, RefusesAChangedPackageWithOneAndWrongUsageWithTwo) {
  const fs::path copy = scratch() / "package";
  fs::copy(demo("demo-t2-only"), copy, fs::copy_options::recursive);
  std::ofstream(copy / "MODEL_CARD.md", std::ios::app) << "better than it is\n";
  const Outcome refused = call(run_model, {"model", "check", copy.string()});
  EXPECT_EQ(refused.code, 1);
  EXPECT_NE(refused.err.find("MODEL_CARD.md was changed"), std::string::npos) << refused.err;
  EXPECT_EQ(call(run_model, {"model"}).code, 2);
  EXPECT_EQ(call(run_model, {"model", "chekc", copy.string()}).code, 2);
  EXPECT_EQ(call(run_model, {"model", "check", demo("no-such-model")}).code, 2);
}

}  // namespace
}  // namespace choana::node
