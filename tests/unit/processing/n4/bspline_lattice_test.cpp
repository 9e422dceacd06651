#include "processing/preprocessing/n4/bspline_lattice.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "tests/support/head_phantom.h"

namespace choana::processing {
namespace {

TEST(BSplineWeights, AreThoseOfTheCubicInClosedForm) {
  // Lee, Wolberg, Shin 1997, section 3.1.
  for (const double t : {0.0, 0.125, 0.5, 0.77, 1.0}) {
    const auto b = bspline_weights(3, t);
    ASSERT_EQ(b.size(), 4U);
    EXPECT_NEAR(b[0], (1 - t) * (1 - t) * (1 - t) / 6, 1e-15);
    EXPECT_NEAR(b[1], (3 * t * t * t - 6 * t * t + 4) / 6, 1e-15);
    EXPECT_NEAR(b[2], (-3 * t * t * t + 3 * t * t + 3 * t + 1) / 6, 1e-15);
    EXPECT_NEAR(b[3], t * t * t / 6, 1e-15);
  }
  const double t = 0.3;
  EXPECT_NEAR(bspline_weights(1, t)[0], 1 - t, 1e-15);
  EXPECT_NEAR(bspline_weights(2, t)[1], 0.5 + t - t * t, 1e-15);
}

TEST(BSplineWeights, AddUpToOneAtAnyOrder) {
  for (int order = 1; order <= 9; ++order)
    for (const double t : {0.0, 0.2, 0.999}) {
      const auto b = bspline_weights(order, t);
      EXPECT_NEAR(std::accumulate(b.begin(), b.end(), 0.0), 1, 1e-14);
      // Mirrored: the first from the left is the last from the right.
      EXPECT_NEAR(b.front(), bspline_weights(order, 1 - t).back(), 1e-14);
    }
}

TEST(Refinement, HasTheCubicWeightsOfThePaper) {
  // Lee, Wolberg, Shin 1997, section 4.2: even (c_i + c_i+1) / 2, odd (c_i + 6 c_i+1 + c_i+2) / 8.
  EXPECT_EQ(refinement_weights(3), (std::vector<double>{0.125, 0.5, 0.75, 0.5, 0.125}));
  EXPECT_EQ(refinement_weights(1), (std::vector<double>{0.5, 1, 0.5}));
  BSplineLattice lattice({4, 1, 1}, {3, 0, 0});
  lattice.values = {8, 16, 80, -24};
  const BSplineLattice fine = refined(lattice);
  EXPECT_EQ(fine.size, (Index3{5, 1, 1}));
  EXPECT_EQ(fine.values, (std::vector<double>{12, 23, 48, 59, 28}));
}

TEST(Refinement, KeepsTheFunctionAtAnyOrder) {
  test::Pcg32 random(5);
  for (int order = 1; order <= 5; ++order) {
    BSplineLattice lattice({order + 1, order + 3, order + 2}, {order, order, order});
    for (double& value : lattice.values) value = random.normal();
    const BSplineLattice fine = refined(lattice);
    const auto values = [order](const BSplineLattice& of) {
      return evaluate(of, {stretched_axis(17, of.size[0], order), stretched_axis(9, of.size[1], order), stretched_axis(6, of.size[2], order)});
    };
    EXPECT_EQ(fine.size, (Index3{order + 2, order + 6, order + 4}));
    const auto coarse_values = values(lattice), fine_values = values(fine);
    for (std::size_t n = 0; n < coarse_values.size(); ++n) {
      // The last samples lie a thousandth of a voxel inside, whatever the spans: the same point.
      ASSERT_NEAR(coarse_values[n], fine_values[n], 2e-6) << "order " << order << ", sample " << n;
    }
  }
}

TEST(SplineAxis, BeginsAtTheFirstSampleAndPullsTheLastInByAThousandthOfAVoxel) {
  const SplineAxis axis = stretched_axis(11, 7, 3);  // 4 spans
  EXPECT_EQ(axis.first.front(), 0);
  EXPECT_NEAR(axis.weight(0, 0), 1.0 / 6, 1e-15);
  EXPECT_NEAR(axis.weight(0, 3), 0, 1e-15);
  EXPECT_EQ(axis.first.back(), 3);
  const double t = 1 - 1e-3 * 4 / 10;
  for (int tap = 0; tap < 4; ++tap) EXPECT_NEAR(axis.weight(10, tap), bspline_weights(3, t)[static_cast<std::size_t>(tap)], 1e-12);
  EXPECT_EQ(axis.first[5], 2);  // the middle: u = 2 exactly
  const SplineAxis shortest = stretched_axis(2, 4, 3);
  EXPECT_NEAR(shortest.weight(1, 0), bspline_weights(3, 0.999)[0], 1e-15);
}

TEST(SplineAxis, AlignedIsWhereTheFittedVoxelsLie) {
  // Every fourth of 16 voxels from the third: the fitted samples 0..3 lie at 2, 6, 10, 14.
  const SplineAxis fitted = stretched_axis(4, 5, 3);
  const SplineAxis full = aligned_axis(16, 5, 3, 4, 2, 4);
  for (int sample = 0; sample < 4; ++sample) {
    EXPECT_EQ(full.first[static_cast<std::size_t>(2 + 4 * sample)], fitted.first[static_cast<std::size_t>(sample)]);
    for (int tap = 0; tap < 4; ++tap) EXPECT_DOUBLE_EQ(full.weight(2 + 4 * sample, tap), fitted.weight(sample, tap));
  }
  for (int tap = 0; tap < 4; ++tap) {
    EXPECT_EQ(full.weight(0, tap), full.weight(2, tap));
    EXPECT_EQ(full.weight(15, tap), full.weight(14, tap));
  }
}

TEST(SplineEvaluation, IsTheSumOverAllControlPoints) {
  test::Pcg32 random(6);
  BSplineLattice lattice({5, 4, 6}, {3, 3, 3});
  for (double& value : lattice.values) value = random.normal();
  const std::array<SplineAxis, 3> axes{stretched_axis(13, 5, 3), stretched_axis(7, 4, 3), stretched_axis(3, 6, 3)};
  const auto values = evaluate(lattice, axes);
  for (int k = 0; k < 3; ++k)
    for (int j = 0; j < 7; ++j)
      for (int i = 0; i < 13; ++i) {
        double sum = 0;
        const auto at = [](const SplineAxis& axis, int sample) { return axis.first[static_cast<std::size_t>(sample)]; };
        for (int c = 0; c < 4; ++c)
          for (int b = 0; b < 4; ++b)
            for (int a = 0; a < 4; ++a)
              sum += axes[0].weight(i, a) * axes[1].weight(j, b) * axes[2].weight(k, c) *
                     lattice.values[static_cast<std::size_t>(((at(axes[2], k) + c) * 4 + at(axes[1], j) + b) * 5 + at(axes[0], i) + a)];
        ASSERT_NEAR(values[static_cast<std::size_t>((k * 7 + j) * 13 + i)], sum, 1e-6);
      }
}

}  // namespace
}  // namespace choana::processing
