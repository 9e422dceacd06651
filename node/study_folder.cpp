#include "node/study_folder.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <set>

#include "core/sha256.h"
#include "dicom/dicom_reader.h"

namespace choana::node {
namespace {

constexpr std::size_t files_max = 200'000;

std::int64_t modified_s(const std::filesystem::path& file) {
  std::error_code failed;
  const auto time = std::filesystem::last_write_time(file, failed);
  if (failed) return 0;
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::file_clock::to_sys(time).time_since_epoch()).count();
}

}  // namespace

Result<FolderScan> scan_study_folder(const std::filesystem::path& folder) {
  std::error_code failed;
  std::vector<std::filesystem::path> files;
  if (std::filesystem::is_regular_file(folder, failed)) {
    files.push_back(folder);
  } else {
    if (!std::filesystem::is_directory(folder, failed))
      return fail(ErrorCode::not_found, "scan_study_folder", "There is no folder " + folder.string() + ".");
    auto entry = std::filesystem::recursive_directory_iterator(folder, std::filesystem::directory_options::skip_permission_denied, failed);
    for (; !failed && entry != std::filesystem::recursive_directory_iterator(); entry.increment(failed)) {
      if (entry->is_symlink() || !entry->is_regular_file()) continue;
      files.push_back(entry->path());
      if (files.size() > files_max) return fail(ErrorCode::limit_exceeded, "scan_study_folder", "The folder holds more than 200,000 files; name one study.");
    }
  }
  std::sort(files.begin(), files.end());

  FolderScan scan;
  std::map<std::string, FolderStudy> studies;
  std::map<std::string, std::filesystem::path> first_of_uid;
  for (const auto& file : files) {
    auto facts = dicom::read_instance_facts(file);
    if (!facts) {
      if (facts.error().code == ErrorCode::not_dicom)
        ++scan.other_files;
      else
        scan.unreadable.push_back(facts.error());
      continue;
    }
    const auto [known, added] = first_of_uid.emplace(facts->sop_instance_uid, file);
    if (!added) {
      const auto first = sha256_hex_of_file(known->second), second = sha256_hex_of_file(file);
      if (!first || !second || *first != *second)
        scan.unreadable.push_back(Error{ErrorCode::conflicting_instance, "scan_study_folder",
                                        "Two files with different content carry the same SOP Instance UID; the first was used, " +
                                            file.filename().string() + " was set aside.", ""});
      continue;
    }
    FolderStudy& study = studies[facts->study_instance_uid];
    study.study_instance_uid = facts->study_instance_uid;
    study.instances.push_back({file, facts->sop_class_uid, facts->sop_instance_uid});
    study.newest_file_s = std::max(study.newest_file_s, modified_s(file));
  }
  for (auto& [uid, study] : studies) scan.studies.push_back(std::move(study));
  return scan;
}

}  // namespace choana::node
