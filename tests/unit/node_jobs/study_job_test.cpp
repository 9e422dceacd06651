#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/sha256.h"
#include "dicom-fixtures/synthetic/npc_study.h"
#include "dicom/dicom_reader.h"
#include "node/files.h"
#include "node/study_job.h"
#include "processing/prediction/model_package.h"
#include "processing/prediction/package_archive.h"
#include "processing/prediction/package_files.h"
#include "tests/support/shared_data.h"
#include "tests/support/study_job_request.h"

namespace choana::node {
namespace {

namespace fs = std::filesystem;

class StudyJob : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "choana-job-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
  }
  void TearDown() override { fs::remove_all(folder_); }

  static StudyJobRequest request_for(const fs::path& study, const fs::path& out) { return test::study_job_request(study, out); }

  fs::path folder_;
};

TEST_F(StudyJob, MeasuresEverySeriesThatARegionBindsTo) {
  fixtures::NpcStudyOptions options;
  options.small = true;
  options.node = false;
  const auto study = fixtures::write_npc_study(options, folder_ / "study");
  ASSERT_TRUE(study);
  const auto result = run_study_job(request_for(folder_ / "study", folder_ / "out"));
  ASSERT_TRUE(result) << to_string(result.error());
  EXPECT_EQ(result->findings.outcome, Outcome::reported) << to_string(result->findings.reason);
  EXPECT_EQ(result->findings.measured.size(), study->series.size());
  for (const Measurement& m : result->findings.measurements) EXPECT_EQ(m.features.size(), 107U) << m.role;
  for (const MeasuredSeries& m : result->findings.measured)
    for (const RegionOfInterest& roi : m.rois) EXPECT_NEAR(roi.volume_ml(), study->tumour_volume_ml, 0.1 * study->tumour_volume_ml) << m.role;
}

// The job's key names the package as it was admitted; whoever changes a package under a running node must not get results in its name.
TEST_F(StudyJob, RefusesAPackageThatChangedAfterItWasAdmitted) {
  fixtures::NpcStudyOptions options;
  options.small = true;
  options.sequences = {"t2"};
  ASSERT_TRUE(fixtures::write_npc_study(options, folder_ / "study"));
  const fs::path zip = folder_ / "model.zip";
  const auto files = processing::read_package_files(fs::path(CHOANA_SOURCE_DIR) / "conf/models/demo-t2-only");
  ASSERT_TRUE(files) << to_string(files.error());
  ASSERT_TRUE(processing::write_package_archive(*files, zip));
  const auto admitted = processing::ModelPackage::load(zip);
  ASSERT_TRUE(admitted) << to_string(admitted.error());
  StudyJobRequest request = request_for(folder_ / "study", folder_ / "out");
  request.packages = {zip.string()};
  request.package_digests = {admitted->sha256()};
  const auto parsed = parse_study_job(to_json(request));
  ASSERT_TRUE(parsed);
  const auto result = run_study_job(*parsed);
  ASSERT_TRUE(result) << to_string(result.error());
  EXPECT_FALSE(result->findings.predictions.empty());
  request.package_digests = {std::string(64, '0')};
  const auto changed = run_study_job(request);
  ASSERT_FALSE(changed);
  EXPECT_EQ(changed.error().code, ErrorCode::invalid_package);
  EXPECT_NE(changed.error().message.find("changed on disk"), std::string::npos) << changed.error().message;
  request.package_digests = {"refused"};
  EXPECT_NE(run_study_job(request).error().message.find("refused"), std::string::npos);
  request.package_digests = {"a", "b"};
  EXPECT_FALSE(parse_study_job(to_json(request)));
}

TEST_F(StudyJob, GivesTheSameBytesForTheSameRequestWhateverTheOrderOfFiles) {
  fixtures::NpcStudyOptions options;
  options.small = true;
  options.sequences = {"t2", "t1c"};
  ASSERT_TRUE(fixtures::write_npc_study(options, folder_ / "study"));
  StudyJobRequest request = request_for(folder_ / "study", folder_ / "a");
  ASSERT_TRUE(run_study_job(request));
  request.out_dir = (folder_ / "b").string();
  request.threads = 1;
  std::reverse(request.inputs.begin(), request.inputs.end());
  ASSERT_TRUE(run_study_job(request));
  int compared = 0;
  for (const auto& entry : fs::directory_iterator(folder_ / "a")) {
    if (entry.path().extension() != ".dcm") continue;
    EXPECT_EQ(sha256_hex_of_file(entry.path()).value(), sha256_hex_of_file(folder_ / "b" / entry.path().filename()).value()) << entry.path().filename();
    ++compared;
  }
  EXPECT_GE(compared, 5);
}

TEST_F(StudyJob, RequestSurvivesTheWayToTheWorker) {
  StudyJobRequest request;
  request.study_instance_uid = "1.2";
  request.inputs = {{"/a b/c.dcm", "1.2.3", "ff"}};
  request.packages = {"/models/x"};
  request.role_overrides = {{"T2", "1.2.9"}};
  request.report.language = "zh";
  request.report.sr_sop_class = reporting::SrSopClass::comprehensive3d;
  request.run = {"key", "20260101", "120000", "+0800", 2, {{"SR-R", "1", "2", "3"}}};
  const auto back = parse_study_job(to_json(request));
  ASSERT_TRUE(back);
  EXPECT_EQ(to_json(*back), to_json(request));
  EXPECT_EQ(back->report.sr_sop_class, reporting::SrSopClass::comprehensive3d);
  EXPECT_FALSE(parse_study_job("{}"));
}

TEST_F(StudyJob, RunKeyDependsOnContentNotOnOrder) {
  StudyJobRequest request;
  request.study_instance_uid = "1.2";
  request.inputs = {{"a", "1.1", "aa"}, {"b", "1.2", "bb"}};
  const std::string key = make_run_key(request, {"p"}, 0);
  std::swap(request.inputs[0], request.inputs[1]);
  EXPECT_EQ(make_run_key(request, {"p"}, 0), key);
  EXPECT_NE(make_run_key(request, {"q"}, 0), key);
  EXPECT_NE(make_run_key(request, {"p"}, 1), key);
  request.inputs[0].sha256 = "cc";
  EXPECT_NE(make_run_key(request, {"p"}, 0), key);
}

// The real sarcoma study: volumes of its README (even-odd fill on pixel centres).
TEST_F(StudyJob, MeasuresTheRealObliqueStudy) {
  CHOANA_NEEDS_SHARED("data/mr-t2fs-sts001-siemens-rtstruct");
  const auto result = run_study_job(request_for(test::shared_dir() / "data/mr-t2fs-sts001-siemens-rtstruct", folder_ / "out"));
  ASSERT_TRUE(result) << to_string(result.error());
  ASSERT_EQ(result->findings.outcome, Outcome::reported) << to_string(result->findings.reason);
  ASSERT_EQ(result->findings.measured.size(), 1U);
  std::map<std::string, double> volumes;
  for (const RegionOfInterest& roi : result->findings.measured[0].rois) volumes[roi.name()] = roi.volume_ml();
  EXPECT_NEAR(volumes["GTV_Mass"], 364.90, 0.5);
  EXPECT_NEAR(volumes["GTV_Edema"], 579.22, 0.5);
  ASSERT_EQ(result->findings.measurements.size(), 2U);
  for (const Measurement& m : result->findings.measurements) EXPECT_EQ(m.features.size(), 107U);
}

}  // namespace
}  // namespace choana::node
