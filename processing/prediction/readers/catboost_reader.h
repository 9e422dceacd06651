#pragma once

#include <string>
#include <string_view>

#include "core/result.h"
#include "processing/prediction/learners/learner.h"

namespace choana::processing {

/// Read a model that CatBoost saved as JSON (`save_model(..., format='json')`): symmetric (`oblivious_trees`) and other
/// trees (`trees`), one or several dimensions. The margin is RawFormulaVal. Values are compared as float32 with float32
/// borders; NaN goes right where nan_value_treatment is AsTrue, else left. A symmetric tree is walked last split first,
/// which path-dependent explanations depend on. `features` holds the names in the file, or empty names.
/// Refused with a word: categorical, text and embedding features and their statistics (CTR), unknown losses.
/// Source: CatBoost's json_model_helpers; rules: spec/models.md 2 (trap 14) and 10. Errors: invalid_package, limit_exceeded.
[[nodiscard]] Result<Learner> read_catboost(std::string_view json, const std::string& name);

}  // namespace choana::processing
