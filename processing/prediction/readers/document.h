#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace choana::processing {

struct DocumentField;

/// A YAML document as a plain tree: what the manifest reader walks, without the YAML library.
struct DocumentNode {
  enum class Kind { null, scalar, list, map };
  Kind kind = Kind::null;
  std::string scalar;
  bool quoted = false;  // a quoted scalar is text, whatever it looks like
  std::vector<DocumentNode> items;
  std::vector<DocumentField> fields;  // in file order, keys unique
};

struct DocumentField {
  std::string key;
  DocumentNode value;
};

/// Read one YAML document of at most 256 KiB, 12 levels and 20,000 nodes (aliases count as often as they are used).
/// Errors: invalid_package (not YAML, a key twice, a key that is no text), limit_exceeded.
[[nodiscard]] Result<DocumentNode> read_yaml(std::string_view yaml, const std::string& name);

/// The node as compact JSON with the keys of every map in alphabetical order: plain scalars that are numbers, true,
/// false or null by YAML 1.2's core rules lose their quotes.
[[nodiscard]] std::string to_canonical_json(const DocumentNode& node);

}  // namespace choana::processing
