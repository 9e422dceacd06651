#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/result.h"
#include "node/node_settings.h"
#include "processing/roles/series_roles.h"

namespace choana::node {

/// Folder of what comes with Choana (model packages, default settings): $CHOANA_DATA_DIR, else share/choana beside the
/// program's bin/, else conf/ of the source tree it was built from.
[[nodiscard]] std::filesystem::path data_dir();

/// A package by folder or zip file, or by the name of one in data_dir()/models. Errors: not_found with the near matches.
[[nodiscard]] Result<std::filesystem::path> find_package(const std::string& name_or_folder);

/// Names of the packages in data_dir()/models.
[[nodiscard]] std::vector<std::string> shipped_packages();

/// An extraction profile by file, or by the name of one in data_dir()/profiles (without .yaml). Errors: not_found with the near matches.
[[nodiscard]] Result<std::filesystem::path> find_profile(const std::string& name_or_file);

/// Names of the profiles in data_dir()/profiles.
[[nodiscard]] std::vector<std::string> shipped_profiles();

/// conf/series-rules.toml as it was when the program was built.
[[nodiscard]] Result<processing::SeriesRules> default_series_rules();

/// The key ids that [models] trusted_keys names: "ed25519:..." as they are, PEM files read. Errors: io_error, invalid_argument (a file without such a key).
[[nodiscard]] Result<std::vector<std::string>> trusted_key_ids(const std::vector<std::string>& keys);

/// Digest of the settings that shape a result, with the content digests of the packages in use.
[[nodiscard]] std::string result_settings_digest(const NodeSettings& settings, const std::vector<std::string>& package_digests);

}  // namespace choana::node
