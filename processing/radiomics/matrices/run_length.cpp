#include "processing/radiomics/matrices/run_length.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <type_traits>
#include <variant>

#include "core/vectorised.h"
#include "processing/radiomics/matrices/cooccurrence.h"
#include "processing/radiomics/matrices/lanes.h"

namespace choana::processing {
namespace {

/// Does any line along `step` hold two voxels of the region, neighbours or not?
bool shares_line(const LevelVolume& volume, const Index3& step) {
  std::set<std::array<std::ptrdiff_t, 3>> lines;
  for (const VoxelRun& run : volume.runs)
    for (std::size_t position = run.position; position < run.position + run.length; ++position) {
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

template <typename Cell>
bool has_neighbours(const LevelVolume& volume, const Cell* cells, std::ptrdiff_t offset) {
  return std::any_of(volume.runs.begin(), volume.runs.end(), [&](const VoxelRun& run) {
    const Cell* neighbour = cells + static_cast<std::ptrdiff_t>(run.position) + offset;
    return std::any_of(neighbour, neighbour + run.length, [](Cell cell) { return cell != 0; });
  });
}

/// How far the run of each voxel has come, from how far it had come one step before. Works on whole groups of lanes: what it writes behind
/// `count` belongs to voxels that are visited later.
template <typename Cell, typename Length>
[[gnu::always_inline]] inline void grow_lanes(const Cell* voxel, const Cell* before, const Length* length_before, std::size_t count, Length* length) {
  constexpr std::size_t together = lane_bytes / std::max(sizeof(Cell), sizeof(Length));
  for (std::size_t at = 0; at < count; at += together) {
    Lanes<Cell, together> here, there;
    Lanes<Length, together> reached;
    load(voxel + at, here);
    load(before + at, there);
    load(length_before + at, reached);
    const auto equal = __builtin_convertvector(here == there, Lanes<Length, together>);
    store((reached & equal) + static_cast<Length>(1), length + at);
  }
}
CHOANA_VECTORISED void grow(const std::uint8_t* voxel, const std::uint8_t* before, const std::uint8_t* length_before, std::size_t count, std::uint8_t* length) {
  grow_lanes(voxel, before, length_before, count, length);
}
CHOANA_VECTORISED void grow(const std::uint8_t* voxel, const std::uint8_t* before, const std::uint16_t* length_before, std::size_t count, std::uint16_t* length) {
  grow_lanes(voxel, before, length_before, count, length);
}
CHOANA_VECTORISED void grow(const std::uint16_t* voxel, const std::uint16_t* before, const std::uint16_t* length_before, std::size_t count, std::uint16_t* length) {
  grow_lanes(voxel, before, length_before, count, length);
}

/// Counts how many runs of a level come to each length: a run of length n passes through the lengths 1 .. n, one a voxel, so every
/// voxel counts once and no run need be looked for. Runs of exactly n are those that reach n and not n + 1.
template <typename Cell, typename Length>
class DenseRunCounter {
 public:
  DenseRunCounter(const LevelVolume& volume, int longest)
      : volume_(volume), cells_(std::get<std::vector<Cell>>(volume.cells)), width_(static_cast<std::size_t>(longest) + 2), lengths_(cells_.size()) {}

  void list(std::ptrdiff_t offset, std::vector<MatrixEntry>& entries, bool& neighbours) {
    // Two tables take turns, so that equal neighbours do not wait for each other.
    const std::size_t table_size = (volume_.levels.size() + 1) * width_;
    counts_.assign(2 * table_size, 0);
    std::uint32_t* const even = counts_.data();
    std::uint32_t* const odd = even + table_size;
    for (const VoxelRun& run : volume_.runs) {
      const Cell* voxel = cells_.data() + run.position;
      Length* length = lengths_.data() + run.position;
      if (offset == 1) {
        Length reached = 0;
        for (std::size_t at = 0; at < run.length; ++at) length[at] = reached = static_cast<Length>((voxel[at] == voxel[static_cast<std::ptrdiff_t>(at) - 1] ? reached : Length{0}) + Length{1});
      } else {
        grow(voxel, voxel - offset, length - offset, run.length, length);
      }
      std::size_t at = 0;
      for (; at + 2 <= run.length; at += 2) {
        ++even[voxel[at] * width_ + length[at]];
        ++odd[voxel[at + 1] * width_ + length[at + 1]];
      }
      if (at < run.length) ++even[voxel[at] * width_ + length[at]];
    }
    entries.clear();
    neighbours = false;
    for (std::size_t row = 1; row <= volume_.levels.size(); ++row) {
      const std::uint32_t* a = even + row * width_;
      const std::uint32_t* b = odd + row * width_;
      neighbours = neighbours || a[2] + b[2] > 0;
      for (std::size_t length = 1; length + 1 < width_; ++length) {
        const std::uint32_t reached = a[length] + b[length];
        if (reached == 0) break;
        const std::uint32_t count = reached - (a[length + 1] + b[length + 1]);
        if (count != 0) entries.push_back({static_cast<std::uint32_t>(row - 1), static_cast<std::uint32_t>(length), static_cast<double>(count)});
      }
    }
    neighbours = neighbours || has_neighbours(volume_, cells_.data(), -offset);
  }

 private:
  const LevelVolume& volume_;
  const std::vector<Cell>& cells_;
  std::size_t width_;
  std::vector<Length> lengths_;
  std::vector<std::uint32_t> counts_;
};

/// Many levels or long lines: runs are followed one by one and listed.
template <typename Cell>
class SparseRunCounter {
 public:
  explicit SparseRunCounter(const LevelVolume& volume) : volume_(volume), cells_(std::get<std::vector<Cell>>(volume.cells).data()) {}

  void list(std::ptrdiff_t offset, std::vector<MatrixEntry>& entries, bool& neighbours) {
    found_.clear();
    neighbours = has_neighbours(volume_, cells_, -offset);
    for (const VoxelRun& run : volume_.runs)
      for (const Cell* voxel = cells_ + run.position; voxel < cells_ + run.position + run.length; ++voxel) {
        if (voxel[-offset] == *voxel) continue;
        std::uint32_t length = 1;
        for (const Cell* next = voxel + offset; *next == *voxel; next += offset) ++length;
        found_.push_back((static_cast<std::uint64_t>(*voxel - std::size_t{1}) << 32) | length);
      }
    entries = count_listed(found_);
  }

 private:
  const LevelVolume& volume_;
  const Cell* cells_;
  std::vector<std::uint64_t> found_;
};

template <typename Counter>
std::vector<LevelSizeMatrix> count_with(Counter&& counter, const LevelVolume& volume, const std::vector<Index3>& steps, WeightingNorm norm) {
  std::vector<LevelSizeMatrix> matrices;
  std::vector<MatrixEntry> joined;
  for (const Index3& step : steps) {
    std::vector<MatrixEntry> entries;
    bool neighbours = false;
    counter.list(volume.offset(step), entries, neighbours);
    if (!neighbours && !shares_line(volume, step)) continue;
    if (norm == WeightingNorm::none) matrices.push_back({volume.levels, std::move(entries)});
    else joined = weighted_sum(joined, entries, norm == WeightingNorm::no_weighting ? 1.0 : offset_length_mm(step, volume.spacing_mm, norm));
  }
  if (norm != WeightingNorm::none) matrices.push_back({volume.levels, std::move(joined)});
  else if (matrices.empty() && steps.size() == 1) matrices.push_back({volume.levels, {}});
  return matrices;
}

}  // namespace

std::vector<LevelSizeMatrix> count_runs(const LevelVolume& volume, int flat_axis, WeightingNorm norm) {
  const std::vector<Index3> steps = neighbour_offsets(volume.size, {1}, flat_axis, false);
  const int longest = std::max({volume.size[0], volume.size[1], volume.size[2]});
  const bool dense = (volume.levels.size() + 1) * (static_cast<std::size_t>(longest) + 2) <= dense_cells_max;
  return std::visit(
      [&](const auto& cells) {
        using Cell = typename std::decay_t<decltype(cells)>::value_type;
        if constexpr (sizeof(Cell) == 1)
          if (dense && longest <= 0xff) return count_with(DenseRunCounter<Cell, std::uint8_t>(volume, longest), volume, steps, norm);
        if constexpr (sizeof(Cell) <= 2) {
          if (dense && longest <= 0xffff) return count_with(DenseRunCounter<Cell, std::uint16_t>(volume, longest), volume, steps, norm);
        }
        return count_with(SparseRunCounter<Cell>(volume), volume, steps, norm);
      },
      volume.cells);
}

}  // namespace choana::processing
