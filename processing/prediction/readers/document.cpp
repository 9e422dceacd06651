#include "processing/prediction/readers/document.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "processing/prediction/readers/json_internal.h"
#include "processing/prediction/readers/table.h"

namespace choana::processing {
namespace {

constexpr std::size_t bytes_max = std::size_t{256} << 10U;
constexpr std::size_t nodes_max = 20'000;
constexpr int depth_max = 12;

struct Conversion {
  std::size_t nodes = 0;
  std::optional<Error> problem;

  void complain(ErrorCode code, const std::string& what) {
    if (!problem) problem = Error{code, "read_yaml", what, {}};
  }

  DocumentNode convert(const YAML::Node& node, int depth, const std::string& name) {
    DocumentNode result;
    if (problem) return result;
    if (++nodes > nodes_max) complain(ErrorCode::limit_exceeded, name + " has more than " + std::to_string(nodes_max) + " entries.");
    if (depth > depth_max) complain(ErrorCode::limit_exceeded, name + " is nested deeper than " + std::to_string(depth_max) + " levels.");
    if (problem) return result;
    switch (node.Type()) {
      case YAML::NodeType::Undefined:
      case YAML::NodeType::Null: break;
      case YAML::NodeType::Scalar:
        result.kind = DocumentNode::Kind::scalar;
        result.scalar = node.Scalar();
        result.quoted = node.Tag() == "!";
        break;
      case YAML::NodeType::Sequence:
        result.kind = DocumentNode::Kind::list;
        for (const YAML::Node& item : node) result.items.push_back(convert(item, depth + 1, name));
        break;
      case YAML::NodeType::Map: {
        result.kind = DocumentNode::Kind::map;
        std::set<std::string> seen;
        for (const auto& field : node) {
          if (!field.first.IsScalar()) {
            complain(ErrorCode::invalid_package, name + " has a key that is not a word.");
            return result;
          }
          const std::string key = field.first.Scalar();
          if (!seen.insert(key).second) {
            complain(ErrorCode::invalid_package, name + " has the key '" + key.substr(0, 64) + "' twice in one place.");
            return result;
          }
          result.fields.push_back({key, convert(field.second, depth + 1, name)});
        }
        break;
      }
    }
    return result;
  }
};

// Whether a document marker stands behind something that is neither blank, comment nor directive.
bool has_second_document(std::string_view yaml) {
  bool content = false;
  std::size_t start = 0;
  while (start < yaml.size()) {
    std::size_t end = yaml.find('\n', start);
    if (end == std::string_view::npos) end = yaml.size();
    const std::string_view line = yaml.substr(start, end - start);
    start = end + 1;
    if (content && (line.starts_with("---") || line.starts_with("..."))) return true;
    const auto first = line.find_first_not_of(" \t\r");
    content = content || (first != std::string_view::npos && line[first] != '#' && line[first] != '%');
  }
  return false;
}

nlohmann::json to_json(const DocumentNode& node) {
  switch (node.kind) {
    case DocumentNode::Kind::null: return nullptr;
    case DocumentNode::Kind::list: {
      nlohmann::json list = nlohmann::json::array();
      for (const DocumentNode& item : node.items) list.push_back(to_json(item));
      return list;
    }
    case DocumentNode::Kind::map: {
      nlohmann::json map = nlohmann::json::object();
      for (const auto& [key, value] : node.fields) map[key] = to_json(value);
      return map;
    }
    case DocumentNode::Kind::scalar: break;
  }
  if (node.quoted) return node.scalar;
  if (node.scalar == "true" || node.scalar == "True") return true;
  if (node.scalar == "false" || node.scalar == "False") return false;
  if (node.scalar == "null" || node.scalar == "~" || node.scalar.empty()) return nullptr;
  if (const auto number = parse_number(node.scalar)) {
    const bool whole = node.scalar.find_first_of(".eE") == std::string::npos && std::abs(*number) < 9e15;
    if (whole) return static_cast<std::int64_t>(*number);
    return *number;
  }
  return node.scalar;
}

}  // namespace

Result<DocumentNode> read_yaml(std::string_view yaml, const std::string& name) {
  if (yaml.size() > bytes_max)
    return fail(ErrorCode::limit_exceeded, "read_yaml", name + " is larger than " + std::to_string(bytes_max >> 10U) + " KiB.");
  // The library's scanner and parser recurse; brackets and indents are bounded before it sees them.
  int open = 0, deepest = 0;
  std::size_t indent = 0;
  bool line_start = true;
  for (const char c : yaml) {
    if (c == '\0') return fail(ErrorCode::invalid_package, "read_yaml", name + " holds a zero byte.");
    if (c == '[' || c == '{') deepest = std::max(deepest, ++open);
    if (c == ']' || c == '}') open = std::max(0, open - 1);
    if (c == '\n') {
      line_start = true;
      indent = 0;
    } else if (line_start && (c == ' ' || c == '-' || c == '?' || c == '\t')) {
      if (++indent > 400) return fail(ErrorCode::limit_exceeded, "read_yaml", name + " is indented too deeply.");
    } else {
      line_start = false;
    }
  }
  if (deepest > 100) return fail(ErrorCode::limit_exceeded, "read_yaml", name + " has too many open brackets.");
  if (has_second_document(yaml))
    return fail(ErrorCode::invalid_package, "read_yaml", name + " must hold exactly one YAML document.");
  try {
    // Load and not LoadAll: the latter never returns on some inputs (yaml-cpp 0.7.0; found by fuzz_model_manifest).
    const YAML::Node document = YAML::Load(std::string(yaml));
    Conversion conversion;
    DocumentNode root = conversion.convert(document, 0, name);
    if (conversion.problem) return fail(*conversion.problem);
    return root;
  } catch (const std::exception& e) {
    return fail(ErrorCode::invalid_package, "read_yaml", name + " is not valid YAML: " + std::string(e.what()).substr(0, 160) + ".");
  }
}

std::string to_canonical_json(const DocumentNode& node) {
  return to_json(node).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace choana::processing
