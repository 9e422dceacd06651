#include "processing/onnx/operators.h"

#include <algorithm>

namespace choana::processing {
namespace {

template <typename T>
const T* attribute(const OnnxNode& node, const std::string& key) {
  const auto found = node.attributes.find(key);
  return found == node.attributes.end() ? nullptr : std::get_if<T>(&found->second);
}

}  // namespace

std::int64_t OperatorCall::integer(const std::string& key, std::int64_t otherwise) const {
  const auto* value = attribute<std::int64_t>(node, key);
  return value != nullptr ? *value : otherwise;
}
double OperatorCall::number(const std::string& key, double otherwise) const {
  const auto* value = attribute<double>(node, key);
  return value != nullptr ? *value : otherwise;
}
std::string OperatorCall::text(const std::string& key, const std::string& otherwise) const {
  const auto* value = attribute<std::string>(node, key);
  return value != nullptr ? *value : otherwise;
}
std::vector<std::int64_t> OperatorCall::integers(const std::string& key) const {
  const auto* value = attribute<std::vector<std::int64_t>>(node, key);
  return value != nullptr ? *value : std::vector<std::int64_t>();
}
std::vector<double> OperatorCall::numbers(const std::string& key) const {
  if (const auto* value = attribute<std::vector<double>>(node, key)) return *value;
  // The "_as_tensor" forms of ai.onnx.ml 3 keep doubles.
  const auto* tensor_value = attribute<Tensor>(node, key + "_as_tensor");
  return tensor_value != nullptr ? as_doubles(*tensor_value) : std::vector<double>();
}
std::vector<std::string> OperatorCall::texts(const std::string& key) const {
  const auto* value = attribute<std::vector<std::string>>(node, key);
  return value != nullptr ? *value : std::vector<std::string>();
}
const Tensor* OperatorCall::tensor(const std::string& key) const { return attribute<Tensor>(node, key); }
const OnnxGraph* OperatorCall::graph(const std::string& key) const {
  const auto* value = attribute<std::shared_ptr<const OnnxGraph>>(node, key);
  return value != nullptr ? value->get() : nullptr;
}

tl::unexpected<Error> OperatorCall::wrong(const std::string& what) const {
  return fail(ErrorCode::invalid_package, "run_onnx", "The ONNX node " + node.op + " '" + node.name.substr(0, 64) + "' " + what + ".");
}

const OperatorRow* find_operator(std::string_view domain, std::string_view op) {
  const auto search = [op](std::span<const OperatorRow> rows) -> const OperatorRow* {
    const auto found = std::find_if(rows.begin(), rows.end(), [op](const OperatorRow& row) { return row.op == op; });
    return found == rows.end() ? nullptr : &*found;
  };
  if (domain == "ai.onnx.ml") return search(machine_learning_operators());
  if (domain == "com.microsoft") return search(contributed_operators());
  if (!domain.empty()) return nullptr;
  for (const auto rows : {elementwise_operators(), shape_operators(), reduction_operators(), linear_operators()})
    if (const OperatorRow* row = search(rows)) return row;
  return nullptr;
}

std::optional<std::vector<std::int64_t>> broadcast_shape(const std::vector<std::int64_t>& a, const std::vector<std::int64_t>& b) {
  std::vector<std::int64_t> shape(std::max(a.size(), b.size()), 1);
  for (std::size_t at = 0; at < shape.size(); ++at) {
    const std::int64_t x = at < a.size() ? a[a.size() - 1 - at] : 1;
    const std::int64_t y = at < b.size() ? b[b.size() - 1 - at] : 1;
    if (x != y && x != 1 && y != 1) return std::nullopt;
    shape[shape.size() - 1 - at] = x == 1 ? y : x;
  }
  if (element_count(shape, tensor_elements_max) < 0) return std::nullopt;
  return shape;
}

std::vector<double> as_doubles(const Tensor& tensor) {
  return std::visit(
      [](const auto& values) {
        using List = std::decay_t<decltype(values)>;
        if constexpr (std::is_same_v<List, std::vector<std::string>>) return std::vector<double>();
        else return std::vector<double>(values.begin(), values.end());
      },
      tensor.data);
}

std::optional<std::vector<std::int64_t>> as_integers(const Tensor* tensor) {
  if (tensor == nullptr) return std::nullopt;
  if (const auto* wide = std::get_if<std::vector<std::int64_t>>(&tensor->data)) return *wide;
  if (const auto* narrow = std::get_if<std::vector<std::int32_t>>(&tensor->data)) return std::vector<std::int64_t>(narrow->begin(), narrow->end());
  return std::nullopt;
}

Tensor from_doubles(std::vector<std::int64_t> shape, std::vector<double> values, ElementType type) {
  Tensor tensor{std::move(shape), {}};
  if (type == ElementType::float64) {
    tensor.data = std::move(values);
  } else {
    std::vector<float> rounded;
    rounded.reserve(values.size());
    for (const double value : values) rounded.push_back(static_cast<float>(value));
    tensor.data = std::move(rounded);
  }
  return tensor;
}

std::optional<std::pair<Tensor, Tensor>> widened(const Tensor& a, const Tensor& b) {
  const auto floating = [](const Tensor& t) { return t.type() == ElementType::float32 || t.type() == ElementType::float64; };
  if (a.type() == b.type() || !floating(a) || !floating(b)) return std::nullopt;
  return std::pair{from_doubles(a.shape, as_doubles(a), ElementType::float64), from_doubles(b.shape, as_doubles(b), ElementType::float64)};
}

std::int64_t normal_axis(std::int64_t axis, std::size_t rank) {
  const auto n = static_cast<std::int64_t>(rank);
  if (axis < -n || axis >= n) return -1;
  return axis < 0 ? axis + n : axis;
}

std::int64_t product(const std::vector<std::int64_t>& shape, std::size_t from, std::size_t to) {
  std::int64_t count = 1;
  for (std::size_t at = from; at < to && at < shape.size(); ++at) count *= shape[at];
  return count;
}

}  // namespace choana::processing
