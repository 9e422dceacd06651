#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/region_of_interest.h"
#include "node/commands/extract/batch_table.h"
#include "node/commands/extract/plan.h"
#include "node/commands/extract/saved_files.h"
#include "processing/radiomics/feature_extractor.h"
#include "processing/radiomics/image.h"

namespace choana::node::extract {

/// What is known about a row besides its values.
struct RowFacts {
  const Case* one = nullptr;
  std::string roi;
  std::string label;
  std::string component;                   // "" the whole region
  std::vector<std::string> notes;          // of reading the case
  std::optional<RoiOrigin> ledger;         // of a region of DICOM
  std::optional<std::array<double, 3>> interpolation_ratio;  // old spacing by new, along i, j, k
  std::vector<SavedFile> files;            // images and maps written for this row
};

/// The ledger of a delineation as JSON text: source, contours, volume, what fell outside.
[[nodiscard]] std::string ledger_json(const RoiOrigin& ledger);

/// How much finer (above 1) or coarser the grid becomes along i, j, k; nothing without resampling.
[[nodiscard]] std::optional<std::array<double, 3>> interpolation_ratio(const processing::MaskVolume& mask, int label, const processing::ExtractionSettings& settings);

/// A bin width that gives about 32 levels, where `count` levels of `bin_width` are too few (below 8) or too many (above 256); a round number (1, 2
/// or 5 by a power of ten). range: of the intensities in the region, if known.
[[nodiscard]] std::optional<double> proposed_bin_width(const processing::LevelCount& count, double bin_width, std::optional<double> range);

/// One JSON object for a row: features with unit, code, aggregation and levels, what was not computed and why, warnings, voxel counts of each step.
[[nodiscard]] std::string details_json(const RowFacts& facts, const Plan& plan, const Result<processing::ExtractionResult>& result);

}  // namespace choana::node::extract
