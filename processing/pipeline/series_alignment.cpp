#include "processing/pipeline/series_alignment.h"

#include <cstdio>
#include <utility>

#include "processing/preprocessing/resampler.h"
#include "processing/roi/roi_builder.h"
#include "processing/radiomics/image.h"

namespace choana::processing {
namespace {

/// Does the package want these two registered to one another, or both to a third?
const RegistrationRequest* connection(const RoleContext& context, const std::string& from, const std::string& to) {
  const auto a = context.requests.find(from), b = context.requests.find(to);
  if (b != context.requests.end() && (b->second.to == from || (a != context.requests.end() && a->second.to == b->second.to))) return &b->second;
  if (a != context.requests.end() && a->second.to == to) return &a->second;
  return nullptr;
}

std::string text_of(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.3f", value);
  return text;
}

/// A grid as it lies before a motion that brought it where it is. frame_of_reference_uid: of what it then lies in.
Result<VolumeGeometry> before_motion(const VolumeGeometry& grid, const RigidTransform& motion, const std::string& frame_of_reference_uid) {
  const RigidTransform back = motion.inverse();
  Matrix3 direction{};
  for (std::size_t r = 0; r < 3; ++r)
    for (std::size_t c = 0; c < 3; ++c)
      for (std::size_t n = 0; n < 3; ++n) direction[3 * r + c] += back.rotation[3 * r + n] * grid.direction()[3 * n + c];
  return VolumeGeometry::make(grid.size(), grid.spacing_mm(), back.apply(grid.origin_mm()), direction, frame_of_reference_uid);
}

}  // namespace

Result<RegionOfInterest> carry_moved(const RegionOfInterest& roi, const VolumeGeometry& target, const RigidTransform& transform) {
  auto seen = before_motion(target, transform, roi.geometry().frame_of_reference_uid());
  if (!seen) return fail(seen.error());
  auto carried = carry_roi(roi, *seen);
  if (!carried) return carried;
  RoiOrigin origin = carried->origin();
  for (std::string& note : origin.notes)
    if (note.starts_with("Carried from the grid it was drawn on")) note = "Carried to another series by rigid registration: " + text_of(roi.volume_ml()) + " ml before, " + text_of(carried->volume_ml()) + " ml after.";
  return RegionOfInterest::make(roi.name(), target, carried->mask(), std::move(origin), roi.finding());
}

Result<SeriesVolume> moved_onto(const SeriesVolume& image, const VolumeGeometry& grid, const RigidTransform& grid_to_series) {
  auto seen = before_motion(image.geometry(), grid_to_series, "");
  if (!seen) return fail(seen.error());
  ScalarVolume moved = to_scalar_volume(image);
  moved.geometry = *seen;
  const ScalarVolume resampled = resample_image(moved, grid, Interpolation::cubic_bspline);
  return SeriesVolume::make(grid, {resampled.voxels.begin(), resampled.voxels.end()}, image.pixel_type(), image.reference(), image.acquisition());
}

Result<std::optional<RigidTransform>> SeriesAlignment::transform_between(const RoleContext& context, const std::string& from, const std::string& to, const RegionOfInterest& focus) {
  const std::size_t a = context.series.at(from), b = context.series.at(to);
  if (a == b) return std::optional<RigidTransform>{};
  const std::string &frame_a = series_[a].frame_of_reference_uid(), &frame_b = series_[b].frame_of_reference_uid();
  const bool same_frame = !frame_a.empty() && frame_a == frame_b;
  const RegistrationRequest* request = connection(context, from, to);
  if (request == nullptr) {
    if (same_frame) return std::optional<RigidTransform>{};
    return fail(ErrorCode::geometry_mismatch, "register", to + " lies in another frame of reference than " + from + ", and the model asks for no registration of the two.");
  }
  const BuiltVolume *reference = series_.main_volume(a), *moving = series_.main_volume(b);
  if (reference == nullptr) return fail(*series_[a].load_error);
  if (moving == nullptr) return fail(*series_[b].load_error);
  const RegistrationSettings& s = request->settings;
  std::string key = std::to_string(a) + "|" + std::to_string(b) + "|" + focus.name() + "|" + focus.origin().sop_instance_uid + "|" + std::to_string(focus.origin().number);
  for (const double limit : {static_cast<double>(s.seed), s.focus_margin_mm, s.translation_max_mm, s.rotation_max_deg, s.overlap_min, s.focus_overlap_min, s.information_min, s.agreement_min})
    key += "|" + std::to_string(limit);
  auto known = registrations_.find(key);
  if (known == registrations_.end()) {
    const double started = log_.now_s();
    auto registered = register_rigidly(reference->volume, moving->volume, &focus, s);
    Registered outcome;
    if (!registered) {
      outcome.error = registered.error();
    } else {
      outcome.registration = *registered;
      outcome.error = refusal_of(*registered, s);
      std::string record = registration_record(*registered);
      record.insert(1, "\"to\":" + json_quoted(from) + ",\"used\":" + (outcome.error ? "false" : "true") + ",");
      log_.inner_step({"register", to, record, log_.now_s() - started});
    }
    known = registrations_.emplace(key, std::move(outcome)).first;
  }
  if (!known->second.error) return std::optional<RigidTransform>(known->second.registration.reference_to_moving);
  Error error = *known->second.error;
  if (request->otherwise_geometry && same_frame) {
    log_.issue(error.code, to + " was placed beside " + from + " by their common frame of reference alone. " + error.message, to, focus.name());
    return std::optional<RigidTransform>{};
  }
  error.message = to + " could not be registered to " + from + ". " + error.message;
  return fail(std::move(error));
}

Result<RegionOfInterest> SeriesAlignment::place(const RoleContext& context, const DrawnRegion& region, const std::string& role) {
  const std::size_t n = context.series.at(role);
  const BuiltVolume* volume = series_.main_volume(n);
  if (volume == nullptr) return fail(*series_[n].load_error);
  const auto home = regions_.home_of(region);
  if (!home || *home == n) return regions_.bind(region, n, *volume);
  std::string from;
  for (const auto& [other, series] : context.series)
    if (series == *home && connection(context, other, role) != nullptr) from = other;
  if (from.empty())
    if (const auto request = context.requests.find(role); request != context.requests.end()) from = request->second.to;
  if (from.empty() || context.series.at(from) == n) return regions_.bind(region, n, *volume);
  const std::size_t source = context.series.at(from);
  const BuiltVolume* drawn_on = series_.main_volume(source);
  if (drawn_on == nullptr) return fail(*series_[source].load_error);
  auto roi = regions_.bind(region, source, *drawn_on);
  if (!roi) return roi;
  auto transform = transform_between(context, from, role, *roi);
  if (!transform) return fail(transform.error());
  if (!*transform) return regions_.bind(region, n, *volume);
  return carry_moved(*roi, volume->volume.geometry(), **transform);
}

}  // namespace choana::processing
