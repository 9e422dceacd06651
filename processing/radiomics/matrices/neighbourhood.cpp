#include "processing/radiomics/matrices/neighbourhood.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <variant>

#include "core/vectorised.h"
#include "processing/radiomics/matrices/dependence.h"
#include "processing/radiomics/matrices/lanes.h"

namespace choana::processing {
namespace {

constexpr std::size_t chunk_width = 256;

/// Of each voxel of a chunk: neighbours in the region, those whose level differs by at most alpha, and the sum of their levels.
template <typename Count, typename Sum>
struct Tally {
  std::array<Count, chunk_width> present;
  std::array<Count, chunk_width> alike;
  std::array<Sum, chunk_width> sum;
};

/// levels: of the padded box, 0 outside the region. Works on whole groups of lanes; masks of equal lanes are -1, hence the minus.
/// Sums are twice as wide as levels: those of even and of odd lanes are kept apart.
template <bool exact, typename Level, typename Sum>
[[gnu::always_inline]] inline void tally_lanes(const Level* voxel, std::size_t count, const std::ptrdiff_t* offsets, std::size_t neighbours, Level alpha,
                                               Tally<Level, Sum>& tally) {
  static_assert(sizeof(Sum) == 2 * sizeof(Level) && std::endian::native == std::endian::little);
  constexpr std::size_t together = lane_bytes / sizeof(Level);
  constexpr unsigned level_bits = 8 * sizeof(Level);
  for (std::size_t at = 0; at < count; at += together) {
    Lanes<Level> here, there;
    load(voxel + at, here);
    Lanes<Level> absent{};
    Lanes<Level> alike{};
    Lanes<Sum> even{};
    Lanes<Sum> odd{};
    for (std::size_t n = 0; n < neighbours; ++n) {
      load(voxel + at + offsets[n], there);
      const auto outside = there == 0;
      absent -= __builtin_convertvector(outside, Lanes<Level>);
      if constexpr (exact) {
        alike -= __builtin_convertvector(there == here, Lanes<Level>);
      } else {
        const Lanes<Level> difference = there > here ? there - here : here - there;
        alike -= __builtin_convertvector((difference <= alpha) & ~outside, Lanes<Level>);
      }
      Lanes<Sum> pairs;
      std::memcpy(&pairs, &there, sizeof pairs);
      even += pairs & static_cast<Sum>(std::numeric_limits<Level>::max());
      odd += pairs >> level_bits;
    }
    store(static_cast<Level>(neighbours) - absent, tally.present.data() + at);
    store(alike, tally.alike.data() + at);
    for (std::size_t pair = 0; pair < together / 2; ++pair) {
      tally.sum[at + 2 * pair] = even[pair];
      tally.sum[at + 2 * pair + 1] = odd[pair];
    }
  }
}

CHOANA_VECTORISED void tally_chunk(const std::uint8_t* voxel, std::size_t count, const std::ptrdiff_t* offsets, std::size_t neighbours, std::uint8_t alpha,
                                   Tally<std::uint8_t, std::uint16_t>& tally) {
  if (alpha == 0) tally_lanes<true>(voxel, count, offsets, neighbours, alpha, tally);
  else tally_lanes<false>(voxel, count, offsets, neighbours, alpha, tally);
}
CHOANA_VECTORISED void tally_chunk(const std::uint16_t* voxel, std::size_t count, const std::ptrdiff_t* offsets, std::size_t neighbours, std::uint16_t alpha,
                                   Tally<std::uint16_t, std::uint32_t>& tally) {
  if (alpha == 0) tally_lanes<true>(voxel, count, offsets, neighbours, alpha, tally);
  else tally_lanes<false>(voxel, count, offsets, neighbours, alpha, tally);
}
CHOANA_VECTORISED void tally_chunk(const std::uint32_t* voxel, std::size_t count, const std::ptrdiff_t* offsets, std::size_t neighbours, std::uint32_t alpha,
                                   Tally<std::uint32_t, std::uint64_t>& tally) {
  if (alpha == 0) tally_lanes<true>(voxel, count, offsets, neighbours, alpha, tally);
  else tally_lanes<false>(voxel, count, offsets, neighbours, alpha, tally);
}

/// Sums per level and number of neighbours are whole numbers, so they do not depend on the order of voxels:
/// |level - sum / n| = |level n - sum| / n.
/// levels and cells: of the padded box.
template <typename Sum, typename Level, typename Cell>
NeighbourhoodMatrices walk(const LevelVolume& volume, const Level* levels, const Cell* cells, const std::vector<std::ptrdiff_t>& offsets, Level alpha,
                           bool with_dependences, bool with_tones) {
  const std::size_t columns = offsets.size() + 2;
  const std::size_t rows = volume.levels.size();
  const bool dense = rows * columns <= dense_cells_max;
  std::vector<std::uint32_t> dependences(with_dependences && dense ? rows * columns : 0, 0);
  std::vector<std::uint64_t> listed;
  std::vector<std::uint64_t> differences(with_tones && dense ? rows * columns : 0, 0);
  NeighbourhoodMatrices result;
  if (with_tones) {
    result.tones.levels.assign(volume.levels.begin(), volume.levels.end());
    result.tones.counts.assign(volume.level_counts.begin(), volume.level_counts.end());
    result.tones.differences.assign(rows, 0);
  }
  Tally<Level, Sum> tally;
  for (const VoxelRun& run : volume.runs)
    for (std::size_t done = 0; done < run.length; done += chunk_width) {
      const Level* voxel = levels + run.position + done;
      const std::size_t count = std::min<std::size_t>(chunk_width, run.length - done);
      tally_chunk(voxel, count, offsets.data(), offsets.size(), alpha, tally);
      const Cell* cell = cells + run.position + done;
      const auto row = [&](std::size_t at) { return cell[at] - std::size_t{1}; };
      if (with_dependences) {
        if (dense)
          for (std::size_t at = 0; at < count; ++at) ++dependences[row(at) * columns + tally.alike[at] + 1];
        else
          for (std::size_t at = 0; at < count; ++at) listed.push_back((std::uint64_t{row(at)} << 32) | (tally.alike[at] + std::uint64_t{1}));
      }
      if (with_tones)
        for (std::size_t at = 0; at < count; ++at) {
          const std::uint64_t scaled = std::uint64_t{voxel[at]} * tally.present[at];
          const std::uint64_t sum = tally.sum[at];
          const std::uint64_t difference = scaled > sum ? scaled - sum : sum - scaled;
          if (dense) differences[row(at) * columns + tally.present[at]] += difference;
          else if (difference != 0) result.tones.differences[row(at)] += static_cast<double>(difference) / static_cast<double>(tally.present[at]);
        }
    }
  if (with_dependences) {
    result.dependences.levels = volume.levels;
    if (!dense) result.dependences.entries = count_listed(listed);
    else
      for (std::size_t row = 0; row < rows; ++row)
        for (std::size_t column = 1; column < columns; ++column)
          if (const std::uint32_t found = dependences[row * columns + column]; found != 0)
            result.dependences.entries.push_back({static_cast<std::uint32_t>(row), static_cast<std::uint32_t>(column), static_cast<double>(found)});
  }
  if (with_tones && dense)
    for (std::size_t row = 0; row < rows; ++row)
      for (std::size_t present = 1; present < columns; ++present)
        result.tones.differences[row] += static_cast<double>(differences[row * columns + present]) / static_cast<double>(present);
  return result;
}

}  // namespace

NeighbourhoodMatrices count_neighbourhoods(const LevelVolume& volume, const std::vector<int>& distances_voxels, int flat_axis, int alpha, bool with_dependences,
                                           bool with_tones) {
  std::vector<std::ptrdiff_t> offsets;
  for (const Index3& step : neighbour_offsets(volume.size, distances_voxels, flat_axis, true)) offsets.push_back(volume.offset(step));
  // Levels as narrow as sums over all neighbours allow: bytes in the common case. Cells without a gap are levels already.
  const auto highest = static_cast<std::size_t>(volume.highest_level);
  return std::visit(
      [&](const auto& cells) {
        const auto with = [&]<typename Level, typename Sum>(Level, Sum) {
          const auto nearest = static_cast<Level>(std::min<std::uint64_t>(static_cast<std::uint64_t>(alpha), std::numeric_limits<Level>::max()));
          if constexpr (std::is_same_v<Level, typename std::decay_t<decltype(cells)>::value_type>)
            if (volume.gapless()) return walk<Sum>(volume, cells.data(), cells.data(), offsets, nearest, with_dependences, with_tones);
          std::vector<Level> levels(cells.size(), 0);
          for (const VoxelRun& run : volume.runs)
            for (std::size_t at = run.position; at < run.position + run.length; ++at) levels[at] = static_cast<Level>(volume.levels[cells[at] - std::size_t{1}]);
          return walk<Sum>(volume, levels.data(), cells.data(), offsets, nearest, with_dependences, with_tones);
        };
        if (offsets.size() < 0xff && highest <= 0xff && offsets.size() * highest <= 0xffff) return with(std::uint8_t{}, std::uint16_t{});
        if (offsets.size() < 0xffff && highest <= 0xffff && offsets.size() * highest <= 0xffffffff) return with(std::uint16_t{}, std::uint32_t{});
        return with(std::uint32_t{}, std::uint64_t{});
      },
      volume.cells);
}

LevelSizeMatrix count_dependences(const LevelVolume& volume, const std::vector<int>& distances_voxels, int flat_axis, int alpha) {
  return count_neighbourhoods(volume, distances_voxels, flat_axis, alpha, true, false).dependences;
}

ToneDifferenceMatrix sum_tone_differences(const LevelVolume& volume, const std::vector<int>& distances_voxels, int flat_axis) {
  return count_neighbourhoods(volume, distances_voxels, flat_axis, 0, false, true).tones;
}

}  // namespace choana::processing
