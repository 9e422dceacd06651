// A package with an image network over a whole study: DICOM in, objects out, in the worker's own confinement.

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/sha256.h"
#include "dicom-fixtures/synthetic/npc_study.h"
#include "node/files.h"
#include "node/study_job.h"
#include "processing/prediction/model_package.h"
#include "reporting/feature_codes.h"
#include "tests/support/deep_package.h"
#include "tests/support/study_job_request.h"
#include "tests/support/temporary_folder.h"

namespace choana::node {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class DeepStudy : public testing::Test {
 protected:
  StudyJobRequest request(const test::PackageCopy& package, const std::string& out = "out") {
    fixtures::NpcStudyOptions options;
    options.small = true;
    options.node = false;
    options.sequences = {"t2"};
    EXPECT_TRUE(fs::exists(folder_ / "study") || fixtures::write_npc_study(options, folder_ / "study"));
    return test::study_job_request(folder_ / "study", folder_ / out, {package.folder().string()});
  }

  [[nodiscard]] json result(const std::string& out = "out") const {
    std::ifstream in(folder_ / out / "result.json");
    return json::parse(in);
  }

  test::TemporaryFolder temporary_;
  fs::path folder_ = temporary_.path();
};

TEST_F(DeepStudy, TheFeaturesOfTheModelStandInTheResultWithTheirNetworkAndTheirSlice) {
  const test::DeepPackage copy;
  const auto package = processing::ModelPackage::load(copy.folder());
  ASSERT_TRUE(package) << package.error().message;
  const processing::DeepNetwork& network = package->networks().front();
  auto done = run_study_job(request(copy));
  ASSERT_TRUE(done) << to_string(done.error());
  const StudyFindings& findings = done->findings;
  ASSERT_EQ(findings.outcome, Outcome::reported) << findings.reason.message;

  // What the library gives by itself on the same series and region.
  ASSERT_EQ(findings.measured.size(), 1U);
  const auto alone = network.extract(findings.measured[0].volume, findings.measured[0].rois[0]);
  ASSERT_TRUE(alone) << alone.error().message;
  ASSERT_EQ(findings.measurements.size(), 1U);
  const FeatureVector& features = findings.measurements[0].features;
  std::size_t deep = 0;
  for (const FeatureValue& value : features.values()) deep += value.id.family == "deep" ? 1 : 0;
  EXPECT_EQ(deep, 2U) << "only those that the model uses";
  ASSERT_EQ(findings.predictions.size(), 1U);
  EXPECT_EQ(features.number(deep_feature_id(network, 1)), static_cast<double>(alone->values[1]));
  EXPECT_EQ(features.number(deep_feature_id(network, 4)), static_cast<double>(alone->values[4]));
  EXPECT_NEAR(*findings.predictions[0].margin, 2.0 * alone->values[1] - 0.5 * alone->values[4] + 0.25, 1e-12);
  ASSERT_EQ(findings.predictions[0].explanation.contributions.size(), 2U);
  EXPECT_EQ(findings.predictions[0].explanation.contributions[0].feature, "T2.primary.deep_1");
  EXPECT_EQ(findings.predictions[0].explanation.contributions[0].label, "T2 deep 1 of " + network.label().substr(8));

  const auto step = std::find_if(findings.steps.begin(), findings.steps.end(), [](const StepRecord& s) { return s.name == "deep_features"; });
  ASSERT_NE(step, findings.steps.end());
  const json record = json::parse(step->parameters);
  EXPECT_EQ(record["sha256"], sha256_hex(test::small_network()));
  EXPECT_EQ(record["slice"], alone->slice);
  EXPECT_EQ(record["preparation"]["crop"], "region");
  EXPECT_TRUE(json::accept(findings.measurements[0].parameters)) << findings.measurements[0].parameters;

  const reporting::FeatureCode code = reporting::feature_code(deep_feature_id(network, 4));
  EXPECT_EQ(code.concept_name.scheme, "99CHOANA");
  EXPECT_EQ(code.concept_name.meaning, "Deep feature 4 of " + network.label());
  bool found = false;
  const json written = result();
  for (const json& row : written["features"])
    if (row["name"] == network.label() + "_deep_4") found = row["code"]["value"] == code.concept_name.value && row["value"] == static_cast<double>(alone->values[4]);
  EXPECT_TRUE(found) << written["features"].back().dump();
}

TEST_F(DeepStudy, AnImageThatANetworkCannotSeeIsAMissingFeatureWithItsReason) {
  const test::DeepPackage copy;
  copy.replace("manifest.yaml", "deep:\n", "preprocessing:\n  - {step: normalise, mean: 0, sd: 1.0e+300}\ndeep:\n");  // every voxel becomes 0
  copy.seal();
  auto done = run_study_job(request(copy));
  ASSERT_TRUE(done) << to_string(done.error());
  EXPECT_TRUE(done->findings.predictions.empty());
  ASSERT_EQ(done->findings.measurements.size(), 1U);
  std::size_t reasons = 0;
  for (const FeatureValue& value : done->findings.measurements[0].features.values())
    if (value.id.family == "deep") {
      ASSERT_FALSE(value.computed());
      EXPECT_EQ(std::get<NotComputed>(value.value).reason, to_string(ErrorCode::degenerate_input));
      ++reasons;
    }
  EXPECT_EQ(reasons, 2U);
  std::string said;
  for (const StudyIssue& issue : done->findings.issues) said += issue.text + "\n";
  EXPECT_NE(said.find("single grey value"), std::string::npos) << said;
  EXPECT_NE(said.find("T2.primary.deep_1, T2.primary.deep_4"), std::string::npos) << said;
}

// The daemon's own way: a process of its own, the filter of system calls, no new privileges, limits on memory and CPU time; and here
// also no page that is both written and run, as the service unit's MemoryDenyWriteExecute has it.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST_F(DeepStudy, RunsInTheConfinementOfTheWorkerWithoutExecutableMemoryOfItsOwn) {
  const test::DeepPackage copy;
  StudyJobRequest wanted = request(copy);
  wanted.memory_max_mib = 4096;
  wanted.wall_max_s = 300;
  fs::create_directories(folder_ / "out");
  ASSERT_TRUE(write_file(folder_ / "request.json", to_json(wanted)));
  const pid_t child = fork();
  if (child == 0) {
#if defined(PR_SET_MDWE)
    prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0);
#else
    prctl(65, 1UL, 0UL, 0UL, 0UL);  // PR_SET_MDWE of Linux 6.3
#endif
    execl(CHOANA_BIN_DIR "/choanad", "choanad", "--worker", (folder_ / "request.json").c_str(), static_cast<char*>(nullptr));
    _exit(99);
  }
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  const json found = result();
  EXPECT_EQ(found["outcome"], "reported");
  EXPECT_EQ(found["predictions"].size(), 1U) << found["issues"].dump();
}
#endif

}  // namespace
}  // namespace choana::node
