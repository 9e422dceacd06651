#include "reporting/charts/slice_picture.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/unit/charts/chart_findings.h"

namespace choana::reporting {
namespace {

// A bright square of 20 x 10 pixels in a 100 x 100 image with oblong pixels.
MeasuredSeries square_series() {
  const auto grid = VolumeGeometry::make({100, 100, 3}, {1, 2, 4}, {0, 0, 0}, {1, 0, 0, 0, 1, 0, 0, 0, 1}, "1.2").value();
  std::vector<float> image(grid.voxel_count(), 100.0f);
  std::vector<std::uint8_t> mask(grid.voxel_count(), 0);
  for (int j = 40; j < 50; ++j)
    for (int i = 30; i < 50; ++i) mask[grid.offset(i, j, 1)] = 1;
  MeasuredSeries series{"T2", SeriesVolume::make(grid, image, PixelType::uint16, {}, {}).value(), {}};
  series.rois.push_back(RegionOfInterest::make("GTVp", grid, mask, {}).value());
  return series;
}

TEST(SlicePicture, DrawsTheOutlineOnTheEdgeOfTheMask) {
  Canvas canvas(400, 300, rgb(0x0F141A));
  const auto series = square_series();
  const SliceView view = draw_slice(canvas, {10, 20, 380, 260}, series, 0, {"GTVp"});
  EXPECT_EQ(view.k, 1);
  // Pixels keep their shape in mm: a row is twice as high as a column is wide.
  EXPECT_NEAR(view.image.height / view.image.width, 2, 1e-9);
  const auto rgb = canvas.pixels();
  const auto yellow = [&](double column, double row) {  // position in the image, pixel edges
    const auto x = static_cast<std::size_t>(view.image.x + column * view.image.width / 100), y = static_cast<std::size_t>(view.image.y + row * view.image.height / 100);
    const std::uint8_t* p = rgb.data() + 3 * (y * 400 + x);
    return p[0] > 180 && p[1] > 140 && p[2] < 140;
  };
  for (double along = 0.1; along < 1; along += 0.1) {
    EXPECT_TRUE(yellow(30 + 20 * along, 40));
    EXPECT_TRUE(yellow(30 + 20 * along, 50));
    EXPECT_TRUE(yellow(30, 40 + 10 * along));
    EXPECT_TRUE(yellow(50, 40 + 10 * along));
    EXPECT_FALSE(yellow(32 + 16 * along, 45));
    EXPECT_FALSE(yellow(30 + 20 * along, 38));
  }
}

TEST(SlicePicture, KeepsTheWholeRegionInsideTheFrame) {
  const auto findings = test::phantom_findings({"T2"});
  for (const Box frame : {Box{0, 0, 300, 100}, Box{0, 0, 80, 400}, Box{0, 0, 600, 600}}) {
    Canvas canvas(600, 600, rgb(0));
    const auto& series = findings.measured[0];
    const SliceView view = draw_slice(canvas, frame, series, 0, {"GTVp", "GTVnd"});
    const auto& size = series.volume.geometry().size();
    for (int j = 0; j < size[1]; ++j)
      for (int i = 0; i < size[0]; ++i)
        if (series.rois[0].mask()[series.volume.geometry().offset(i, j, view.k)] != 0) {
          EXPECT_GE(view.image.x + i * view.image.width / size[0], frame.x - 1e-6);
          EXPECT_LE(view.image.x + (i + 1) * view.image.width / size[0], frame.right() + 1e-6);
          EXPECT_GE(view.image.y + j * view.image.height / size[1], frame.y - 1e-6);
          EXPECT_LE(view.image.y + (j + 1) * view.image.height / size[1], frame.bottom() + 1e-6);
        }
  }
}

TEST(RegionSlices, AreThoseWithARegionAndKeepBothEnds) {
  const auto findings = test::phantom_findings({"T2"}, {32, 32, 40}, false);
  const auto& series = findings.measured[0];
  const auto all = region_slices(series, 1000);
  ASSERT_GT(all.size(), 12u);
  for (int k = 0; k < 40; ++k) {
    bool any = false;
    for (int n = 0; n < 32 * 32; ++n) any = any || series.rois[0].mask()[static_cast<std::size_t>(k * 32 * 32 + n)] != 0;
    EXPECT_EQ(std::find(all.begin(), all.end(), k) != all.end(), any) << k;
  }
  const auto some = region_slices(series, 12);
  ASSERT_EQ(some.size(), 12u);
  EXPECT_EQ(some.front(), all.front());
  EXPECT_EQ(some.back(), all.back());
  EXPECT_TRUE(std::is_sorted(some.begin(), some.end(), std::less_equal<>()));
}

TEST(SlicePicture, NamesDirectionsAsRadiologistsDo) {
  // LPS: +x left, +y posterior, +z head (PS3.3 C.7.6.2.1.1).
  EXPECT_EQ(orientation_letter({1, 0, 0}), "L");
  EXPECT_EQ(orientation_letter({-1, 0.1, 0}), "R");
  EXPECT_EQ(orientation_letter({0, -0.9, 0.4}), "A");
  EXPECT_EQ(orientation_letter({0, 0.8, 0.2}), "P");
  EXPECT_EQ(orientation_letter({0, 0.2, 0.8}), "H");
  EXPECT_EQ(orientation_letter({0, 0.2, -0.8}), "F");
}

TEST(RegionStyles, DifferInLuminance) {
  const auto luminance = [](Colour c) {  // WCAG relative luminance
    const auto linear = [](double v) { return v <= 0.03928 ? v / 12.92 : std::pow((v + 0.055) / 1.055, 2.4); };
    return 0.2126 * linear(c.red) + 0.7152 * linear(c.green) + 0.0722 * linear(c.blue);
  };
  EXPECT_GT(std::abs(luminance(region_style(0).colour) - luminance(region_style(1).colour)), 0.15);
  EXPECT_NE(region_style(0).dashed, region_style(1).dashed);
}

}  // namespace
}  // namespace choana::reporting
