#pragma once

#include <string>
#include <vector>

#include "processing/radiomics/families/shape.h"

namespace choana::processing {

/// Shape features of a region of one slice. flat_axis (0, 1, 2 = i, j, k): the axis across the slice; the box is one voxel thick there,
/// otherwise every feature is NotComputed. Perimeter and surface by marching squares with vertices at edge midpoints.
[[nodiscard]] std::vector<NamedValue> shape2d_features(const RegionBox& region, int flat_axis, const std::vector<std::string>& names);
[[nodiscard]] std::vector<FeatureDescription> describe_shape2d();

}  // namespace choana::processing
