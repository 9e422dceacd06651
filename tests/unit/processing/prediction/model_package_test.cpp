#include "processing/prediction/model_package.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>

#include "processing/prediction/readers/table.h"
#include "tests/unit/processing/prediction/package_copy.h"

namespace choana::processing {
namespace {

using test::PackageCopy;

std::filesystem::path demo(const std::string& name) { return std::filesystem::path(CHOANA_SOURCE_DIR) / "conf" / "models" / name; }

/// The training means: a case in the middle of the range.
std::map<std::string, double> mean_case(const ModelPackage& package) {
  std::map<std::string, double> inputs;
  for (const PackageFeature& feature : package.manifest().features) inputs[feature.id] = feature.train_mean;
  return inputs;
}

/// Column and value of the first row of selftest.csv whose `case` starts with a word.
std::map<std::string, double> selftest_row(const PackageCopy& copy, const std::string& word) {
  const Table table = read_table(copy.read("selftest.csv"), "selftest.csv", 1000).value();
  for (const auto& row : table.rows) {
    if (!row[0].starts_with(word)) continue;
    std::map<std::string, double> values;
    for (std::size_t c = 1; c < row.size(); ++c)
      if (const auto number = parse_number(row[c])) values[table.columns[c]] = *number;
    return values;
  }
  return {};
}

TEST(ModelPackage, AdmitsTheDemonstrationPackagesAndReproducesTheirSelfTests) {
  for (const char* name : {"demo-npc-response", "demo-t2-only"}) {
    const auto package = ModelPackage::load(demo(name));
    ASSERT_TRUE(package) << to_string(package.error());
    EXPECT_EQ(package->manifest().id, name);
    EXPECT_EQ(package->manifest().status, "demonstration");
    EXPECT_EQ(package->sha256().size(), 64U);
    EXPECT_GE(package->selftest_rows(), 40U);
    EXPECT_LE(package->selftest_deviation(), 1e-12);
    EXPECT_NE(package->manifest().performance.find("synthetic"), std::string::npos);
    EXPECT_NE(package->manifest().intended_use.find("no clinical meaning"), std::string::npos);
  }
}

TEST(ModelPackage, SaysWhatThePipelineMustProvide) {
  const auto package = ModelPackage::load(demo("demo-npc-response"));
  ASSERT_TRUE(package);
  const PackageManifest& manifest = package->manifest();
  EXPECT_EQ(manifest.required_roles, (std::vector<std::string>{"T1C", "T2"}));
  EXPECT_EQ(manifest.sequences[1].accepts, (std::vector<std::string>{"T2", "T2-FS"}));
  ASSERT_EQ(manifest.rois.size(), 1U);
  EXPECT_EQ(manifest.rois[0].of_roles, (std::vector<std::string>{"T1C", "T2"}));
  EXPECT_EQ(manifest.rois[0].rank_of("gtvp"), 0U);
  EXPECT_TRUE(manifest.rois[0].rank_of("GTV_p_final").has_value());
  EXPECT_FALSE(manifest.rois[0].rank_of("GTVnd").has_value()) << "a lymph node is not the primary tumour";
  EXPECT_TRUE(manifest.extraction.at("T2").find("binCount: 25") != std::string::npos);
  ASSERT_EQ(manifest.preprocessing.size(), 1U);
  EXPECT_EQ(manifest.preprocessing[0].step, "n4");
  EXPECT_EQ(manifest.preprocessing[0].parameters_json, R"({"shrink":[4,4,4]})");
  EXPECT_EQ(manifest.endpoint, "CR");
}

TEST(ModelPackage, PredictsWithThresholdGroupAndWords) {
  const auto package = ModelPackage::load(demo("demo-t2-only"));
  ASSERT_TRUE(package);
  auto inputs = mean_case(*package);
  const auto predictions = package->predict(inputs);
  ASSERT_TRUE(predictions) << to_string(predictions.error());
  ASSERT_EQ(predictions->size(), 1U);
  const Prediction& middle = predictions->front();
  EXPECT_EQ(middle.output, "Residual disease");
  EXPECT_EQ(middle.endpoint, "RESIDUAL");
  EXPECT_EQ(middle.unit, "%");
  EXPECT_GT(middle.value, 20);
  EXPECT_LT(middle.value, 80);
  EXPECT_NEAR(middle.value, 100 / (1 + std::exp(-middle.margin.value())), 1e-12);
  EXPECT_EQ(middle.group, "intermediate");
  EXPECT_EQ(middle.risk, "moderate");
  EXPECT_EQ(middle.threshold, 35.0);
  EXPECT_TRUE(middle.applicability.inside);
  EXPECT_TRUE(middle.applicability.flags.empty());
  EXPECT_EQ(middle.explanation.method, "linear");
  double sum = middle.explanation.base;
  for (const Contribution& part : middle.explanation.contributions) sum += part.contribution;
  EXPECT_NEAR(sum, middle.margin.value(), 1e-12);
  EXPECT_EQ(middle.explanation.contributions.size(), 6U) << "the forest is opened down to its features";
}

TEST(ModelPackage, CountsAValueOnTheThresholdAsReached) {
  PackageCopy copy;
  const auto row = selftest_row(copy, "held-out-1");
  char cut[40];
  std::snprintf(cut, sizeof cut, "%.17g", row.at("combined"));
  copy.replace("manifest.yaml", "value: 0.35", std::string("value: ") + cut);
  copy.replace("manifest.yaml", "value: 0.65", "value: 1");
  copy.seal();
  const auto package = ModelPackage::load(copy.folder());
  ASSERT_TRUE(package) << to_string(package.error());
  const auto prediction = package->predict(row);
  ASSERT_TRUE(prediction);
  EXPECT_EQ(prediction->front().group, "intermediate");
}

TEST(ModelPackage, OpensAModelOfAModelByTheLinearityOfShapleyValues) {
  const auto package = ModelPackage::load(demo("demo-npc-response"));
  ASSERT_TRUE(package);
  auto inputs = mean_case(*package);
  inputs["T2.primary.original_shape_MeshVolume"] *= 1.4;
  inputs["T1C.primary.original_firstorder_Entropy"] *= 0.95;
  const auto scores = package->score(inputs, true);
  ASSERT_TRUE(scores);
  const Explanation& combined = (*scores)[0].explanations[0];
  const Explanation& radscore = (*scores)[1].explanations[0];
  ASSERT_EQ(combined.contributions.size(), 8U);
  ASSERT_EQ(radscore.contributions.size(), 8U);
  EXPECT_EQ(radscore.method, "tree_path_dependent");
  // Every feature but the volume enters only through the Rad-score: its share is the same multiple of the inner one.
  double factor = 0;
  for (std::size_t f = 0; f < 8; ++f) {
    ASSERT_EQ(combined.contributions[f].feature, radscore.contributions[f].feature);
    if (combined.contributions[f].feature.ends_with("MeshVolume") || radscore.contributions[f].contribution == 0) continue;
    const double ratio = combined.contributions[f].contribution / radscore.contributions[f].contribution;
    if (factor == 0) factor = ratio;
    EXPECT_NEAR(ratio, factor, 1e-9);
  }
  EXPECT_GT(factor, 0);
  EXPECT_EQ(combined.contributions[0].value, inputs["T2.primary.original_shape_MeshVolume"]) << "shown as measured, not as scaled";
}

TEST(ModelPackage, FlagsWhatLiesOutsideTheTrainingRange) {
  const auto package = ModelPackage::load(demo("demo-t2-only"));
  ASSERT_TRUE(package);
  auto inputs = mean_case(*package);
  inputs["T2.primary.original_shape_MeshVolume"] = 365000;
  const auto prediction = package->predict(inputs);
  ASSERT_TRUE(prediction) << "flagged, not withheld";
  EXPECT_FALSE(prediction->front().applicability.inside);
  EXPECT_LT(prediction->front().value, 95) << "and it does not look certain";
  ASSERT_EQ(prediction->front().applicability.flags.size(), 1U);
  EXPECT_NE(prediction->front().applicability.flags[0].find("365,000 mm3, outside the training range"), std::string::npos)
      << prediction->front().applicability.flags[0];
}

TEST(ModelPackage, WithholdsItsPredictionWhereThePackageSaysSo) {
  PackageCopy copy;
  copy.replace("manifest.yaml", "beyond: flag", "beyond: withhold");
  copy.seal();
  const auto package = ModelPackage::load(copy.folder());
  ASSERT_TRUE(package) << to_string(package.error());
  auto inputs = mean_case(*package);
  EXPECT_TRUE(package->predict(inputs));
  inputs["T2.primary.original_shape_MeshVolume"] = 365000;
  const auto withheld = package->predict(inputs);
  ASSERT_FALSE(withheld);
  EXPECT_EQ(withheld.error().code, ErrorCode::outside_training_range);
  EXPECT_NE(withheld.error().message.find("MeshVolume"), std::string::npos);
}

TEST(ModelPackage, ListsEveryFeatureThatIsMissing) {
  const auto package = ModelPackage::load(demo("demo-npc-response"));
  ASSERT_TRUE(package);
  auto inputs = mean_case(*package);
  inputs.erase("T2.primary.original_shape_Sphericity");
  inputs["T1C.primary.original_glcm_Imc2"] = std::nan("");
  const auto refused = package->predict(inputs);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::missing_value);
  EXPECT_NE(refused.error().message.find("T2.primary.original_shape_Sphericity, T1C.primary.original_glcm_Imc2"), std::string::npos) << refused.error().message;
  inputs = mean_case(*package);
  inputs["T1C.primary.original_glcm_Imc2"] = INFINITY;
  EXPECT_EQ(package->predict(inputs).error().code, ErrorCode::invalid_argument);
}

TEST(ModelPackage, LetsAModelDealWithTheMissingValuesItLearned) {
  PackageCopy copy;
  const auto package = ModelPackage::load(copy.folder());
  ASSERT_TRUE(package);
  const auto row = selftest_row(copy, "without-kurtosis");
  ASSERT_FALSE(row.contains("T2.primary.original_firstorder_Kurtosis"));
  const auto prediction = package->predict(row);
  ASSERT_TRUE(prediction) << to_string(prediction.error());
  EXPECT_NEAR(prediction->front().value, 100 * row.at("combined"), 1e-10);
  bool shown = false;
  for (const Contribution& part : prediction->front().explanation.contributions) shown = shown || std::isnan(part.value);
  EXPECT_TRUE(shown) << "a missing value has a share too, and is shown as missing";
}

TEST(ModelPackage, ChecksClinicalValuesAgainstTheirRange) {
  PackageCopy copy;
  // A logistic model of two clinical values, alone.
  copy.replace("manifest.yaml", "  rois:", "  clinical:\n    n_stage: {type: integer, min: 0, max: 3}\n    wbc: {type: number, unit: 10*9/L, min: 0.1, max: 100}\n  rois:");
  const std::string manifest = copy.read("manifest.yaml");
  const auto stages = manifest.find("stages:"), outputs = manifest.find("outputs:"), missing = manifest.find("missing:"), guard = manifest.find("uncertainty:");
  copy.write("manifest.yaml", manifest.substr(0, stages) + "stages:\n  - {id: combined, type: linear, file: model/combined.ir.json, in: clinical}\n" +
                                  manifest.substr(outputs, missing - outputs) + manifest.substr(guard));
  copy.write("model/combined.ir.json", R"({"ir":1,"kind":"linear","features":["clinical.n_stage","clinical.wbc"],"coef":[0.5,-0.25],"intercept":[1],"link":"logistic"})");
  copy.write("features.csv",
             "order,id,role,roi,kind,feature,unit,train_mean,train_sd,q01,q99\n1,clinical.n_stage,,,clinical,,1,1.5,1,0,3\n2,clinical.wbc,,,clinical,,10*9/L,6,2,3,12\n");
  std::string rows = "case,clinical.n_stage,clinical.wbc,combined,combined.margin\n";
  for (int r = 0; r < 20; ++r) {
    const double margin = 0.5 * (r % 4) - 0.25 * (4 + r) + 1;
    rows += std::to_string(r) + "," + std::to_string(r % 4) + "," + std::to_string(4 + r) + "," + print_number(1 / (1 + std::exp(-margin))) + "," + print_number(margin) + "\n";
  }
  copy.write("selftest.csv", rows);
  copy.seal();
  const auto package = ModelPackage::load(copy.folder());
  ASSERT_TRUE(package) << to_string(package.error());
  const auto prediction = package->predict({{"clinical.n_stage", 2}, {"clinical.wbc", 4}});
  ASSERT_TRUE(prediction);
  EXPECT_DOUBLE_EQ(prediction->front().margin.value(), 1);
  EXPECT_EQ(package->predict({{"clinical.n_stage", 4}, {"clinical.wbc", 4}}).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(package->predict({{"clinical.n_stage", 1.5}, {"clinical.wbc", 4}}).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(package->predict({{"clinical.n_stage", 2}}).error().code, ErrorCode::missing_value);
}

// ---- what must not get in

struct Tampering {
  const char* what;
  std::function<void(const PackageCopy&)> change;
  bool sealed;  // SHA256SUMS made anew after the change
  ErrorCode code;
  const char* said;
};

void swap_first_two_features(const PackageCopy& copy) {
  std::string text = copy.read("model/forest.ir.json");
  const std::string a = "\"T2.primary.original_shape_MeshVolume\"", b = "\"T2.primary.original_shape_Sphericity\"";
  const auto at_a = text.find(a), at_b = text.find(b);
  ASSERT_LT(at_a, at_b);
  text.replace(at_b, b.size(), a);
  text.replace(at_a, a.size(), b);
  copy.write("model/forest.ir.json", text);
}

const Tampering tamperings[] = {
    {"a changed threshold", [](const PackageCopy& c) { c.replace("manifest.yaml", "0.35", "0.36"); }, false, ErrorCode::invalid_package, "manifest.yaml was changed"},
    {"a changed model", [](const PackageCopy& c) { c.replace("model/combined.ir.json", "\"coef\":[", "\"coef\":[1"); }, false, ErrorCode::invalid_package, "combined.ir.json was changed"},
    {"a missing file", [](const PackageCopy& c) { std::filesystem::remove(c.folder() / "MODEL_CARD.md"); }, false, ErrorCode::invalid_package, "lacks the file MODEL_CARD.md"},
    {"an extra file", [](const PackageCopy& c) { c.write("model/more.ir.json", "{}"); }, false, ErrorCode::invalid_package, "more.ir.json, which SHA256SUMS does not list"},
    {"no SHA256SUMS", [](const PackageCopy& c) { std::filesystem::remove(c.folder() / "SHA256SUMS"); }, false, ErrorCode::invalid_package, "no SHA256SUMS"},
    {"a path that leaves the package", [](const PackageCopy& c) { c.write("SHA256SUMS", c.read("SHA256SUMS") + std::string(64, '0') + "  ../outside\n"); }, false, ErrorCode::invalid_package, "path that a package may not hold"},
    {"an absolute path", [](const PackageCopy& c) { c.write("SHA256SUMS", c.read("SHA256SUMS") + std::string(64, '0') + "  /etc/hostname\n"); }, false, ErrorCode::invalid_package, "path that a package may not hold"},
    {"a garbled SHA256SUMS", [](const PackageCopy& c) { c.write("SHA256SUMS", "hello\n"); }, false, ErrorCode::invalid_package, "64 hexadecimal digits"},
    {"a link in place of a file", [](const PackageCopy& c) {
       std::filesystem::rename(c.folder() / "features.csv", c.folder() / "model" / "features.csv");
       std::filesystem::create_symlink("model/features.csv", c.folder() / "features.csv");
     }, false, ErrorCode::invalid_package, "is a link"},
    {"a linked folder", [](const PackageCopy& c) { std::filesystem::create_directory_symlink("/etc", c.folder() / "more"); }, true, ErrorCode::invalid_package, "is a link"},
    {"a hidden file", [](const PackageCopy& c) { c.write(".hidden", "x"); }, true, ErrorCode::invalid_package, "name it may not have"},
    {"folders nested too deeply", [](const PackageCopy& c) { c.write("a/b/c/d/e/f", "x"); }, true, ErrorCode::limit_exceeded, "nested too deeply"},
    {"too many files", [](const PackageCopy& c) { for (int n = 0; n < 300; ++n) c.write("more/" + std::to_string(n), "x"); }, true, ErrorCode::limit_exceeded, "more than 256 files"},
    {"an extraction file outside the package", [](const PackageCopy& c) { c.replace("manifest.yaml", "T2: extraction/t2.yaml", "T2: ../../../../etc/hostname"); }, true, ErrorCode::invalid_package, "which the package does not hold"},
    {"a model file outside the package", [](const PackageCopy& c) { c.replace("manifest.yaml", "file: model/forest.ir.json", "file: /etc/hostname"); }, true, ErrorCode::invalid_package, "which the package does not hold"},
    {"another format", [](const PackageCopy& c) { c.replace("manifest.yaml", "choana-model/1", "choana-model/9"); }, true, ErrorCode::invalid_package, "reads choana-model/1"},
    {"an unknown key", [](const PackageCopy& c) { c.replace("manifest.yaml", "thresholds:", "treshold:"); }, true, ErrorCode::invalid_package, "Did you mean thresholds"},
    {"an unknown key in a stage", [](const PackageCopy& c) { c.replace("manifest.yaml", "link: identity", "lnk: identity"); }, true, ErrorCode::invalid_package, "stages[0].lnk. Did you mean link"},
    {"a key twice", [](const PackageCopy& c) { c.write("manifest.yaml", c.read("manifest.yaml") + "id: other\n"); }, true, ErrorCode::invalid_package, "'id' twice"},
    {"an unknown status", [](const PackageCopy& c) { c.replace("manifest.yaml", "status: demonstration", "status: clinicle"); }, true, ErrorCode::invalid_package, "Did you mean clinical"},
    {"no intended use", [](const PackageCopy& c) { c.replace("manifest.yaml", "intended_use:", "provenance2:"); }, true, ErrorCode::invalid_package, "intended_use"},
    {"a YAML bomb of aliases", [](const PackageCopy& c) {
       std::string bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
       for (int n = 1; n < 9; ++n) {
         bomb += "a" + std::to_string(n) + ": &a" + std::to_string(n) + " [";
         for (int k = 0; k < 10; ++k) bomb += (k > 0 ? ",*a" : "*a") + std::to_string(n - 1);
         bomb += "]\n";
       }
       c.write("manifest.yaml", bomb);
     }, true, ErrorCode::limit_exceeded, "entries"},
    {"YAML nested without end", [](const PackageCopy& c) { c.write("manifest.yaml", "a: " + std::string(5000, '[')); }, true, ErrorCode::limit_exceeded, "open brackets"},
    {"a manifest of another kind", [](const PackageCopy& c) { c.write("manifest.yaml", "- a\n- b\n"); }, true, ErrorCode::invalid_package, "must be a map"},
    {"a role that no sequence has", [](const PackageCopy& c) { c.replace("manifest.yaml", "of: [T2]", "of: [T1C]"); }, true, ErrorCode::invalid_package, "inputs.sequences does not list"},
    {"a name pattern that is no pattern", [](const PackageCopy& c) { c.replace("manifest.yaml", "\"GTV.*\"", "\"(GTV)+\""); }, true, ErrorCode::invalid_package, "name pattern"},
    {"a stage that takes what is not there", [](const PackageCopy& c) { c.replace("manifest.yaml", "in: [forest, scaled]", "in: [forrest, scaled]"); }, true, ErrorCode::invalid_package, "Did you mean forest"},
    {"a stage that takes its successor", [](const PackageCopy& c) { c.replace("manifest.yaml", "in: radiomic, link", "in: [radiomic, combined], link"); }, true, ErrorCode::invalid_package, "neither a feature nor an earlier stage"},
    {"an output of nothing", [](const PackageCopy& c) { c.replace("manifest.yaml", "from: combined", "from: combinde"); }, true, ErrorCode::invalid_package, "Did you mean combined"},
    {"a threshold beyond 1", [](const PackageCopy& c) { c.replace("manifest.yaml", "value: 0.65", "value: 65"); }, true, ErrorCode::invalid_package, "not a probability"},
    {"features in another order", swap_first_two_features, true, ErrorCode::invalid_package, "wants 'T2.primary.original_shape_Sphericity' there"},
    {"NaN in features.csv", [](const PackageCopy& c) { c.replace("features.csv", "radiomic,original_shape_Sphericity,1,0.", "radiomic,original_shape_Sphericity,1,nan0."); }, true, ErrorCode::invalid_package, "not a finite number"},
    {"a feature twice", [](const PackageCopy& c) { c.replace("features.csv", "2,T2.primary.original_shape_Sphericity,", "2,T2.primary.original_shape_MeshVolume,"); }, true, ErrorCode::invalid_package, "id of its own"},
    {"a gap in the order", [](const PackageCopy& c) { c.replace("features.csv", "\n2,T2", "\n3,T2"); }, true, ErrorCode::invalid_package, "order"},
    {"a region that is not listed", [](const PackageCopy& c) { c.replace("features.csv", "T2,primary,radiomic", "T2,node,radiomic"); }, true, ErrorCode::invalid_package, "inputs.rois does not list"},
    {"a cyclic tree", [](const PackageCopy& c) { c.replace("model/forest.ir.json", "\"left\":[1,2", "\"left\":[1,0"); }, true, ErrorCode::invalid_package, "cycle"},
    {"NaN in a model", [](const PackageCopy& c) { c.replace("model/combined.ir.json", "\"coef\":[", "\"coef\":[NaN,"); }, true, ErrorCode::invalid_package, "not valid JSON"},
    {"a coefficient changed and sealed again", [](const PackageCopy& c) {
       auto ir = nlohmann::json::parse(c.read("model/combined.ir.json"));
       ir["coef"][0] = ir["coef"][0].get<double>() + 1e-9;
       c.write("model/combined.ir.json", ir.dump());
     }, true, ErrorCode::selftest_mismatch, "stage combined"},
    {"a leaf changed and sealed again", [](const PackageCopy& c) { c.replace("model/forest.ir.json", "\"scale\":0.01", "\"scale\":0.02"); }, true, ErrorCode::selftest_mismatch, "stage forest"},
    {"another split rule", [](const PackageCopy& c) { c.replace("model/forest.ir.json", "\"compare\":\"le_f32_f64\"", "\"compare\":\"lt_f32\""); }, true, ErrorCode::selftest_mismatch, "threshold-"},
    {"a self-test that expects another scale", [](const PackageCopy& c) { c.replace("features.csv", "original_shape_Sphericity,1,0.7", "original_shape_Sphericity,1,0.6"); }, true, ErrorCode::selftest_mismatch, "expected"},
    {"a tolerance that lets anything in", [](const PackageCopy& c) { c.replace("manifest.yaml", "stages: 1.0e-12", "stages: 10"); }, true, ErrorCode::invalid_package, "between 0 and 0.001"},
    {"a self-test of three rows", [](const PackageCopy& c) {
       const std::string text = c.read("selftest.csv");
       std::size_t end = 0;
       for (int line = 0; line < 4; ++line) end = text.find('\n', end) + 1;
       c.write("selftest.csv", text.substr(0, end));
     }, true, ErrorCode::invalid_package, "at least 20"},
    {"a self-test without a stage", [](const PackageCopy& c) { c.replace("selftest.csv", ",forest.margin,", ",forest.note,"); }, true, ErrorCode::invalid_package, "forest.margin"},
    {"a training range upside down", [](const PackageCopy& c) { c.replace("manifest.yaml", "T2: {required: true,", "T2: {required: true, acquisition: {echo_time_ms: [130, 60]},"); }, true, ErrorCode::invalid_package, "the lower one first"},
    {"a training range of one number", [](const PackageCopy& c) { c.replace("manifest.yaml", "T2: {required: true,", "T2: {required: true, acquisition: {echo_time_ms: [60]},"); }, true, ErrorCode::invalid_package, "two numbers"},
    {"a training range of something unknown", [](const PackageCopy& c) { c.replace("manifest.yaml", "T2: {required: true,", "T2: {required: true, acquisition: {echo_time: [60, 130]},"); }, true, ErrorCode::invalid_package, "Did you mean echo_time_ms"},
    {"a negative volume", [](const PackageCopy& c) { c.replace("manifest.yaml", "primary: {required: true,", "primary: {required: true, volume_ml: [-1, 5],"); }, true, ErrorCode::invalid_package, "must not be below 0"},
    {"a distance that is not there", [](const PackageCopy& c) { c.replace("manifest.yaml", "beyond: flag}", "beyond: flag, distance: {file: distance.json}}"); }, true, ErrorCode::invalid_package, "which the package does not hold"},
    {"a distance of a learner", [](const PackageCopy& c) {
       c.replace("manifest.yaml", "beyond: flag}", "beyond: flag, distance: {file: distance.json}}");
       c.write("distance.json", R"({"format":"choana-distance/1","of":"forest","features":["x"],"mean":[0],"precision":[[1]],"limit":1})");
     }, true, ErrorCode::invalid_package, "neither features nor a stage that scales"},
    {"a distance of values that the stage has not", [](const PackageCopy& c) {
       c.replace("manifest.yaml", "beyond: flag}", "beyond: flag, distance: {file: distance.json}}");
       c.write("distance.json", R"({"format":"choana-distance/1","of":"scaled","features":["T2.primary.original_shape_Sphericty"],"mean":[0],"precision":[[1]],"limit":1})");
     }, true, ErrorCode::invalid_package, "Did you mean T2.primary.original_shape_Sphericity"},
    {"a distance that is not positive definite", [](const PackageCopy& c) {
       c.replace("manifest.yaml", "beyond: flag}", "beyond: flag, distance: {file: distance.json}}");
       c.write("distance.json", R"({"format":"choana-distance/1","of":"scaled","features":["T2.primary.original_shape_Sphericity"],"mean":[0],"precision":[[0]],"limit":1})");
     }, true, ErrorCode::invalid_package, "not positive definite"},
    {"a rule for a distance that there is not", [](const PackageCopy& c) { c.replace("manifest.yaml", "beyond: flag}", "beyond: flag, distance: {file: distance.json, beyond: ignore}}"); }, true, ErrorCode::invalid_package, "it may be flag, withhold"},
    {"perturbations beyond their bounds", [](const PackageCopy& c) { c.replace("manifest.yaml", "thresholds:", "robustness: {translation_mm: 50}\nthresholds:"); }, true, ErrorCode::invalid_package, "between 0 and 10"},
    {"perturbations of something unknown", [](const PackageCopy& c) { c.replace("manifest.yaml", "thresholds:", "robustness: {translation: 0.5}\nthresholds:"); }, true, ErrorCode::invalid_package, "Did you mean translation_mm"},
    {"too few perturbations", [](const PackageCopy& c) { c.replace("manifest.yaml", "thresholds:", "robustness: {count: 1}\nthresholds:"); }, true, ErrorCode::invalid_package, "from 5 to 200"},
    {"performance that is no JSON", [](const PackageCopy& c) { c.write("performance.json", "AUC 1.0"); }, true, ErrorCode::invalid_package, "not valid JSON"},
};

TEST(Admission, RefusesWhatWasTamperedWithAndSaysWhat) {
  for (const Tampering& tampering : tamperings) {
    SCOPED_TRACE(tampering.what);
    const PackageCopy copy;
    tampering.change(copy);
    if (testing::Test::HasFatalFailure()) return;
    if (tampering.sealed) copy.seal();
    const auto package = ModelPackage::load(copy.folder());
    ASSERT_FALSE(package);
    EXPECT_EQ(package.error().code, tampering.code) << to_string(package.error());
    EXPECT_NE(package.error().message.find(tampering.said), std::string::npos) << package.error().message;
    EXPECT_EQ(package.error().message.find(copy.folder().parent_path().string()), std::string::npos) << "no path of the machine in a message";
  }
}

TEST(Admission, SaysRowStageExpectedAndGot) {
  const PackageCopy copy;
  std::string text = copy.read("selftest.csv");
  const auto line_start = text.find("held-out-3");
  const auto line_end = text.find('\n', line_start);
  const auto last_comma = text.rfind(',', line_end);
  text.replace(last_comma + 1, line_end - last_comma - 1, "0.125");
  copy.write("selftest.csv", text);
  copy.seal();
  const auto package = ModelPackage::load(copy.folder());
  ASSERT_FALSE(package);
  const std::string& message = package.error().message;
  for (const char* part : {"row 3", "held-out-3", "stage combined", "combined.margin", "expected 0.125", "got ", "tolerance"})
    EXPECT_NE(message.find(part), std::string::npos) << message;
}

TEST(Admission, RefusesARowThatMustBeRefusedButIsScored) {
  const PackageCopy copy;
  std::string text = copy.read("selftest.csv");
  const auto start = text.find("\nheld-out-2,") + 1;
  const auto end = text.find('\n', start);
  std::string line = text.substr(start, end - start);
  std::size_t comma = 0;
  for (int c = 0; c < 7; ++c) comma = line.find(',', comma + 1);
  line = line.substr(0, comma) + ",,,,,";
  copy.write("selftest.csv", text.replace(start, end - start, line));
  copy.seal();
  const auto package = ModelPackage::load(copy.folder());
  ASSERT_FALSE(package);
  EXPECT_EQ(package.error().code, ErrorCode::selftest_mismatch);
  EXPECT_NE(package.error().message.find("must be refused"), std::string::npos) << package.error().message;
}

TEST(Admission, NamesAFolderThatIsNotThere) {
  const auto package = ModelPackage::load(std::filesystem::path(testing::TempDir()) / "no-such-package");
  ASSERT_FALSE(package);
  EXPECT_EQ(package.error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace choana::processing
