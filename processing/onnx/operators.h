#pragma once

// Private to this folder: what an operator gets and gives.

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"
#include "processing/onnx/onnx_graph.h"
#include "processing/onnx/tensor.h"

namespace choana::processing {

constexpr std::int64_t tensor_elements_max = std::int64_t{1} << 28;

/// One call of one operator.
struct OperatorCall {
  const OnnxNode& node;
  std::int64_t opset = 0;                // version of the node's domain
  std::vector<const Tensor*> inputs;     // nullptr where an optional input was left out
  std::function<Result<std::vector<Tensor>>(const OnnxGraph& body, std::vector<Tensor> inputs)> run_body;  // for operators with a subgraph

  [[nodiscard]] const Tensor* input(std::size_t at) const { return at < inputs.size() ? inputs[at] : nullptr; }
  [[nodiscard]] bool has(const std::string& key) const { return node.attributes.contains(key); }
  /// Attributes of another kind than asked for count as absent; `check` of the operator table catches what must be there.
  [[nodiscard]] std::int64_t integer(const std::string& key, std::int64_t otherwise) const;
  [[nodiscard]] double number(const std::string& key, double otherwise) const;
  [[nodiscard]] std::string text(const std::string& key, const std::string& otherwise) const;
  [[nodiscard]] std::vector<std::int64_t> integers(const std::string& key) const;
  [[nodiscard]] std::vector<double> numbers(const std::string& key) const;
  [[nodiscard]] std::vector<std::string> texts(const std::string& key) const;
  [[nodiscard]] const Tensor* tensor(const std::string& key) const;
  [[nodiscard]] const OnnxGraph* graph(const std::string& key) const;

  /// "Add 'node7': what".
  [[nodiscard]] tl::unexpected<Error> wrong(const std::string& what) const;
};

using OperatorFunction = Result<std::vector<Tensor>> (*)(const OperatorCall&);
struct OperatorRow {
  std::string_view op;
  OperatorFunction run;
  std::size_t inputs_min;
};

/// The operators of each file, domain ai.onnx except the last.
[[nodiscard]] std::span<const OperatorRow> elementwise_operators();
[[nodiscard]] std::span<const OperatorRow> shape_operators();
[[nodiscard]] std::span<const OperatorRow> reduction_operators();
[[nodiscard]] std::span<const OperatorRow> linear_operators();
[[nodiscard]] std::span<const OperatorRow> machine_learning_operators();  // ai.onnx.ml
[[nodiscard]] std::span<const OperatorRow> contributed_operators();       // com.microsoft

/// nullptr: not supported.
[[nodiscard]] const OperatorRow* find_operator(std::string_view domain, std::string_view op);

// -- what several operator files need --

/// Shape after broadcasting; nothing when the shapes do not fit or grow too large.
[[nodiscard]] std::optional<std::vector<std::int64_t>> broadcast_shape(const std::vector<std::int64_t>& a, const std::vector<std::int64_t>& b);
/// Values as doubles, of any numeric type.
[[nodiscard]] std::vector<double> as_doubles(const Tensor& tensor);
/// Values as integers: int64 or int32 tensors; nothing for others.
[[nodiscard]] std::optional<std::vector<std::int64_t>> as_integers(const Tensor* tensor);
/// A tensor of a floating type from doubles, rounded once.
[[nodiscard]] Tensor from_doubles(std::vector<std::int64_t> shape, std::vector<double> values, ElementType type);
/// Two tensors of one type: of float and double the float is widened, because exporters mix them.
[[nodiscard]] std::optional<std::pair<Tensor, Tensor>> widened(const Tensor& a, const Tensor& b);
/// 0 <= axis < rank from an axis that may count from the end; -1 if it is outside.
[[nodiscard]] std::int64_t normal_axis(std::int64_t axis, std::size_t rank);
/// Product of dimensions [from, to).
[[nodiscard]] std::int64_t product(const std::vector<std::int64_t>& shape, std::size_t from, std::size_t to);
[[nodiscard]] inline std::vector<Tensor> one(Tensor tensor) {
  std::vector<Tensor> list;
  list.push_back(std::move(tensor));
  return list;
}

}  // namespace choana::processing
