#include "processing/radiomics/ibsi/texture_matrices.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <utility>

namespace choana::processing::ibsi {
namespace {

constexpr std::size_t dense_levels_max = 512;

void sum_cells(std::vector<TextureCell>& cells) {
  std::sort(cells.begin(), cells.end(), [](const TextureCell& a, const TextureCell& b) { return a.level != b.level ? a.level < b.level : a.column < b.column; });
  std::size_t kept = 0;
  for (std::size_t at = 0; at < cells.size(); ++at) {
    if (kept > 0 && cells[kept - 1].level == cells[at].level && cells[kept - 1].column == cells[at].column) cells[kept - 1].count += cells[at].count;
    else cells[kept++] = cells[at];
  }
  cells.resize(kept);
}

int level_at(const LevelGrid& grid, std::size_t position) { return grid.levels()[static_cast<std::size_t>(grid.rank(position))]; }

std::size_t moved(std::size_t position, std::ptrdiff_t offset) { return static_cast<std::size_t>(static_cast<std::ptrdiff_t>(position) + offset); }

/// Cells of (level, size) from counted pairs.
class Tally {
 public:
  explicit Tally(std::size_t ranks) : sizes_(ranks) {}
  void add(std::int32_t rank, std::size_t size) {
    auto& counts = sizes_[static_cast<std::size_t>(rank)];
    if (size < dense) {
      if (counts.first.size() <= size) counts.first.resize(size + 1, 0);
      counts.first[size] += 1;
    } else {
      counts.second[size] += 1;
    }
  }
  [[nodiscard]] std::vector<TextureCell> cells(const std::vector<int>& levels) const {
    std::vector<TextureCell> cells;
    for (std::size_t rank = 0; rank < sizes_.size(); ++rank) {
      for (std::size_t size = 0; size < sizes_[rank].first.size(); ++size)
        if (sizes_[rank].first[size] > 0) cells.push_back({levels[rank], static_cast<int>(size), sizes_[rank].first[size]});
      for (const auto& [size, count] : sizes_[rank].second) cells.push_back({levels[rank], static_cast<int>(size), count});
    }
    return cells;
  }

 private:
  static constexpr std::size_t dense = 1024;
  std::vector<std::pair<std::vector<double>, std::map<std::size_t, double>>> sizes_;
};

std::vector<std::ptrdiff_t> neighbourhood(const LevelGrid& grid, int distance_voxels, bool by_slice) {
  std::vector<std::ptrdiff_t> offsets;
  const int reach_k = by_slice ? 0 : distance_voxels;
  for (int k = -reach_k; k <= reach_k; ++k)
    for (int j = -distance_voxels; j <= distance_voxels; ++j)
      for (int i = -distance_voxels; i <= distance_voxels; ++i)
        if (i != 0 || j != 0 || k != 0) offsets.push_back(grid.offset({i, j, k}));
  return offsets;
}

}  // namespace

LevelGrid::LevelGrid(const Index3& size, std::span<const std::uint8_t> region, std::span<const int> levels, int margin, bool by_slice)
    : stride_j_(size[0] + 2 * margin), stride_k_(stride_j_ * (size[1] + 2 * margin)), levels_(levels.begin(), levels.end()) {
  std::sort(levels_.begin(), levels_.end());
  levels_.erase(std::unique(levels_.begin(), levels_.end()), levels_.end());
  const int margin_k = by_slice ? 0 : margin;
  ranks_.assign(static_cast<std::size_t>(stride_k_) * static_cast<std::size_t>(size[2] + 2 * margin_k), -1);
  positions_.reserve(levels.size());
  std::size_t voxel = 0;
  for (int k = 0; k < size[2]; ++k)
    for (int j = 0; j < size[1]; ++j)
      for (int i = 0; i < size[0]; ++i, ++voxel) {
        if (region[voxel] == 0) continue;
        const auto position = static_cast<std::size_t>(offset({i + margin, j + margin, k + margin_k}));
        ranks_[position] = static_cast<std::int32_t>(std::lower_bound(levels_.begin(), levels_.end(), levels[positions_.size()]) - levels_.begin());
        positions_.push_back(position);
      }
}

TextureMatrix merge(const std::vector<TextureMatrix>& matrices) {
  TextureMatrix merged;
  for (const TextureMatrix& matrix : matrices) {
    merged.cells.insert(merged.cells.end(), matrix.cells.begin(), matrix.cells.end());
    merged.voxels += matrix.voxels;
    merged.level_count = std::max(merged.level_count, matrix.level_count);
  }
  sum_cells(merged.cells);
  return merged;
}

TextureMatrix count_pairs(const LevelGrid& grid, const Index3& step, int level_count) {
  const std::size_t ranks = grid.levels().size();
  const std::ptrdiff_t offset = grid.offset(step);
  TextureMatrix matrix;
  matrix.level_count = level_count;
  // Few levels are counted in place; with many, most cells are empty and pairs are sorted.
  std::vector<double> table(ranks <= dense_levels_max ? ranks * ranks : 0, 0);
  for (const std::size_t position : grid.positions()) {
    const std::int32_t other = grid.rank(moved(position, offset));
    if (other < 0) continue;
    const auto row = static_cast<std::size_t>(grid.rank(position));
    const auto column = static_cast<std::size_t>(other);
    if (!table.empty()) table[row * ranks + column] += 1;
    else matrix.cells.push_back({grid.levels()[row], grid.levels()[column], 1});
  }
  for (std::size_t cell = 0; cell < table.size(); ++cell)
    if (table[cell] > 0) matrix.cells.push_back({grid.levels()[cell / ranks], grid.levels()[cell % ranks], table[cell]});
  const std::size_t one_way = matrix.cells.size();
  for (std::size_t cell = 0; cell < one_way; ++cell) {
    matrix.voxels += 2 * matrix.cells[cell].count;
    matrix.cells.push_back({matrix.cells[cell].column, matrix.cells[cell].level, matrix.cells[cell].count});
  }
  sum_cells(matrix.cells);
  return matrix;
}

TextureMatrix count_runs_along(const LevelGrid& grid, const Index3& step, int level_count) {
  Tally tally(grid.levels().size());
  const std::ptrdiff_t offset = grid.offset(step);
  for (const std::size_t position : grid.positions()) {
    const std::int32_t rank = grid.rank(position);
    if (grid.rank(moved(position, -offset)) == rank) continue;
    std::size_t length = 1;
    for (std::size_t next = moved(position, offset); grid.rank(next) == rank; next = moved(next, offset)) ++length;
    tally.add(rank, length);
  }
  return {tally.cells(grid.levels()), static_cast<double>(grid.positions().size()), level_count};
}

ZoneMatrices count_zones_of(const LevelGrid& grid, std::span<const int> border_distance, bool by_slice, int level_count) {
  const std::vector<std::ptrdiff_t> neighbours = neighbourhood(grid, 1, by_slice);
  std::vector<int> distance_at(grid.padded_voxels(), 0);
  for (std::size_t at = 0; at < grid.positions().size(); ++at) distance_at[grid.positions()[at]] = border_distance[at];
  Tally sizes(grid.levels().size());
  Tally distances(grid.levels().size());
  std::vector<std::uint8_t> seen(grid.padded_voxels(), 0);
  std::vector<std::size_t> zone;
  for (const std::size_t start : grid.positions()) {
    if (seen[start] != 0) continue;
    const std::int32_t rank = grid.rank(start);
    int least = distance_at[start];
    zone.assign(1, start);
    seen[start] = 1;
    for (std::size_t at = 0; at < zone.size(); ++at) {
      least = std::min(least, distance_at[zone[at]]);
      for (const std::ptrdiff_t offset : neighbours) {
        const std::size_t next = moved(zone[at], offset);
        if (grid.rank(next) != rank || seen[next] != 0) continue;
        seen[next] = 1;
        zone.push_back(next);
      }
    }
    sizes.add(rank, zone.size());
    distances.add(rank, static_cast<std::size_t>(least));
  }
  const auto voxels = static_cast<double>(grid.positions().size());
  return {{sizes.cells(grid.levels()), voxels, level_count}, {distances.cells(grid.levels()), voxels, level_count}};
}

TextureMatrix count_dependence(const LevelGrid& grid, int distance_voxels, bool by_slice, double alpha, int level_count) {
  const std::vector<std::ptrdiff_t> neighbours = neighbourhood(grid, distance_voxels, by_slice);
  Tally tally(grid.levels().size());
  for (const std::size_t position : grid.positions()) {
    const int level = level_at(grid, position);
    std::size_t dependence = 1;
    for (const std::ptrdiff_t offset : neighbours) {
      const std::size_t next = moved(position, offset);
      if (grid.rank(next) >= 0 && std::abs(level_at(grid, next) - level) <= alpha) ++dependence;
    }
    tally.add(grid.rank(position), dependence);
  }
  return {tally.cells(grid.levels()), static_cast<double>(grid.positions().size()), level_count};
}

std::vector<ToneRow> count_tone_differences(const LevelGrid& grid, int distance_voxels, bool by_slice) {
  const std::vector<std::ptrdiff_t> neighbours = neighbourhood(grid, distance_voxels, by_slice);
  std::vector<ToneRow> rows;
  for (const int level : grid.levels()) rows.push_back({level, 0, 0});
  for (const std::size_t position : grid.positions()) {
    double sum = 0;
    double count = 0;
    for (const std::ptrdiff_t offset : neighbours) {
      const std::size_t next = moved(position, offset);
      if (grid.rank(next) < 0) continue;
      sum += level_at(grid, next);
      ++count;
    }
    if (count == 0) continue;
    ToneRow& row = rows[static_cast<std::size_t>(grid.rank(position))];
    row.count += 1;
    row.difference += std::abs(row.level - sum / count);
  }
  std::erase_if(rows, [](const ToneRow& row) { return row.count == 0; });
  return rows;
}

std::vector<ToneRow> merge(const std::vector<std::vector<ToneRow>>& tables) {
  std::map<int, ToneRow> by_level;
  for (const auto& table : tables)
    for (const ToneRow& row : table) {
      ToneRow& sum = by_level[row.level];
      sum.level = row.level;
      sum.count += row.count;
      sum.difference += row.difference;
    }
  std::vector<ToneRow> merged;
  for (const auto& [level, row] : by_level) merged.push_back(row);
  return merged;
}

std::vector<int> distance_to_border(const Index3& size, std::span<const std::uint8_t> mask, bool by_slice) {
  // The distance by steps along the axes is separable: one sweep up and one down each axis, the least of both.
  const int far = size[0] + size[1] + size[2] + 1;
  std::vector<int> distance(mask.size());
  std::transform(mask.begin(), mask.end(), distance.begin(), [&](std::uint8_t inside) { return inside != 0 ? far : 0; });
  std::size_t stride = 1;
  for (std::size_t axis = 0; axis < (by_slice ? 2u : 3u); ++axis) {
    const auto length = static_cast<std::size_t>(size[axis]);
    for (std::size_t start = 0; start < mask.size(); ++start) {
      if (start / stride % length != 0) continue;
      int last = 0;
      for (std::size_t at = 0; at < length; ++at) last = distance[start + at * stride] = std::min(distance[start + at * stride], last + 1);
      last = 0;
      for (std::size_t at = length; at-- > 0;) last = distance[start + at * stride] = std::min(distance[start + at * stride], last + 1);
    }
    stride *= length;
  }
  return distance;
}

}  // namespace choana::processing::ibsi
