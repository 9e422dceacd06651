#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/result.h"
#include "processing/onnx/tensor.h"

namespace choana::processing {

struct OnnxGraph;

/// The value of one attribute of a node.
using OnnxAttribute = std::variant<double, std::int64_t, std::string, std::vector<double>, std::vector<std::int64_t>, std::vector<std::string>, Tensor,
                                   std::shared_ptr<const OnnxGraph>>;

/// One operator call. Empty names among the inputs are optional inputs that were left out.
struct OnnxNode {
  std::string op;
  std::string domain;  // "" for ai.onnx
  std::string name;
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  std::map<std::string, OnnxAttribute> attributes;
};

/// A declared input: dimensions that the file leaves open are -1.
struct OnnxInput {
  std::string name;
  ElementType type = ElementType::float32;
  std::vector<std::int64_t> shape;
};

/// An ONNX graph as plain values: nodes in an order in which every input is there before it is used.
struct OnnxGraph {
  std::map<std::string, std::int64_t> opsets;  // by domain, "" for ai.onnx
  std::vector<OnnxInput> inputs;               // initialisers are not among them
  std::vector<std::string> outputs;
  std::map<std::string, Tensor> initialisers;
  std::vector<OnnxNode> nodes;
};

/// Read an ONNX file (libonnx parses, nothing of it leaves this function). Weights must lie in the file itself.
/// Errors: invalid_package (no ONNX, external data, an unknown element type, a cycle, a name used twice or never made, wrong lengths),
/// limit_exceeded (more than 1 GiB, 20,000 nodes, subgraphs deeper than 4). name: of the file, for messages.
[[nodiscard]] Result<OnnxGraph> read_onnx(std::string_view bytes, const std::string& name);

}  // namespace choana::processing
