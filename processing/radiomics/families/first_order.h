#pragma once

#include <span>
#include <string>
#include <vector>

#include "processing/radiomics/feature_family.h"

namespace choana::processing {

/// What intensity statistics start from.
struct IntensitySample {
  std::vector<double> values;              // of the region, in raster order
  std::vector<std::size_t> level_counts;   // voxels in each grey level that occurs
  double voxel_volume_mm3 = 1;
  double shift = 0;                        // voxelArrayShift
};

/// Intensity statistics and, of the discretised values, Entropy and Uniformity. A constant region is recognised first: its
/// spread is 0, and so are Skewness and Kurtosis. names empty: all that are listed.
[[nodiscard]] std::vector<NamedValue> first_order_features(const IntensitySample& sample, const std::vector<std::string>& names);
[[nodiscard]] std::vector<FeatureDescription> describe_first_order();

/// The percentile (0..100) of ascending values by linear interpolation at percent / 100 (N - 1). Written so that ties are exact, as NumPy
/// 1.26 does: a + (b - a) t, or b - (b - a)(1 - t) from t = 0.5 on.
[[nodiscard]] double percentile_of_sorted(std::span<const double> ascending, double percent);

}  // namespace choana::processing
