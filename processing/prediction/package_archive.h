#pragma once

#include <filesystem>

#include "core/result.h"
#include "processing/prediction/package_files.h"

namespace choana::processing {

/// Read the files of a zipped package into memory; sums are not looked at. One folder around everything is taken off.
/// Refused: paths that leave the package or are hidden, links and devices, a name twice, encryption, methods other than
/// stored and deflated, more than `package_files_max` files or `package_bytes_max` bytes, an archive that unpacks to more
/// than 200 times its size (a bomb), and entries whose content does not match their size or check sum.
/// Errors: io_error, invalid_package, limit_exceeded.
[[nodiscard]] Result<PackageFiles> read_package_archive(const std::filesystem::path& file);

/// Write a package as one zip file. The bytes depend on the files alone: sorted, with the time 1980-01-01 and one mode.
/// Errors: io_error.
[[nodiscard]] Status write_package_archive(const PackageFiles& files, const std::filesystem::path& file);

}  // namespace choana::processing
