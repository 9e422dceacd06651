#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/geometry.h"

namespace choana::processing::ibsi {

/// Grey levels of a box of voxels, padded on all sides so that neighbours never need a bounds check. Kept apart from the volumes of PyRadiomics
/// mode: IBSI needs each direction and each slice by itself, and counts what PyRadiomics leaves out.
class LevelGrid {
 public:
  /// region: one byte a voxel of the box (i fastest); levels: of its voxels, in that order. margin: the furthest neighbour. by_slice: one slice, no
  /// neighbours above or below.
  LevelGrid(const Index3& size, std::span<const std::uint8_t> region, std::span<const int> levels, int margin, bool by_slice);

  [[nodiscard]] std::ptrdiff_t offset(const Index3& step) const { return step[0] + step[1] * stride_j_ + step[2] * stride_k_; }
  /// Positions of the region's voxels in `ranks`, in raster order.
  [[nodiscard]] const std::vector<std::size_t>& positions() const { return positions_; }
  /// Rank of the level at a position, -1 outside the region.
  [[nodiscard]] std::int32_t rank(std::size_t position) const { return ranks_[position]; }
  /// Levels that occur, ascending.
  [[nodiscard]] const std::vector<int>& levels() const { return levels_; }
  [[nodiscard]] std::size_t padded_voxels() const { return ranks_.size(); }

 private:
  std::ptrdiff_t stride_j_;
  std::ptrdiff_t stride_k_;
  std::vector<std::int32_t> ranks_;
  std::vector<std::size_t> positions_;
  std::vector<int> levels_;
};

/// One non-zero cell: a grey level and a second level, run length, zone size, zone distance or dependence.
struct TextureCell {
  int level = 0;
  int column = 0;
  double count = 0;
};

/// A texture matrix, or several of them summed. voxels: that took part, each as often as matrices were summed.
struct TextureMatrix {
  std::vector<TextureCell> cells;   // sorted by level, then column
  double voxels = 0;
  int level_count = 0;              // Ng of the region
};

/// Sum of matrices; empty when none has a cell.
[[nodiscard]] TextureMatrix merge(const std::vector<TextureMatrix>& matrices);

/// Voxels of equal level at `step` from each other, counted both ways (symmetric).
[[nodiscard]] TextureMatrix count_pairs(const LevelGrid& grid, const Index3& step, int level_count);

/// Runs of equal level along `step`; a voxel outside the region ends a run. A direction in which no two voxels meet counts, too (runs of one voxel).
[[nodiscard]] TextureMatrix count_runs_along(const LevelGrid& grid, const Index3& step, int level_count);

/// Zones of equal level (26 neighbours, 8 in one slice) by number of voxels, and by least distance to the border.
/// border_distance: one value for each voxel of the volume, in its raster order.
struct ZoneMatrices {
  TextureMatrix by_size;
  TextureMatrix by_distance;
};
[[nodiscard]] ZoneMatrices count_zones_of(const LevelGrid& grid, std::span<const int> border_distance, bool by_slice, int level_count);

/// Dependence of each voxel: 1 + neighbours within a Chebyshev distance whose level differs by at most `alpha`.
[[nodiscard]] TextureMatrix count_dependence(const LevelGrid& grid, int distance_voxels, bool by_slice, double alpha, int level_count);

/// By grey level: number of voxels that have a neighbour in the region, and the sum of their differences from the mean of their neighbours.
struct ToneRow {
  int level = 0;
  double count = 0;
  double difference = 0;
};
[[nodiscard]] std::vector<ToneRow> count_tone_differences(const LevelGrid& grid, int distance_voxels, bool by_slice);
[[nodiscard]] std::vector<ToneRow> merge(const std::vector<std::vector<ToneRow>>& tables);

/// Steps from each voxel of a mask to the nearest place outside it (6 neighbours, 4 by slice; beyond the box is outside): 1 at the border, 0 outside.
/// mask: one byte a voxel, i fastest.
[[nodiscard]] std::vector<int> distance_to_border(const Index3& size, std::span<const std::uint8_t> mask, bool by_slice);

}  // namespace choana::processing::ibsi
