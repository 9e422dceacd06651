#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/region_of_interest.h"
#include "core/result.h"
#include "node/commands/extract/batch_table.h"
#include "processing/radiomics/image.h"

namespace choana::node::extract {

/// One region of a case before its mask is made.
struct Region {
  std::string roi;                        // name in the RTSTRUCT or SEG ("A+B" for the union); empty for a label map
  std::string label;                      // "3", "1+2+5" for the union, "1" for a region of DICOM
  int value = 1;                          // the label to measure in the mask that `mask` gives
  /// Make the mask. ledger: filled for regions of DICOM. Errors: roi_missing, geometry and rasterisation.
  std::function<Result<std::shared_ptr<const processing::MaskVolume>>(std::optional<RoiOrigin>& ledger)> mask;
};

/// Image and regions of one case. Masks are made one by one, so that a structure set of fifty regions needs the memory of one.
struct CaseInputs {
  std::shared_ptr<const processing::ScalarVolume> image;
  std::vector<Region> regions;            // at least one
  bool roi_column = false;                // the regions have names
  bool label_column = false;              // several labels were asked for
  std::vector<std::string> notes;         // what was chosen and what was odd
};

/// Read a case. `fallback`: the labels to measure where the case names none. Errors: those of the readers, with what, where and what to do;
/// roi_empty (label "all" and none there), invalid_argument (a region named for a label map, a union of one label).
[[nodiscard]] Result<CaseInputs> load_case(const Case& one, const LabelChoice& fallback, int label_channel, bool union_of_labels);

/// A mask of the separate (26-connected) parts of a region: label 1 is the largest part, equal ones in order of their first voxel.
/// At most `parts_max` parts keep a label. Returns the number of parts there are.
std::size_t split_components(const processing::MaskVolume& mask, int label, std::size_t parts_max, processing::MaskVolume& parts);

/// SHA-256 over the content of an input file, or over names and contents of the files of a folder. Errors: not_found, io_error.
[[nodiscard]] Result<std::string> content_digest(const std::filesystem::path& place);

}  // namespace choana::node::extract
