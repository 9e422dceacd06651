#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "core/result.h"

namespace choana::processing {

constexpr std::size_t package_files_max = 256;
constexpr std::size_t package_bytes_max = std::size_t{256} << 20U;
constexpr int package_depth_max = 4;

/// The files of a package, read once: what is checked is what is used.
struct PackageFiles {
  std::map<std::string, std::string> content;  // path relative to the package, '/' between folders
  std::string sums_sha256;                     // SHA-256 of SHA256SUMS, hex: the identity of the package

  [[nodiscard]] const std::string* find(const std::string& path) const;
};

/// Read a package directory and hold it against its SHA256SUMS (the format of sha256sum): every file is listed, every
/// listed file is there and unchanged. SHA256SUMS and SHA256SUMS.sig are not listed. Links, devices, hidden files and
/// paths that leave the folder are refused; sizes and counts are bounded.
/// Errors: not_found, io_error, invalid_package, limit_exceeded.
[[nodiscard]] Result<PackageFiles> read_package_files(const std::filesystem::path& directory);

}  // namespace choana::processing
