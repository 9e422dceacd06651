#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/clinical_value.h"
#include "core/result.h"

namespace choana {

/// What a document of clinical values says.
struct ClinicalDocument {
  std::vector<ClinicalValue> values;
  std::vector<std::string> removed;  // names whose value is null
};

/// Read {"values": [{"name": "wbc", "value": 6.2, "unit": "10*9/L", "date": "2026-11-01"}, ...]}. `value` is a finite number, or null to take the
/// value back; `unit` (UCUM, default "1") and `date` (default: not known) may be left out. At most 64 entries; a name is a letter followed by
/// letters, digits and underscores, at most 64 characters, and stands once. source: written into each value.
/// Errors: invalid_argument (which entry and what is wrong; values are not repeated in the message).
[[nodiscard]] Result<ClinicalDocument> parse_clinical_document(std::string_view text, const std::string& source);

/// The same document, for the worker and for tests.
[[nodiscard]] std::string clinical_values_json(const std::vector<ClinicalValue>& values);

/// Equal values give equal text: goes into job keys. Empty for no values.
[[nodiscard]] std::string clinical_digest(const std::vector<ClinicalValue>& values);

}  // namespace choana
