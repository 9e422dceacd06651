#include "node/node.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <ctime>
#include <csignal>
#include <deque>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>
#include <vector>

#include "core/clock.h"
#include "core/log.h"
#include "core/sha256.h"
#include "core/version.h"
#include "node/api_client.h"
#include "node/clinical_values.h"
#include "node/data_files.h"
#include "node/dicom_sender.h"
#include "node/files.h"
#include "node/http_api.h"
#include "node/job_store.h"
#include "node/metrics.h"
#include "node/outbox.h"
#include "node/result_json.h"
#include "node/retry_policy.h"
#include "node/series_rules_reader.h"
#include "node/study_job.h"
#include "node/study_readiness.h"
#include "node/worker_process.h"
#include "processing/prediction/model_package.h"
#include "processing/prediction/package_signature.h"
#include "scp/acceptor.h"
#include "scp/study_assembler.h"

namespace choana::node {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t tick_ms = 100;
constexpr std::int64_t stall_ms = 30'000;          // a part that makes no progress for so long is ill
constexpr std::int64_t maintenance_ms = 600'000;
constexpr std::size_t index_batch_max = 1024;

struct LocalTime {
  std::string date, time, offset;
};

LocalTime local_time(std::int64_t unix_ms) {
  const auto seconds = static_cast<std::time_t>(unix_ms / 1000);
  std::tm parts{};
  localtime_r(&seconds, &parts);
  char date[16], time[16], offset[16];
  std::strftime(date, sizeof date, "%Y%m%d", &parts);
  std::strftime(time, sizeof time, "%H%M%S", &parts);
  std::strftime(offset, sizeof offset, "%z", &parts);
  return {date, time, offset};
}

// A serial number that stays: of the machine, not readable back to it.
std::string device_serial(const std::string& ae_title) {
  auto id = read_file("/etc/machine-id", 256);
  return sha256_hex("choana device " + (id ? *id : std::string()) + ae_title).substr(0, 12);
}

Status make_folders(const IdentitySettings& identity) {
  std::error_code failed;
  for (const fs::path& folder : {identity.state_dir, identity.spool_dir(), identity.work_dir(), identity.results_dir(), identity.quarantine_dir()}) {
    fs::create_directories(folder, failed);
    if (failed) return fail(ErrorCode::io_error, "start", "Cannot create " + folder.string() + ": " + failed.message() + ".");
    fs::permissions(folder, fs::perms::owner_all, failed);  // patient data: nobody else
  }
  return {};
}

std::int64_t free_bytes(const fs::path& folder) {
  struct statvfs space {};
  if (statvfs(folder.c_str(), &space) != 0) return 0;
  return static_cast<std::int64_t>(space.f_bavail) * static_cast<std::int64_t>(space.f_frsize);
}

}  // namespace

struct Node::State {
  NodeSettings settings;
  fs::path program;
  std::string series_rules_toml;
  processing::SeriesRules series_rules;
  const Clock& clock = system_clock();
  std::unique_ptr<JobStore> store;
  Metrics metrics;
  std::unique_ptr<Outbox> outbox;
  std::unique_ptr<scp::Acceptor> acceptor;
  std::unique_ptr<HttpApi> http;

  std::vector<std::string> package_folders;   // enabled ones, admitted or not: a job names them all
  std::vector<std::string> package_digests;
  std::vector<std::string> packages_refused;
  std::vector<ReadinessNeed> needs;
  std::set<std::string> clinical_names;       // what the admitted packages ask for
  std::string settings_digest;
  std::string pipeline;                       // of job keys

  // -- what the acceptor tells, in order; the indexer works it off --
  struct AssociationEvent {
    std::int64_t id = 0;
    bool open = false;
  };
  std::mutex inbox_mutex;
  std::condition_variable inbox_filled;
  std::deque<ReceivedInstance> inbox;
  std::deque<AssociationEvent> association_events;
  std::unique_ptr<scp::StudyAssembler> assembler;  // of the indexer thread alone

  std::atomic<bool> stop_indexing{false};
  std::atomic<bool> stop_running{false};
  std::atomic<std::int64_t> indexer_progress_ms{0};
  std::thread indexer;
  std::vector<std::thread> runners;
  std::mutex job_mutex;
  std::condition_variable job_ready;

  std::mutex counted_mutex;
  scp::AcceptorCounters counted;

  struct Refusals {
    std::int64_t quiet_until_ms = 0;
    std::size_t unsaid = 0;
  };
  std::mutex refusal_mutex;
  std::map<std::string, Refusals> refusals;

  mutable std::mutex fatal_mutex;
  std::string fatal_reason;

  void set_fatal(const std::string& reason) {
    const std::lock_guard lock(fatal_mutex);
    if (fatal_reason.empty()) fatal_reason = reason;
  }

  // A store that broke ends the process; anything else is logged and tried again by whoever asked.
  template <typename T>
  bool worked(const T& result, const char* what) {
    if (result) return true;
    log::error("node", "store_failed", {{"operation", what}, {"code", to_string(result.error().code)}, {"reason", result.error().message}});
    if (store->broken()) set_fatal("the job store failed: " + result.error().message);
    return false;
  }

  // ---------------------------------------------------------------- packages

  void load_packages() {
    const auto trusted = trusted_key_ids(settings.models.trusted_keys);
    for (const PackageSettings& package : settings.packages) {
      if (!package.enabled) continue;
      // A bare name in the settings names a package that comes with Choana, unless a folder beside the settings has it.
      std::error_code missing;
      auto folder = find_package(fs::exists(package.path, missing) ? package.path.string() : package.path.filename().string());
      package_folders.push_back(folder ? folder->string() : package.path.string());
      auto loaded = folder ? processing::ModelPackage::load(*folder) : Result<processing::ModelPackage>(fail(folder.error()));
      if (loaded)
        if (auto trust = trusted ? processing::check_trust(loaded->manifest().key_id, *trusted) : Status(fail(trusted.error())); !trust) loaded = fail(trust.error());
      if (!loaded) {
        packages_refused.push_back(package.path.filename().string() + ": " + loaded.error().message);
        package_digests.push_back("refused");
        log::error("node", "package_refused", {{"package", package.path.filename().string()}, {"reason", loaded.error().message}});
        continue;
      }
      package_digests.push_back(loaded->sha256());
      const auto& manifest = loaded->manifest();
      ReadinessNeed need{manifest.id, {}};
      for (const auto& sequence : manifest.sequences)
        if (sequence.required) need.roles.push_back(sequence.accepts);
      needs.push_back(std::move(need));
      for (const auto& clinical : manifest.clinical) clinical_names.insert(clinical.name);
      log::info("node", "package_admitted", {{"package", manifest.id}, {"version", manifest.version}, {"status", manifest.status}});
    }
    settings_digest = result_settings_digest(settings, package_digests);
    pipeline = std::string(version) + "|" + sha256_hex(series_rules_toml);
    for (const std::string& digest : package_digests) pipeline += "|" + digest;
  }

  // ---------------------------------------------------------------- indexer

  void index() {
    std::int64_t tick_at = 0, maintenance_at = clock.monotonic_ms() + 60'000;
    for (;;) {
      std::vector<ReceivedInstance> batch;
      std::deque<AssociationEvent> associations;
      {
        std::unique_lock lock(inbox_mutex);
        inbox_filled.wait_for(lock, std::chrono::milliseconds(tick_ms), [&] { return !inbox.empty() || stop_indexing; });
        while (!inbox.empty() && batch.size() < index_batch_max) {
          batch.push_back(std::move(inbox.front()));
          inbox.pop_front();
        }
        // An association's end counts only after all it sent.
        if (inbox.empty()) associations.swap(association_events);
      }
      if (!batch.empty()) add_instances(batch);
      for (const AssociationEvent& event : associations) {
        if (event.open)
          assembler->on_association_open(event.id);
        else
          assembler->on_association_closed(event.id, clock.monotonic_ms());
      }
      const std::int64_t now = clock.monotonic_ms();
      if (now - tick_at >= tick_ms) {
        tick_at = now;
        close_studies(now);
      }
      if (now >= maintenance_at) {
        maintenance_at = now + maintenance_ms;
        maintain();
      }
      indexer_progress_ms = clock.monotonic_ms();
      if (stop_indexing && batch.empty()) return;
    }
  }

  void add_instances(const std::vector<ReceivedInstance>& batch) {
    auto decisions = store->add_instances(batch);
    if (!worked(decisions, "add_instances")) {
      // The files are in the spool; the next start adopts them. Nothing acknowledged is lost.
      set_fatal("received instances could not be entered into the job store");
      return;
    }
    for (std::size_t n = 0; n < batch.size(); ++n) {
      const AddedInstance& added = (*decisions)[n];
      switch (added.decision) {
        case InstanceDecision::added:
          assembler->on_instance(batch[n], clock.monotonic_ms());
          break;
        case InstanceDecision::duplicate:
        case InstanceDecision::own_result: {
          if (acceptor) (void)acceptor->remove_spool_file(batch[n].spool_file);
          log::debug("node", "instance_not_new", {{"decision", to_string(added.decision)}, {"receive_id", batch[n].receive_id}});
          break;
        }
        case InstanceDecision::conflict:
          log::warn("node", "instance_conflict", {{"study", added.study_number}, {"receive_id", batch[n].receive_id}});
          (void)worked(store->add_event(batch[n].study_instance_uid, "conflict",
                                        "A second object with the SOP Instance UID of an earlier one but other content was set aside (receive id " +
                                            std::to_string(batch[n].receive_id) + "); the first is used.", clock.wall_ms()), "add_event");
          break;
        case InstanceDecision::known: break;
      }
    }
  }

  void close_studies(std::int64_t now) {
    for (const scp::ClosedStudy& closed : assembler->take_complete(now)) {
      auto revision = store->open_study_revision(closed.study_instance_uid, clock.wall_ms());
      if (!worked(revision, "open_study_revision")) continue;
      if (!revision->changed) continue;
      auto inputs = store->instances_of(closed.study_instance_uid, revision->revision);
      if (!worked(inputs, "instances_of")) continue;
      auto clinical = clinical_of(closed.study_instance_uid);
      if (!worked(clinical, "clinical_of")) continue;
      const JobRequest request{job_key(closed.study_instance_uid, *inputs, *clinical), closed.study_instance_uid, revision->revision, settings_digest};
      auto job = store->create_job(request, clock.wall_ms());
      if (!worked(job, "create_job")) continue;
      log::info("node", "study_closed", {{"study", revision->study_number}, {"revision", revision->revision}, {"instances", inputs->size()},
                                         {"because", to_string(closed.reason)}, {"job", job->job_id}, {"new_job", job->created}});
      std::string text = "revision " + std::to_string(revision->revision) + " closed: " + std::string(to_string(closed.reason));
      for (const std::string& missing : closed.waiting_for) text += "; " + missing;
      (void)worked(store->add_event(closed.study_instance_uid, "closed", text, clock.wall_ms()), "add_event");
      job_ready.notify_all();
    }
  }

  // -- clinical values --

  /// Those that a package in use asks for: another value changes no result.
  Result<std::vector<ClinicalValue>> clinical_of(const std::string& study_uid) {
    if (clinical_names.empty()) return std::vector<ClinicalValue>();
    auto values = store->clinical_of(study_uid);
    if (values) std::erase_if(*values, [this](const ClinicalValue& value) { return !clinical_names.contains(value.name); });
    return values;
  }

  std::string job_key(const std::string& study_uid, const std::vector<ReceivedInstance>& inputs, const std::vector<ClinicalValue>& clinical) const {
    return make_job_key(study_uid, inputs, clinical.empty() ? pipeline : pipeline + "|clinical|" + clinical_digest(clinical), settings_digest);
  }

  // Values that come after a study was analysed make a successor of its results.
  Status put_clinical(const std::string& patient_id, const std::string& body) {
    const std::string key = patient_key(patient_id);
    if (key.empty()) return fail(ErrorCode::invalid_argument, "clinical_values", "The address names no patient.");
    auto document = parse_clinical_document(body, "api");
    if (!document) return fail(document.error());
    auto studies = store->put_clinical(key, document->values, document->removed, clock.wall_ms());
    if (!worked(studies, "put_clinical")) return fail(studies.error());
    std::size_t again = 0;
    for (const std::string& uid : *studies) {
      auto inputs = store->instances_of(uid);
      auto clinical = clinical_of(uid);
      if (!worked(inputs, "instances_of") || !worked(clinical, "clinical_of") || inputs->empty()) continue;
      const std::string next = job_key(uid, *inputs, *clinical);
      auto known = store->has_job(next);
      if (!worked(known, "has_job") || *known) continue;
      auto revision = store->reopen_study(uid, "clinical values were set or changed.", clock.wall_ms());
      if (!worked(revision, "reopen_study")) continue;
      auto job = store->create_job(JobRequest{next, uid, revision->revision, settings_digest}, clock.wall_ms());
      if (worked(job, "create_job")) ++again;
    }
    log::info("node", "clinical_values_set", {{"values", document->values.size()}, {"removed", document->removed.size()}, {"studies_run_again", again}});
    if (again > 0) job_ready.notify_all();
    return {};
  }

  void maintain() {
    constexpr std::int64_t day_ms = 24LL * 3600 * 1000;
    const std::int64_t now = clock.wall_ms();
    auto expired = store->take_expired(now - settings.retention.inputs_days * day_ms, now - settings.retention.results_days * day_ms, 100);
    if (worked(expired, "take_expired") && (!expired->spool_files.empty() || !expired->result_files.empty())) {
      std::error_code failed;
      for (const std::string& file : expired->spool_files) fs::remove(settings.node.spool_dir() / file, failed);
      for (const std::string& file : expired->result_files) fs::remove(settings.node.results_dir() / file, failed);
      (void)worked(store->forget_removed(), "forget_removed");
      log::info("node", "retention", {{"inputs_removed", expired->spool_files.size()}, {"results_removed", expired->result_files.size()}});
    }
    (void)worked(store->checkpoint(), "checkpoint");
  }

  // What the store holds of a study that the assembler has not in memory.
  std::optional<scp::StudyAssembler::StoredStudy> stored_study(const std::string& uid) {
    auto record = store->study(uid);
    if (!record) return std::nullopt;
    auto all = store->instances_of(uid);
    if (!worked(all, "instances_of")) return std::nullopt;
    scp::StudyAssembler::StoredStudy stored{std::move(*all), record->revision, {}};
    if (record->revision > 0) {
      auto closed = store->instances_of(uid, record->revision);
      if (!worked(closed, "instances_of")) return std::nullopt;
      for (const ReceivedInstance& instance : *closed) stored.closed_receive_ids.insert(instance.receive_id);
    }
    return stored;
  }

  // After a start: studies that were being collected are told to the assembler again.
  Status restore_assembler() {
    std::optional<std::int64_t> after;
    do {
      auto page = store->list_studies(StudyState::collecting, 1000, after);
      if (!page) return fail(page.error());
      for (const StudyRecord& study : page->studies)
        if (auto stored = stored_study(study.study_instance_uid)) assembler->restore(study.study_instance_uid, std::move(*stored), clock.monotonic_ms());
      after = page->next;
    } while (after);
    return {};
  }

  // ---------------------------------------------------------------- runner

  void run_jobs() {
    while (!stop_running) {
      auto lease = store->lease_job(clock.wall_ms());
      if (!worked(lease, "lease_job")) return;
      if (*lease) {
        run_job(**lease);
        continue;
      }
      std::unique_lock lock(job_mutex);
      job_ready.wait_for(lock, std::chrono::milliseconds(500));
    }
  }

  Result<StudyJobRequest> make_request(const JobLease& lease, const fs::path& folder) {
    auto instances = store->instances_of(lease.study_instance_uid, lease.revision);
    if (!instances) return fail(instances.error());
    StudyJobRequest request;
    request.study_instance_uid = lease.study_instance_uid;
    request.study_number = static_cast<int>(lease.study_number);
    for (const ReceivedInstance& instance : *instances)
      request.inputs.push_back({(settings.node.spool_dir() / instance.spool_file).string(), instance.sop_instance_uid, instance.sha256});
    auto clinical = clinical_of(lease.study_instance_uid);
    if (!clinical) return fail(clinical.error());
    request.clinical = std::move(*clinical);
    request.packages = package_folders;
    request.package_digests = package_digests;
    request.series_rules_toml = series_rules_toml;
    request.out_dir = (folder / "out").string();
    request.settings_sha256 = settings_digest;
    request.not_analysed_report = settings.report.not_analysed;
    request.threads = settings.process.threads;
    request.memory_max_mib = static_cast<std::uint64_t>(settings.process.memory_max_mib);
    request.wall_max_s = static_cast<std::uint64_t>(settings.process.wall_max_s);
    request.report.language = settings.node.language;
    request.report.ae_title = settings.node.ae_title;
    request.report.device_serial = device_serial(settings.node.ae_title);
    request.report.charts = settings.report.charts;
    switch (settings.report.sr_sop_class) {
      case SrSopClass::enhanced: request.report.sr_sop_class = reporting::SrSopClass::enhanced; break;
      case SrSopClass::comprehensive: request.report.sr_sop_class = reporting::SrSopClass::comprehensive; break;
      case SrSopClass::comprehensive3d: request.report.sr_sop_class = reporting::SrSopClass::comprehensive3d; break;
    }
    const LocalTime made = local_time(lease.created_at_ms);
    request.run = {lease.key, made.date, made.time, made.offset, lease.revision, {}};
    auto earlier = store->predecessor_results(lease.study_instance_uid, lease.revision);
    if (!earlier) return fail(earlier.error());
    for (const auto& object : *earlier) request.run.predecessors.push_back({object.kind, object.sop_class_uid, object.sop_instance_uid, object.series_instance_uid});
    return request;
  }

  // One worker in `folder`. The error says why there is no result.
  Status run_attempt(const StudyJobRequest& request, const fs::path& folder, WorkerEnd& end) {
    std::error_code failed;
    fs::remove_all(folder, failed);
    fs::create_directories(folder, failed);
    if (failed) return fail(ErrorCode::io_error, "run_job", "Cannot create the work folder: " + failed.message() + ".");
    const fs::path request_file = folder / "request.json";
    if (auto written = write_file(request_file, to_json(request)); !written) return written;
    auto ended = run_worker({program, {"--worker", request_file.string()}, folder / "worker.log", settings.process.wall_max_s * 1000}, stop_running);
    if (!ended) return fail(ended.error());
    end = *ended;
    if (end.cancelled) return fail(ErrorCode::cancelled, "run_job", "The node was stopped while the study ran; it runs again after the next start.");
    if (end.timed_out) return fail(ErrorCode::timed_out, "run_job", "The worker took longer than process.wall_max_s.");
    if (end.signal == SIGXCPU) return fail(ErrorCode::timed_out, "run_job", "The worker used more CPU time than process.wall_max_s allows.");
    if (end.signal != 0)
      return fail(ErrorCode::worker_crashed, "run_job", "The worker process ended by signal " + std::to_string(end.signal) + " while it read or measured the study.");
    if (end.exit_status == 0) return {};
    if (auto text = read_file(folder / "out" / "error.json", 1U << 20)) {
      const auto json = nlohmann::json::parse(*text, nullptr, false);
      if (json.is_object()) return fail(error_code_from(json.value("code", "internal")), json.value("step", ""), json.value("message", ""));
    }
    return fail(ErrorCode::worker_crashed, "run_job", "The worker process ended with status " + std::to_string(end.exit_status) + ".");
  }

  // Durable first, then one transaction: results, outbox rows, states.
  Status store_result(const JobLease& lease, const fs::path& folder, const Error* verdict, const WorkerEnd& end) {
    if (auto marked = store->mark_reporting(lease, clock.wall_ms()); !marked) return marked;
    const fs::path out = folder / "out";
    auto text = read_file(out / "result.json", 256U << 20);
    if (!text) return fail(text.error());
    auto summary = read_result_json(*text);
    if (!summary) return fail(summary.error());
    JobOutcome outcome;
    outcome.outcome = summary->outcome;
    if (verdict != nullptr) {
      outcome.outcome = Outcome::failed;
      outcome.reason = *verdict;
    } else if (summary->outcome != Outcome::reported) {
      outcome.reason = Error{error_code_from(summary->reason_code), "", summary->reason_text, ""};
    }
    outcome.result_json = *text;
    const std::string relative = std::to_string(lease.study_number) + "/" + std::to_string(lease.job_id);
    for (const ResultFile& object : summary->objects) {
      auto digest = sha256_hex_of_file(out / object.file);
      if (!digest) return fail(digest.error());
      outcome.objects.push_back({object.kind, object.sop_class_uid, object.sop_instance_uid, object.series_instance_uid, relative + "/" + object.file, *digest});
    }
    for (const DestinationSettings& destination : settings.destinations) outcome.destinations.push_back(destination.name);

    if (auto synced = sync_tree(out); !synced) return synced;
    const fs::path target = settings.node.results_dir() / relative;
    std::error_code failed;
    fs::remove_all(target, failed);  // of an attempt that ended between the rename and the transaction
    fs::create_directories(target.parent_path(), failed);
    fs::rename(out, target, failed);
    if (failed) return fail(ErrorCode::io_error, "store_result", "Cannot move the results: " + failed.message() + ".");
    if (auto synced = sync_folder(target.parent_path()); !synced) return synced;
    if (auto synced = sync_folder(settings.node.results_dir()); !synced) return synced;
    auto finished = store->finish_job(lease, outcome, clock.wall_ms());
    if (!finished) return fail(finished.error());
    metrics.job_finished(std::string(to_string(outcome.outcome)), static_cast<double>(clock.wall_ms() - lease.created_at_ms) / 1000.0);
    log::info("node", "job_finished", {{"study", lease.study_number}, {"job", lease.job_id}, {"revision", lease.revision}, {"outcome", to_string(outcome.outcome)},
                                       {"reason", outcome.outcome == Outcome::reported ? "" : to_string(outcome.reason.code)}, {"objects", outcome.objects.size()},
                                       {"cpu_s", end.cpu_s}, {"peak_memory_mib", end.peak_memory_kib / 1024}});
    outbox->notify();
    return {};
  }

  void run_job(const JobLease& lease) {
    const fs::path folder = settings.node.work_dir() / (std::to_string(lease.job_id) + "-" + std::to_string(lease.attempt));
    log::info("node", "job_started", {{"study", lease.study_number}, {"job", lease.job_id}, {"revision", lease.revision}, {"attempt", lease.attempt}});
    WorkerEnd end;
    Status done;
    auto request = make_request(lease, folder);
    if (request) {
      done = run_attempt(*request, folder, end);
      if (done) done = store_result(lease, folder, nullptr, end);
    } else {
      done = fail(request.error());
    }
    std::error_code ignored;
    if (done) {
      fs::remove_all(folder, ignored);
      return;
    }
    const Error error = done.error();
    const auto delay = retry_delay_ms(error.code, lease.attempt);
    metrics.job_attempt_failed(std::string(to_string(error.code)));
    log::write(delay ? log::Level::warn : log::Level::error, "node", "job_attempt_failed",
               {{"study", lease.study_number}, {"job", lease.job_id}, {"attempt", lease.attempt}, {"code", to_string(error.code)}, {"reason", error.message}, {"again", delay.has_value()}});
    if (!delay && request && settings.report.not_analysed) {
      // The last word on this study still leaves as a report, made by a worker that only reads headers.
      const fs::path verdict_folder = settings.node.work_dir() / (std::to_string(lease.job_id) + "-verdict");
      request->verdict_code = to_string(error.code);
      request->verdict_text = error.message;
      request->packages.clear();
      request->out_dir = (verdict_folder / "out").string();
      Status verdict = run_attempt(*request, verdict_folder, end);
      if (verdict) verdict = store_result(lease, verdict_folder, &error, end);
      fs::remove_all(verdict_folder, ignored);
      if (verdict) {
        fs::remove_all(folder, ignored);
        return;
      }
    }
    std::optional<std::int64_t> retry_at;
    if (delay) retry_at = clock.wall_ms() + *delay;
    (void)worked(store->fail_job(lease, error, retry_at, clock.wall_ms()), "fail_job");
    fs::remove_all(folder, ignored);
  }

  // ---------------------------------------------------------------- questions from outside

  std::vector<std::string> not_ready() {
    std::vector<std::string> reasons;
    if (store->broken()) reasons.push_back("database: the job store failed; the process will be restarted");
    const std::int64_t free_mib = free_bytes(settings.node.state_dir) >> 20;
    if (free_mib < settings.retention.disk_low_mib)
      reasons.push_back("disk: " + std::to_string(free_mib) + " MiB left, below retention.disk_low_mib = " + std::to_string(settings.retention.disk_low_mib));
    for (const std::string& refused : packages_refused) reasons.push_back("package refused: " + refused);
    if (settings.destinations.empty()) reasons.push_back("destination: none is set, results stay here");
    return reasons;
  }

  // The acceptor counts for itself; the metrics get what came since they were last asked for.
  void count_receiving(const scp::AcceptorCounters& now) {
    const std::lock_guard lock(counted_mutex);
    const auto more = [](const auto& counts, const auto& before, const auto& key) {
      const auto found = before.find(key);
      return counts.at(key) - (found == before.end() ? 0 : found->second);
    };
    metrics.set_associations_open(static_cast<int>(now.associations_open));
    metrics.add_spool_batches(now.commit_batches - counted.commit_batches);
    for (const auto& [reason, count] : now.associations_refused)
      for (auto n = more(now.associations_refused, counted.associations_refused, reason); n > 0; --n) metrics.association_ended("refused_" + reason);
    for (const auto& [how, count] : now.connections_ended)
      if (how != "rejected")  // counted with their reasons above
        for (auto n = more(now.connections_ended, counted.connections_ended, how); n > 0; --n) metrics.association_ended(how);
    for (const auto& [status, count] : now.store_failures) {
      char text[8];
      std::snprintf(text, sizeof text, "%04X", status);
      for (auto n = more(now.store_failures, counted.store_failures, status); n > 0; --n) metrics.instance_refused(text);
    }
    counted = now;
  }

  bool is_healthy() const { return clock.monotonic_ms() - indexer_progress_ms < stall_ms && acceptor != nullptr; }

  ApiBackend backend() {
    ApiBackend api;
    api.healthy = [this] { return is_healthy(); };
    api.not_ready = [this] { return not_ready(); };
    api.metrics = [this] {
      if (auto counts = store->counts()) metrics.update(*counts, clock.wall_ms());
      for (const DestinationSettings& destination : settings.destinations)
        if (auto state = store->destination_state(destination.name)) metrics.set_destination(*state);
      if (acceptor) count_receiving(acceptor->counters());
      metrics.set_disk_free("state", free_bytes(settings.node.state_dir));
      metrics.set_ready(not_ready().empty());
      return metrics.text();
    };
    api.list_studies = [this](std::optional<StudyState> state, int limit, std::optional<std::int64_t> after) { return store->list_studies(state, limit, after); };
    api.study_story = [this](const std::string& uid) { return store->study_story(uid); };
    api.reprocess = [this](const std::string& uid) {
      auto job = store->reprocess(uid, clock.wall_ms());
      job_ready.notify_all();
      return job;
    };
    api.put_clinical = [this](const std::string& patient_id, const std::string& body) { return put_clinical(patient_id, body); };
    api.resend = [this](const std::string& uid) {
      auto rows = store->resend(uid, clock.wall_ms());
      outbox->notify();
      return rows;
    };
    return api;
  }

  // ---------------------------------------------------------------- start

  scp::AcceptorSettings acceptor_settings(std::uint64_t first_receive_id) {
    scp::AcceptorSettings s;
    s.first_receive_id = first_receive_id;
    s.is_recorded = [this](std::uint64_t id) {
      auto known = store->known_receive_ids({id});
      return known && known->contains(id);
    };
    s.ae_title = settings.node.ae_title;
    s.listen = to_string(settings.receive.listen);
    if (settings.receive.tls) {
      const ReceiveTlsSettings& tls = *settings.receive.tls;
      s.tls = scp::AcceptorTls{to_string(tls.listen), tls.files.certificate_file, tls.files.key_file, tls.files.trusted_file};
    }
    s.associations_max = settings.receive.associations_max;
    s.object_max_bytes = static_cast<std::uint64_t>(settings.receive.object_max_mib) << 20;
    s.accept_unknown_peers = settings.receive.accept_unknown_peers;
    for (const PeerSettings& peer : settings.peers) s.peers.push_back({peer.name, peer.ae_title, peer.networks});
    s.extra_sop_classes = settings.receive.extra_sop_classes;
    s.spool_dir = settings.node.spool_dir();
    s.quarantine_dir = settings.node.quarantine_dir();
    s.disk_low_bytes = static_cast<std::uint64_t>(settings.retention.disk_low_mib) << 20;
    s.disk_reserve_bytes = static_cast<std::uint64_t>(settings.retention.disk_reserve_mib) << 20;
    return s;
  }

  // A stranger that knocks a thousand times a minute fills no disk: one line a reason and minute, with the count.
  void refused(const std::string& event, const std::string& reason, const std::string& peer) {
    std::size_t unsaid = 0;
    {
      const std::lock_guard lock(refusal_mutex);
      Refusals& seen = refusals[event + "/" + reason];
      const std::int64_t now = clock.monotonic_ms();
      if (now < seen.quiet_until_ms) {
        ++seen.unsaid;
        return;
      }
      seen.quiet_until_ms = now + 60'000;
      unsaid = std::exchange(seen.unsaid, 0);
    }
    log::warn("scp", "refused", {{"what", event}, {"reason", reason}, {"peer", peer}, {"more_since_last", unsaid}});
  }

  void receive(const ReceivedInstance& instance) {
    metrics.instance_received(instance.size_bytes, static_cast<double>(std::max<std::int64_t>(0, clock.wall_ms() - instance.received_at_ms)) / 1000.0);
    enqueue(instance);
  }

  void enqueue(const ReceivedInstance& instance) {
    {
      const std::lock_guard lock(inbox_mutex);
      inbox.push_back(instance);
    }
    inbox_filled.notify_one();
  }

  Status start() {
    if (auto made = make_folders(settings.node); !made) return made;
    if (settings.store.url != "sqlite")
      return fail(ErrorCode::invalid_settings, "start", "store.url = \"" + settings.store.url.substr(0, settings.store.url.find(':')) + "\" is not available in this version; use \"sqlite\".");
    // A setting that this version cannot keep is refused, not ignored.
    if (settings.query) return fail(ErrorCode::invalid_settings, "start", "[query] is not available in this version; leave the table out.");
    auto rules = series_rules_toml.empty() ? default_series_rules() : read_series_rules(series_rules_toml, "series-rules.toml");
    if (!rules) return fail(rules.error());
    series_rules = std::move(*rules);
    load_packages();

    auto opened = open_sqlite_job_store(settings.node.database_file());
    if (!opened) return fail(opened.error());
    store = std::move(*opened);
    auto put_back = store->recover(clock.wall_ms());
    if (!put_back) return fail(put_back.error());
    std::error_code failed;
    for (const auto& entry : fs::directory_iterator(settings.node.work_dir(), failed)) fs::remove_all(entry.path(), failed);  // of workers that died with us

    scp::StudyAssembler::Settings times;
    times.quiet_ms = settings.study.quiet_s * 1000;
    times.deadline_ms = settings.study.deadline_s * 1000;
    scp::StudyAssembler::Hooks hooks;
    hooks.readiness = [this](const scp::StudySnapshot& study) { return judge_readiness(study, needs, series_rules); };
    hooks.load = [this](const std::string& uid) { return stored_study(uid); };
    assembler = std::make_unique<scp::StudyAssembler>(times, std::move(hooks));
    if (auto restored = restore_assembler(); !restored) return restored;

    outbox = std::make_unique<Outbox>(*store, settings.destinations, settings.node.results_dir(), dicom_senders(settings.node.ae_title), clock,
                                      OutboxEvents{[this](const Delivery& d, std::uint16_t status) {
                                                     metrics.delivery_ended(d.destination, status == 0 ? "delivered" : "delivered_with_warning");
                                                     log::info("node", "delivered", {{"study", d.study_number}, {"kind", d.kind}, {"destination", d.destination}});
                                                   },
                                                   [this](const Delivery& d, const DeliveryFailure& f) {
                                                     metrics.delivery_ended(d.destination, f.dead_letter ? "dead_letter" : "failed");
                                                     log::warn("node", "delivery_failed", {{"study", d.study_number}, {"kind", d.kind}, {"destination", d.destination}, {"status", f.status}, {"reason", f.error}, {"dead_letter", f.dead_letter}});
                                                   }});

    indexer_progress_ms = clock.monotonic_ms();
    scp::AcceptorCallbacks callbacks;
    callbacks.on_committed = [this](const ReceivedInstance& instance) { receive(instance); };
    callbacks.on_association = [this](std::int64_t id, bool open, const std::vector<std::string>&) {
      const std::lock_guard lock(inbox_mutex);
      association_events.push_back({id, open});
    };
    callbacks.on_fatal = [this](const Error& error) { set_fatal(error.message); };
    callbacks.on_refused = [this](const std::string& event, const std::string& reason, const std::string& peer) { refused(event, reason, peer); };
    const bool commitment = std::any_of(settings.destinations.begin(), settings.destinations.end(),
                                        [](const DestinationSettings& d) { return d.storage_commitment != StorageCommitmentMode::off; });
    if (commitment)
      callbacks.on_commitment_report = [this](int, const std::string& transfer_syntax, const std::vector<std::uint8_t>& data_set) {
        return outbox->take_commitment_report(transfer_syntax, data_set);
      };
    indexer = std::thread([this] { index(); });
    auto last_id = store->last_receive_id();
    if (!last_id) return fail(last_id.error());
    auto started = scp::Acceptor::start(acceptor_settings(*last_id + 1), std::move(callbacks));
    if (!started) return fail(started.error());
    acceptor = std::move(*started);
    const auto& recovery = acceptor->recovery();
    for (const ReceivedInstance& instance : recovery.adopted) enqueue(instance);
    if (!recovery.adopted.empty() || !recovery.quarantined.empty() || recovery.partial_removed > 0)
      log::warn("node", "spool_recovered", {{"adopted", recovery.adopted.size()}, {"quarantined", recovery.quarantined.size()}, {"partial_removed", recovery.partial_removed}});

    for (int n = 0; n < settings.process.workers; ++n) runners.emplace_back([this] { run_jobs(); });
    outbox->start();
    if (settings.http.listen) {
      std::string token;
      if (!settings.http.token_file.empty()) {
        auto read = read_token(settings.http.token_file);
        if (!read) return fail(read.error());
        token = std::move(*read);
      }
      auto api = HttpApi::start(*settings.http.listen, std::move(token), std::string(dashboard_page()), backend());
      if (!api) return fail(api.error());
      http = std::move(*api);
    }
    const nlohmann::json ports = {{"dicom", acceptor->port()}, {"dicom_tls", acceptor->tls_port()}, {"http", http ? http->port() : 0}};
    if (auto written = replace_file(settings.node.ports_file(), ports.dump() + "\n"); !written) return written;
    log::info("node", "started", {{"version", version}, {"ae_title", settings.node.ae_title}, {"dicom_port", acceptor->port()}, {"http_port", http ? http->port() : 0},
                                  {"packages", package_folders.size()}, {"destinations", settings.destinations.size()}, {"jobs_put_back", *put_back}});
    return {};
  }

  void stop() {
    if (acceptor) acceptor->drain(std::chrono::seconds(20));   // no new work
    stop_indexing = true;              // rows of what was acknowledged
    inbox_filled.notify_all();
    if (indexer.joinable()) indexer.join();
    stop_running = true;               // workers are killed, their jobs run again
    job_ready.notify_all();
    for (std::thread& runner : runners)
      if (runner.joinable()) runner.join();
    if (outbox) outbox->stop();
    if (http) http->stop();
    if (store) (void)store->checkpoint();
    std::error_code ignored;
    fs::remove(settings.node.ports_file(), ignored);
  }
};

Node::Node(std::unique_ptr<State> state) : state_(std::move(state)) {}

Node::~Node() {
  if (state_) state_->stop();
}

Result<std::unique_ptr<Node>> Node::start(NodeSettings settings, fs::path program, std::string series_rules_toml) {
  auto state = std::make_unique<State>();
  state->settings = std::move(settings);
  state->program = std::move(program);
  state->series_rules_toml = std::move(series_rules_toml);
  std::unique_ptr<Node> node(new Node(std::move(state)));
  if (auto started = node->state_->start(); !started) return fail(started.error());
  return node;
}

bool Node::healthy() const { return state_->is_healthy(); }

std::string Node::fatal() const {
  if (state_->store && state_->store->broken()) return "the job store failed";
  const std::lock_guard lock(state_->fatal_mutex);
  return state_->fatal_reason;
}

std::string Node::status_line() const {
  const auto reasons = state_->not_ready();
  std::string line = "receiving on port " + std::to_string(state_->acceptor->port()) + ", " + std::to_string(state_->settings.destinations.size()) + " destination(s)";
  for (const std::string& reason : reasons) line += "; " + reason;
  return line;
}

void Node::drain() { state_->stop(); }

}  // namespace choana::node
