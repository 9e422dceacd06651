#include "processing/radiomics/matrices/cooccurrence.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>
#include <variant>

namespace choana::processing {
namespace {

constexpr std::size_t together = 4;  // offsets that are counted in one walk, each in a table of its own

bool normalise(std::vector<MatrixEntry>& entries) {
  double sum = 0;
  for (const MatrixEntry& entry : entries) sum += entry.count;
  if (!(sum > 0)) return false;
  for (MatrixEntry& entry : entries) entry.count /= sum;
  return true;
}

/// Dense tables of (1 + levels)^2 cells; row and column 0 collect what lies outside the region, so that no voxel needs a question.
template <typename Cell>
class DenseCounter {
 public:
  explicit DenseCounter(const LevelVolume& volume) : runs_(volume.runs), cells_(std::get<std::vector<Cell>>(volume.cells).data()), width_(volume.levels.size() + 1) {}

  void count(std::span<const std::ptrdiff_t> offsets) {
    tables_.assign(offsets.size() * width_ * width_, 0);
    if (offsets.size() == together) count_together(offsets);
    else
      for (std::size_t at = 0; at < offsets.size(); ++at) count_one(offsets[at], table(at));
  }

  /// Counts of one of the offsets.
  void list(std::size_t which, bool symmetric, std::vector<MatrixEntry>& entries) {
    const std::uint32_t* counts = table(which);
    entries.clear();
    for (std::size_t row = 1; row < width_; ++row)
      for (std::size_t column = 1; column < width_; ++column) {
        const std::uint64_t count = std::uint64_t{counts[row * width_ + column]} + (symmetric ? counts[column * width_ + row] : 0u);
        if (count != 0) entries.push_back({static_cast<std::uint32_t>(row - 1), static_cast<std::uint32_t>(column - 1), static_cast<double>(count)});
      }
  }

 private:
  std::uint32_t* table(std::size_t which) { return tables_.data() + which * width_ * width_; }

  void count_together(std::span<const std::ptrdiff_t> offsets) {
    std::uint32_t* const tables[together] = {table(0), table(1), table(2), table(3)};
    const std::size_t width = width_;
    for (const VoxelRun& run : runs_) {
      const Cell* voxel = cells_ + run.position;
      const Cell* const neighbours[together] = {voxel + offsets[0], voxel + offsets[1], voxel + offsets[2], voxel + offsets[3]};
      for (std::size_t at = 0; at < run.length; ++at) {
        const std::size_t row = voxel[at] * width;
        ++tables[0][row + neighbours[0][at]];
        ++tables[1][row + neighbours[1][at]];
        ++tables[2][row + neighbours[2][at]];
        ++tables[3][row + neighbours[3][at]];
      }
    }
  }
  void count_one(std::ptrdiff_t offset, std::uint32_t* counts) const {
    for (const VoxelRun& run : runs_) {
      const Cell* voxel = cells_ + run.position;
      for (std::size_t at = 0; at < run.length; ++at) ++counts[voxel[at] * width_ + voxel[static_cast<std::ptrdiff_t>(at) + offset]];
    }
  }

  const std::vector<VoxelRun>& runs_;
  const Cell* cells_;
  std::size_t width_;
  std::vector<std::uint32_t> tables_;
};

/// Many levels: voxels are listed level by level once, and each row of the matrix is counted from the voxels of its level.
template <typename Cell>
class SparseCounter {
 public:
  explicit SparseCounter(const LevelVolume& volume) : cells_(std::get<std::vector<Cell>>(volume.cells).data()), counts_(volume.levels.size(), 0) {
    std::size_t sum = 0;
    for (const std::size_t count : volume.level_counts) {
      first_.push_back(sum);
      sum += count;
    }
    positions_.resize(sum);
    std::vector<std::size_t> next = first_;
    first_.push_back(sum);
    for (const VoxelRun& run : volume.runs)
      for (std::size_t at = run.position; at < run.position + run.length; ++at) positions_[next[cells_[at] - std::size_t{1}]++] = at;
  }

  void count(std::span<const std::ptrdiff_t> offsets) { offsets_.assign(offsets.begin(), offsets.end()); }

  void list(std::size_t which, bool symmetric, std::vector<MatrixEntry>& entries) {
    const std::ptrdiff_t offset = offsets_[which];
    entries.clear();
    for (std::size_t row = 0; row + 1 < first_.size(); ++row) {
      columns_.clear();
      for (std::size_t at = first_[row]; at < first_[row + 1]; ++at) {
        add(cells_[static_cast<std::ptrdiff_t>(positions_[at]) + offset]);
        if (symmetric) add(cells_[static_cast<std::ptrdiff_t>(positions_[at]) - offset]);
      }
      std::sort(columns_.begin(), columns_.end());
      for (const std::uint32_t column : columns_) {
        entries.push_back({static_cast<std::uint32_t>(row), column, static_cast<double>(counts_[column])});
        counts_[column] = 0;
      }
    }
  }

 private:
  void add(Cell neighbour) {
    if (neighbour != 0 && counts_[neighbour - std::size_t{1}]++ == 0) columns_.push_back(static_cast<std::uint32_t>(neighbour - std::size_t{1}));
  }

  const Cell* cells_;
  std::vector<std::size_t> first_;      // where each level begins in `positions_`
  std::vector<std::size_t> positions_;
  std::vector<std::uint32_t> counts_;   // of the row at hand
  std::vector<std::uint32_t> columns_;  // which of them are not 0
  std::vector<std::ptrdiff_t> offsets_;
};

template <typename Counter>
void visit_with(Counter&& counter, const LevelVolume& volume, const std::vector<Index3>& steps, bool symmetric, WeightingNorm norm,
                const std::function<void(const CooccurrenceMatrix&)>& visit) {
  CooccurrenceMatrix matrix{volume.levels, volume.highest_level, symmetric, {}};
  std::vector<MatrixEntry> joined;
  for (std::size_t from = 0; from < steps.size(); from += together) {
    std::vector<std::ptrdiff_t> offsets;
    for (std::size_t at = from; at < std::min(steps.size(), from + together); ++at) offsets.push_back(volume.offset(steps[at]));
    counter.count(offsets);
    for (std::size_t at = 0; at < offsets.size(); ++at) {
      counter.list(at, symmetric, matrix.entries);
      if (norm == WeightingNorm::none) {
        if (normalise(matrix.entries)) visit(matrix);
        continue;
      }
      const double length = offset_length_mm(steps[from + at], volume.spacing_mm, norm);
      joined = weighted_sum(joined, matrix.entries, norm == WeightingNorm::no_weighting ? 1.0 : std::exp(-(length * length)));
    }
  }
  if (norm == WeightingNorm::none) return;
  matrix.entries = std::move(joined);
  if (normalise(matrix.entries)) visit(matrix);
}

}  // namespace

double offset_length_mm(const Index3& step, const Vector3& spacing_mm, WeightingNorm norm) {
  // Summed in the order k, j, i, as the reference does.
  double sum = 0;
  double largest = 0;
  double squares = 0;
  for (std::size_t axis = 3; axis-- > 0;) {
    const double length = std::abs(step[axis]) * spacing_mm[axis];
    sum += length;
    squares += length * length;
    largest = std::max(largest, length);
  }
  if (norm == WeightingNorm::manhattan) return sum;
  return norm == WeightingNorm::infinity ? largest : std::sqrt(squares);
}

void visit_cooccurrences(const LevelVolume& volume, const std::vector<int>& distances_voxels, int flat_axis, bool symmetric, WeightingNorm norm,
                         const std::function<void(const CooccurrenceMatrix&)>& visit) {
  const std::vector<Index3> steps = neighbour_offsets(volume.size, distances_voxels, flat_axis, false);
  const bool dense = (volume.levels.size() + 1) * (volume.levels.size() + 1) <= dense_cells_max;
  std::visit(
      [&](const auto& cells) {
        using Cell = typename std::decay_t<decltype(cells)>::value_type;
        if (dense) visit_with(DenseCounter<Cell>(volume), volume, steps, symmetric, norm, visit);
        else visit_with(SparseCounter<Cell>(volume), volume, steps, symmetric, norm, visit);
      },
      volume.cells);
}

std::vector<CooccurrenceMatrix> count_cooccurrences(const LevelVolume& volume, const std::vector<int>& distances_voxels, int flat_axis, bool symmetric,
                                                    WeightingNorm norm) {
  std::vector<CooccurrenceMatrix> matrices;
  visit_cooccurrences(volume, distances_voxels, flat_axis, symmetric, norm, [&](const CooccurrenceMatrix& matrix) { matrices.push_back(matrix); });
  return matrices;
}

}  // namespace choana::processing
