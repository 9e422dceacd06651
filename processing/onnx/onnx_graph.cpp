#include "processing/onnx/onnx_graph.h"

#define ONNX_ML 1
#define ONNX_NAMESPACE onnx
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <set>

namespace choana::processing {
namespace {

constexpr std::size_t file_bytes_max = std::size_t{1} << 30;
constexpr int nodes_max = 20'000;
constexpr int attributes_max = 256;
constexpr int depth_max = 4;
constexpr std::int64_t elements_max = std::int64_t{1} << 28;

/// Reads messages into plain values; the first problem ends everything.
class Reader {
 public:
  explicit Reader(const std::string& name) : name_(name) {}

  /// Takes the weights out of the message as it goes, so that a large network is not in memory twice.
  Result<OnnxGraph> read(onnx::ModelProto& model) {
    OnnxGraph graph;
    for (const auto& opset : model.opset_import()) graph.opsets[domain_of(opset.domain())] = opset.version();
    if (!model.has_graph()) return wrong("holds no graph");
    if (model.functions_size() > 0) return wrong("defines functions, which are not supported");
    if (auto status = read_graph(*model.mutable_graph(), {}, 0, graph); !status) return fail(status.error());
    return graph;
  }

 private:
  [[nodiscard]] tl::unexpected<Error> wrong(const std::string& what, ErrorCode code = ErrorCode::invalid_package) const {
    return fail(code, "read_onnx", name_ + " " + what + ".");
  }

  static std::string domain_of(const std::string& domain) { return domain == "ai.onnx" ? std::string() : domain; }
  static std::string shown(const std::string& text) {
    std::string clean = text.substr(0, 64);
    for (char& c : clean)
      if (static_cast<unsigned char>(c) < 0x20) c = '?';
    return "'" + clean + "'";
  }

  static std::optional<ElementType> type_of(int type) {
    switch (type) {
      case onnx::TensorProto::FLOAT: return ElementType::float32;
      case onnx::TensorProto::DOUBLE: return ElementType::float64;
      case onnx::TensorProto::INT32: return ElementType::int32;
      case onnx::TensorProto::INT64: return ElementType::int64;
      case onnx::TensorProto::BOOL: return ElementType::boolean;
      case onnx::TensorProto::STRING: return ElementType::text;
      default: return std::nullopt;
    }
  }

  // Numbers lie in a typed list or as little-endian bytes.
  template <typename T, typename List>
  static bool fill(std::vector<T>& values, const List& list, const std::string& raw, std::size_t count) {
    static_assert(std::endian::native == std::endian::little);
    if (!raw.empty()) {
      if (raw.size() != count * sizeof(T)) return false;
      values.resize(count);
      std::memcpy(values.data(), raw.data(), raw.size());
      return true;
    }
    if (static_cast<std::size_t>(list.size()) != count) return false;
    values.reserve(count);
    for (const auto value : list) values.push_back(static_cast<T>(value));
    return true;
  }

  Result<Tensor> read_tensor(const onnx::TensorProto& proto) const {
    const std::string what = "has a tensor " + shown(proto.name());
    if (proto.data_location() == onnx::TensorProto::EXTERNAL || proto.external_data_size() > 0) return wrong(what + " whose data lie in another file; save the model as one file");
    if (proto.has_segment()) return wrong(what + " in segments");
    const auto type = type_of(proto.data_type());
    if (!type) return wrong(what + " of element type " + std::to_string(proto.data_type()) + ", which is not supported (float, double, int32, int64, bool and string are)");
    Tensor tensor;
    tensor.shape.assign(proto.dims().begin(), proto.dims().end());
    const std::int64_t elements = element_count(tensor.shape, elements_max);
    if (elements < 0) return wrong(what + " with an impossible shape", ErrorCode::limit_exceeded);
    const auto count = static_cast<std::size_t>(elements);
    bool complete = false;
    switch (*type) {
      case ElementType::float32: complete = fill(tensor.data.emplace<std::vector<float>>(), proto.float_data(), proto.raw_data(), count); break;
      case ElementType::float64: complete = fill(tensor.data.emplace<std::vector<double>>(), proto.double_data(), proto.raw_data(), count); break;
      case ElementType::int32: complete = fill(tensor.data.emplace<std::vector<std::int32_t>>(), proto.int32_data(), proto.raw_data(), count); break;
      case ElementType::int64: complete = fill(tensor.data.emplace<std::vector<std::int64_t>>(), proto.int64_data(), proto.raw_data(), count); break;
      case ElementType::boolean: {
        auto& values = tensor.data.emplace<std::vector<std::uint8_t>>();
        complete = fill(values, proto.int32_data(), proto.raw_data(), count);
        for (std::uint8_t& value : values) value = value != 0 ? 1 : 0;
        break;
      }
      case ElementType::text: {
        auto& values = tensor.data.emplace<std::vector<std::string>>(proto.string_data().begin(), proto.string_data().end());
        complete = values.size() == count;
        break;
      }
    }
    if (!complete) return wrong(what + " whose data do not fit its shape");
    return tensor;
  }

  Result<OnnxAttribute> read_attribute(onnx::AttributeProto& proto, const OnnxGraph& outer, const std::set<std::string>& visible, int depth) const {
    switch (proto.type()) {
      case onnx::AttributeProto::FLOAT: return OnnxAttribute(static_cast<double>(proto.f()));
      case onnx::AttributeProto::INT: return OnnxAttribute(static_cast<std::int64_t>(proto.i()));
      case onnx::AttributeProto::STRING: return OnnxAttribute(proto.s());
      case onnx::AttributeProto::FLOATS: return OnnxAttribute(std::vector<double>(proto.floats().begin(), proto.floats().end()));
      case onnx::AttributeProto::INTS: return OnnxAttribute(std::vector<std::int64_t>(proto.ints().begin(), proto.ints().end()));
      case onnx::AttributeProto::STRINGS: return OnnxAttribute(std::vector<std::string>(proto.strings().begin(), proto.strings().end()));
      case onnx::AttributeProto::TENSOR: {
        auto tensor = read_tensor(proto.t());
        if (!tensor) return fail(tensor.error());
        return OnnxAttribute(std::move(*tensor));
      }
      case onnx::AttributeProto::GRAPH: {
        if (depth + 1 > depth_max) return wrong("nests graphs too deeply", ErrorCode::limit_exceeded);
        auto inner = std::make_shared<OnnxGraph>();
        inner->opsets = outer.opsets;
        if (auto status = read_graph(*proto.mutable_g(), visible, depth + 1, *inner); !status) return fail(status.error());
        return OnnxAttribute(std::shared_ptr<const OnnxGraph>(std::move(inner)));
      }
      default: return wrong("has an attribute " + shown(proto.name()) + " of a kind that is not supported");
    }
  }

  Status read_graph(onnx::GraphProto& proto, std::set<std::string> known, int depth, OnnxGraph& graph) const {
    if (proto.node_size() > nodes_max) return wrong("has " + std::to_string(proto.node_size()) + " nodes; at most " + std::to_string(nodes_max) + " are read", ErrorCode::limit_exceeded);
    if (proto.sparse_initializer_size() > 0) return wrong("has sparse weights, which are not supported");
    std::set<std::string> made;  // in this graph: names are made once
    for (auto& initialiser : *proto.mutable_initializer()) {
      auto tensor = read_tensor(initialiser);
      if (!tensor) return fail(tensor.error());
      const std::unique_ptr<std::string> done(initialiser.release_raw_data());
      google::protobuf::RepeatedField<float>().Swap(initialiser.mutable_float_data());
      if (initialiser.name().empty() || !made.insert(initialiser.name()).second) return wrong("has two weights named " + shown(initialiser.name()));
      graph.initialisers.emplace(initialiser.name(), std::move(*tensor));
    }
    for (const auto& value : proto.input()) {
      if (graph.initialisers.contains(value.name())) continue;  // a default for an input: a constant here
      OnnxInput input{value.name(), ElementType::float32, {}};
      // The bodies of loops may leave the types out.
      if (value.type().has_tensor_type()) {
        const auto type = type_of(value.type().tensor_type().elem_type());
        if (!type && depth == 0) return wrong("has an input " + shown(value.name()) + " of an element type that is not supported");
        if (type) input.type = *type;
        for (const auto& dimension : value.type().tensor_type().shape().dim()) input.shape.push_back(dimension.has_dim_value() ? dimension.dim_value() : -1);
      } else if (depth == 0) {
        return wrong("has an input " + shown(value.name()) + " that is no tensor");
      }
      if (input.name.empty() || !made.insert(input.name).second) return wrong("has two inputs named " + shown(input.name));
      graph.inputs.push_back(std::move(input));
    }
    known.insert(made.begin(), made.end());
    // Files are sorted by rule; one that is not, or that has a cycle, names a value before it is made.
    for (auto& node_proto : *proto.mutable_node()) {
      OnnxNode node{node_proto.op_type(), domain_of(node_proto.domain()), node_proto.name(), {}, {}, {}};
      const std::string here = "has a node " + shown(node.name) + " (" + shown(node.op) + ")";
      for (const std::string& input : node_proto.input()) {
        if (!input.empty() && !known.contains(input)) return wrong(here + " that needs " + shown(input) + " before anything makes it");
        node.inputs.push_back(input);
      }
      if (node_proto.attribute_size() > attributes_max) return wrong(here + " with too many attributes", ErrorCode::limit_exceeded);
      for (auto& attribute : *node_proto.mutable_attribute()) {
        auto value = read_attribute(attribute, graph, known, depth);
        if (!value) return fail(value.error());
        if (!node.attributes.emplace(attribute.name(), std::move(*value)).second) return wrong(here + " with the attribute " + shown(attribute.name()) + " twice");
      }
      for (const std::string& output : node_proto.output()) {
        if (!output.empty() && !made.insert(output).second) return wrong(here + " that makes " + shown(output) + " a second time");
        if (!output.empty()) known.insert(output);
        node.outputs.push_back(output);
      }
      graph.nodes.push_back(std::move(node));
    }
    for (const auto& output : proto.output()) {
      if (!known.contains(output.name())) return wrong("has an output " + shown(output.name()) + " that nothing makes");
      graph.outputs.push_back(output.name());
    }
    if (graph.outputs.empty()) return wrong("has no output");
    return {};
  }

  const std::string& name_;
};

}  // namespace

Result<OnnxGraph> read_onnx(std::string_view bytes, const std::string& name) {
  if (bytes.size() > file_bytes_max) return fail(ErrorCode::limit_exceeded, "read_onnx", name + " is larger than 1 GiB.");
  try {
    google::protobuf::io::ArrayInputStream stream(bytes.data(), static_cast<int>(bytes.size()));
    google::protobuf::io::CodedInputStream coded(&stream);
    coded.SetRecursionLimit(32);
    onnx::ModelProto model;
    if (!model.ParseFromCodedStream(&coded) || !coded.ConsumedEntireMessage())
      return fail(ErrorCode::invalid_package, "read_onnx", name + " is no ONNX file, or it is damaged.");
    return Reader(name).read(model);
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::out_of_memory, "read_onnx", name + " needs more memory than there is.");
  } catch (const std::exception&) {
    return fail(ErrorCode::invalid_package, "read_onnx", name + " cannot be read as ONNX.");
  }
}

}  // namespace choana::processing
