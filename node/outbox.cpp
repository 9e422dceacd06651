#include "node/outbox.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <set>
#include <thread>

#include "core/log.h"
#include "core/sha256.h"
#include "core/unique_identifier.h"

namespace choana {
namespace {

constexpr std::int64_t backoff_first_ms = 1000;
constexpr std::int64_t backoff_max_ms = 15 * 60 * 1000;
constexpr int burst_max = 256;  // objects an association carries before it is released and opened anew
constexpr std::int64_t idle_wait_ms = 60 * 1000;
constexpr std::int64_t store_error_wait_ms = 5 * 1000;

// SplitMix64 (Steele, Lea, Flood 2014): a well mixed function of the seed.
std::uint64_t mixed(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15ULL;
  x = (x ^ (x >> 30U)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27U)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31U);
}

std::string hex4(std::uint16_t status) {
  char text[5];
  std::snprintf(text, sizeof text, "%04x", static_cast<unsigned>(status));
  return text;
}

std::string status_sentence(std::uint16_t status) {
  const unsigned high = status >> 12U;
  if ((status >> 8U) == 0xA7) return "The destination is out of resources (disk full?).";
  if ((status >> 8U) == 0xA9) return "The destination says that the data set does not match its SOP class.";
  if (high == 0xC) return "The destination cannot understand the object.";
  switch (status) {
    case 0x0110: return "The destination failed while it processed the object.";
    case 0x0117: return "The destination calls the object's instance UID invalid.";
    case 0x0122: return "The destination does not take this SOP class.";
    case 0x0124: return "The destination does not allow us to store; ask its administrator.";
    default: return "The destination refused the object with status " + hex4(status) + ".";
  }
}

}  // namespace

std::string_view to_string(DeliveryClass delivery_class) {
  switch (delivery_class) {
    case DeliveryClass::delivered: return "delivered";
    case DeliveryClass::transient: return "transient";
    case DeliveryClass::configuration: return "configuration";
    case DeliveryClass::permanent: return "permanent";
  }
  return "permanent";
}

DeliveryClass classify_status(std::uint16_t status) {
  // 0111: the SCP has an instance of this UID. Ours are a function of the content, so it is this one.
  if (status == 0x0000 || status == 0x0111) return DeliveryClass::delivered;
  if ((status >> 12U) == 0xB || status == 0x0001 || status == 0x0107 || status == 0x0116) return DeliveryClass::delivered;
  if ((status >> 8U) == 0xA7 || status == 0x0110) return DeliveryClass::transient;
  if (status == 0x0124) return DeliveryClass::configuration;
  return DeliveryClass::permanent;
}

DeliveryClass classify_error(const Error& error) {
  switch (error.code) {
    case ErrorCode::association_rejected: return error.context == "permanent" ? DeliveryClass::configuration : DeliveryClass::transient;
    case ErrorCode::invalid_settings: return DeliveryClass::configuration;  // certificate or key
    case ErrorCode::peer_refused:
    case ErrorCode::not_dicom:
    case ErrorCode::io_error:
    case ErrorCode::not_found:
    case ErrorCode::invalid_attribute: return DeliveryClass::permanent;
    default: return DeliveryClass::transient;
  }
}

std::int64_t backoff_ms(int failures, std::uint64_t seed) {
  const int doublings = std::clamp(failures - 1, 0, 20);
  const std::int64_t base = std::min(backoff_first_ms << doublings, backoff_max_ms);
  const double unit = static_cast<double>(mixed(seed * 1000003ULL + static_cast<std::uint64_t>(doublings)) >> 11U) * 0x1.0p-53;
  return static_cast<std::int64_t>(static_cast<double>(base) * (0.8 + 0.4 * unit));
}

struct Outbox::State {
  // One destination: its queue lives in the store, its thread and association here.
  struct Line {
    DestinationSettings settings;
    std::uint64_t seed = 0;
    std::unique_ptr<Sender> sender;
    std::optional<std::int64_t> probed_at_ms;  // monotonic
    std::mutex mutex;
    std::condition_variable wake;
    bool notified = false;
    std::thread thread;
  };

  JobStore& store;
  std::filesystem::path results_dir;
  SenderFactory make_sender;
  const Clock& clock;
  OutboxEvents events;
  std::atomic<bool> stopping = false;
  std::vector<std::unique_ptr<Line>> lines;

  State(JobStore& the_store, std::filesystem::path results, SenderFactory factory, const Clock& the_clock, OutboxEvents the_events)
      : store(the_store), results_dir(std::move(results)), make_sender(std::move(factory)), clock(the_clock), events(std::move(the_events)) {}

  Result<std::optional<std::int64_t>> pass(Line& line);
  Status send_burst(Line& line, std::vector<Delivery> due);
  Status send_over_association(Line& line, const std::vector<Delivery>& due, DestinationState& health);
  Result<std::vector<Delivery>> without_damaged(const std::vector<Delivery>& due);
  Status not_connected(Line& line, const std::vector<Delivery>& due, const Error& error, DestinationState& health);
  Status record_failure(const Delivery& delivery, DeliveryClass cls, const std::string& status, const std::string& sentence, bool& dead);
  Status record_trouble(Line& line, DestinationState& health, DeliveryClass cls, const std::string& sentence, bool unreachable);
  Status record_health(Line& line, DestinationState& health);
  Status ask_commitments(Line& line);
  Status apply_report(const CommitmentReport& report);
  void run(Line& line);
};

// A burst that could not even associate: the destination waits, its objects only note the attempt.
Status Outbox::State::not_connected(Line& line, const std::vector<Delivery>& due, const Error& error, DestinationState& health) {
  const DeliveryClass cls = classify_error(error);
  const std::int64_t now = clock.wall_ms();
  std::vector<DeliveryFailure> failures;
  failures.reserve(due.size());
  for (const Delivery& delivery : due) {
    DeliveryFailure failure{delivery.id, false, false, now, {}, error.message};
    if (cls == DeliveryClass::permanent) {
      failure.refusal = true;
      failure.dead_letter = delivery.refusals + 1 >= refusals_max;
      failure.next_at_ms = now + backoff_ms(delivery.refusals + 1, static_cast<std::uint64_t>(delivery.id));
    } else if (cls == DeliveryClass::transient && now - delivery.created_at_ms > transient_age_max_ms && delivery.attempts >= transient_attempts_min) {
      failure.dead_letter = true;
    }
    failures.push_back(std::move(failure));
  }
  if (auto marked = store.mark_failed(failures, now); !marked) return marked;
  for (std::size_t n = 0; n < due.size(); ++n)
    if (events.failed) events.failed(due[n], failures[n]);
  if (cls == DeliveryClass::permanent) {
    log::error("node", "destination_takes_none", {{"destination", line.settings.name}, {"objects", due.size()}, {"reason", error.message}});
    return {};
  }
  return record_trouble(line, health, cls, error.message, true);
}

Status Outbox::State::record_trouble(Line& line, DestinationState& health, DeliveryClass cls, const std::string& sentence, bool unreachable) {
  const std::int64_t now = clock.wall_ms();
  if (health.failures == 0) health.since_ms = now;
  health.failures += 1;
  health.unreachable = unreachable && cls != DeliveryClass::configuration;
  health.alarm = cls == DeliveryClass::configuration;
  health.last_error = sentence;
  health.retry_at_ms = now + (health.alarm ? configuration_retry_ms : backoff_ms(health.failures, line.seed));
  line.probed_at_ms = clock.monotonic_ms();
  if (health.alarm) {
    log::error("node", "destination_needs_operator", {{"destination", line.settings.name}, {"reason", sentence}});
  } else if (health.failures == 1 || health.failures % 10 == 0) {
    log::warn("node", "destination_away", {{"destination", line.settings.name}, {"failures", health.failures}, {"reason", sentence}});
  }
  return store.set_destination_state(health);
}

Status Outbox::State::record_health(Line& line, DestinationState& health) {
  if (health.failures == 0 && !health.alarm) return {};
  log::info("node", "destination_back", {{"destination", line.settings.name}, {"failures", health.failures}});
  health = DestinationState{};
  health.destination = line.settings.name;
  return store.set_destination_state(health);
}

Status Outbox::State::record_failure(const Delivery& delivery, DeliveryClass cls, const std::string& status, const std::string& sentence, bool& dead) {
  const std::int64_t now = clock.wall_ms();
  DeliveryFailure failure{delivery.id, false, false, 0, status, sentence};
  const auto seed = static_cast<std::uint64_t>(delivery.id);
  switch (cls) {
    case DeliveryClass::permanent:
      failure.refusal = true;
      failure.dead_letter = delivery.refusals + 1 >= refusals_max;
      failure.next_at_ms = now + backoff_ms(delivery.refusals + 1, seed);
      break;
    case DeliveryClass::configuration: failure.next_at_ms = now + configuration_retry_ms; break;
    default:
      failure.next_at_ms = now + backoff_ms(delivery.attempts + 1, seed);
      failure.dead_letter = now - delivery.created_at_ms > transient_age_max_ms && delivery.attempts >= transient_attempts_min;
  }
  if (auto marked = store.mark_failed({failure}, now); !marked) return marked;
  dead = failure.dead_letter;
  if (dead) {
    log::error("node", "dead_letter", {{"study", delivery.study_number}, {"destination", delivery.destination}, {"kind", delivery.kind}, {"status", status}, {"reason", sentence}});
  }
  if (events.failed) events.failed(delivery, failure);
  return {};
}

// What lies in the results folder must be what was stored: a damaged file is never sent.
Result<std::vector<Delivery>> Outbox::State::without_damaged(const std::vector<Delivery>& due) {
  std::vector<Delivery> whole;
  std::vector<DeliveryFailure> damaged;
  for (const Delivery& delivery : due) {
    const auto digest = sha256_hex_of_file(results_dir / delivery.file);
    if (digest && (*digest == delivery.sha256 || delivery.sha256.empty())) {
      whole.push_back(delivery);
    } else {
      damaged.push_back({delivery.id, true, true, 0, {}, digest ? "The stored file is damaged; reprocess the study." : "The stored file is missing; reprocess the study."});
      log::error("node", "result_file_damaged", {{"study", delivery.study_number}, {"kind", delivery.kind}});
    }
  }
  if (damaged.empty()) return whole;
  if (auto marked = store.mark_failed(damaged, clock.wall_ms()); !marked) return fail(marked.error());
  return whole;
}

Status Outbox::State::send_over_association(Line& line, const std::vector<Delivery>& due, DestinationState& health) {
  std::set<std::int64_t> held_studies;  // an object of theirs failed: what follows must not overtake it
  std::vector<std::int64_t> unsent;
  Status outcome;
  bool go_on = true;
  for (const Delivery& delivery : due) {
    if (!go_on || stopping || !outcome || held_studies.contains(delivery.study_number)) {
      unsent.push_back(delivery.id);
      continue;
    }
    const auto answer = line.sender->send(results_dir / delivery.file);
    const DeliveryClass cls = answer ? classify_status(*answer) : classify_error(answer.error());
    if (cls == DeliveryClass::delivered) {
      outcome = store.mark_delivered(delivery.id, hex4(*answer), clock.wall_ms());
      if (outcome) outcome = record_health(line, health);
      if (outcome && events.delivered) events.delivered(delivery, *answer);
      if (*answer != 0) log::warn("node", "delivered_with_warning", {{"study", delivery.study_number}, {"destination", delivery.destination}, {"status", hex4(*answer)}});
      continue;
    }
    bool dead = false;
    const std::string status = answer ? hex4(*answer) : std::string();
    const std::string sentence = answer ? status_sentence(*answer) : answer.error().message;
    outcome = record_failure(delivery, cls, status, sentence, dead);
    if (!dead) held_studies.insert(delivery.study_number);
    if (cls == DeliveryClass::permanent) continue;
    // Full, busy, not allowed or gone: the same would meet every other object now.
    go_on = false;
    if (outcome) outcome = record_trouble(line, health, cls, sentence, !answer);
  }
  if (!unsent.empty()) {
    const Status put_back = store.mark_unsent(unsent);
    if (outcome && !put_back) outcome = put_back;
  }
  return outcome;
}

Status Outbox::State::send_burst(Line& line, std::vector<Delivery> due) {
  auto whole = without_damaged(due);
  if (!whole) return fail(whole.error());
  if (whole->empty()) return {};
  due = std::move(*whole);
  auto health = store.destination_state(line.settings.name);
  if (!health) return fail(health.error());
  std::vector<std::int64_t> ids;
  std::vector<std::filesystem::path> files;
  for (const Delivery& delivery : due) {
    ids.push_back(delivery.id);
    files.push_back(results_dir / delivery.file);
  }
  if (auto marked = store.mark_sending(ids, clock.wall_ms()); !marked) return marked;
  if (!line.sender) line.sender = make_sender(line.settings);
  if (const auto connected = line.sender->connect(files); !connected) return not_connected(line, due, connected.error(), *health);
  const Status sent = send_over_association(line, due, *health);
  line.sender->release();
  return sent;
}

Result<std::optional<std::int64_t>> Outbox::State::pass(Line& line) {
  const std::string& name = line.settings.name;
  const std::int64_t now = clock.wall_ms();
  const auto health = store.destination_state(name);
  if (!health) return fail(health.error());
  // A wait that is longer than any we set was written under a wrong clock.
  if (health->failures > 0 && health->retry_at_ms > now && health->retry_at_ms - now <= 2 * backoff_max_ms) {
    if (!health->unreachable) return std::optional(health->retry_at_ms);
    const std::int64_t since_probe = line.probed_at_ms ? clock.monotonic_ms() - *line.probed_at_ms : probe_interval_ms;
    if (since_probe < probe_interval_ms) return std::optional(std::min(health->retry_at_ms, now + probe_interval_ms - since_probe));
    if (!line.sender) line.sender = make_sender(line.settings);
    line.probed_at_ms = clock.monotonic_ms();
    if (!line.sender->probe()) return std::optional(std::min(health->retry_at_ms, now + probe_interval_ms));
    // It answers again: no need to sit out the wait.
  }
  auto due = store.due_outbox(name, now, burst_max);
  if (!due) return fail(due.error());
  if (due->empty()) {
    if (line.settings.storage_commitment != StorageCommitmentMode::off)
      if (auto asked = ask_commitments(line); !asked) return fail(asked.error());
    return store.next_due_at(name);
  }
  if (auto sent = send_burst(line, std::move(*due)); !sent) return fail(sent.error());
  const auto after = store.destination_state(name);
  if (!after) return fail(after.error());
  if (after->failures > 0)
    return std::optional(after->unreachable ? std::min(after->retry_at_ms, clock.wall_ms() + probe_interval_ms) : after->retry_at_ms);
  const auto next = store.next_due_at(name);
  // Commitment is asked for by the pass that finds nothing left to send.
  if (next && !*next && line.settings.storage_commitment != StorageCommitmentMode::off) return std::optional(clock.wall_ms());
  return next;
}

// One request for each run that is delivered as a whole; the transaction is stored before it goes out.
Status Outbox::State::ask_commitments(Line& line) {
  while (!stopping) {
    const std::int64_t now = clock.wall_ms();
    const auto due = store.due_commitments(line.settings.name, now);
    if (!due) return fail(due.error());
    if (due->empty()) return {};
    std::vector<std::int64_t> ids;
    std::vector<CommitmentItem> items;
    std::string key = line.settings.name + "|" + std::to_string(now);
    for (const Delivery& delivery : *due) {
      ids.push_back(delivery.id);
      items.push_back({delivery.sop_class_uid, delivery.sop_instance_uid, 0});
      key += "|" + delivery.sop_instance_uid;
      if (delivery.commitment == "requested")
        log::warn("node", "commitment_report_missing", {{"study", delivery.study_number}, {"destination", line.settings.name}, {"kind", delivery.kind}});
    }
    const std::string transaction = derive_uid("storage-commitment", key);
    if (auto marked = store.mark_commitment_requested(ids, transaction, now); !marked) return marked;
    if (!line.sender) line.sender = make_sender(line.settings);
    const int wait_s = line.settings.storage_commitment == StorageCommitmentMode::same_association ? commitment_report_wait_s : 0;
    const auto report = line.sender->request_commitment(transaction, items, wait_s);
    if (!report) {
      log::warn("node", "commitment_not_requested", {{"destination", line.settings.name}, {"reason", report.error().message}});
      return store.postpone_commitment(ids, now + configuration_retry_ms);
    }
    if (*report)
      if (auto applied = apply_report(**report); !applied && applied.error().code != ErrorCode::not_found) return applied;
  }
  return {};
}

Status Outbox::State::apply_report(const CommitmentReport& report) {
  std::vector<std::string> committed;
  std::vector<std::string> failed;
  for (const CommitmentItem& item : report.committed) committed.push_back(item.sop_instance_uid);
  for (const CommitmentItem& item : report.failed) failed.push_back(item.sop_instance_uid);
  const auto concerned = store.apply_commitment_report(report.transaction_uid, committed, failed, clock.wall_ms());
  if (!concerned) return fail(concerned.error());
  if (!failed.empty()) log::warn("node", "commitment_failed", {{"objects", failed.size()}});
  return {};
}

void Outbox::State::run(Line& line) {
  while (!stopping) {
    auto next = pass(line);
    std::int64_t wait_ms = idle_wait_ms;
    if (!next) {
      log::error("node", "outbox_store_error", {{"destination", line.settings.name}, {"reason", next.error().message}});
      if (store.broken()) return;
      wait_ms = store_error_wait_ms;
    } else if (*next) {
      wait_ms = std::clamp<std::int64_t>(**next - clock.wall_ms(), 0, idle_wait_ms);
    }
    std::unique_lock lock(line.mutex);
    line.wake.wait_for(lock, std::chrono::milliseconds(wait_ms), [&] { return line.notified || stopping; });
    line.notified = false;
  }
}

Outbox::Outbox(JobStore& store, std::vector<DestinationSettings> destinations, std::filesystem::path results_dir, SenderFactory make_sender,
               const Clock& clock, OutboxEvents events)
    : state_(std::make_unique<State>(store, std::move(results_dir), std::move(make_sender), clock, std::move(events))) {
  for (DestinationSettings& destination : destinations) {
    auto line = std::make_unique<State::Line>();
    for (const char c : destination.name) line->seed = line->seed * 131 + static_cast<unsigned char>(c);
    line->settings = std::move(destination);
    state_->lines.push_back(std::move(line));
  }
}

Outbox::~Outbox() { stop(); }

Result<std::optional<std::int64_t>> Outbox::run_once(const std::string& destination) {
  for (const auto& line : state_->lines)
    if (line->settings.name == destination) return state_->pass(*line);
  return fail(ErrorCode::not_found, "outbox", "There is no destination named " + destination + ".");
}

bool Outbox::take_commitment_report(const std::string& transfer_syntax_uid, const std::vector<std::uint8_t>& data_set) {
  const auto report = read_commitment_report(transfer_syntax_uid, data_set);
  const Status applied = report ? state_->apply_report(*report) : Status(fail(report.error()));
  if (applied) {
    notify();
    return true;
  }
  log::warn("node", "commitment_report_not_taken", {{"reason", applied.error().message}});
  // Only a store that could not write makes a repetition worthwhile.
  return applied.error().code != ErrorCode::io_error && applied.error().code != ErrorCode::disk_full;
}

void Outbox::start() {
  for (const auto& line : state_->lines)
    if (!line->thread.joinable()) line->thread = std::thread([this, &each = *line] { state_->run(each); });
}

void Outbox::notify() {
  for (const auto& line : state_->lines) {
    const std::lock_guard lock(line->mutex);
    line->notified = true;
    line->wake.notify_all();
  }
}

void Outbox::stop() {
  state_->stopping = true;
  notify();
  for (const auto& line : state_->lines)
    if (line->thread.joinable()) line->thread.join();
}

}  // namespace choana
