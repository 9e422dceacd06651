#include "processing/prediction/readers/ir_reader.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "processing/prediction/shapley/linear_shapley.h"
#include "processing/prediction/shapley/tree_shapley.h"

namespace choana::processing {
namespace {

using nlohmann::json;

json tree_ir() {
  return json::parse(R"({"ir":1,"kind":"tree_ensemble","features":["a","b"],"compare":"le_f64","sum":"f64","scale":1.0,"base":[0.5],
    "link":"logistic","note":"anything","trees":[{"group":0,"feature":[0,-1,1,-1,-1],"threshold":[0,0,1.7976931348623157e308,0,0],
    "left":[1,-1,3,-1,-1],"right":[2,-1,4,-1,-1],"missing_left":[1,0,0,0,0],"value":[0,-1,0,1,2],"cover":[10,4,6,5,1]}]})");
}

json linear_ir() {
  return json::parse(R"({"ir":1,"kind":"linear","features":["a","b"],"coef":[1.5,-2],"intercept":[0.25],"link":"logistic"})");
}

TEST(IrReader, ReadsTheFormsOfTheSpecification) {
  const auto trees = read_ir(tree_ir().dump(), "m");
  ASSERT_TRUE(trees) << trees.error().message;
  EXPECT_EQ(trees->kind(), "tree_ensemble");
  EXPECT_TRUE(std::isinf(std::get<TreeEnsemble>(trees->model).trees[0].nodes[2].threshold)) << "the largest double stands for infinity";
  EXPECT_TRUE(std::get<TreeEnsemble>(trees->model).has_cover);
  json rows = linear_ir();
  rows["coef"] = {{1.5, -2}, {0, 1}};
  rows["intercept"] = {0, 1};
  rows["link"] = "softmax";
  EXPECT_EQ(read_ir(rows.dump(), "m")->outputs(), 2U);
  json single = tree_ir();
  single["trees"][0] = json::parse(R"({"group":0,"feature":[-1],"threshold":[0],"left":[-1],"right":[-1],"missing_left":[0],"value":[3],"cover":[1]})");
  EXPECT_EQ(score(read_ir(single.dump(), "m").value(), {0, 0})->margins[0], 3.5);
}

TEST(IrReader, ScoresWithoutCoverOrMissingRulesButDoesNotInventThem) {
  json bare = tree_ir();
  bare["trees"][0].erase("cover");
  bare["trees"][0].erase("missing_left");
  const auto learner = read_ir(bare.dump(), "m");
  ASSERT_TRUE(learner) << learner.error().message;
  EXPECT_FALSE(std::get<TreeEnsemble>(learner->model).has_cover);
  EXPECT_EQ(score(*learner, {std::nan(""), 1}).error().code, ErrorCode::missing_value);
}

TEST(IrReader, RefusesWhatIsNotTheForm) {
  struct Case {
    const char* what;
    json ir;
    const char* said;
  };
  const auto trees = [](auto change) {
    json ir = tree_ir();
    change(ir);
    return ir;
  };
  const auto linear = [](auto change) {
    json ir = linear_ir();
    change(ir);
    return ir;
  };
  const std::vector<Case> cases{
      {"version", trees([](json& j) { j["ir"] = 2; }), "IR version 1"},
      {"kind", trees([](json& j) { j["kind"] = "forest"; }), "kind 'forest'"},
      {"unknown field", trees([](json& j) { j["lnik"] = 1; }), "Did you mean link"},
      {"unknown field of a tree", trees([](json& j) { j["trees"][0]["gain"] = 1; }), "unknown field 'gain'"},
      {"no link", trees([](json& j) { j.erase("link"); }), "no field 'link'"},
      {"compare", trees([](json& j) { j["compare"] = "le"; }), "le_f32_f64"},
      {"scale as text", trees([](json& j) { j["scale"] = "1"; }), "must be a number"},
      {"no base", trees([](json& j) { j["base"] = json::array(); }), "base"},
      {"group out of range", trees([](json& j) { j["trees"][0]["group"] = 1; }), "group"},
      {"child out of range", trees([](json& j) { j["trees"][0]["left"][0] = 5; }), "out of range"},
      {"child is the root", trees([](json& j) { j["trees"][0]["left"][2] = 0; }), "cycle"},
      {"child twice", trees([](json& j) { j["trees"][0]["left"][2] = 1; }), "two others"},
      {"cycle apart from the root", trees([](json& j) {
         j["trees"][0] = json::parse(R"({"group":0,"feature":[-1,0,0,-1,-1],"threshold":[0,0,0,0,0],"left":[-1,2,1,-1,-1],"right":[-1,3,4,-1,-1],"value":[1,0,0,1,1]})");
       }), "cycle"},
      {"leaf with a child", trees([](json& j) { j["trees"][0]["left"][1] = 3; }), "leaf with children"},
      {"feature out of range", trees([](json& j) { j["trees"][0]["feature"][0] = 2; }), "splits on input 2"},
      {"lengths", trees([](json& j) { j["trees"][0]["value"] = {1}; }), "different lengths"},
      {"negative cover", trees([](json& j) { j["trees"][0]["cover"][0] = -1; }), "negative cover"},
      {"missing_left", trees([](json& j) { j["trees"][0]["missing_left"][0] = 2; }), "missing_left"},
      {"fractional index", trees([](json& j) { j["trees"][0]["left"][0] = 1.5; }), "whole numbers"},
      {"huge index", trees([](json& j) { j["trees"][0]["left"][0] = 18446744073709551615U; }), "whole numbers"},
      {"no trees", trees([](json& j) { j["trees"] = json::array(); }), "list of trees"},
      {"softmax of one", trees([](json& j) { j["link"] = "softmax"; }), "softmax"},
      {"features twice", linear([](json& j) { j["features"] = {"a", "a"}; }), "twice"},
      {"coefficients", linear([](json& j) { j["coef"] = {1}; }), "1 coefficients for 2"},
      {"intercepts", linear([](json& j) { j["intercept"] = {1, 2}; }), "2 intercepts"},
      {"logistic of two", linear([](json& j) { j["coef"] = {{1, 2}, {3, 4}}; j["intercept"] = {1, 2}; }), "logistic"},
      {"null coefficient", linear([](json& j) { j["coef"][0] = nullptr; }), "numbers only"},
      {"scaler length", linear([](json& j) { j["scaler"] = {{"kind", "standard"}, {"mean", {0}}, {"scale", {1}}}; }), "one mean and one scale"},
      {"scaler of zero", linear([](json& j) { j["scaler"] = {{"kind", "standard"}, {"mean", {0, 0}}, {"scale", {1, 0}}}; }), "above zero"},
      {"scaler kind", linear([](json& j) { j["scaler"] = {{"kind", "minmax"}, {"mean", {0, 0}}, {"scale", {1, 1}}}; }), "standard"},
      {"a list", json::array(), "JSON object"},
      {"svm of another length", json::parse(R"({"ir":1,"kind":"svm","features":["a"],"kernel":"linear","sv":[[1,2]],"dual_coef":[1],"intercept":[0],"probability":"none"})"), "1 numbers in every row"},
      {"svm without gamma", json::parse(R"({"ir":1,"kind":"svm","features":["a"],"kernel":"rbf","sv":[[1]],"dual_coef":[1],"intercept":[0],"probability":"none"})"), "gamma"},
      {"svm with coefficients missing", json::parse(R"({"ir":1,"kind":"svm","features":["a"],"kernel":"linear","sv":[[1],[2]],"dual_coef":[1],"intercept":[0],"probability":"none"})"), "1 coefficients for 2"},
      {"svm without A", json::parse(R"({"ir":1,"kind":"svm","features":["a"],"kernel":"linear","sv":[[1]],"dual_coef":[1],"intercept":[0],"probability":"sigmoid"})"), "'A'"},
      {"variance of zero", json::parse(R"({"ir":1,"kind":"gaussian_nb","features":["a"],"prior":[0.5,0.5],"mean":[[0],[1]],"var":[[1],[0]]})"), "above zero"},
      {"one class", json::parse(R"({"ir":1,"kind":"gaussian_nb","features":["a"],"prior":[1],"mean":[[0]],"var":[[1]]})"), "two classes"},
      {"layers that do not fit", json::parse(R"({"ir":1,"kind":"mlp","features":["a"],"coefs":[[[1,2]],[[1]]],"intercepts":[[0,0],[0]],"activation":"relu","output":"logistic"})"), "1 rows of coefs in layer 2 for 2 inputs"},
      {"isotonic out of order", json::parse(R"({"ir":1,"kind":"calibrated","features":["a"],"members":[{"base":{"kind":"linear","coef":[1],"intercept":[0],"link":"identity"},"calibrator":{"kind":"isotonic","x":[1,0],"y":[0,1]}}]})"), "ascending"},
      {"calibrated on nothing known", json::parse(R"({"ir":1,"kind":"calibrated","features":["a"],"members":[{"base":{"kind":"mlp"},"calibrator":{"kind":"sigmoid","a":1,"b":0}}]})"), "rests on linear, svm or tree_ensemble"},
  };
  for (const Case& one : cases) {
    const auto result = read_ir(one.ir.dump(), "model/m.ir.json");
    ASSERT_FALSE(result) << one.what;
    EXPECT_EQ(result.error().code, ErrorCode::invalid_package) << one.what;
    EXPECT_NE(result.error().message.find(one.said), std::string::npos) << one.what << ": " << result.error().message;
    EXPECT_NE(result.error().message.find("model/m.ir.json"), std::string::npos) << one.what;
  }
}

TEST(IrReader, RefusesWhatIsNotStrictJson) {
  EXPECT_FALSE(read_ir("", "m"));
  EXPECT_FALSE(read_ir(R"({"ir":1)", "m"));
  EXPECT_FALSE(read_ir(R"({"ir":1,"kind":"linear","features":["a"],"coef":[NaN],"intercept":[0],"link":"identity"})", "m"));
  EXPECT_FALSE(read_ir(R"({"ir":1,"kind":"linear","features":["a"],"coef":[1e999],"intercept":[0],"link":"identity"})", "m"));
  const auto repeated = read_ir(R"({"ir":1,"ir":1,"kind":"linear","features":["a"],"coef":[1],"intercept":[0],"link":"identity"})", "m");
  ASSERT_FALSE(repeated);
  EXPECT_NE(repeated.error().message.find("twice"), std::string::npos);
  EXPECT_EQ(read_ir(std::string(100'000, '['), "m").has_value(), false);
  EXPECT_EQ(read_ir("[" + std::string(50, '[') + std::string(50, ']') + "]", "m").error().code, ErrorCode::limit_exceeded);
}

// ---- figures of scikit-learn and shap; made by tests/interop/prediction_figures.py, versions inside the file

json figures() {
  std::ifstream in(std::string(CHOANA_SOURCE_DIR) + "/tests/unit/processing/prediction/sklearn_figures.json");
  return json::parse(in);
}

std::vector<double> row_of(const json& row) {
  std::vector<double> values;
  for (const json& value : row) values.push_back(value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>());
  return values;
}

TEST(Learners, GiveTheMarginsAndProbabilitiesOfScikitLearn) {
  const json file = figures();
  EXPECT_EQ(file["models"].size(), 20U);
  for (const json& model : file["models"]) {
    SCOPED_TRACE(model["name"].get<std::string>());
    const auto learner = read_ir(model["ir"].dump(), model["name"]);
    ASSERT_TRUE(learner) << learner.error().message;
    for (std::size_t r = 0; r < model["rows"].size(); ++r) {
      const auto result = score(*learner, row_of(model["rows"][r]));
      ASSERT_TRUE(result) << result.error().message;
      ASSERT_EQ(result->margins.size(), model["margins"][r].size());
      // scikit-learn shows a softmax network's margins only up to a constant, and log-odds lose digits near 0 and 1.
      const bool from_probability = learner->kind() == "mlp" || learner->kind() == "calibrated";
      const double shift = from_probability && result->margins.size() > 1 ? result->margins[0] - model["margins"][r][0].get<double>() : 0;
      for (std::size_t g = 0; g < result->margins.size(); ++g) {
        const double margin = model["margins"][r][g], value = model["values"][r][g];
        EXPECT_NEAR(result->margins[g] - shift, margin, (from_probability ? 1e-9 : 1e-12) * std::max(1.0, std::abs(margin))) << "row " << r;
        EXPECT_NEAR(result->values[g], value, 1e-12) << "row " << r;
      }
    }
  }
}

TEST(Shapley, GivesTheValuesOfShap) {
  std::size_t compared = 0;
  const json file = figures();
  for (const json& model : file["models"]) {
    if (!model.contains("shap")) continue;
    SCOPED_TRACE(model["name"].get<std::string>());
    const auto learner = read_ir(model["ir"].dump(), model["name"]);
    ASSERT_TRUE(learner);
    for (std::size_t r = 0; r < model["rows"].size(); ++r) {
      const std::vector<double> row = row_of(model["rows"][r]);
      const std::vector<double> z = learner->scaler ? learner->scaler->apply(row) : row;
      Attribution attribution;
      if (const auto* trees = std::get_if<TreeEnsemble>(&learner->model))
        attribution = explain_trees(*trees, z).value()[0];
      else
        attribution = explain_linear(std::get<LinearModel>(learner->model), z, learner->scaler->apply(row_of(model["mean"])))[0];
      EXPECT_NEAR(attribution.base, model["shap_base"].get<double>(), 1e-9);
      for (std::size_t f = 0; f < row.size(); ++f, ++compared)
        EXPECT_NEAR(attribution.shares[f], model["shap"][r][f].get<double>(), 1e-9) << "row " << r << ", feature " << f;
    }
  }
  EXPECT_GE(compared, 100U);
}

}  // namespace
}  // namespace choana::processing
