#include "node/study_readiness.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_set>

namespace choana::node {
namespace {

constexpr const char* structure_set_class = "1.2.840.10008.5.1.4.1.1.481.3";
constexpr const char* segmentation_class = "1.2.840.10008.5.1.4.1.1.66.4";
constexpr const char* label_map_class = "1.2.840.10008.5.1.4.1.1.66.7";

bool holds_regions(const ReceivedInstance& instance) {
  return instance.sop_class_uid == structure_set_class || instance.sop_class_uid == segmentation_class || instance.sop_class_uid == label_map_class;
}

bool is_image(const ReceivedInstance& instance) {
  const std::string& modality = instance.acquisition.modality;
  return modality == "MR" || modality == "CT" || modality == "PT";
}

// What is missing of the images that the regions refer to; nothing when no reference is sane.
std::size_t referenced_missing(const scp::StudySnapshot& study) {
  std::unordered_set<std::string> here;
  for (const ReceivedInstance& instance : study.instances) here.insert(instance.sop_instance_uid);
  std::size_t missing = 0;
  for (const ReceivedInstance& instance : study.instances) {
    if (!holds_regions(instance)) continue;
    std::size_t found = 0, absent = 0;
    for (const std::string& uid : instance.referenced_sop_instance_uids) ++(here.contains(uid) ? found : absent);
    // Of an object that names no image we hold, the references may be those of another system (spec/inputs.md 3): the
    // deadline and the geometry decide.
    if (found > 0) missing += absent;
  }
  return missing;
}

bool any_reference_found(const scp::StudySnapshot& study) {
  std::unordered_set<std::string> here;
  for (const ReceivedInstance& instance : study.instances)
    if (is_image(instance)) here.insert(instance.sop_instance_uid);
  bool any_reference = false;
  for (const ReceivedInstance& instance : study.instances) {
    if (!holds_regions(instance)) continue;
    for (const std::string& uid : instance.referenced_sop_instance_uids) {
      any_reference = true;
      if (here.contains(uid)) return true;
    }
  }
  return !any_reference;
}

std::set<std::string> roles_here(const scp::StudySnapshot& study, const processing::SeriesRules& rules) {
  struct Series {
    const ReceivedInstance* first = nullptr;
    std::set<double> b_values;
    int instances = 0;
  };
  std::map<std::string, Series> all;
  for (const ReceivedInstance& instance : study.instances) {
    if (!is_image(instance)) continue;
    Series& series = all[instance.series_instance_uid];
    if (series.first == nullptr) series.first = &instance;
    ++series.instances;
    if (instance.acquisition.b_value_s_per_mm2) series.b_values.insert(*instance.acquisition.b_value_s_per_mm2);
  }
  std::set<std::string> roles;
  for (const auto& [uid, series] : all) {
    processing::VolumeSummary summary;
    summary.slices = series.instances;
    summary.b_values_s_per_mm2.assign(series.b_values.begin(), series.b_values.end());
    const auto decision = processing::classify_series(series.first->acquisition, summary, rules);
    if (!decision.role.empty()) roles.insert(decision.role);
  }
  return roles;
}

}  // namespace

scp::Readiness judge_readiness(const scp::StudySnapshot& study, const std::vector<ReadinessNeed>& needs, const processing::SeriesRules& rules) {
  scp::Readiness readiness;
  const bool images = std::any_of(study.instances.begin(), study.instances.end(), is_image);
  const bool regions = std::any_of(study.instances.begin(), study.instances.end(), holds_regions);
  if (!images) readiness.waiting_for.push_back("no image series has come");
  if (!regions) readiness.waiting_for.push_back("no RTSTRUCT or SEG has come");
  if (const std::size_t missing = referenced_missing(study); missing > 0)
    readiness.waiting_for.push_back(std::to_string(missing) + " of the images that the regions refer to have not come");

  if (!needs.empty()) {
    const auto here = roles_here(study, rules);
    std::string nearest;
    std::size_t fewest = SIZE_MAX;
    for (const ReadinessNeed& need : needs) {
      std::string missing;
      std::size_t count = 0;
      for (const auto& accepted : need.roles) {
        const bool found = std::any_of(accepted.begin(), accepted.end(), [&](const std::string& role) {
          return std::any_of(here.begin(), here.end(), [&](const std::string& offered) { return processing::role_answers(offered, role); });
        });
        if (found || accepted.empty()) continue;
        ++count;
        missing += (missing.empty() ? "" : ", ") + accepted.front();
      }
      if (count < fewest) {
        fewest = count;
        nearest = "no series of role " + missing + " has come, which " + need.package + " needs";
      }
    }
    if (fewest > 0) readiness.waiting_for.push_back(nearest);
  }
  readiness.ready = readiness.waiting_for.empty();
  // A region whose references all fail may still belong to a series that is on its way; and without packages nothing
  // says how many series there will be: then only silence tells that the study has ended.
  readiness.needs_quiet_period = needs.empty() || !any_reference_found(study);
  return readiness;
}

}  // namespace choana::node
