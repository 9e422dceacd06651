#include "node/study_job.h"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <new>
#include <nlohmann/json.hpp>
#include <tuple>

#include "core/log.h"
#include "core/sha256.h"
#include "core/task_pool.h"
#include "core/version.h"
#include "dicom/dicom_reader.h"
#include "node/clinical_values.h"
#include "node/data_files.h"
#include "node/files.h"
#include "node/result_json.h"
#include "node/series_rules_reader.h"
#include "node/worker_sandbox.h"
#include "processing/prediction/model_package.h"
#include "processing/study_pipeline.h"
#include "reporting/charts/chart_page.h"
#include "reporting/report_writer.h"

namespace choana::node {
namespace {

using nlohmann::json;

std::string_view to_word(reporting::SrSopClass sop_class) {
  switch (sop_class) {
    case reporting::SrSopClass::enhanced: return "enhanced";
    case reporting::SrSopClass::comprehensive: return "comprehensive";
    case reporting::SrSopClass::comprehensive3d: return "comprehensive3d";
  }
  return "enhanced";
}

reporting::SrSopClass sr_sop_class_of(const std::string& word) {
  if (word == "comprehensive") return reporting::SrSopClass::comprehensive;
  if (word == "comprehensive3d") return reporting::SrSopClass::comprehensive3d;
  return reporting::SrSopClass::enhanced;
}

bool is_structure_set(const std::string& sop_class_uid) { return sop_class_uid == "1.2.840.10008.5.1.4.1.1.481.3"; }
bool is_segmentation(const std::string& sop_class_uid) {
  return sop_class_uid == "1.2.840.10008.5.1.4.1.1.66.4" || sop_class_uid == "1.2.840.10008.5.1.4.1.1.66.7";
}
bool is_image(const std::string& modality) { return modality == "MR" || modality == "CT" || modality == "PT"; }

std::string iso_date(const std::string& date) {
  return date.size() == 8 ? date.substr(0, 4) + "-" + date.substr(4, 2) + "-" + date.substr(6, 2) : date;
}

// Age and sex stand in the headers of every study; a package may ask for them as `age` (unit a) and `sex` (0 female, 1 male).
void add_demographics(const dicom::InstanceFacts& facts, std::vector<ClinicalValue>& values) {
  const auto add = [&](const char* name, double value, const char* unit) {
    if (std::none_of(values.begin(), values.end(), [&](const ClinicalValue& v) { return v.name == name; })) values.push_back({name, value, unit, iso_date(facts.study_date), "dicom"});
  };
  if (facts.patient_age_years) add("age", *facts.patient_age_years, "a");
  if (!facts.patient_sex.empty()) add("sex", facts.patient_sex == "M" ? 1 : 0, "1");
}

// What the readers found, with the files each series came from.
struct ReadStudy {
  processing::StudyInput input;
  std::map<std::string, std::vector<std::string>> files_of_series;
};

ReadStudy read_study(const StudyJobRequest& request) {
  ReadStudy study;
  study.input.study_instance_uid = request.study_instance_uid;
  std::map<std::pair<int, std::string>, std::vector<AcquiredSlice>> series;
  std::optional<dicom::InstanceFacts> speaker;
  const auto unreadable = [&](const Error& error) {
    study.input.issues.push_back(StudyIssue{error.code, error.message, "", ""});
    log::warn("node", "input_unreadable", {{"step", error.step}, {"code", to_string(error.code)}, {"detail", error.context}});
  };
  for (const JobInput& job_input : request.inputs) {
    auto facts = dicom::read_instance_facts(job_input.file);
    if (!facts) {
      unreadable(facts.error());
      continue;
    }
    if (facts->study_instance_uid != request.study_instance_uid) continue;
    if (facts->acquisition.manufacturer == manufacturer) continue;  // our own results coming back
    study.input.inputs.push_back(InputObject{job_input.file, facts->sop_class_uid, facts->sop_instance_uid, facts->series_instance_uid,
                                             facts->acquisition.modality, job_input.sha256});
    // One object speaks for all, the same whatever the order of arrival.
    if (!speaker || facts->sop_instance_uid < speaker->sop_instance_uid) speaker = *facts;
    if (is_structure_set(facts->sop_class_uid)) {
      auto set = dicom::read_structure_set(job_input.file);
      if (set)
        study.input.structure_sets.push_back(std::move(*set));
      else
        unreadable(set.error());
    } else if (is_segmentation(facts->sop_class_uid)) {
      auto segmentation = dicom::read_segmentation(job_input.file);
      if (segmentation)
        study.input.segmentations.push_back(std::move(*segmentation));
      else
        unreadable(segmentation.error());
    } else if (is_image(facts->acquisition.modality)) {
      auto slices = dicom::read_slices(job_input.file, false);
      if (!slices) {
        unreadable(slices.error());
        continue;
      }
      study.files_of_series[facts->series_instance_uid].push_back(job_input.file);
      auto& list = series[{facts->series_number, facts->series_instance_uid}];
      for (AcquiredSlice& slice : *slices) list.push_back(std::move(slice));
    }
  }
  if (speaker) {
    study.input.study_date = speaker->study_date;
    add_demographics(*speaker, study.input.clinical);
  }
  // The order in which files arrived must not shape the result.
  const auto by_uid = [](const auto& a, const auto& b) { return a.sop_instance_uid < b.sop_instance_uid; };
  std::sort(study.input.inputs.begin(), study.input.inputs.end(), by_uid);
  std::sort(study.input.structure_sets.begin(), study.input.structure_sets.end(), by_uid);
  std::sort(study.input.segmentations.begin(), study.input.segmentations.end(), by_uid);
  for (auto& [key, slices] : series) {
    std::sort(slices.begin(), slices.end(), [](const AcquiredSlice& a, const AcquiredSlice& b) {
      return std::tie(a.instance_number, a.sop_instance_uid, a.frame_number) < std::tie(b.instance_number, b.sop_instance_uid, b.frame_number);
    });
    study.input.series.push_back(std::move(slices));
  }
  for (auto& [uid, files] : study.files_of_series) std::sort(files.begin(), files.end());
  return study;
}

Result<std::vector<AcquiredSlice>> decode_series(const std::vector<std::string>& files) {
  std::vector<AcquiredSlice> all;
  for (const std::string& file : files) {
    auto slices = dicom::read_slices(file, true);
    if (!slices) return fail(slices.error());
    for (AcquiredSlice& slice : *slices) all.push_back(std::move(slice));
  }
  return all;
}

Status finish(const StudyJobRequest& request, StudyJobResult& result, const std::vector<reporting::WrittenObject>& written) {
  std::vector<ResultFile> rows;
  for (const reporting::WrittenObject& object : written)
    rows.push_back({std::filesystem::path(object.file).filename().string(), object.kind, object.sop_class_uid, object.sop_instance_uid, object.series_instance_uid});
  result.result_json = std::filesystem::path(request.out_dir) / "result.json";
  return write_file(result.result_json, write_result_json(result.findings, rows, request.settings_sha256));
}

// Every attempt failed: the short report that says so, from headers alone.
Result<StudyJobResult> report_verdict(const StudyJobRequest& request) {
  StudyJobResult result;
  result.findings.study_instance_uid = request.study_instance_uid;
  result.findings.outcome = Outcome::failed;
  result.findings.reason = Error{error_code_from(request.verdict_code), "run_job", request.verdict_text, ""};
  for (const JobInput& input : request.inputs)
    if (auto facts = dicom::read_instance_facts(input.file))
      result.findings.inputs.push_back(InputObject{input.file, facts->sop_class_uid, facts->sop_instance_uid, facts->series_instance_uid, facts->acquisition.modality, input.sha256});
  auto objects = reporting::write_not_analysed(result.findings, request.run, request.report, request.out_dir);
  if (!objects) return fail(objects.error());
  if (auto saved = finish(request, result, *objects); !saved) return fail(saved.error());
  return result;
}

Result<StudyJobResult> run_checked(const StudyJobRequest& request) {
  dicom::register_codecs();
  const std::filesystem::path out = request.out_dir;
  std::error_code failed;
  std::filesystem::create_directories(out, failed);
  if (failed) return fail(ErrorCode::io_error, "run_study_job", "Cannot create the result folder: " + failed.message() + ".");

  if (!request.verdict_code.empty()) return report_verdict(request);

  std::vector<processing::ModelPackage> packages;
  for (std::size_t n = 0; n < request.packages.size(); ++n) {
    auto package = processing::ModelPackage::load(request.packages[n]);
    if (!package) return fail(package.error());
    if (!request.package_digests.empty() && request.package_digests[n] == "refused")
      return fail(ErrorCode::invalid_package, "load_package", "The node refused the model package '" + package->manifest().id + "' when it started; its log and /readyz say why.");
    // The job's key names the package as the node admitted it: another one must not answer for it.
    if (!request.package_digests.empty() && package->sha256() != request.package_digests[n])
      return fail(ErrorCode::invalid_package, "load_package",
                  "The model package '" + package->manifest().id + "' changed on disk after the node admitted it. Restart the node, or put the admitted package back.");
    packages.push_back(std::move(*package));
  }
  auto rules = request.series_rules_toml.empty() ? default_series_rules() : read_series_rules(request.series_rules_toml, "series-rules.toml");
  if (!rules) return fail(rules.error());

  ReadStudy study = read_study(request);
  // What somebody entered goes before what the headers say.
  study.input.clinical.insert(study.input.clinical.begin(), request.clinical.begin(), request.clinical.end());
  study.input.load = [&study](const std::string& series_uid) -> Result<std::vector<AcquiredSlice>> {
    const auto found = study.files_of_series.find(series_uid);
    if (found == study.files_of_series.end()) return fail(ErrorCode::not_found, "load_series", "The series is not part of the study.");
    return decode_series(found->second);
  };

  processing::PipelineSettings settings;
  settings.rules = std::move(*rules);
  for (const processing::ModelPackage& package : packages) settings.packages.push_back(&package);
  settings.role_overrides = request.role_overrides;
  TaskPool pool(request.threads);
  settings.pool = &pool;
  const Stopwatch clock;
  settings.now_s = [&clock] { return clock.seconds(); };
  StudyJobResult result;
  result.findings = processing::StudyPipeline(std::move(settings)).run(study.input);
  StudyFindings& findings = result.findings;

  std::vector<reporting::WrittenObject> written;
  if (findings.outcome == Outcome::reported) {
    std::vector<reporting::ChartPage> pages;
    if (request.report.charts) {
      Stopwatch watch;
      auto drawn = reporting::draw_chart_pages(findings, {.language = request.report.language, .software_version = version,
                                                          .settings_sha256 = request.settings_sha256, .run_date = iso_date(request.run.run_date)});
      if (drawn) {
        pages = std::move(*drawn);
        std::filesystem::create_directories(out / "charts", failed);
        for (const reporting::ChartPage& page : pages)
          if (auto saved = reporting::write_png(page, out / "charts" / (page.name + ".png")); !saved) return fail(saved.error());
      } else {
        findings.issues.push_back(StudyIssue{drawn.error().code, "The chart page could not be drawn: " + drawn.error().message, "", ""});
      }
      findings.steps.push_back(StepRecord{"charts", "", "{}", watch.seconds()});
    }
    Stopwatch watch;
    auto objects = reporting::write_report(findings, request.run, request.report, pages, out);
    if (!objects) return fail(objects.error());
    written = std::move(*objects);
    findings.steps.push_back(StepRecord{"write_objects", "", "{}", watch.seconds()});
  } else if (findings.outcome == Outcome::not_analysed && request.not_analysed_report && !findings.inputs.empty()) {
    auto objects = reporting::write_not_analysed(findings, request.run, request.report, out);
    if (!objects) {
      // The verdict must not be lost because its report could not be written.
      findings.issues.push_back(StudyIssue{objects.error().code, "The short report could not be written: " + objects.error().message, "", ""});
    } else {
      written = std::move(*objects);
    }
  }

  if (auto saved = finish(request, result, written); !saved) return fail(saved.error());
  return result;
}

}  // namespace

std::string to_json(const StudyJobRequest& request) {
  json inputs = json::array();
  for (const JobInput& input : request.inputs) inputs.push_back({{"file", input.file}, {"sop_instance_uid", input.sop_instance_uid}, {"sha256", input.sha256}});
  json predecessors = json::array();
  for (const auto& p : request.run.predecessors)
    predecessors.push_back({{"kind", p.kind}, {"sop_class_uid", p.sop_class_uid}, {"sop_instance_uid", p.sop_instance_uid}, {"series_instance_uid", p.series_instance_uid}});
  json clinical = json::array();
  for (const ClinicalValue& value : request.clinical)
    clinical.push_back({{"name", value.name}, {"value", value.value}, {"unit", value.unit}, {"date", value.date}, {"source", value.source}});
  const json document = {
      {"clinical", clinical}, {"study_instance_uid", request.study_instance_uid}, {"study_number", request.study_number}, {"inputs", inputs},
      {"packages", request.packages}, {"package_digests", request.package_digests}, {"role_overrides", request.role_overrides}, {"series_rules_toml", request.series_rules_toml},
      {"out_dir", request.out_dir}, {"settings_sha256", request.settings_sha256}, {"not_analysed_report", request.not_analysed_report},
      {"verdict_code", request.verdict_code}, {"verdict_text", request.verdict_text}, {"threads", request.threads}, {"memory_max_mib", request.memory_max_mib}, {"wall_max_s", request.wall_max_s},
      {"report", {{"sr_sop_class", to_word(request.report.sr_sop_class)}, {"language", request.report.language}, {"ae_title", request.report.ae_title},
                  {"device_serial", request.report.device_serial}, {"charts", request.report.charts}}},
      {"run", {{"run_key", request.run.run_key}, {"run_date", request.run.run_date}, {"run_time", request.run.run_time},
               {"timezone_offset", request.run.timezone_offset}, {"revision", request.run.revision}, {"predecessors", predecessors}}}};
  return document.dump(1, ' ', false, json::error_handler_t::replace);
}

Result<StudyJobRequest> parse_study_job(const std::string& text) {
  const json document = json::parse(text, nullptr, false);
  try {
    StudyJobRequest request;
    request.study_instance_uid = document.at("study_instance_uid");
    request.study_number = document.at("study_number");
    for (const json& input : document.at("inputs")) request.inputs.push_back({input.at("file"), input.at("sop_instance_uid"), input.at("sha256")});
    request.packages = document.at("packages").get<std::vector<std::string>>();
    request.package_digests = document.at("package_digests").get<std::vector<std::string>>();
    if (!request.package_digests.empty() && request.package_digests.size() != request.packages.size())
      return fail(ErrorCode::invalid_argument, "parse_study_job", "The job names " + std::to_string(request.packages.size()) + " packages and " + std::to_string(request.package_digests.size()) + " digests.");
    request.role_overrides = document.at("role_overrides").get<std::map<std::string, std::string>>();
    for (const json& value : document.at("clinical"))
      request.clinical.push_back({value.at("name"), value.at("value"), value.at("unit"), value.at("date"), value.at("source")});
    request.series_rules_toml = document.at("series_rules_toml");
    request.out_dir = document.at("out_dir");
    request.settings_sha256 = document.at("settings_sha256");
    request.not_analysed_report = document.at("not_analysed_report");
    request.verdict_code = document.at("verdict_code");
    request.verdict_text = document.at("verdict_text");
    request.threads = document.at("threads");
    request.memory_max_mib = document.at("memory_max_mib");
    request.wall_max_s = document.at("wall_max_s");
    const json& report = document.at("report");
    request.report.sr_sop_class = sr_sop_class_of(report.at("sr_sop_class"));
    request.report.language = report.at("language");
    request.report.ae_title = report.at("ae_title");
    request.report.device_serial = report.at("device_serial");
    request.report.charts = report.at("charts");
    const json& run = document.at("run");
    request.run.run_key = run.at("run_key");
    request.run.run_date = run.at("run_date");
    request.run.run_time = run.at("run_time");
    request.run.timezone_offset = run.at("timezone_offset");
    request.run.revision = run.at("revision");
    for (const json& p : run.at("predecessors"))
      request.run.predecessors.push_back({p.at("kind"), p.at("sop_class_uid"), p.at("sop_instance_uid"), p.at("series_instance_uid")});
    return request;
  } catch (const json::exception& e) {
    return fail(ErrorCode::invalid_argument, "parse_study_job", std::string("The job request cannot be read: ") + e.what());
  }
}

Result<StudyJobResult> run_study_job(const StudyJobRequest& request) {
  try {
    return run_checked(request);
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::out_of_memory, "run_study_job", "The memory limit of the worker was reached; raise process.memory_max_mib.");
  } catch (const std::exception& e) {
    return fail(ErrorCode::internal, "run_study_job", std::string("An unexpected exception ended the attempt: ") + e.what());
  } catch (...) {
    return fail(ErrorCode::internal, "run_study_job", "An unexpected exception ended the attempt.");
  }
}

std::string make_run_key(const StudyJobRequest& request, const std::vector<std::string>& package_digests, int reprocessing) {
  std::vector<std::string> inputs;
  for (const JobInput& input : request.inputs) inputs.push_back(input.sop_instance_uid + ":" + input.sha256);
  std::sort(inputs.begin(), inputs.end());
  inputs.erase(std::unique(inputs.begin(), inputs.end()), inputs.end());
  std::vector<std::string> roles;
  for (const auto& [role, uid] : request.role_overrides) roles.push_back(role + "=" + uid);
  json key = {{"study", request.study_instance_uid}, {"inputs", inputs}, {"packages", package_digests}, {"roles", roles},
                    {"series_rules", sha256_hex(request.series_rules_toml)}, {"settings", request.settings_sha256},
                    {"version", version}, {"reprocessing", reprocessing}};
  if (!request.clinical.empty()) key["clinical"] = clinical_digest(request.clinical);
  return sha256_hex(key.dump());
}

int run_worker_main(const std::filesystem::path& request_file) {
  auto text = read_file(request_file, 64U << 20);
  if (!text) {
    std::fprintf(stderr, "%s\n", to_string(text.error()).c_str());
    return 1;
  }
  auto request = parse_study_job(*text);
  if (!request) {
    std::fprintf(stderr, "%s\n", to_string(request.error()).c_str());
    return 1;
  }
  Status done = confine_worker({.memory_max_bytes = request->memory_max_mib << 20,
                                .cpu_max_s = request->wall_max_s * static_cast<std::uint64_t>(std::max(1, request->threads)),
                                .file_max_bytes = 2ULL << 30});
  if (done) {
    auto result = run_study_job(*request);
    if (result) return 0;
    done = fail(result.error());
  }
  const Error& error = done.error();
  std::fprintf(stderr, "%s\n", to_string(error).c_str());
  const json document = {{"code", std::string(to_string(error.code))}, {"step", error.step}, {"message", error.message}};
  (void)write_file(std::filesystem::path(request->out_dir) / "error.json", document.dump());
  return 1;
}

}  // namespace choana::node
