#include <soci/soci.h>

#include <algorithm>
#include <set>

#include "core/sha256.h"
#include "node/job_store.h"
#include "node/received_instance_json.h"
#include "node/sqlite_session.h"

namespace choana {
namespace {

using Integer = long long;  // what SOCI moves for SQLite's INTEGER
using soci::into;
using soci::session;
using soci::use;

constexpr const char* step = "job_store";
constexpr std::size_t batch_max = 4096;
constexpr int clinical_values_max = 256;
constexpr int events_per_study_max = 500;
constexpr int page_max = 1000;
// A wait that is further away than any we set comes from a clock that was wrong: treat it as over.
constexpr Integer outbox_wait_max_ms = 20LL * 60 * 1000;
constexpr Integer commitment_wait_ms = 24LL * 3600 * 1000;  // without a report: ask again
constexpr int commitment_failures_max = 3;
constexpr Integer job_wait_max_ms = 24LL * 3600 * 1000;

std::string text_of(StudyState state) { return std::string(to_string(state)); }

StudyState study_state(const std::string& text) { return study_state_from(text).value_or(StudyState::failed); }

DeliveryState delivery_state(const std::string& text) {
  for (const DeliveryState state : {DeliveryState::pending, DeliveryState::sending, DeliveryState::delivered, DeliveryState::failed})
    if (text == to_string(state)) return state;
  return DeliveryState::failed;
}

Error not_found(const std::string& what) { return {ErrorCode::not_found, step, what, {}}; }
Error unknown_study() { return not_found("The job store knows no study of this UID."); }

// ---- study ----

constexpr const char* study_columns =
    "SELECT uid, number, state, revision, outcome, reason_code, reason_text, first_at, last_at, updated_at, instances, series, conflicts, duplicates, "
    "(SELECT count(*) FROM outbox o WHERE o.study = study.number AND o.state IN ('pending', 'sending')), "
    "(SELECT count(*) FROM outbox o WHERE o.study = study.number AND o.state = 'failed') FROM study ";

// Variables that one row of study_columns is read into.
struct StudyRow {
  StudyRecord record;
  std::string state;
  Integer number = 0, first = 0, last = 0, updated = 0, instances = 0, series = 0, conflicts = 0, duplicates = 0, open = 0, failed = 0;

  template <typename Prepare>
  auto bind(Prepare&& prepare) {
    return (std::forward<Prepare>(prepare), into(record.study_instance_uid), into(number), into(state), into(record.revision), into(record.outcome),
            into(record.reason_code), into(record.reason_text), into(first), into(last), into(updated), into(instances), into(series),
            into(conflicts), into(duplicates), into(open), into(failed));
  }
  [[nodiscard]] StudyRecord get() const {
    StudyRecord r = record;
    r.state = study_state(state);
    r.study_number = number;
    r.first_at_ms = first;
    r.last_at_ms = last;
    r.updated_at_ms = updated;
    r.instances = instances;
    r.series = series;
    r.conflicts = conflicts;
    r.duplicates = duplicates;
    r.deliveries_open = open;
    r.deliveries_failed = failed;
    return r;
  }
};

std::optional<StudyRecord> find_study(session& sql, const std::string& uid) {
  StudyRow row;
  soci::statement statement = row.bind((sql.prepare << std::string(study_columns) + "WHERE uid = :uid", use(uid)));
  if (!statement.execute(true)) return std::nullopt;
  return row.get();
}

void insert_event(session& sql, Integer study, const std::string& kind, const std::string& text, Integer now) {
  sql << "INSERT INTO event(study, at, kind, text) VALUES(:s, :a, :k, :t)", use(study), use(now), use(kind), use(text);
  sql << "DELETE FROM event WHERE study = :s AND id <= (SELECT id FROM event WHERE study = :s2 ORDER BY id DESC LIMIT 1 OFFSET " +
             std::to_string(events_per_study_max) + ")",
      use(study), use(study);
}

void put_study_state(session& sql, Integer study, StudyState state, Integer now) {
  const std::string text = text_of(state);
  sql << "UPDATE study SET state = :st, updated_at = :n WHERE number = :s", use(text), use(now), use(study);
}

// ---- jobs ----

bool holds_lease(session& sql, const JobLease& lease) {
  int found = 0;
  const Integer id = lease.job_id;
  const Integer token = lease.token;
  sql << "SELECT count(*) FROM job WHERE id = :i AND token = :t AND state IN ('running', 'reporting')", use(id), use(token), into(found);
  return found == 1;
}

void close_attempt(session& sql, Integer job, int number, const std::string& error, Integer now) {
  sql << "UPDATE attempt SET finished_at = :n, error = :e WHERE job = :j AND number = :a AND finished_at = 0", use(now), use(error), use(job), use(number);
}

// Insert-or-ignore by key; an older job of the study that has not ended makes way.
JobCreated insert_job(session& sql, Integer study, const std::string& key, int revision, const std::string& settings, Integer now) {
  Integer id = 0;
  std::string state;
  sql << "SELECT id, state FROM job WHERE key = :k", use(key), into(id), into(state);
  if (sql.got_data()) {
    // The same inputs and settings again: nothing to do, and the study is what that job is.
    sql << "UPDATE study SET state = :st, updated_at = :n WHERE number = :s AND state = 'collecting'", use(state), use(now), use(study);
    return {id, false};
  }
  sql << "UPDATE attempt SET finished_at = :n, error = 'superseded: newer data arrived' WHERE finished_at = 0 AND job IN "
         "(SELECT id FROM job WHERE study = :s AND state IN ('running', 'reporting'))",
      use(now), use(study);
  sql << "UPDATE job SET state = 'superseded', finished_at = :n WHERE study = :s AND state IN ('ready', 'running', 'reporting')", use(now), use(study);
  sql << "INSERT INTO job(key, study, revision, state, settings_sha256, created_at) VALUES(:k, :s, :r, 'ready', :h, :n)", use(key), use(study),
      use(revision), use(settings), use(now);
  sql << "SELECT id FROM job WHERE key = :k", use(key), into(id);
  put_study_state(sql, study, StudyState::ready, now);
  insert_event(sql, study, "job_created", "Run " + std::to_string(revision) + " is ready.", now);
  return {id, true};
}

// ---- outbox ----

constexpr const char* delivery_columns =
    "SELECT o.id, o.destination, s.uid, o.study, r.kind, r.sop_class, r.sop_uid, r.file, r.sha256, o.state, o.attempts, o.refusals, o.created_at, "
    "o.next_at, o.last_status, o.last_error, o.commitment, o.transaction_uid FROM outbox o JOIN result r ON r.id = o.result JOIN study s ON s.number = o.study ";

struct DeliveryRow {
  Delivery delivery;
  std::string state;
  Integer id = 0, study = 0, created = 0, next = 0;

  template <typename Prepare>
  auto bind(Prepare&& prepare) {
    Delivery& d = delivery;
    return (std::forward<Prepare>(prepare), into(id), into(d.destination), into(d.study_instance_uid), into(study), into(d.kind), into(d.sop_class_uid),
            into(d.sop_instance_uid), into(d.file), into(d.sha256), into(state), into(d.attempts), into(d.refusals), into(created), into(next),
            into(d.last_status), into(d.last_error), into(d.commitment), into(d.transaction_uid));
  }
  [[nodiscard]] Delivery get() const {
    Delivery d = delivery;
    d.id = id;
    d.study_number = study;
    d.state = delivery_state(state);
    d.created_at_ms = created;
    d.next_at_ms = next;
    return d;
  }
};

// A job that has nothing left to send is delivered, or failed if a destination refused something for good.
void settle_job(session& sql, Integer job, Integer now) {
  int open = 0;
  int failed = 0;
  Integer study = 0;
  sql << "SELECT EXISTS (SELECT 1 FROM outbox WHERE job = :a AND state IN ('pending', 'sending')), "
         "(SELECT count(*) FROM outbox WHERE job = :b AND state = 'failed'), study FROM job WHERE id = :c",
      use(job), use(job), use(job), into(open), into(failed), into(study);
  if (open != 0) {
    // A resend after everything was over opens the job again.
    sql << "UPDATE study SET state = 'sending', reason_code = '', reason_text = '', updated_at = :n WHERE number = :s AND outcome = 'reported' "
           "AND state IN ('delivered', 'failed') AND EXISTS (SELECT 1 FROM job WHERE id = :j AND state IN ('delivered', 'failed'))",
        use(now), use(study), use(job);
    sql << "UPDATE job SET state = 'sending' WHERE id = :j AND outcome = 'reported' AND state IN ('delivered', 'failed')", use(job);
    return;
  }
  if (failed == 0) {
    sql << "UPDATE study SET state = 'delivered', updated_at = :n WHERE number = :s AND state = 'sending' AND EXISTS "
           "(SELECT 1 FROM job WHERE id = :j AND state = 'sending')",
        use(now), use(study), use(job);
    sql << "UPDATE job SET state = 'delivered' WHERE id = :j AND state = 'sending'", use(job);
    insert_event(sql, study, "delivered", "Every destination has all objects.", now);
    return;
  }
  const std::string text = std::to_string(failed) + " object(s) were refused for good; see the deliveries, correct the cause and resend.";
  sql << "UPDATE study SET state = 'failed', reason_code = 'peer_refused', reason_text = :t, updated_at = :n WHERE number = :s AND state IN ('sending', 'delivered') "
         "AND EXISTS (SELECT 1 FROM job WHERE id = :j AND state IN ('sending', 'delivered'))",
      use(text), use(now), use(study), use(job);
  sql << "UPDATE job SET state = 'failed', reason_code = 'peer_refused', reason_text = :t WHERE id = :j AND state IN ('sending', 'delivered')", use(text), use(job);
  insert_event(sql, study, "delivery_failed", text, now);
}

class SqliteJobStore final : public JobStore {
 public:
  explicit SqliteJobStore(std::unique_ptr<SqliteSession> db) : db_(std::move(db)) {}

  [[nodiscard]] bool broken() const override { return db_->broken(); }

  // ---- receiving ----

  Result<std::vector<AddedInstance>> add_instances(const std::vector<ReceivedInstance>& batch) override {
    if (batch.size() > batch_max) return fail(ErrorCode::limit_exceeded, step, "At most 4096 instances can be added at once.");
    return db_->change([&](session& sql) -> Result<std::vector<AddedInstance>> {
      std::vector<AddedInstance> answers;
      answers.reserve(batch.size());
      for (const ReceivedInstance& instance : batch) answers.push_back(add_instance(sql, instance));
      return answers;
    });
  }

  Result<std::map<std::uint64_t, std::string>> known_receive_ids(const std::vector<std::uint64_t>& ids) override {
    return db_->look([&](session& sql) -> Result<std::map<std::uint64_t, std::string>> {
      std::map<std::uint64_t, std::string> known;
      Integer id = 0;
      std::string file;
      std::string state;
      soci::statement statement = (sql.prepare << "SELECT spool_file, state FROM instance WHERE receive_id = :i", use(id), into(file), into(state));
      for (const std::uint64_t each : ids) {
        id = static_cast<Integer>(each);
        if (statement.execute(true)) known[each] = state == "removed" ? std::string() : file;
      }
      return known;
    });
  }

  Result<std::uint64_t> last_receive_id() override {
    return db_->look([&](session& sql) -> Result<std::uint64_t> {
      Integer id = 0;
      sql << "SELECT coalesce(max(receive_id), 0) FROM instance", into(id);
      return static_cast<std::uint64_t>(id);
    });
  }

  Result<std::vector<ReceivedInstance>> instances_of(const std::string& study_instance_uid, int revision) override {
    return db_->look([&](session& sql) -> Result<std::vector<ReceivedInstance>> {
      std::vector<ReceivedInstance> instances;
      std::string record;
      soci::statement statement =
          (sql.prepare << "SELECT i.record FROM instance i JOIN study s ON s.number = i.study WHERE s.uid = :u AND i.state = 'active' "
                          "AND (:r1 = 0 OR (i.revision > 0 AND i.revision <= :r2)) ORDER BY i.receive_id",
           use(study_instance_uid), use(revision), use(revision), into(record));
      statement.execute();
      while (statement.fetch()) {
        auto instance = received_instance_from_json(record);
        if (!instance) return fail(instance.error());
        instances.push_back(std::move(*instance));
      }
      return instances;
    });
  }

  Result<bool> is_own_result(const std::string& sop_instance_uid) override {
    return db_->look([&](session& sql) -> Result<bool> { return own_result(sql, sop_instance_uid); });
  }

  // ---- studies ----

  Result<std::vector<std::string>> open_studies(int limit) override {
    return db_->look([&](session& sql) -> Result<std::vector<std::string>> {
      std::vector<std::string> uids;
      std::string uid;
      soci::statement statement = (sql.prepare << "SELECT uid FROM study WHERE number IN (SELECT study FROM instance WHERE state = 'active' AND revision = 0) "
                                                  "ORDER BY number LIMIT :l",
                                   use(limit), into(uid));
      statement.execute();
      while (statement.fetch()) uids.push_back(uid);
      return uids;
    });
  }

  Result<StudyRevision> open_study_revision(const std::string& study_instance_uid, std::int64_t now_ms) override {
    return db_->change([&](session& sql) -> Result<StudyRevision> {
      const auto study = find_study(sql, study_instance_uid);
      if (!study) return fail(unknown_study());
      const Integer number = study->study_number;
      const Integer now = now_ms;
      int fresh = 0;
      sql << "SELECT count(*) FROM instance WHERE study = :s AND state = 'active' AND revision = 0", use(number), into(fresh);
      if (fresh == 0) return StudyRevision{study->study_number, study->revision, false};
      const int revision = study->revision + 1;
      sql << "UPDATE instance SET revision = :r WHERE study = :s AND state = 'active' AND revision = 0", use(revision), use(number);
      sql << "UPDATE study SET revision = :r, updated_at = :n WHERE number = :s", use(revision), use(now), use(number);
      insert_event(sql, number, "revision", "Revision " + std::to_string(revision) + " closed with " + std::to_string(fresh) + " new instance(s).", now);
      return StudyRevision{study->study_number, revision, true};
    });
  }

  Status set_study_state(const std::string& study_instance_uid, StudyState state, const std::string& reason_code, const std::string& reason_text,
                         std::int64_t now_ms) override {
    return db_->change([&](session& sql) -> Status {
      const Integer now = now_ms;
      const std::string text = text_of(state);
      soci::statement statement =
          (sql.prepare << "UPDATE study SET state = :st, reason_code = :c, reason_text = :t, updated_at = :n WHERE uid = :u", use(text),
           use(reason_code), use(reason_text), use(now), use(study_instance_uid));
      statement.execute(true);
      if (statement.get_affected_rows() == 0) return fail(unknown_study());
      return {};
    });
  }

  Status add_event(const std::string& study_instance_uid, const std::string& kind, const std::string& text, std::int64_t now_ms) override {
    return db_->change([&](session& sql) -> Status {
      Integer number = 0;
      sql << "SELECT number FROM study WHERE uid = :u", use(study_instance_uid), into(number);
      if (!sql.got_data()) return fail(unknown_study());
      insert_event(sql, number, kind, text, now_ms);
      return {};
    });
  }

  Result<StudyPage> list_studies(std::optional<StudyState> state, int limit, std::optional<std::int64_t> after) override {
    if (limit < 1 || limit > page_max) return fail(ErrorCode::invalid_argument, step, "limit must be 1 to 1000.");
    return db_->look([&](session& sql) -> Result<StudyPage> {
      const std::string wanted = state ? text_of(*state) : std::string();
      const Integer below = after.value_or(INT64_MAX);
      const int one_more = limit + 1;
      StudyRow row;
      soci::statement statement =
          row.bind((sql.prepare << std::string(study_columns) + (state ? "WHERE state = :st AND " : "WHERE :st = '' AND ") + "number < :a ORDER BY number DESC LIMIT :l",
                    use(wanted), use(below), use(one_more)));
      statement.execute();
      StudyPage page;
      while (statement.fetch()) {
        if (static_cast<int>(page.studies.size()) == limit) {
          page.next = page.studies.back().study_number;
          break;
        }
        page.studies.push_back(row.get());
      }
      for (StudyRecord& each : page.studies) add_deliveries_and_attempts(sql, each);
      return page;
    });
  }

  Result<StudyRecord> study(const std::string& study_instance_uid) override {
    return db_->look([&](session& sql) -> Result<StudyRecord> {
      auto found = find_study(sql, study_instance_uid);
      if (!found) return fail(unknown_study());
      add_deliveries_and_attempts(sql, *found);
      return std::move(*found);
    });
  }

  Result<StudyStory> study_story(const std::string& study_instance_uid) override {
    return db_->look([&](session& sql) -> Result<StudyStory> {
      auto found = find_study(sql, study_instance_uid);
      if (!found) return fail(unknown_study());
      StudyStory story;
      story.study = std::move(*found);
      add_deliveries_and_attempts(sql, story.study);
      const Integer number = story.study.study_number;
      story.series = series_of(sql, number);
      story.jobs = jobs_of(sql, number, story.result_json);
      story.deliveries = story.study.deliveries;
      story.events = events_of(sql, number);
      return story;
    });
  }

  // ---- jobs ----

  Result<JobCreated> create_job(const JobRequest& request, std::int64_t now_ms) override {
    return db_->change([&](session& sql) -> Result<JobCreated> {
      Integer number = 0;
      sql << "SELECT number FROM study WHERE uid = :u", use(request.study_instance_uid), into(number);
      if (!sql.got_data()) return fail(unknown_study());
      return insert_job(sql, number, request.key, request.revision, request.settings_sha256, now_ms);
    });
  }

  Result<std::optional<JobLease>> lease_job(std::int64_t now_ms) override {
    return db_->change([&](session& sql) -> Result<std::optional<JobLease>> {
      const Integer now = now_ms;
      const Integer absurd = now + job_wait_max_ms;
      JobLease lease;
      Integer id = 0, token = 0, number = 0, created = 0;
      sql << "SELECT j.id, j.key, s.uid, s.number, j.revision, j.attempts, j.token, j.created_at FROM job j JOIN study s ON s.number = j.study "
             "WHERE j.state = 'ready' AND (j.not_before <= :n OR j.not_before > :a) ORDER BY j.id LIMIT 1",
          use(now), use(absurd), into(id), into(lease.key), into(lease.study_instance_uid), into(number), into(lease.revision), into(lease.attempt),
          into(token), into(created);
      if (!sql.got_data()) return std::optional<JobLease>();
      lease.job_id = id;
      lease.study_number = number;
      lease.created_at_ms = created;
      lease.attempt += 1;
      lease.token = ++token;
      sql << "UPDATE job SET state = 'running', attempts = :a, token = :t WHERE id = :i", use(lease.attempt), use(token), use(id);
      sql << "INSERT INTO attempt(job, number, started_at) VALUES(:j, :a, :n)", use(id), use(lease.attempt), use(now);
      put_study_state(sql, number, StudyState::running, now);
      return std::optional<JobLease>(std::move(lease));
    });
  }

  Status mark_reporting(const JobLease& lease, std::int64_t now_ms) override {
    return db_->change([&](session& sql) -> Status {
      if (!holds_lease(sql, lease)) return fail(stale_lease());
      const Integer id = lease.job_id;
      sql << "UPDATE job SET state = 'reporting' WHERE id = :i", use(id);
      put_study_state(sql, lease.study_number, StudyState::reporting, now_ms);
      return {};
    });
  }

  Result<FinishedAs> finish_job(const JobLease& lease, const JobOutcome& outcome, std::int64_t now_ms) override {
    return db_->change([&](session& sql) -> Result<FinishedAs> {
      const Integer job = lease.job_id;
      const Integer now = now_ms;
      if (!holds_lease(sql, lease)) {
        std::string state;
        sql << "SELECT state FROM job WHERE id = :i", use(job), into(state);
        if (state == "superseded") return FinishedAs::superseded;
        return fail(stale_lease());
      }
      Integer study = 0;
      sql << "SELECT study FROM job WHERE id = :i", use(job), into(study);
      const std::size_t queued = queue_results(sql, job, study, outcome, now);
      const StudyState state = outcome.outcome == Outcome::not_analysed ? StudyState::not_analysed
                               : outcome.outcome == Outcome::failed     ? StudyState::failed
                               : queued != 0                            ? StudyState::sending
                                                                        : StudyState::delivered;
      const std::string state_text = text_of(state);
      const std::string outcome_text(to_string(outcome.outcome));
      const bool reported = outcome.outcome == Outcome::reported;
      const std::string code = reported ? std::string() : std::string(to_string(outcome.reason.code));
      const std::string text = reported ? std::string() : outcome.reason.message;
      // What this run replaces: earlier results stay, but are no longer the study's.
      sql << "UPDATE job SET state = 'superseded' WHERE study = :s AND id <> :i AND state IN ('sending', 'delivered', 'not_analysed', 'failed')",
          use(study), use(job);
      sql << "UPDATE job SET state = :st, outcome = :o, reason_code = :c, reason_text = :t, finished_at = :n, published = 1, result_json = :r WHERE id = :i",
          use(state_text), use(outcome_text), use(code), use(text), use(now), use(outcome.result_json), use(job);
      sql << "UPDATE study SET state = :st, outcome = :o, reason_code = :c, reason_text = :t, updated_at = :n WHERE number = :s", use(state_text),
          use(outcome_text), use(code), use(text), use(now), use(study);
      close_attempt(sql, job, lease.attempt, "", now);
      insert_event(sql, study, outcome_text,
                   (reported ? std::to_string(outcome.objects.size()) + " object(s) made" : text) + "; " + std::to_string(queued) + " to send.", now);
      return FinishedAs::finished;
    });
  }

  Status fail_job(const JobLease& lease, const Error& error, std::optional<std::int64_t> retry_at_ms, std::int64_t now_ms) override {
    return db_->change([&](session& sql) -> Status {
      if (!holds_lease(sql, lease)) return fail(stale_lease());
      const Integer job = lease.job_id;
      const Integer now = now_ms;
      const std::string code(to_string(error.code));
      close_attempt(sql, job, lease.attempt, to_string(error), now);
      const Integer study = lease.study_number;
      if (retry_at_ms) {
        const Integer at = *retry_at_ms;
        sql << "UPDATE job SET state = 'ready', not_before = :b WHERE id = :i", use(at), use(job);
        put_study_state(sql, study, StudyState::ready, now);
        insert_event(sql, study, "attempt_failed", "Attempt " + std::to_string(lease.attempt) + " failed (" + code + ") and will be repeated.", now);
        return {};
      }
      sql << "UPDATE job SET state = 'failed', outcome = 'failed', reason_code = :c, reason_text = :t, finished_at = :n WHERE id = :i", use(code),
          use(error.message), use(now), use(job);
      sql << "UPDATE study SET state = 'failed', outcome = 'failed', reason_code = :c, reason_text = :t, updated_at = :n WHERE number = :s", use(code),
          use(error.message), use(now), use(study);
      insert_event(sql, study, "failed", error.message, now);
      return {};
    });
  }

  Result<std::vector<ResultObject>> predecessor_results(const std::string& study_instance_uid, int before_revision) override {
    return db_->look([&](session& sql) -> Result<std::vector<ResultObject>> {
      Integer job = 0;
      sql << "SELECT j.id FROM job j JOIN study s ON s.number = j.study WHERE s.uid = :u AND j.revision < :r AND j.published = 1 "
             "ORDER BY j.revision DESC, j.id DESC LIMIT 1",
          use(study_instance_uid), use(before_revision), into(job);
      if (!sql.got_data()) return std::vector<ResultObject>();
      return objects_of(sql, job);
    });
  }

  Result<bool> has_job(const std::string& key) override {
    return db_->look([&](session& sql) -> Result<bool> {
      int found = 0;
      sql << "SELECT count(*) FROM job WHERE key = :k", use(key), into(found);
      return found != 0;
    });
  }

  // ---- clinical values ----

  Result<std::vector<std::string>> put_clinical(const std::string& patient_key, const std::vector<ClinicalValue>& values,
                                                const std::vector<std::string>& removed, std::int64_t now_ms) override {
    return db_->change([&](session& sql) -> Result<std::vector<std::string>> {
      const Integer now = now_ms;
      for (const ClinicalValue& value : values)
        sql << "INSERT OR REPLACE INTO clinical_value(patient_key, name, value, unit, date, set_at) VALUES(:p, :n, :v, :u, :d, :a)", use(patient_key),
            use(value.name), use(value.value), use(value.unit), use(value.date), use(now);
      for (const std::string& name : removed) sql << "DELETE FROM clinical_value WHERE patient_key = :p AND name = :n", use(patient_key), use(name);
      int count = 0;
      sql << "SELECT count(*) FROM clinical_value WHERE patient_key = :p", use(patient_key), into(count);
      if (count > clinical_values_max)
        return fail(ErrorCode::limit_exceeded, step, "A patient can have at most " + std::to_string(clinical_values_max) + " clinical values.");
      std::vector<std::string> uids;
      std::string uid;
      soci::statement statement = (sql.prepare << "SELECT uid FROM study WHERE patient_key = :p AND revision > 0 ORDER BY number DESC LIMIT 100", use(patient_key), into(uid));
      statement.execute();
      while (statement.fetch()) uids.push_back(uid);
      return uids;
    });
  }

  Result<std::vector<ClinicalValue>> clinical_of(const std::string& study_instance_uid) override {
    return db_->look([&](session& sql) -> Result<std::vector<ClinicalValue>> {
      std::vector<ClinicalValue> values;
      ClinicalValue value;
      soci::statement statement =
          (sql.prepare << "SELECT c.name, c.value, c.unit, c.date FROM clinical_value c JOIN study s ON s.patient_key = c.patient_key WHERE s.uid = :u ORDER BY c.name",
           use(study_instance_uid), into(value.name), into(value.value), into(value.unit), into(value.date));
      statement.execute();
      while (statement.fetch()) {
        value.source = "api";
        values.push_back(value);
      }
      return values;
    });
  }

  Result<StudyRevision> reopen_study(const std::string& study_instance_uid, const std::string& because, std::int64_t now_ms) override {
    return db_->change([&](session& sql) -> Result<StudyRevision> {
      const auto next = next_revision(sql, study_instance_uid, now_ms);
      if (!next) return fail(next.error());
      insert_event(sql, next->study_number, "revision", "Revision " + std::to_string(next->revision) + ": " + because, now_ms);
      return *next;
    });
  }

  Result<JobCreated> reprocess(const std::string& study_instance_uid, std::int64_t now_ms) override {
    return db_->change([&](session& sql) -> Result<JobCreated> {
      const auto next = next_revision(sql, study_instance_uid, now_ms);
      if (!next) return fail(next.error());
      const Integer number = next->study_number;
      const Integer now = now_ms;
      std::string key;
      std::string settings;
      sql << "SELECT key, settings_sha256 FROM job WHERE study = :s ORDER BY id DESC LIMIT 1", use(number), into(key), into(settings);
      insert_event(sql, number, "reprocess", "An operator asked for another run.", now);
      const std::string next_key = sha256_hex("choana-reprocess|" + study_instance_uid + "|" + key + "|" + std::to_string(next->revision));
      return insert_job(sql, number, next_key, next->revision, settings, now);
    });
  }

  // ---- outbox ----

  Result<std::vector<Delivery>> due_outbox(const std::string& destination, std::int64_t now_ms, int limit) override {
    return db_->look([&](session& sql) -> Result<std::vector<Delivery>> {
      const Integer now = now_ms;
      const Integer absurd = now + outbox_wait_max_ms;
      DeliveryRow row;
      // Within a study strictly by id: jobs and objects were queued in the order they are to arrive. An earlier object
      // that waits holds its study back, not the others; studies that failed less often go first.
      soci::statement statement = row.bind(
          (sql.prepare << std::string(delivery_columns) +
                              "WHERE o.destination = :d AND o.state = 'pending' AND (o.next_at <= :n OR o.next_at > :a) AND NOT EXISTS "
                              "(SELECT 1 FROM outbox e WHERE e.study = o.study AND e.destination = o.destination AND e.id < o.id AND (e.state = 'sending' OR "
                              "(e.state = 'pending' AND e.next_at > :n2 AND e.next_at <= :a2))) "
                              "ORDER BY (SELECT max(x.attempts) FROM outbox x WHERE x.study = o.study AND x.destination = o.destination AND x.state = 'pending'), "
                              "o.id LIMIT :l",
           use(destination), use(now), use(absurd), use(now), use(absurd), use(limit)));
      statement.execute();
      std::vector<Delivery> due;
      while (statement.fetch()) due.push_back(row.get());
      return due;
    });
  }

  Result<std::optional<std::int64_t>> next_due_at(const std::string& destination) override {
    return db_->look([&](session& sql) -> Result<std::optional<std::int64_t>> {
      Integer at = 0;
      soci::indicator indicator = soci::i_null;
      sql << "SELECT min(o.next_at) FROM outbox o WHERE o.destination = :d AND o.state = 'pending' AND NOT EXISTS (SELECT 1 FROM outbox e WHERE "
             "e.study = o.study AND e.destination = o.destination AND e.id < o.id AND e.state IN ('pending', 'sending'))",
          use(destination), into(at, indicator);
      if (indicator != soci::i_ok) return std::optional<std::int64_t>();
      return std::optional<std::int64_t>(at);
    });
  }

  Status mark_sending(const std::vector<std::int64_t>& ids, std::int64_t now_ms) override {
    static_cast<void>(now_ms);
    return set_pending_state(ids, "pending", "sending");
  }

  Status mark_unsent(const std::vector<std::int64_t>& ids) override { return set_pending_state(ids, "sending", "pending"); }

  Status mark_delivered(std::int64_t id, const std::string& status, std::int64_t now_ms) override {
    return db_->change([&](session& sql) -> Status {
      const Integer row = id;
      const Integer now = now_ms;
      Integer job = 0;
      sql << "SELECT job FROM outbox WHERE id = :i", use(row), into(job);
      if (!sql.got_data()) return fail(not_found("The outbox has no such row."));
      sql << "UPDATE outbox SET state = 'delivered', attempts = attempts + 1, delivered_at = :n, last_status = :s, last_error = '', commitment = '', commitment_at = 0, transaction_uid = '' WHERE id = :i", use(now),
          use(status), use(row);
      settle_job(sql, job, now);
      return {};
    });
  }

  Status mark_failed(const std::vector<DeliveryFailure>& failures, std::int64_t now_ms) override {
    return db_->change([&](session& sql) -> Status {
      std::set<Integer> jobs;
      for (const DeliveryFailure& failure : failures) {
        const Integer row = failure.id;
        const Integer next = failure.next_at_ms;
        const int refusal = failure.refusal ? 1 : 0;
        const std::string state = failure.dead_letter ? "failed" : "pending";
        sql << "UPDATE outbox SET state = :st, attempts = attempts + 1, refusals = refusals + :r, next_at = :n, last_status = :s, last_error = :e WHERE id = :i",
            use(state), use(refusal), use(next), use(failure.status), use(failure.error), use(row);
        if (!failure.dead_letter) continue;
        Integer job = 0;
        sql << "SELECT job FROM outbox WHERE id = :i", use(row), into(job);
        if (sql.got_data()) jobs.insert(job);
      }
      for (const Integer job : jobs) settle_job(sql, job, now_ms);
      return {};
    });
  }

  Result<std::vector<Delivery>> due_commitments(const std::string& destination, std::int64_t now_ms) override {
    return db_->look([&](session& sql) -> Result<std::vector<Delivery>> {
      const Integer now = now_ms;
      const Integer unanswered = now - commitment_wait_ms;
      const Integer absurd = now + commitment_wait_ms;
      Integer job = 0;
      sql << "SELECT o.job FROM outbox o WHERE o.destination = :d AND o.state = 'delivered' AND "
             "((o.commitment = '' AND (o.commitment_at <= :n OR o.commitment_at > :a)) OR "
             "(o.commitment = 'requested' AND (o.commitment_at <= :u OR o.commitment_at > :a2))) "
             "AND NOT EXISTS (SELECT 1 FROM outbox w WHERE w.job = o.job AND w.destination = o.destination AND w.state IN ('pending', 'sending')) "
             "ORDER BY o.job LIMIT 1",
          use(destination), use(now), use(absurd), use(unanswered), use(absurd), into(job);
      std::vector<Delivery> due;
      if (!sql.got_data()) return due;
      DeliveryRow row;
      soci::statement statement = row.bind((sql.prepare << std::string(delivery_columns) +
                                                               "WHERE o.job = :j AND o.destination = :d AND o.state = 'delivered' AND o.commitment IN ('', 'requested') "
                                                               "ORDER BY o.id LIMIT 1000",
                                            use(job), use(destination)));
      statement.execute();
      while (statement.fetch()) due.push_back(row.get());
      return due;
    });
  }

  Status mark_commitment_requested(const std::vector<std::int64_t>& ids, const std::string& transaction_uid, std::int64_t now_ms) override {
    return set_commitment(ids, "requested", transaction_uid, now_ms);
  }

  Status postpone_commitment(const std::vector<std::int64_t>& ids, std::int64_t ask_again_at_ms) override {
    return set_commitment(ids, "", "", ask_again_at_ms);
  }

  Result<int> apply_commitment_report(const std::string& transaction_uid, const std::vector<std::string>& committed_sop_uids,
                                      const std::vector<std::string>& failed_sop_uids, std::int64_t now_ms) override {
    return db_->change([&](session& sql) -> Result<int> {
      const Integer now = now_ms;
      int known = 0;
      sql << "SELECT count(*) FROM outbox WHERE transaction_uid = :t AND transaction_uid <> ''", use(transaction_uid), into(known);
      if (known == 0) return fail(not_found("No storage commitment of this transaction was asked for."));
      const std::string of_transaction = "WHERE transaction_uid = :t AND state = 'delivered' AND result = (SELECT id FROM result WHERE sop_uid = :u)";
      int concerned = 0;
      for (const std::string& uid : committed_sop_uids) {
        soci::statement statement = (sql.prepare << "UPDATE outbox SET commitment = 'committed', commitment_at = :n " + of_transaction, use(now),
                                     use(transaction_uid), use(uid));
        statement.execute(true);
        concerned += static_cast<int>(statement.get_affected_rows());
      }
      std::set<Integer> jobs;
      for (const std::string& uid : failed_sop_uids) {
        Integer row = 0, job = 0, study = 0;
        int refusals = 0;
        sql << "SELECT id, job, study, refusals FROM outbox " + of_transaction, use(transaction_uid), use(uid), into(row), into(job), into(study), into(refusals);
        if (!sql.got_data()) continue;
        ++concerned;
        const std::string state = refusals + 1 >= commitment_failures_max ? "failed" : "pending";
        sql << "UPDATE outbox SET state = :s, refusals = refusals + 1, next_at = 0, commitment = 'failed', transaction_uid = '', "
               "last_error = 'The destination says that it does not keep this object.' WHERE id = :i",
            use(state), use(row);
        insert_event(sql, study, "commitment_failed", "A destination says that it does not keep an object; it is " + std::string(state == "pending" ? "sent again." : "given up."), now);
        jobs.insert(job);
      }
      for (const Integer job : jobs) settle_job(sql, job, now);
      return concerned;
    });
  }

  Result<int> resend(const std::string& sop_instance_uid, std::int64_t now_ms) override {
    return db_->change([&](session& sql) -> Result<int> {
      const Integer now = now_ms;
      Integer result = 0, job = 0, study = 0;
      int removed = 0;
      sql << "SELECT r.id, r.job, j.study, r.removed FROM result r JOIN job j ON j.id = r.job WHERE r.sop_uid = :u", use(sop_instance_uid), into(result),
          into(job), into(study), into(removed);
      if (!sql.got_data()) return fail(not_found("No result has this SOP Instance UID."));
      if (removed != 0) return fail(not_found("This result is no longer kept; reprocess the study."));
      soci::statement statement = (sql.prepare << "UPDATE outbox SET state = 'pending', refusals = 0, next_at = 0, commitment = '', transaction_uid = '' WHERE result = :r "
                                                  "AND state IN ('delivered', 'failed', 'pending')",
                                   use(result));
      statement.execute(true);
      const int queued = static_cast<int>(statement.get_affected_rows());
      settle_job(sql, job, now);
      insert_event(sql, study, "resend", "An operator asked to send an object again; " + std::to_string(queued) + " destination(s).", now);
      return queued;
    });
  }

  Result<DestinationState> destination_state(const std::string& destination) override {
    return db_->look([&](session& sql) -> Result<DestinationState> {
      DestinationState state;
      state.destination = destination;
      Integer retry = 0, since = 0;
      int unreachable = 0, alarm = 0;
      sql << "SELECT failures, retry_at, unreachable, alarm, last_error, since FROM destination WHERE name = :n", use(destination), into(state.failures),
          into(retry), into(unreachable), into(alarm), into(state.last_error), into(since);
      state.retry_at_ms = retry;
      state.since_ms = since;
      state.unreachable = unreachable != 0;
      state.alarm = alarm != 0;
      return state;
    });
  }

  Status set_destination_state(const DestinationState& state) override {
    return db_->change([&](session& sql) -> Status {
      const Integer retry = state.retry_at_ms, since = state.since_ms;
      const int unreachable = state.unreachable ? 1 : 0, alarm = state.alarm ? 1 : 0;
      sql << "INSERT OR REPLACE INTO destination(name, failures, retry_at, unreachable, alarm, last_error, since) VALUES(:n, :f, :r, :u, :a, :e, :s)",
          use(state.destination), use(state.failures), use(retry), use(unreachable), use(alarm), use(state.last_error), use(since);
      return {};
    });
  }

  // ---- operation ----

  Result<int> recover(std::int64_t now_ms) override {
    return db_->change([&](session& sql) -> Result<int> {
      const Integer now = now_ms;
      int running = 0;
      sql << "SELECT count(*) FROM job WHERE state IN ('running', 'reporting')", into(running);
      sql << "UPDATE attempt SET finished_at = :n, error = 'worker_crashed: The node stopped during this attempt.' WHERE finished_at = 0", use(now);
      sql << "UPDATE study SET state = 'ready', updated_at = :n WHERE number IN (SELECT study FROM job WHERE state IN ('running', 'reporting'))", use(now);
      sql << "UPDATE job SET state = 'ready', not_before = 0 WHERE state IN ('running', 'reporting')";
      sql << "UPDATE outbox SET state = 'pending' WHERE state = 'sending'";
      return running;
    });
  }

  Result<StoreCounts> counts() override {
    return db_->look([&](session& sql) -> Result<StoreCounts> {
      StoreCounts counts;
      std::string state;
      std::string destination;
      Integer n = 0, oldest = 0, instances = 0, conflicts = 0, duplicates = 0;
      soci::statement studies = (sql.prepare << "SELECT state, count(*), sum(instances), sum(conflicts), sum(duplicates) FROM study GROUP BY state", into(state),
                                 into(n), into(instances), into(conflicts), into(duplicates));
      studies.execute();
      while (studies.fetch()) {
        counts.studies_by_state[state] = n;
        counts.instances += instances;
        counts.conflicts += conflicts;
        counts.duplicates += duplicates;
      }
      soci::statement outbox = (sql.prepare << "SELECT destination, state, count(*) FROM outbox GROUP BY destination, state", into(destination), into(state), into(n));
      outbox.execute();
      while (outbox.fetch()) {
        OutboxCount& count = counts.outbox_by_destination[destination];
        switch (delivery_state(state)) {
          case DeliveryState::pending: count.pending = n; break;
          case DeliveryState::sending: count.sending = n; break;
          case DeliveryState::delivered: count.delivered = n; break;
          case DeliveryState::failed: count.failed = n; break;
        }
      }
      soci::statement waiting =
          (sql.prepare << "SELECT destination, min(created_at) FROM outbox WHERE state = 'pending' GROUP BY destination", into(destination), into(oldest));
      waiting.execute();
      while (waiting.fetch()) counts.outbox_by_destination[destination].oldest_pending_at_ms = oldest;
      counts.database_bytes = db_->database_bytes();
      counts.wal_bytes = db_->wal_bytes();
      return counts;
    });
  }

  Result<ExpiredFiles> take_expired(std::int64_t inputs_before_ms, std::int64_t results_before_ms, int limit) override {
    return db_->change([&](session& sql) -> Result<ExpiredFiles> {
      const Integer inputs = inputs_before_ms;
      const Integer results = results_before_ms;
      // Inputs go when the study is over and everything is delivered; under conflict or with an object refused for good
      // they stay as long as results do.
      sql << "UPDATE instance SET state = 'removed' WHERE state <> 'removed' AND study IN (SELECT s.number FROM study s WHERE "
             "s.state IN ('delivered', 'not_analysed', 'failed') AND s.last_at < :i "
             "AND NOT EXISTS (SELECT 1 FROM instance n WHERE n.study = s.number AND n.state = 'active' AND n.revision = 0) "
             "AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.study = s.number AND (o.state IN ('pending', 'sending') OR o.commitment = 'requested')) "
             "AND (s.last_at < :r OR (s.conflicts = 0 AND NOT EXISTS (SELECT 1 FROM outbox f WHERE f.study = s.number AND f.state = 'failed'))) "
             "AND EXISTS (SELECT 1 FROM instance a WHERE a.study = s.number AND a.state <> 'removed') ORDER BY s.number LIMIT :l)",
          use(inputs), use(results), use(limit);
      sql << "UPDATE result SET removed = 1 WHERE removed = 0 AND job IN (SELECT j.id FROM job j WHERE j.finished_at > 0 AND j.finished_at < :r "
             "AND EXISTS (SELECT 1 FROM result t WHERE t.job = j.id AND t.removed = 0) "
             "AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.job = j.id AND o.state IN ('pending', 'sending')) ORDER BY j.id LIMIT :l)",
          use(results), use(limit);
      ExpiredFiles files;
      Integer id = 0;
      std::string name;
      soci::statement spool = (sql.prepare << "SELECT receive_id, spool_file FROM instance WHERE state = 'removed'", into(id), into(name));
      spool.execute();
      while (spool.fetch()) {
        files.receive_ids.push_back(static_cast<std::uint64_t>(id));
        files.spool_files.push_back(name);
      }
      soci::statement made = (sql.prepare << "SELECT file FROM result WHERE removed = 1", into(name));
      made.execute();
      while (made.fetch()) files.result_files.push_back(name);
      return files;
    });
  }

  Status forget_removed() override {
    return db_->change([&](session& sql) -> Status {
      sql << "DELETE FROM instance WHERE state = 'removed'";
      // Result rows stay: an object that comes back is still recognised as ours.
      sql << "UPDATE result SET removed = 2 WHERE removed = 1";
      return {};
    });
  }

  Status checkpoint() override { return db_->checkpoint(); }
  Status backup(const std::filesystem::path& file) override { return db_->backup(file); }

 private:
  static Error stale_lease() {
    return {ErrorCode::invalid_argument, step, "This job is no longer held by this worker; its result is not taken.", {}};
  }

  // The study's next revision, with every object it has by now.
  static Result<StudyRevision> next_revision(session& sql, const std::string& study_instance_uid, Integer now) {
    const auto study = find_study(sql, study_instance_uid);
    if (!study) return fail(unknown_study());
    const Integer number = study->study_number;
    int active = 0;
    sql << "SELECT count(*) FROM instance WHERE study = :s AND state = 'active'", use(number), into(active);
    if (active == 0) return fail(not_found("The received objects of this study are no longer kept; send it again."));
    const int revision = study->revision + 1;
    sql << "UPDATE instance SET revision = :r WHERE study = :s AND state = 'active' AND revision = 0", use(revision), use(number);
    sql << "UPDATE study SET revision = :r, updated_at = :n WHERE number = :s", use(revision), use(now), use(number);
    return StudyRevision{study->study_number, revision, true};
  }

  static bool own_result(session& sql, const std::string& sop_uid) {
    int found = 0;
    sql << "SELECT count(*) FROM result WHERE sop_uid = :u", use(sop_uid), into(found);
    return found != 0;
  }

  AddedInstance add_instance(session& sql, const ReceivedInstance& instance) {
    AddedInstance answer{instance.receive_id, InstanceDecision::added, 0};
    const Integer receive_id = static_cast<Integer>(instance.receive_id);
    const Integer now = instance.received_at_ms;
    Integer study = 0;
    sql << "SELECT study FROM instance WHERE receive_id = :i", use(receive_id), into(study);
    if (sql.got_data()) {
      answer.decision = InstanceDecision::known;
      answer.study_number = study;
      return answer;
    }
    if (own_result(sql, instance.sop_instance_uid)) {
      answer.decision = InstanceDecision::own_result;
      return answer;
    }
    sql << "SELECT study FROM instance WHERE sop_uid = :u AND sha256 = :h AND state <> 'removed'", use(instance.sop_instance_uid), use(instance.sha256), into(study);
    if (sql.got_data()) {
      sql << "UPDATE study SET duplicates = duplicates + 1 WHERE number = :s", use(study);
      answer.decision = InstanceDecision::duplicate;
      answer.study_number = study;
      return answer;
    }
    int active = 0;
    sql << "SELECT count(*) FROM instance WHERE sop_uid = :u AND state = 'active'", use(instance.sop_instance_uid), into(active);
    if (active != 0) answer.decision = InstanceDecision::conflict;
    study = study_number_for(sql, instance);
    answer.study_number = study;
    insert_instance(sql, instance, study, answer.decision == InstanceDecision::added ? "active" : "conflict");
    if (answer.decision == InstanceDecision::conflict) {
      sql << "UPDATE study SET conflicts = conflicts + 1, updated_at = :n WHERE number = :s", use(now), use(study);
      insert_event(sql, study, "conflict",
                   "An object arrived with the SOP Instance UID of another but different content; the first is used, the other is kept as receive id " +
                       std::to_string(instance.receive_id) + ".",
                   now);
      return answer;
    }
    int in_series = 0;
    sql << "SELECT count(*) FROM (SELECT 1 FROM instance WHERE study = :s AND state = 'active' AND series_uid = :u LIMIT 2)", use(study),
        use(instance.series_instance_uid), into(in_series);
    const int new_series = in_series == 1 ? 1 : 0;
    sql << "UPDATE study SET instances = instances + 1, series = series + :e, last_at = max(last_at, :l), updated_at = :n, "
           "state = CASE WHEN state IN ('ready', 'running', 'reporting') THEN state ELSE 'collecting' END WHERE number = :s",
        use(new_series), use(now), use(now), use(study);
    return answer;
  }

  static Integer study_number_for(session& sql, const ReceivedInstance& instance) {
    const Integer now = instance.received_at_ms;
    Integer number = 0;
    std::string patient;
    sql << "SELECT number, patient_key FROM study WHERE uid = :u", use(instance.study_instance_uid), into(number), into(patient);
    if (sql.got_data()) {
      // Objects of one study name one patient; the first that names any is believed.
      if (patient.empty() && !instance.patient_key.empty()) sql << "UPDATE study SET patient_key = :p WHERE number = :s", use(instance.patient_key), use(number);
      return number;
    }
    sql << "INSERT INTO study(uid, state, first_at, last_at, updated_at, patient_key) VALUES(:u, 'collecting', :a, :b, :c, :p)", use(instance.study_instance_uid), use(now),
        use(now), use(now), use(instance.patient_key);
    sql << "SELECT number FROM study WHERE uid = :u", use(instance.study_instance_uid), into(number);
    insert_event(sql, number, "received", "The first object of the study arrived.", now);
    return number;
  }

  static void insert_instance(session& sql, const ReceivedInstance& instance, Integer study, const std::string& state) {
    const Integer receive_id = static_cast<Integer>(instance.receive_id);
    const Integer size = static_cast<Integer>(instance.size_bytes);
    const Integer received = instance.received_at_ms;
    const std::string record = to_json(instance);
    sql << "INSERT INTO instance(receive_id, study, state, sop_uid, sha256, series_uid, sop_class, modality, transfer_syntax, spool_file, size, from_ae, "
           "received_at, record) VALUES(:i, :s, :st, :u, :h, :se, :c, :m, :t, :f, :z, :a, :r, :j)",
        use(receive_id), use(study), use(state), use(instance.sop_instance_uid), use(instance.sha256), use(instance.series_instance_uid),
        use(instance.sop_class_uid), use(instance.acquisition.modality), use(instance.transfer_syntax_uid), use(instance.spool_file), use(size),
        use(instance.calling_ae_title), use(received), use(record);
  }

  // Returns the number of outbox rows. SEG, SR, SC: the order of rows is the order of sending.
  static std::size_t queue_results(session& sql, Integer job, Integer study, const JobOutcome& outcome, Integer now) {
    std::vector<ResultObject> objects = outcome.objects;
    std::stable_sort(objects.begin(), objects.end(), [](const ResultObject& a, const ResultObject& b) { return send_order(a.kind) < send_order(b.kind); });
    std::size_t queued = 0;
    for (const ResultObject& object : objects) {
      sql << "INSERT INTO result(job, kind, sop_class, sop_uid, series_uid, file, sha256) VALUES(:j, :k, :c, :u, :s, :f, :h)", use(job), use(object.kind),
          use(object.sop_class_uid), use(object.sop_instance_uid), use(object.series_instance_uid), use(object.file), use(object.sha256);
      Integer result = 0;
      sql << "SELECT last_insert_rowid()", into(result);
      for (const std::string& destination : outcome.destinations) {
        sql << "INSERT INTO outbox(result, job, study, destination, state, created_at) VALUES(:r, :j, :s, :d, 'pending', :n)", use(result), use(job),
            use(study), use(destination), use(now);
        ++queued;
      }
    }
    return queued;
  }

  Status set_commitment(const std::vector<std::int64_t>& ids, const std::string& commitment, const std::string& transaction_uid, std::int64_t at_ms) {
    return db_->change([&](session& sql) -> Status {
      Integer row = 0;
      const Integer at = at_ms;
      soci::statement statement =
          (sql.prepare << "UPDATE outbox SET commitment = :c, transaction_uid = :t, commitment_at = :a WHERE id = :i AND state = 'delivered'", use(commitment),
           use(transaction_uid), use(at), use(row));
      for (const std::int64_t id : ids) {
        row = id;
        statement.execute(true);
      }
      return {};
    });
  }

  Status set_pending_state(const std::vector<std::int64_t>& ids, const std::string& from, const std::string& to) {
    return db_->change([&](session& sql) -> Status {
      Integer row = 0;
      soci::statement statement = (sql.prepare << "UPDATE outbox SET state = :t WHERE id = :i AND state = :f", use(to), use(row), use(from));
      for (const std::int64_t id : ids) {
        row = id;
        statement.execute(true);
      }
      return {};
    });
  }

  static std::vector<SeriesRecord> series_of(session& sql, Integer study) {
    std::vector<SeriesRecord> list;
    SeriesRecord record;
    Integer n = 0;
    soci::statement statement = (sql.prepare << "SELECT series_uid, min(modality), min(sop_class), count(*) FROM instance WHERE study = :s AND state = 'active' "
                                                "GROUP BY series_uid ORDER BY min(receive_id) LIMIT 2000",
                                 use(study), into(record.series_instance_uid), into(record.modality), into(record.sop_class_uid), into(n));
    statement.execute();
    while (statement.fetch()) {
      record.instances = n;
      list.push_back(record);
    }
    return list;
  }

  static std::vector<ResultObject> objects_of(session& sql, Integer job) {
    std::vector<ResultObject> list;
    ResultObject o;
    soci::statement statement = (sql.prepare << "SELECT kind, sop_class, sop_uid, series_uid, file, sha256 FROM result WHERE job = :j ORDER BY id", use(job),
                                 into(o.kind), into(o.sop_class_uid), into(o.sop_instance_uid), into(o.series_instance_uid), into(o.file), into(o.sha256));
    statement.execute();
    while (statement.fetch()) list.push_back(o);
    return list;
  }

  static std::vector<JobAttempt> attempts_of(session& sql, Integer job) {
    std::vector<JobAttempt> list;
    JobAttempt attempt;
    Integer started = 0, finished = 0;
    soci::statement statement = (sql.prepare << "SELECT number, started_at, finished_at, error FROM attempt WHERE job = :j ORDER BY number LIMIT 100", use(job),
                                 into(attempt.number), into(started), into(finished), into(attempt.error));
    statement.execute();
    while (statement.fetch()) {
      attempt.started_at_ms = started;
      attempt.finished_at_ms = finished;
      list.push_back(attempt);
    }
    return list;
  }

  static void add_deliveries_and_attempts(session& sql, StudyRecord& study) {
    const Integer number = study.study_number;
    study.deliveries = deliveries_of(sql, number);
    Integer job = 0;
    sql << "SELECT coalesce(max(id), 0) FROM job WHERE study = :s", use(number), into(job);
    study.attempts = attempts_of(sql, job);
  }

  static std::vector<JobRecord> jobs_of(session& sql, Integer study, std::string& newest_result_json) {
    std::vector<JobRecord> jobs;
    JobRecord job;
    std::string state;
    std::string result_json;
    Integer id = 0;
    soci::statement statement =
        (sql.prepare << "SELECT id, key, revision, state, outcome, reason_code, reason_text, settings_sha256, result_json FROM job WHERE study = :s "
                        "ORDER BY id DESC LIMIT 100",
         use(study), into(id), into(job.key), into(job.revision), into(state), into(job.outcome), into(job.reason_code), into(job.reason_text),
         into(job.settings_sha256), into(result_json));
    statement.execute();
    while (statement.fetch()) {
      job.job_id = id;
      job.state = study_state(state);
      if (newest_result_json.empty()) newest_result_json = result_json;
      jobs.push_back(job);
    }
    std::reverse(jobs.begin(), jobs.end());
    for (JobRecord& each : jobs) {
      each.objects = objects_of(sql, each.job_id);
      each.attempts = attempts_of(sql, each.job_id);
    }
    return jobs;
  }

  static std::vector<Delivery> deliveries_of(session& sql, Integer study) {
    std::vector<Delivery> list;
    DeliveryRow row;
    soci::statement statement = row.bind((sql.prepare << std::string(delivery_columns) +
                                                             "WHERE o.job = (SELECT max(job) FROM outbox WHERE study = :s) ORDER BY o.id LIMIT 1000",
                                          use(study)));
    statement.execute();
    while (statement.fetch()) list.push_back(row.get());
    return list;
  }

  static std::vector<StudyEvent> events_of(session& sql, Integer study) {
    std::vector<StudyEvent> list;
    StudyEvent event;
    Integer at = 0;
    soci::statement statement =
        (sql.prepare << "SELECT at, kind, text FROM event WHERE study = :s ORDER BY id", use(study), into(at), into(event.kind), into(event.text));
    statement.execute();
    while (statement.fetch()) {
      event.at_ms = at;
      list.push_back(event);
    }
    return list;
  }

  std::unique_ptr<SqliteSession> db_;
};

Result<std::unique_ptr<JobStore>> open_store(const std::filesystem::path& file, bool read_only) {
  auto session = SqliteSession::open(file, read_only);
  if (!session) return fail(session.error());
  return std::make_unique<SqliteJobStore>(std::move(*session));
}

}  // namespace

Result<std::unique_ptr<JobStore>> open_sqlite_job_store(const std::filesystem::path& file) { return open_store(file, false); }
Result<std::unique_ptr<JobStore>> open_sqlite_job_store_read_only(const std::filesystem::path& file) { return open_store(file, true); }

}  // namespace choana
