#pragma once

#include <vector>

#include "core/geometry.h"

namespace choana::processing {

/// Vertices (x, y, z) of an icosahedron whose faces were split in four `subdivisions` times, on a sphere: 12, 42, 162, ... The doubles and their order are
/// those of trimesh 4 icosphere: old vertices first, then the midpoints of edges, sorted by the larger and then the smaller end.
/// subdivisions: 0 to 5.
[[nodiscard]] std::vector<Vector3> icosphere(int subdivisions, double radius);

}  // namespace choana::processing
