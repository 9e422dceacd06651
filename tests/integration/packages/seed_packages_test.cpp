// The demonstration packages from DICOM to prediction, as `choana run --package NAME` does it.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "dicom-fixtures/synthetic/npc_study.h"
#include "node/study_job.h"
#include "processing/prediction/model_package.h"
#include "tests/support/study_job_request.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/processing/prediction/package_copy.h"

namespace choana::node {
namespace {

namespace fs = std::filesystem;

/// What the demo tells the node of its invented patient: training means.
std::vector<ClinicalValue> invented(const processing::PackageManifest& manifest) {
  std::vector<ClinicalValue> values;
  for (const processing::ClinicalInput& input : manifest.clinical)
    for (const processing::PackageFeature& feature : manifest.features)
      if (feature.id == "clinical." + input.name && input.name != "age")
        values.push_back({input.name, input.whole_number ? std::round(feature.train_mean) : feature.train_mean, input.unit, "2026-01-02", "file"});
  return values;
}

class SeedPackages : public testing::Test {
 protected:
  StudyFindings run(const std::string& name, const std::string& study) { return run_folder(std::string(CHOANA_SOURCE_DIR) + "/conf/models/" + name, name, study); }

  StudyFindings run_folder(const std::string& folder, const std::string& name, const std::string& study) {
    const auto package = processing::ModelPackage::load(folder);
    EXPECT_TRUE(package) << to_string(package.error());
    if (!package) return {};
    StudyJobRequest request = test::study_job_request(folder_ / study, folder_ / ("out-" + name + study), {folder});
    request.clinical = invented(package->manifest());
    auto result = run_study_job(request);
    EXPECT_TRUE(result) << to_string(result.error());
    return result ? std::move(result->findings) : StudyFindings{};
  }

  void write(const std::string& name, const fixtures::NpcStudyOptions& options) { ASSERT_TRUE(fixtures::write_npc_study(options, folder_ / name)); }

  test::TemporaryFolder temporary_;
  fs::path folder_ = temporary_.path();
};

TEST_F(SeedPackages, PredictTheStudyOfTheDemoWhichLiesInsideTheirTrainingRanges) {
  write("study", {});
  for (const char* name : {"demo-s1-response", "demo-s1-survival", "demo-s2-response", "demo-s4-recurrence", "demo-s5-response"}) {
    SCOPED_TRACE(name);
    const StudyFindings findings = run(name, "study");
    ASSERT_EQ(findings.outcome, Outcome::reported) << findings.reason.message;
    ASSERT_FALSE(findings.predictions.empty());
    const Prediction& primary = findings.predictions.front();
    EXPECT_GT(primary.value, 0);
    EXPECT_LT(primary.value, primary.unit == "%" ? 100 : 1);
    EXPECT_FALSE(primary.group.empty());
    EXPECT_FALSE(primary.explanation.contributions.empty());
    EXPECT_TRUE(primary.applicability.inside);
    for (const std::string& flag : primary.applicability.flags) ADD_FAILURE() << flag;
    if (name == std::string("demo-s5-response")) {
      ASSERT_TRUE(primary.interval_low && primary.interval_high) << "a package with a robustness block";
      EXPECT_LE(*primary.interval_low, primary.value);
      EXPECT_GE(*primary.interval_high, primary.value);
    }
    if (name == std::string("demo-s1-survival")) {
      ASSERT_EQ(findings.predictions.size(), 4U);
      EXPECT_GT(findings.predictions[1].value, findings.predictions[2].value) << "survival falls with time";
      EXPECT_GT(findings.predictions[2].value, findings.predictions[3].value);
    }
  }
}

TEST_F(SeedPackages, AreHarmonisedByTheSiteInTheHeadersOrGiveNoPrediction) {
  write("study", {});
  const test::PackageCopy copy("demo-s1-response");
  const StudyFindings known = run_folder(copy.folder().string(), "known", "study");
  ASSERT_EQ(known.predictions.size(), 2U);
  // The same scanner taken for another site gives another prediction.
  copy.replace("harmonisation.json", "\"Choana phantom\"", "\"Another\"");
  copy.replace("harmonisation.json", "\"Choana phantom B\"", "\"Choana phantom\"");
  copy.replace("harmonisation.json", "\"field_strength_t\":1.5", "\"field_strength_t\":3.0");
  copy.seal();
  const StudyFindings other = run_folder(copy.folder().string(), "other", "study");
  ASSERT_EQ(other.predictions.size(), 2U) << other.reason.message;
  EXPECT_NE(*other.predictions[0].margin, *known.predictions[0].margin);
  // A scanner of no site: what the header holds, and which sites there are.
  copy.replace("harmonisation.json", "\"Choana phantom\"", "\"Nobody's\"");
  copy.seal();
  const StudyFindings unknown = run_folder(copy.folder().string(), "unknown", "study");
  EXPECT_TRUE(unknown.predictions.empty());
  bool said = false;
  for (const StudyIssue& issue : unknown.issues)
    said = said || (issue.code == ErrorCode::outside_training_range && issue.text.find("'Choana phantom'") != std::string::npos && issue.text.find("(a, b, c)") != std::string::npos);
  EXPECT_TRUE(said);
}

TEST_F(SeedPackages, TellAnEvenCompactTumourFromAnUnevenLargeOne) {
  // The truth of the generator, at values inside the training ranges: even and compact is good.
  fixtures::NpcStudyOptions good, bad;
  good.seed = 4001;
  good.response = 0.9;
  good.tumour_ml = 14;
  bad.seed = 4002;
  bad.response = 0.1;
  bad.tumour_ml = 45;
  write("good", good);
  write("bad", bad);
  for (const auto& [name, sign] : {std::pair{"demo-s1-response", 1}, std::pair{"demo-s2-response", 1}, std::pair{"demo-s4-recurrence", -1}, std::pair{"demo-s5-response", 1}}) {
    SCOPED_TRACE(name);
    const StudyFindings even = run(name, "good"), uneven = run(name, "bad");
    ASSERT_FALSE(even.predictions.empty() || uneven.predictions.empty());
    EXPECT_GT(sign * even.predictions.front().value, sign * uneven.predictions.front().value + 10);
  }
}

TEST_F(SeedPackages, FindHabitatsOnSeriesBetweenWhichThePatientMoved) {
  fixtures::NpcStudyOptions options;
  options.sequences = {"t2", "t1c", "t1cfs"};
  options.motion_mm = 2;
  write("moved", options);
  const StudyFindings findings = run("demo-s3-residual", "moved");
  ASSERT_EQ(findings.outcome, Outcome::reported) << findings.reason.message;
  ASSERT_EQ(findings.predictions.size(), 4U) << "the probability and three Rad-scores";
  EXPECT_EQ(findings.predictions.front().explanation.contributions.size(), 9U);
  EXPECT_EQ(findings.habitats.size(), 3U);
  EXPECT_EQ(std::count_if(findings.steps.begin(), findings.steps.end(), [](const StepRecord& step) { return step.name == "register"; }), 2);
}

TEST_F(SeedPackages, HarmoniseAStudyOfAnotherSiteOfTheTraining) {
  fixtures::NpcStudyOptions options;
  options.sequences = {"t2"};
  options.site = fixtures::Site::b;
  write("known", options);
  const StudyFindings known = run("demo-s4-recurrence", "known");
  EXPECT_FALSE(known.predictions.empty()) << "site b was in training";
}

}  // namespace
}  // namespace choana::node
