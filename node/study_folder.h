#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/result.h"

namespace choana::node {

struct FolderInstance {
  std::filesystem::path file;
  std::string sop_class_uid;
  std::string sop_instance_uid;
};

/// The instances of one study in a folder.
struct FolderStudy {
  std::string study_instance_uid;
  std::vector<FolderInstance> instances;
  std::int64_t newest_file_s = 0;  // newest modification time, Unix seconds
};

struct FolderScan {
  std::vector<FolderStudy> studies;          // by Study Instance UID
  std::vector<Error> unreadable;             // files that are DICOM but broken
  std::size_t other_files = 0;               // files that are not DICOM at all
};

/// Read the headers of every file below `folder` (links are not followed, at most 200,000 files) and group them by study. Of two objects
/// with one SOP Instance UID the first by path is kept, and the second reported.
/// Errors: not_found, limit_exceeded.
Result<FolderScan> scan_study_folder(const std::filesystem::path& folder);

}  // namespace choana::node
