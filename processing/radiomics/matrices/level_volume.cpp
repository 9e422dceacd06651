#include "processing/radiomics/matrices/level_volume.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace choana::processing {
namespace {

constexpr std::size_t dense_cells_max = 1u << 20;

}  // namespace

std::ptrdiff_t LevelVolume::stride(int axis) const {
  const std::ptrdiff_t row = size[0] + 2 * margin;
  if (axis == 0) return 1;
  return axis == 1 ? row : row * (size[1] + 2 * margin);
}

LevelVolume make_level_volume(const Index3& size, std::span<const std::uint8_t> region, const Discretisation& discretisation, const Vector3& spacing_mm,
                              int margin) {
  LevelVolume volume;
  volume.size = size;
  volume.margin = margin;
  volume.levels = discretisation.present;
  volume.highest_level = discretisation.highest;
  volume.spacing_mm = spacing_mm;
  volume.ranks.assign(static_cast<std::size_t>(volume.stride(2)) * static_cast<std::size_t>(size[2] + 2 * margin), -1);
  volume.positions.reserve(discretisation.levels.size());
  const int lowest = volume.levels.front();
  const auto span = static_cast<std::size_t>(volume.highest_level - lowest) + 1;
  std::vector<std::int32_t> rank_of;
  if (span <= 4 * discretisation.levels.size() + 1024) {
    rank_of.assign(span, -1);
    for (std::size_t rank = 0; rank < volume.levels.size(); ++rank) rank_of[static_cast<std::size_t>(volume.levels[rank] - lowest)] = static_cast<std::int32_t>(rank);
  }
  std::size_t voxel = 0;
  std::size_t next = 0;
  for (int k = 0; k < size[2]; ++k)
    for (int j = 0; j < size[1]; ++j) {
      const std::ptrdiff_t row = (k + margin) * volume.stride(2) + (j + margin) * volume.stride(1) + margin;
      for (int i = 0; i < size[0]; ++i, ++voxel) {
        if (region[voxel] == 0) continue;
        const int level = discretisation.levels[next++];
        const std::int32_t rank =
            rank_of.empty() ? static_cast<std::int32_t>(std::lower_bound(volume.levels.begin(), volume.levels.end(), level) - volume.levels.begin())
                            : rank_of[static_cast<std::size_t>(level - lowest)];
        const auto position = static_cast<std::size_t>(row + i);
        volume.ranks[position] = rank;
        volume.positions.push_back(position);
      }
    }
  return volume;
}

std::vector<Index3> neighbour_offsets(const Index3& size, const std::vector<int>& distances_voxels, int flat_axis, bool both_ways) {
  const int furthest = distances_voxels.empty() ? 0 : *std::max_element(distances_voxels.begin(), distances_voxels.end());
  Index3 reach{};
  for (int axis = 0; axis < 3; ++axis) {
    const auto a = static_cast<std::size_t>(axis);
    reach[a] = axis == flat_axis ? 0 : std::min(furthest, size[a] - 1);
  }
  std::vector<Index3> offsets;
  for (int k = reach[2]; k >= -reach[2]; --k)
    for (int j = reach[1]; j >= -reach[1]; --j)
      for (int i = reach[0]; i >= -reach[0]; --i) {
        const int norm = std::max({std::abs(i), std::abs(j), std::abs(k)});
        if (norm == 0 || std::find(distances_voxels.begin(), distances_voxels.end(), norm) == distances_voxels.end()) continue;
        const bool first_of_pair = k > 0 || (k == 0 && (j > 0 || (j == 0 && i > 0)));
        if (both_ways || first_of_pair) offsets.push_back({i, j, k});
      }
  return offsets;
}

CellCounter::CellCounter(std::size_t rows, std::size_t columns) : rows_(rows), columns_(columns), dense_(rows * columns <= dense_cells_max) {
  if (dense_) table_.assign(rows_ * columns_, 0);
}

std::vector<MatrixEntry> CellCounter::take() {
  std::vector<MatrixEntry> entries;
  if (dense_) {
    for (std::size_t row = 0; row < rows_; ++row)
      for (std::size_t column = 0; column < columns_; ++column) {
        std::uint32_t& cell = table_[row * columns_ + column];
        if (cell == 0) continue;
        entries.push_back({static_cast<std::uint32_t>(row), static_cast<std::uint32_t>(column), static_cast<double>(cell)});
        cell = 0;
      }
    return entries;
  }
  std::sort(keys_.begin(), keys_.end());
  for (std::size_t at = 0; at < keys_.size();) {
    const std::uint64_t key = keys_[at];
    std::size_t count = 0;
    for (; at < keys_.size() && keys_[at] == key; ++at) ++count;
    entries.push_back({static_cast<std::uint32_t>(key >> 32), static_cast<std::uint32_t>(key & 0xffffffffu), static_cast<double>(count)});
  }
  keys_.clear();
  return entries;
}

std::vector<MatrixEntry> weighted_sum(const std::vector<std::vector<MatrixEntry>>& matrices, const std::vector<double>& weights) {
  std::vector<MatrixEntry> merged;
  for (std::size_t at = 0; at < matrices.size(); ++at)
    for (MatrixEntry entry : matrices[at]) {
      entry.count *= weights[at];
      merged.push_back(entry);
    }
  // Stable: cells are summed in the order of the matrices.
  std::stable_sort(merged.begin(), merged.end(),
                   [](const MatrixEntry& a, const MatrixEntry& b) { return std::pair{a.row, a.column} < std::pair{b.row, b.column}; });
  std::vector<MatrixEntry> result;
  for (const MatrixEntry& entry : merged) {
    if (!result.empty() && result.back().row == entry.row && result.back().column == entry.column) result.back().count += entry.count;
    else result.push_back(entry);
  }
  return result;
}

}  // namespace choana::processing
