#include "node/job_store.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/sha256.h"

namespace choana {
namespace {

constexpr std::array<std::pair<StudyState, std::string_view>, 9> state_names{{
    {StudyState::collecting, "collecting"},
    {StudyState::ready, "ready"},
    {StudyState::running, "running"},
    {StudyState::reporting, "reporting"},
    {StudyState::sending, "sending"},
    {StudyState::delivered, "delivered"},
    {StudyState::not_analysed, "not_analysed"},
    {StudyState::failed, "failed"},
    {StudyState::superseded, "superseded"},
}};

}  // namespace

std::string_view to_string(StudyState state) {
  for (const auto& [each, name] : state_names)
    if (each == state) return name;
  return "failed";
}

std::optional<StudyState> study_state_from(std::string_view text) {
  for (const auto& [each, name] : state_names)
    if (name == text) return each;
  return std::nullopt;
}

std::string_view to_string(InstanceDecision decision) {
  switch (decision) {
    case InstanceDecision::added: return "added";
    case InstanceDecision::known: return "known";
    case InstanceDecision::duplicate: return "duplicate";
    case InstanceDecision::conflict: return "conflict";
    case InstanceDecision::own_result: return "own_result";
  }
  return "added";
}

std::string_view to_string(DeliveryState state) {
  switch (state) {
    case DeliveryState::pending: return "pending";
    case DeliveryState::sending: return "sending";
    case DeliveryState::delivered: return "delivered";
    case DeliveryState::failed: return "failed";
  }
  return "failed";
}

int send_order(std::string_view kind) { return kind.starts_with("SEG") ? 0 : kind.starts_with("SR") ? 1 : 2; }

std::string make_job_key(const std::string& study_instance_uid, const std::vector<ReceivedInstance>& inputs, const std::string& pipeline,
                         const std::string& settings_sha256) {
  std::vector<std::pair<std::string, std::string>> selected;
  selected.reserve(inputs.size());
  for (const ReceivedInstance& input : inputs) selected.emplace_back(input.sop_instance_uid, input.sha256);
  std::sort(selected.begin(), selected.end());
  // Every part carries its length: no two different inputs make the same text.
  Sha256 hash;
  const auto add = [&hash](const std::string& part) { hash.update(std::to_string(part.size()) + ":" + part + "|"); };
  add("choana-job/1");
  add(study_instance_uid);
  for (const auto& [uid, sha256] : selected) {
    add(uid);
    add(sha256);
  }
  add(pipeline);
  add(settings_sha256);
  return hash.hex_digest();
}

}  // namespace choana
