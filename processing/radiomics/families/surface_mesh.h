#pragma once

#include <cstdint>
#include <span>

#include "core/geometry.h"

namespace choana::processing {

/// Area and enclosed volume of a triangle mesh.
struct MeshMeasures {
  double area_mm2 = 0;
  double volume_mm3 = 0;
};

/// Largest distances between points of the mesh: over all of it, and within planes of equal k, j, i.
struct MeshDiameters {
  double maximum_mm = 0;
  double maximum_in_plane_mm[3] = {0, 0, 0};  // planes of equal i, j, k
};

/// Mesh of a region by marching cubes at half intensity with vertices at edge midpoints: 128 cases and their complements.
/// region: one byte a voxel (i fastest), size voxels. The volume is the sum of signed tetrahedra with the corner voxel of the box, padded by
/// one voxel, as apex (ambiguous cases leave small holes, so the apex is part of the definition).
[[nodiscard]] MeshMeasures measure_mesh(const Index3& size, std::span<const std::uint8_t> region, const Vector3& spacing_mm);

/// Diameters over the midpoints between each voxel of the region and a 6-neighbour outside. Only points on the convex hull of every axis
/// plane can be ends of a diameter, so the cost is linear in the voxels.
[[nodiscard]] MeshDiameters measure_diameters(const Index3& size, std::span<const std::uint8_t> region, const Vector3& spacing_mm);

/// Area and signed volume of one marching-cubes case (0..255, bit n = corner n inside; corners in (k, j, i): 000 001 011 010 100 101
/// 111 110), apex at corner 0.
[[nodiscard]] MeshMeasures measure_cube_case(int cube_case, const Vector3& spacing_mm);

}  // namespace choana::processing
