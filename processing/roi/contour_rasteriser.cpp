#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>

#include "processing/roi/roi_builder.h"
#include "processing/roi/roi_text.h"

namespace choana::processing {
namespace {

constexpr const char* step = "rasterise";

constexpr double index_max = 1e6;  // in voxels: no patient is that large, and sums of such numbers stay exact enough

/// A point of a contour in continuous (column, row) index.
struct Point {
  double x = 0;
  double y = 0;
  friend bool operator==(const Point&, const Point&) = default;
};
using Polygon = std::vector<Point>;

/// A contour that lies in a plane of the image.
struct Outline {
  Polygon polygon;
  double plane = 0;  // continuous slice index of its plane
};

double signed_area(const Polygon& polygon) {
  double twice = 0;
  for (std::size_t i = 0; i < polygon.size(); ++i) {
    const Point& a = polygon[i];
    const Point& b = polygon[(i + 1) % polygon.size()];
    twice += a.x * b.y - b.x * a.y;
  }
  return twice / 2;
}

/// Toggle every pixel whose centre lies inside the polygon by the even-odd rule: an edge counts for a row when exactly
/// one of its ends lies above the row's centre line, and a centre is inside left of an odd number of crossings.
void toggle_inside(const Polygon& polygon, int columns, int rows, std::uint8_t* slice) {
  std::vector<std::vector<double>> crossings(static_cast<std::size_t>(rows));
  for (std::size_t i = 0; i < polygon.size(); ++i) {
    const Point& a = polygon[i];
    const Point& b = polygon[(i + 1) % polygon.size()];
    if (a.y == b.y) continue;
    const double low = std::min(a.y, b.y), high = std::max(a.y, b.y);
    const int first = static_cast<int>(std::clamp(std::ceil(low), 0.0, static_cast<double>(rows)));
    const int last = static_cast<int>(std::clamp(std::ceil(high) - 1, -1.0, rows - 1.0));  // low <= row < high
    for (int row = first; row <= last; ++row)
      crossings[static_cast<std::size_t>(row)].push_back((b.x - a.x) * (row - a.y) / (b.y - a.y) + a.x);
  }
  for (int row = 0; row < rows; ++row) {
    std::vector<double>& xs = crossings[static_cast<std::size_t>(row)];
    std::sort(xs.begin(), xs.end());
    for (std::size_t pair = 0; pair + 1 < xs.size(); pair += 2) {
      // Centres with xs[pair] <= column < xs[pair + 1]: those left of an odd number of crossings.
      const int first = static_cast<int>(std::clamp(std::ceil(xs[pair]), 0.0, static_cast<double>(columns)));
      const int last = static_cast<int>(std::clamp(std::ceil(xs[pair + 1]) - 1, -1.0, columns - 1.0));
      for (int column = first; column <= last; ++column) slice[static_cast<std::size_t>(row) * static_cast<std::size_t>(columns) + static_cast<std::size_t>(column)] ^= 1U;
    }
  }
}

bool contains(const Polygon& polygon, const Point& p) {
  bool inside = false;
  for (std::size_t i = 0, j = polygon.size() - 1; i < polygon.size(); j = i++) {
    const Point& a = polygon[i];
    const Point& b = polygon[j];
    if ((a.y > p.y) != (b.y > p.y) && p.x < (b.x - a.x) * (p.y - a.y) / (b.y - a.y) + a.x) inside = !inside;
  }
  return inside;
}

/// Area of the part inside the image, -0.5 to size - 0.5 on both axes (Sutherland and Hodgman 1974; bridges that the
/// clipping adds along the border enclose nothing).
double area_inside_image(const Polygon& polygon, int columns, int rows) {
  Polygon clipped = polygon;
  const auto clip = [&](auto inside, auto cross) {
    Polygon next;
    for (std::size_t i = 0; i < clipped.size(); ++i) {
      const Point& a = clipped[i];
      const Point& b = clipped[(i + 1) % clipped.size()];
      const bool a_in = inside(a), b_in = inside(b);
      if (a_in) next.push_back(a);
      if (a_in != b_in) next.push_back(cross(a, b));
    }
    clipped = std::move(next);
  };
  const double right = columns - 0.5, bottom = rows - 0.5;
  const auto at_x = [](double x) { return [x](const Point& a, const Point& b) { return Point{x, a.y + (x - a.x) / (b.x - a.x) * (b.y - a.y)}; }; };
  const auto at_y = [](double y) { return [y](const Point& a, const Point& b) { return Point{a.x + (y - a.y) / (b.y - a.y) * (b.x - a.x), y}; }; };
  clip([](const Point& p) { return p.x >= -0.5; }, at_x(-0.5));
  clip([&](const Point& p) { return p.x <= right; }, at_x(right));
  clip([](const Point& p) { return p.y >= -0.5; }, at_y(-0.5));
  clip([&](const Point& p) { return p.y <= bottom; }, at_y(bottom));
  return std::abs(signed_area(clipped));
}

/// +1 for an outline that adds area, -1 for a hole: by how many others of its slice enclose it.
double nesting_sign(const std::vector<const Outline*>& outlines, std::size_t index) {
  const Point& probe = outlines[index]->polygon.front();
  int enclosing = 0;
  for (std::size_t other = 0; other < outlines.size(); ++other)
    if (other != index && contains(outlines[other]->polygon, probe)) ++enclosing;
  return enclosing % 2 == 0 ? 1 : -1;
}

bool is_closed_planar(const std::string& type) {
  return type == "CLOSED_PLANAR" || type == "CLOSEDPLANAR_XOR" || type == "CLOSED_PLANAR_XOR" || type.empty();
}

}  // namespace

Result<RegionOfInterest> rasterise_roi(const StructureSetRoi& roi, const RoiOrigin& base, const VolumeGeometry& geometry, const RoiSettings& settings) {
  if (Status same = check_frame_of_reference(roi.frame_of_reference_uid, geometry, roi.name, step, settings); !same) return fail(same.error());
  RoiOrigin origin = base;
  origin.kind = RoiOrigin::Kind::structure_set;
  origin.number = roi.number;
  if (origin.algorithm_type.empty()) origin.algorithm_type = roi.generation_algorithm;
  origin.contours_used = origin.contours_dropped = 0;
  note_missing_frame_of_reference(roi.frame_of_reference_uid, geometry, origin);

  const auto [columns, rows, slices] = geometry.size();
  int other_types = 0, unreadable = 0, tilted = 0, beyond_stack = 0, other_planes = 0, repeated = 0;
  double area_outside = 0, area_all = 0;  // in pixels; of contours that can be measured
  std::map<int, std::vector<Outline>> outlines_of_slice;
  for (const PlanarContour& contour : roi.contours) {
    if (!is_closed_planar(contour.geometric_type)) {
      ++other_types;
      continue;
    }
    if (contour.points_mm.size() < 3) {
      ++unreadable;
      continue;
    }
    Outline outline;
    double lowest = INFINITY, highest = -INFINITY, sum = 0;
    bool sane = true;
    for (const Vector3& point : contour.points_mm) {
      const Vector3 index = geometry.patient_to_index(point);
      for (const double coordinate : index) sane = sane && std::abs(coordinate) < index_max;
      outline.polygon.push_back({index[0], index[1]});
      lowest = std::min(lowest, index[2]);
      highest = std::max(highest, index[2]);
      sum += index[2];
    }
    outline.plane = sum / static_cast<double>(contour.points_mm.size());
    if (!sane) {
      ++unreadable;
      continue;
    }
    if (highest - lowest > settings.planarity_slices_max) {
      ++tilted;
      continue;
    }
    const int slice = static_cast<int>(std::lround(outline.plane));
    if (slice < 0 || slice >= slices || std::abs(outline.plane - slice) > 0.5) {
      ++beyond_stack;
      const double area = std::abs(signed_area(outline.polygon));
      area_all += area;
      area_outside += area;
      continue;
    }
    outlines_of_slice[slice].push_back(std::move(outline));
  }

  std::vector<std::uint8_t> mask(geometry.voxel_count(), 0);
  double area_drawn = 0;  // holes taken off, in pixels
  const std::size_t slice_size = static_cast<std::size_t>(columns) * static_cast<std::size_t>(rows);
  for (const auto& [slice, outlines] : outlines_of_slice) {
    // Contours drawn on a finer grid than this image: several planes meet one slice, and XOR would cancel them. The
    // plane nearest to the slice stands for it.
    double nearest = outlines.front().plane;
    for (const Outline& outline : outlines)
      if (std::abs(outline.plane - slice) < std::abs(nearest - slice)) nearest = outline.plane;
    std::vector<const Outline*> used;
    for (const Outline& outline : outlines) {
      if (std::abs(outline.plane - nearest) > settings.plane_tolerance_slices) ++other_planes;
      // Stored twice, a contour would cancel itself.
      else if (std::any_of(used.begin(), used.end(), [&](const Outline* other) { return other->polygon == outline.polygon; })) ++repeated;
      else used.push_back(&outline);
    }
    const bool few = used.size() <= 500;  // nesting is quadratic; more contours than that on one slice are debris
    for (std::size_t i = 0; i < used.size(); ++i) {
      const Polygon& polygon = used[i]->polygon;
      toggle_inside(polygon, columns, rows, mask.data() + static_cast<std::size_t>(slice) * slice_size);
      const double area = std::abs(signed_area(polygon)), sign = few ? nesting_sign(used, i) : 1;
      area_drawn += sign * area;
      area_all += sign * area;
      area_outside += sign * (area - area_inside_image(polygon, columns, rows));
      ++origin.contours_used;
    }
  }

  origin.contours_dropped = other_types + unreadable + tilted + beyond_stack + other_planes + repeated;
  if (other_types > 0) origin.notes.push_back(counted(other_types, "contour is", "contours are") + " not closed and planar (points, open lines) and not used.");
  if (unreadable > 0) origin.notes.push_back(counted(unreadable, "contour has", "contours have") + " no usable points.");
  if (tilted > 0) origin.notes.push_back(counted(tilted, "contour does", "contours do") + " not lie in a plane of the image and was drawn in another orientation; not used.");
  if (beyond_stack > 0) origin.notes.push_back(counted(beyond_stack, "contour lies", "contours lie") + " more than half a slice beyond the image; not used.");
  if (other_planes > 0)
    origin.notes.push_back(counted(other_planes, "contour lies", "contours lie") + " between slices that have a nearer contour (drawn on a finer grid); not used.");
  if (repeated > 0) origin.notes.push_back(counted(repeated, "contour is", "contours are") + " stored twice; the copies were not used.");

  if (origin.contours_used == 0) {
    if (beyond_stack > 0)
      return fail(ErrorCode::roi_outside_image, step, "The region '" + roi.name + "' lies outside the image: all its contours are beyond the first and last slice.");
    if (tilted > 0)
      return fail(ErrorCode::geometry_mismatch, step, "The contours of the region '" + roi.name + "' do not lie in the planes of the image: it was drawn on another series.");
    return fail(ErrorCode::roi_empty, step, "The region '" + roi.name + "' has no closed contour.");
  }
  origin.contour_volume_ml = std::max(0.0, area_drawn) * geometry.voxel_volume_mm3() / 1000.0;
  if (area_all > 0) origin.fraction_outside_image = std::clamp(area_outside / area_all, 0.0, 1.0);
  if (origin.fraction_outside_image > 1 - 1e-9)
    return fail(ErrorCode::roi_outside_image, step, "The region '" + roi.name + "' lies outside the image.");
  if (origin.fraction_outside_image > 1e-6) origin.notes.push_back(percent(origin.fraction_outside_image) + " of the drawn region lies outside the image and was not measured.");

  const int first_slice = outlines_of_slice.begin()->first, last_slice = outlines_of_slice.rbegin()->first;
  const int without = last_slice - first_slice + 1 - static_cast<int>(outlines_of_slice.size());
  if (without > 0)
    origin.notes.push_back(counted(without, "slice", "slices") + " between the first and the last contour " + (without == 1 ? "has" : "have") +
                           " no contour; nothing was filled in there.");

  const std::size_t voxels = static_cast<std::size_t>(std::count(mask.begin(), mask.end(), std::uint8_t{1}));
  if (voxels == 0)
    return fail(ErrorCode::roi_too_small, step, "The region '" + roi.name + "' is so small that it holds the centre of no voxel.");
  const double voxel_volume_ml = static_cast<double>(voxels) * geometry.voxel_volume_mm3() / 1000.0;
  const double drawn_inside_ml = origin.contour_volume_ml * (1 - origin.fraction_outside_image);
  if (drawn_inside_ml > 0 && std::abs(voxel_volume_ml - drawn_inside_ml) > 0.1 * drawn_inside_ml)
    origin.notes.push_back("The voxels hold " + decimal(voxel_volume_ml) + " ml but the contours enclose " + decimal(drawn_inside_ml) +
                           " ml: the region is small against the voxels, or its contours overlap.");
  return RegionOfInterest::make(roi.name, geometry, std::move(mask), std::move(origin));
}

std::vector<std::string> compare_references(const StructureSetRoi& roi, const SeriesReference& series, const VolumeGeometry& geometry) {
  std::map<std::string, int> slice_of;
  for (std::size_t k = 0; k < series.slices.size(); ++k) slice_of.emplace(series.slices[k].sop_instance_uid, static_cast<int>(k));
  // An enhanced object is one instance for all slices: its UID says nothing about the slice.
  const bool one_slice_each = slice_of.size() == series.slices.size();
  int absent = 0, elsewhere = 0, named = 0;
  for (const PlanarContour& contour : roi.contours) {
    if (contour.points_mm.empty() || contour.referenced_sop_instance_uids.empty()) continue;
    ++named;
    bool found = false, agrees = false;
    for (const std::string& uid : contour.referenced_sop_instance_uids) {
      const auto slice = slice_of.find(uid);
      if (slice == slice_of.end()) continue;
      found = true;
      agrees = agrees || !one_slice_each || std::abs(geometry.patient_to_index(contour.points_mm.front())[2] - slice->second) <= 0.5;
    }
    if (!found) ++absent;
    else if (!agrees) ++elsewhere;
  }
  std::vector<std::string> notes;
  if (absent > 0)
    notes.push_back(std::to_string(absent) + " of " + std::to_string(named) + " contours name images that are not in the series; they were placed by their coordinates.");
  if (elsewhere > 0)
    notes.push_back(std::to_string(elsewhere) + " of " + std::to_string(named) + " contours name another slice than the one they lie on; they were placed by their coordinates.");
  return notes;
}

}  // namespace choana::processing
