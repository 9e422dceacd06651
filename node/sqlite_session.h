#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>

#include "core/result.h"

namespace soci {
class session;
}

namespace choana {

/// The one connection to the store's database. Every operation runs under its mutex and in one transaction; SOCI's
/// exceptions become errors here. SQLite 3.40.1 corrupts a WAL database that two connections write or checkpoint, so
/// there is never a second one (durability 4.3).
class SqliteSession {
 public:
  [[nodiscard]] static Result<std::unique_ptr<SqliteSession>> open(const std::filesystem::path& file, bool read_only);
  ~SqliteSession();
  SqliteSession(const SqliteSession&) = delete;
  SqliteSession& operator=(const SqliteSession&) = delete;

  /// Run `work(soci::session&)` in a transaction and commit it; what it returns is a Result or Status. A failure rolls back.
  template <typename Work>
  auto change(Work&& work) -> decltype(work(std::declval<soci::session&>())) {
    const std::lock_guard lock(mutex_);
    if (read_only_) return fail(ErrorCode::invalid_argument, step_, "The job store is open for looking only.");
    if (broken_) return fail(broken_error());
    try {
      begin();
      auto result = work(*sql_);
      if (result) {
        commit();
      } else {
        roll_back();
      }
      return result;
    } catch (const std::exception& error) {
      roll_back();
      return fail(translate(error));
    }
  }

  /// Run a query; no transaction is kept open.
  template <typename Work>
  auto look(Work&& work) -> decltype(work(std::declval<soci::session&>())) {
    const std::lock_guard lock(mutex_);
    if (broken_) return fail(broken_error());
    try {
      return work(*sql_);
    } catch (const std::exception& error) {
      return fail(translate(error));
    }
  }

  [[nodiscard]] bool broken() const { return broken_; }
  [[nodiscard]] Status checkpoint();
  [[nodiscard]] Status backup(const std::filesystem::path& file);
  [[nodiscard]] std::int64_t database_bytes() const;
  [[nodiscard]] std::int64_t wal_bytes() const;

 private:
  SqliteSession(std::filesystem::path file, bool read_only);
  void begin();
  void commit();
  void roll_back();
  [[nodiscard]] Status prepare();
  [[nodiscard]] Status migrate();
  [[nodiscard]] Error translate(const std::exception& error);
  [[nodiscard]] static Error broken_error();
  void checkpoint_if_large();

  static constexpr const char* step_ = "job_store";
  std::filesystem::path file_;
  bool read_only_ = false;
  int lock_ = -1;
  std::mutex mutex_;
  std::atomic<bool> broken_ = false;
  std::unique_ptr<soci::session> sql_;
};

}  // namespace choana
