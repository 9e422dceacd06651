#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "node/job_store.h"

namespace choana {

/// Everything `GET /metrics` tells, in base units, names `choana_*` (listed in docs/operations.md). No label ever holds
/// patient data or a UID. Safe to call from several threads.
class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // receiving
  void instance_received(std::uint64_t bytes, double seconds_to_acknowledge);
  /// status: DIMSE status as four hex digits.
  void instance_refused(const std::string& status);
  /// result: accepted | rejected | aborted.
  void association_ended(const std::string& result);
  void set_associations_open(int count);
  /// Batches that were synced since the last call.
  void add_spool_batches(std::uint64_t more);

  // jobs
  /// outcome: reported | not_analysed | failed.
  void job_finished(const std::string& outcome, double seconds);
  void job_attempt_failed(const std::string& error_code);
  void step_finished(const std::string& step, double seconds);

  // sending
  void delivery_ended(const std::string& destination, const std::string& delivery_class);
  void set_destination(const DestinationState& state);

  // machine
  void set_disk_free(const std::string& folder, std::int64_t bytes);
  void set_ready(bool ready);
  /// Gauges from the store: studies by state, outbox by destination and state, age of the oldest pending object, sizes.
  void update(const StoreCounts& counts, std::int64_t now_ms);

  /// Prometheus text format 0.0.4.
  [[nodiscard]] std::string text() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace choana
