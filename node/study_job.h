#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/clinical_value.h"
#include "core/study_findings.h"
#include "reporting/report_settings.h"

namespace choana::node {

/// One input object of a job, as it lies in the spool (or in a folder).
struct JobInput {
  std::string file;
  std::string sop_instance_uid;
  std::string sha256;   // of its bytes; empty = not known, computed when the key is made
};

/// Everything one run over one study needs; written as JSON for the worker process.
struct StudyJobRequest {
  std::string study_instance_uid;
  int study_number = 0;
  std::vector<JobInput> inputs;
  std::vector<std::string> packages;                 // folders or zip files
  std::vector<std::string> package_digests;          // ModelPackage::sha256 of each as it was admitted; empty: not held against anything
  std::map<std::string, std::string> role_overrides; // role -> series instance UID
  std::vector<ClinicalValue> clinical;               // of the patient; those of the headers (age, sex) are added by the worker
  std::string series_rules_toml;                     // empty: the built-in rules
  std::string out_dir;
  std::string settings_sha256;
  bool not_analysed_report = true;
  int threads = 1;
  reporting::ReportSettings report;
  reporting::RunIdentity run;
  /// Set when every attempt to analyse failed: only the short report that says so is written.
  std::string verdict_code;
  std::string verdict_text;
  // limits of the worker process
  std::uint64_t memory_max_mib = 0;
  std::uint64_t wall_max_s = 0;
};

std::string to_json(const StudyJobRequest& request);
/// Errors: invalid_argument.
Result<StudyJobRequest> parse_study_job(const std::string& json);

struct StudyJobResult {
  StudyFindings findings;
  std::filesystem::path result_json;
};

/// Read, measure, predict, report: the whole pipeline over one study. Writes objects, `result.json` and `charts/` into
/// out_dir. A study that cannot be analysed is a result too. This is the one place that catches everything.
/// Errors: io_error, disk_full, out_of_memory, invalid_package, internal: the attempt failed, a retry may help.
Result<StudyJobResult> run_study_job(const StudyJobRequest& request);

/// Digest of what shapes the result of a study: inputs, packages, settings, version. Equal keys mean equal results.
std::string make_run_key(const StudyJobRequest& request, const std::vector<std::string>& package_digests, int reprocessing);

/// `choanad --worker FILE`: confines itself, reads the request, runs it. Exit status: 0 a result was written (of any
/// outcome), 1 the attempt failed; the error lies in out_dir/error.json.
int run_worker_main(const std::filesystem::path& request_file);

}  // namespace choana::node
