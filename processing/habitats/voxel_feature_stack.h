#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "core/region_of_interest.h"
#include "core/result.h"
#include "processing/habitats/point_table.h"

namespace choana::processing {

/// One feature of every voxel of a grid.
struct VoxelFeature {
  std::string name;                // "T2"
  std::vector<float> values;       // a whole grid, i fastest
  double smoothing_mm = 0;         // standard deviation of a Gaussian taken over it before; 0 = none
};

/// The features of the voxels of a region, side by side.
struct VoxelFeatureStack {
  std::vector<std::string> names;
  std::vector<std::size_t> voxels; // offsets in the grid, ascending: row n of `points` is voxels[n]
  PointTable points;               // in the features' own units
};

/// Largest stack: voxels times features.
inline constexpr std::size_t stack_values_max = 64'000'000;

/// Smooth a volume with a Gaussian of this standard deviation, separably, out to four of them; beyond the edge the edge continues.
/// Errors: invalid_argument (size, sigma not positive), limit_exceeded (sigma of more than 64 voxels).
[[nodiscard]] Result<std::vector<float>> gaussian_smoothed(const std::vector<float>& values, const VolumeGeometry& geometry, double sigma_mm);

/// Take the features of a region's voxels from whole volumes on its grid.
/// Errors: invalid_argument (no feature, a name twice, other size), limit_exceeded, degenerate_input (a voxel of the region without a
/// finite value: which feature).
[[nodiscard]] Result<VoxelFeatureStack> stack_voxel_features(const RegionOfInterest& region, const std::vector<VoxelFeature>& features);

/// z-scores: each column minus its mean, divided by its standard deviation (of the population, as scikit-learn's StandardScaler).
/// A column without spread becomes zeros; `flat` gets its names. Errors: degenerate_input (every column is flat).
[[nodiscard]] Result<PointTable> standardised(const VoxelFeatureStack& stack, std::vector<std::string>& flat);

}  // namespace choana::processing
