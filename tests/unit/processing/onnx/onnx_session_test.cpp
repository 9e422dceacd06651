#include "processing/onnx/onnx_session.h"

#include <gtest/gtest.h>

#include <cmath>

#include "processing/onnx/operators.h"
#include "tests/unit/processing/onnx/onnx_models.h"

namespace choana::processing {
namespace {

using test::floats;
using test::ModelMaker;
using test::random_floats;

Result<std::vector<Tensor>> run(const ModelMaker& maker, std::map<std::string, Tensor> inputs, std::vector<std::string> outputs = {}) {
  auto graph = read_onnx(maker.bytes(), "test.onnx");
  if (!graph) return fail(graph.error());
  auto session = OnnxSession::prepare(std::move(*graph), std::move(outputs));
  if (!session) return fail(session.error());
  return session->run(std::move(inputs));
}

void expect_close(const Tensor& got, const Tensor& expected, double relative) {
  ASSERT_EQ(got.shape, expected.shape);
  const auto a = as_doubles(got), b = as_doubles(expected);
  double scale = 0;
  for (const double value : b) scale = std::max(scale, std::abs(value));
  for (std::size_t at = 0; at < a.size(); ++at) ASSERT_NEAR(a[at], b[at], relative * scale) << at;
}

// The double-precision operator, one output after the other, is the measure.
TEST(OnnxConvolution, EqualsTheSumOfProductsWhateverItsWindow) {
  struct Case {
    std::vector<std::int64_t> input, kernel, strides, pads, dilations;
    std::int64_t filters, groups;
    std::string automatic;
  };
  const std::vector<Case> cases{{{1, 3, 17, 19}, {3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}, 8, 1, ""},    {{2, 16, 15, 11}, {1, 1}, {2, 2}, {0, 0, 0, 0}, {1, 1}, 32, 1, ""},
                                {{1, 3, 30, 31}, {7, 7}, {2, 2}, {3, 3, 3, 3}, {1, 1}, 16, 1, ""},   {{1, 12, 14, 14}, {3, 3}, {1, 1}, {2, 2, 2, 2}, {2, 2}, 12, 4, ""},
                                {{1, 6, 9, 8}, {2, 3}, {1, 2}, {0, 1, 1, 0}, {1, 1}, 6, 6, ""},      {{1, 4, 13, 10}, {3, 4}, {2, 2}, {}, {1, 1}, 5, 1, "SAME_UPPER"},
                                {{1, 4, 13, 10}, {4, 3}, {3, 2}, {}, {1, 1}, 5, 1, "SAME_LOWER"},    {{1, 2, 40}, {5}, {2}, {2, 1}, {3}, 3, 1, ""},
                                {{1, 2, 6, 7, 8}, {3, 3, 3}, {1, 2, 1}, {1, 1, 1, 1, 1, 1}, {1, 1, 1}, 4, 1, ""},
                                // beyond one block of channels: dense, in groups that straddle blocks, one channel a group, pointwise in several bands
                                {{1, 37, 16, 15}, {3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}, 50, 1, ""},  {{1, 40, 9, 9}, {3, 3}, {2, 2}, {1, 1, 1, 1}, {1, 1}, 60, 5, ""},
                                {{1, 48, 8, 11}, {3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}, 48, 48, ""},  {{1, 64, 60, 60}, {1, 1}, {1, 1}, {0, 0, 0, 0}, {1, 1}, 40, 1, ""},
                                {{1, 300, 33, 31}, {1, 1}, {2, 2}, {0, 0, 0, 0}, {1, 1}, 35, 1, ""}, {{1, 2, 20, 20}, {5, 5}, {3, 3}, {2, 2, 2, 2}, {1, 1}, 17, 1, ""}};
  std::uint32_t seed = 1;
  for (const Case& c : cases) {
    ModelMaker maker;
    std::vector<std::int64_t> weights_shape{c.filters, c.input[1] / c.groups};
    weights_shape.insert(weights_shape.end(), c.kernel.begin(), c.kernel.end());
    const auto weights = random_floats(static_cast<std::size_t>(product(weights_shape, 0, weights_shape.size())), ++seed);
    const auto bias = random_floats(static_cast<std::size_t>(c.filters), ++seed);
    const auto image = random_floats(static_cast<std::size_t>(product(c.input, 0, c.input.size())), ++seed);
    maker.input("x", c.input).weights("w", weights_shape, weights).weights("b", {c.filters}, bias).output("y");
    auto* node = maker.node("Conv", {"x", "w", "b"}, {"y"});
    ModelMaker::set(node, "strides", c.strides);
    if (!c.pads.empty()) ModelMaker::set(node, "pads", c.pads);
    if (!c.automatic.empty()) ModelMaker::set(node, "auto_pad", c.automatic);
    ModelMaker::set(node, "dilations", c.dilations);
    ModelMaker::set(node, "group", c.groups);
    const auto fast = run(maker, {{"x", floats(c.input, image)}});
    ASSERT_TRUE(fast) << fast.error().message;
    const auto graph = read_onnx(maker.bytes(), "test.onnx");
    const Tensor x = floats(c.input, image), w = floats(weights_shape, weights), b = floats({c.filters}, bias);
    const auto slow = find_operator("", "Conv")->run(OperatorCall{graph->nodes[0], 13, {&x, &w, &b}, {}});
    ASSERT_TRUE(slow) << slow.error().message;
    expect_close(fast->front(), slow->front(), 2e-6);
  }
}

TEST(OnnxPool, EqualsThePlainOperator) {
  for (const char* op : {"MaxPool", "AveragePool"})
    for (const std::int64_t counts : {0, 1})
      for (const std::int64_t up : {0, 1}) {
        if (up == 1 && counts == 1) continue;
        ModelMaker maker;
        const std::vector<std::int64_t> shape{1, 9, 14, 13};
        const auto image = random_floats(static_cast<std::size_t>(product(shape, 0, 4)), 5);
        maker.input("x", shape).weights("w", {9, 9, 1, 1}, random_floats(81, 6)).output("y");
        maker.node("Conv", {"x", "w"}, {"c"});
        auto* node = maker.node(op, {"c"}, {"y"});
        ModelMaker::set(node, "kernel_shape", std::vector<std::int64_t>{3, 3});
        ModelMaker::set(node, "strides", std::vector<std::int64_t>{2, 2});
        ModelMaker::set(node, "pads", std::vector<std::int64_t>{1, 1, 1, 1});
        if (up == 1) ModelMaker::set(node, "ceil_mode", up);
        if (counts == 1 && std::string(op) == "AveragePool") ModelMaker::set(node, "count_include_pad", counts);
        const auto results = run(maker, {{"x", floats(shape, image)}}, {"c", "y"});
        ASSERT_TRUE(results) << results.error().message;
        const auto graph = read_onnx(maker.bytes(), "test.onnx");
        const auto slow = find_operator("", op)->run(OperatorCall{graph->nodes[1], 13, {&results->front()}, {}});
        ASSERT_TRUE(slow);
        expect_close(results->back(), slow->front(), 1e-6);
      }
}

// Asking for every inner value keeps nodes apart: joined and separate steps must agree.
TEST(OnnxSession, JoinsNormalisationsSumsAndRectifiersWithoutChangingTheResult) {
  ModelMaker maker;
  const std::vector<std::int64_t> shape{1, 8, 12, 12};
  maker.input("x", {-1, 8, 12, 12}).output("y");
  for (const std::string n : {"1", "2", "3"}) {
    maker.weights("w" + n, {8, 8, 3, 3}, random_floats(576, 10 + static_cast<std::uint32_t>(n[0]), 0.1F));
    maker.weights("scale" + n, {8}, {1, 2, 0.5F, 1, 1, 3, 1, 1}).weights("shift" + n, {8}, random_floats(8, 20));
    maker.weights("mean" + n, {8}, random_floats(8, 21)).weights("var" + n, {8}, {1, 0.5F, 2, 1, 1, 1, 4, 1});
  }
  const auto convolve = [&](const std::string& from, const std::string& n) {
    ModelMaker::set(maker.node("Conv", {from, "w" + n}, {"c" + n}), "pads", std::vector<std::int64_t>{1, 1, 1, 1});
    maker.node("BatchNormalization", {"c" + n, "scale" + n, "shift" + n, "mean" + n, "var" + n}, {"n" + n});
  };
  convolve("x", "1");
  maker.node("Relu", {"n1"}, {"r1"});
  convolve("r1", "2");
  maker.node("Add", {"n2", "r1"}, {"a2"});       // the shortcut is a value that lives on
  maker.node("Relu", {"a2"}, {"r2"});
  convolve("r2", "3");
  maker.node("Add", {"r2", "n3"}, {"a3"});       // the shortcut ends here and may be written over
  maker.node("Relu", {"a3"}, {"r3"});
  maker.node("Add", {"r3", "r1"}, {"s"});        // no convolution at all
  maker.node("Relu", {"s"}, {"y"});
  const Tensor image = floats(shape, random_floats(1152, 30));
  const auto joined = run(maker, {{"x", image}});
  const auto apart = run(maker, {{"x", image}}, {"y", "c1", "n1", "r1", "c2", "n2", "a2", "r2", "c3", "n3", "a3", "r3", "s"});
  ASSERT_TRUE(joined) << joined.error().message;
  ASSERT_TRUE(apart) << apart.error().message;
  expect_close(joined->front(), apart->front(), 2e-6);
  // Written out for one element: a rectified sum is what it says.
  EXPECT_FLOAT_EQ((*apart)[0].values<float>()[77], std::max(0.0F, (*apart)[12].values<float>()[77]));
  EXPECT_FLOAT_EQ((*apart)[12].values<float>()[77], (*apart)[11].values<float>()[77] + (*apart)[3].values<float>()[77]);
}

// Enough channels for Winograd's way, odd sizes, a sum into the same memory.
TEST(OnnxSession, SumsAndRectifiesWideConvolutionsAsItDoesApart) {
  ModelMaker maker;
  const std::vector<std::int64_t> shape{2, 40, 9, 7};
  maker.input("x", {-1, 40, 9, 7}).output("y");
  maker.weights("w1", {48, 40, 3, 3}, random_floats(48 * 40 * 9, 40, 0.05F)).weights("w2", {48, 48, 3, 3}, random_floats(48 * 48 * 9, 41, 0.05F)).weights("b", {48}, random_floats(48, 42));
  ModelMaker::set(maker.node("Conv", {"x", "w1", "b"}, {"c1"}), "pads", std::vector<std::int64_t>{1, 1, 1, 1});
  maker.node("Relu", {"c1"}, {"r1"});
  ModelMaker::set(maker.node("Conv", {"r1", "w2"}, {"c2"}), "pads", std::vector<std::int64_t>{1, 1, 1, 1});
  maker.node("Add", {"c2", "r1"}, {"a"});
  maker.node("Relu", {"a"}, {"r2"});
  maker.node("Conv", {"r2", "w2"}, {"y"});  // without pads
  const Tensor image = floats(shape, random_floats(2 * 40 * 63, 43));
  const auto joined = run(maker, {{"x", image}}), apart = run(maker, {{"x", image}}, {"c1", "r1", "c2", "a", "r2", "y"});
  ASSERT_TRUE(joined) << joined.error().message;
  ASSERT_TRUE(apart) << apart.error().message;
  expect_close(joined->front(), apart->back(), 1e-6);
  const auto graph = read_onnx(maker.bytes(), "test.onnx");
  const Tensor w = graph->initialisers.at("w2");
  const auto slow = find_operator("", "Conv")->run(OperatorCall{graph->nodes[5], 13, {&(*apart)[4], &w}, {}});
  ASSERT_TRUE(slow);
  expect_close(joined->front(), slow->front(), 3e-6);
}

TEST(OnnxSession, AddsWhatBroadcastsAfterAConvolution) {
  ModelMaker maker;
  maker.input("x", {1, 2, 4, 4}).input("s", {1, 3, 1, 1}).weights("w", {3, 2, 1, 1}, {1, 0, 0, 1, 1, 1}).output("y");
  maker.node("Conv", {"x", "w"}, {"c"});
  maker.node("Add", {"c", "s"}, {"a"});
  maker.node("Relu", {"a"}, {"y"});
  const auto image = random_floats(32, 3);
  const auto results = run(maker, {{"x", floats({1, 2, 4, 4}, image)}, {"s", floats({1, 3, 1, 1}, {1, -1, 0})}});
  ASSERT_TRUE(results) << results.error().message;
  for (std::size_t at = 0; at < 16; ++at) {
    EXPECT_FLOAT_EQ(results->front().values<float>()[at], std::max(0.0F, image[at] + 1));
    EXPECT_FLOAT_EQ(results->front().values<float>()[16 + at], std::max(0.0F, image[16 + at] - 1));
    EXPECT_NEAR(results->front().values<float>()[32 + at], std::max(0.0F, image[at] + image[16 + at]), 1e-6);
  }
}

TEST(OnnxSession, GivesTheSameBitsForTheSameImage) {
  ModelMaker maker;
  maker.input("x", {1, 3, 20, 20}).weights("w", {16, 3, 3, 3}, random_floats(432, 1)).output("y");
  maker.node("Conv", {"x", "w"}, {"c"});
  maker.node("GlobalAveragePool", {"c"}, {"y"});
  auto graph = read_onnx(maker.bytes(), "test.onnx");
  auto session = OnnxSession::prepare(std::move(*graph));
  ASSERT_TRUE(session);
  const Tensor image = floats({1, 3, 20, 20}, random_floats(1200, 2));
  const auto first = session->run({{"x", image}}), second = session->run({{"x", image}});
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->front().values<float>(), second->front().values<float>());
}

TEST(OnnxSession, ReadsAndRunsALoopOverSlices) {
  // y_t = y_(t-1) + x_t, and all of them collected: running sums.
  ModelMaker body;
  body.input("state", {2}).input("row", {2});
  body.node("Add", {"state", "row"}, {"next"});
  body.node("Identity", {"next"}, {"out"});
  body.output("next").output("out");
  ModelMaker maker;
  maker.input("start", {2}).input("x", {3, 2}).output("last").output("all");
  auto* scan = maker.node("Scan", {"start", "x"}, {"last", "all"});
  ModelMaker::set(scan, "num_scan_inputs", std::int64_t{1});
  auto* attribute = scan->add_attribute();
  attribute->set_name("body");
  attribute->set_type(onnx::AttributeProto::GRAPH);
  *attribute->mutable_g() = *body.graph();
  const auto results = run(maker, {{"start", floats({2}, {10, 20})}, {"x", floats({3, 2}, {1, 2, 3, 4, 5, 6})}});
  ASSERT_TRUE(results) << results.error().message;
  EXPECT_EQ(results->front().values<float>(), (std::vector<float>{19, 32}));
  EXPECT_EQ(results->back().values<float>(), (std::vector<float>{11, 22, 14, 26, 19, 32}));
}

TEST(OnnxSession, RefusesInputsThatDoNotFit) {
  ModelMaker maker;
  maker.input("x", {-1, 3}).output("y");
  maker.node("Relu", {"x"}, {"y"});
  EXPECT_TRUE(run(maker, {{"x", floats({2, 3}, {1, -2, 3, 4, 5, 6})}}));
  EXPECT_FALSE(run(maker, {}));
  EXPECT_FALSE(run(maker, {{"x", floats({2, 2}, {1, 2, 3, 4})}}));
  EXPECT_FALSE(run(maker, {{"x", floats({2, 3}, {1, 2})}}));
  EXPECT_FALSE(run(maker, {{"x", {{2, 3}, std::vector<double>(6)}}}));
  EXPECT_FALSE(run(maker, {{"x", floats({2, 3}, std::vector<float>(6))}}, {"z"}));
}

std::string refusal(const std::string& bytes) {
  const auto graph = read_onnx(bytes, "test.onnx");
  if (!graph) return graph.error().message;
  const auto session = OnnxSession::prepare(*graph);
  return session ? "accepted" : session.error().message;
}

TEST(OnnxReader, RefusesWhatItCannotRunAndSaysWhy) {
  const auto make = [](auto change) {
    ModelMaker maker;
    maker.input("x", {1, 2}).weights("w", {2}, {1, 2}).output("y");
    maker.node("Add", {"x", "w"}, {"y"});
    change(maker);
    return refusal(maker.bytes());
  };
  EXPECT_EQ(make([](ModelMaker&) {}), "accepted");
  EXPECT_NE(refusal("no protocol buffer at all"), "accepted");
  EXPECT_NE(refusal(""), "accepted");
  EXPECT_NE(make([](ModelMaker& m) { m.node("Conv3000", {"y"}, {"z"}); m.output("z"); }).find("Conv3000"), std::string::npos);
  EXPECT_NE(make([](ModelMaker& m) { m.node("Relu", {"later"}, {"z"}); m.node("Relu", {"z"}, {"later"}); }).find("before anything makes it"), std::string::npos) << "a cycle";
  EXPECT_NE(make([](ModelMaker& m) { m.node("Relu", {"x"}, {"y"}); }).find("second time"), std::string::npos);
  EXPECT_NE(make([](ModelMaker& m) { m.output("nothing"); }).find("nothing makes"), std::string::npos);
  EXPECT_NE(make([](ModelMaker& m) { m.graph()->mutable_initializer(0)->set_raw_data("short"); }).find("do not fit its shape"), std::string::npos);
  EXPECT_NE(make([](ModelMaker& m) { m.graph()->mutable_initializer(0)->set_dims(0, -5); }).find("impossible shape"), std::string::npos);
  EXPECT_NE(make([](ModelMaker& m) { m.graph()->mutable_initializer(0)->set_dims(0, std::int64_t{1} << 60); }).find("impossible shape"), std::string::npos);
  EXPECT_NE(make([](ModelMaker& m) { m.graph()->mutable_initializer(0)->set_data_location(onnx::TensorProto::EXTERNAL); }).find("another file"), std::string::npos);
  EXPECT_NE(make([](ModelMaker& m) { m.graph()->mutable_initializer(0)->set_data_type(onnx::TensorProto::FLOAT16); }).find("element type"), std::string::npos);
  EXPECT_NE(make([](ModelMaker& m) { m.weights("w", {1}, {1}); }).find("two weights"), std::string::npos);
  EXPECT_NE(make([](ModelMaker& m) { m.node("Add", {"x"}, {"z"}); m.output("z"); }).find("too few inputs"), std::string::npos);
  EXPECT_NE(make([](ModelMaker& m) { m.model().clear_graph(); }), "accepted");
}

TEST(OnnxReader, EndsWellOnEveryCutAndChangedByte) {
  ModelMaker maker;
  maker.input("x", {1, 2, 6, 6}).weights("w", {2, 2, 3, 3}, random_floats(36, 1)).integers("s", {1, -1}).output("y");
  ModelMaker::set(maker.node("Conv", {"x", "w"}, {"c"}), "pads", std::vector<std::int64_t>{1, 1, 1, 1});
  maker.node("Reshape", {"c", "s"}, {"y"});
  const std::string whole = maker.bytes();
  const Tensor image = floats({1, 2, 6, 6}, random_floats(72, 2));
  std::size_t ran = 0;
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (const std::string& bytes : {whole.substr(0, at), whole.substr(0, at) + static_cast<char>(whole[at] ^ 0x41) + whole.substr(at + 1)}) {
      auto graph = read_onnx(bytes, "test.onnx");
      if (!graph) continue;
      auto session = OnnxSession::prepare(std::move(*graph));
      if (session && session->run({{"x", image}})) ++ran;
    }
  }
  EXPECT_GT(ran, 100U) << "a changed weight still runs";
}

}  // namespace
}  // namespace choana::processing
