#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "processing/prediction/model_import.h"
#include "processing/prediction/model_package.h"
#include "processing/prediction/readers/model_reader.h"
#include "processing/prediction/readers/table.h"
#include "processing/prediction/readers/xgboost_reader.h"

namespace choana::processing {
namespace {

using nlohmann::json;

std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (std::size_t n = 0; n + 1 < hex.size(); n += 2) bytes += static_cast<char>(std::stoi(hex.substr(n, 2), nullptr, 16));
  return bytes;
}

/// Models of XGBoost 3.2.0, LightGBM 4.7.0 and CatBoost 1.2.10 with those libraries' own figures (tests/interop/foreign_figures.py).
const json& figures() {
  static const json document = json::parse(std::ifstream(std::string(CHOANA_SOURCE_DIR) + "/tests/unit/processing/prediction/foreign_figures.json"));
  return document["models"];
}

std::string bytes_of(const json& figure) { return figure.contains("hex") ? from_hex(figure["hex"]) : figure["text"].get<std::string>(); }

const json& figure_named(const std::string& name) {
  for (const json& figure : figures())
    if (figure["name"] == name) return figure;
  throw std::runtime_error("no figure " + name);
}

std::vector<std::string> names_of(std::size_t count) {
  std::vector<std::string> names;
  for (std::size_t n = 0; n < count; ++n) names.push_back("f" + std::to_string(n));
  return names;
}

std::vector<double> row_of(const json& row) {
  std::vector<double> values;
  for (const json& cell : row) values.push_back(cell.is_null() ? std::numeric_limits<double>::quiet_NaN() : cell.get<double>());
  return values;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  if (at == std::string::npos) throw std::runtime_error("no '" + from + "' in the model");
  return text.replace(at, from.size(), to);
}

TEST(ForeignModels, GiveTheMarginsOfTheirLibrariesToTheLastBit) {
  ASSERT_GE(figures().size(), 16U);
  for (const json& figure : figures()) {
    SCOPED_TRACE(figure["name"].get<std::string>());
    const auto learner = read_model(figure["format"], bytes_of(figure), "model", names_of(4));
    ASSERT_TRUE(learner) << learner.error().message;
    for (std::size_t r = 0; r < figure["rows"].size(); ++r) {
      const auto scored = score(*learner, row_of(figure["rows"][r]));
      ASSERT_TRUE(scored) << scored.error().message;
      const auto margins = figure["margins"][r].get<std::vector<double>>(), values = figure["values"][r].get<std::vector<double>>();
      ASSERT_EQ(scored->margins.size(), margins.size());
      for (std::size_t c = 0; c < margins.size(); ++c) {
        EXPECT_EQ(scored->margins[c], margins[c]) << "row " << r;
        // CatBoost's exponential is its own; XGBoost's and LightGBM's are the C library's.
        EXPECT_NEAR(scored->values[c], values[c], figure["format"] == "catboost" ? 1e-15 : 0) << "row " << r;
      }
    }
  }
}

TEST(ForeignModels, AcceptEveryFormOfTheXgboostBaseScore) {
  const std::string text = figure_named("xgboost 3.2.0 logistic")["text"];
  const auto at = text.find("\"base_score\":\"") + 13;
  const std::string written = text.substr(at, text.find('"', at + 1) + 1 - at);
  ASSERT_EQ(written.substr(0, 2), "\"[");
  const std::vector<double> row(4, 0.25);
  const double expected = score(*read_xgboost(text, "m"), row)->margins[0];
  const std::string bare = written.substr(2, written.size() - 4);
  for (const std::string& form : {"\"" + bare + "\"", bare, "[" + bare + "]", "[\"" + bare + "\"]"}) {
    const auto learner = read_xgboost(replaced(text, written, form), "m");
    ASSERT_TRUE(learner) << form << ": " << learner.error().message;
    EXPECT_EQ(score(*learner, row)->margins[0], expected) << form;
  }
}

struct Damage {
  const char* what;
  const char* model;
  std::string from, to;
  const char* said;
};

TEST(ForeignModels, AreRefusedWithAWordWhereTheyAreDamagedOrUnsupported) {
  const std::vector<Damage> damages{
      {"a cycle", "xgboost 3.2.0 logistic", "\"left_children\":[1", "\"left_children\":[0", "cycle"},
      {"a child out of range", "xgboost 3.2.0 logistic", "\"right_children\":[2", "\"right_children\":[99", "out of range"},
      {"a feature out of range", "xgboost 3.2.0 logistic", "\"split_indices\":[0", "\"split_indices\":[17", "splits on input"},
      {"arrays of different lengths", "xgboost 3.2.0 logistic", "\"left_children\":[1,", "\"left_children\":[1,1,", "different lengths"},
      {"vector leaves", "xgboost 3.2.0 logistic", "\"size_leaf_vector\":\"1\"", "\"size_leaf_vector\":\"3\"", "vector leaves"},
      {"several targets", "xgboost 3.2.0 logistic", "\"num_target\":\"1\"", "\"num_target\":\"2\"", "several targets"},
      {"an unknown objective", "xgboost 3.2.0 logistic", "binary:logistic", "custom:mine", "objective 'custom:mine'"},
      {"a base score that is no probability", "xgboost 3.2.0 logistic", "\"base_score\":\"[", "\"base_score\":\"[1", "not a probability"},
      {"an unknown booster", "xgboost 3.2.0 logistic", "\"name\":\"gbtree\"", "\"name\":\"gbforest\"", "gbtree, dart and gblinear"},
      {"no objective", "xgboost 3.2.0 logistic", "\"objective\":", "\"objectives\":", "not a complete XGBoost model"},
      {"a threshold that is no number", "xgboost 3.2.0 logistic", "\"split_conditions\":[", "\"split_conditions\":[NaN,", "different lengths"},
      {"half a file", "xgboost 3.2.0 softprob", "\"trees\":", "}", "not valid JSON"},
      {"cut off", "lightgbm 4.7.0 binary", "end of trees", "", "cut off"},
      {"linear trees", "lightgbm 4.7.0 binary", "is_linear=0", "is_linear=1", "linear trees"},
      {"an unknown objective of LightGBM", "lightgbm 4.7.0 binary", "objective=binary", "objective=mine", "objective 'mine'"},
      {"a leaf that is not there", "lightgbm 4.7.0 binary", "left_child=", "left_child=7 ", "instead of"},
      {"a tree too few", "lightgbm 4.7.0 binary", "tree_sizes=", "tree_sizes=10 ", "number of trees"},
      {"a threshold that is not a number", "lightgbm 4.7.0 binary", "threshold=", "threshold=nan ", "something else than numbers"},
      {"categorical features", "catboost 1.2.10 logloss", "\"features_info\": {", "\"features_info\": {\"categorical_features\": [{}], ", "categorical_features"},
      {"splits on statistics", "catboost 1.2.10 logloss", "FloatFeature", "OnlineCtr", "OnlineCtr"},
      {"too few leaves", "catboost 1.2.10 logloss", "\"leaf_values\": [", "\"leaf_values\": [0.5, ", "leaf_values"},
      {"an unknown loss", "catboost 1.2.10 logloss", "\"Logloss\"", "\"Mine\"", "loss 'Mine'"}};
  for (const Damage& damage : damages) {
    SCOPED_TRACE(damage.what);
    const json& figure = figure_named(damage.model);
    const auto learner = read_model(figure["format"], replaced(figure["text"], damage.from, damage.to), "model", names_of(4));
    EXPECT_FALSE(learner);
    if (learner) continue;
    EXPECT_NE(learner.error().message.find(damage.said), std::string::npos) << learner.error().message;
  }
}

TEST(ForeignModels, BinaryJsonThatClaimsMoreThanItHoldsIsRefusedWithoutMemory) {
  // An array of 2^62 values `true`, which take no bytes; and an object nested without end.
  EXPECT_FALSE(read_xgboost(std::string("{L\0\0\0\0\0\0\0\1a[$T#L\x40\0\0\0\0\0\0\0", 25), "bomb"));
  std::string nested;
  for (int n = 0; n < 100'000; ++n) nested += "{U\1a";
  EXPECT_FALSE(read_xgboost(nested, "nested"));
  EXPECT_FALSE(read_xgboost(std::string(200'000, '['), "text"));
}

TEST(ForeignModels, KeepTheOrderOfTheirInputs) {
  const json& figure = figure_named("lightgbm 4.7.0 binary");
  const std::string text = replaced(figure["text"], "feature_names=Column_0 Column_1", "feature_names=a b");
  EXPECT_TRUE(read_model("lightgbm", text, "model", {"a", "b", "c", "d"}));
  const auto swapped = read_model("lightgbm", text, "model", {"b", "a", "c", "d"});
  ASSERT_FALSE(swapped);
  EXPECT_NE(swapped.error().message.find("'b' is given as input 1, but model wants 'a' there"), std::string::npos) << swapped.error().message;
  EXPECT_FALSE(read_model("lightgbm", text, "model", {"a", "b", "c"}));
  EXPECT_FALSE(read_model("lightgmb", text, "model", names_of(4)));
}

/// FEATURES.csv and ROWS.csv of a figure, its rows repeated to 20 and more.
ImportRequest request_for(const json& figure, bool both_classes = false) {
  ImportRequest request;
  request.format = figure["format"];
  request.model = bytes_of(figure);
  request.features_csv = "feature\nf0\nf1\nf2\nf3\n";
  const std::size_t classes = figure["values"][0].size();
  request.selftest_csv = "f0,f1,f2,f3";
  if (classes == 1 && !both_classes) request.selftest_csv += ",expected";
  for (std::size_t c = 0; c < (both_classes ? 2 : classes); ++c)
    if (classes > 1 || both_classes) request.selftest_csv += ",expected." + std::to_string(c);
  request.selftest_csv += "\n";
  for (std::size_t n = 0; n < 24; ++n) {
    const std::size_t r = n % figure["rows"].size();
    std::string line;
    for (const double value : row_of(figure["rows"][r])) line += (std::isnan(value) ? "" : print_number(value)) + ",";
    if (both_classes) line += print_number(1 - figure["values"][r][0].get<double>()) + ",";
    for (const json& value : figure["values"][r]) line += print_number(value.get<double>()) + ",";
    line.pop_back();
    request.selftest_csv += line + "\n";
  }
  return request;
}

TEST(ModelImport, MakesPackagesThatAreAdmittedAndScoreAsTheLibraryDoes) {
  for (const json& figure : figures()) {
    SCOPED_TRACE(figure["name"].get<std::string>());
    const auto files = import_model(request_for(figure));
    ASSERT_TRUE(files) << files.error().message;
    const auto package = ModelPackage::admit(*files);
    ASSERT_TRUE(package) << package.error().message;
    EXPECT_LE(package->selftest_deviation(), 1e-15);
    std::map<std::string, double> inputs;
    const std::vector<double> row = row_of(figure["rows"][0]);
    for (std::size_t f = 0; f < 4; ++f)
      if (!std::isnan(row[f])) inputs["f" + std::to_string(f)] = row[f];
    const auto scores = package->score(inputs, true);
    ASSERT_TRUE(scores) << scores.error().message;
    EXPECT_EQ(scores->front().name, "prediction");
    EXPECT_EQ(scores->front().margins, figure["margins"][0].get<std::vector<double>>());
    EXPECT_TRUE(scores->front().withheld.empty()) << scores->front().withheld;
  }
}

TEST(ModelImport, GivesBothClassesWhereBothAreExpected) {
  const json& figure = figure_named("lightgbm 4.7.0 binary");
  const auto files = import_model(request_for(figure, true));
  ASSERT_TRUE(files) << files.error().message;
  const auto package = ModelPackage::admit(*files);
  ASSERT_TRUE(package) << package.error().message;
  EXPECT_EQ(package->classes_of(package->manifest().outputs[0]), 2U);
  const auto scores = package->score({{"f0", 0.5}, {"f1", 1.0}, {"f2", 0.0}, {"f3", 2.0}}, true);
  ASSERT_TRUE(scores);
  const OutputScore& score = scores->front();
  ASSERT_EQ(score.values.size(), 2U);
  EXPECT_EQ(score.values[0] + score.values[1], 1.0);
  EXPECT_EQ(score.margins[0], -score.margins[1]);
  ASSERT_EQ(score.explanations.size(), 2U);
  EXPECT_EQ(score.explanations[0].base, -score.explanations[1].base);
}

TEST(ModelImport, RefusesAModelThatComputesSomethingElseThanExpected) {
  const json& figure = figure_named("xgboost 3.2.0 logistic");
  ImportRequest request = request_for(figure);
  const auto last = request.selftest_csv.rfind(',');
  request.selftest_csv = request.selftest_csv.substr(0, last + 1) + "0.123\n";
  const auto files = import_model(request);
  ASSERT_FALSE(files);
  EXPECT_EQ(files.error().code, ErrorCode::selftest_mismatch);
  for (const char* part : {"Row 24", "expected 0.123", "got 0.", "tolerance"}) EXPECT_NE(files.error().message.find(part), std::string::npos) << files.error().message;
}

TEST(ModelImport, SaysWhatIsWrongWithTheTables) {
  const json& figure = figure_named("xgboost 3.2.0 softprob");
  const ImportRequest good = request_for(figure);
  const auto refused = [&](auto change, const std::string& said) {
    ImportRequest request = good;
    change(request);
    const auto files = import_model(request);
    ASSERT_FALSE(files) << said;
    EXPECT_NE(files.error().message.find(said), std::string::npos) << files.error().message;
  };
  refused([](ImportRequest& r) { r.features_csv = "name\nf0\n"; }, "no column 'feature'");
  refused([](ImportRequest& r) { r.features_csv = "feature\nf0\nf0\n"; }, "names 'f0' twice");
  refused([](ImportRequest& r) { r.features_csv = "feature\nf0\nf1\nf2\n"; }, "wants 4 inputs");
  refused([](ImportRequest& r) { r.selftest_csv = replaced(r.selftest_csv, "f2,", "f9,"); }, "lack the feature 'f2'");
  refused([](ImportRequest& r) { r.selftest_csv = replaced(r.selftest_csv, ",expected.2", ",other"); }, "expect 2 classes, and the model gives 3");
  refused([](ImportRequest& r) { r.selftest_csv = replaced(r.selftest_csv, "expected.0,expected.1,expected.2", "expected,a,b"); }, "expected.0 to expected.2");
  refused([](ImportRequest& r) { r.selftest_csv = r.selftest_csv.substr(0, r.selftest_csv.find('\n', 60) + 1); }, "at least 20");
  refused([](ImportRequest& r) { r.tolerance = 1; }, "tolerance");
  refused([](ImportRequest& r) { r.format = "pickle"; }, "unknown");
}

}  // namespace
}  // namespace choana::processing
