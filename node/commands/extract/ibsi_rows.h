#pragma once

#include <string>
#include <vector>

#include "node/commands/extract/details.h"
#include "node/commands/extract/output.h"
#include "node/commands/extract/plan.h"
#include "processing/radiomics/ibsi/ibsi_extractor.h"

namespace choana::node::extract {

/// The cells of a region in IBSI mode: grid and voxel counts as diagnostics (`diagnostics_ibsi_*`), then one cell a feature, "nan" where there is no value.
[[nodiscard]] std::vector<Cell> ibsi_cells(const processing::ibsi::IbsiExtractionResult& result);

/// One JSON object for a row in IBSI mode, as `details_json` makes it for PyRadiomics mode.
[[nodiscard]] std::string ibsi_details_json(const RowFacts& facts, const Plan& plan, const Result<processing::ibsi::IbsiExtractionResult>& result);

}  // namespace choana::node::extract
