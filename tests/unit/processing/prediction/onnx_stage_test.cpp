// ONNX graphs as learners of a package.

#include <gtest/gtest.h>

#include "processing/prediction/learners/learner.h"
#include "processing/prediction/model_import.h"
#include "processing/prediction/readers/model_reader.h"
#include "tests/unit/processing/onnx/onnx_models.h"
#include "tests/unit/processing/prediction/table_package.h"

namespace choana::processing {
namespace {

using test::ModelMaker;
using test::TablePackage;

constexpr double missing = std::numeric_limits<double>::quiet_NaN();

// Powers of two: float32 computes the logits exactly.
const float weights[3][2] = {{0.5F, -0.25F}, {-1, 0.5F}, {0.25F, 2}};
const float offsets[2] = {0.5F, -0.75F};

double logit(const std::vector<double>& row, int c) {
  double sum = offsets[c];
  for (std::size_t f = 0; f < 3; ++f) sum += row[f] * weights[f][c];
  return sum;
}

double probability(const std::vector<double>& row) { return 1 / (1 + std::exp(logit(row, 0) - logit(row, 1))); }

/// Rows of three numbers, two logits, their softmax, and the class: what a network exporter writes.
ModelMaker network() {
  ModelMaker maker;
  maker.input("x", {-1, 3}).weights("w", {3, 2}, {0.5F, -0.25F, -1, 0.5F, 0.25F, 2}).weights("b", {2}, {0.5F, -0.75F});
  maker.node("MatMul", {"x", "w"}, {"product"});
  maker.node("Add", {"product", "b"}, {"logits"});
  ModelMaker::set(maker.node("Softmax", {"logits"}, {"probabilities"}), "axis", 1);
  ModelMaker::set(maker.node("ArgMax", {"probabilities"}, {"label"}), "axis", 1);
  maker.output("label").output("probabilities");
  return maker;
}

/// The network as the only stage.
struct OnnxPackage : TablePackage {
  explicit OnnxPackage(const std::string& keys = "", const std::function<double(const std::vector<double>&)>& value = probability, const std::function<double(const std::vector<double>&)>& margin = probability) {
    features = {{"a", 0, 1}, {"b", 0, 1}, {"c", 0, 1}};
    stages = "  - {id: net, type: onnx, file: model/net.onnx, in: table" + keys + "}\n";
    outputs = "  - {from: net, name: Risk}\n";
    more = "background: background.csv\n";
    files = {{"model/net.onnx", network().bytes()}, {"background.csv", "a,b,c\n0,0,0\n1,0.5,-1\n-2,1,0.5\n0.25,-1,1\n"}};
    columns = {"net", "net.margin"};
    for (int r = 0; r < 20; ++r) {
      const std::vector<double> row{-2 + 0.25 * r, 1 - 0.125 * r, 0.5 * (r % 5)};
      rows.push_back({number(row[0]), number(row[1]), number(row[2]), number(value(row)), number(margin(row))});
    }
  }

  // The probabilities are float32.
  [[nodiscard]] PackageFiles build() const {
    PackageFiles files_built = TablePackage::build();
    std::string& manifest = files_built.content["manifest.yaml"];
    manifest.replace(manifest.find("1.0e-12"), 7, "1.0e-6");
    seal(files_built);
    return files_built;
  }
};

void expect_sum(const Explanation& explanation) {
  double sum = explanation.base;
  for (const Contribution& part : explanation.contributions) sum += part.contribution;
  EXPECT_NEAR(sum, explanation.output, 1e-6);
}

TEST(OnnxStage, ReportsTheProbabilityOfClassOneAndExplainsIt) {
  const auto package = ModelPackage::admit(OnnxPackage().build());
  ASSERT_TRUE(package) << to_string(package.error());
  const std::vector<double> row{1, -0.5, 0.25};
  const auto prediction = package->predict({{"a", row[0]}, {"b", row[1]}, {"c", row[2]}});
  ASSERT_TRUE(prediction) << to_string(prediction.error());
  EXPECT_EQ(prediction->front().unit, "%");
  EXPECT_NEAR(prediction->front().value, 100 * probability(row), 1e-4);
  EXPECT_EQ(prediction->front().explanation.method, "enumeration");
  ASSERT_EQ(prediction->front().explanation.contributions.size(), 3U);
  expect_sum(prediction->front().explanation);
  EXPECT_NEAR(prediction->front().explanation.base, (probability({0, 0, 0}) + probability({1, 0.5, -1}) + probability({-2, 1, 0.5}) + probability({0.25, -1, 1})) / 4, 1e-6);
}

TEST(OnnxStage, ExplainsTheScoreThatTheManifestNames) {
  const auto package = ModelPackage::admit(OnnxPackage(", output: probabilities, score: logits", probability, [](const std::vector<double>& row) { return logit(row, 1); }).build());
  ASSERT_TRUE(package) << to_string(package.error());
  const auto prediction = package->predict({{"a", 1}, {"b", -0.5}, {"c", 0.25}});
  ASSERT_TRUE(prediction);
  EXPECT_NEAR(*prediction->front().margin, logit({1, -0.5, 0.25}, 1), 1e-12);
  // A linear score: weight times distance from the mean of the background.
  const double means[] = {-0.1875, 0.125, 0.125};
  const double row[] = {1, -0.5, 0.25};
  for (std::size_t f = 0; f < 3; ++f) EXPECT_NEAR(prediction->front().explanation.contributions[f].contribution, weights[f][1] * (row[f] - means[f]), 1e-6);
  expect_sum(prediction->front().explanation);
}

TEST(OnnxStage, GivesAnotherClassOrBothWhereAsked) {
  const auto other = [](const std::vector<double>& row) { return 1 - probability(row); };
  const auto package = ModelPackage::admit(OnnxPackage(", class: 0", other, other).build());
  ASSERT_TRUE(package) << to_string(package.error());
  OnnxPackage both;
  both.outputs = "  - {from: net, name: Risk, both_classes: true}\n";
  const auto pair = ModelPackage::admit(both.build());
  ASSERT_TRUE(pair) << to_string(pair.error());
  const auto scores = pair->score({{"a", 1}, {"b", 0}, {"c", 0}}, true);
  ASSERT_TRUE(scores);
  ASSERT_EQ(scores->front().values.size(), 2U);
  EXPECT_NEAR(scores->front().values[0] + scores->front().values[1], 1, 1e-12);
  for (std::size_t c = 0; c < 2; ++c) {
    EXPECT_NEAR(scores->front().margins[c], scores->front().values[c], 1e-12) << "a margin that is the share stays one";
    expect_sum(scores->front().explanations[c]);
  }
}

TEST(OnnxStage, GivesTheValueOfEveryClassOfThree) {
  ModelMaker maker;
  maker.input("x", {-1, 2}).weights("w", {2, 3}, {1, 0, -1, 0.5F, 1, 0});
  maker.node("MatMul", {"x", "w"}, {"logits"});
  ModelMaker::set(maker.node("Softmax", {"logits"}, {"p"}), "axis", 1);
  maker.output("p");
  const auto learner = read_model("onnx", maker.bytes(), "x.onnx", {"a", "b"});
  ASSERT_TRUE(learner) << to_string(learner.error());
  EXPECT_EQ(learner->outputs(), 3U);
  const auto scored = score(*learner, {0.5, 2});
  ASSERT_TRUE(scored);
  const double z[] = {1.5, 2, -0.5}, sum = std::exp(1.5) + std::exp(2) + std::exp(-0.5);
  for (std::size_t c = 0; c < 3; ++c) EXPECT_NEAR(scored->values[c], std::exp(z[c]) / sum, 1e-6);
  OnnxSelection last;
  last.chosen_class = 2;
  const auto one = read_model("onnx", maker.bytes(), "x.onnx", {"a", "b"}, 0, last);
  ASSERT_TRUE(one);
  EXPECT_EQ(one->outputs(), 1U);
  EXPECT_NEAR(score(*one, {0.5, 2})->values[0], std::exp(-0.5) / sum, 1e-6);
}

TEST(OnnxStage, TakesOneInputAFeatureAndWholeNumbers) {
  ModelMaker maker;
  maker.input("age", {-1, 1}).input("stage", {-1, 1}, onnx::TensorProto::INT64);
  ModelMaker::set(maker.node("Cast", {"stage"}, {"stage_f"}), "to", onnx::TensorProto::FLOAT);
  maker.node("Mul", {"age", "stage_f"}, {"product"});
  maker.node("Sigmoid", {"product"}, {"p"});
  maker.output("p");
  const auto learner = read_model("onnx", maker.bytes(), "x.onnx", {"age", "stage"});
  ASSERT_TRUE(learner) << to_string(learner.error());
  EXPECT_EQ(learner->link(), Link::own) << "one value that a sigmoid makes is a probability";
  EXPECT_NEAR(score(*learner, {0.5, 2})->values[0], 1 / (1 + std::exp(-1.0)), 1e-6);
  EXPECT_EQ(score(*learner, {0.5, 1.5}).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(score(*learner, {1e300, 1}).error().code, ErrorCode::invalid_argument) << "beyond float32";
  EXPECT_EQ(score(*learner, {missing, 1}).error().code, ErrorCode::missing_value) << "no operator of the graph deals with it";
  EXPECT_NE(read_model("onnx", maker.bytes(), "x.onnx", {"stage", "age"}).error().message.find("wants 'age' there"), std::string::npos);
}

TEST(OnnxStage, TakesAGraphOfOneRowAtATime) {
  ModelMaker maker;
  maker.input("x", {2}).weights("w", {2}, {2, -1});
  maker.node("Mul", {"x", "w"}, {"product"});
  ModelMaker::set(maker.node("ReduceSum", {"product"}, {"y"}), "keepdims", 1);
  maker.output("y");
  const auto learner = read_model("onnx", maker.bytes(), "x.onnx", {"a", "b"});
  ASSERT_TRUE(learner) << to_string(learner.error());
  EXPECT_EQ(learner->link(), Link::identity);
  const auto margins = margins_of(*learner, {{1, 0}, {0, 1}, {3, 4}});
  ASSERT_TRUE(margins) << to_string(margins.error());
  EXPECT_EQ(*margins, (std::vector<std::vector<double>>{{2}, {-1}, {2}}));
}

// ONNX Runtime 1.31.1 on what skl2onnx 1.20.0 writes of an SVC without probabilities: the first column is scikit-learn's decision, the second its negative.
TEST(OnnxStage, GivesTheDecisionOfATwoClassMachinePositiveForClassOne) {
  ModelMaker maker;
  maker.input("x", {-1, 2});
  auto* ml = maker.model().add_opset_import();
  ml->set_domain("ai.onnx.ml");
  ml->set_version(3);
  auto* node = maker.node("SVMClassifier", {"x"}, {"label", "scores"}, "ai.onnx.ml");
  ModelMaker::set(node, "kernel_type", std::string("LINEAR"));
  ModelMaker::set(node, "vectors_per_class", std::vector<std::int64_t>{1, 1});
  ModelMaker::set(node, "classlabels_ints", std::vector<std::int64_t>{0, 1});
  const std::pair<const char*, std::vector<float>> numbers[] = {{"kernel_params", {1, 0, 3}}, {"support_vectors", {1, 0, 0, 1}}, {"coefficients", {1, -1}}, {"rho", {0.5F}}};
  for (const auto& [key, values] : numbers) {
    auto* attribute = node->add_attribute();
    attribute->set_name(key);
    attribute->set_type(onnx::AttributeProto::FLOATS);
    for (const float value : values) attribute->add_floats(value);
  }
  maker.output("label").output("scores");
  const auto learner = read_model("onnx", maker.bytes(), "x.onnx", {"a", "b"});
  ASSERT_TRUE(learner) << to_string(learner.error());
  EXPECT_EQ(learner->outputs(), 1U);
  EXPECT_EQ(learner->link(), Link::identity);
  // The pair's sum a - b + 0.5 votes for class 0 where it is positive.
  EXPECT_DOUBLE_EQ(score(*learner, {2, 1})->values[0], -1.5);
  EXPECT_DOUBLE_EQ(score(*learner, {0, 3})->values[0], 2.5);
}

struct Damage {
  const char* what;
  std::function<void(OnnxPackage&)> change;
  const char* said;
};

Damage with_graph(const char* what, std::function<void(ModelMaker&)> change, const char* said) {
  return {what, [change = std::move(change)](OnnxPackage& p) {
            ModelMaker maker = network();
            change(maker);
            p.files["model/net.onnx"] = maker.bytes();
          }, said};
}

Damage with_keys(const char* what, const std::string& keys, const char* said) {
  return {what, [=](OnnxPackage& p) { p.stages = "  - {id: net, type: onnx, file: model/net.onnx, in: table" + keys + "}\n"; }, said};
}

const Damage damages[] = {
    with_graph("another weight", [](ModelMaker& m) { m.graph()->mutable_initializer(1)->mutable_raw_data()->at(3) = 0x40; }, "stage net"),
    with_graph("an unknown operator", [](ModelMaker& m) { m.graph()->mutable_node(1)->set_op_type("Addd"); }, "operators that are not supported: Addd"),
    with_graph("an operator of an unknown domain", [](ModelMaker& m) { m.graph()->mutable_node(1)->set_domain("com.example"); }, "com.example.Add"),
    with_graph("a cycle", [](ModelMaker& m) { m.graph()->mutable_node(0)->set_input(0, "logits"); }, "before anything makes it"),
    with_graph("weights in another file", [](ModelMaker& m) {
      auto* tensor = m.graph()->mutable_initializer(0);
      tensor->set_data_location(onnx::TensorProto::EXTERNAL);
      auto* entry = tensor->add_external_data();
      entry->set_key("location");
      entry->set_value("/etc/hostname");
    }, "in another file"),
    with_graph("a tensor without end", [](ModelMaker& m) {
      auto* tensor = m.graph()->mutable_initializer(0);
      tensor->clear_dims();
      for (int n = 0; n < 4; ++n) tensor->add_dims(2'000'000'000);
    }, "impossible shape"),
    with_graph("a tensor that is larger than its data", [](ModelMaker& m) { m.graph()->mutable_initializer(0)->set_dims(0, 3000); }, "do not fit its shape"),
    with_graph("a value that becomes too large", [](ModelMaker& m) {
      m.integers("sizes", {100'000, 100'000, 100'000});
      m.node("ConstantOfShape", {"sizes"}, {"huge"});
      m.node("ReduceSum", {"huge"}, {"p"});
      m.graph()->clear_output();
      m.output("p");
    }, "impossible shape"),
    with_graph("another number of features", [](ModelMaker& m) { m.graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim(1)->set_dim_value(4); }, "takes rows of 4 numbers, and 3 are given"),
    with_graph("text for an input", [](ModelMaker& m) { m.graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(onnx::TensorProto::STRING); }, "not rows of numbers"),
    with_graph("an image for an input", [](ModelMaker& m) {
      for (int n = 0; n < 2; ++n) m.graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->mutable_shape()->add_dim()->set_dim_value(8);
    }, "not rows of numbers"),
    with_graph("a class without a probability", [](ModelMaker& m) {
      m.graph()->clear_output();
      m.output("label");
    }, "no probability to report"),
    with_graph("two values", [](ModelMaker& m) { m.output("logits"); }, "state one of 'probabilities', 'logits' as output"),
    with_graph("an output that nothing makes", [](ModelMaker& m) { m.output("nothing"); }, "nothing makes"),
    {"half a file", [](OnnxPackage& p) { p.files["model/net.onnx"].resize(p.files["model/net.onnx"].size() / 2); }, "damaged"},
    {"no file", [](OnnxPackage& p) { p.files["model/net.onnx"].clear(); }, "no graph"},
    {"something else", [](OnnxPackage& p) { p.files["model/net.onnx"] = "{\"ir\": 1}"; }, "no ONNX file"},
    with_keys("an output that is not there", ", output: probability", "makes no value named 'probability'"),
    with_keys("an input that is not there", ", input: X", "names 'X'"),
    with_keys("a score that does not fit", ", score: product2", "makes no value named"),
    with_keys("a label for an output", ", output: label", "something else than floating numbers"),
    with_keys("a class too many", ", class: 2", "has the classes 0 to 1"),
    with_keys("a negative class", ", class: -1", "whole number from 0"),
    with_keys("an unknown key", ", outputs: p", "Did you mean output"),
    with_keys("another format", ", format: ir", "of an onnx stage is onnx"),
    with_keys("a link that is another", ", link: softmax", "has the link softmax"),
    {"the format at another type", [](OnnxPackage& p) { p.stages = "  - {id: net, type: linear, format: onnx, file: model/net.onnx, in: table}\n"; }, "stages of the type onnx alone"},
    {"another explanation", [](OnnxPackage& p) { p.more += "explain: {net: {method: tree_path_dependent}}\n"; }, "possible are enumeration, permutation"},
};

TEST(OnnxStage, RefusesWhatIsWrongAndSaysWhat) {
  for (const Damage& damage : damages) {
    SCOPED_TRACE(damage.what);
    OnnxPackage source;
    damage.change(source);
    const auto package = ModelPackage::admit(source.build());
    ASSERT_FALSE(package);
    EXPECT_NE(package.error().message.find(damage.said), std::string::npos) << package.error().message;
  }
}

TEST(OnnxImport, MakesAPackageOfAGraph) {
  ImportRequest request;
  request.format = "onnx";
  request.model = network().bytes();
  request.features_csv = "feature\na\nb\nc\n";
  request.selftest_csv = "a,b,c,expected.0,expected.1\n";
  for (int r = 0; r < 20; ++r) {
    const std::vector<double> row{-2 + 0.25 * r, 1 - 0.125 * r, 0.5 * (r % 5)};
    request.selftest_csv += TablePackage::number(row[0]) + "," + TablePackage::number(row[1]) + "," + TablePackage::number(row[2]) + "," + TablePackage::number(1 - probability(row)) + "," + TablePackage::number(probability(row)) + "\n";
  }
  request.onnx.score = "logits";
  const auto files = import_model(request);
  ASSERT_TRUE(files) << to_string(files.error());
  const auto package = ModelPackage::admit(*files);
  ASSERT_TRUE(package) << to_string(package.error());
  EXPECT_EQ(package->classes_of(package->manifest().outputs.front()), 2U);
  EXPECT_EQ(files->content.at("model/model.onnx"), request.model) << "the file as it came";
  request.selftest_csv.replace(request.selftest_csv.rfind("0."), 3, "0.9");
  const auto wrong = import_model(request);
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, ErrorCode::selftest_mismatch);
}

}  // namespace
}  // namespace choana::processing
