#pragma once

#include <optional>
#include <span>
#include <vector>

#include "core/result.h"

namespace choana::processing {

/// Grey levels of the voxels of a region.
struct Discretisation {
  std::vector<int> levels;          // per value, in the order given; 1 is the lowest bin
  std::vector<int> present;         // levels that occur, ascending
  int highest = 0;                  // Ng: highest level that occurs
};

/// Discretise with a fixed bin width: edges e_i = e_0 + i d, e_0 = min - (min mod width), d = (e_0 + width) - e_0, all in double;
/// the level is the number of edges <= x. Bins are thus half open and aligned to 0 (PyRadiomics 3.0.1 on NumPy 1).
/// Errors: degenerate_input (no values, or one is not finite), limit_exceeded (more than 10^8 bins).
[[nodiscard]] Result<Discretisation> discretise_by_width(std::span<const double> values, double bin_width);

/// Discretise into a fixed number of equal bins between minimum and maximum; the last bin is closed. single_precision: the
/// edges are rounded to float, as NumPy does for float32 images. A constant region has every value in one bin of width 1 / count.
/// Errors: degenerate_input, limit_exceeded.
[[nodiscard]] Result<Discretisation> discretise_by_count(std::span<const double> values, int bin_count, bool single_precision);

}  // namespace choana::processing
