#include "processing/radiomics/families/surface_mesh.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "processing/radiomics/matrices/level_volume.h"

namespace choana::processing {
namespace {

struct Triangle {
  int a = -1, b = -1, c = -1;
};

/// Twice the midpoint of each cube edge, as (i, j, k). Edges: 0-1 1-2 2-3 3-0 4-5 5-6 6-7 7-4 0-4 1-5 2-6 3-7.
constexpr std::array<std::array<int, 3>, 12> doubled_midpoints{{{1, 0, 0}, {2, 1, 0}, {1, 2, 0}, {0, 1, 0}, {1, 0, 2}, {2, 1, 2},
                                                                {1, 2, 2}, {0, 1, 2}, {0, 0, 1}, {2, 0, 1}, {2, 2, 1}, {0, 2, 1}}};

/// Triangles of the cases without corner 7, as edge numbers. Derived by searching all triangulations of the boundary loops of each
/// case for those whose area and volume are the published ones (tests/conformance, marching cube cases).
constexpr std::array<std::array<Triangle, 5>, 128> case_triangles{{
    {{}},
    {{{0, 8, 3}}},
    {{{0, 1, 9}}},
    {{{3, 9, 8}, {1, 9, 3}}},
    {{{1, 2, 10}}},
    {{{0, 8, 3}, {1, 2, 10}}},
    {{{2, 10, 9}, {0, 2, 9}}},
    {{{8, 10, 9}, {3, 10, 8}, {2, 10, 3}}},
    {{{2, 3, 11}}},
    {{{2, 8, 11}, {0, 8, 2}}},
    {{{0, 1, 9}, {2, 3, 11}}},
    {{{11, 9, 8}, {2, 9, 11}, {1, 9, 2}}},
    {{{3, 11, 10}, {1, 3, 10}}},
    {{{10, 8, 11}, {1, 8, 10}, {0, 8, 1}}},
    {{{11, 10, 9}, {3, 11, 9}, {0, 3, 9}}},
    {{{9, 11, 10}, {8, 11, 9}}},
    {{{4, 7, 8}}},
    {{{3, 4, 7}, {0, 4, 3}}},
    {{{0, 1, 9}, {4, 7, 8}}},
    {{{1, 7, 3}, {7, 9, 4}, {1, 9, 7}}},
    {{{1, 2, 10}, {4, 7, 8}}},
    {{{3, 4, 7}, {0, 4, 3}, {1, 2, 10}}},
    {{{2, 10, 9}, {0, 2, 9}, {4, 7, 8}}},
    {{{3, 4, 7}, {4, 10, 9}, {3, 10, 4}, {2, 10, 3}}},
    {{{2, 3, 11}, {4, 7, 8}}},
    {{{11, 4, 7}, {2, 4, 11}, {0, 4, 2}}},
    {{{0, 1, 9}, {2, 3, 11}, {4, 7, 8}}},
    {{{7, 9, 4}, {11, 9, 7}, {2, 9, 11}, {1, 9, 2}}},
    {{{3, 11, 10}, {1, 3, 10}, {4, 7, 8}}},
    {{{1, 11, 10}, {11, 4, 7}, {1, 4, 11}, {0, 4, 1}}},
    {{{11, 10, 9}, {3, 11, 9}, {0, 3, 9}, {4, 7, 8}}},
    {{{11, 10, 9}, {7, 11, 9}, {4, 7, 9}}},
    {{{4, 9, 5}}},
    {{{0, 8, 3}, {4, 9, 5}}},
    {{{1, 5, 4}, {0, 1, 4}}},
    {{{8, 5, 4}, {3, 5, 8}, {1, 5, 3}}},
    {{{1, 2, 10}, {4, 9, 5}}},
    {{{0, 8, 3}, {1, 2, 10}, {4, 9, 5}}},
    {{{10, 5, 4}, {2, 10, 4}, {0, 2, 4}}},
    {{{4, 10, 5}, {8, 10, 4}, {3, 10, 8}, {2, 10, 3}}},
    {{{2, 3, 11}, {4, 9, 5}}},
    {{{2, 8, 11}, {0, 8, 2}, {4, 9, 5}}},
    {{{1, 5, 4}, {0, 1, 4}, {2, 3, 11}}},
    {{{2, 8, 11}, {8, 5, 4}, {2, 5, 8}, {1, 5, 2}}},
    {{{3, 11, 10}, {1, 3, 10}, {4, 9, 5}}},
    {{{10, 8, 11}, {1, 8, 10}, {0, 8, 1}, {4, 9, 5}}},
    {{{3, 11, 10}, {10, 5, 4}, {3, 10, 4}, {0, 3, 4}}},
    {{{10, 8, 11}, {5, 8, 10}, {4, 8, 5}}},
    {{{7, 8, 9}, {5, 7, 9}}},
    {{{3, 5, 7}, {3, 9, 5}, {0, 9, 3}}},
    {{{1, 5, 7}, {1, 7, 8}, {0, 1, 8}}},
    {{{3, 5, 7}, {1, 5, 3}}},
    {{{1, 2, 10}, {7, 8, 9}, {5, 7, 9}}},
    {{{3, 5, 7}, {3, 9, 5}, {0, 9, 3}, {1, 2, 10}}},
    {{{5, 7, 8}, {10, 5, 8}, {2, 10, 8}, {0, 2, 8}}},
    {{{3, 5, 7}, {3, 10, 5}, {2, 10, 3}}},
    {{{2, 3, 11}, {7, 8, 9}, {5, 7, 9}}},
    {{{7, 9, 5}, {11, 9, 7}, {2, 9, 11}, {0, 9, 2}}},
    {{{1, 5, 7}, {1, 7, 8}, {0, 1, 8}, {2, 3, 11}}},
    {{{2, 7, 11}, {1, 7, 2}, {1, 5, 7}}},
    {{{3, 11, 10}, {1, 3, 10}, {7, 8, 9}, {5, 7, 9}}},
    {{{0, 10, 1}, {0, 11, 10}, {0, 7, 11}, {0, 5, 7}, {0, 9, 5}}},
    {{{0, 3, 11}, {0, 11, 10}, {0, 10, 5}, {0, 5, 7}, {0, 7, 8}}},
    {{{7, 11, 10}, {5, 7, 10}}},
    {{{5, 10, 6}}},
    {{{0, 8, 3}, {5, 10, 6}}},
    {{{0, 1, 9}, {5, 10, 6}}},
    {{{3, 9, 8}, {1, 9, 3}, {5, 10, 6}}},
    {{{2, 6, 5}, {1, 2, 5}}},
    {{{0, 8, 3}, {2, 6, 5}, {1, 2, 5}}},
    {{{0, 2, 6}, {6, 5, 9}, {0, 6, 9}}},
    {{{3, 9, 8}, {9, 6, 5}, {3, 6, 9}, {2, 6, 3}}},
    {{{2, 3, 11}, {5, 10, 6}}},
    {{{2, 8, 11}, {0, 8, 2}, {5, 10, 6}}},
    {{{0, 1, 9}, {2, 3, 11}, {5, 10, 6}}},
    {{{11, 9, 8}, {2, 9, 11}, {1, 9, 2}, {5, 10, 6}}},
    {{{11, 6, 5}, {3, 11, 5}, {1, 3, 5}}},
    {{{1, 6, 5}, {6, 8, 11}, {1, 8, 6}, {0, 8, 1}}},
    {{{6, 5, 9}, {11, 6, 9}, {3, 11, 9}, {0, 3, 9}}},
    {{{11, 9, 8}, {6, 9, 11}, {5, 9, 6}}},
    {{{4, 7, 8}, {5, 10, 6}}},
    {{{3, 4, 7}, {0, 4, 3}, {5, 10, 6}}},
    {{{0, 1, 9}, {4, 7, 8}, {5, 10, 6}}},
    {{{1, 7, 3}, {7, 9, 4}, {1, 9, 7}, {5, 10, 6}}},
    {{{2, 6, 5}, {1, 2, 5}, {4, 7, 8}}},
    {{{3, 4, 7}, {0, 4, 3}, {2, 6, 5}, {1, 2, 5}}},
    {{{0, 2, 6}, {6, 5, 9}, {0, 6, 9}, {4, 7, 8}}},
    {{{7, 9, 4}, {3, 9, 7}, {2, 9, 3}, {9, 6, 5}, {2, 6, 9}}},
    {{{2, 3, 11}, {4, 7, 8}, {5, 10, 6}}},
    {{{11, 4, 7}, {2, 4, 11}, {0, 4, 2}, {5, 10, 6}}},
    {{{0, 1, 9}, {2, 3, 11}, {4, 7, 8}, {5, 10, 6}}},
    {{{7, 9, 4}, {11, 9, 7}, {2, 9, 11}, {1, 9, 2}, {5, 10, 6}}},
    {{{11, 6, 5}, {3, 11, 5}, {1, 3, 5}, {4, 7, 8}}},
    {{{5, 11, 6}, {1, 11, 5}, {0, 11, 1}, {11, 4, 7}, {0, 4, 11}}},
    {{{6, 5, 9}, {11, 6, 9}, {3, 11, 9}, {0, 3, 9}, {4, 7, 8}}},
    {{{6, 5, 9}, {11, 6, 9}, {7, 11, 9}, {4, 7, 9}}},
    {{{6, 9, 10}, {4, 9, 6}}},
    {{{0, 8, 3}, {6, 9, 10}, {4, 9, 6}}},
    {{{1, 10, 6}, {0, 1, 6}, {0, 6, 4}}},
    {{{4, 10, 6}, {8, 10, 4}, {3, 10, 8}, {1, 10, 3}}},
    {{{2, 6, 4}, {2, 4, 9}, {1, 2, 9}}},
    {{{0, 8, 3}, {2, 6, 4}, {2, 4, 9}, {1, 2, 9}}},
    {{{2, 6, 4}, {0, 2, 4}}},
    {{{3, 4, 8}, {2, 4, 3}, {2, 6, 4}}},
    {{{2, 3, 11}, {6, 9, 10}, {4, 9, 6}}},
    {{{2, 8, 11}, {0, 8, 2}, {6, 9, 10}, {4, 9, 6}}},
    {{{1, 10, 6}, {0, 1, 6}, {0, 6, 4}, {2, 3, 11}}},
    {{{1, 11, 2}, {1, 8, 11}, {1, 4, 8}, {1, 6, 4}, {1, 10, 6}}},
    {{{6, 4, 9}, {11, 6, 9}, {3, 11, 9}, {1, 3, 9}}},
    {{{1, 4, 9}, {1, 6, 4}, {1, 11, 6}, {1, 8, 11}, {0, 8, 1}}},
    {{{3, 11, 6}, {0, 3, 6}, {0, 6, 4}}},
    {{{6, 8, 11}, {4, 8, 6}}},
    {{{8, 9, 10}, {7, 8, 10}, {6, 7, 10}}},
    {{{3, 6, 7}, {6, 9, 10}, {3, 9, 6}, {0, 9, 3}}},
    {{{6, 7, 8}, {10, 6, 8}, {1, 10, 8}, {0, 1, 8}}},
    {{{1, 7, 3}, {7, 10, 6}, {1, 10, 7}}},
    {{{2, 6, 7}, {7, 8, 9}, {2, 7, 9}, {1, 2, 9}}},
    {{{2, 9, 1}, {6, 9, 2}, {7, 9, 6}, {3, 9, 7}, {0, 9, 3}}},
    {{{0, 2, 6}, {6, 7, 8}, {0, 6, 8}}},
    {{{3, 6, 7}, {2, 6, 3}}},
    {{{2, 3, 11}, {8, 9, 10}, {7, 8, 10}, {6, 7, 10}}},
    {{{2, 7, 11}, {0, 7, 2}, {7, 10, 6}, {7, 9, 10}, {0, 9, 7}}},
    {{{6, 7, 8}, {10, 6, 8}, {1, 10, 8}, {0, 1, 8}, {2, 3, 11}}},
    {{{2, 7, 11}, {1, 7, 2}, {7, 10, 6}, {1, 10, 7}}},
    {{{3, 11, 6}, {1, 3, 6}, {6, 7, 8}, {6, 8, 9}, {1, 6, 9}}},
    {{{0, 9, 1}, {6, 7, 11}}},
    {{{3, 11, 6}, {0, 3, 6}, {6, 7, 8}, {0, 6, 8}}},
    {{{6, 7, 11}}},
}};

/// What one case contributes at the origin, and how its volume grows with its position.
struct CaseMeasures {
  double area = 0;
  double six_volumes = 0;
  Vector3 twice_area_vector{0, 0, 0};
};

CaseMeasures measure_case(int cube_case, const Vector3& spacing_mm) {
  const bool complement = cube_case > 127;
  const double sign = complement ? -1.0 : 1.0;
  CaseMeasures measures;
  for (const Triangle& triangle : case_triangles[static_cast<std::size_t>(complement ? 255 - cube_case : cube_case)]) {
    if (triangle.a < 0) break;
    const auto vertex = [&](int edge) {
      const auto& middle = doubled_midpoints[static_cast<std::size_t>(edge)];
      // Held as (k, j, i), the order in which the orientation of the cases is defined.
      return Vector3{0.5 * middle[2] * spacing_mm[2], 0.5 * middle[1] * spacing_mm[1], 0.5 * middle[0] * spacing_mm[0]};
    };
    const Vector3 a = vertex(triangle.a);
    const Vector3 b = vertex(triangle.b);
    const Vector3 c = vertex(triangle.c);
    measures.area += 0.5 * norm(cross(b - a, c - a));
    measures.six_volumes += sign * dot(a, cross(b, c));
    measures.twice_area_vector = measures.twice_area_vector + sign * (cross(a, b) + cross(b, c) + cross(c, a));
  }
  return measures;
}

struct PlanePoint {
  int u = 0;
  int v = 0;
};

/// Rows of a plane: for each v the lowest and highest u.
struct RowExtent {
  int low = std::numeric_limits<int>::max();
  int high = std::numeric_limits<int>::min();

  void include(int u) {
    low = std::min(low, u);
    high = std::max(high, u);
  }
  [[nodiscard]] bool empty() const { return high < low; }
};

/// Convex hull of points given by rows of ascending v (monotone chain, strict turns).
template <typename Row>
void hull_of_rows(int row_count, Row&& row, std::vector<PlanePoint>& hull) {
  hull.clear();
  const auto turn = [](const PlanePoint& a, const PlanePoint& b, const PlanePoint& c) {
    return static_cast<long>(b.u - a.u) * (c.v - a.v) - static_cast<long>(b.v - a.v) * (c.u - a.u);
  };
  const auto chain = [&](bool left) {
    std::vector<PlanePoint> points;
    for (int v = 0; v < row_count; ++v) {
      const RowExtent& extent = row(v);
      if (extent.empty()) continue;
      const PlanePoint next{left ? extent.low : extent.high, v};
      while (points.size() >= 2) {
        const long bend = turn(points[points.size() - 2], points.back(), next);
        if (left ? bend < 0 : bend > 0) break;
        points.pop_back();
      }
      points.push_back(next);
    }
    return points;
  };
  hull = chain(true);
  for (const PlanePoint& point : chain(false)) {
    const bool twice = std::any_of(hull.begin(), hull.end(), [&](const PlanePoint& other) { return other.u == point.u && other.v == point.v; });
    if (!twice) hull.push_back(point);
  }
}

double largest_square(const std::vector<PlanePoint>& points, double spacing_u, double spacing_v) {
  double largest = 0;
  for (std::size_t a = 0; a < points.size(); ++a)
    for (std::size_t b = a + 1; b < points.size(); ++b) {
      const double du = 0.5 * (points[a].u - points[b].u) * spacing_u;
      const double dv = 0.5 * (points[a].v - points[b].v) * spacing_v;
      largest = std::max(largest, du * du + dv * dv);
    }
  return largest;
}

}  // namespace

MeshMeasures measure_cube_case(int cube_case, const Vector3& spacing_mm) {
  const CaseMeasures measures = measure_case(cube_case, spacing_mm);
  return {measures.area, measures.six_volumes / 6};
}

MeshMeasures measure_mesh(const Index3& size, std::span<const std::uint8_t> region, const Vector3& spacing_mm) {
  struct Tally {
    std::int64_t count = 0, i = 0, j = 0, k = 0;
  };
  std::array<Tally, 256> tally{};
  const std::ptrdiff_t nx = size[0];
  const std::vector<std::uint8_t> nothing(static_cast<std::size_t>(nx), 0);
  const auto row = [&](int j, int k) {
    const bool outside = j < 0 || k < 0 || j >= size[1] || k >= size[2];
    return outside ? nothing.data() : region.data() + (static_cast<std::ptrdiff_t>(k) * size[1] + j) * nx;
  };
  // Cube (i, j, k) of the padded box has voxel (i - 1, j - 1, k - 1) of the box as corner 0.
  for (int k = 0; k <= size[2]; ++k)
    for (int j = 0; j <= size[1]; ++j) {
      const std::uint8_t* near_low = row(j - 1, k - 1);
      const std::uint8_t* near_high = row(j, k - 1);
      const std::uint8_t* far_low = row(j - 1, k);
      const std::uint8_t* far_high = row(j, k);
      unsigned left = 0;  // corners 0, 3, 4, 7
      for (int i = 0; i <= size[0]; ++i) {
        unsigned right = 0;  // corners 1, 2, 5, 6
        if (i < size[0]) right = (near_low[i] != 0 ? 2u : 0u) | (near_high[i] != 0 ? 4u : 0u) | (far_low[i] != 0 ? 32u : 0u) | (far_high[i] != 0 ? 64u : 0u);
        const unsigned cube_case = left | right;
        if (cube_case != 0 && cube_case != 255) {
          Tally& one = tally[cube_case];
          ++one.count;
          one.i += i;
          one.j += j;
          one.k += k;
        }
        left = ((right & 2u) >> 1) | ((right & 4u) << 1) | ((right & 32u) >> 1) | ((right & 64u) << 1);
      }
    }
  MeshMeasures result;
  for (int cube_case = 1; cube_case < 255; ++cube_case) {
    const Tally& one = tally[static_cast<std::size_t>(cube_case)];
    if (one.count == 0) continue;
    const CaseMeasures measures = measure_case(cube_case, spacing_mm);
    const auto count = static_cast<double>(one.count);
    const Vector3 shift{static_cast<double>(one.k) * spacing_mm[2], static_cast<double>(one.j) * spacing_mm[1], static_cast<double>(one.i) * spacing_mm[0]};
    result.area_mm2 += count * measures.area;
    result.volume_mm3 += count * measures.six_volumes + dot(shift, measures.twice_area_vector);
  }
  result.volume_mm3 /= 6;
  return result;
}

MeshDiameters measure_diameters(const Index3& size, std::span<const std::uint8_t> region, const Vector3& spacing_mm) {
  // Doubled coordinates 0 .. 2 n: voxel centre at 2 i + 1, faces at even numbers.
  const int wi = 2 * size[0] + 1;
  const int wj = 2 * size[1] + 1;
  const int wk = 2 * size[2] + 1;
  std::vector<RowExtent> along_i(static_cast<std::size_t>(wj) * static_cast<std::size_t>(wk));  // row (j, k)
  std::vector<RowExtent> along_j(static_cast<std::size_t>(wi) * static_cast<std::size_t>(wk));  // row (i, k)
  const auto include = [&](int i, int j, int k) {
    along_i[static_cast<std::size_t>(k) * static_cast<std::size_t>(wj) + static_cast<std::size_t>(j)].include(i);
    along_j[static_cast<std::size_t>(k) * static_cast<std::size_t>(wi) + static_cast<std::size_t>(i)].include(j);
  };
  const auto width = static_cast<std::size_t>(size[0]);
  const std::vector<std::uint8_t> nothing(width, 0);
  const auto row = [&](int j, int k) {
    const bool outside = j < 0 || k < 0 || j >= size[1] || k >= size[2];
    return outside ? nothing.data() : region.data() + (static_cast<std::size_t>(k) * static_cast<std::size_t>(size[1]) + static_cast<std::size_t>(j)) * width;
  };
  // Eight voxels are asked at once; nearly always none of them has a face to that side.
  const auto each_face = [&](const std::uint8_t* voxels, const std::uint8_t* beside, auto&& operation) {
    std::size_t i = 0;
    for (; i + 8 <= width; i += 8) {
      std::uint64_t here = 0;
      std::uint64_t there = 0;
      std::memcpy(&here, voxels + i, 8);
      std::memcpy(&there, beside + i, 8);
      if ((here & ~there) == 0) continue;
      for (std::size_t at = i; at < i + 8; ++at)
        if (voxels[at] != 0 && beside[at] == 0) operation(static_cast<int>(at));
    }
    for (; i < width; ++i)
      if (voxels[i] != 0 && beside[i] == 0) operation(static_cast<int>(i));
  };
  for (int k = 0; k < size[2]; ++k)
    for (int j = 0; j < size[1]; ++j) {
      const std::uint8_t* voxels = row(j, k);
      const int cj = 2 * j + 1;
      const int ck = 2 * k + 1;
      for (const int side : {-1, 1}) {
        each_face(voxels, row(j + side, k), [&](int i) { include(2 * i + 1, cj + side, ck); });
        each_face(voxels, row(j, k + side), [&](int i) { include(2 * i + 1, cj, ck + side); });
      }
    }
  for_each_run(size, region, [&](int i, int j, int k, int length) {
    include(2 * i, 2 * j + 1, 2 * k + 1);
    include(2 * (i + length), 2 * j + 1, 2 * k + 1);
  });
  // How many of the three hulls (of its planes of equal i, j, k) a point lies on.
  std::vector<std::int64_t> on_hull[3];
  const auto key = [&](int i, int j, int k) { return (static_cast<std::int64_t>(k) * wj + j) * wi + i; };
  MeshDiameters result;
  std::vector<PlanePoint> hull;
  double squares[3] = {0, 0, 0};
  for (int k = 0; k < wk; ++k) {
    hull_of_rows(wj, [&](int j) -> const RowExtent& { return along_i[static_cast<std::size_t>(k) * static_cast<std::size_t>(wj) + static_cast<std::size_t>(j)]; }, hull);
    squares[2] = std::max(squares[2], largest_square(hull, spacing_mm[0], spacing_mm[1]));
    for (const PlanePoint& p : hull) on_hull[2].push_back(key(p.u, p.v, k));
  }
  for (int j = 0; j < wj; ++j) {
    hull_of_rows(wk, [&](int k) -> const RowExtent& { return along_i[static_cast<std::size_t>(k) * static_cast<std::size_t>(wj) + static_cast<std::size_t>(j)]; }, hull);
    squares[1] = std::max(squares[1], largest_square(hull, spacing_mm[0], spacing_mm[2]));
    for (const PlanePoint& p : hull) on_hull[1].push_back(key(p.u, j, p.v));
  }
  for (int i = 0; i < wi; ++i) {
    hull_of_rows(wk, [&](int k) -> const RowExtent& { return along_j[static_cast<std::size_t>(k) * static_cast<std::size_t>(wi) + static_cast<std::size_t>(i)]; }, hull);
    squares[0] = std::max(squares[0], largest_square(hull, spacing_mm[1], spacing_mm[2]));
    for (const PlanePoint& p : hull) on_hull[0].push_back(key(i, p.u, p.v));
  }
  for (std::size_t axis = 0; axis < 3; ++axis) {
    result.maximum_in_plane_mm[axis] = std::sqrt(squares[axis]);
    std::sort(on_hull[axis].begin(), on_hull[axis].end());
  }
  std::vector<Vector3> ends;
  for (const std::int64_t point : on_hull[2]) {
    if (!std::binary_search(on_hull[1].begin(), on_hull[1].end(), point) || !std::binary_search(on_hull[0].begin(), on_hull[0].end(), point)) continue;
    const std::int64_t i = point % wi;
    const std::int64_t j = point / wi % wj;
    const std::int64_t k = point / wi / wj;
    ends.push_back({0.5 * static_cast<double>(i) * spacing_mm[0], 0.5 * static_cast<double>(j) * spacing_mm[1], 0.5 * static_cast<double>(k) * spacing_mm[2]});
  }
  // Two points are no further apart than their distances from the middle of the box together: far points first, and most pairs need no look.
  const Vector3 middle{0.5 * size[0] * spacing_mm[0], 0.5 * size[1] * spacing_mm[1], 0.5 * size[2] * spacing_mm[2]};
  std::vector<std::pair<double, Vector3>> by_radius;
  by_radius.reserve(ends.size());
  for (const Vector3& end : ends) by_radius.emplace_back(norm(end - middle), end);
  std::sort(by_radius.begin(), by_radius.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  double largest = 0;
  double reached = 0;
  constexpr double rounding = 1 + 1e-9;
  for (std::size_t a = 0; a < by_radius.size() && 2 * by_radius[a].first * rounding >= reached; ++a)
    for (std::size_t b = a + 1; b < by_radius.size() && (by_radius[a].first + by_radius[b].first) * rounding >= reached; ++b) {
      const double di = by_radius[a].second[0] - by_radius[b].second[0];
      const double dj = by_radius[a].second[1] - by_radius[b].second[1];
      const double dk = by_radius[a].second[2] - by_radius[b].second[2];
      const double square = di * di + dj * dj + dk * dk;
      if (square <= largest) continue;
      largest = square;
      reached = std::sqrt(square);
    }
  result.maximum_mm = std::sqrt(largest);
  return result;
}

}  // namespace choana::processing
