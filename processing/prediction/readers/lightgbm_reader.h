#pragma once

#include <string>
#include <string_view>

#include "core/result.h"
#include "processing/prediction/learners/learner.h"

namespace choana::processing {

/// Read a model that LightGBM saved as text (`save_model`, versions v2 to v4): numerical and categorical splits, all
/// missing types, gbdt, dart, goss and rf. The margin is LightGBM's raw score, equal to the last bit; with
/// average_output (rf) that is the sum over the trees, and the value takes the mean. `sigmoid:` is honoured.
/// `features` holds the names in the file. Refused with a word: linear trees, unknown objectives, a file that was cut off.
/// Source: LightGBM src/io/tree.cpp and include/LightGBM/tree.h; rules: spec/models.md 2 (trap 15) and 10.
/// Errors: invalid_package, limit_exceeded.
[[nodiscard]] Result<Learner> read_lightgbm(std::string_view text, const std::string& name);

}  // namespace choana::processing
