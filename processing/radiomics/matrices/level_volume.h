#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/geometry.h"
#include "core/result.h"
#include "processing/preprocessing/discretiser.h"

namespace choana::processing {

/// A discretised region, cut to its box and padded so that neighbours never need a bounds check.
struct LevelVolume {
  Index3 size{};                          // of the box, i, j, k
  int margin = 0;                         // empty voxels around the box on every side
  std::vector<std::int32_t> ranks;        // padded box, i fastest: index into `levels`, -1 outside the region
  std::vector<std::size_t> positions;     // offsets of the region's voxels in `ranks`, in raster order
  std::vector<int> levels;                // grey level of each rank, ascending; levels that do not occur are left out
  int highest_level = 0;                  // Ng
  Vector3 spacing_mm{1, 1, 1};

  [[nodiscard]] std::ptrdiff_t stride(int axis) const;
  [[nodiscard]] std::ptrdiff_t offset(const Index3& step) const { return step[0] * stride(0) + step[1] * stride(1) + step[2] * stride(2); }
};

/// region: one byte a voxel of the box (i fastest), 1 = inside; `discretisation` lists its voxels in that order.
[[nodiscard]] LevelVolume make_level_volume(const Index3& size, std::span<const std::uint8_t> region, const Discretisation& discretisation,
                                            const Vector3& spacing_mm, int margin);

/// Offsets to neighbours: every (i, j, k) whose Chebyshev norm is one of `distances_voxels`, whose components are smaller than the
/// box, and whose component along `flat_axis` (0, 1, 2 = i, j, k; -1 = none) is 0. Order of PyRadiomics: k, then j, then i, descending.
/// both_ways false: of each pair of opposite offsets the first alone (13 of 26).
[[nodiscard]] std::vector<Index3> neighbour_offsets(const Index3& size, const std::vector<int>& distances_voxels, int flat_axis, bool both_ways);

/// One non-zero cell of a texture matrix. row: rank of the grey level; column: rank of the second level, or the run length,
/// zone size or dependence itself.
struct MatrixEntry {
  std::uint32_t row = 0;
  std::uint32_t column = 0;
  double count = 0;

  friend bool operator==(const MatrixEntry&, const MatrixEntry&) = default;
};

/// Counts cells; a small matrix is counted in place, a large one (many grey levels) by sorting, so memory stays bounded.
class CellCounter {
 public:
  /// Cells (row, column) with row < rows and column < columns.
  CellCounter(std::size_t rows, std::size_t columns);
  void add(std::uint32_t row, std::uint32_t column) {
    if (dense_) ++table_[static_cast<std::size_t>(row) * columns_ + column];
    else keys_.push_back((static_cast<std::uint64_t>(row) << 32) | column);
  }
  /// The non-zero cells sorted by row, then column; the counter is empty afterwards.
  [[nodiscard]] std::vector<MatrixEntry> take();

 private:
  std::size_t rows_;
  std::size_t columns_;
  bool dense_;
  std::vector<std::uint32_t> table_;
  std::vector<std::uint64_t> keys_;
};

/// The weighted sum of matrices, sorted by row, then column.
[[nodiscard]] std::vector<MatrixEntry> weighted_sum(const std::vector<std::vector<MatrixEntry>>& matrices, const std::vector<double>& weights);

}  // namespace choana::processing
