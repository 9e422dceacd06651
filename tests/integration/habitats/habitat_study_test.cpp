// A package with habitats and registration over a whole study: DICOM in, objects out.

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "dicom-fixtures/synthetic/npc_study.h"
#include "dicom/dicom_reader.h"
#include "node/files.h"
#include "node/study_job.h"
#include "processing/prediction/model_package.h"
#include "tests/support/dicom_checks.h"
#include "tests/support/study_job_request.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/processing/prediction/package_copy.h"

namespace choana::node {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// A small package, its self-test computed by the definition of a logistic score.
struct HabitatPackage : test::PackageCopy {
  std::vector<std::string> features;

  explicit HabitatPackage(const std::string& habitats, const std::string& preprocessing = "", std::vector<std::array<std::string, 4>> rows = default_rows(), const std::string& missing = "refuse") {
    for (const auto& entry : fs::directory_iterator(folder())) fs::remove_all(entry.path());
    std::string manifest = R"(format: choana-model/1
id: habitat-test
version: 1.0.0
title: Habitats of a test
status: demonstration
intended_use: For tests alone.
inputs:
  sequences:
    T1C: {required: true, accepts: [T1C]}
    T2: {required: true, accepts: [T2]}
  rois:
    primary: {required: true, of: [T1C, T2], names: [GTVp]}
)";
    if (!preprocessing.empty()) manifest += "preprocessing:\n" + preprocessing;
    manifest += "habitats: " + habitats + R"(
extraction: {T1C: extraction/all.yaml, T2: extraction/all.yaml}
features: features.csv
stages:
  - {id: score, type: linear, file: model/score.ir.json, in: features, link: logistic}
outputs:
  - {from: score, name: Test, endpoint: TEST, unit: "%", primary: true}
missing: {radiomic: )" + missing + ", habitat: " + missing + R"(}
selftest: {file: selftest.csv}
)";
    write("manifest.yaml", manifest);
    write("extraction/all.yaml", "imageType:\n  Original: {}\nfeatureClass:\n  firstorder: [Mean, Median]\n  glcm: [Idm]\nsetting:\n  binCount: 25\n");
    std::string csv = "order,id,role,roi,kind,feature,unit,train_mean,train_sd,q01,q99\n", names, header = "case", row;
    json model = {{"ir", 1}, {"kind", "linear"}, {"features", json::array()}, {"coef", json::array()}, {"link", "logistic"}};
    int order = 0;
    for (const auto& [role, roi, kind, feature] : rows) {
      const std::string id = role + "." + roi + "." + feature;
      csv += std::to_string(++order) + "," + id + "," + role + "," + roi + "," + kind + "," + feature + ",1,0,1,-1000000,1000000\n";
      model["features"].push_back(id);
      model["coef"].push_back(order == 1 ? 1e-4 : -1e-4);
      header += "," + id;
      features.push_back(id);
    }
    write("features.csv", csv);
    model["intercept"].push_back(0.25);
    write("model/score.ir.json", model.dump());
    std::string selftest = header + ",score,score.margin\n";
    char text[64];
    for (int n = 0; n < 20; ++n) {
      double margin = 0.25;
      std::string line = "row" + std::to_string(n);
      for (int f = 0; f < order; ++f) {
        const double value = 3.0 * n - 7.0 * f;
        margin += (f == 0 ? 1e-4 : -1e-4) * value;
        std::snprintf(text, sizeof text, ",%.17g", value);
        line += text;
      }
      std::snprintf(text, sizeof text, ",%.17g,%.17g\n", 1 / (1 + std::exp(-margin)), margin);
      selftest += line + text;
    }
    write("selftest.csv", selftest);
    write("MODEL_CARD.md", "# Test\n");
    seal();
  }

  static std::vector<std::array<std::string, 4>> default_rows() {
    return {{"T2", "habitat1", "radiomic", "original_firstorder_Mean"}, {"T2", "habitat2", "habitat", "original_firstorder_Mean"}, {"T2", "habitat2", "habitat", "fraction"},
            {"T2", "habitat", "habitat", "count"},                      {"T1C", "primary", "radiomic", "original_glcm_Idm"}};
  }
};

class HabitatStudy : public testing::Test {
 protected:
  StudyJobResult run(const HabitatPackage& package, fixtures::NpcStudyOptions options = {}, const std::string& out = "out") {
    options.small = true;
    options.node = false;
    options.sequences = {"t2", "t1c"};
    EXPECT_TRUE(fs::exists(folder_ / "study") || fixtures::write_npc_study(options, folder_ / "study"));
    const StudyJobRequest request = test::study_job_request(folder_ / "study", folder_ / out, {package.folder().string()});
    const auto loaded = processing::ModelPackage::load(package.folder());
    EXPECT_TRUE(loaded) << loaded.error().message;
    auto result = run_study_job(request);
    EXPECT_TRUE(result) << to_string(result.error());
    return result ? std::move(*result) : StudyJobResult{};
  }

  [[nodiscard]] std::vector<fs::path> files_starting(const std::string& stem, const std::string& out = "out") const {
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(folder_ / out))
      if (entry.path().filename().string().starts_with(stem)) found.push_back(entry.path());
    std::sort(found.begin(), found.end());
    return found;
  }

  test::TemporaryFolder temporary_;
  fs::path folder_ = temporary_.path();
};

const char* const two_of_t2 = "{name: habitat, on: T2, of: primary, features: [T2], k: 2, order: {by: T2, direction: ascending}, seed: 1, minimum_voxels: 5}";

TEST_F(HabitatStudy, MeasuresPredictsAndDrawsHabitats) {
  const HabitatPackage package(two_of_t2);
  const StudyJobResult result = run(package);
  const StudyFindings& findings = result.findings;
  ASSERT_EQ(findings.outcome, Outcome::reported) << findings.reason.message;
  ASSERT_EQ(findings.habitats.size(), 1U);
  const HabitatMap& map = findings.habitats.front();
  ASSERT_EQ(map.habitats.size(), 2U);
  EXPECT_LT(map.habitats[0].means[0].second, map.habitats[1].means[0].second);
  const RegionOfInterest& region = findings.measured[map.measured].rois[map.roi];
  std::vector<int> covered(region.mask().size(), 0);
  for (const Habitat& habitat : map.habitats)
    for (std::size_t n = 0; n < covered.size(); ++n) covered[n] += habitat.region.mask()[n];
  for (std::size_t n = 0; n < covered.size(); ++n) ASSERT_EQ(covered[n], region.mask()[n] != 0 ? 1 : 0);
  EXPECT_EQ(findings.predictions.size(), 1U);
  // The mean of a habitat without resampling is the mean of its voxels: two ways to one number.
  for (const Measurement& m : findings.measurements)
    if (m.roi == map.habitats[0].region.name()) {
      EXPECT_NEAR(*m.features.number({"original", "firstorder", "Mean"}), map.habitats[0].means[0].second, 1e-6);
    }

  // The SEG read back by our own reader: one segment a habitat, the same voxels.
  const auto segs = files_starting("SEG-HAB");
  ASSERT_EQ(segs.size(), 1U);
  const auto object = dicom::read_segmentation(segs.front());
  ASSERT_TRUE(object);
  EXPECT_EQ(object->content_label, "HABITATS");
  ASSERT_EQ(object->segments.size(), 2U);
  EXPECT_EQ(object->segments[1].tracking_id, "GTVp habitat 2");
  std::array<std::size_t, 2> voxels{};
  for (const SegmentFrame& frame : object->frames)
    for (const float value : frame.values) voxels[static_cast<std::size_t>(frame.segment_number - 1)] += value > 0 ? 1 : 0;
  EXPECT_EQ(voxels[0], map.habitats[0].region.voxels());
  EXPECT_EQ(voxels[1], map.habitats[1].region.voxels());

  const json document = json::parse(std::ifstream(folder_ / "out" / "result.json"));
  ASSERT_EQ(document["habitats"].size(), 1U);
  EXPECT_EQ(document["habitats"][0]["habitats"][1]["name"], "GTVp habitat 2");
  EXPECT_FALSE(files_starting("SR-R-T2-habitats").empty());
  bool page = false;
  for (const auto& entry : fs::directory_iterator(folder_ / "out" / "charts")) page = page || entry.path().filename().string().find("habitats") != std::string::npos;
  EXPECT_TRUE(page);
}

TEST_F(HabitatStudy, WritesObjectsThatDciodvfyAccepts) {
  CHOANA_NEEDS_PROGRAM("dciodvfy");
  (void)run(HabitatPackage(two_of_t2));
  for (const auto& file : files_starting("")) {
    if (file.extension() != ".dcm") continue;
    EXPECT_EQ(test::dciodvfy_errors(file), std::vector<std::string>{}) << file.filename();
    EXPECT_EQ(test::dciodvfy_warnings(file), std::vector<std::string>{}) << file.filename();
  }
}

TEST_F(HabitatStudy, ChoosesTheNumberByBicAndLetsThePackageDecideAboutMissingHabitats) {
  const HabitatPackage package("{name: habitat, on: T2, of: primary, features: [T2], k: bic, k_max: 9, order: {by: T2}, minimum_voxels: 5}", "",
                               {{"T2", "habitat1", "radiomic", "original_firstorder_Mean"}, {"T2", "habitat9", "radiomic", "original_firstorder_Mean"}});
  const StudyFindings findings = run(package).findings;
  EXPECT_EQ(findings.outcome, Outcome::reported);
  ASSERT_EQ(findings.habitats.size(), 1U);
  EXPECT_LE(findings.habitats[0].criterion.size(), 9U);
  EXPECT_LT(findings.habitats[0].habitats.size(), 9U);
  EXPECT_TRUE(findings.predictions.empty());
  bool said = false;
  for (const StudyIssue& issue : findings.issues) said = said || issue.text.find("habitat9") != std::string::npos;
  EXPECT_TRUE(said) << "the missing feature is named";
}

TEST_F(HabitatStudy, RegistersTheOtherSeriesAndMeasuresItOnEitherGrid) {
  // One frame of reference, so the region carried by registration must lie where the geometry puts it.
  const HabitatPackage own("{on: T2, of: primary, features: [T2, T1C], k: 2, order: {by: T2}, minimum_voxels: 5, measured_on: [T2, T1C]}", "  - {step: register, to: T2, roles: [T1C], agreement_min: 0.3, focus_margin_mm: 10}\n");
  const StudyFindings findings = run(own).findings;
  ASSERT_EQ(findings.outcome, Outcome::reported) << findings.reason.message;
  const auto step = std::find_if(findings.steps.begin(), findings.steps.end(), [](const StepRecord& s) { return s.name == "register"; });
  ASSERT_NE(step, findings.steps.end());
  const json record = json::parse(step->parameters);
  EXPECT_EQ(record["to"], "T2");
  EXPECT_LT(record["translation_mm"], 1.0);
  EXPECT_LT(record["rotation_deg"], 1.5);
  ASSERT_FALSE(findings.habitats.empty());
  EXPECT_EQ(findings.habitats[0].habitats[0].means.size(), 2U);
  // Measured on both series, so drawn on both.
  EXPECT_EQ(files_starting("SEG-HAB").size(), 2U);
  EXPECT_EQ(files_starting("SR-R-T1C-habitats").size(), 1U);
  double on_t2 = 0, on_t1c = 0;
  for (const MeasuredSeries& measured : findings.measured) (measured.role == "T2" ? on_t2 : on_t1c) = measured.rois.at(0).volume_ml();
  EXPECT_NEAR(on_t1c, on_t2, 0.1 * on_t2);

  const HabitatPackage onto("{on: T2, of: primary, features: [T1C], k: 2, order: {by: T1C}, minimum_voxels: 5, measured_on: [T1C]}", "  - {step: register, to: T2, roles: [T1C], resample: true, agreement_min: 0.3, focus_margin_mm: 10}\n",
                            {{"T1C", "habitat1", "radiomic", "original_firstorder_Mean"}, {"T1C", "primary", "radiomic", "original_firstorder_Mean"}});
  const StudyFindings resampled = run(onto, {}, "out2").findings;
  ASSERT_EQ(resampled.outcome, Outcome::reported) << resampled.reason.message;
  EXPECT_EQ(resampled.predictions.size(), 1U);
  bool noted = false;
  for (const Measurement& m : resampled.measurements)
    for (const std::string& note : m.notes) noted = noted || note.find("resampled onto the grid of T2") != std::string::npos;
  EXPECT_TRUE(noted);
}

// Another session: a frame of reference of its own, in which the patient lies elsewhere.
void move_series(const fs::path& folder, const Vector3& by_mm, const std::string& frame_uid, const std::string& study_uid = "", const std::string& patient_id = "") {
  for (const auto& entry : fs::directory_iterator(folder)) {
    DcmFileFormat file;
    ASSERT_TRUE(file.loadFile(entry.path().c_str()).good());
    ASSERT_TRUE(file.loadAllDataIntoMemory().good());
    DcmDataset& data = *file.getDataset();
    OFString text;
    for (unsigned long axis = 0; axis < 3; ++axis) {
      double at = 0;
      ASSERT_TRUE(data.findAndGetFloat64(DCM_ImagePositionPatient, at, axis).good());
      char number[32];
      std::snprintf(number, sizeof number, "%.9g", at + by_mm[axis]);
      text += (axis > 0 ? "\\" : "") + std::string(number);
    }
    ASSERT_TRUE(data.putAndInsertOFStringArray(DCM_ImagePositionPatient, text).good());
    ASSERT_TRUE(data.putAndInsertString(DCM_FrameOfReferenceUID, frame_uid.c_str()).good());
    ASSERT_TRUE(study_uid.empty() || data.putAndInsertString(DCM_StudyInstanceUID, study_uid.c_str()).good());
    ASSERT_TRUE(patient_id.empty() || data.putAndInsertString(DCM_PatientID, patient_id.c_str()).good());
    ASSERT_TRUE(file.saveFile(entry.path().c_str()).good());
  }
}

Vector3 centre_of(const RegionOfInterest& roi) {
  Vector3 sum{};
  const Index3& size = roi.geometry().size();
  for (int k = 0; k < size[2]; ++k)
    for (int j = 0; j < size[1]; ++j)
      for (int i = 0; i < size[0]; ++i)
        if (roi.mask()[roi.geometry().offset(i, j, k)] != 0) sum = sum + roi.geometry().index_to_patient({static_cast<double>(i), static_cast<double>(j), static_cast<double>(k)});
  return (1.0 / static_cast<double>(roi.voxels())) * sum;
}

const char* const registered_t1c = "  - {step: register, to: T2, roles: [T1C], focus_margin_mm: 10}\n";

TEST_F(HabitatStudy, CarriesTheRegionToASeriesOfAnotherFrameOfReference) {
  fixtures::NpcStudyOptions options;
  options.small = true;
  options.node = false;
  options.sequences = {"t2", "t1c"};
  ASSERT_TRUE(fixtures::write_npc_study(options, folder_ / "study"));
  const Vector3 shift{9, -14, 5};
  move_series(folder_ / "study" / "T1C", shift, "1.2.826.0.1.3680043.10.1");
  const HabitatPackage without(two_of_t2);
  EXPECT_EQ(run(without, {}, "out0").findings.outcome, Outcome::not_analysed) << "never carried without registration";
  const StudyFindings findings = run(HabitatPackage(two_of_t2, registered_t1c)).findings;
  ASSERT_EQ(findings.outcome, Outcome::reported) << findings.reason.message;
  Vector3 on_t2{}, on_t1c{};
  for (const MeasuredSeries& measured : findings.measured) (measured.role == "T2" ? on_t2 : on_t1c) = centre_of(measured.rois.at(0));
  EXPECT_LT(norm(on_t1c - on_t2 - shift), 1.0);
  if (!test::has_program("dciodvfy")) return;
  for (const auto& file : files_starting("SEG")) EXPECT_EQ(test::dciodvfy_errors(file), std::vector<std::string>{}) << file.filename();
}

TEST_F(HabitatStudy, RefusesTheSeriesOfAnotherPatient) {
  fixtures::NpcStudyOptions options;
  options.small = true;
  options.node = false;
  options.sequences = {"t2"};
  const auto study = fixtures::write_npc_study(options, folder_ / "study");
  options.seed = 77;
  options.roi = fixtures::RoiObject::none;
  options.sequences = {"t1c"};
  ASSERT_TRUE(study && fixtures::write_npc_study(options, folder_ / "other"));
  move_series(folder_ / "other" / "T1C", {}, "1.2.826.0.1.3680043.10.2", study->study_instance_uid, study->patient_id);
  fs::rename(folder_ / "other" / "T1C", folder_ / "study" / "T1C");
  const StudyFindings findings = run(HabitatPackage(two_of_t2, registered_t1c)).findings;
  EXPECT_EQ(findings.outcome, Outcome::not_analysed);
  EXPECT_NE(findings.reason.message.find("could not be registered"), std::string::npos) << findings.reason.message;
  for (const StepRecord& step : findings.steps)
    if (step.name == "register") RecordProperty("registration", step.parameters);
}

TEST_F(HabitatStudy, WithholdsThePackageWhenTheRegistrationIsRefused) {
  const HabitatPackage package(two_of_t2, "  - {step: register, to: T2, roles: [T1C], agreement_min: 1.01}\n");
  const StudyFindings findings = run(package).findings;
  EXPECT_EQ(findings.outcome, Outcome::not_analysed);
  EXPECT_EQ(findings.reason.code, ErrorCode::geometry_mismatch);
  EXPECT_NE(findings.reason.message.find("T1C could not be registered to T2"), std::string::npos) << findings.reason.message;
  const HabitatPackage lenient(two_of_t2, "  - {step: register, to: T2, roles: [T1C], agreement_min: 1.01, otherwise: geometry}\n");
  const StudyFindings placed = run(lenient, {}, "out2").findings;
  EXPECT_EQ(placed.outcome, Outcome::reported) << placed.reason.message;
  bool said = false;
  for (const StudyIssue& issue : placed.issues) said = said || issue.text.find("common frame of reference alone") != std::string::npos;
  EXPECT_TRUE(said);
}

TEST(HabitatManifest, RefusesWhatCannotBeCarriedOut) {
  const auto message = [](const std::string& habitats, const std::string& preprocessing = "") {
    const HabitatPackage package(habitats, preprocessing);
    const auto loaded = processing::ModelPackage::load(package.folder());
    return loaded ? std::string("admitted") : loaded.error().message;
  };
  EXPECT_EQ(message(two_of_t2), "admitted");
  EXPECT_NE(message("{on: T2, of: primary, k: 2}").find("order"), std::string::npos);
  EXPECT_NE(message("{on: T3, of: primary, order: {by: T2}}").find("habitats.on"), std::string::npos);
  EXPECT_NE(message("{on: T2, of: node, order: {by: T2}}").find("habitats.of"), std::string::npos);
  EXPECT_NE(message("{on: T2, of: primary, order: {by: T1C}}").find("order.by"), std::string::npos);
  EXPECT_NE(message("{on: T2, of: primary, k: 12, order: {by: T2}}").find("habitats.k"), std::string::npos);
  EXPECT_NE(message("{on: T2, of: primary, clustering: forest, order: {by: T2}}").find("kmeans"), std::string::npos);
  EXPECT_NE(message("{on: T2, of: primary, k: 1, order: {by: T2}}").find("habitat2"), std::string::npos) << "features.csv wants a second one";
  EXPECT_NE(message(two_of_t2, "  - {step: register, too: T2}\n").find("too"), std::string::npos);
}

}  // namespace
}  // namespace choana::node
