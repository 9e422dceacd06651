#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/clinical_value.h"
#include "core/received_instance.h"
#include "core/result.h"
#include "core/study_findings.h"

namespace choana {

/// States of a study and of a job (DESIGN 5). A study is what its newest job is; `collecting` before there is one and
/// again when late data arrive. `failed` is also a study whose results a destination refuses for good.
enum class StudyState { collecting, ready, running, reporting, sending, delivered, not_analysed, failed, superseded };
[[nodiscard]] std::string_view to_string(StudyState state);
[[nodiscard]] std::optional<StudyState> study_state_from(std::string_view text);

/// What became of an instance that lies in the spool.
enum class InstanceDecision {
  added,       // new: it belongs to its study from now on
  known,       // this receive id was added before (start-up reconciliation)
  duplicate,   // same SOP Instance UID and same content as an active one: no new work, remove the file
  conflict,    // same SOP Instance UID, other content: the first stays active, this one is kept aside and flagged
  own_result,  // one of our own results came back: no work, remove the file
};
[[nodiscard]] std::string_view to_string(InstanceDecision decision);

struct AddedInstance {
  std::uint64_t receive_id = 0;
  InstanceDecision decision = InstanceDecision::added;
  std::int64_t study_number = 0;  // 0 for own_result
};

struct StudyRevision {
  std::int64_t study_number = 0;
  int revision = 0;
  bool changed = false;  // false: nothing new since this revision was opened; no new job is due
};

struct JobRequest {
  std::string key;  // see make_job_key
  std::string study_instance_uid;
  int revision = 0;
  std::string settings_sha256;
};

struct JobCreated {
  std::int64_t job_id = 0;
  bool created = false;  // false: a job of this key exists already
};

/// A job handed to one worker. Every later call about it carries the token; a call with an older token is refused.
struct JobLease {
  std::int64_t job_id = 0;
  std::string key;
  std::string study_instance_uid;
  std::int64_t study_number = 0;
  int revision = 0;
  int attempt = 0;  // 1-based; the caller's policy decides when it is one too many
  std::int64_t token = 0;
  std::int64_t created_at_ms = 0;  // content date and time come from here, so that a re-run gives the same bytes
};

/// One object that a job made. order: the outbox sends low numbers first (see send_order).
struct ResultObject {
  std::string kind;  // SR-R | SR-X | SEG-ROI | SEG-HAB | SC
  std::string sop_class_uid;
  std::string sop_instance_uid;
  std::string series_instance_uid;
  std::string file;  // relative to the results folder
  std::string sha256;
};

/// SEG before SR before SC, so that whoever reads a report finds what it refers to.
[[nodiscard]] int send_order(std::string_view kind);

/// The end of a job: its results and what is to be sent, stored in one transaction.
struct JobOutcome {
  Outcome outcome = Outcome::reported;
  Error reason;             // unless reported
  std::string result_json;  // interface.md section 2
  std::vector<ResultObject> objects;
  std::vector<std::string> destinations;  // one outbox row per object and destination
};

enum class FinishedAs {
  finished,
  superseded,  // a newer revision exists already: stored, nothing is sent
};

enum class DeliveryState { pending, sending, delivered, failed };
[[nodiscard]] std::string_view to_string(DeliveryState state);

/// One row of the outbox: one object for one destination.
struct Delivery {
  std::int64_t id = 0;
  std::string destination;
  std::string study_instance_uid;
  std::int64_t study_number = 0;
  std::string kind;
  std::string sop_class_uid;
  std::string sop_instance_uid;
  std::string file;  // relative to the results folder
  std::string sha256;
  DeliveryState state = DeliveryState::pending;
  int attempts = 0;
  int refusals = 0;  // answers that will not change by themselves; the third is the end
  std::int64_t created_at_ms = 0;
  std::int64_t next_at_ms = 0;
  std::string last_status;  // DIMSE status as four hex digits, or empty
  std::string last_error;   // a sentence, or empty
  std::string commitment;       // "" | requested | committed | failed (the peer says it does not keep it)
  std::string transaction_uid;  // of the request for storage commitment
};

/// What the outbox learnt from one attempt that did not deliver.
struct DeliveryFailure {
  std::int64_t id = 0;
  bool refusal = false;      // counts towards the dead letter
  bool dead_letter = false;  // final: state failed, kept for resend
  std::int64_t next_at_ms = 0;
  std::string status;
  std::string error;
};

/// State of a destination that outlives a restart: the circuit breaker.
struct DestinationState {
  std::string destination;
  int failures = 0;              // in a row; 0: healthy
  std::int64_t retry_at_ms = 0;  // Unix time of the next association
  bool unreachable = false;      // could not associate: C-ECHO probes may shorten the wait
  bool alarm = false;            // an operator must act (rejected for good, certificate, not authorised)
  std::string last_error;
  std::int64_t since_ms = 0;     // of the first failure in the row
};

struct JobAttempt {
  int number = 0;
  std::int64_t started_at_ms = 0;
  std::int64_t finished_at_ms = 0;  // 0: running
  std::string error;                // empty: it worked
};

/// One row of the list of studies.
struct StudyRecord {
  std::string study_instance_uid;
  std::int64_t study_number = 0;  // small running number: used in paths and logs instead of the UID
  StudyState state = StudyState::collecting;
  int revision = 0;               // 0: no revision closed yet
  std::string outcome;            // reported | not_analysed | failed, or empty while there is none
  std::string reason_code;
  std::string reason_text;
  std::int64_t first_at_ms = 0;
  std::int64_t last_at_ms = 0;    // newest instance
  std::int64_t updated_at_ms = 0;
  std::int64_t instances = 0;     // active ones
  std::int64_t series = 0;
  std::int64_t conflicts = 0;
  std::int64_t duplicates = 0;
  std::int64_t deliveries_open = 0;
  std::int64_t deliveries_failed = 0;
  std::vector<Delivery> deliveries;  // of the newest run that has any, in the order of sending
  std::vector<JobAttempt> attempts;  // of the newest run
};

struct JobRecord {
  std::int64_t job_id = 0;
  std::string key;
  int revision = 0;
  StudyState state = StudyState::ready;
  std::string outcome;
  std::string reason_code;
  std::string reason_text;
  std::string settings_sha256;
  std::vector<JobAttempt> attempts;
  std::vector<ResultObject> objects;
};

struct SeriesRecord {
  std::string series_instance_uid;
  std::string modality;
  std::string sop_class_uid;
  std::int64_t instances = 0;
};

struct StudyEvent {
  std::int64_t at_ms = 0;
  std::string kind;
  std::string text;
};

/// Everything the store knows of one study: what `choana why` and the API tell.
struct StudyStory {
  StudyRecord study;
  std::vector<SeriesRecord> series;
  std::vector<JobRecord> jobs;        // oldest first
  std::vector<Delivery> deliveries;   // as in `study`
  std::vector<StudyEvent> events;     // oldest first, at most the newest 500
  std::string result_json;            // of the newest job that has one, or empty
};

struct StudyPage {
  std::vector<StudyRecord> studies;  // newest first
  std::optional<std::int64_t> next;  // pass as `after` for the following page
};

struct OutboxCount {
  std::int64_t pending = 0;
  std::int64_t sending = 0;
  std::int64_t delivered = 0;
  std::int64_t failed = 0;
  std::int64_t oldest_pending_at_ms = 0;  // 0: none
};

struct StoreCounts {
  std::map<std::string, std::int64_t> studies_by_state;
  std::int64_t instances = 0;
  std::int64_t conflicts = 0;
  std::int64_t duplicates = 0;
  std::map<std::string, OutboxCount> outbox_by_destination;
  std::int64_t database_bytes = 0;
  std::int64_t wal_bytes = 0;
};

/// A spool or result file whose time is over; see take_expired.
struct ExpiredFiles {
  std::vector<std::uint64_t> receive_ids;
  std::vector<std::string> spool_files;   // relative to the spool folder
  std::vector<std::string> result_files;  // relative to the results folder
};

/// The node's memory: studies, jobs, results, outbox and their story. Every operation is one transaction and durable
/// when it returns (SQLite: WAL, synchronous=FULL). Safe to call from several threads. Times are Unix milliseconds
/// and passed in. Errors: disk_full, io_error (the store is then `broken` and the process should end and restart),
/// not_found, invalid_argument.
class JobStore {
 public:
  virtual ~JobStore() = default;

  /// True after an I/O error or corruption: nothing works any more, restart (durability 4.2, never retry a failed sync).
  [[nodiscard]] virtual bool broken() const = 0;

  // -- receiving --

  /// Adopt instances that lie durably in the spool; at most 4096 a call. One answer per instance, in order.
  [[nodiscard]] virtual Result<std::vector<AddedInstance>> add_instances(const std::vector<ReceivedInstance>& batch) = 0;
  /// Which of these receive ids the store knows, with the file it expects ("" when the row is being removed).
  [[nodiscard]] virtual Result<std::map<std::uint64_t, std::string>> known_receive_ids(const std::vector<std::uint64_t>& ids) = 0;
  /// The highest receive id ever added; 0 when there is none.
  [[nodiscard]] virtual Result<std::uint64_t> last_receive_id() = 0;
  /// Active instances of a study as they were received, in order of arrival. revision 0: all; n: those up to it.
  [[nodiscard]] virtual Result<std::vector<ReceivedInstance>> instances_of(const std::string& study_instance_uid, int revision = 0) = 0;
  /// True if a result of ours has this SOP Instance UID.
  [[nodiscard]] virtual Result<bool> is_own_result(const std::string& sop_instance_uid) = 0;

  // -- studies --

  /// Studies with instances that belong to no revision yet, oldest first: what the assembler resumes after a start.
  [[nodiscard]] virtual Result<std::vector<std::string>> open_studies(int limit) = 0;
  /// Close the study's input set: instances that arrived since the last revision form the next one.
  /// Errors: not_found.
  [[nodiscard]] virtual Result<StudyRevision> open_study_revision(const std::string& study_instance_uid, std::int64_t now_ms) = 0;
  [[nodiscard]] virtual Status set_study_state(const std::string& study_instance_uid, StudyState state, const std::string& reason_code,
                                               const std::string& reason_text, std::int64_t now_ms) = 0;
  /// One line of the story of a study; text without patient data.
  [[nodiscard]] virtual Status add_event(const std::string& study_instance_uid, const std::string& kind, const std::string& text,
                                         std::int64_t now_ms) = 0;
  /// Newest first. after: the `next` of the page before. limit 1..1000.
  [[nodiscard]] virtual Result<StudyPage> list_studies(std::optional<StudyState> state, int limit, std::optional<std::int64_t> after) = 0;
  [[nodiscard]] virtual Result<StudyRecord> study(const std::string& study_instance_uid) = 0;
  /// Errors: not_found.
  [[nodiscard]] virtual Result<StudyStory> study_story(const std::string& study_instance_uid) = 0;

  // -- clinical values --

  /// Store values of a patient; a value of the same name is replaced, those named in `removed` go. Returns the studies of the patient that have
  /// a closed revision, newest first, at most 100: their results may change.
  [[nodiscard]] virtual Result<std::vector<std::string>> put_clinical(const std::string& patient_key, const std::vector<ClinicalValue>& values,
                                                                      const std::vector<std::string>& removed, std::int64_t now_ms) = 0;
  /// The clinical values of a study's patient, by name. Empty if the study is not known.
  [[nodiscard]] virtual Result<std::vector<ClinicalValue>> clinical_of(const std::string& study_instance_uid) = 0;
  /// Open a new revision of the inputs a study has, because something besides them changed. Errors: not_found (no inputs are kept).
  [[nodiscard]] virtual Result<StudyRevision> reopen_study(const std::string& study_instance_uid, const std::string& because, std::int64_t now_ms) = 0;

  // -- jobs --

  /// Whether a job of this key exists.
  [[nodiscard]] virtual Result<bool> has_job(const std::string& key) = 0;
  /// Make a job unless one of this key exists; the study becomes `ready`, older unfinished jobs `superseded`.
  [[nodiscard]] virtual Result<JobCreated> create_job(const JobRequest& request, std::int64_t now_ms) = 0;
  /// Take the oldest ready job whose time has come and start its next attempt.
  [[nodiscard]] virtual Result<std::optional<JobLease>> lease_job(std::int64_t now_ms) = 0;
  /// The worker is done and its results are being written: state `reporting`.
  [[nodiscard]] virtual Status mark_reporting(const JobLease& lease, std::int64_t now_ms) = 0;
  /// End a job: results, outbox rows for every destination and states in one transaction. Result files must already be
  /// durable. Errors: invalid_argument when the lease is not the current one.
  [[nodiscard]] virtual Result<FinishedAs> finish_job(const JobLease& lease, const JobOutcome& outcome, std::int64_t now_ms) = 0;
  /// End an attempt. retry_at_ms: when the next may start; none: the job has failed for good.
  [[nodiscard]] virtual Status fail_job(const JobLease& lease, const Error& error, std::optional<std::int64_t> retry_at_ms, std::int64_t now_ms) = 0;
  /// Results of earlier jobs of this study that were queued for sending: what a successor names as predecessors.
  [[nodiscard]] virtual Result<std::vector<ResultObject>> predecessor_results(const std::string& study_instance_uid, int before_revision) = 0;
  /// Run a study again on the inputs it has: a new revision and a new job, hence new result UIDs. Errors: not_found.
  [[nodiscard]] virtual Result<JobCreated> reprocess(const std::string& study_instance_uid, std::int64_t now_ms) = 0;

  // -- outbox --

  /// What may be sent now to a destination: per study in the order SEG, SR, SC and job by job; nothing overtakes an
  /// earlier object of its study that is still pending. Objects that failed less often come first.
  [[nodiscard]] virtual Result<std::vector<Delivery>> due_outbox(const std::string& destination, std::int64_t now_ms, int limit) = 0;
  /// When the next pending row of a destination is due; none if there is none.
  [[nodiscard]] virtual Result<std::optional<std::int64_t>> next_due_at(const std::string& destination) = 0;
  [[nodiscard]] virtual Status mark_sending(const std::vector<std::int64_t>& ids, std::int64_t now_ms) = 0;
  /// Delivered with this status; the job and study become `delivered` with their last object.
  [[nodiscard]] virtual Status mark_delivered(std::int64_t id, const std::string& status, std::int64_t now_ms) = 0;
  [[nodiscard]] virtual Status mark_failed(const std::vector<DeliveryFailure>& failures, std::int64_t now_ms) = 0;
  /// Rows marked as sending that were not attempted go back to pending.
  [[nodiscard]] virtual Status mark_unsent(const std::vector<std::int64_t>& ids) = 0;
  /// Delivered objects of one run for which storage commitment is to be asked (again): never asked, or no report within
  /// 24 hours. Empty while an object of the run still waits for this destination.
  [[nodiscard]] virtual Result<std::vector<Delivery>> due_commitments(const std::string& destination, std::int64_t now_ms) = 0;
  /// Before the request goes out: remember its transaction, so that a report that comes after a restart is understood.
  [[nodiscard]] virtual Status mark_commitment_requested(const std::vector<std::int64_t>& ids, const std::string& transaction_uid,
                                                         std::int64_t now_ms) = 0;
  /// The request could not be made: ask again at that time.
  [[nodiscard]] virtual Status postpone_commitment(const std::vector<std::int64_t>& ids, std::int64_t ask_again_at_ms) = 0;
  /// A report: objects that are kept become `committed`, those that are not are sent again (three times, then a dead
  /// letter). Returns how many objects of ours it concerned. Errors: not_found for an unknown transaction.
  [[nodiscard]] virtual Result<int> apply_commitment_report(const std::string& transaction_uid, const std::vector<std::string>& committed_sop_uids,
                                                            const std::vector<std::string>& failed_sop_uids, std::int64_t now_ms) = 0;
  /// Send an object again, to every destination it had: the identical stored bytes. Returns how many rows were queued.
  /// Errors: not_found.
  [[nodiscard]] virtual Result<int> resend(const std::string& sop_instance_uid, std::int64_t now_ms) = 0;
  [[nodiscard]] virtual Result<DestinationState> destination_state(const std::string& destination) = 0;
  [[nodiscard]] virtual Status set_destination_state(const DestinationState& state) = 0;

  // -- operation --

  /// After a start: jobs found running become ready again (the attempt is kept as crashed), rows found sending become
  /// pending. Returns the number of jobs put back.
  [[nodiscard]] virtual Result<int> recover(std::int64_t now_ms) = 0;
  [[nodiscard]] virtual Result<StoreCounts> counts() = 0;
  /// Mark inputs (and results) of finished, delivered studies older than these times as being removed, at most
  /// `limit` studies. Delete the files, then call forget_removed; a crash in between repeats harmlessly.
  [[nodiscard]] virtual Result<ExpiredFiles> take_expired(std::int64_t inputs_before_ms, std::int64_t results_before_ms, int limit) = 0;
  [[nodiscard]] virtual Status forget_removed() = 0;
  /// Write the log back into the database: call when idle and before exit. It also happens by itself at 16 MiB.
  [[nodiscard]] virtual Status checkpoint() = 0;
  /// A consistent copy while running. Errors: io_error if the file exists.
  [[nodiscard]] virtual Status backup(const std::filesystem::path& file) = 0;
};

/// job.key = SHA-256(study | sorted (SOP Instance UID, sha256) of the inputs | pipeline | settings), hex.
/// pipeline: name, version and digests of the packages.
[[nodiscard]] std::string make_job_key(const std::string& study_instance_uid, const std::vector<ReceivedInstance>& inputs,
                                       const std::string& pipeline, const std::string& settings_sha256);

/// Open or create the store of a node. Takes a lock beside the file, so that two nodes never share one.
/// Errors: io_error (locked, damaged, newer schema, not writable), disk_full.
[[nodiscard]] Result<std::unique_ptr<JobStore>> open_sqlite_job_store(const std::filesystem::path& file);

/// Open for looking only (commands beside a running node): every changing call fails with invalid_argument.
/// Errors: not_found, io_error.
[[nodiscard]] Result<std::unique_ptr<JobStore>> open_sqlite_job_store_read_only(const std::filesystem::path& file);

}  // namespace choana
