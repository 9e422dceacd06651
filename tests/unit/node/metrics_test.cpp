#include "node/metrics.h"

#include <gtest/gtest.h>

namespace choana {
namespace {

TEST(Metrics, SpeaksPrometheusTextWithBaseUnits) {
  Metrics metrics;
  metrics.instance_received(1000, 0.002);
  metrics.instance_received(500, 0.003);
  metrics.instance_refused("a700");
  metrics.job_finished("reported", 3.5);
  metrics.delivery_ended("pacs", "delivered");
  metrics.set_destination({"pacs", 3, 0, true, false, "", 0});
  const std::string text = metrics.text();
  for (const char* line :
       {"# TYPE choana_instances_received_total counter", "choana_instances_received_total 2", "choana_received_bytes_total 1500",
        "choana_instances_refused_total{status=\"a700\"} 1", "choana_jobs_total{outcome=\"reported\"} 1", "choana_jobs_total{outcome=\"failed\"} 0",
        "choana_destination_failures{destination=\"pacs\"} 3", "choana_job_seconds_count{outcome=\"reported\"} 1", "choana_build_info{version="})
    EXPECT_NE(text.find(line), std::string::npos) << line << "\n" << text;
}

TEST(Metrics, ShowsTheStoreAndTheAgeOfWhatWaits) {
  Metrics metrics;
  StoreCounts counts;
  counts.studies_by_state["sending"] = 4;
  counts.outbox_by_destination["pacs"] = {7, 1, 20, 2, 1000};
  metrics.update(counts, 61'000);
  const std::string text = metrics.text();
  for (const char* line : {"choana_studies{state=\"sending\"} 4", "choana_studies{state=\"failed\"} 0",
                           "choana_outbox_oldest_pending_seconds{destination=\"pacs\"} 60"})
    EXPECT_NE(text.find(line), std::string::npos) << line << "\n" << text;
  counts.studies_by_state.clear();
  metrics.update(counts, 500);  // a clock that went back shows no negative age
  EXPECT_NE(metrics.text().find("choana_studies{state=\"sending\"} 0"), std::string::npos);
  EXPECT_NE(metrics.text().find("choana_outbox_oldest_pending_seconds{destination=\"pacs\"} 0"), std::string::npos);
}

}  // namespace
}  // namespace choana
