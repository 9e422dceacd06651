#include "processing/radiomics/matrices/run_length.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <set>

#include "processing/radiomics/matrices/cooccurrence.h"

namespace choana::processing {
namespace {

/// Does any line along `step` hold two voxels of the region, neighbours or not?
bool shares_line(const LevelVolume& volume, const Index3& step) {
  std::set<std::array<std::ptrdiff_t, 3>> lines;
  for (const std::size_t position : volume.positions) {
    std::ptrdiff_t rest = static_cast<std::ptrdiff_t>(position);
    std::array<std::ptrdiff_t, 3> index{};
    index[2] = rest / volume.stride(2) - volume.margin;
    rest %= volume.stride(2);
    index[1] = rest / volume.stride(1) - volume.margin;
    index[0] = rest % volume.stride(1) - volume.margin;
    // Walk back to where the line enters the box: that voxel names the line.
    std::ptrdiff_t back = -1;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      if (step[axis] == 0) continue;
      const std::ptrdiff_t room = step[axis] > 0 ? index[axis] : volume.size[axis] - 1 - index[axis];
      back = back < 0 ? room : std::min(back, room);
    }
    for (std::size_t axis = 0; axis < 3; ++axis) index[axis] -= back * step[axis];
    if (!lines.insert(index).second) return true;
  }
  return false;
}

}  // namespace

std::vector<LevelSizeMatrix> count_runs(const LevelVolume& volume, int flat_axis, WeightingNorm norm) {
  const std::vector<Index3> steps = neighbour_offsets(volume.size, {1}, flat_axis, false);
  const int longest = std::max({volume.size[0], volume.size[1], volume.size[2]});
  CellCounter counter(volume.levels.size(), static_cast<std::size_t>(longest) + 1);
  std::vector<std::vector<MatrixEntry>> counts;
  std::vector<double> weights;
  for (const Index3& step : steps) {
    const std::ptrdiff_t offset = volume.offset(step);
    bool neighbours = false;
    for (const std::size_t position : volume.positions) {
      const std::int32_t rank = volume.ranks[position];
      const std::int32_t* voxel = volume.ranks.data() + position;
      const std::int32_t before = voxel[-offset];
      neighbours = neighbours || before >= 0;
      if (before == rank) continue;
      std::uint32_t length = 1;
      for (const std::int32_t* next = voxel + offset; *next == rank; next += offset) ++length;
      counter.add(static_cast<std::uint32_t>(rank), length);
    }
    std::vector<MatrixEntry> entries = counter.take();
    if (!neighbours && !shares_line(volume, step)) continue;
    counts.push_back(std::move(entries));
    weights.push_back(norm == WeightingNorm::no_weighting ? 1.0 : offset_length_mm(step, volume.spacing_mm, norm));
  }
  if (norm != WeightingNorm::none) counts = {weighted_sum(counts, weights)};
  else if (counts.empty() && steps.size() == 1) counts.emplace_back();
  std::vector<LevelSizeMatrix> matrices;
  for (std::vector<MatrixEntry>& entries : counts) matrices.push_back({volume.levels, std::move(entries)});
  return matrices;
}

}  // namespace choana::processing
