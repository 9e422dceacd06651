#include "processing/pipeline/study_series.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>


namespace choana::processing {
namespace {


std::string dwi_role(const std::string& role, std::optional<double> b_value) {
  if (role != "DWI" || !b_value) return role;
  return "DWI-b" + std::to_string(std::lround(*b_value));
}

// What headers alone tell of a series: enough to choose its role before any pixel is decoded.
VolumeSummary summarise_headers(const std::vector<AcquiredSlice>& slices) {
  VolumeSummary summary;
  std::set<double> b_values;
  std::map<double, int> slices_of_b;
  for (const AcquiredSlice& slice : slices) {
    const double b = slice.acquisition.b_value_s_per_mm2.value_or(-1);
    if (b >= 0) b_values.insert(b);
    summary.slices = std::max(summary.slices, ++slices_of_b[b]);
    summary.field_of_view_mm = std::max({summary.field_of_view_mm, slice.columns * slice.column_spacing_mm, slice.rows * slice.row_spacing_mm});
  }
  summary.b_values_s_per_mm2.assign(b_values.begin(), b_values.end());
  const AcquiredSlice& first = slices.front();
  if (first.has_geometry) {
    const Vector3 &x = first.row_direction, &y = first.column_direction, z = cross(x, y);
    if (const auto grid = VolumeGeometry::make({1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {x[0], y[0], z[0], x[1], y[1], z[1], x[2], y[2], z[2]})) summary.plane = plane_of(*grid);
  }
  return summary;
}

}  // namespace

void StudySeries::assign_roles(const PipelineSettings& settings) {
  const StudyLog::Timer timer(log_, "assign_roles", "");
  for (const std::vector<AcquiredSlice>& slices : input_.series) {
    if (slices.empty()) continue;
    SeriesState state;
    state.slices = &slices;
    state.summary = summarise_headers(slices);
    state.role = classify_series(slices[slices.size() / 2].acquisition, state.summary, settings.rules);
    for (const auto& [role, uid] : settings.role_overrides)
      if (uid == slices.front().series_instance_uid) {
        state.role.role = role;
        state.role.reasons = {"named for this role by a person"};
      }
    state.decision.series_instance_uid = slices.front().series_instance_uid;
    state.decision.series_number = slices.front().series_number;
    state.decision.description = slices.front().acquisition.series_description;
    state.decision.reasons = state.role.reasons;
    state.decision.rejected = state.role.rejected;
    series_.push_back(std::move(state));
  }
}

std::vector<BuiltVolume>& StudySeries::volumes_of(std::size_t n) {
  SeriesState& state = series_[n];
  if (state.tried) return state.volumes;
  state.tried = true;
  const StudyLog::Timer timer(log_, "read_series", state.role.role);
  auto slices = input_.load(state.uid());
  if (!slices) {
    state.load_error = slices.error();
  } else {
    auto built = build_volumes(std::move(*slices));
    if (!built) {
      state.load_error = built.error();
    } else {
      state.volumes = std::move(built->volumes);
      state.decision.rejected.insert(state.decision.rejected.end(), built->rejected.begin(), built->rejected.end());
      if (state.volumes.empty())
        state.load_error = Error{ErrorCode::irregular_slices, "build_volumes",
                                 built->rejected.empty() ? "No volume could be built from the series." : built->rejected.front(), ""};
    }
  }
  if (state.load_error) state.decision.rejected.push_back(state.load_error->message);
  return state.volumes;
}

BuiltVolume* StudySeries::main_volume(std::size_t n) {
  std::vector<BuiltVolume>& volumes = volumes_of(n);
  BuiltVolume* best = nullptr;
  for (BuiltVolume& volume : volumes)
    if (best == nullptr || volume.b_value_s_per_mm2.value_or(-1) > best->b_value_s_per_mm2.value_or(-1)) best = &volume;
  return best;
}

std::string StudySeries::role_or_modality(std::size_t n) const {
  if (!series_[n].role.role.empty()) return series_[n].role.role;
  const std::string& modality = series_[n].slices->front().acquisition.modality;
  return modality.empty() ? "MR" : modality;
}

std::size_t StudySeries::measured_index(std::size_t n, const BuiltVolume& volume) {
  const std::string role = dwi_role(role_or_modality(n), volume.b_value_s_per_mm2);
  for (std::size_t m = 0; m < findings_.measured.size(); ++m)
    if (findings_.measured[m].volume.reference().series_instance_uid == series_[n].uid()) return m;
  series_[n].decision.role = role;
  findings_.measured.push_back({role, volume.volume, {}});
  for (const std::string& note : volume.notes) series_[n].decision.reasons.push_back(note);
  if (volume.volume.acquisition().lossy_compressed)
    log_.issue(ErrorCode::degenerate_input, "Series " + std::to_string(series_[n].decision.series_number) + " is lossy compressed; its feature values differ from those of the original.", role, "");
  return findings_.measured.size() - 1;
}

std::optional<std::size_t> StudySeries::choose(const RequiredSequence& sequence) {
  for (const std::string& accepted : sequence.accepts) {
    std::vector<RoleCandidate> candidates;
    for (const SeriesState& state : series_) {
      const AcquisitionFacts& facts = state.slices->front().acquisition;
      candidates.push_back({state.role, state.summary, "series " + std::to_string(state.decision.series_number), facts.acquisition_date, facts.acquisition_time});
    }
    const auto choice = choose_candidate(accepted, candidates);
    if (!choice) continue;
    const std::size_t n = choice->index;
    series_[n].decision.reasons.insert(series_[n].decision.reasons.end(), choice->reasons.begin(), choice->reasons.end());
    if (accepted != sequence.role) series_[n].decision.reasons.push_back("taken in the place of " + sequence.role);
    return n;
  }
  return std::nullopt;
}

std::string StudySeries::what_was_found() const {
  std::string text;
  for (const SeriesState& state : series_) {
    text += text.empty() ? "; received were: " : ", ";
    text += "series " + std::to_string(state.decision.series_number) + " " + (state.role.role.empty() ? "of no known role" : state.role.role);
  }
  return text.empty() ? "; no image series was received" : text;
}

}  // namespace choana::processing
