#include "processing/preprocessing/discretiser.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "processing/radiomics/families/first_order.h"

namespace choana::processing {
namespace {

TEST(Discretiser, AlignsBinsOfFixedWidthToZero) {
  // PyRadiomics documentation of getBinEdges: values 54 to 166, width 25: edges 50, 75, ...
  const auto levels = discretise_by_width(std::vector<double>{54, 74.9, 75, 166}, 25);
  ASSERT_TRUE(levels);
  EXPECT_EQ(levels->levels, (std::vector<int>{1, 1, 2, 5}));
  EXPECT_EQ(levels->highest, 5);
  EXPECT_EQ(levels->present, (std::vector<int>{1, 2, 5}));
}

TEST(Discretiser, ComputesEdgesInDoubleForFloatValues) {
  // Shared notes, radiomics.md 9 item 9 (PyRadiomics 3.0.1 on NumPy 1.26): levels 1 4 10.
  const std::vector<double> values{static_cast<double>(0.3f), static_cast<double>(0.7f), static_cast<double>(1.3f)};
  EXPECT_EQ(discretise_by_width(values, 0.1)->levels, (std::vector<int>{1, 4, 10}));
}

TEST(Discretiser, PutsNegativeValuesInBinsOfTheSameWidth) {
  EXPECT_EQ(discretise_by_width(std::vector<double>{-30, -25, -0.1, 0, 24}, 25)->levels, (std::vector<int>{1, 2, 2, 3, 3}));
}

TEST(Discretiser, GivesTheMaximumTheLastBinOfAFixedCount) {
  EXPECT_EQ(discretise_by_count(std::vector<double>{0, 1, 2, 3, 4}, 4, false)->levels, (std::vector<int>{1, 2, 3, 4, 4}));
}

TEST(Discretiser, KeepsAConstantRegionInOneLevel) {
  EXPECT_EQ(discretise_by_width(std::vector<double>(5, 100.7), 25)->levels, std::vector<int>(5, 1));
  // NumPy's histogram of a constant: bins over value -+ 0.5, so the value lies in the upper half.
  EXPECT_EQ(discretise_by_count(std::vector<double>(3, 7), 2, false)->present, std::vector<int>{2});
}

TEST(Discretiser, KeepsOrderOfIntensities) {
  std::vector<double> values;
  for (int at = -500; at < 500; ++at) values.push_back(0.137 * at);
  const auto width = discretise_by_width(values, 0.7);
  const auto count = discretise_by_count(values, 33, true);
  for (std::size_t at = 1; at < values.size(); ++at) {
    EXPECT_LE(width->levels[at - 1], width->levels[at]);
    EXPECT_LE(count->levels[at - 1], count->levels[at]);
  }
  EXPECT_EQ(count->highest, 33);
}

TEST(Discretiser, RefusesWhatCannotBeBinned) {
  EXPECT_EQ(discretise_by_width(std::vector<double>{0, 1e12}, 1e-3).error().code, ErrorCode::limit_exceeded);
  EXPECT_EQ(discretise_by_width(std::vector<double>{0, NAN}, 25).error().code, ErrorCode::degenerate_input);
  EXPECT_EQ(discretise_by_width(std::vector<double>{}, 25).error().code, ErrorCode::degenerate_input);
}

TEST(Percentiles, KeepAConstantArrayInsideItsOwnRange) {
  // radiomics.md 9 item 1: of 1,999 constant arrays k/7 none may lie outside its own [P10, P90].
  for (int k = 1; k < 2000; ++k) {
    const std::vector<double> values(13, k / 7.0);
    EXPECT_EQ(percentile_of_sorted(values, 10), k / 7.0);
    EXPECT_EQ(percentile_of_sorted(values, 90), k / 7.0);
  }
}

}  // namespace
}  // namespace choana::processing
