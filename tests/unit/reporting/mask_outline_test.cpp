#include "reporting/mask_outline.h"

#include <gtest/gtest.h>

#include <numeric>
#include <random>

namespace choana::reporting {
namespace {

TEST(MaskOutline, OnePixelIsItsUnitSquare) {
  const std::vector<std::uint8_t> mask{0, 0, 0, 0, 1, 0, 0, 0, 0};
  const auto outlines = trace_outlines(mask, 3, 3);
  ASSERT_EQ(outlines.size(), 1U);
  EXPECT_EQ(outlines[0], (Outline{{1, 1}, {2, 1}, {2, 2}, {1, 2}, {1, 1}}));
  EXPECT_EQ(signed_area(outlines[0]), 1.0);
}

TEST(MaskOutline, ARingHasAnOuterBoundaryAndAHole) {
  const std::vector<std::uint8_t> mask{1, 1, 1, 1, 0, 1, 1, 1, 1};
  const auto outlines = trace_outlines(mask, 3, 3);
  ASSERT_EQ(outlines.size(), 2U);
  EXPECT_EQ(signed_area(outlines[0]), 9.0);
  EXPECT_EQ(signed_area(outlines[1]), -1.0);
}

TEST(MaskOutline, PixelsThatTouchAtACornerAreApart) {
  const std::vector<std::uint8_t> mask{1, 0, 0, 1};
  EXPECT_EQ(trace_outlines(mask, 2, 2).size(), 2U);
}

TEST(MaskOutline, AnEmptyMaskAndAWrongSizeHaveNoOutline) {
  EXPECT_TRUE(trace_outlines(std::vector<std::uint8_t>(6, 0), 3, 2).empty());
  EXPECT_TRUE(trace_outlines(std::vector<std::uint8_t>(5, 1), 3, 2).empty());
}

bool contains(const std::vector<Outline>& outlines, double x, double y) {
  bool inside = false;
  for (const Outline& outline : outlines)
    for (std::size_t n = 1; n < outline.size(); ++n) {
      const auto& a = outline[n - 1];
      const auto& b = outline[n];
      if ((a[1] > y) != (b[1] > y) && x < a[0]) inside = !inside;
    }
  return inside;
}

TEST(MaskOutline, OutlinesEncloseExactlyTheMask) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const int columns = 1 + static_cast<int>(random() % 12);
    const int rows = 1 + static_cast<int>(random() % 12);
    std::vector<std::uint8_t> mask(static_cast<std::size_t>(columns * rows));
    const unsigned density = 1 + random() % 9;
    for (auto& value : mask) value = random() % 10 < density ? 1 : 0;
    const auto outlines = trace_outlines(mask, columns, rows);
    double area = 0;
    for (const Outline& outline : outlines) {
      area += signed_area(outline);
      ASSERT_GE(outline.size(), 5U);
      EXPECT_EQ(outline.front(), outline.back());
      // No collinear points are left: horizontal and vertical edges alternate.
      for (std::size_t n = 2; n < outline.size(); ++n)
        EXPECT_NE(outline[n - 2][0] == outline[n - 1][0], outline[n - 1][0] == outline[n][0]);
    }
    EXPECT_EQ(area, std::accumulate(mask.begin(), mask.end(), 0.0));
    for (int row = 0; row < rows; ++row)
      for (int column = 0; column < columns; ++column)
        EXPECT_EQ(contains(outlines, column + 0.5, row + 0.5), mask[static_cast<std::size_t>(row * columns + column)] != 0);
  }
}

}  // namespace
}  // namespace choana::reporting
