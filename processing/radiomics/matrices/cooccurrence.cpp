#include "processing/radiomics/matrices/cooccurrence.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace choana::processing {
namespace {

std::vector<MatrixEntry> transposed(const std::vector<MatrixEntry>& entries) {
  std::vector<MatrixEntry> result = entries;
  for (MatrixEntry& entry : result) std::swap(entry.row, entry.column);
  std::sort(result.begin(), result.end(), [](const MatrixEntry& a, const MatrixEntry& b) { return std::pair{a.row, a.column} < std::pair{b.row, b.column}; });
  return result;
}

bool normalise(std::vector<MatrixEntry>& entries) {
  double sum = 0;
  for (const MatrixEntry& entry : entries) sum += entry.count;
  if (!(sum > 0)) return false;
  for (MatrixEntry& entry : entries) entry.count /= sum;
  return true;
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

std::vector<CooccurrenceMatrix> count_cooccurrences(const LevelVolume& volume, const std::vector<int>& distances_voxels, int flat_axis, bool symmetric,
                                                    WeightingNorm norm) {
  const std::vector<Index3> offsets = neighbour_offsets(volume.size, distances_voxels, flat_axis, false);
  CellCounter counter(volume.levels.size(), volume.levels.size());
  std::vector<std::vector<MatrixEntry>> counts;
  counts.reserve(offsets.size());
  for (const Index3& step : offsets) {
    const std::ptrdiff_t offset = volume.offset(step);
    for (const std::size_t position : volume.positions) {
      const std::int32_t neighbour = volume.ranks[static_cast<std::size_t>(static_cast<std::ptrdiff_t>(position) + offset)];
      if (neighbour >= 0) counter.add(static_cast<std::uint32_t>(volume.ranks[position]), static_cast<std::uint32_t>(neighbour));
    }
    std::vector<MatrixEntry> entries = counter.take();
    if (symmetric) entries = weighted_sum({entries, transposed(entries)}, {1, 1});
    counts.push_back(std::move(entries));
  }
  if (norm != WeightingNorm::none) {
    std::vector<double> weights;
    for (const Index3& step : offsets) {
      const double length = offset_length_mm(step, volume.spacing_mm, norm);
      weights.push_back(norm == WeightingNorm::no_weighting ? 1.0 : std::exp(-(length * length)));
    }
    counts = {weighted_sum(counts, weights)};
  }
  std::vector<CooccurrenceMatrix> matrices;
  for (std::vector<MatrixEntry>& entries : counts)
    if (normalise(entries)) matrices.push_back({volume.levels, volume.highest_level, symmetric, std::move(entries)});
  return matrices;
}

}  // namespace choana::processing
