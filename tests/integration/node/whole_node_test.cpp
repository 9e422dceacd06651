// The whole node, as processes, against a PACS in this process: what comes in, what goes out, what is told.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "dicom-fixtures/synthetic/npc_study.h"
#include "node/api_client.h"
#include "node/files.h"
#include "node/settings_reader.h"
#include "tests/integration/node/node_under_test.h"
#include "tests/unit/processing/prediction/package_copy.h"

namespace choana::test {
namespace {

namespace fs = std::filesystem;

const std::string demo_package = std::string(CHOANA_SOURCE_DIR) + "/conf/models/demo-npc-response";

fixtures::NpcStudy write_study(const fs::path& folder, fixtures::NpcStudyOptions options = {}) {
  options.small = true;
  auto study = fixtures::write_npc_study(options, folder);
  if (!study) throw std::runtime_error(to_string(study.error()));
  return std::move(*study);
}

nlohmann::json result_of(const StudyStory& story) { return nlohmann::json::parse(story.result_json); }

TEST(WholeNode, ReportsAStudyAndDeliversEveryObjectOnce) {
  const TemporaryFolder folder;
  const auto study = write_study(folder.path() / "study");
  LoopbackPacs pacs(folder.path() / "pacs", 0);
  NodeUnderTest node(folder.path() / "node", {.pacs_port = pacs.port(), .packages = {demo_package}});
  ASSERT_TRUE(node.start()) << node.log();
  const auto files = files_below(folder.path() / "study");
  ASSERT_EQ(send_files(node.dicom_port(), files).size(), files.size());
  const auto story = node.wait_for(study.study_instance_uid, settled);
  ASSERT_TRUE(story);
  const auto result = result_of(*story);
  EXPECT_EQ(result.at("outcome"), "reported") << result.at("reason").dump();
  EXPECT_EQ(story->study.state, StudyState::delivered);
  ASSERT_FALSE(result.at("predictions").empty());
  EXPECT_EQ(result["predictions"][0].at("status"), "demonstration");

  std::multiset<std::string> kinds;
  const auto received = pacs.received();
  for (const auto& object : result.at("objects")) {
    kinds.insert(object.at("kind").get<std::string>());
    const auto found = received.find(object.at("sop_instance_uid").get<std::string>());
    ASSERT_NE(found, received.end()) << object.dump();
    EXPECT_EQ(found->second.size(), 1U);
  }
  EXPECT_EQ(received.size(), result.at("objects").size());
  for (const char* kind : {"SR-R", "SR-X", "SR-K", "SEG-ROI", "SC"}) EXPECT_GE(kinds.count(kind), 1U) << kind;

  // SEG before SR before SC (spec: what is referenced comes first).
  std::vector<int> order;
  for (const std::string& sop_class : pacs.sop_classes()) order.push_back(sop_class == "1.2.840.10008.5.1.4.1.1.66.4" ? 0 : sop_class == "1.2.840.10008.5.1.4.1.1.7" ? 2 : 1);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));

  // Additivity of the explanation as it stands in result.json.
  const auto& prediction = result["predictions"][0];
  double sum = prediction.at("base");
  for (const auto& c : prediction.at("contributions")) sum += c.at("contribution").get<double>();
  EXPECT_NEAR(sum, prediction.at("explanation").at("output").get<double>(), 1e-9);
}

TEST(WholeNode, MakesNothingNewOfAStudyThatComesTwice) {
  const TemporaryFolder folder;
  const auto study = write_study(folder.path() / "study");
  LoopbackPacs pacs(folder.path() / "pacs", 0);
  NodeUnderTest node(folder.path() / "node", {.pacs_port = pacs.port(), .packages = {demo_package}});
  ASSERT_TRUE(node.start()) << node.log();
  const auto files = files_below(folder.path() / "study");
  ASSERT_EQ(send_files(node.dicom_port(), files).size(), files.size());
  ASSERT_TRUE(node.wait_for(study.study_instance_uid, settled));
  const auto first = pacs.received();
  ASSERT_EQ(send_files(node.dicom_port(), files).size(), files.size());
  const auto story = node.wait_for(study.study_instance_uid, [&](const StudyStory& s) { return s.study.duplicates >= static_cast<std::int64_t>(files.size()) && settled(s); });
  ASSERT_TRUE(story);
  EXPECT_EQ(story->study.revision, 1);
  EXPECT_EQ(story->jobs.size(), 1U);
  EXPECT_EQ(pacs.received(), first);
  EXPECT_EQ(node.stop(), 0);  // drained: nothing was still under way
  EXPECT_EQ(pacs.received(), first);
}

TEST(WholeNode, IsNotTriggeredByItsOwnResults) {
  const TemporaryFolder folder;
  const auto study = write_study(folder.path() / "study");
  LoopbackPacs pacs(folder.path() / "pacs", 0);
  NodeUnderTest node(folder.path() / "node", {.pacs_port = pacs.port(), .packages = {demo_package}});
  ASSERT_TRUE(node.start()) << node.log();
  const auto files = files_below(folder.path() / "study");
  ASSERT_EQ(send_files(node.dicom_port(), files).size(), files.size());
  ASSERT_TRUE(node.wait_for(study.study_instance_uid, settled));
  const auto results = files_below(node.state_dir() / "results");
  ASSERT_GE(results.size(), 5U);
  EXPECT_EQ(send_files(node.dicom_port(), results).size(), results.size()) << "an automatic route back must not be refused";
  const auto before = pacs.received();
  EXPECT_EQ(node.stop(), 0);
  const auto story = node.story(study.study_instance_uid);
  ASSERT_TRUE(story);
  EXPECT_EQ(story->study.revision, 1);
  EXPECT_EQ(story->jobs.size(), 1U);
  EXPECT_EQ(pacs.received(), before);
}

TEST(WholeNode, SupersedesWhenLateDataArrive) {
  const TemporaryFolder folder;
  fixtures::NpcStudyOptions options;
  options.sequences = {"t1", "t2"};
  const auto study = write_study(folder.path() / "study", options);
  LoopbackPacs pacs(folder.path() / "pacs", 0);
  NodeUnderTest node(folder.path() / "node", {.pacs_port = pacs.port()});
  ASSERT_TRUE(node.start()) << node.log();
  std::vector<fs::path> early, late;
  for (const auto& series : study.series)
    for (const auto& file : series.files) (series.sequence == "t1" ? late : early).push_back(file);
  early.push_back(study.rtstruct_file);
  ASSERT_EQ(send_files(node.dicom_port(), early).size(), early.size());
  const auto first = node.wait_for(study.study_instance_uid, settled);
  ASSERT_TRUE(first);
  ASSERT_EQ(send_files(node.dicom_port(), late).size(), late.size());
  const auto second = node.wait_for(study.study_instance_uid, [](const StudyStory& s) { return s.study.revision == 2 && settled(s); });
  ASSERT_TRUE(second);
  std::set<std::string> first_uids, second_uids;
  for (const auto& object : result_of(*first).at("objects")) first_uids.insert(object.at("sop_instance_uid"));
  for (const auto& object : result_of(*second).at("objects")) second_uids.insert(object.at("sop_instance_uid"));
  for (const std::string& uid : second_uids) EXPECT_FALSE(first_uids.contains(uid)) << "other input under an old UID";
  EXPECT_GT(result_of(*second).at("features").size(), result_of(*first).at("features").size());
}

/// demo-t2-only with one more stage that adds a laboratory value.
void add_clinical_stage(const PackageCopy& package) {
  package.replace("manifest.yaml", "extraction: {T2:", "  clinical:\n    wbc: {type: number, unit: 10*9/L, min: 0.1, max: 100, required: true, max_age_days: 30}\nextraction: {T2:");
  package.replace("manifest.yaml", "outputs:\n", "  - {id: lab, type: linear, file: model/lab.ir.json, in: [combined.margin, clinical.wbc], link: logistic}\noutputs:\n"
                                                 "  - {from: lab, name: With laboratory, endpoint: LAB, unit: \"%\", decimals: 1}\n");
  package.write("model/lab.ir.json", R"({"ir": 1, "kind": "linear", "features": ["combined.margin", "clinical.wbc"], "coef": [1.0, 0.25], "intercept": [-1.5], "link": "logistic"})");
  package.write("features.csv", package.read("features.csv") + "7,clinical.wbc,,,clinical,wbc,10*9/L,6,2,2,15\n");
  std::istringstream rows(package.read("selftest.csv"));
  std::string row, table;
  while (std::getline(rows, row)) {
    if (row.starts_with("case,")) {
      table += row + ",clinical.wbc,lab.margin,lab\n";
      continue;
    }
    const std::string combined_margin = row.substr(row.rfind(',') + 1);
    if (combined_margin.empty()) {
      table += row + ",6,,\n";
      continue;
    }
    const double margin = std::stod(combined_margin) + 0.25 * 6 - 1.5;
    char expected[80];
    std::snprintf(expected, sizeof expected, ",6,%.17g,%.17g\n", margin, 1 / (1 + std::exp(-margin)));
    table += row + expected;
  }
  package.write("selftest.csv", table);
  package.seal();
}

TEST(WholeNode, MakesASuccessorWhenALaboratoryValueComesAfterTheImages) {
  const TemporaryFolder folder;
  const PackageCopy package;
  add_clinical_stage(package);
  fixtures::NpcStudyOptions options;
  options.sequences = {"t2"};
  const auto study = write_study(folder.path() / "study", options);
  LoopbackPacs pacs(folder.path() / "pacs", 0);
  NodeUnderTest node(folder.path() / "node", {.pacs_port = pacs.port(), .packages = {package.folder().string()}});
  ASSERT_TRUE(node.start()) << node.log();
  const auto files = files_below(folder.path() / "study");
  ASSERT_EQ(send_files(node.dicom_port(), files).size(), files.size());
  const auto first = node.wait_for(study.study_instance_uid, settled);
  ASSERT_TRUE(first);
  const auto without = result_of(*first);
  EXPECT_EQ(without.at("outcome"), "reported") << "the measurements are worth reporting without the prediction";
  EXPECT_TRUE(without.at("predictions").empty());
  EXPECT_NE(without.at("issues").dump().find("clinical.wbc"), std::string::npos) << without.at("issues").dump();

  const auto settings = read_settings(node.settings_file());
  ASSERT_TRUE(settings);
  const std::string path = "/api/v1/patients/" + node::url_segment(study.patient_id) + "/clinical";
  const auto put = [&](const std::string& body) {
    const auto answer = node::call_node(*settings, "PUT", path, body);
    return answer ? answer->status : 0;
  };
  EXPECT_EQ(put(R"({"values": [{"name": "wbc", "value": "6"}]})"), 400);
  EXPECT_EQ(put(R"({"values": [{"name": "wbc", "valeu": 6}]})"), 400);
  ASSERT_EQ(put(R"({"values": [{"name": "wbc", "value": 7.5, "unit": "10*9/L", "date": "2026-01-03"}, {"name": "shoe_size", "value": 41}]})"), 204);
  const auto second = node.wait_for(study.study_instance_uid, [](const StudyStory& s) { return s.study.revision == 2 && settled(s); });
  ASSERT_TRUE(second);
  const auto with = result_of(*second);
  ASSERT_EQ(with.at("predictions").size(), 2U) << with.at("issues").dump();
  const double margin = with["predictions"][1].at("margin").get<double>() + 0.25 * 7.5 - 1.5;
  EXPECT_NEAR(with["predictions"][0].at("margin").get<double>(), margin, 1e-12);
  ASSERT_EQ(with.at("clinical").size(), 1U);
  EXPECT_EQ(with["clinical"][0].at("value"), 7.5);
  EXPECT_EQ(with["clinical"][0].at("date"), "2026-01-03");

  // The same values again, or one that no model asks for, make nothing new.
  ASSERT_EQ(put(R"({"values": [{"name": "wbc", "value": 7.5, "unit": "10*9/L", "date": "2026-01-03"}]})"), 204);
  ASSERT_EQ(put(R"({"values": [{"name": "shoe_size", "value": 42}]})"), 204);
  EXPECT_EQ(node.story(study.study_instance_uid)->study.revision, 2);
  // A value in another unit, or too old, is not used, and the report says why.
  ASSERT_EQ(put(R"({"values": [{"name": "wbc", "value": 7500, "unit": "/uL", "date": "2026-01-03"}]})"), 204);
  const auto third = node.wait_for(study.study_instance_uid, [](const StudyStory& s) { return s.study.revision == 3 && settled(s); });
  ASSERT_TRUE(third);
  EXPECT_TRUE(result_of(*third).at("predictions").empty());
  EXPECT_NE(result_of(*third).at("issues").dump().find("the model needs '10*9/L'"), std::string::npos) << result_of(*third).at("issues").dump();
  ASSERT_EQ(put(R"({"values": [{"name": "wbc", "value": 7.5, "unit": "10*9/L", "date": "2025-06-01"}]})"), 204);
  const auto fourth = node.wait_for(study.study_instance_uid, [](const StudyStory& s) { return s.study.revision == 4 && settled(s); });
  ASSERT_TRUE(fourth);
  EXPECT_NE(result_of(*fourth).at("issues").dump().find("days from the study"), std::string::npos);
}

TEST(WholeNode, WaitsForAPacsThatIsAway) {
  const TemporaryFolder folder;
  const auto study = write_study(folder.path() / "study");
  const int port = node::free_port().value();
  NodeUnderTest node(folder.path() / "node", {.pacs_port = port, .packages = {demo_package}});
  ASSERT_TRUE(node.start()) << node.log();
  const auto files = files_below(folder.path() / "study");
  ASSERT_EQ(send_files(node.dicom_port(), files).size(), files.size());
  const auto waiting = node.wait_for(study.study_instance_uid, [](const StudyStory& s) { return !s.deliveries.empty() && s.deliveries.front().attempts >= 1; });
  ASSERT_TRUE(waiting);
  EXPECT_EQ(waiting->study.state, StudyState::sending);
  EXPECT_FALSE(waiting->deliveries.front().last_error.empty());
  LoopbackPacs pacs(folder.path() / "pacs", port);
  const auto story = node.wait_for(study.study_instance_uid, settled);
  ASSERT_TRUE(story);
  EXPECT_EQ(pacs.received().size(), story->deliveries.size());
}

TEST(WholeNode, RefusesStrangers) {
  const TemporaryFolder folder;
  const auto study = write_study(folder.path() / "study");
  NodeUnderTest node(folder.path() / "node", {});
  ASSERT_TRUE(node.start()) << node.log();
  const std::vector<fs::path> one{study.files.front()};
  EXPECT_TRUE(send_files(node.dicom_port(), one, "SOMEBODY", "TEST").empty()) << "wrong called AE title";
  EXPECT_TRUE(send_files(node.dicom_port(), one, "CHOANA", "STRANGER").empty()) << "unknown calling AE title";
  EXPECT_EQ(send_files(node.dicom_port(), one).size(), 1U);
  const std::string log = node.log();
  EXPECT_NE(log.find("refused"), std::string::npos) << log;
}

// ---- the command line, as a person meets it

struct Ran {
  int exit_code = -1;
  std::string output;  // both streams
};

Ran run_choana(const fs::path& folder, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), std::string(CHOANA_BIN_DIR) + "/choana");
  const fs::path output = folder / "output.txt";
  fs::remove(output);
  auto process = node::ChildProcess::start(arguments, output);
  if (!process) return {-1, to_string(process.error())};
  const int code = process->wait();
  auto text = node::read_file(output, 16U << 20);
  return {code, text ? *text : std::string()};
}

TEST(CommandRun, MeasuresAFolderAndSaysWhere) {
  const TemporaryFolder folder;
  const auto study = write_study(folder.path() / "study");
  const auto ran = run_choana(folder.path(), {"run", (folder.path() / "study").string(), "--out", (folder.path() / "out").string()});
  EXPECT_EQ(ran.exit_code, 0) << ran.output;
  const auto text = node::read_file(folder.path() / "out" / "1" / "result.json", 64U << 20);
  ASSERT_TRUE(text);
  EXPECT_EQ(nlohmann::json::parse(*text).at("study_instance_uid"), study.study_instance_uid);
}

TEST(CommandRun, TakesASeriesForTheRoleThatAPersonNames) {
  const TemporaryFolder folder;
  fixtures::NpcStudyOptions options;
  options.sequences = {"t1", "t2"};
  const auto study = write_study(folder.path() / "study", options);
  const std::string t1 = study.series[0].sequence == "t1" ? study.series[0].series_instance_uid : study.series[1].series_instance_uid;
  const std::vector<std::string> without{"run", (folder.path() / "study").string(), "--out", (folder.path() / "a").string(), "--package", demo_package};
  const auto refused = run_choana(folder.path(), without);
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_NE(refused.output.find("missing_role"), std::string::npos) << refused.output;
  const auto named = run_choana(folder.path(), {"run", (folder.path() / "study").string(), "--out", (folder.path() / "b").string(), "--package", demo_package, "--role", "T1C=" + t1});
  EXPECT_EQ(named.exit_code, 0) << named.output;
}

TEST(CommandRun, SaysThatAFolderHoldsNoDicom) {
  const TemporaryFolder folder;
  fixtures::NpcStudyOptions options;
  options.bad = fixtures::BadCase::not_dicom;
  write_study(folder.path() / "study", options);
  const auto ran = run_choana(folder.path(), {"run", (folder.path() / "study").string(), "--out", (folder.path() / "out").string()});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_NE(ran.output.find("no DICOM object"), std::string::npos) << ran.output;
}

TEST(CommandLine, WrongUsageIsTwoAndNamesTheNearMatch) {
  const TemporaryFolder folder;
  EXPECT_EQ(run_choana(folder.path(), {"run"}).exit_code, 2);
  EXPECT_EQ(run_choana(folder.path(), {"run", "/nowhere", "--out", "/nowhere/out"}).exit_code, 2);
  const auto command = run_choana(folder.path(), {"statsu"});
  EXPECT_EQ(command.exit_code, 2);
  EXPECT_NE(command.output.find("status"), std::string::npos);
  const auto package = run_choana(folder.path(), {"run", ".", "--out", "x", "--package", "demo-npc-respons"});
  EXPECT_EQ(package.exit_code, 2);
  EXPECT_NE(package.output.find("demo-npc-response"), std::string::npos) << package.output;
}

// ---- bad input, first round: each ends as a stated verdict, never in silence

struct BadCase {
  fixtures::BadCase bad;
  std::set<std::string> reasons;   // acceptable codes
};

class BadInput : public testing::TestWithParam<BadCase> {};

TEST_P(BadInput, EndsAsNotAnalysedWithAReasonAndAReport) {
  const TemporaryFolder folder;
  fixtures::NpcStudyOptions options;
  options.sequences = {"t2"};
  options.node = false;
  options.bad = GetParam().bad;
  const auto study = write_study(folder.path() / "study", options);
  LoopbackPacs pacs(folder.path() / "pacs", 0);
  NodeUnderTest node(folder.path() / "node", {.pacs_port = pacs.port()});
  ASSERT_TRUE(node.start()) << node.log();
  const auto acknowledged = send_files(node.dicom_port(), files_below(folder.path() / "study"));
  ASSERT_FALSE(acknowledged.empty());
  const auto story = node.wait_for(study.study_instance_uid, settled);
  ASSERT_TRUE(story);
  const auto result = result_of(*story);
  EXPECT_EQ(result.at("outcome"), "not_analysed");
  EXPECT_TRUE(GetParam().reasons.contains(result.at("reason").at("code").get<std::string>())) << result.at("reason").dump();
  EXPECT_GT(result.at("reason").at("text").get<std::string>().size(), 20U);
  EXPECT_EQ(story->study.reason_code, result.at("reason").at("code"));
  EXPECT_EQ(result.at("objects").size(), 1U) << "the short SR";
  EXPECT_EQ(pacs.received().size(), 1U);
}

INSTANTIATE_TEST_SUITE_P(FirstRound, BadInput,
                         testing::Values(BadCase{fixtures::BadCase::missing_pixel_data, {"missing_pixel_data"}},
                                         BadCase{fixtures::BadCase::rtstruct_series_missing, {"roi_unresolved_reference"}},
                                         BadCase{fixtures::BadCase::roi_outside, {"roi_outside_image"}},
                                         BadCase{fixtures::BadCase::roi_one_voxel, {"roi_too_small"}}),
                         [](const auto& row) { return std::string(fixtures::to_string(row.param.bad)) == "" ? "none" : [&] {
                             std::string name(fixtures::to_string(row.param.bad));
                             for (char& c : name) if (c == '-') c = '_';
                             return name; }(); });

TEST(BadInputOnTheWire, ATruncatedObjectIsNeverAcknowledgedAndTheRestIsJudged) {
  const TemporaryFolder folder;
  fixtures::NpcStudyOptions options;
  options.sequences = {"t2"};
  options.bad = fixtures::BadCase::truncated;
  const auto study = write_study(folder.path() / "study", options);
  NodeUnderTest node(folder.path() / "node", {});
  ASSERT_TRUE(node.start()) << node.log();
  std::size_t sent = 0, good = 0;
  for (const fs::path& file : files_below(folder.path() / "study")) {
    ++sent;
    good += send_files(node.dicom_port(), {file}).size();
  }
  EXPECT_EQ(good, sent - 1);
  EXPECT_TRUE(node.wait_for(study.study_instance_uid, settled));
}

TEST(BadInputOnTheWire, TheSecondObjectOfOneUidIsKeptAsideAndFlagged) {
  const TemporaryFolder folder;
  fixtures::NpcStudyOptions options;
  options.sequences = {"t2"};
  options.bad = fixtures::BadCase::duplicate_uid;
  const auto study = write_study(folder.path() / "study", options);
  NodeUnderTest node(folder.path() / "node", {});
  ASSERT_TRUE(node.start()) << node.log();
  const auto files = files_below(folder.path() / "study");
  EXPECT_EQ(send_files(node.dicom_port(), files).size(), files.size());
  const auto story = node.wait_for(study.study_instance_uid, settled);
  ASSERT_TRUE(story);
  EXPECT_EQ(story->study.conflicts, 1);
  EXPECT_EQ(result_of(*story).at("outcome"), "reported");
  EXPECT_EQ(files_below(node.state_dir() / "spool").size(), files.size()) << "both are on disk";
  EXPECT_NE(node.log().find("instance_conflict"), std::string::npos);
}

TEST(Settings, AMisspeltKeyEndsTheStartWithTheNearMatch) {
  const TemporaryFolder folder;
  NodeUnderTest node(folder.path() / "node", {.more = "[log]\nlevle = \"info\"\n"});
  EXPECT_FALSE(node.start());
  EXPECT_NE(node.log().find("level"), std::string::npos) << node.log();
}

}  // namespace
}  // namespace choana::test
