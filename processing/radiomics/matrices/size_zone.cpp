#include "processing/radiomics/matrices/size_zone.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <type_traits>
#include <variant>

#include "core/vectorised.h"
#include "processing/radiomics/matrices/lanes.h"

namespace choana::processing {
namespace {

constexpr std::size_t back_neighbours_max = 13;
constexpr std::size_t chunk_width = 256;

/// For each set of equal neighbours that lie before a voxel (bit n = offsets[n]): one of each group that is connected without this voxel.
/// Neighbours of the set that touch each other were joined when the later of them was visited.
std::vector<std::uint16_t> representatives(const std::vector<Index3>& offsets) {
  std::vector<std::uint16_t> table(std::size_t{1} << offsets.size(), 0);
  std::array<std::uint16_t, back_neighbours_max> touching{};
  for (std::size_t a = 0; a < offsets.size(); ++a)
    for (std::size_t b = 0; b < offsets.size(); ++b) {
      int distance = 0;
      for (std::size_t axis = 0; axis < 3; ++axis) distance = std::max(distance, std::abs(offsets[a][axis] - offsets[b][axis]));
      if (distance <= 1) touching[a] = static_cast<std::uint16_t>(touching[a] | (1u << b));
    }
  for (std::size_t set = 1; set < table.size(); ++set) {
    unsigned rest = static_cast<unsigned>(set);
    while (rest != 0) {
      const auto first = static_cast<unsigned>(__builtin_ctz(rest));
      table[set] = static_cast<std::uint16_t>(table[set] | (1u << first));
      unsigned group = 1u << first;
      for (unsigned grown = 0; grown != group;) {
        grown = group;
        for (unsigned member = 0; member < offsets.size(); ++member)
          if ((group >> member & 1u) != 0) group |= touching[member] & rest;
      }
      rest &= ~group;
    }
  }
  return table;
}

/// Opposites of the first of each pair: the neighbours that a walk in raster order has seen.
std::vector<Index3> back_offsets(const Index3& size, int flat_axis) {
  std::vector<Index3> back = neighbour_offsets(size, {1}, flat_axis, false);
  for (Index3& step : back)
    for (int& component : step) component = -component;
  return back;
}

/// Bit n of sets[v]: neighbour n of voxel v has its level. Works on whole groups of lanes.
template <typename Cell>
[[gnu::always_inline]] inline void mark_equal(const Cell* voxel, std::size_t count, const std::ptrdiff_t* offsets, std::size_t neighbours, std::uint16_t* sets) {
  constexpr std::size_t together = lane_bytes / std::max(sizeof(Cell), sizeof(std::uint16_t));
  for (std::size_t at = 0; at < count; at += together) {
    Lanes<Cell, together> here, there;
    load(voxel + at, here);
    Lanes<std::uint16_t, together> set{};
    for (std::size_t n = 0; n < neighbours; ++n) {
      load(voxel + at + offsets[n], there);
      const auto bit = static_cast<std::uint16_t>(1u << n);
      set |= __builtin_convertvector(here == there, Lanes<std::uint16_t, together>) & bit;
    }
    store(set, sets + at);
  }
}
CHOANA_VECTORISED void mark(const std::uint8_t* voxel, std::size_t count, const std::ptrdiff_t* offsets, std::size_t neighbours, std::uint16_t* sets) {
  mark_equal(voxel, count, offsets, neighbours, sets);
}
CHOANA_VECTORISED void mark(const std::uint16_t* voxel, std::size_t count, const std::ptrdiff_t* offsets, std::size_t neighbours, std::uint16_t* sets) {
  mark_equal(voxel, count, offsets, neighbours, sets);
}
CHOANA_VECTORISED void mark(const std::uint32_t* voxel, std::size_t count, const std::ptrdiff_t* offsets, std::size_t neighbours, std::uint16_t* sets) {
  mark_equal(voxel, count, offsets, neighbours, sets);
}

struct Zone {
  std::uint32_t parent = 0;
  std::uint32_t size = 0;
  std::uint32_t row = 0;
};

std::uint32_t root_of(std::vector<Zone>& zones, std::uint32_t zone) {
  while (zones[zone].parent != zone) zone = zones[zone].parent = zones[zones[zone].parent].parent;
  return zone;
}

template <typename Cell>
std::vector<Zone> find_zones(const LevelVolume& volume, const std::vector<Cell>& cells, const std::vector<Index3>& offsets) {
  std::vector<std::ptrdiff_t> back;
  for (const Index3& step : offsets) back.push_back(volume.offset(step));
  // The 13 of a box that is three-dimensional are the same each time.
  static const std::vector<std::uint16_t> of_thirteen = representatives(back_offsets({2, 2, 2}, -1));
  const std::vector<std::uint16_t> joined = offsets.size() == back_neighbours_max ? std::vector<std::uint16_t>{} : representatives(offsets);
  const std::uint16_t* const one_of_each = joined.empty() ? of_thirteen.data() : joined.data();
  std::vector<std::uint32_t> zone_of(cells.size());
  std::vector<Zone> zones;
  std::array<std::uint16_t, chunk_width> sets;
  for (const VoxelRun& run : volume.runs)
    for (std::size_t done = 0; done < run.length; done += chunk_width) {
      const std::size_t position = run.position + done;
      const std::size_t count = std::min<std::size_t>(chunk_width, run.length - done);
      mark(cells.data() + position, count, back.data(), back.size(), sets.data());
      for (std::size_t at = 0; at < count; ++at) {
        unsigned others = one_of_each[sets[at]];
        std::uint32_t zone;
        if (others == 0) {
          zone = static_cast<std::uint32_t>(zones.size());
          zones.push_back({zone, 0, static_cast<std::uint32_t>(cells[position + at] - std::size_t{1})});
        } else {
          const auto zone_at = [&](unsigned bit) { return zone_of[static_cast<std::size_t>(static_cast<std::ptrdiff_t>(position + at) + back[bit])]; };
          zone = zone_at(static_cast<unsigned>(__builtin_ctz(others)));
          others &= others - 1;
          if (others != 0) {
            zone = root_of(zones, zone);
            for (; others != 0; others &= others - 1) {
              // The older zone is the parent, so parents always come first.
              const std::uint32_t other = root_of(zones, zone_at(static_cast<unsigned>(__builtin_ctz(others))));
              const std::uint32_t older = std::min(zone, other);
              zones[std::max(zone, other)].parent = older;
              zone = older;
            }
          }
        }
        zone_of[position + at] = zone;
        ++zones[zone].size;
      }
    }
  for (std::size_t zone = zones.size(); zone-- > 0;)
    if (zones[zone].parent != zone) zones[zones[zone].parent].size += zones[zone].size;
  return zones;
}

}  // namespace

std::size_t count_parts(const Index3& size, std::span<const std::uint8_t> region) {
  LevelVolume volume;
  volume.size = size;
  volume.margin = 1;
  volume.levels = {1};
  std::vector<std::uint8_t> cells(static_cast<std::size_t>(volume.stride(2)) * static_cast<std::size_t>(size[2] + 2) + lane_slack, 0);
  for_each_run(size, region, [&](int i, int j, int k, int length) {
    const auto position = static_cast<std::size_t>((k + 1) * volume.stride(2) + (j + 1) * volume.stride(1) + 1 + i);
    volume.runs.push_back({position, static_cast<std::uint32_t>(length)});
    std::memset(cells.data() + position, 1, static_cast<std::size_t>(length));
  });
  const std::vector<Zone> zones = find_zones(volume, cells, back_offsets(size, -1));
  std::size_t parts = 0;
  for (std::size_t zone = 0; zone < zones.size(); ++zone) parts += zones[zone].parent == zone ? 1u : 0u;
  return parts;
}

LevelSizeMatrix count_zones(const LevelVolume& volume, int flat_axis) {
  const std::vector<Index3> back = back_offsets(volume.size, flat_axis);
  const std::vector<Zone> zones = std::visit([&](const auto& cells) { return find_zones(volume, cells, back); }, volume.cells);
  // Nearly all zones are small: those are counted in a table, the others listed.
  const std::size_t rows = volume.levels.size();
  const std::size_t small = std::min<std::size_t>(64, dense_cells_max / rows + 1);
  std::vector<std::uint32_t> table(rows * small, 0);
  std::vector<std::uint64_t> found;
  for (std::size_t zone = 0; zone < zones.size(); ++zone) {
    if (zones[zone].parent != zone) continue;
    if (zones[zone].size < small) ++table[zones[zone].row * small + zones[zone].size];
    else found.push_back((static_cast<std::uint64_t>(zones[zone].row) << 32) | zones[zone].size);
  }
  const std::vector<MatrixEntry> large = count_listed(found);
  LevelSizeMatrix matrix{volume.levels, {}};
  auto next = large.begin();
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t size = 1; size < small; ++size)
      if (const std::uint32_t count = table[row * small + size]; count != 0)
        matrix.entries.push_back({static_cast<std::uint32_t>(row), static_cast<std::uint32_t>(size), static_cast<double>(count)});
    for (; next != large.end() && next->row == row; ++next) matrix.entries.push_back(*next);
  }
  return matrix;
}

}  // namespace choana::processing
