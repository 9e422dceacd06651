#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/result.h"
#include "node/commands/extract/options.h"

namespace choana::node::extract {

/// One row of the batch, or the single case of the command line.
struct Case {
  std::size_t number = 1;                                        // from 1, as PyRadiomics counts
  std::vector<std::pair<std::string, std::string>> columns;      // as written, in the order of the table; Image and Mask absolute
  std::filesystem::path image;
  std::filesystem::path mask;
  std::optional<LabelChoice> labels;                             // column Label
  std::optional<int> label_channel;                              // column Label_channel
  std::vector<std::string> rois;                                 // column ROI, or --roi
  std::string series;                                            // column Series, or --series
  std::string volume;                                            // column Volume, or --volume
  std::optional<Error> problem;                                  // a cell that cannot be read: the case fails, the others go on

  [[nodiscard]] bool has_column(std::string_view name) const;
};

struct Batch {
  std::vector<Case> cases;
  std::vector<std::string> warnings;   // rows that were left out, and why
};

/// Read a batch table as PyRadiomics does: columns Image and Mask (relative to the table's folder), optional Label and Label_channel; all are
/// carried over. Label may also be a list or "all"; ROI, Series and Volume choose within DICOM.
/// Errors: not_found, io_error, limit_exceeded, invalid_argument: no column Image or Mask; a table with semicolons, tabs or UTF-16, which other programs
/// write where the comma is the decimal mark, is refused with what to do, never guessed at.
[[nodiscard]] Result<Batch> read_batch(const Options& options);

/// The case named on the command line.
[[nodiscard]] Case single_case(const Options& options);

/// The whole of a text file of at most 256 MiB. Errors: not_found, io_error, limit_exceeded.
[[nodiscard]] Result<std::string> read_text(const std::filesystem::path& path);

}  // namespace choana::node::extract
