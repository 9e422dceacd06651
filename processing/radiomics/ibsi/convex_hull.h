#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/geometry.h"

namespace choana::processing::ibsi {

/// A point of a lattice; whole numbers make every orientation test exact.
using LatticePoint = std::array<std::int64_t, 3>;

/// Triangles of a hull, vertices anticlockwise seen from outside.
using HullTriangle = std::array<LatticePoint, 3>;

/// The convex hull of points that do not all lie in one plane; nothing if they do. |coordinates| up to 400,000.
[[nodiscard]] std::optional<std::vector<HullTriangle>> convex_hull(std::vector<LatticePoint> points);

struct HullMeasures {
  double area = 0;
  double volume = 0;
};

/// Area and volume of a hull whose lattice has these steps along its axes.
[[nodiscard]] HullMeasures measure_hull(const std::vector<HullTriangle>& hull, const Vector3& step);

}  // namespace choana::processing::ibsi
