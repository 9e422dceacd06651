#include "node/data_files.h"

#include <algorithm>
#include <cstdlib>

#include "core/near_match.h"
#include "core/sha256.h"
#include "node/files.h"
#include "node/series_rules_reader.h"
#include "processing/prediction/package_signature.h"

namespace choana::embedded {
extern const std::string_view series_rules_toml;
}

namespace choana::node {
namespace {

constexpr std::size_t key_bytes_max = 64 * 1024;

}  // namespace

std::filesystem::path data_dir() {
  if (const char* dir = std::getenv("CHOANA_DATA_DIR")) return dir;
  std::error_code failed;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", failed);
  if (!failed) {
    const auto installed = program.parent_path().parent_path() / "share" / "choana";
    if (std::filesystem::is_directory(installed, failed)) return installed;
  }
  return CHOANA_SOURCE_CONF_DIR;
}

std::vector<std::string> shipped_packages() {
  std::vector<std::string> names;
  std::error_code failed;
  for (auto entry = std::filesystem::directory_iterator(data_dir() / "models", failed); !failed && entry != std::filesystem::directory_iterator();
       entry.increment(failed))
    if (std::filesystem::exists(entry->path() / "manifest.yaml")) names.push_back(entry->path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

Result<std::filesystem::path> find_package(const std::string& name_or_folder) {
  std::error_code failed;
  const std::filesystem::path folder(name_or_folder);
  if (std::filesystem::exists(folder / "manifest.yaml", failed)) return std::filesystem::absolute(folder);
  if (folder.extension() == ".zip" && std::filesystem::is_regular_file(folder, failed)) return std::filesystem::absolute(folder);
  const auto names = shipped_packages();
  if (std::find(names.begin(), names.end(), name_or_folder) != names.end()) return data_dir() / "models" / name_or_folder;
  std::string all;
  for (const std::string& name : names) all += (all.empty() ? "" : ", ") + name;
  return fail(ErrorCode::not_found, "find_package",
              "'" + name_or_folder + "' is neither a folder with a manifest.yaml, nor a .zip file, nor a package that comes with Choana (" + all + ")." +
                  did_you_mean(name_or_folder, names));
}

std::vector<std::string> shipped_profiles() {
  std::vector<std::string> names;
  std::error_code failed;
  for (auto entry = std::filesystem::directory_iterator(data_dir() / "profiles", failed); !failed && entry != std::filesystem::directory_iterator();
       entry.increment(failed))
    if (entry->path().extension() == ".yaml") names.push_back(entry->path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

Result<std::filesystem::path> find_profile(const std::string& name_or_file) {
  std::error_code failed;
  if (std::filesystem::is_regular_file(name_or_file, failed)) return std::filesystem::path(name_or_file);
  const auto names = shipped_profiles();
  if (std::find(names.begin(), names.end(), name_or_file) != names.end()) return data_dir() / "profiles" / (name_or_file + ".yaml");
  std::string all;
  for (const std::string& name : names) all += (all.empty() ? "" : ", ") + name;
  return fail(ErrorCode::not_found, "find_profile",
              "'" + name_or_file + "' is neither a parameter file nor the name of a profile that comes with Choana (" + (all.empty() ? "none is there" : all) + ")." +
                  did_you_mean(name_or_file, names));
}

Result<processing::SeriesRules> default_series_rules() { return read_series_rules(embedded::series_rules_toml, "series-rules.toml"); }

Result<std::vector<std::string>> trusted_key_ids(const std::vector<std::string>& keys) {
  std::vector<std::string> ids;
  for (const std::string& key : keys) {
    const auto text = key.starts_with("ed25519:") ? Result<std::string>(key) : read_file(key, key_bytes_max);
    auto id = text ? processing::key_id_of(*text) : text;
    if (!id) {
      Error error = id.error();
      error.message = "The trusted key " + key + " cannot be used: " + error.message;
      return fail(std::move(error));
    }
    ids.push_back(std::move(*id));
  }
  return ids;
}

std::string result_settings_digest(const NodeSettings& settings, const std::vector<std::string>& package_digests) {
  std::string text = settings.settings_sha256;
  for (const std::string& digest : package_digests) text += "|" + digest;
  return sha256_hex(text);
}

}  // namespace choana::node
