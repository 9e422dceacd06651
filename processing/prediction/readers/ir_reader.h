#pragma once

#include <string>
#include <string_view>

#include "core/result.h"
#include "processing/prediction/learners/learner.h"

namespace choana::processing {

/// Most that one learner may hold; far above any published model.
constexpr std::size_t ir_bytes_max = std::size_t{64} << 20U;
constexpr std::size_t ir_features_max = 20'000;
constexpr std::size_t ir_trees_max = 20'000;
constexpr std::size_t ir_nodes_max = 4'000'000;
constexpr std::size_t ir_classes_max = 1'000;

/// Read a learner in Choana's neutral form, IR 1 (spec/models.md 7.3; conf/models/README.md): kinds `linear`,
/// `tree_ensemble`, `svm`, `gaussian_nb`, `mlp`, `calibrated`, `knn`, `gp_laplace` and `cox`. Everything is checked: lengths,
/// ranges, one root, no cycle, no number that is not finite, no unknown field but `note`. name: of the file, for messages.
/// Errors: invalid_package, limit_exceeded; the message names the field and what was expected.
[[nodiscard]] Result<Learner> read_ir(std::string_view json, const std::string& name);

}  // namespace choana::processing
