#include "processing/radiomics/matrices/level_volume.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "processing/radiomics/matrices/lanes.h"

namespace choana::processing {
namespace {

/// Fills cells run by run from levels listed in raster order.
template <typename Cell>
void fill_cells(LevelVolume& volume, const Discretisation& discretisation) {
  const auto depth = static_cast<std::size_t>(volume.size[2] + 2 * volume.margin);
  std::vector<Cell>& cells = volume.cells.emplace<std::vector<Cell>>(static_cast<std::size_t>(volume.stride(2)) * depth + lane_slack, Cell{0});
  const int* level = discretisation.levels.data();
  const int lowest = volume.levels.front();
  const auto span = static_cast<std::size_t>(volume.highest_level - lowest) + 1;
  // Two tables take turns, so that equal neighbours do not wait for each other.
  std::vector<std::uint32_t> counts(2 * volume.levels.size(), 0);
  const auto add = [&](const VoxelRun& run, auto&& cell_of) {
    Cell* cell = cells.data() + run.position;
    for (std::uint32_t at = 0; at < run.length; ++at) {
      const auto rank = static_cast<std::size_t>(cell_of(level[at]));
      cell[at] = static_cast<Cell>(rank + 1);
      ++counts[2 * rank + (at & 1u)];
    }
    level += run.length;
  };
  if (span == volume.levels.size()) {
    for (const VoxelRun& run : volume.runs) add(run, [&](int value) { return value - lowest; });
  } else if (span <= 4 * volume.voxels + 1024) {
    std::vector<std::int32_t> rank_of(span, 0);
    for (std::size_t rank = 0; rank < volume.levels.size(); ++rank) rank_of[static_cast<std::size_t>(volume.levels[rank] - lowest)] = static_cast<std::int32_t>(rank);
    for (const VoxelRun& run : volume.runs) add(run, [&](int value) { return rank_of[static_cast<std::size_t>(value - lowest)]; });
  } else {
    for (const VoxelRun& run : volume.runs)
      add(run, [&](int value) { return std::lower_bound(volume.levels.begin(), volume.levels.end(), value) - volume.levels.begin(); });
  }
  for (std::size_t rank = 0; rank < volume.levels.size(); ++rank) volume.level_counts.push_back(std::size_t{counts[2 * rank]} + counts[2 * rank + 1]);
}

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
  volume.voxels = discretisation.levels.size();
  for_each_run(size, region, [&](int i, int j, int k, int length) {
    const std::ptrdiff_t position = (k + margin) * volume.stride(2) + (j + margin) * volume.stride(1) + margin + i;
    volume.runs.push_back({static_cast<std::size_t>(position), static_cast<std::uint32_t>(length)});
  });
  if (volume.levels.size() < 0xff) fill_cells<std::uint8_t>(volume, discretisation);
  else if (volume.levels.size() < 0xffff) fill_cells<std::uint16_t>(volume, discretisation);
  else fill_cells<std::uint32_t>(volume, discretisation);
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

std::vector<MatrixEntry> count_listed(std::vector<std::uint64_t>& cells) {
  std::sort(cells.begin(), cells.end());
  std::vector<MatrixEntry> entries;
  for (std::size_t at = 0; at < cells.size();) {
    const std::uint64_t cell = cells[at];
    std::size_t count = 0;
    for (; at < cells.size() && cells[at] == cell; ++at) ++count;
    entries.push_back({static_cast<std::uint32_t>(cell >> 32), static_cast<std::uint32_t>(cell & 0xffffffffu), static_cast<double>(count)});
  }
  return entries;
}

std::vector<MatrixEntry> weighted_sum(const std::vector<MatrixEntry>& sum, const std::vector<MatrixEntry>& entries, double weight) {
  // exp(-d^2) of thick slices underflows: such entries would be 0 after normalisation, and a matrix holds none.
  if (weight < 1e-300) return sum;
  std::vector<MatrixEntry> result;
  result.reserve(std::max(sum.size(), entries.size()));
  auto left = sum.begin();
  for (const MatrixEntry& entry : entries) {
    const std::pair cell{entry.row, entry.column};
    while (left != sum.end() && std::pair{left->row, left->column} < cell) result.push_back(*left++);
    result.push_back({entry.row, entry.column, weight * entry.count});
    if (left != sum.end() && std::pair{left->row, left->column} == cell) {
      result.back().count = left->count + result.back().count;
      ++left;
    }
  }
  result.insert(result.end(), left, sum.end());
  return result;
}

}  // namespace choana::processing
