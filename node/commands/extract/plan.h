#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/result.h"
#include "node/commands/extract/options.h"
#include "processing/radiomics/extraction_profile.h"
#include "processing/radiomics/ibsi/ibsi_profile.h"

namespace choana::node::extract {

/// What is computed of every case: the profile with the settings of the command line, and what the rows are.
struct Plan {
  processing::ExtractionProfile profile;
  std::optional<processing::ibsi::IbsiProfile> ibsi;  // in place of `profile`: a parameter file with `mode: ibsi`
  LabelChoice labels;          // where a case names none
  bool union_of_labels = false;
  bool components = false;
  bool details = false;
  bool voxel_maps = false;
  std::filesystem::path maps_folder;     // voxel mode
  std::filesystem::path images_folder;   // --save-images; empty: none
  std::string canonical;       // JSON: two runs with equal text make equal rows of equal inputs
};

/// Read --param (a file, or the bare name of a profile that comes with Choana) and apply --setting and --label.
/// Errors: not_found (with near matches), invalid_profile, io_error.
[[nodiscard]] Result<Plan> make_plan(const Options& options);

}  // namespace choana::node::extract
