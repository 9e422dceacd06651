#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include "core/result.h"

namespace choana::node {

/// The whole of a small file. Errors: not_found, io_error, limit_exceeded (larger than size_max).
Result<std::string> read_file(const std::filesystem::path& file, std::size_t size_max);

/// Write, checking every step. Errors: io_error, disk_full.
Status write_file(const std::filesystem::path& file, std::string_view bytes);

/// Write beside, sync, rename over, sync the folder: readers see the old file or the new one, never a part.
Status replace_file(const std::filesystem::path& file, std::string_view bytes);

/// fsync every file below a folder and the folders themselves. Errors: io_error.
Status sync_tree(const std::filesystem::path& folder);

/// fsync one folder, so that a rename in it is durable.
Status sync_folder(const std::filesystem::path& folder);

class Stopwatch {
 public:
  [[nodiscard]] double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace choana::node
