// From a study as facts to a prediction with its interval: the demonstration package with a rule for robustness.

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <numbers>
#include <random>

#include "processing/prediction/robustness.h"
#include "processing/study_pipeline.h"
#include "tests/unit/processing/prediction/package_copy.h"

namespace choana::processing {
namespace {

using test::PackageCopy;

constexpr const char* series_uid = "1.2.3.4.5";

/// A textured block of tissue with a ball of another texture, delineated by circles.
StudyInput study() {
  StudyInput input;
  input.study_instance_uid = "1.2.3.4";
  std::mt19937 random(5);
  const int columns = 80, rows = 72, slices = 18;
  const double spacing = 0.8, distance = 3;
  std::vector<AcquiredSlice> series;
  StructureSet set;
  set.sop_class_uid = "1.2.840.10008.5.1.4.1.1.481.3";
  set.sop_instance_uid = "1.2.3.9";
  set.series_instance_uid = "1.2.3.8";
  StructureSetRoi roi;
  roi.number = 1;
  roi.name = "GTVp";
  roi.frame_of_reference_uid = "1.2.3.7";
  const Vector3 centre{32, 28, 27};
  for (int k = 0; k < slices; ++k) {
    AcquiredSlice slice;
    slice.study_instance_uid = input.study_instance_uid;
    slice.series_instance_uid = series_uid;
    slice.sop_class_uid = "1.2.840.10008.5.1.4.1.1.4";
    slice.sop_instance_uid = std::string(series_uid) + "." + std::to_string(k + 1);
    slice.frame_of_reference_uid = roi.frame_of_reference_uid;
    slice.instance_number = k + 1;
    slice.series_number = 3;
    slice.columns = columns;
    slice.rows = rows;
    slice.position_mm = {0, 0, distance * k};
    slice.column_spacing_mm = slice.row_spacing_mm = spacing;
    slice.has_geometry = true;
    slice.acquisition.modality = "MR";
    slice.acquisition.series_description = "T2 TSE tra";
    slice.acquisition.manufacturer = "Siemens Healthineers";
    slice.acquisition.repetition_time_ms = 9800;
    slice.acquisition.echo_time_ms = 95;
    auto pixels = std::make_shared<std::vector<float>>();
    for (int j = 0; j < rows; ++j)
      for (int i = 0; i < columns; ++i) {
        const Vector3 p{spacing * i, spacing * j, distance * k};
        const bool inside = norm(p - centre) < 15;
        pixels->push_back(std::round((inside ? 420.0 : 260.0) + (inside ? 60 : 25) * std::sin(0.7 * i) * std::cos(0.5 * j + k) + 30 * (static_cast<double>(random()) / 4294967296.0)));
      }
    slice.pixels = pixels;
    const double height = distance * k - centre[2], radius = std::sqrt(std::max(0.0, 14.0 * 14 - height * height));
    if (radius > 2) {
      PlanarContour contour{"CLOSED_PLANAR", {}, {slice.sop_instance_uid}};
      for (int n = 0; n < 60; ++n)
        contour.points_mm.push_back({centre[0] + radius * std::cos(2 * std::numbers::pi * n / 60), centre[1] + radius * std::sin(2 * std::numbers::pi * n / 60), distance * k});
      roi.contours.push_back(std::move(contour));
    }
    series.push_back(std::move(slice));
  }
  set.rois.push_back(std::move(roi));
  input.structure_sets.push_back(std::move(set));
  input.series.push_back(series);
  input.load = [series](const std::string&) -> Result<std::vector<AcquiredSlice>> { return series; };
  return input;
}

StudyFindings run(const ModelPackage& package, TaskPool* pool = nullptr) {
  PipelineSettings settings;
  settings.packages = {&package};
  settings.role_overrides = {{"T2", series_uid}};
  settings.pool = pool;
  // CPU seconds, for the record of steps.
  settings.now_s = [] { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; };
  return StudyPipeline(std::move(settings)).run(study());
}

ModelPackage load(const PackageCopy& copy) {
  copy.seal();
  auto package = ModelPackage::load(copy.folder());
  EXPECT_TRUE(package) << to_string(package.error());
  return *package;
}

TEST(StudyRobustness, GivesThePredictionAnIntervalAndLeavesItsValueAsItIs) {
  const PackageCopy copy, with_rule;
  with_rule.replace("manifest.yaml", "thresholds:", "robustness: {count: 12, seed: 3, moved_sd: 0.1}\nthresholds:");
  const ModelPackage plain = load(copy), robust = load(with_rule);
  const StudyFindings without = run(plain), with = run(robust);
  ASSERT_EQ(without.predictions.size(), 1U) << (without.issues.empty() ? "" : without.issues.front().text);
  ASSERT_EQ(with.predictions.size(), 1U);
  EXPECT_FALSE(without.predictions[0].robustness);
  const Prediction& prediction = with.predictions[0];
  EXPECT_EQ(prediction.value, without.predictions[0].value) << "perturbing changes nothing of the prediction itself";
  ASSERT_EQ(with.measurements.size(), without.measurements.size());
  for (std::size_t n = 0; n < with.measurements[0].features.size(); ++n)
    EXPECT_EQ(with.measurements[0].features.values()[n].value, without.measurements[0].features.values()[n].value);
  ASSERT_TRUE(prediction.robustness);
  EXPECT_EQ(prediction.robustness->count, 12);
  EXPECT_EQ(prediction.robustness->used, 12);
  ASSERT_TRUE(prediction.interval_low && prediction.interval_high);
  EXPECT_LE(*prediction.interval_low, prediction.value);
  EXPECT_GE(*prediction.interval_high, prediction.value);
  EXPECT_GT(*prediction.interval_high - *prediction.interval_low, 0.01);
  EXPECT_LT(*prediction.interval_high - *prediction.interval_low, 60);
  EXPECT_FALSE(prediction.robustness->moved.empty());
  EXPECT_TRUE(prediction.robustness->kept.empty());
  const auto step = std::find_if(with.steps.begin(), with.steps.end(), [](const StepRecord& s) { return s.name == "perturb"; });
  ASSERT_NE(step, with.steps.end());
  EXPECT_NE(step->parameters.find("\"perturbed\":12,\"measured\":12"), std::string::npos) << step->parameters;
  RecordProperty("perturb_cpu_s", std::to_string(step->seconds));
}

TEST(StudyRobustness, IsTheSameOnAnyNumberOfThreads) {
  const PackageCopy copy;
  copy.replace("manifest.yaml", "thresholds:", "robustness: {count: 8}\nthresholds:");
  const ModelPackage package = load(copy);
  const StudyFindings serial = run(package);
  TaskPool pool(4);
  const StudyFindings parallel = run(package, &pool);
  ASSERT_TRUE(serial.predictions.size() == 1 && parallel.predictions.size() == 1);
  EXPECT_EQ(serial.predictions[0].interval_low, parallel.predictions[0].interval_low);
  EXPECT_EQ(serial.predictions[0].interval_high, parallel.predictions[0].interval_high);
  EXPECT_EQ(serial.predictions[0].robustness->moved, parallel.predictions[0].robustness->moved);
}

TEST(StudyRobustness, LeavesAPredictionAloneWhenNothingMoves) {
  const PackageCopy copy;
  copy.replace("manifest.yaml", "thresholds:", "robustness: {count: 5, translation_mm: 0, rotation_deg: 0, boundary_mm: 0, moved_sd: 0}\nthresholds:");
  const ModelPackage package = load(copy);
  const StudyFindings findings = run(package);
  ASSERT_EQ(findings.predictions.size(), 1U);
  EXPECT_EQ(findings.predictions[0].interval_low, findings.predictions[0].value);
  EXPECT_EQ(findings.predictions[0].interval_high, findings.predictions[0].value);
  EXPECT_TRUE(findings.predictions[0].robustness->moved.empty());
}

TEST(StudyRobustness, HoldsTheSeriesAndTheRegionAgainstTheTrainingData) {
  const PackageCopy copy;
  copy.replace("manifest.yaml", "T2: {required: true,", "T2: {required: true, acquisition: {repetition_time_ms: [2000, 8000], echo_time_ms: [60, 130], slice_spacing_mm: [1, 7], pixel_spacing_mm: [0.3, 0.5], field_strength_t: [1.4, 3.1], manufacturer: [GE, Philips]},");
  copy.replace("manifest.yaml", "primary: {required: true,", "primary: {required: true, volume_ml: [0.5, 5],");
  const ModelPackage package = load(copy);
  const StudyFindings findings = run(package);
  ASSERT_EQ(findings.predictions.size(), 1U);
  const auto& flags = findings.predictions[0].applicability.flags;
  const auto says = [&](const std::string& part) { return std::any_of(flags.begin(), flags.end(), [&](const std::string& flag) { return flag.find(part) != std::string::npos; }); };
  EXPECT_TRUE(says("T2 repetition time 9,800 ms lies outside 2,000 to 8,000 ms"));
  EXPECT_TRUE(says("T2 pixel spacing 0.8 mm lies outside 0.3 to 0.5 mm"));
  EXPECT_TRUE(says("T2 magnetic field strength is not stated"));
  EXPECT_TRUE(says("T2 manufacturer 'Siemens Healthineers' is none of the training data (GE, Philips)"));
  EXPECT_TRUE(says("The volume of the region primary, 11."));
  EXPECT_FALSE(says("echo time"));
  EXPECT_FALSE(says("distance between slices"));
  EXPECT_FALSE(findings.predictions[0].applicability.inside);
}

// ---- from perturbed rows to an interval

TEST(AddRobustness, TakesQuantilesAndNamesWhatMoved) {
  const PackageCopy copy;
  copy.replace("manifest.yaml", "thresholds:", "robustness: {count: 5, coverage: 0.5, moved_sd: 0.5}\nthresholds:");
  const ModelPackage package = load(copy);
  std::map<std::string, double> inputs;
  for (const PackageFeature& feature : package.manifest().features) inputs[feature.id] = feature.train_mean;
  auto predictions = package.predict(inputs).value();
  const std::string sphericity = "T2.primary.original_shape_Sphericity", kurtosis = "T2.primary.original_firstorder_Kurtosis";
  std::vector<std::map<std::string, double>> rows(5, inputs);
  std::vector<double> values;
  for (int n = 0; n < 5; ++n) {
    rows[static_cast<std::size_t>(n)][sphericity] = 0.75 + 0.03 * (n - 3);   // sd 0.047 of 0.048: moved
    rows[static_cast<std::size_t>(n)][kurtosis] = inputs[kurtosis] + n;      // sd 1.6 of 6.3: not
    values.push_back(100 * package.score(rows[static_cast<std::size_t>(n)], false).value()[0].values[0]);
  }
  add_robustness(package, inputs, rows, {sphericity, kurtosis}, {}, predictions);
  std::sort(values.begin(), values.end());
  // With five values and half of them covered, the type 7 quantiles are the second and the fourth.
  EXPECT_DOUBLE_EQ(*predictions[0].interval_low, std::min(values[1], predictions[0].value));
  EXPECT_DOUBLE_EQ(*predictions[0].interval_high, std::max(values[3], predictions[0].value));
  EXPECT_EQ(predictions[0].robustness->moved, std::vector<std::string>{"T2 original shape Sphericity"});
  EXPECT_EQ(predictions[0].robustness->kept.size(), 4U) << "what was not measured again is said";

  // Two of five are too few to tell.
  add_robustness(package, inputs, {rows[0], rows[1]}, {sphericity, kurtosis}, {}, predictions);
  EXPECT_FALSE(predictions[0].interval_low || predictions[0].interval_high);
  EXPECT_EQ(predictions[0].robustness->used, 2);
}

}  // namespace
}  // namespace choana::processing
