#pragma once

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/coded_concept.h"
#include "reporting/mask_outline.h"

namespace choana::reporting {

/// How a content item hangs below its parent (PS3.3 Table C.17.3-8).
enum class Relation { contains, has_observation_context, has_acquisition_context, has_concept_modifier, inferred_from, selected_from };

/// template_id: the DCMR template a container follows ("1500", "1411", ...); empty for none.
struct ContainerValue {
  std::string template_id;
};
struct TextValue {
  std::string text;  // UTF-8
};
struct UidValue {
  std::string uid;
};
struct DateValue {
  std::string date;  // DA
};
struct TimeValue {
  std::string time;  // TM
};
/// Written twice: as Numeric Value (DS) and, exactly, as Floating Point Value (FD).
struct NumberValue {
  double number = 0;
  Unit unit;
};
/// A reference to an image; frame_number and segment_number are 1-based, 0 = not stated.
struct ImageValue {
  std::string sop_class_uid;
  std::string sop_instance_uid;
  int frame_number = 0;
  int segment_number = 0;
};
/// SCOORD of type POLYLINE in pixels, (column, row).
struct PolylineValue {
  Outline points;
};

/// One content item of a structured report with all below it: the report as a value, before any toolkit.
struct ContentItem {
  using Value = std::variant<ContainerValue, TextValue, CodedConcept, UidValue, DateValue, TimeValue, NumberValue, ImageValue, PolylineValue>;

  Relation relation = Relation::contains;
  CodedConcept name;  // empty only below SCOORD
  Value value;
  std::vector<ContentItem> children;

  /// Append a child and return it; the reference lives until the next child is added.
  ContentItem& add(Relation child_relation, CodedConcept child_name, Value child_value) {
    return children.emplace_back(ContentItem{child_relation, std::move(child_name), std::move(child_value), {}});
  }
  ContentItem& contains(CodedConcept child_name, Value child_value) {
    return add(Relation::contains, std::move(child_name), std::move(child_value));
  }
};

/// The shortest decimal string of at most 16 characters (DS) that is nearest to `number`, which must be finite.
[[nodiscard]] std::string decimal_string(double number);

/// Canonical text of a tree, for digests: equal trees, and only those, have equal texts.
[[nodiscard]] std::string canonical_text(const ContentItem& item);

}  // namespace choana::reporting
