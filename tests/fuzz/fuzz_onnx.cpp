// An ONNX file from a stranger must be refused with a reason or run within its bounds: memory by the sizes of tensors, time by the arithmetic allowed.
#define ONNX_ML 1
#define ONNX_NAMESPACE onnx
#include <onnx/onnx_pb.h>

#include <cstdlib>
#include <string>
#include <string_view>

#include "processing/onnx/onnx_session.h"
#include "tests/fuzz/seeds.h"

using namespace choana::processing;

namespace {

constexpr std::int64_t input_elements_max = 1 << 12;

Tensor some_values(const OnnxInput& input) {
  Tensor tensor;
  for (const std::int64_t n : input.shape) tensor.shape.push_back(n < 0 ? 2 : n);
  const std::int64_t elements = element_count(tensor.shape, input_elements_max);
  const auto count = static_cast<std::size_t>(elements < 0 ? 0 : elements);
  switch (input.type) {
    case ElementType::float32: tensor.data = std::vector<float>(count, 0.5F); break;
    case ElementType::float64: tensor.data = std::vector<double>(count, -1.5); break;
    case ElementType::int32: tensor.data = std::vector<std::int32_t>(count, 3); break;
    case ElementType::int64: tensor.data = std::vector<std::int64_t>(count, 1); break;
    case ElementType::boolean: tensor.data = std::vector<std::uint8_t>(count, 1); break;
    case ElementType::text: tensor.data = std::vector<std::string>(count, "a"); break;
  }
  return tensor;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > (1 << 16)) return 0;
  auto graph = read_onnx({reinterpret_cast<const char*>(data), size}, "fuzz.onnx");
  if (!graph) return 0;
  auto session = OnnxSession::prepare(std::move(*graph));
  if (!session) return 0;
  std::map<std::string, Tensor> inputs;
  for (const OnnxInput& input : session->inputs()) inputs[input.name] = some_values(input);
  const auto first = session->run(inputs, 1e6), second = session->run(inputs, 1e6);
  if (first.has_value() != second.has_value()) std::abort();
  if (first && first->size() != session->outputs().size()) std::abort();
  return 0;
}

namespace {

/// A graph of float tensors; `nodes` are "op|inputs|outputs|attribute=integers".
std::vector<std::uint8_t> graph_of(const std::vector<std::int64_t>& input, const std::vector<std::pair<std::string, std::vector<std::int64_t>>>& weights, const std::vector<std::string>& nodes) {
  onnx::ModelProto model;
  model.set_ir_version(8);
  model.add_opset_import()->set_version(13);
  auto* graph = model.mutable_graph();
  auto* value = graph->add_input();
  value->set_name("x");
  value->mutable_type()->mutable_tensor_type()->set_elem_type(onnx::TensorProto::FLOAT);
  for (const std::int64_t n : input) value->mutable_type()->mutable_tensor_type()->mutable_shape()->add_dim()->set_dim_value(n);
  for (const auto& [name, shape] : weights) {
    auto* tensor = graph->add_initializer();
    tensor->set_name(name);
    tensor->set_data_type(onnx::TensorProto::FLOAT);
    std::int64_t count = 1;
    for (const std::int64_t n : shape) {
      tensor->add_dims(n);
      count *= n;
    }
    for (std::int64_t n = 0; n < count; ++n) tensor->add_float_data(0.125F * static_cast<float>(n % 7 + 1));
  }
  const auto split = [](std::string_view text, char at) {
    std::vector<std::string> parts;
    for (;;) {
      const auto end = text.find(at);
      parts.emplace_back(text.substr(0, end));
      if (end == std::string_view::npos) return parts;
      text = text.substr(end + 1);
    }
  };
  for (const std::string& text : nodes) {
    const auto parts = split(text, '|');
    auto* node = graph->add_node();
    node->set_op_type(parts[0]);
    for (const std::string& name : split(parts[1], ',')) node->add_input(name);
    for (const std::string& name : split(parts[2], ',')) node->add_output(name);
    for (std::size_t a = 3; a < parts.size(); ++a) {
      const auto pair = split(parts[a], '=');
      auto* attribute = node->add_attribute();
      attribute->set_name(pair[0]);
      if (pair[1].find(',') == std::string::npos) {
        attribute->set_type(onnx::AttributeProto::INT);
        attribute->set_i(std::stoll(pair[1]));
        continue;
      }
      attribute->set_type(onnx::AttributeProto::INTS);
      for (const std::string& n : split(pair[1], ',')) attribute->add_ints(std::stoll(n));
    }
  }
  graph->add_output()->set_name("y");
  const std::string bytes = model.SerializeAsString();
  return {bytes.begin(), bytes.end()};
}

}  // namespace

std::vector<std::vector<std::uint8_t>> choana_fuzz_seeds() {
  return {
      graph_of({1, 3, 9, 9}, {{"w", {4, 3, 3, 3}}, {"b", {4}}, {"n", {4}}, {"v", {4, 4, 1, 1}}, {"f", {2, 4}}},
               {"Conv|x,w,b|c|pads=1,1,1,1|strides=2,2", "BatchNormalization|c,n,n,n,n|d", "Relu|d|r", "Conv|r,v|e", "Add|e,r|s", "Relu|s|t", "MaxPool|t|p|kernel_shape=2,2|pads=0,1,1,0",
                "GlobalAveragePool|p|g", "Flatten|g|h", "Gemm|h,f|y|transB=1"}),
      graph_of({1, 6, 5}, {{"w", {6, 2, 3}}}, {"Conv|x,w|c|group=3|dilations=2", "Sigmoid|c|y"}),
      graph_of({1, 2, 4, 4, 4}, {{"w", {2, 2, 2, 2, 2}}}, {"Conv|x,w|c", "AveragePool|c|y|kernel_shape=2,2,2|ceil_mode=1"}),
      graph_of({3, 4}, {{"a", {4, 5}}, {"b", {5}}}, {"MatMul|x,a|m", "Add|m,b|s", "Softmax|s|t|axis=1", "ReduceMean|t|u|keepdims=0", "Exp|u|y"}),
      graph_of({1, 17, 6, 6}, {{"w", {33, 17, 1, 1}}}, {"Conv|x,w|c|strides=2,2", "Transpose|c|y|perm=0,2,3,1"}),
      {0x08, 0x08, 0x12, 0x00},
      {},
  };
}
