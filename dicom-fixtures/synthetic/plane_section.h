#pragma once

#include <functional>
#include <vector>

#include "core/geometry.h"

namespace choana::fixtures {

/// A closed curve in one slice plane.
struct SectionLoop {
  std::vector<Vector3> points_mm;  // patient coordinates
  double area_mm2 = 0;
};

/// Cut the surface `distance` = 0 with the plane of slice k: marching squares on a grid of 0.6 mm, inside = negative.
/// centre and reach_mm bound the surface.
[[nodiscard]] std::vector<SectionLoop> plane_section(const VolumeGeometry& grid, int k, const Vector3& centre, double reach_mm,
                                                     const std::function<double(const Vector3&)>& distance);

}  // namespace choana::fixtures
