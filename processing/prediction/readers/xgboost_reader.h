#pragma once

#include <string>
#include <string_view>

#include "core/result.h"
#include "processing/prediction/learners/learner.h"

namespace choana::processing {

/// Read a model that XGBoost 1.x to 3.x saved (`save_model` to .json or .ubj; which of the two is told from the bytes):
/// boosters gbtree, dart and gblinear. Margins are computed as XGBoost does, in float and in tree order from the base,
/// and come out equal to the last bit. Every form of base_score is read (`5E-1`, `[5.2E-1]`, one a class).
/// `features` holds the names in the file, or empty names. iterations: use that many boosting rounds from the start; 0: all.
/// Refused with a word: vector leaves (multi_output_tree), several targets, unknown objectives and boosters, the old
/// binary format, and everything whose indices do not fit.
/// Source: XGBoost's doc/model.schema; rules and their tests: spec/models.md 2 (traps 1 and 2) and 10.
/// Errors: invalid_package, limit_exceeded.
[[nodiscard]] Result<Learner> read_xgboost(std::string_view bytes, const std::string& name, int iterations = 0);

/// Round after which training stopped early (attribute best_iteration, counted from 1), or 0. scikit-learn's interface
/// predicts with the rounds up to it, the native one with all.
[[nodiscard]] int xgboost_best_rounds(std::string_view bytes);

}  // namespace choana::processing
