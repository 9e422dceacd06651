#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/geometry.h"
#include "processing/radiomics/feature_family.h"

namespace choana::processing {

/// A region cut to its box: one byte a voxel, i fastest.
struct RegionBox {
  Index3 size{};
  std::vector<std::uint8_t> inside;
  Vector3 spacing_mm{1, 1, 1};
  std::size_t voxels = 0;
};

/// Shape features of a region in three dimensions. Axis lengths use the covariance of voxel centres divided by N; planes of the 2-D
/// diameters are array axes, not anatomical ones. names empty: all that are listed.
[[nodiscard]] std::vector<NamedValue> shape_features(const RegionBox& region, const std::vector<std::string>& names);
[[nodiscard]] std::vector<FeatureDescription> describe_shape();

/// Eigenvalues, ascending, of the covariance (divided by N) of voxel centres in mm; tiny negative ones are 0.
[[nodiscard]] Vector3 principal_variances(const RegionBox& region);

}  // namespace choana::processing
