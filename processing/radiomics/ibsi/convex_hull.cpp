#include "processing/radiomics/ibsi/convex_hull.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <utility>

namespace choana::processing::ibsi {
namespace {

LatticePoint difference(const LatticePoint& a, const LatticePoint& b) { return {a[0] - b[0], a[1] - b[1], a[2] - b[2]}; }

LatticePoint cross_product(const LatticePoint& a, const LatticePoint& b) {
  return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}

std::int64_t scalar_product(const LatticePoint& a, const LatticePoint& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

/// Above 0: d lies on the outer side of the triangle a, b, c (anticlockwise seen from d).
std::int64_t side(const LatticePoint& a, const LatticePoint& b, const LatticePoint& c, const LatticePoint& d) {
  return scalar_product(cross_product(difference(b, a), difference(c, a)), difference(d, a));
}

/// Of the points of each plane (equal last coordinate) only the corners of their hull can be corners in space.
std::vector<LatticePoint> plane_corners(std::vector<LatticePoint> points) {
  std::sort(points.begin(), points.end(), [](const LatticePoint& a, const LatticePoint& b) {
    return a[2] != b[2] ? a[2] < b[2] : a[0] != b[0] ? a[0] < b[0] : a[1] < b[1];
  });
  points.erase(std::unique(points.begin(), points.end()), points.end());
  std::vector<LatticePoint> corners;
  for (std::size_t from = 0; from < points.size();) {
    std::size_t to = from;
    while (to < points.size() && points[to][2] == points[from][2]) ++to;
    const std::size_t start = corners.size();
    // Monotone chain: the lower hull, then the upper one.
    for (const bool upper : {false, true}) {
      const std::size_t base = corners.size();
      for (std::size_t n = 0; n < to - from; ++n) {
        const LatticePoint& p = upper ? points[to - 1 - n] : points[from + n];
        while (corners.size() >= base + 2) {
          const LatticePoint& a = corners[corners.size() - 2];
          const LatticePoint& b = corners.back();
          if ((b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0]) > 0) break;
          corners.pop_back();
        }
        corners.push_back(p);
      }
    }
    std::sort(corners.begin() + static_cast<std::ptrdiff_t>(start), corners.end());
    corners.erase(std::unique(corners.begin() + static_cast<std::ptrdiff_t>(start), corners.end()), corners.end());
    from = to;
  }
  return corners;
}

/// Four points that span space, moved to the front; false if there are none.
bool find_tetrahedron(std::vector<LatticePoint>& points) {
  const auto bring = [&](std::size_t place, auto&& fits) {
    for (std::size_t at = place; at < points.size(); ++at)
      if (fits(points[at])) {
        std::swap(points[place], points[at]);
        return true;
      }
    return false;
  };
  return points.size() >= 4 && bring(1, [&](const LatticePoint& p) { return p != points[0]; }) &&
         bring(2, [&](const LatticePoint& p) { return cross_product(difference(points[1], points[0]), difference(p, points[0])) != LatticePoint{0, 0, 0}; }) &&
         bring(3, [&](const LatticePoint& p) { return side(points[0], points[1], points[2], p) != 0; });
}

}  // namespace

std::optional<std::vector<HullTriangle>> convex_hull(std::vector<LatticePoint> points) {
  points = plane_corners(std::move(points));
  if (!find_tetrahedron(points)) return std::nullopt;
  using Face = std::array<std::size_t, 3>;
  std::vector<Face> faces;
  const bool outward = side(points[0], points[1], points[2], points[3]) < 0;
  for (const Face& face : {Face{0, 1, 2}, Face{0, 3, 1}, Face{1, 3, 2}, Face{2, 3, 0}}) faces.push_back(outward ? face : Face{face[0], face[2], face[1]});
  std::map<std::pair<std::size_t, std::size_t>, int> edges;   // of the faces that the new point sees
  std::vector<Face> kept;
  for (std::size_t next = 4; next < points.size(); ++next) {
    edges.clear();
    kept.clear();
    for (const Face& face : faces) {
      // A point in the plane of a face does not see it.
      if (side(points[face[0]], points[face[1]], points[face[2]], points[next]) <= 0) {
        kept.push_back(face);
        continue;
      }
      for (std::size_t corner = 0; corner < 3; ++corner) ++edges[{face[corner], face[(corner + 1) % 3]}];
    }
    if (kept.size() == faces.size()) continue;
    for (const auto& [edge, count] : edges)
      if (!edges.contains({edge.second, edge.first})) kept.push_back({edge.first, edge.second, next});
    faces.swap(kept);
  }
  std::vector<HullTriangle> hull;
  hull.reserve(faces.size());
  for (const Face& face : faces) hull.push_back({points[face[0]], points[face[1]], points[face[2]]});
  return hull;
}

HullMeasures measure_hull(const std::vector<HullTriangle>& hull, const Vector3& step) {
  HullMeasures measures;
  if (hull.empty()) return measures;
  const LatticePoint apex = hull.front()[0];
  const auto position = [&](const LatticePoint& p) {
    const LatticePoint d = difference(p, apex);
    return Vector3{static_cast<double>(d[0]) * step[0], static_cast<double>(d[1]) * step[1], static_cast<double>(d[2]) * step[2]};
  };
  for (const HullTriangle& triangle : hull) {
    const Vector3 a = position(triangle[0]);
    const Vector3 b = position(triangle[1]);
    const Vector3 c = position(triangle[2]);
    measures.area += norm(cross(b - a, c - a)) / 2;
    measures.volume += dot(a, cross(b, c)) / 6;
  }
  return measures;
}

}  // namespace choana::processing::ibsi
