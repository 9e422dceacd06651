#include <array>
#include <ctime>
#include <nlohmann/json.hpp>

#include "node/http_api.h"

namespace choana {
namespace {

using Json = nlohmann::ordered_json;

Json iso8601(std::int64_t unix_ms) {
  if (unix_ms <= 0) return nullptr;
  const std::time_t seconds = unix_ms / 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 40> text{};
  const std::size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  std::string stamp(text.data(), size);
  const std::string milliseconds = std::to_string(1000 + unix_ms % 1000).substr(1);
  return stamp + "." + milliseconds + "Z";
}

std::string dumped(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Json reason_json(const std::string& code, const std::string& text) {
  if (code.empty() && text.empty()) return nullptr;
  return Json{{"code", code}, {"text", text}};
}

Json study_json(const StudyRecord& study) {
  return Json{{"study_instance_uid", study.study_instance_uid},
              {"study_number", study.study_number},
              {"state", to_string(study.state)},
              {"revision", study.revision},
              {"outcome", study.outcome.empty() ? Json(nullptr) : Json(study.outcome)},
              {"reason", reason_json(study.reason_code, study.reason_text)},
              {"received_at", iso8601(study.first_at_ms)},
              {"last_received_at", iso8601(study.last_at_ms)},
              {"updated_at", iso8601(study.updated_at_ms)},
              {"instances", study.instances},
              {"series", study.series},
              {"conflicts", study.conflicts},
              {"duplicates", study.duplicates},
              {"deliveries_open", study.deliveries_open},
              {"deliveries_failed", study.deliveries_failed}};
}

Json attempts_json(const std::vector<JobAttempt>& attempts) {
  Json list = Json::array();
  for (const JobAttempt& attempt : attempts)
    list.push_back({{"n", attempt.number},
                    {"started_at", iso8601(attempt.started_at_ms)},
                    {"finished_at", iso8601(attempt.finished_at_ms)},
                    {"error", attempt.error.empty() ? Json(nullptr) : Json(attempt.error)}});
  return list;
}

Json delivery_json(const Delivery& delivery) {
  return Json{{"destination", delivery.destination},
              {"sop_instance_uid", delivery.sop_instance_uid},
              {"sop_class_uid", delivery.sop_class_uid},
              {"kind", delivery.kind},
              {"state", to_string(delivery.state)},
              {"attempts", delivery.attempts},
              {"last_status", delivery.last_status.empty() ? Json(nullptr) : Json(delivery.last_status)},
              {"last_error", delivery.last_error.empty() ? Json(nullptr) : Json(delivery.last_error)},
              {"next_at", delivery.state == DeliveryState::pending ? iso8601(delivery.next_at_ms) : Json(nullptr)},
              {"commitment", delivery.commitment.empty() ? Json(nullptr) : Json(delivery.commitment)}};
}

Json deliveries_json(const std::vector<Delivery>& deliveries) {
  Json list = Json::array();
  for (const Delivery& each : deliveries) list.push_back(delivery_json(each));
  return list;
}

Json job_json(const JobRecord& job) {
  Json objects = Json::array();
  for (const ResultObject& object : job.objects)
    objects.push_back({{"kind", object.kind},
                       {"sop_class_uid", object.sop_class_uid},
                       {"sop_instance_uid", object.sop_instance_uid},
                       {"series_instance_uid", object.series_instance_uid},
                       {"file", object.file}});
  return Json{{"job_id", job.job_id},
              {"revision", job.revision},
              {"state", to_string(job.state)},
              {"outcome", job.outcome.empty() ? Json(nullptr) : Json(job.outcome)},
              {"reason", reason_json(job.reason_code, job.reason_text)},
              {"settings_sha256", job.settings_sha256},
              {"attempts", attempts_json(job.attempts)},
              {"objects", objects}};
}

}  // namespace

std::string studies_json(const StudyPage& page) {
  Json list = Json::array();
  for (const StudyRecord& study : page.studies) {
    Json each = study_json(study);
    each["deliveries"] = deliveries_json(study.deliveries);
    each["attempts"] = attempts_json(study.attempts);
    list.push_back(std::move(each));
  }
  return dumped({{"studies", list}, {"next", page.next ? Json(std::to_string(*page.next)) : Json(nullptr)}});
}

std::string study_story_json(const StudyStory& story) {
  Json json = study_json(story.study);
  Json series = Json::array();
  for (const SeriesRecord& each : story.series)
    series.push_back({{"series_instance_uid", each.series_instance_uid}, {"modality", each.modality}, {"sop_class_uid", each.sop_class_uid}, {"instances", each.instances}});
  json["received_series"] = series;
  json["deliveries"] = deliveries_json(story.deliveries);
  json["attempts"] = attempts_json(story.study.attempts);
  Json jobs = Json::array();
  for (const JobRecord& job : story.jobs) jobs.push_back(job_json(job));
  json["jobs"] = jobs;
  Json events = Json::array();
  for (const StudyEvent& event : story.events) events.push_back({{"at", iso8601(event.at_ms)}, {"kind", event.kind}, {"text", event.text}});
  json["events"] = events;
  Json result = nullptr;
  if (!story.result_json.empty()) {
    result = Json::parse(story.result_json, nullptr, false);
    if (result.is_discarded()) result = nullptr;
  }
  json["result"] = result;
  return dumped(json);
}

}  // namespace choana
