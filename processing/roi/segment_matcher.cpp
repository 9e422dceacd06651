#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <set>

#include "processing/roi/roi_builder.h"
#include "processing/roi/roi_text.h"

namespace choana::processing {
namespace {

constexpr const char* step = "match_segment";

/// How an axis of the segmentation runs in the image: along which axis, and in which direction.
struct AxisMatch {
  int axis = -1;
  int sign = 1;
};

/// A step of the segmentation grid in image index; matched if it is one whole voxel along one axis. `extent`: number of
/// steps over which a small error adds up; half a tenth of a voxel in all is still the same grid.
std::optional<AxisMatch> match_axis(const Vector3& step_index, int extent) {
  AxisMatch match;
  for (int axis = 0; axis < 3; ++axis) {
    const double along = step_index[static_cast<std::size_t>(axis)];
    if (std::abs(along) > 0.5) {
      if (match.axis >= 0) return std::nullopt;
      match.axis = axis;
      match.sign = along > 0 ? 1 : -1;
    }
  }
  if (match.axis < 0) return std::nullopt;
  for (int axis = 0; axis < 3; ++axis) {
    const double expected = axis == match.axis ? match.sign : 0;
    if (std::abs(step_index[static_cast<std::size_t>(axis)] - expected) * std::max(1, extent - 1) > 0.1) return std::nullopt;
  }
  return match;
}

struct ChosenFrame {
  const SegmentFrame* frame = nullptr;
  float threshold = 0.5F;
  float exact = -1;  // label map: the value itself

  [[nodiscard]] bool set(std::size_t pixel) const {
    const float value = frame->values[pixel];
    return exact >= 0 ? value == exact : value >= threshold;
  }
};

/// The segment on its own regular grid, for resampling. Frames must lie on a line along the normal, at whole multiples
/// of one spacing.
Result<RegionOfInterest> on_own_grid(const SegmentationObject& object, const std::vector<ChosenFrame>& frames, const std::string& name, const RoiOrigin& origin,
                                     double slice_spacing_if_single_mm) {
  const Vector3 normal = cross(object.row_direction, object.column_direction);
  std::vector<double> heights;
  for (const ChosenFrame& chosen : frames) heights.push_back(dot(chosen.frame->position_mm, normal));
  std::vector<double> sorted = heights;
  std::sort(sorted.begin(), sorted.end());
  double spacing = object.slice_spacing_mm;
  double smallest = INFINITY;
  for (std::size_t i = 1; i < sorted.size(); ++i)
    if (sorted[i] - sorted[i - 1] > 1e-3) smallest = std::min(smallest, sorted[i] - sorted[i - 1]);
  const auto fits_all = [&](double candidate) {
    return candidate > 0 && std::all_of(sorted.begin(), sorted.end(), [&](double h) {
             const double n = (h - sorted.front()) / candidate;
             return std::abs(n - std::round(n)) < 0.05;
           });
  };
  if (!fits_all(spacing)) spacing = smallest;
  if (!std::isfinite(spacing)) spacing = slice_spacing_if_single_mm;
  if (!fits_all(spacing))
    return fail(ErrorCode::geometry_mismatch, step, "The frames of the segment '" + name + "' are not evenly spaced; it cannot be placed on the image.");
  const double count = std::round((sorted.back() - sorted.front()) / spacing) + 1;
  if (count > 16'384) return fail(ErrorCode::limit_exceeded, step, "The segment '" + name + "' spans more slices than can be processed.");
  const std::size_t first = static_cast<std::size_t>(std::min_element(heights.begin(), heights.end()) - heights.begin());
  const Vector3& r = object.row_direction;
  const Vector3& c = object.column_direction;
  auto grid = VolumeGeometry::make({object.columns, object.rows, static_cast<int>(count)}, {object.column_spacing_mm, object.row_spacing_mm, spacing},
                                   frames[first].frame->position_mm, {r[0], c[0], normal[0], r[1], c[1], normal[1], r[2], c[2], normal[2]},
                                   object.frame_of_reference_uid);
  if (!grid) return fail(grid.error());
  if (grid->voxel_count() > std::size_t{1} << 30) return fail(ErrorCode::limit_exceeded, step, "The segmentation is larger than can be processed.");
  std::vector<std::uint8_t> mask(grid->voxel_count(), 0);
  const std::size_t pixels = static_cast<std::size_t>(object.columns) * static_cast<std::size_t>(object.rows);
  for (std::size_t f = 0; f < frames.size(); ++f) {
    const Vector3 offset = grid->patient_to_index(frames[f].frame->position_mm);
    if (std::abs(offset[0]) > 0.05 || std::abs(offset[1]) > 0.05)
      return fail(ErrorCode::geometry_mismatch, step, "The frames of the segment '" + name + "' do not lie above each other; it cannot be placed on the image.");
    const auto slice = static_cast<std::size_t>(std::lround((heights[f] - sorted.front()) / spacing));
    for (std::size_t p = 0; p < pixels; ++p)
      if (frames[f].set(p)) mask[slice * pixels + p] = 1;
  }
  return RegionOfInterest::make(name, *grid, std::move(mask), origin);
}

}  // namespace

Result<RegionOfInterest> roi_from_segment(const SegmentationObject& object, int segment_number, const VolumeGeometry& geometry, const RoiSettings& settings) {
  const auto described = std::find_if(object.segments.begin(), object.segments.end(), [&](const SegmentDescription& s) { return s.number == segment_number; });
  const bool label_map = object.segmentation_type == "LABELMAP";
  const bool has_frames = std::any_of(object.frames.begin(), object.frames.end(), [&](const SegmentFrame& f) { return f.segment_number == segment_number; });
  if (described == object.segments.end() && !has_frames)
    return fail(ErrorCode::roi_missing, step, "The segmentation has no segment number " + std::to_string(segment_number) + ".");

  const std::string name = described != object.segments.end() && !described->label.empty() ? described->label : "Segment " + std::to_string(segment_number);
  if (Status same = check_frame_of_reference(object.frame_of_reference_uid, geometry, name, step, settings); !same) return fail(same.error());
  RoiOrigin origin;
  origin.kind = RoiOrigin::Kind::segmentation;
  origin.sop_class_uid = object.sop_class_uid;
  origin.sop_instance_uid = object.sop_instance_uid;
  origin.series_instance_uid = object.series_instance_uid;
  origin.number = segment_number;
  if (described != object.segments.end()) origin.algorithm_type = described->algorithm_type;
  note_missing_frame_of_reference(object.frame_of_reference_uid, geometry, origin);

  std::vector<ChosenFrame> frames;
  const std::size_t pixels = static_cast<std::size_t>(object.columns) * static_cast<std::size_t>(object.rows);
  bool between = false;
  std::size_t drawn = 0;
  for (const SegmentFrame& frame : object.frames) {
    if (!label_map && frame.segment_number != segment_number) continue;
    if (frame.values.size() != pixels) return fail(ErrorCode::invalid_argument, step, "A frame of the segmentation has the wrong number of pixels.");
    ChosenFrame chosen{&frame, static_cast<float>(settings.fraction_min), label_map ? static_cast<float>(segment_number) : -1.0F};
    std::size_t set = 0;
    for (std::size_t p = 0; p < pixels; ++p) {
      if (chosen.set(p)) ++set;
      if (!label_map && frame.values[p] > 0 && frame.values[p] < 1) between = true;
    }
    drawn += set;
    if (set > 0) frames.push_back(chosen);
  }
  if (frames.empty()) return fail(ErrorCode::roi_empty, step, "Nothing is set in the segment '" + name + "'.");
  if (between) origin.notes.push_back("A fractional segment: values of at least " + decimal(settings.fraction_min) + " count as inside.");

  // One pixel to the right, one down, in image index.
  const Vector3 origin_index = geometry.patient_to_index(frames.front().frame->position_mm);
  const Vector3 right = geometry.patient_to_index(frames.front().frame->position_mm + object.column_spacing_mm * object.row_direction) - origin_index;
  const Vector3 down = geometry.patient_to_index(frames.front().frame->position_mm + object.row_spacing_mm * object.column_direction) - origin_index;
  const auto across = match_axis(right, object.columns), along = match_axis(down, object.rows);
  CodedConcept finding = described != object.segments.end() ? described->type : CodedConcept{};

  bool same_grid = across && along && across->axis != along->axis;
  if (same_grid) {
    // Frames must also keep step with the slices: a stack of other spacing is another grid.
    const auto normal = static_cast<std::size_t>(3 - across->axis - along->axis);
    double lowest = INFINITY, highest = -INFINITY;
    for (const ChosenFrame& chosen : frames) {
      const double at = geometry.patient_to_index(chosen.frame->position_mm)[normal];
      const double whole = std::round(origin_index[normal]) + std::round(at - origin_index[normal]);
      lowest = std::min(lowest, at - whole);
      highest = std::max(highest, at - whole);
    }
    same_grid = highest - lowest <= 0.1;
  }
  if (!same_grid) {
    auto own = on_own_grid(object, frames, name, origin, geometry.spacing_mm()[2]);
    if (!own) return fail(own.error());
    auto carried = carry_roi(*own, geometry, settings);
    if (!carried) return fail(carried.error());
    RoiOrigin ledger = carried->origin();
    ledger.notes.emplace_back("The segmentation has another pixel spacing or orientation than the image and was resampled.");
    return RegionOfInterest::make(name, geometry, carried->mask(), std::move(ledger), std::move(finding));
  }

  const int normal_axis = 3 - across->axis - along->axis;
  const Index3 size = geometry.size();
  std::vector<std::uint8_t> mask(geometry.voxel_count(), 0);
  std::size_t outside = 0;
  double shift_mm_max = 0;
  bool half_voxel = false;
  std::set<int> planes;
  for (const ChosenFrame& chosen : frames) {
    const Vector3 at = geometry.patient_to_index(chosen.frame->position_mm);
    Index3 start{};
    for (std::size_t axis = 0; axis < 3; ++axis) {
      if (std::abs(at[axis]) > 1e6) return fail(ErrorCode::roi_outside_image, step, "The segment '" + name + "' lies outside the image.");
      start[axis] = static_cast<int>(std::lround(at[axis]));
      const double shift = std::abs(at[axis] - start[axis]);
      const bool in_stack = static_cast<int>(axis) != normal_axis || (start[axis] >= 0 && start[axis] < size[axis]);
      if (!in_stack) continue;  // counted as outside below
      shift_mm_max = std::max(shift_mm_max, shift * geometry.spacing_mm()[axis]);
      if (shift > 0.499) half_voxel = true;
    }
    planes.insert(start[static_cast<std::size_t>(normal_axis)]);
    for (int row = 0; row < object.rows; ++row)
      for (int column = 0; column < object.columns; ++column) {
        if (!chosen.set(static_cast<std::size_t>(row) * static_cast<std::size_t>(object.columns) + static_cast<std::size_t>(column))) continue;
        Index3 voxel = start;
        voxel[static_cast<std::size_t>(across->axis)] += across->sign * column;
        voxel[static_cast<std::size_t>(along->axis)] += along->sign * row;
        if (voxel[0] < 0 || voxel[1] < 0 || voxel[2] < 0 || voxel[0] >= size[0] || voxel[1] >= size[1] || voxel[2] >= size[2]) {
          ++outside;
          continue;
        }
        mask[geometry.offset(voxel[0], voxel[1], voxel[2])] = 1;
      }
  }
  if (half_voxel)
    return fail(ErrorCode::geometry_mismatch, step,
                "The grid of the segment '" + name + "' is off the image by half a voxel or more (" + decimal(shift_mm_max) + " mm); it cannot be placed surely.");
  if (shift_mm_max > settings.shift_noted_mm)
    origin.notes.push_back("The grid of the segmentation is off the image by up to " + decimal(shift_mm_max) + " mm; each pixel went to the nearest voxel.");
  if (normal_axis != 2) origin.notes.emplace_back("The segmentation was made in another plane than the image; its pixels were matched to the image's voxels.");
  origin.fraction_outside_image = static_cast<double>(outside) / static_cast<double>(drawn);
  if (outside == drawn) return fail(ErrorCode::roi_outside_image, step, "The segment '" + name + "' lies outside the image.");
  if (outside > 0) origin.notes.push_back(percent(origin.fraction_outside_image) + " of the segment lies outside the image and was not measured.");

  // Frames farther apart than the slices leave slices between them empty; the object may mean it so, or not.
  const int missing = planes.empty() ? 0 : *planes.rbegin() - *planes.begin() + 1 - static_cast<int>(planes.size());
  if (missing > 0) origin.notes.push_back(counted(missing, "slice", "slices") + " between the first and the last frame hold nothing of the segment.");
  return RegionOfInterest::make(name, geometry, std::move(mask), std::move(origin), std::move(finding));
}

}  // namespace choana::processing
