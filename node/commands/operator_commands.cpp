// status, why, resend, reprocess, config check: the operator's commands. Looking is done in the job store (it works with
// and without a running node); changing is asked of the running node, since only one process may write.

#include <CLI/CLI.hpp>
#include <ctime>
#include <iostream>
#include <nlohmann/json.hpp>

#include "core/log.h"
#include "core/unique_identifier.h"
#include "node/api_client.h"
#include "node/commands/commands.h"
#include "node/http_api.h"
#include "node/job_store.h"
#include "node/settings_reader.h"

namespace choana::node {
namespace {

struct Common {
  std::string config = "/etc/choana/choana.toml";
  bool json = false;
};

void add_common(CLI::App& app, Common& common, bool with_json) {
  app.add_option("--config", common.config, "Settings file of the node")->capture_default_str();
  if (with_json) app.add_flag("--json", common.json, "Print JSON");
}

// 0 to go on, else the exit code.
int parse(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? -1 : 2;
  }
  log::configure("error");
  return 0;
}

int complain(const char* command, const Error& error) {
  std::cerr << command << ": " << error.message << "\n";
  return error.code == ErrorCode::invalid_settings ? 2 : 1;
}

std::string local_time(std::int64_t unix_ms) {
  if (unix_ms == 0) return "-";
  const auto time = static_cast<std::time_t>(unix_ms / 1000);
  std::tm parts{};
  localtime_r(&time, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts)};
}

struct OpenStore {
  NodeSettings settings;
  std::unique_ptr<JobStore> store;
};

Result<OpenStore> open_store(const Common& common) {
  auto settings = read_settings(common.config);
  if (!settings) return fail(settings.error());
  auto store = open_sqlite_job_store_read_only(settings->node.database_file());
  if (!store) return fail(store.error());
  return OpenStore{std::move(*settings), std::move(*store)};
}

// A study by its UID, or by the small number that logs and paths use.
Result<std::string> resolve_study(JobStore& store, const std::string& text) {
  if (text.find('.') != std::string::npos || text.size() > 9) return text;
  std::optional<std::int64_t> after;
  for (;;) {
    auto page = store.list_studies(std::nullopt, 1000, after);
    if (!page) return fail(page.error());
    for (const StudyRecord& study : page->studies)
      if (std::to_string(study.study_number) == text) return study.study_instance_uid;
    if (!page->next) return fail(ErrorCode::not_found, "resolve_study", "There is no study of number or UID " + text + ".");
    after = page->next;
  }
}

void print_indented(const nlohmann::json& list, const char* head) {
  for (const auto& item : list) std::cout << "      " << head << item.get<std::string>() << "\n";
}

void print_result(const nlohmann::json& result) {
  std::cout << "series:\n";
  for (const auto& series : result.at("series")) {
    const std::string role = series.at("role");
    std::cout << "  " << series.at("series_number") << "  " << (role.empty() ? "not used" : role) << "  \"" << series.at("description").get<std::string>() << "\"\n";
    print_indented(series.at("reasons"), "because ");
    // Of a series that has its role, the rules that did not fit are noise; --json has them all.
    if (role.empty()) print_indented(series.at("rejected"), "against ");
  }
  if (!result.at("rois").empty()) std::cout << "regions:\n";
  for (const auto& roi : result.at("rois")) {
    std::cout << "  " << roi.at("name").get<std::string>() << " on " << roi.at("role").get<std::string>() << ": " << roi.at("voxels") << " voxels, "
              << roi.at("volume_ml") << " ml (contours " << roi.at("contour_volume_ml") << " ml; used " << roi.at("contours_used") << ", dropped "
              << roi.at("contours_dropped") << ")\n";
    print_indented(roi.at("notes"), "");
  }
  std::cout << "features: " << result.at("features").size() << " computed, " << result.at("not_computed").size() << " not\n";
  for (const auto& row : result.at("not_computed"))
    std::cout << "  " << row.at("role").get<std::string>() << " " << row.at("name").get<std::string>() << ": " << row.at("reason").get<std::string>() << "\n";
  for (const auto& prediction : result.at("predictions")) {
    std::cout << "prediction: " << prediction.at("output").get<std::string>() << " " << prediction.at("value") << " " << prediction.at("unit").get<std::string>()
              << "  (" << prediction.at("package").get<std::string>() << " " << prediction.at("version").get<std::string>() << ", "
              << prediction.at("status").get<std::string>() << ")\n";
    print_indented(prediction.at("applicability").at("flags"), "");
  }
  for (const auto& issue : result.at("issues")) std::cout << "issue: " << issue.at("code").get<std::string>() << ": " << issue.at("text").get<std::string>() << "\n";
}

int ask_node(const char* command, const Common& common, const std::string& path, const std::string& done) {
  auto settings = read_settings(common.config);
  if (!settings) return complain(command, settings.error());
  auto answer = call_node(*settings, "POST", path);
  if (!answer) return complain(command, answer.error());
  if (answer->status >= 300) {
    const auto problem = nlohmann::json::parse(answer->body, nullptr, false);
    const std::string detail = problem.is_object() ? problem.value("detail", problem.value("title", std::string())) : std::string();
    std::cerr << command << ": the node answered " << answer->status << ". " << detail << "\n";
    return 1;
  }
  std::cout << done << "\n";
  return 0;
}

}  // namespace

int run_status(int argc, char** argv) {
  CLI::App app{"Studies of a node and what became of them, newest first.", "choana status"};
  Common common;
  add_common(app, common, true);
  std::string state_word;
  int limit = 50;
  app.add_option("--state", state_word, "Only studies of this state");
  app.add_option("--limit", limit, "At most this many")->check(CLI::Range(1, 1000))->capture_default_str();
  if (const int code = parse(app, argc, argv)) return code < 0 ? 0 : code;
  std::optional<StudyState> state;
  if (!state_word.empty()) {
    state = study_state_from(state_word);
    if (!state) {
      std::cerr << "choana status: there is no state '" << state_word << "' (collecting, ready, running, reporting, sending, delivered, not_analysed, failed, superseded).\n";
      return 2;
    }
  }
  auto opened = open_store(common);
  if (!opened) return complain("choana status", opened.error());
  auto page = opened->store->list_studies(state, limit, std::nullopt);
  if (!page) return complain("choana status", page.error());
  if (common.json) {
    std::cout << studies_json(*page) << "\n";
    return 0;
  }
  if (page->studies.empty()) {
    std::cout << "no studies\n";
    return 0;
  }
  std::printf("%6s  %-13s %-4s %-19s %7s %9s %9s  %s\n", "study", "state", "rev", "updated", "series", "instances", "to send", "reason");
  for (const StudyRecord& study : page->studies) {
    std::string reason = study.reason_code.empty() ? "" : study.reason_code + ": " + study.reason_text;
    if (study.conflicts > 0) reason += (reason.empty() ? "" : "; ") + std::to_string(study.conflicts) + " conflicting instance(s) set aside";
    std::printf("%6lld  %-13s %-4d %-19s %7lld %9lld %9lld  %s\n", static_cast<long long>(study.study_number), std::string(to_string(study.state)).c_str(), study.revision,
                local_time(study.updated_at_ms).c_str(), static_cast<long long>(study.series), static_cast<long long>(study.instances),
                static_cast<long long>(study.deliveries_open), reason.c_str());
  }
  return 0;
}

int run_why(int argc, char** argv) {
  CLI::App app{"The whole story of one study: which series took which role and why, what failed, what was delivered.", "choana why"};
  Common common;
  add_common(app, common, true);
  std::string study;
  app.add_option("STUDY", study, "Study Instance UID, or the study's number in 'choana status'")->required();
  if (const int code = parse(app, argc, argv)) return code < 0 ? 0 : code;
  auto opened = open_store(common);
  if (!opened) return complain("choana why", opened.error());
  auto uid = resolve_study(*opened->store, study);
  if (!uid) return complain("choana why", uid.error());
  auto story = opened->store->study_story(*uid);
  if (!story) return complain("choana why", story.error());
  if (common.json) {
    std::cout << study_story_json(*story) << "\n";
    return 0;
  }
  const StudyRecord& record = story->study;
  std::cout << "study " << record.study_number << "  " << to_string(record.state) << "  revision " << record.revision << "\n"
            << record.study_instance_uid << "\n";
  if (!record.reason_code.empty()) std::cout << "reason: " << record.reason_code << ": " << record.reason_text << "\n";
  std::cout << "received " << local_time(record.first_at_ms) << " to " << local_time(record.last_at_ms) << ": " << record.instances << " instances in "
            << record.series << " series, " << record.duplicates << " duplicates, " << record.conflicts << " conflicts\n";
  if (!story->result_json.empty()) {
    const auto result = nlohmann::json::parse(story->result_json, nullptr, false);
    try {
      if (result.is_object()) print_result(result);
    } catch (const nlohmann::json::exception& e) {
      std::cout << "(the stored result cannot be shown: " << e.what() << ")\n";
    }
  }
  for (const JobRecord& job : story->jobs)
    for (const JobAttempt& attempt : job.attempts)
      std::cout << "job " << job.job_id << " revision " << job.revision << " attempt " << attempt.number << "  " << local_time(attempt.started_at_ms) << "  "
                << (attempt.finished_at_ms == 0 ? "running" : attempt.error.empty() ? "done" : attempt.error) << "\n";
  for (const Delivery& delivery : story->deliveries)
    std::cout << "to " << delivery.destination << "  " << delivery.kind << "  " << to_string(delivery.state) << "  attempts " << delivery.attempts
              << (delivery.last_status.empty() ? "" : "  status " + delivery.last_status) << (delivery.last_error.empty() ? "" : "  " + delivery.last_error) << "\n";
  for (const StudyEvent& event : story->events) std::cout << local_time(event.at_ms) << "  " << event.kind << "  " << event.text << "\n";
  return 0;
}

int run_resend(int argc, char** argv) {
  CLI::App app{"Send a result object again, the identical bytes, to every destination it had.", "choana resend"};
  Common common;
  add_common(app, common, false);
  std::string uid;
  app.add_option("UID", uid, "SOP Instance UID of the result object")->required();
  if (const int code = parse(app, argc, argv)) return code < 0 ? 0 : code;
  if (!is_valid_uid(uid)) {
    std::cerr << "choana resend: '" << uid << "' is not a UID.\n";
    return 2;
  }
  return ask_node("choana resend", common, "/api/v1/results/" + uid + "/resend", "queued");
}

int run_reprocess(int argc, char** argv) {
  CLI::App app{"Run a study again on the input it has; its results succeed the earlier ones.", "choana reprocess"};
  Common common;
  add_common(app, common, false);
  std::string study;
  app.add_option("STUDY", study, "Study Instance UID, or the study's number in 'choana status'")->required();
  if (const int code = parse(app, argc, argv)) return code < 0 ? 0 : code;
  auto opened = open_store(common);
  if (!opened) return complain("choana reprocess", opened.error());
  auto uid = resolve_study(*opened->store, study);
  if (!uid) return complain("choana reprocess", uid.error());
  if (!is_valid_uid(*uid)) {
    std::cerr << "choana reprocess: '" << *uid << "' is not a UID.\n";
    return 2;
  }
  return ask_node("choana reprocess", common, "/api/v1/studies/" + *uid + "/reprocess", "queued");
}

int run_config(int argc, char** argv) {
  CLI::App app{"Settings.", "choana config"};
  app.require_subcommand(1);
  std::string file;
  bool json = false;
  CLI::App* check = app.add_subcommand("check", "Read a settings file and say everything that is wrong with it");
  check->add_option("FILE", file, "Settings file")->required();
  check->add_flag("--json", json, "Print JSON");
  if (const int code = parse(app, argc, argv)) return code < 0 ? 0 : code;
  auto settings = read_settings(file);
  if (json) {
    nlohmann::json document = {{"file", file}, {"ok", settings.has_value()}};
    if (!settings) document["errors"] = settings.error().message;
    std::cout << document.dump(1) << "\n";
  } else if (settings) {
    std::cout << file << ": ok. AE title " << settings->node.ae_title << ", receives on " << to_string(settings->receive.listen) << ", " << settings->peers.size()
              << " peer(s), " << settings->destinations.size() << " destination(s), " << settings->packages.size() << " package(s)\n";
    if (settings->peers.empty() && !settings->receive.accept_unknown_peers) std::cout << "note: no [[peer]] and accept_unknown_peers = false: every association will be refused\n";
    if (settings->destinations.empty()) std::cout << "note: no [[destination]]: results stay in the state folder\n";
  } else {
    std::cerr << settings.error().message << "\n";
  }
  return settings ? 0 : 2;
}

}  // namespace choana::node
