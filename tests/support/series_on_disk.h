#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "dicom/dicom_reader.h"

namespace choana::test {

/// All slices of the files below a folder, in order of path; a file that cannot be read fails the test.
inline std::vector<AcquiredSlice> read_series(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.is_regular_file() && entry.path().extension() != ".md" && entry.path().extension() != ".txt") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::vector<AcquiredSlice> slices;
  for (const auto& file : files) {
    auto read = dicom::read_slices(file);
    if (!read) {
      ADD_FAILURE() << file << ": " << to_string(read.error());
      continue;
    }
    for (AcquiredSlice& slice : *read) slices.push_back(std::move(slice));
  }
  return slices;
}

}  // namespace choana::test
