#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "core/sha256.h"
#include "node/study_folder.h"
#include "node/study_job.h"

namespace choana::test {

/// A job over the one study of a folder, with two threads and a fixed date.
inline node::StudyJobRequest study_job_request(const std::filesystem::path& study, const std::filesystem::path& out, std::vector<std::string> packages = {}) {
  auto scan = node::scan_study_folder(study);
  EXPECT_TRUE(scan && scan->studies.size() == 1);
  node::StudyJobRequest request;
  request.study_instance_uid = scan->studies.front().study_instance_uid;
  for (const auto& instance : scan->studies.front().instances)
    request.inputs.push_back({instance.file.string(), instance.sop_instance_uid, sha256_hex_of_file(instance.file).value()});
  request.packages = std::move(packages);
  request.out_dir = out.string();
  request.threads = 2;
  request.run.run_key = node::make_run_key(request, {}, 0);
  request.run.run_date = "20260101";
  request.run.run_time = "120000";
  return request;
}

}  // namespace choana::test
