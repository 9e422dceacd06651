#pragma once

#include "core/task_pool.h"
#include "node/commands/extract/batch_table.h"
#include "node/commands/extract/messages.h"
#include "node/commands/extract/options.h"
#include "node/commands/extract/output.h"
#include "node/commands/extract/plan.h"

namespace choana::node::extract {

/// Read and measure one case: a row for each region, label and part. It never fails as a whole: a case that cannot be read or measured is a row
/// without values, with its reason among the messages and in the details.
[[nodiscard]] CaseResult run_case(const Case& one, const Plan& plan, const Options& options, TaskPool* pool, Messages& messages);

/// All cases, `jobs` at a time; rows are kept in the journal as cases finish and printed in order at the end. SIGINT and SIGTERM start no further case, let
/// those at work finish, and print what is there. Returns the exit status of the command.
[[nodiscard]] int run_batch(const Batch& batch, const Plan& plan, const Options& options, Messages& messages);

}  // namespace choana::node::extract
