#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <variant>
#include <vector>

#include "core/geometry.h"
#include "core/result.h"
#include "processing/preprocessing/discretiser.h"

namespace choana::processing {

/// Voxels of a region that lie side by side along i.
struct VoxelRun {
  std::size_t position = 0;   // offset of the first
  std::uint32_t length = 0;
};

/// A discretised region, cut to its box and padded so that neighbours never need a bounds check. Cost of what walks over it follows the
/// region, not the box.
struct LevelVolume {
  /// One cell a voxel of the padded box, i fastest: 1 + index into `levels`, 0 outside the region. As narrow as the number of levels allows;
  /// `lane_slack` cells of slack follow the box.
  using Cells = std::variant<std::vector<std::uint8_t>, std::vector<std::uint16_t>, std::vector<std::uint32_t>>;

  Index3 size{};                           // of the box, i, j, k
  int margin = 0;                          // empty voxels around the box on every side
  Cells cells;
  std::vector<VoxelRun> runs;              // the region in raster order; positions in `cells`
  std::size_t voxels = 0;
  std::vector<int> levels;                 // grey levels that occur, ascending
  std::vector<std::size_t> level_counts;   // voxels of each
  int highest_level = 0;                   // Ng
  Vector3 spacing_mm{1, 1, 1};

  [[nodiscard]] std::ptrdiff_t stride(int axis) const;
  [[nodiscard]] std::ptrdiff_t offset(const Index3& step) const { return step[0] * stride(0) + step[1] * stride(1) + step[2] * stride(2); }
  /// Are the levels 1, 2, 3, ... without a gap, so that a cell is the level itself?
  [[nodiscard]] bool gapless() const { return static_cast<std::size_t>(highest_level) == levels.size() && levels.front() == 1; }
};

/// Call f(i, j, k, length) for the runs of a region in raster order. region: one byte a voxel of the box (i fastest), 1 = inside, else 0.
template <typename Function>
void for_each_run(const Index3& size, std::span<const std::uint8_t> region, Function&& f) {
  const std::uint8_t* row = region.data();
  for (int k = 0; k < size[2]; ++k)
    for (int j = 0; j < size[1]; ++j, row += size[0]) {
      const std::uint8_t* end = row + size[0];
      for (const std::uint8_t* at = row; at < end;) {
        at = static_cast<const std::uint8_t*>(std::memchr(at, 1, static_cast<std::size_t>(end - at)));
        if (at == nullptr) break;
        const auto* stop = static_cast<const std::uint8_t*>(std::memchr(at, 0, static_cast<std::size_t>(end - at)));
        if (stop == nullptr) stop = end;
        f(static_cast<int>(at - row), j, k, static_cast<int>(stop - at));
        at = stop;
      }
    }
}

/// region: one byte a voxel of the box (i fastest), 1 = inside, else 0; `discretisation` lists its voxels in that order.
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

/// Tables of counts up to this many cells are held dense; above, cells are listed, so that memory follows the region.
inline constexpr std::size_t dense_cells_max = 1u << 20;

/// The cells of a list, each given as row << 32 | column and in any order, with how often they occur; sorted by row, then column.
[[nodiscard]] std::vector<MatrixEntry> count_listed(std::vector<std::uint64_t>& cells);

/// `sum` + weight x `entries`; both and the result sorted by row, then column.
[[nodiscard]] std::vector<MatrixEntry> weighted_sum(const std::vector<MatrixEntry>& sum, const std::vector<MatrixEntry>& entries, double weight);

}  // namespace choana::processing
