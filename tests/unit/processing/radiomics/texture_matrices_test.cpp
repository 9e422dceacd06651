// Texture matrices against counting by the definition, voxel by voxel, on seeded random regions: few and many levels, gaps between
// levels, thin and long boxes, flat axes. Expected values: the definitions of the IBSI reference manual, written out below.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "processing/radiomics/families/leading_eigenvalue.h"
#include "processing/radiomics/families/ngtdm.h"
#include "processing/radiomics/families/sample_kernels.h"
#include "processing/radiomics/matrices/cooccurrence.h"
#include "processing/radiomics/matrices/level_volume.h"
#include "processing/radiomics/matrices/neighbourhood.h"
#include "processing/radiomics/matrices/run_length.h"
#include "processing/radiomics/matrices/size_zone.h"

namespace choana::processing {
namespace {

using Cells = std::map<std::pair<int, int>, double>;  // (level, level or size): count

struct RandomRegion {
  Index3 size{};
  std::vector<std::uint8_t> inside;
  std::vector<int> level;  // of every voxel of the box, 0 outside
  Discretisation discretisation;

  [[nodiscard]] int at(int i, int j, int k) const {
    if (i < 0 || j < 0 || k < 0 || i >= size[0] || j >= size[1] || k >= size[2]) return 0;
    return level[(static_cast<std::size_t>(k) * static_cast<std::size_t>(size[1]) + static_cast<std::size_t>(j)) * static_cast<std::size_t>(size[0]) + static_cast<std::size_t>(i)];
  }
  template <typename Function>
  void each(Function&& f) const {
    for (int k = 0; k < size[2]; ++k)
      for (int j = 0; j < size[1]; ++j)
        for (int i = 0; i < size[0]; ++i)
          if (at(i, j, k) != 0) f(i, j, k, at(i, j, k));
  }
};

struct Shape {
  Index3 size;
  int levels;       // drawn from 1 .. levels
  int gap;          // levels are multiples of it, plus 1
  double fill;
  int flat_axis = -1;
};

RandomRegion random_region(const Shape& shape, std::uint32_t seed) {
  std::mt19937 random(seed);
  RandomRegion region;
  region.size = shape.size;
  const auto voxels = static_cast<std::size_t>(shape.size[0]) * static_cast<std::size_t>(shape.size[1]) * static_cast<std::size_t>(shape.size[2]);
  int last = 1;
  for (std::size_t at = 0; at < voxels; ++at) {
    const bool inside = at == 0 || at + 1 == voxels || random() < shape.fill * 4294967295.0;
    // Half of the voxels repeat the one before, so that runs and zones grow.
    if (random() % 2 == 0) last = 1 + static_cast<int>(random() % static_cast<unsigned>(shape.levels)) * shape.gap;
    region.inside.push_back(inside ? 1 : 0);
    region.level.push_back(inside ? last : 0);
    if (inside) region.discretisation.levels.push_back(last);
  }
  const std::set<int> present(region.discretisation.levels.begin(), region.discretisation.levels.end());
  region.discretisation.present.assign(present.begin(), present.end());
  region.discretisation.highest = *present.rbegin();
  return region;
}

Cells cells_of(const std::vector<int>& levels, const std::vector<MatrixEntry>& entries, bool column_is_level) {
  Cells cells;
  for (const MatrixEntry& entry : entries) {
    const int column = column_is_level ? levels[entry.column] : static_cast<int>(entry.column);
    EXPECT_TRUE(cells.emplace(std::pair{levels[entry.row], column}, entry.count).second) << "a cell is listed twice";
  }
  return cells;
}

void expect_near(const Cells& found, const Cells& expected, const std::string& what) {
  ASSERT_EQ(found.size(), expected.size()) << what;
  for (const auto& [cell, count] : expected) {
    ASSERT_TRUE(found.contains(cell)) << what << " " << cell.first << ", " << cell.second;
    EXPECT_NEAR(found.at(cell), count, 1e-14 * std::max(1.0, count)) << what << " " << cell.first << ", " << cell.second;
  }
}

class TextureMatrix : public testing::TestWithParam<Shape> {
 protected:
  void SetUp() override {
    const Shape& shape = GetParam();
    region = random_region(shape, 7u + static_cast<std::uint32_t>(shape.levels));
    volume = make_level_volume(region.size, region.inside, region.discretisation, {1, 2, 3}, 2);
  }
  RandomRegion region;
  LevelVolume volume;
};

TEST_P(TextureMatrix, HoldsTheVoxelsOfTheRegion) {
  EXPECT_EQ(volume.voxels, region.discretisation.levels.size());
  std::size_t voxels = 0;
  for (const VoxelRun& run : volume.runs) voxels += run.length;
  EXPECT_EQ(voxels, volume.voxels);
  std::map<int, std::size_t> counts;
  for (const int level : region.discretisation.levels) ++counts[level];
  for (std::size_t rank = 0; rank < volume.levels.size(); ++rank) EXPECT_EQ(volume.level_counts[rank], counts[volume.levels[rank]]);
}

TEST_P(TextureMatrix, CountsPairsOfNeighbours) {
  const std::vector<int> distances = GetParam().levels > 10000 ? std::vector<int>{1} : std::vector<int>{1, 2};
  for (const bool symmetric : {true, false}) {
    std::vector<Cells> expected;
    for (const Index3& step : neighbour_offsets(region.size, distances, GetParam().flat_axis, false)) {
      Cells cells;
      double pairs = 0;
      region.each([&](int i, int j, int k, int level) {
        const int other = region.at(i + step[0], j + step[1], k + step[2]);
        if (other == 0) return;
        cells[{level, other}] += 1;
        if (symmetric) cells[{other, level}] += 1;
        pairs += symmetric ? 2 : 1;
      });
      for (auto& [cell, count] : cells) count /= pairs;
      if (pairs > 0) expected.push_back(cells);
    }
    const auto found = count_cooccurrences(volume, distances, GetParam().flat_axis, symmetric, WeightingNorm::none);
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t at = 0; at < found.size(); ++at) expect_near(cells_of(volume.levels, found[at].entries, true), expected[at], "offset " + std::to_string(at));
  }
}

TEST_P(TextureMatrix, CountsRuns) {
  std::vector<Cells> expected;
  for (const Index3& step : neighbour_offsets(region.size, {1}, GetParam().flat_axis, false)) {
    Cells cells;
    bool neighbours = false;
    region.each([&](int i, int j, int k, int level) {
      const int before = region.at(i - step[0], j - step[1], k - step[2]);
      neighbours = neighbours || before != 0;
      if (before == level) return;
      int length = 1;
      while (region.at(i + length * step[0], j + length * step[1], k + length * step[2]) == level) ++length;
      cells[{level, length}] += 1;
    });
    if (neighbours) expected.push_back(cells);
  }
  const auto found = count_runs(volume, GetParam().flat_axis, WeightingNorm::none);
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t at = 0; at < found.size(); ++at) expect_near(cells_of(volume.levels, found[at].entries, false), expected[at], "direction " + std::to_string(at));
}

TEST_P(TextureMatrix, CountsZones) {
  std::set<std::array<int, 3>> seen;
  Cells expected;
  const auto steps = neighbour_offsets(region.size, {1}, GetParam().flat_axis, true);
  region.each([&](int i, int j, int k, int level) {
    if (!seen.insert({i, j, k}).second) return;
    std::vector<std::array<int, 3>> open{{i, j, k}};
    for (std::size_t at = 0; at < open.size(); ++at)
      for (const Index3& step : steps) {
        const std::array<int, 3> next{open[at][0] + step[0], open[at][1] + step[1], open[at][2] + step[2]};
        if (region.at(next[0], next[1], next[2]) == level && seen.insert(next).second) open.push_back(next);
      }
    expected[{level, static_cast<int>(open.size())}] += 1;
  });
  expect_near(cells_of(volume.levels, count_zones(volume, GetParam().flat_axis).entries, false), expected, "zones");
}

TEST_P(TextureMatrix, CountsDependencesAndToneDifferences) {
  const auto steps = neighbour_offsets(region.size, {1, 2}, GetParam().flat_axis, true);
  for (const int alpha : {0, 1, 5}) {
    Cells dependences;
    std::map<int, double> differences;
    region.each([&](int i, int j, int k, int level) {
      int alike = 1;
      double sum = 0;
      int present = 0;
      for (const Index3& step : steps) {
        const int other = region.at(i + step[0], j + step[1], k + step[2]);
        if (other == 0) continue;
        ++present;
        sum += other;
        if (std::abs(other - level) <= alpha) ++alike;
      }
      dependences[{level, alike}] += 1;
      differences[level] += present > 0 ? std::abs(level - sum / present) : 0.0;
    });
    const NeighbourhoodMatrices found = count_neighbourhoods(volume, {1, 2}, GetParam().flat_axis, alpha, true, true);
    expect_near(cells_of(volume.levels, found.dependences.entries, false), dependences, "dependences");
    for (std::size_t row = 0; row < volume.levels.size(); ++row)
      EXPECT_NEAR(found.tones.differences[row], differences[volume.levels[row]], 1e-9 * std::max(1.0, differences[volume.levels[row]])) << volume.levels[row];
  }
}

INSTANTIATE_TEST_SUITE_P(Regions, TextureMatrix,
                         testing::Values(Shape{{17, 13, 9}, 6, 1, 0.7}, Shape{{40, 7, 5}, 3, 1, 0.95}, Shape{{9, 8, 7}, 1, 1, 0.5}, Shape{{15, 14, 6}, 20, 9, 0.8},
                                         Shape{{12, 12, 12}, 300, 1, 0.9}, Shape{{16, 16, 16}, 3000, 1, 1.0}, Shape{{20, 20, 10}, 3000, 900, 0.9},
                                         Shape{{300, 4, 3}, 2, 1, 0.98}, Shape{{300, 3, 4}, 400, 1, 0.9}, Shape{{5, 300, 2}, 4, 1, 0.9}, Shape{{14, 15, 1}, 5, 1, 0.8, 2},
                                         Shape{{14, 15, 6}, 5, 1, 0.8, 0}, Shape{{1, 15, 16}, 5, 1, 0.8}, Shape{{400, 1, 400}, 400000, 1, 1.0}),
                         [](const auto& one) { return "Case" + std::to_string(one.index); });

TEST(ToneDifferenceFeatures, AreTheSameInClosedForm) {
  // Just above the number of levels up to which pairs are summed one by one; expected: the double sums of the definition.
  ToneDifferenceMatrix matrix;
  std::mt19937 random(5);
  double voxels = 0;
  double differences = 0;
  for (int level = 1; level <= 2100; ++level) {
    matrix.levels.push_back(3 * level);
    matrix.counts.push_back(1 + random() % 9);
    matrix.differences.push_back(static_cast<double>(random() % 1000) / 7);
    voxels += matrix.counts.back();
    differences += matrix.differences.back();
  }
  double busy = 0;
  double contrast = 0;
  double strength = 0;
  double weighted = 0;
  for (std::size_t i = 0; i < matrix.levels.size(); ++i) {
    const double pi = matrix.counts[i] / voxels;
    weighted += pi * matrix.differences[i];
    for (std::size_t j = 0; j < matrix.levels.size(); ++j) {
      const double pj = matrix.counts[j] / voxels;
      const double square = (matrix.levels[i] - matrix.levels[j]) * (matrix.levels[i] - matrix.levels[j]);
      busy += std::abs(matrix.levels[i] * pi - matrix.levels[j] * pj);
      contrast += pi * pj * square;
      strength += (pi + pj) * square;
    }
  }
  const std::map<std::string_view, double> expected{{"Busyness", weighted / busy}, {"Contrast", contrast * differences / (voxels * 2100.0 * 2099)}, {"Strength", strength / differences}};
  for (const NamedValue& value : ngtdm_features(matrix, {"Busyness", "Contrast", "Strength"}))
    EXPECT_NEAR(std::get<double>(value.value), expected.at(value.name), 1e-10 * expected.at(value.name)) << value.name;
}

TEST(Parts, OfARegionAreCounted) {
  const Index3 size{5, 4, 3};
  std::vector<std::uint8_t> region(60, 0);
  EXPECT_EQ(count_parts(size, region), 0u);
  region[0] = 1;
  EXPECT_EQ(count_parts(size, region), 1u);
  region[1 + 5 + 20] = 1;  // (1, 1, 1) touches (0, 0, 0) at a corner
  EXPECT_EQ(count_parts(size, region), 1u);
  region[4 + 5 * 3] = 1;
  region[4 + 5 * 3 + 40] = 1;  // two slices apart
  EXPECT_EQ(count_parts(size, region), 3u);
}

TEST(OrderStatistics, AreThoseOfTheSortedSample) {
  std::mt19937 random(11);
  for (int round = 0; round < 40; ++round) {
    std::vector<double> values;
    const std::size_t count = 1 + random() % 3000;
    for (std::size_t at = 0; at < count; ++at) {
      const double draw = static_cast<double>(random()) / 4294967296.0 - 0.4;
      if (round % 4 == 0) values.push_back(std::floor(20 * draw));       // many ties
      else if (round % 4 == 1) values.push_back(std::exp(40 * draw));    // nearly all in one bucket
      else if (round % 4 == 2) values.push_back(draw * 1e-310);          // denormal
      else values.push_back(draw);
    }
    std::vector<double> sorted = values;
    std::sort(sorted.begin(), sorted.end());
    const std::vector<std::size_t> places{0, count / 10, count / 4, count / 2, count - 1};
    const auto found = order_statistics(values, sorted.front(), sorted.back(), places);
    for (std::size_t at = 0; at < places.size(); ++at) EXPECT_EQ(found[at], sorted[places[at]]) << "round " << round;
  }
}

TEST(LeadingEigenvalue, IsThatOfAKnownSpectrum) {
  // Second differences, scaled: eigenvalues (2 - 2 cos(k pi / (n + 1))) / 4, k = 1 .. n (Strang, Linear Algebra, 6.2).
  for (const std::size_t n : {1u, 2u, 3u, 8u, 9u, 40u, 117u}) {
    LeadingEigenvalue leading;
    leading.resize(n);
    for (std::size_t i = 0; i < n; ++i) {
      leading.at(i, i) = 0.5;
      if (i > 0) leading.at(i, i - 1) = leading.at(i - 1, i) = -0.25;
    }
    const double expected = (2 + 2 * std::cos(3.14159265358979323846 / static_cast<double>(n + 1))) / 4;
    const double found = leading.find();
    EXPECT_NEAR(found, expected, 1e-14) << n;
    const auto vector = leading.vector_of(found);
    // Its vector is sin(k n pi / (n + 1)): signs alternate.
    for (std::size_t i = 0; i + 1 < n; ++i) EXPECT_LT(vector[i] * vector[i + 1], 0) << n;
    EXPECT_EQ(leading.count_beyond(expected + 1e-9), 0u);
    EXPECT_EQ(leading.count_beyond(0), n);
  }
}

}  // namespace
}  // namespace choana::processing
