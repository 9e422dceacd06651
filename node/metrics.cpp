#include "node/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <sstream>

#include "core/version.h"

namespace choana {

using Labels = prometheus::Labels;
using prometheus::BuildCounter;
using prometheus::BuildGauge;
using prometheus::BuildHistogram;
using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;

namespace {

Family<Counter>& counter(prometheus::Registry& registry, const char* name, const char* help) {
  return BuildCounter().Name(name).Help(help).Register(registry);
}
Family<Gauge>& gauge(prometheus::Registry& registry, const char* name, const char* help) { return BuildGauge().Name(name).Help(help).Register(registry); }
Family<Histogram>& histogram(prometheus::Registry& registry, const char* name, const char* help) {
  return BuildHistogram().Name(name).Help(help).Register(registry);
}

const Histogram::BucketBoundaries short_seconds{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10};
const Histogram::BucketBoundaries long_seconds{0.1, 0.5, 1, 2, 3, 4, 6, 10, 20, 30, 60, 120, 300, 600, 1800};

}  // namespace

struct Metrics::State {
  prometheus::Registry registry;

  Family<Counter>& instances = counter(registry, "choana_instances_received_total", "Instances that were acknowledged.");
  Family<Counter>& bytes = counter(registry, "choana_received_bytes_total", "Bytes of acknowledged instances.");
  Family<Counter>& refused = counter(registry, "choana_instances_refused_total", "Instances that were not acknowledged, by DIMSE status.");
  Family<Counter>& associations = counter(registry, "choana_associations_total", "Associations that ended, by result.");
  Family<Gauge>& associations_open = gauge(registry, "choana_associations_open", "Associations open now.");
  Family<Histogram>& acknowledge = histogram(registry, "choana_acknowledge_seconds", "From the receipt of an instance to its being durable, just before its acknowledgement.");
  Family<Counter>& batches = counter(registry, "choana_spool_batches_total", "Batches that were made durable together.");
  Family<Counter>& jobs = counter(registry, "choana_jobs_total", "Jobs that ended, by outcome.");
  Family<Counter>& attempts_failed = counter(registry, "choana_job_attempts_failed_total", "Attempts that failed, by error code.");
  Family<Histogram>& job_seconds = histogram(registry, "choana_job_seconds", "Duration of a job's last attempt.");
  Family<Histogram>& step_seconds = histogram(registry, "choana_step_seconds", "Duration of a step of the pipeline.");
  Family<Counter>& deliveries = counter(registry, "choana_deliveries_total", "Attempts to deliver an object, by destination and class.");
  Family<Gauge>& destination_failures = gauge(registry, "choana_destination_failures", "Failures in a row of a destination; 0 is healthy.");
  Family<Gauge>& destination_alarm = gauge(registry, "choana_destination_alarm", "1 while an operator must act for a destination.");
  Family<Gauge>& disk_free = gauge(registry, "choana_disk_free_bytes", "Free space of a folder's file system.");
  Family<Gauge>& ready = gauge(registry, "choana_ready", "1 while /readyz answers 200.");
  Family<Gauge>& studies = gauge(registry, "choana_studies", "Studies by state.");
  Family<Gauge>& stored_instances = gauge(registry, "choana_study_instances", "Instances that belong to studies.");
  Family<Gauge>& conflicts = gauge(registry, "choana_conflicting_instances", "Instances that share a UID with different content.");
  Family<Gauge>& duplicates = gauge(registry, "choana_duplicate_instances", "Instances that arrived again with the same content.");
  Family<Gauge>& outbox = gauge(registry, "choana_outbox_objects", "Objects in the outbox by destination and state.");
  Family<Gauge>& outbox_age = gauge(registry, "choana_outbox_oldest_pending_seconds", "Age of the oldest object that waits for a destination.");
  Family<Gauge>& store_bytes = gauge(registry, "choana_store_bytes", "Size of the job store, by file.");
  Family<Gauge>& build = gauge(registry, "choana_build_info", "1, with the version as label.");
};

Metrics::Metrics() : state_(std::make_unique<State>()) {
  state_->build.Add({{"version", std::string(version)}}).Set(1);
  // What is alarmed on must be there before it happens.
  for (const char* outcome : {"reported", "not_analysed", "failed"}) state_->jobs.Add({{"outcome", outcome}});
  state_->instances.Add({});
  state_->bytes.Add({});
  state_->batches.Add({});
}
Metrics::~Metrics() = default;

void Metrics::instance_received(std::uint64_t bytes, double seconds_to_acknowledge) {
  state_->instances.Add({}).Increment();
  state_->bytes.Add({}).Increment(static_cast<double>(bytes));
  state_->acknowledge.Add({}, short_seconds).Observe(seconds_to_acknowledge);
}
void Metrics::instance_refused(const std::string& status) { state_->refused.Add({{"status", status}}).Increment(); }
void Metrics::association_ended(const std::string& result) { state_->associations.Add({{"result", result}}).Increment(); }
void Metrics::set_associations_open(int count) { state_->associations_open.Add({}).Set(count); }
void Metrics::add_spool_batches(std::uint64_t more) { state_->batches.Add({}).Increment(static_cast<double>(more)); }

void Metrics::job_finished(const std::string& outcome, double seconds) {
  state_->jobs.Add({{"outcome", outcome}}).Increment();
  state_->job_seconds.Add({{"outcome", outcome}}, long_seconds).Observe(seconds);
}
void Metrics::job_attempt_failed(const std::string& error_code) { state_->attempts_failed.Add({{"code", error_code}}).Increment(); }
void Metrics::step_finished(const std::string& step, double seconds) { state_->step_seconds.Add({{"step", step}}, long_seconds).Observe(seconds); }

void Metrics::delivery_ended(const std::string& destination, const std::string& delivery_class) {
  state_->deliveries.Add({{"destination", destination}, {"class", delivery_class}}).Increment();
}
void Metrics::set_destination(const DestinationState& state) {
  state_->destination_failures.Add({{"destination", state.destination}}).Set(state.failures);
  state_->destination_alarm.Add({{"destination", state.destination}}).Set(state.alarm ? 1 : 0);
}

void Metrics::set_disk_free(const std::string& folder, std::int64_t bytes) { state_->disk_free.Add({{"folder", folder}}).Set(static_cast<double>(bytes)); }
void Metrics::set_ready(bool ready) { state_->ready.Add({}).Set(ready ? 1 : 0); }

void Metrics::update(const StoreCounts& counts, std::int64_t now_ms) {
  for (const StudyState state : {StudyState::collecting, StudyState::ready, StudyState::running, StudyState::reporting, StudyState::sending,
                                 StudyState::delivered, StudyState::not_analysed, StudyState::failed, StudyState::superseded}) {
    const std::string name(to_string(state));
    const auto at = counts.studies_by_state.find(name);
    state_->studies.Add({{"state", name}}).Set(at == counts.studies_by_state.end() ? 0.0 : static_cast<double>(at->second));
  }
  state_->stored_instances.Add({}).Set(static_cast<double>(counts.instances));
  state_->conflicts.Add({}).Set(static_cast<double>(counts.conflicts));
  state_->duplicates.Add({}).Set(static_cast<double>(counts.duplicates));
  for (const auto& [destination, count] : counts.outbox_by_destination) {
    const auto set = [&, &name = destination](const char* state, std::int64_t n) {
      state_->outbox.Add({{"destination", name}, {"state", state}}).Set(static_cast<double>(n));
    };
    set("pending", count.pending);
    set("sending", count.sending);
    set("delivered", count.delivered);
    set("failed", count.failed);
    const std::int64_t age_ms = count.oldest_pending_at_ms == 0 ? 0 : now_ms - count.oldest_pending_at_ms;
    state_->outbox_age.Add({{"destination", destination}}).Set(static_cast<double>(age_ms > 0 ? age_ms : 0) / 1000.0);
  }
  state_->store_bytes.Add({{"file", "database"}}).Set(static_cast<double>(counts.database_bytes));
  state_->store_bytes.Add({{"file", "wal"}}).Set(static_cast<double>(counts.wal_bytes));
}

std::string Metrics::text() const {
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, state_->registry.Collect());
  return out.str();
}

}  // namespace choana
