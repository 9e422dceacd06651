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

/// Write SHA256SUMS (and `sums_sha256`) anew over everything but SHA256SUMS and SHA256SUMS.sig; a signature is dropped.
void seal(PackageFiles& files);

/// Whether a package may hold a file of that path: folders and names of letters, digits, . _ - + only, none hidden, none
/// that leads out of the package.
[[nodiscard]] bool is_plain_path(const std::string& path);

/// Write a package's files below `folder`, which must not exist or be empty. The files come under another name first,
/// so that the folder is there whole or not at all. Errors: io_error, invalid_argument (the folder holds something).
[[nodiscard]] Status write_package_folder(const PackageFiles& files, const std::filesystem::path& folder);

/// Read a package, a folder or a zip file of one (package_archive.h), and hold it against its SHA256SUMS (the format of
/// sha256sum): every file is listed, every
/// listed file is there and unchanged. SHA256SUMS and SHA256SUMS.sig are not listed. Links, devices, hidden files and
/// paths that leave the folder are refused; sizes and counts are bounded.
/// Errors: not_found, io_error, invalid_package, limit_exceeded.
[[nodiscard]] Result<PackageFiles> read_package_files(const std::filesystem::path& package);

}  // namespace choana::processing
