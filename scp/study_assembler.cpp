#include "scp/study_assembler.h"

#include <algorithm>
#include <utility>

#include "scp/sop_classes.h"

namespace choana::scp {

std::string_view to_string(CloseReason reason) {
  switch (reason) {
    case CloseReason::evidence_complete: return "evidence_complete";
    case CloseReason::quiet_period: return "quiet_period";
    case CloseReason::deadline: return "deadline";
  }
  return "deadline";
}

std::string_view to_string(Arrival arrival) {
  switch (arrival) {
    case Arrival::added: return "added";
    case Arrival::duplicate: return "duplicate";
    case Arrival::conflicting: return "conflicting";
    case Arrival::not_an_input: return "not_an_input";
  }
  return "added";
}

StudyAssembler::StudyAssembler(Settings settings, Hooks hooks) : settings_(settings), hooks_(std::move(hooks)) {}

bool StudyAssembler::is_input(const ReceivedInstance& instance) const {
  if (hooks_.is_input) return hooks_.is_input(instance);
  return is_image_input(instance.sop_class_uid) || is_region_input(instance.sop_class_uid);
}

Arrival StudyAssembler::add(Study& study, const ReceivedInstance& instance) {
  const auto [known, is_new] = study.by_sop_uid.try_emplace(instance.sop_instance_uid, study.instances.size());
  if (is_new) {
    study.instances.push_back(instance);
    return Arrival::added;
  }
  if (study.instances[known->second].sha256 == instance.sha256) return Arrival::duplicate;
  const bool known_conflict = std::any_of(study.conflicting.begin(), study.conflicting.end(), [&](const ReceivedInstance& other) {
    return other.sop_instance_uid == instance.sop_instance_uid && other.sha256 == instance.sha256;
  });
  if (known_conflict) return Arrival::duplicate;
  study.conflicting.push_back(instance);
  return Arrival::conflicting;
}

Arrival StudyAssembler::on_instance(const ReceivedInstance& instance, std::int64_t now_ms) {
  if (!is_input(instance)) return Arrival::not_an_input;
  const std::string& uid = instance.study_instance_uid;
  if (!studies_.contains(uid) && hooks_.load) {
    if (auto stored = hooks_.load(uid)) {
      // The job store may already hold the row of the very instance that is told here.
      std::erase_if(stored->instances, [&](const ReceivedInstance& other) {
        return other.receive_id == instance.receive_id && !stored->closed_receive_ids.contains(other.receive_id);
      });
      restore(uid, std::move(*stored), now_ms);
    }
  }
  Study& study = studies_[uid];
  const Arrival arrival = add(study, instance);
  if (arrival == Arrival::added) {
    study.open = true;
    study.readiness.reset();
  }
  // Whatever comes for an open revision shows that its sender is at work; repeated octets do not open a closed one.
  if (study.open) {
    study.last_instance_ms = now_ms;
    if (open_associations_.contains(instance.association_id)) study.holders[instance.association_id] = now_ms;
  }
  return arrival;
}

void StudyAssembler::on_association_open(std::int64_t association_id) { open_associations_.insert(association_id); }

void StudyAssembler::on_association_closed(std::int64_t association_id, std::int64_t /*now_ms*/) {
  open_associations_.erase(association_id);
  for (auto& [uid, study] : studies_) study.holders.erase(association_id);
}

void StudyAssembler::reconsider(const std::string& study_instance_uid) {
  if (const auto found = studies_.find(study_instance_uid); found != studies_.end()) found->second.readiness.reset();
}

void StudyAssembler::reconsider_all() {
  for (auto& [uid, study] : studies_) study.readiness.reset();
}

void StudyAssembler::restore(const std::string& study_instance_uid, StoredStudy stored, std::int64_t now_ms) {
  Study study;
  study.closed_revision = stored.closed_revision;
  // What the closed revision holds comes first: of two contents under one UID it keeps the one it was analysed with.
  std::stable_partition(stored.instances.begin(), stored.instances.end(),
                        [&](const ReceivedInstance& i) { return stored.closed_receive_ids.contains(i.receive_id); });
  for (const ReceivedInstance& instance : stored.instances) {
    if (!is_input(instance)) continue;
    if (add(study, instance) == Arrival::added && !stored.closed_receive_ids.contains(instance.receive_id)) study.open = true;
  }
  if (study.instances.empty()) return;
  study.last_instance_ms = now_ms;
  study.closed_at_ms = now_ms;
  studies_[study_instance_uid] = std::move(study);
}

std::int64_t StudyAssembler::settle_ms() const { return std::min(settings_.settle_ms, settings_.quiet_ms); }

std::optional<std::int64_t> StudyAssembler::held_until(const Study& study) const {
  std::optional<std::int64_t> until;
  for (const auto& [association, last_ms] : study.holders) until = std::max(until.value_or(last_ms), last_ms + settings_.hold_ms);
  return until;
}

// The next moment at which the answer may change, given what is known now.
std::int64_t StudyAssembler::earliest_close_ms(const Study& study) const {
  const std::int64_t last = study.last_instance_ms;
  std::int64_t due = last + settle_ms();
  if (study.readiness) {
    due = last + (study.readiness->ready ? (study.readiness->needs_quiet_period ? settings_.quiet_ms : settle_ms()) : settings_.deadline_ms);
    if (study.readiness->ready) due = std::min(due, last + settings_.deadline_ms);
  }
  return std::max(due, held_until(study).value_or(due));
}

std::vector<ClosedStudy> StudyAssembler::take_complete(std::int64_t now_ms) {
  std::vector<ClosedStudy> closed;
  for (auto it = studies_.begin(); it != studies_.end();) {
    auto& [uid, study] = *it;
    if (!study.open) {
      if (now_ms - study.closed_at_ms >= settings_.forget_ms && hooks_.load) {
        it = studies_.erase(it);
      } else {
        ++it;
      }
      continue;
    }
    ++it;
    if (now_ms < earliest_close_ms(study)) continue;
    if (!study.readiness) {
      study.readiness = hooks_.readiness({uid, study.closed_revision + 1, study.instances});
      if (now_ms < earliest_close_ms(study)) continue;
    }
    ClosedStudy result;
    result.study_instance_uid = uid;
    result.revision = ++study.closed_revision;
    result.instances = study.instances;
    result.conflicting = study.conflicting;
    if (!study.readiness->ready) {
      result.reason = CloseReason::deadline;
      result.waiting_for = study.readiness->waiting_for;
    } else {
      result.reason = study.readiness->needs_quiet_period ? CloseReason::quiet_period : CloseReason::evidence_complete;
    }
    study.open = false;
    study.closed_at_ms = now_ms;
    study.holders.clear();
    study.readiness.reset();
    closed.push_back(std::move(result));
  }
  return closed;
}

std::optional<std::int64_t> StudyAssembler::next_due_ms() const {
  std::optional<std::int64_t> due;
  for (const auto& [uid, study] : studies_) {
    if (!study.open) continue;
    const std::int64_t at = earliest_close_ms(study);
    due = due ? std::min(*due, at) : at;
  }
  return due;
}

std::vector<StudyAssembler::Waiting> StudyAssembler::waiting(std::int64_t now_ms) const {
  std::vector<Waiting> list;
  for (const auto& [uid, study] : studies_) {
    if (!study.open) continue;
    const auto held = held_until(study);
    list.push_back({uid, study.closed_revision + 1, study.instances.size(), study.last_instance_ms, study.last_instance_ms + settings_.deadline_ms,
                    held && *held > now_ms, study.readiness ? study.readiness->waiting_for : std::vector<std::string>{}});
  }
  return list;
}

void StudyAssembler::forget(const std::string& study_instance_uid) { studies_.erase(study_instance_uid); }

}  // namespace choana::scp
