#include "processing/radiomics/filters/icosphere.h"

#include <array>
#include <cmath>
#include <cstddef>
#include <map>
#include <utility>

namespace choana::processing {
namespace {

// 1 / sqrt(1 + g^2) and g / sqrt(1 + g^2) with the golden ratio g; the second as trimesh stores it, one unit in the last place below.
constexpr double a = 0.5257311121191336;
constexpr double b = 0.85065080835204;

constexpr std::array<Vector3, 12> corners{{{-a, b, 0}, {a, b, 0}, {-a, -b, 0}, {a, -b, 0}, {0, -a, b}, {0, a, b}, {0, -a, -b}, {0, a, -b}, {b, 0, -a}, {b, 0, a}, {-b, 0, -a}, {-b, 0, a}}};

using Face = std::array<std::size_t, 3>;
/// Every three corners that are neighbours of each other; how a face is turned does not matter for its midpoints.
std::vector<Face> neighbours() {
  const auto adjacent = [](const Vector3& p, const Vector3& q) { return norm(p - q) < 1.2; };
  std::vector<Face> faces;
  for (std::size_t p = 0; p < corners.size(); ++p)
    for (std::size_t q = p + 1; q < corners.size(); ++q)
      for (std::size_t r = q + 1; r < corners.size(); ++r)
        if (adjacent(corners[p], corners[q]) && adjacent(corners[q], corners[r]) && adjacent(corners[p], corners[r])) faces.push_back({p, q, r});
  return faces;
}

void put_on_sphere(std::vector<Vector3>& vertices, double radius) {
  for (Vector3& vertex : vertices) {
    const double length = std::sqrt(vertex[0] * vertex[0] + vertex[1] * vertex[1] + vertex[2] * vertex[2]);
    for (double& value : vertex) value += value / length * (radius - length);
  }
}

}  // namespace

std::vector<Vector3> icosphere(int subdivisions, double radius) {
  std::vector<Vector3> vertices(corners.begin(), corners.end());
  std::vector<Face> faces = neighbours();
  if (subdivisions <= 0) put_on_sphere(vertices, radius);
  for (int level = 0; level < subdivisions; ++level) {
    std::map<std::pair<std::size_t, std::size_t>, std::size_t> middle;  // (larger end, smaller end) -> vertex
    const auto edge = [](std::size_t p, std::size_t q) { return std::pair{std::max(p, q), std::min(p, q)}; };
    for (const Face& face : faces)
      for (std::size_t at = 0; at < 3; ++at) middle[edge(face[at], face[(at + 1) % 3])] = 0;
    for (auto& [ends, vertex] : middle) {
      vertex = vertices.size();
      const Vector3& p = vertices[ends.second];
      const Vector3& q = vertices[ends.first];
      vertices.push_back({(p[0] + q[0]) / 2, (p[1] + q[1]) / 2, (p[2] + q[2]) / 2});
    }
    std::vector<Face> finer;
    for (const Face& face : faces) {
      const std::size_t pq = middle[edge(face[0], face[1])];
      const std::size_t qr = middle[edge(face[1], face[2])];
      const std::size_t rp = middle[edge(face[2], face[0])];
      finer.push_back({face[0], pq, rp});
      finer.push_back({pq, face[1], qr});
      finer.push_back({rp, qr, face[2]});
      finer.push_back({pq, qr, rp});
    }
    faces = std::move(finer);
    put_on_sphere(vertices, radius);
  }
  return vertices;
}

}  // namespace choana::processing
