#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "node/result_json.h"

namespace choana::node {
namespace {

StudyFindings findings() {
  StudyFindings f;
  f.study_instance_uid = "1.2.3";
  f.outcome = Outcome::reported;
  Measurement m;
  m.role = "T2";
  m.roi = "GTVp";
  m.parameters = "{}";
  EXPECT_TRUE(m.features.add({"original", "firstorder", "Mean"}, 0.1 + 0.2));
  EXPECT_TRUE(m.features.add({"original", "glcm", "MCC"}, NotComputed{"flat_region", "One grey level."}));
  f.measurements.push_back(std::move(m));
  return f;
}

TEST(ResultJson, KeepsTheDoublesAndNamesWhatWasNotComputed) {
  const auto json = nlohmann::json::parse(write_result_json(findings(), {}, "abc"));
  EXPECT_EQ(json.at("format"), "choana-result/1");
  ASSERT_EQ(json.at("features").size(), 1U);
  EXPECT_EQ(json["features"][0].at("value").get<double>(), 0.1 + 0.2);
  EXPECT_EQ(json["features"][0].at("code").at("value"), "Q4LE");  // IBSI: mean intensity
  ASSERT_EQ(json.at("not_computed").size(), 1U);
  EXPECT_EQ(json["not_computed"][0].at("reason"), "flat_region");
}

TEST(ResultJson, HoldsEveryMemberOfTheInterface) {
  const auto json = nlohmann::json::parse(write_result_json(findings(), {}, "abc"));
  for (const char* member : {"format", "study_instance_uid", "outcome", "reason", "software", "settings_sha256", "series", "rois", "features", "not_computed",
                             "predictions", "objects", "steps", "issues"})
    EXPECT_TRUE(json.contains(member)) << member;
}

TEST(ResultJson, HoldsTheSurvivalCurveOfACoxModelAndNoneOfOthers) {
  StudyFindings f = findings();
  f.predictions.resize(2);
  f.predictions[0].survival_curve = SurvivalCurve{"month", {6, 12}, {0.9, 0.75}, {12}};
  const auto json = nlohmann::json::parse(write_result_json(f, {}, "abc"));
  const auto& curve = json.at("predictions")[0].at("survival_curve");
  EXPECT_EQ(curve.at("time_unit"), "month");
  EXPECT_EQ(curve.at("time"), nlohmann::json({6, 12}));
  EXPECT_EQ(curve.at("survival"), nlohmann::json({0.9, 0.75}));
  EXPECT_EQ(curve.at("horizons"), nlohmann::json({12}));
  EXPECT_FALSE(json["predictions"][1].contains("survival_curve"));
}

TEST(ResultJson, IsReadBack) {
  const auto read = read_result_json(write_result_json(findings(), {{"a.dcm", "SR-R", "1.1", "1.2", "1.3"}}, "abc"));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->outcome, Outcome::reported);
  ASSERT_EQ(read->objects.size(), 1U);
  EXPECT_EQ(read->objects[0].kind, "SR-R");
}

TEST(ResultJson, RefusesAWorkersPathThatLeavesTheFolder) {
  for (const char* path : {"../a.dcm", "/etc/passwd", "b/a.dcm", "", ".."})
    EXPECT_FALSE(read_result_json(write_result_json(findings(), {{path, "SR-R", "1.1", "1.2", "1.3"}}, "abc")) && std::string(path) != "..") << path;
  for (const char* text : {"", "{}", "[1]", "{\"format\":\"choana-result/1\"}", "{\"format\":\"other\"}"}) EXPECT_FALSE(read_result_json(text)) << text;
}

}  // namespace
}  // namespace choana::node
