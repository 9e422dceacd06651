#include <CLI/CLI.hpp>
#include <ctime>
#include <iostream>
#include <nlohmann/json.hpp>

#include "core/log.h"
#include "core/sha256.h"
#include "core/version.h"
#include "dicom/dicom_reader.h"
#include "node/clinical_values.h"
#include "node/commands/commands.h"
#include "node/data_files.h"
#include "node/files.h"
#include "node/settings_reader.h"
#include "node/study_folder.h"
#include "node/study_job.h"
#include "processing/prediction/model_package.h"
#include "processing/prediction/package_signature.h"

namespace choana::node {
namespace {

std::string utc(std::int64_t unix_s, const char* format) {
  const auto time = static_cast<std::time_t>(unix_s);
  std::tm parts{};
  gmtime_r(&time, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, format, &parts)};
}

void print_summary(const StudyFindings& findings, const std::filesystem::path& folder, std::size_t number) {
  std::cout << "study " << number << "  " << to_string(findings.outcome);
  if (findings.outcome != Outcome::reported) std::cout << ": " << to_string(findings.reason.code) << ": " << findings.reason.message;
  std::cout << "\n";
  for (const MeasuredSeries& measured : findings.measured)
    for (const RegionOfInterest& roi : measured.rois) {
      char volume[32];
      std::snprintf(volume, sizeof volume, "%.2f ml", roi.volume_ml());
      std::cout << "  " << measured.role << "  " << roi.name() << "  " << volume << "\n";
    }
  for (const Prediction& prediction : findings.predictions) {
    char value[64];
    std::snprintf(value, sizeof value, "%.1f %s", prediction.value, prediction.unit.c_str());
    std::cout << "  " << prediction.output << "  " << value << "  (" << prediction.package << " " << prediction.version << ", " << prediction.status << ")\n";
  }
  for (const StudyIssue& issue : findings.issues) std::cout << "  note: " << issue.text << "\n";
  std::cout << "  " << folder.string() << "\n";
}

}  // namespace

int run_run(int argc, char** argv) {
  CLI::App app{"Run the pipeline on a folder of DICOM without a network.", "choana run"};
  std::string dir, out, settings_file, clinical_file;
  std::vector<std::string> packages, roles;
  bool json_output = false;
  int threads = 0;
  app.add_option("DIR", dir, "Folder of DICOM files (one or more studies), or one file")->required();
  app.add_option("--out", out, "Folder for the results; OUT/<study number>/ is made for each study")->required();
  app.add_option("--package", packages, "Model package: a folder, or the name of one that comes with Choana (repeatable). None: radiomics only")->allow_extra_args(false);
  app.add_option("--settings", settings_file, "Settings file (choana.toml) whose report, process and package settings apply");
  app.add_option("--role", roles, "ROLE=SERIES_UID: take this series for this role (repeatable)")->allow_extra_args(false);
  app.add_option("--clinical", clinical_file, "JSON file of clinical values for the models, as PUT /api/v1/patients/{id}/clinical takes it; holds for every study of DIR");
  app.add_option("--threads", threads, "Threads (default: that of the settings, 2)")->check(CLI::Range(1, 256));
  app.add_flag("--json", json_output, "Print the results as JSON");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  const auto usage_error = [](const std::string& message) {
    std::cerr << "choana run: " << message << "\n";
    return 2;
  };

  NodeSettings settings;
  if (!settings_file.empty()) {
    auto read = read_settings(settings_file);
    if (!read) return usage_error(read.error().message);
    settings = std::move(*read);
  }
  log::configure(settings_file.empty() ? "error" : settings.log.level);

  StudyJobRequest base;
  if (packages.empty())
    for (const PackageSettings& package : settings.packages)
      if (package.enabled) packages.push_back(std::filesystem::exists(package.path) ? package.path.string() : package.path.filename().string());
  std::vector<std::string> digests;
  const auto trusted = trusted_key_ids(settings.models.trusted_keys);
  for (const std::string& name : packages) {
    auto folder = find_package(name);
    if (!folder) return usage_error(folder.error().message);
    auto package = processing::ModelPackage::load(*folder);
    if (!package) return usage_error(package.error().message);
    if (const auto trust = trusted ? processing::check_trust(package->manifest().key_id, *trusted) : Status(fail(trusted.error())); !trust) return usage_error(trust.error().message);
    digests.push_back(package->sha256());
    base.packages.push_back(folder->string());
  }
  for (const std::string& role : roles) {
    const auto equals = role.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == role.size())
      return usage_error("--role " + role + " is not of the form ROLE=SERIES_UID, such as T2=1.2.840.1.");
    base.role_overrides[role.substr(0, equals)] = role.substr(equals + 1);
  }

  if (!clinical_file.empty()) {
    auto text = read_file(clinical_file, 1U << 20);
    if (!text) return usage_error(text.error().message);
    auto document = parse_clinical_document(*text, "file");
    if (!document) return usage_error(clinical_file + ": " + document.error().message);
    base.clinical = std::move(document->values);
  }

  dicom::register_codecs();
  auto scan = scan_study_folder(dir);
  if (!scan) return usage_error(scan.error().message);
  if (scan->studies.empty()) {
    std::cerr << "choana run: " << dir << " holds no DICOM object (" << scan->other_files << " other files, " << scan->unreadable.size() << " unreadable).\n";
    for (const Error& error : scan->unreadable) std::cerr << "  " << error.message << "\n";
    return 1;
  }
  for (const Error& error : scan->unreadable) std::cerr << "choana run: " << error.message << "\n";

  base.threads = threads > 0 ? threads : settings.process.threads;
  base.report.language = settings.node.language;
  base.report.ae_title = settings.node.ae_title;
  base.report.charts = settings.report.charts;
  base.report.sr_sop_class = static_cast<reporting::SrSopClass>(settings.report.sr_sop_class);
  base.not_analysed_report = settings.report.not_analysed;
  base.settings_sha256 = result_settings_digest(settings, digests);
  base.run.timezone_offset = "+0000";

  bool all_reported = true;
  nlohmann::json printed = nlohmann::json::array();
  for (std::size_t n = 0; n < scan->studies.size(); ++n) {
    const FolderStudy& study = scan->studies[n];
    StudyJobRequest request = base;
    request.study_instance_uid = study.study_instance_uid;
    request.study_number = static_cast<int>(n + 1);
    for (const FolderInstance& instance : study.instances) {
      auto digest = sha256_hex_of_file(instance.file);
      if (!digest) {
        std::cerr << "choana run: " << digest.error().message << "\n";
        return 1;
      }
      request.inputs.push_back({instance.file.string(), instance.sop_instance_uid, *digest});
    }
    const std::filesystem::path folder = std::filesystem::path(out) / std::to_string(n + 1);
    request.out_dir = folder.string();
    request.run.run_key = make_run_key(request, digests, 0);
    // The date of the newest file, not of this moment: the same folder gives the same bytes under the same UIDs.
    request.run.run_date = utc(study.newest_file_s, "%Y%m%d");
    request.run.run_time = utc(study.newest_file_s, "%H%M%S");
    auto result = run_study_job(request);
    if (!result) {
      std::cerr << "choana run: study " << n + 1 << " failed: " << to_string(result.error()) << "\n";
      all_reported = false;
      continue;
    }
    all_reported = all_reported && result->findings.outcome == Outcome::reported;
    if (json_output) {
      if (auto text = read_file(result->result_json, 256U << 20)) printed.push_back(nlohmann::json::parse(*text, nullptr, false));
    } else {
      print_summary(result->findings, folder, n + 1);
    }
  }
  if (json_output) std::cout << printed.dump(1) << "\n";
  return all_reported ? 0 : 1;
}

}  // namespace choana::node
