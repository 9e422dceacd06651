#include "node/sqlite_session.h"

#include <fcntl.h>
#include <soci/soci.h>
#include <soci/sqlite3/soci-sqlite3.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <system_error>

namespace choana {
namespace {

constexpr std::int64_t wal_checkpoint_bytes = 16LL << 20;

// One entry per schema version; each runs in one transaction. Never change one that has been released: add the next.
constexpr std::array migrations{R"sql(
CREATE TABLE study(
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  uid TEXT NOT NULL UNIQUE,
  revision INTEGER NOT NULL DEFAULT 0,
  state TEXT NOT NULL,
  outcome TEXT NOT NULL DEFAULT '',
  reason_code TEXT NOT NULL DEFAULT '',
  reason_text TEXT NOT NULL DEFAULT '',
  first_at INTEGER NOT NULL,
  last_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  instances INTEGER NOT NULL DEFAULT 0,
  series INTEGER NOT NULL DEFAULT 0,
  conflicts INTEGER NOT NULL DEFAULT 0,
  duplicates INTEGER NOT NULL DEFAULT 0);
CREATE INDEX study_by_state ON study(state, number);
CREATE TABLE instance(
  receive_id INTEGER PRIMARY KEY,
  study INTEGER NOT NULL REFERENCES study(number),
  revision INTEGER NOT NULL DEFAULT 0,
  state TEXT NOT NULL,
  sop_uid TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  series_uid TEXT NOT NULL,
  sop_class TEXT NOT NULL,
  modality TEXT NOT NULL,
  transfer_syntax TEXT NOT NULL,
  spool_file TEXT NOT NULL,
  size INTEGER NOT NULL,
  from_ae TEXT NOT NULL,
  received_at INTEGER NOT NULL,
  record TEXT NOT NULL);
CREATE UNIQUE INDEX instance_active ON instance(sop_uid) WHERE state = 'active';
CREATE UNIQUE INDEX instance_content ON instance(sop_uid, sha256) WHERE state <> 'removed';
CREATE INDEX instance_by_study ON instance(study, state, series_uid);
CREATE INDEX instance_open ON instance(study) WHERE state = 'active' AND revision = 0;
CREATE INDEX instance_removed ON instance(state) WHERE state = 'removed';
CREATE TABLE job(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  key TEXT NOT NULL UNIQUE,
  study INTEGER NOT NULL REFERENCES study(number),
  revision INTEGER NOT NULL,
  state TEXT NOT NULL,
  outcome TEXT NOT NULL DEFAULT '',
  reason_code TEXT NOT NULL DEFAULT '',
  reason_text TEXT NOT NULL DEFAULT '',
  settings_sha256 TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  token INTEGER NOT NULL DEFAULT 0,
  not_before INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL,
  finished_at INTEGER NOT NULL DEFAULT 0,
  published INTEGER NOT NULL DEFAULT 0,
  result_json TEXT NOT NULL DEFAULT '');
CREATE INDEX job_by_state ON job(state, id);
CREATE INDEX job_by_study ON job(study, revision);
CREATE TABLE attempt(
  job INTEGER NOT NULL REFERENCES job(id),
  number INTEGER NOT NULL,
  started_at INTEGER NOT NULL,
  finished_at INTEGER NOT NULL DEFAULT 0,
  error TEXT NOT NULL DEFAULT '',
  PRIMARY KEY(job, number)) WITHOUT ROWID;
CREATE TABLE result(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  job INTEGER NOT NULL REFERENCES job(id),
  kind TEXT NOT NULL,
  sop_class TEXT NOT NULL,
  sop_uid TEXT NOT NULL UNIQUE,
  series_uid TEXT NOT NULL,
  file TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  removed INTEGER NOT NULL DEFAULT 0);
CREATE INDEX result_by_job ON result(job);
CREATE TABLE outbox(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  result INTEGER NOT NULL REFERENCES result(id),
  job INTEGER NOT NULL REFERENCES job(id),
  study INTEGER NOT NULL REFERENCES study(number),
  destination TEXT NOT NULL,
  state TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  refusals INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL,
  next_at INTEGER NOT NULL DEFAULT 0,
  delivered_at INTEGER NOT NULL DEFAULT 0,
  last_status TEXT NOT NULL DEFAULT '',
  last_error TEXT NOT NULL DEFAULT '',
  commitment TEXT NOT NULL DEFAULT '',
  commitment_at INTEGER NOT NULL DEFAULT 0,
  transaction_uid TEXT NOT NULL DEFAULT '',
  UNIQUE(result, destination));
CREATE INDEX outbox_commitment ON outbox(destination, commitment, commitment_at) WHERE state = 'delivered';
CREATE INDEX outbox_transaction ON outbox(transaction_uid) WHERE transaction_uid <> '';
CREATE INDEX outbox_by_destination ON outbox(destination, state, next_at);
CREATE INDEX outbox_by_study ON outbox(study, destination, state, id);
CREATE INDEX outbox_by_job ON outbox(job, state);
CREATE TABLE destination(
  name TEXT PRIMARY KEY,
  failures INTEGER NOT NULL,
  retry_at INTEGER NOT NULL,
  unreachable INTEGER NOT NULL,
  alarm INTEGER NOT NULL,
  last_error TEXT NOT NULL,
  since INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE event(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  study INTEGER NOT NULL REFERENCES study(number),
  at INTEGER NOT NULL,
  kind TEXT NOT NULL,
  text TEXT NOT NULL);
CREATE INDEX event_by_study ON event(study, id);
)sql",
                              R"sql(
ALTER TABLE study ADD COLUMN patient_key TEXT NOT NULL DEFAULT '';
CREATE INDEX study_by_patient ON study(patient_key) WHERE patient_key <> '';
CREATE TABLE clinical_value(
  patient_key TEXT NOT NULL,
  name TEXT NOT NULL,
  value REAL NOT NULL,
  unit TEXT NOT NULL,
  date TEXT NOT NULL,
  set_at INTEGER NOT NULL,
  PRIMARY KEY(patient_key, name)) WITHOUT ROWID;
)sql"};

std::int64_t file_bytes(const std::filesystem::path& file) {
  std::error_code error;
  const auto size = std::filesystem::file_size(file, error);
  return error ? 0 : static_cast<std::int64_t>(size);
}

std::filesystem::path with_suffix(const std::filesystem::path& file, const char* suffix) { return file.string() + suffix; }

// SOCI executes one statement a call.
void execute_script(soci::session& sql, std::string_view script) {
  while (true) {
    const auto end = script.find(';');
    if (end == std::string_view::npos) return;
    sql << std::string(script.substr(0, end));
    script.remove_prefix(end + 1);
  }
}

}  // namespace

Error SqliteSession::broken_error() {
  return {ErrorCode::io_error, step_, "The job store met an input/output error and was closed; restart the node.", {}};
}

Error SqliteSession::translate(const std::exception& error) {
  const auto* sqlite = dynamic_cast<const soci::sqlite3_soci_error*>(&error);
  const int code = sqlite != nullptr ? sqlite->result() & 0xff : -1;
  if (code == 13) return {ErrorCode::disk_full, step_, "The disk of the job store is full; free space in the state folder.", {}};
  if (code == 10 || code == 11 || code == 26) {
    // After a failed sync the kernel may call lost pages clean: nothing read from now on could be trusted.
    broken_ = true;
    return {ErrorCode::io_error, step_, std::string("The job store cannot be read or written any more: ") + error.what(), {}};
  }
  if (code == 8 || code == 14)
    return {ErrorCode::io_error, step_, "The job store " + file_.string() + " cannot be opened or written: " + error.what(), {}};
  return {ErrorCode::internal, step_, std::string("The job store refused a statement: ") + error.what(), {}};
}

SqliteSession::SqliteSession(std::filesystem::path file, bool read_only)
    : file_(std::move(file)), read_only_(read_only), sql_(std::make_unique<soci::session>()) {}

void SqliteSession::begin() { sql_->begin(); }

void SqliteSession::commit() {
  sql_->commit();
  checkpoint_if_large();
}

// SQLite may have rolled back by itself (disk full); then there is nothing left to do.
void SqliteSession::roll_back() {
  try {
    sql_->rollback();
  } catch (const std::exception&) {
  }
}

Result<std::unique_ptr<SqliteSession>> SqliteSession::open(const std::filesystem::path& file, bool read_only) {
  std::unique_ptr<SqliteSession> session(new SqliteSession(file, read_only));
  if (const auto prepared = session->prepare(); !prepared) return fail(prepared.error());
  return session;
}

SqliteSession::~SqliteSession() {
  try {
    sql_->close();
  } catch (const std::exception&) {
    // Nothing is lost: every change was durable when it returned.
  }
  if (lock_ >= 0) ::close(lock_);
}

Status SqliteSession::prepare() {
  if (file_.string().find_first_of("\"'") != std::string::npos)
    return fail(ErrorCode::invalid_argument, step_, "The path of the job store must not contain quotation marks: " + file_.string());
  if (read_only_) {
    if (!std::filesystem::exists(file_)) return fail(ErrorCode::not_found, step_, "There is no job store " + file_.string() + "; has the node run?");
  } else {
    lock_ = ::open(with_suffix(file_, ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock_ < 0)
      return fail(ErrorCode::io_error, step_, "The state folder cannot be written: " + with_suffix(file_, ".lock").string() + ": " + std::strerror(errno));
    if (::flock(lock_, LOCK_EX | LOCK_NB) != 0)
      return fail(ErrorCode::io_error, step_, "Another node works with " + file_.string() + "; two must not share a state folder.");
    // SQLite gives its log the rights of the database: nobody else may read either.
    const int created = ::open(file_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (created < 0) return fail(ErrorCode::io_error, step_, file_.string() + " cannot be written: " + std::strerror(errno));
    ::close(created);
  }
  try {
    sql_->open(soci::sqlite3, "dbname=\"" + file_.string() + "\" timeout=10" + (read_only_ ? " readonly=true" : ""));
    if (read_only_) {
      *sql_ << "PRAGMA query_only = ON";
    } else {
      std::string mode;
      *sql_ << "PRAGMA journal_mode = WAL", soci::into(mode);
      if (mode != "wal")
        return fail(ErrorCode::io_error, step_, "The file system of " + file_.string() + " does not support SQLite's write-ahead log (network share?).");
      *sql_ << "PRAGMA synchronous = FULL";
      *sql_ << "PRAGMA foreign_keys = ON";
      *sql_ << "PRAGMA wal_autocheckpoint = 0";
      *sql_ << "PRAGMA mmap_size = 0";
      int synchronous = 0;
      *sql_ << "PRAGMA synchronous", soci::into(synchronous);
      if (synchronous != 2) return fail(ErrorCode::internal, step_, "SQLite did not accept synchronous=FULL.");
      std::string verdict;
      *sql_ << "PRAGMA quick_check(1)", soci::into(verdict);
      if (verdict != "ok") {
        return fail(ErrorCode::io_error, step_, "The job store " + file_.string() + " is damaged (" + verdict +
                                                    "). Restore a backup; instances in the spool are adopted again.");
      }
    }
    return migrate();
  } catch (const std::exception& error) {
    return fail(translate(error));
  }
}

Status SqliteSession::migrate() {
  constexpr int newest = static_cast<int>(migrations.size());
  int tables = 0;
  int version = 0;
  *sql_ << "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'schema_version'", soci::into(tables);
  if (tables != 0) *sql_ << "SELECT max(version) FROM schema_version", soci::into(version);
  if (version > newest)
    return fail(ErrorCode::io_error, step_, "The job store has schema " + std::to_string(version) + ", this program knows up to " +
                                                std::to_string(newest) + ": it was written by a newer Choana. Install that version again.");
  if (version == newest) return {};
  if (read_only_) return fail(ErrorCode::io_error, step_, "The job store has an older schema; start the node once to bring it up to date.");
  if (version > 0) {
    const auto copy = with_suffix(file_, (".schema" + std::to_string(version) + ".bak").c_str());
    if (!std::filesystem::exists(copy)) *sql_ << "VACUUM INTO '" + copy.string() + "'";
  }
  for (int next = version; next < newest; ++next) {
    soci::transaction transaction(*sql_);
    if (next == 0) *sql_ << "CREATE TABLE schema_version(version INTEGER NOT NULL)";
    execute_script(*sql_, migrations[static_cast<std::size_t>(next)]);
    *sql_ << "INSERT INTO schema_version(version) VALUES(" + std::to_string(next + 1) + ")";
    transaction.commit();
  }
  return {};
}

Status SqliteSession::checkpoint() {
  const std::lock_guard lock(mutex_);
  if (read_only_ || broken_) return {};
  try {
    *sql_ << "PRAGMA wal_checkpoint(TRUNCATE)";
    return {};
  } catch (const std::exception& error) {
    return fail(translate(error));
  }
}

// Between transactions only. A reader beside us can hold it back; the next one finishes the work.
void SqliteSession::checkpoint_if_large() {
  if (wal_bytes() < wal_checkpoint_bytes) return;
  try {
    *sql_ << "PRAGMA wal_checkpoint(TRUNCATE)";
  } catch (const std::exception& error) {
    // The change itself is committed; an I/O error marks the store as broken, a full disk is met again by the next change.
    static_cast<void>(translate(error));
  }
}

Status SqliteSession::backup(const std::filesystem::path& file) {
  if (file.string().find('\'') != std::string::npos || std::filesystem::exists(file))
    return fail(ErrorCode::io_error, step_, "The backup " + file.string() + " exists already, or its name holds a quotation mark.");
  const std::lock_guard lock(mutex_);
  try {
    *sql_ << "VACUUM INTO '" + file.string() + "'";
    return {};
  } catch (const std::exception& error) {
    return fail(translate(error));
  }
}

std::int64_t SqliteSession::database_bytes() const { return file_bytes(file_); }
std::int64_t SqliteSession::wal_bytes() const { return file_bytes(with_suffix(file_, "-wal")); }

}  // namespace choana
