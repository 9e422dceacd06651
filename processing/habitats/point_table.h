#pragma once

#include <cstddef>
#include <vector>

namespace choana::processing {

/// Points to cluster: rows are voxels, columns features, row by row.
struct PointTable {
  std::size_t columns = 0;
  std::vector<double> values;

  [[nodiscard]] std::size_t rows() const { return columns == 0 ? 0 : values.size() / columns; }
  [[nodiscard]] const double* row(std::size_t n) const { return values.data() + n * columns; }
};

}  // namespace choana::processing
