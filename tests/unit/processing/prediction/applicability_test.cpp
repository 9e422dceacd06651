#include "processing/prediction/applicability.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "processing/prediction/model_package.h"
#include "tests/unit/processing/prediction/package_copy.h"

namespace choana::processing {
namespace {

using test::PackageCopy;

constexpr const char* t2 = "    T2: {required: true, ";

std::map<std::string, double> mean_case(const ModelPackage& package) {
  std::map<std::string, double> inputs;
  for (const PackageFeature& feature : package.manifest().features) inputs[feature.id] = feature.train_mean;
  return inputs;
}

/// The demonstration package with a training range of acquisition for T2.
ModelPackage with_ranges(const PackageCopy& copy, const std::string& acquisition, const std::string& volume = "", const std::string& beyond = "flag") {
  copy.replace("manifest.yaml", t2, std::string(t2) + "acquisition: {" + acquisition + "}, ");
  if (!volume.empty()) copy.replace("manifest.yaml", "primary: {required: true,", "primary: {required: true, volume_ml: " + volume + ",");
  copy.replace("manifest.yaml", "max_flagged: 0, beyond: flag", "max_flagged: 0, beyond: " + beyond);
  copy.seal();
  auto package = ModelPackage::load(copy.folder());
  EXPECT_TRUE(package) << to_string(package.error());
  return *package;
}

PredictionContext context_of(const std::function<void(SeriesFacts&)>& change = {}) {
  PredictionContext context;
  SeriesFacts facts;
  facts.acquisition.manufacturer = "Siemens Healthineers";
  facts.acquisition.repetition_time_ms = 4000;
  facts.acquisition.echo_time_ms = 100;
  facts.spacing_mm = {0.5, 0.625, 5};
  if (change) change(facts);
  context.series["T2"] = facts;
  context.volume_ml["primary"] = 30;
  return context;
}

constexpr const char* usual = "repetition_time_ms: [2000, 8000], echo_time_ms: [60, 130], slice_spacing_mm: [1, 7], pixel_spacing_mm: [0.3, 1.2], manufacturer: [SIEMENS, GE, Philips]";

std::vector<std::string> flags_of(const ModelPackage& package, const PredictionContext& context) {
  const auto prediction = package.predict(mean_case(package), context);
  EXPECT_TRUE(prediction) << to_string(prediction.error());
  return prediction ? prediction->front().applicability.flags : std::vector<std::string>{};
}

TEST(Applicability, SaysNothingOfAnAcquisitionLikeTheTrainingData) {
  const PackageCopy copy;
  const ModelPackage package = with_ranges(copy, usual, "[0.5, 150]");
  EXPECT_EQ(flags_of(package, context_of()), std::vector<std::string>{});
  const auto at_the_edge = context_of([](SeriesFacts& s) {
    s.acquisition.repetition_time_ms = 8000;
    s.spacing_mm[2] = 7 * (1 + 1e-9);  // computed from positions
  });
  EXPECT_EQ(flags_of(package, at_the_edge), std::vector<std::string>{});
}

TEST(Applicability, FlagsAcquisitionAndVolumeWithBothFigures) {
  const PackageCopy copy;
  const ModelPackage package = with_ranges(copy, usual, "[0.5, 150]");
  auto context = context_of([](SeriesFacts& s) {
    s.acquisition.repetition_time_ms = 9800;
    s.spacing_mm = {0.5, 1.5, 5};
  });
  context.volume_ml["primary"] = 0.25;
  const auto prediction = package.predict(mean_case(package), context);
  ASSERT_TRUE(prediction) << "flagged, not withheld";
  EXPECT_FALSE(prediction->front().applicability.inside);
  EXPECT_EQ(prediction->front().applicability.flags,
            (std::vector<std::string>{"T2 repetition time 9,800 ms lies outside 2,000 to 8,000 ms of the training data.",
                                      "T2 pixel spacing 1.5 mm lies outside 0.3 to 1.2 mm of the training data.",
                                      "The volume of the region primary, 0.25 ml, lies outside 0.5 to 150 ml of the training data."}));
}

TEST(Applicability, FlagsWhatTheHeadersDoNotState) {
  const PackageCopy copy;
  const ModelPackage package = with_ranges(copy, usual, "[0.5, 150]");
  auto context = context_of([](SeriesFacts& s) {
    s.acquisition.echo_time_ms.reset();
    s.acquisition.manufacturer.clear();
  });
  EXPECT_EQ(flags_of(package, context),
            (std::vector<std::string>{"T2 echo time is not stated, so it cannot be held against the 60 to 130 ms of the training data.",
                                      "T2 manufacturer is not stated; the training data came from SIEMENS, GE, Philips."}));
  EXPECT_EQ(flags_of(package, {}).size(), 6U) << "nothing is known: every range is flagged, the volume too";
}

TEST(Applicability, KnowsAManufacturerByItsFirstWords) {
  const PackageCopy copy;
  const ModelPackage package = with_ranges(copy, "manufacturer: [SIEMENS, GE]");
  const auto flagged = [&](const char* name) { return !flags_of(package, context_of([&](SeriesFacts& s) { s.acquisition.manufacturer = name; })).empty(); };
  EXPECT_FALSE(flagged("SIEMENS"));
  EXPECT_FALSE(flagged("Siemens Healthineers"));
  EXPECT_FALSE(flagged("GE MEDICAL SYSTEMS"));
  EXPECT_TRUE(flagged("Geneva Imaging"));
  EXPECT_TRUE(flagged("UIH"));
}

TEST(Applicability, WithholdsWhereThePackageSaysSo) {
  const PackageCopy copy;
  const ModelPackage package = with_ranges(copy, usual, "", "withhold");
  EXPECT_TRUE(package.predict(mean_case(package), context_of()));
  const auto withheld = package.predict(mean_case(package), context_of([](SeriesFacts& s) { s.acquisition.repetition_time_ms = 500; }));
  ASSERT_FALSE(withheld);
  EXPECT_EQ(withheld.error().code, ErrorCode::outside_training_range);
  EXPECT_NE(withheld.error().message.find("T2 repetition time 500 ms lies outside 2,000 to 8,000 ms"), std::string::npos) << withheld.error().message;
}

TEST(Applicability, LeavesAnOptionalSeriesThatIsNotThereAlone) {
  PackageManifest manifest;
  RequiredSequence sequence;
  sequence.role = "ADC";
  sequence.required = false;
  sequence.acquisition = {{"b_value_s_per_mm2", 700, 1000}};
  manifest.sequences = {sequence};
  EXPECT_TRUE(applicability_flags(manifest, {}, {}).empty());
  manifest.sequences.front().required = true;
  EXPECT_EQ(applicability_flags(manifest, {}, {}).size(), 1U);
}

TEST(Applicability, PrintsNumbersForPeople) {
  EXPECT_EQ(short_number(9800), "9,800");
  EXPECT_EQ(short_number(-1234567), "-1,235,000");
  EXPECT_EQ(short_number(-123456), "-123,500");
  EXPECT_EQ(short_number(365000), "365,000");
  EXPECT_EQ(short_number(0.00351249), "0.003512");
  EXPECT_EQ(short_number(150), "150");
  EXPECT_EQ(short_number(3.2e12), "3.2e+12");
}

// ---- the distance

constexpr const char* two = R"({"format":"choana-distance/1","of":"scaled","features":["a","b"],"mean":[1,-1],"precision":[[2,1],[1,3]],"limit":16.8,"quantile":0.99})";

TEST(TrainingDistance, IsTheSquaredMahalanobisDistance) {
  const auto distance = TrainingDistance::read(two, "distance.json");
  ASSERT_TRUE(distance) << to_string(distance.error());
  // By hand: x - m = (1, 2); 2*1 + 2*(1*1*2) + 3*4 = 18.
  EXPECT_DOUBLE_EQ(distance->squared({2, 1}), 18);
  EXPECT_DOUBLE_EQ(distance->squared({1, -1}), 0);
  EXPECT_EQ(distance->squared({1e200, 1}), std::numeric_limits<double>::infinity());
  EXPECT_EQ(distance->limit, 16.8);
  EXPECT_EQ(distance->quantile, 0.99);
}

// Kurtosis and sphericity alone, as measured: mean 0 and unit precision, so d2 is the sum of squares.
constexpr const char* of_two =
    R"({"format":"choana-distance/1","of":"features","features":["T2.primary.original_shape_Sphericity","T2.primary.original_firstorder_Kurtosis"],"mean":[0,0],"precision":[[1,0],[0,1]],"limit":25,"quantile":0.975})";
constexpr const char* of_stage =
    R"({"format":"choana-distance/1","of":"scaled","features":["T2.primary.original_shape_Sphericity"],"mean":[0],"precision":[[1]],"limit":1})";

ModelPackage with_distance(const PackageCopy& copy, const std::string& json, const std::string& beyond = "flag") {
  copy.replace("manifest.yaml", "beyond: flag}", "beyond: flag, distance: {file: distance.json, beyond: " + beyond + "}}");
  copy.write("distance.json", json);
  copy.seal();
  auto package = ModelPackage::load(copy.folder());
  EXPECT_TRUE(package) << to_string(package.error());
  return *package;
}

TEST(TrainingDistance, FlagsACombinationThatTrainingNeverSaw) {
  const PackageCopy copy;
  const ModelPackage package = with_distance(copy, of_two);
  auto inputs = mean_case(package);
  inputs["T2.primary.original_shape_Sphericity"] = 0.75;
  inputs["T2.primary.original_firstorder_Kurtosis"] = 4;
  EXPECT_DOUBLE_EQ(**package.squared_distance(inputs), 16.5625);
  EXPECT_TRUE(package.predict(inputs)->front().applicability.inside);
  inputs["T2.primary.original_firstorder_Kurtosis"] = 6;
  const auto prediction = package.predict(inputs);
  ASSERT_TRUE(prediction);
  EXPECT_FALSE(prediction->front().applicability.inside);
  EXPECT_EQ(prediction->front().applicability.flags,
            std::vector<std::string>{"The features together lie far from the training data: squared Mahalanobis distance 36.56, limit 25 (the 97.5 % quantile of the training data)."});
  inputs.erase("T2.primary.original_firstorder_Kurtosis");
  EXPECT_FALSE(package.squared_distance(inputs)->has_value());
  const auto unknown = package.predict(inputs);
  ASSERT_TRUE(unknown) << to_string(unknown.error());
  ASSERT_EQ(unknown->front().applicability.flags.size(), 1U);
  EXPECT_NE(unknown->front().applicability.flags[0].find("is not known, because a value is missing"), std::string::npos);
  EXPECT_FALSE(unknown->front().applicability.inside);
}

TEST(TrainingDistance, TakesTheValuesOfAStageByName) {
  const PackageCopy copy;
  const ModelPackage package = with_distance(copy, of_stage, "withhold");
  auto inputs = mean_case(package);
  EXPECT_NEAR(**package.squared_distance(inputs), 0, 1e-20) << "the training mean is 0 after scaling";
  EXPECT_TRUE(package.predict(inputs));
  for (const PackageFeature& feature : package.manifest().features)
    if (feature.id.ends_with("Sphericity")) inputs[feature.id] += 1.5 * feature.train_sd;
  EXPECT_NEAR(**package.squared_distance(inputs), 2.25, 1e-9);
  const auto withheld = package.predict(inputs);
  ASSERT_FALSE(withheld);
  EXPECT_EQ(withheld.error().code, ErrorCode::outside_training_range);
  EXPECT_NE(withheld.error().message.find("too far from it). The features together"), std::string::npos) << withheld.error().message;
}

struct BadDistance {
  const char* from;
  const char* to;
  const char* said;
};

TEST(TrainingDistance, RefusesWhatIsNoDistance) {
  const BadDistance cases[] = {
      {"choana-distance/1", "choana-distance/9", "must be choana-distance/1"},
      {"\"limit\"", "\"limt\"", "Did you mean limit"},
      {",\"limit\":16.8", "", "lacks the field 'limit'"},
      {"16.8", "0", "above 0"},
      {"16.8", "\"16.8\"", "above 0"},
      {"0.99", "1", "between 0 and 1"},
      {"\"b\"]", "\"a\"]", "names 'a' twice"},
      {"[\"a\",\"b\"]", "[]", "list of names"},
      {"[\"a\",\"b\"]", "[\"a\",7]", "list of names"},
      {"\"mean\":[1,-1]", "\"mean\":[1]", "'mean' must hold exactly 2"},
      {"\"mean\":[1,-1]", "\"mean\":[1,1e101]", "at most 1e100"},
      {"\"mean\":[1,-1]", "\"mean\":[1,NaN]", "not valid JSON"},
      {"\"mean\":[1,-1]", "\"mean\":[1,null]", "no number"},
      {"[[2,1],[1,3]]", "[[2,1]]", "exactly 2 rows"},
      {"[[2,1],[1,3]]", "[[2,1],[1]]", "row 2 must hold exactly 2"},
      {"[[2,1],[1,3]]", "[[2,1],[1.001,3]]", "not symmetric (row 2, column 1)"},
      {"[[2,1],[1,3]]", "[[2,3],[3,3]]", "not positive definite (it fails at 'b')"},
      {"[[2,1],[1,3]]", "[[0,0],[0,3]]", "not positive definite (it fails at 'a')"},
      {"[[2,1],[1,3]]", "[[-2,0],[0,3]]", "not positive definite"},
      {"\"of\":\"scaled\"", "\"of\":7", "must name a stage"},
      {"{\"format\"", "[{\"format\"", "not valid JSON"},
  };
  for (const BadDistance& one : cases) {
    SCOPED_TRACE(one.to);
    std::string text = two;
    const auto at = text.find(one.from);
    ASSERT_NE(at, std::string::npos);
    const auto distance = TrainingDistance::read(text.replace(at, std::string(one.from).size(), one.to), "distance.json");
    ASSERT_FALSE(distance);
    EXPECT_EQ(distance.error().code, ErrorCode::invalid_package);
    EXPECT_NE(distance.error().message.find(one.said), std::string::npos) << distance.error().message;
  }
}

TEST(TrainingDistance, RefusesMoreFeaturesThanItCanHold) {
  std::string text = R"({"format":"choana-distance/1","of":"features","features":["x0")";
  for (int n = 1; n < 600; ++n) text += ",\"x" + std::to_string(n) + "\"";
  const auto distance = TrainingDistance::read(text + R"(],"mean":[],"precision":[],"limit":1})", "distance.json");
  ASSERT_FALSE(distance);
  EXPECT_EQ(distance.error().code, ErrorCode::limit_exceeded);
}

}  // namespace
}  // namespace choana::processing
