#include "processing/preprocessing/ibsi_grid.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "tests/support/volumes.h"

namespace choana::processing {
namespace {

TEST(IbsiGrid, SharesTheCentreOfTheOldGrid) {
  // The example of the reference manual: 4 voxels of 3 mm become 6 of 2 mm, and both grids have one centre.
  const auto old = test::grid({4, 4, 4}, {3, 3, 3}, {10, 20, 30});
  const auto grid = centre_aligned_grid(old, {2, 2, 0});
  ASSERT_TRUE(grid.has_value());
  EXPECT_EQ(grid->size(), (Index3{6, 6, 4}));
  EXPECT_EQ(grid->spacing_mm(), (Vector3{2, 2, 3}));
  EXPECT_NEAR(grid->origin_mm()[0], 10 + 0.5 * (3 * 3 - 5 * 2), 1e-12);
  EXPECT_NEAR(grid->origin_mm()[2], 30, 1e-12);
}

TEST(IbsiGrid, TakesNoVoxelForARoundingError) {
  // 0.7 stored in single precision: 10 voxels of 0.7 mm are 7 voxels of 1 mm.
  const double spacing = static_cast<double>(0.7f);
  const auto grid = centre_aligned_grid(test::grid({10, 10, 10}, {spacing, spacing, spacing}), {1, 1, 1});
  ASSERT_TRUE(grid.has_value());
  EXPECT_EQ(grid->size(), (Index3{7, 7, 7}));
}

TEST(IbsiGrid, KeepsAnAxisOfOneVoxel) {
  const auto grid = centre_aligned_grid(test::grid({8, 8, 1}, {1, 1, 1}), {2, 2, 2});
  ASSERT_TRUE(grid.has_value());
  EXPECT_EQ(grid->size(), (Index3{4, 4, 1}));
}

TEST(IbsiGrid, RefusesGridsThatNoMemoryHolds) {
  const auto grid = centre_aligned_grid(test::grid({512, 512, 512}), {0.01, 0.01, 0.01});
  ASSERT_FALSE(grid.has_value());
  EXPECT_EQ(grid.error().code, ErrorCode::limit_exceeded);
}

// Expected: SciPy 1.17.1, ndimage.map_coordinates(mode="nearest"), which extends edges.
TEST(IbsiGrid, InterpolatesAsScipyDoes) {
  const std::vector<double> values{3, -1, 4, 1, -5, 9, 2};
  const std::vector<double> cubic{3.570642178306, 1.40960174770138, -1, 2.20727949047228, 4.4676029960619, 1, -5.1872478302127, -0.715011654686602, 9, 5.24532496062412, 0.818530134622252};
  const std::vector<double> linear{3, 1.66666666666667, -1, 2.33333333333333, 3, 1, -3, -0.333333333333337, 9, 4.33333333333333, 2};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    Index3 size{1, 1, 1};
    size[axis] = 7;
    Vector3 spacing{1, 1, 1};
    spacing[axis] = 1.5;
    const auto old = test::grid(size, spacing);
    const auto grid = centre_aligned_grid(old, {1, 1, 1});
    ASSERT_TRUE(grid.has_value());
    const auto by_cubic = interpolate_to_grid(values, old, *grid, GridInterpolation::cubic_spline);
    const auto by_linear = interpolate_to_grid(values, old, *grid, GridInterpolation::linear);
    ASSERT_EQ(by_cubic.size(), cubic.size());
    for (std::size_t at = 0; at < cubic.size(); ++at) {
      EXPECT_NEAR(by_cubic[at], cubic[at], 1e-6) << axis << " " << at;   // both cut the prefilter at the edges
      EXPECT_NEAR(by_linear[at], linear[at], 1e-12) << axis << " " << at;
    }
  }
}

TEST(IbsiGrid, TakesTheNearestVoxel) {
  const auto old = test::grid({3, 1, 1}, {2, 1, 1});
  const auto grid = centre_aligned_grid(old, {1, 0, 0});
  EXPECT_EQ(interpolate_to_grid({5, 6, 7}, old, *grid, GridInterpolation::nearest_neighbour), (std::vector<double>{5, 5, 6, 6, 7, 7}));
}

TEST(IbsiGrid, LeavesConstantsAndGivesTheSameAtAnyNumberOfThreads) {
  const auto old = test::grid({37, 21, 9}, {0.8, 0.9, 2.5});
  const auto grid = centre_aligned_grid(old, {1, 1, 1});
  ASSERT_TRUE(grid.has_value());
  for (const double value : interpolate_to_grid(std::vector<double>(old.voxel_count(), 7.25), old, *grid, GridInterpolation::cubic_spline)) ASSERT_NEAR(value, 7.25, 1e-12);
  std::mt19937 random(5);
  std::vector<double> values(old.voxel_count());
  for (double& value : values) value = static_cast<double>(random() % 1000);
  TaskPool pool(3);
  EXPECT_EQ(interpolate_to_grid(values, old, *grid, GridInterpolation::cubic_spline, &pool), interpolate_to_grid(values, old, *grid, GridInterpolation::cubic_spline));
}

}  // namespace
}  // namespace choana::processing
