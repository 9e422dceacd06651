#pragma once

// ONNX files written by libonnx's own messages, so that what the reader meets is not of our making.

#define ONNX_ML 1
#define ONNX_NAMESPACE onnx
#include <onnx/onnx_pb.h>

#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "processing/onnx/tensor.h"

namespace choana::test {

class ModelMaker {
 public:
  explicit ModelMaker(std::int64_t opset = 13) {
    model_.set_ir_version(8);
    auto* import = model_.add_opset_import();
    import->set_version(opset);
  }

  ModelMaker& input(const std::string& name, const std::vector<std::int64_t>& shape, int type = onnx::TensorProto::FLOAT) {
    auto* value = graph()->add_input();
    value->set_name(name);
    auto* tensor = value->mutable_type()->mutable_tensor_type();
    tensor->set_elem_type(type);
    for (const std::int64_t n : shape) {
      auto* dimension = tensor->mutable_shape()->add_dim();
      if (n >= 0) dimension->set_dim_value(n);
      else dimension->set_dim_param("n");
    }
    return *this;
  }
  ModelMaker& output(const std::string& name) {
    graph()->add_output()->set_name(name);
    return *this;
  }
  ModelMaker& weights(const std::string& name, const std::vector<std::int64_t>& shape, const std::vector<float>& values) {
    auto* tensor = graph()->add_initializer();
    tensor->set_name(name);
    tensor->set_data_type(onnx::TensorProto::FLOAT);
    for (const std::int64_t n : shape) tensor->add_dims(n);
    tensor->set_raw_data(values.data(), values.size() * sizeof(float));
    return *this;
  }
  ModelMaker& integers(const std::string& name, const std::vector<std::int64_t>& values) {
    auto* tensor = graph()->add_initializer();
    tensor->set_name(name);
    tensor->set_data_type(onnx::TensorProto::INT64);
    tensor->add_dims(static_cast<std::int64_t>(values.size()));
    for (const std::int64_t value : values) tensor->add_int64_data(value);
    return *this;
  }
  onnx::NodeProto* node(const std::string& op, const std::vector<std::string>& inputs, const std::vector<std::string>& outputs, const std::string& domain = "") {
    auto* made = graph()->add_node();
    made->set_op_type(op);
    made->set_domain(domain);
    made->set_name(op + std::to_string(graph()->node_size()));
    for (const std::string& name : inputs) made->add_input(name);
    for (const std::string& name : outputs) made->add_output(name);
    return made;
  }
  static void set(onnx::NodeProto* node, const std::string& key, const std::vector<std::int64_t>& values) {
    auto* attribute = node->add_attribute();
    attribute->set_name(key);
    attribute->set_type(onnx::AttributeProto::INTS);
    for (const std::int64_t value : values) attribute->add_ints(value);
  }
  static void set(onnx::NodeProto* node, const std::string& key, std::int64_t value) {
    auto* attribute = node->add_attribute();
    attribute->set_name(key);
    attribute->set_type(onnx::AttributeProto::INT);
    attribute->set_i(value);
  }
  static void set(onnx::NodeProto* node, const std::string& key, const std::string& value) {
    auto* attribute = node->add_attribute();
    attribute->set_name(key);
    attribute->set_type(onnx::AttributeProto::STRING);
    attribute->set_s(value);
  }
  [[nodiscard]] onnx::GraphProto* graph() { return model_.mutable_graph(); }
  [[nodiscard]] onnx::ModelProto& model() { return model_; }
  [[nodiscard]] std::string bytes() const { return model_.SerializeAsString(); }

 private:
  onnx::ModelProto model_;
};

inline std::vector<float> random_floats(std::size_t count, std::uint32_t seed, float scale = 1.0F) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> draw(0, scale);
  std::vector<float> values(count);
  for (float& value : values) value = draw(generator);
  return values;
}

inline processing::Tensor floats(std::vector<std::int64_t> shape, std::vector<float> values) { return {std::move(shape), std::move(values)}; }

}  // namespace choana::test
