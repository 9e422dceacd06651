#include "reporting/charts/slice_picture.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "reporting/mask_outline.h"

namespace choana::reporting {
namespace {

struct Extent {
  int low_i = 0, high_i = -1, low_j = 0, high_j = -1;
  [[nodiscard]] bool empty() const { return high_i < low_i; }
};

std::span<const std::uint8_t> mask_slice(const RegionOfInterest& roi, int k) {
  const auto& size = roi.geometry().size();
  const auto area = static_cast<std::size_t>(size[0]) * static_cast<std::size_t>(size[1]);
  return std::span(roi.mask()).subspan(static_cast<std::size_t>(k) * area, area);
}

void grow(Extent& extent, std::span<const std::uint8_t> mask, int columns, int rows) {
  for (int j = 0; j < rows; ++j)
    for (int i = 0; i < columns; ++i) {
      if (mask[static_cast<std::size_t>(j) * static_cast<std::size_t>(columns) + static_cast<std::size_t>(i)] == 0) continue;
      if (extent.empty()) extent = {i, i, j, j};
      extent = {std::min(extent.low_i, i), std::max(extent.high_i, i), std::min(extent.low_j, j), std::max(extent.high_j, j)};
    }
}

}  // namespace

RegionStyle region_style(std::size_t index) {
  static const RegionStyle styles[] = {{rgb(0xFFD84D), false}, {rgb(0x38C6FF), true}, {rgb(0xFF6FAE), false}, {rgb(0x8CF0A0), true}, {rgb(0xC79BFF), false}};
  return styles[index % std::size(styles)];
}

std::string orientation_letter(const Vector3& direction) {
  std::size_t axis = 0;
  for (std::size_t a = 1; a < 3; ++a)
    if (std::abs(direction[a]) > std::abs(direction[axis]) + 1e-6) axis = a;
  static const char* letters[] = {"R", "L", "A", "P", "F", "H"};
  return letters[2 * axis + (direction[axis] > 0 ? 1 : 0)];
}

SliceView draw_slice(Canvas& canvas, const Box& frame, const MeasuredSeries& series, std::size_t region, const std::vector<std::string>& region_order) {
  SliceView view{frame, frame, 0};
  canvas.fill(frame, rgb(0x000000));
  const auto& geometry = series.volume.geometry();
  const int columns = geometry.size()[0], rows = geometry.size()[1];
  const RegionOfInterest& roi = series.rois[region];
  if (series.volume.empty() || roi.geometry().size() != geometry.size()) return view;
  const int k = roi.largest_slice();
  view.k = k;
  const double pixel_x_mm = geometry.spacing_mm()[0], pixel_y_mm = geometry.spacing_mm()[1];

  // Crop: the region with as much again around it, never less than 90 mm of anatomy, in the shape of the frame.
  Extent extent;
  grow(extent, mask_slice(roi, k), columns, rows);
  const double width_mm = (extent.high_i - extent.low_i + 1) * pixel_x_mm, height_mm = (extent.high_j - extent.low_j + 1) * pixel_y_mm;
  double view_height_mm = std::max({90.0, 1.9 * height_mm, 1.9 * width_mm * frame.height / frame.width});
  view_height_mm = std::min(view_height_mm, std::max(rows * pixel_y_mm, columns * pixel_x_mm * frame.height / frame.width));
  const double pixels_per_mm = frame.height / view_height_mm, view_width_mm = frame.width / pixels_per_mm;
  const auto keep_inside = [](double centre, double half, double full) { return 2 * half >= full ? full / 2 : std::clamp(centre, half, full - half); };
  const double centre_x_mm = keep_inside((extent.low_i + extent.high_i + 1) * 0.5 * pixel_x_mm, view_width_mm / 2, columns * pixel_x_mm);
  const double centre_y_mm = keep_inside((extent.low_j + extent.high_j + 1) * 0.5 * pixel_y_mm, view_height_mm / 2, rows * pixel_y_mm);
  view.image = {frame.x + frame.width / 2 - centre_x_mm * pixels_per_mm, frame.y + frame.height / 2 - centre_y_mm * pixels_per_mm, columns * pixel_x_mm * pixels_per_mm,
                rows * pixel_y_mm * pixels_per_mm};

  // Window: 1st to 99.5th percentile of the visible part, background left out where there is enough else.
  const auto area = static_cast<std::size_t>(columns) * static_cast<std::size_t>(rows);
  const auto voxels = std::span(series.volume.voxels()).subspan(static_cast<std::size_t>(k) * area, area);
  const auto column_at = [&](double x_mm) { return std::clamp(static_cast<int>(std::floor(x_mm / pixel_x_mm)), 0, columns - 1); };
  const auto row_at = [&](double y_mm) { return std::clamp(static_cast<int>(std::floor(y_mm / pixel_y_mm)), 0, rows - 1); };
  std::vector<float> seen;
  for (int j = row_at(centre_y_mm - view_height_mm / 2); j <= row_at(centre_y_mm + view_height_mm / 2); ++j)
    for (int i = column_at(centre_x_mm - view_width_mm / 2); i <= column_at(centre_x_mm + view_width_mm / 2); ++i) {
      const float v = voxels[static_cast<std::size_t>(j) * static_cast<std::size_t>(columns) + static_cast<std::size_t>(i)];
      if (std::isfinite(v)) seen.push_back(v);
    }
  double low = 0, high = 1;
  if (!seen.empty()) {
    std::sort(seen.begin(), seen.end());
    const auto percentile = [&](double p) { return static_cast<double>(seen[static_cast<std::size_t>(p * static_cast<double>(seen.size() - 1))]); };
    low = percentile(0.01);
    high = percentile(0.995);
    if (!(high > low)) high = low + 1;
  }
  std::vector<std::uint8_t> grey(area);
  for (std::size_t n = 0; n < area; ++n) {
    const double v = std::isfinite(voxels[n]) ? (static_cast<double>(voxels[n]) - low) / (high - low) : 0;
    grey[n] = static_cast<std::uint8_t>(std::lround(255 * std::clamp(v, 0.0, 1.0)));
  }
  canvas.grey_image(grey, columns, rows, view.image, frame);

  const double scale_x = view.image.width / columns, scale_y = view.image.height / rows;
  for (std::size_t n = series.rois.size(); n-- > 0;) {  // the region asked for comes last, on top
    const std::size_t r = n == 0 ? region : (n <= region ? n - 1 : n);
    const RegionOfInterest& other = series.rois[r];
    if (other.geometry().size() != geometry.size()) continue;
    auto curves = trace_outlines(mask_slice(other, k), columns, rows);
    for (auto& curve : curves)
      for (auto& point : curve) point = {view.image.x + point[0] * scale_x, view.image.y + point[1] * scale_y};
    const auto place = std::find(region_order.begin(), region_order.end(), other.name());
    const RegionStyle style = region_style(static_cast<std::size_t>(place - region_order.begin()));
    canvas.outlines(curves, frame, style.colour, 2.2, style.dashed);
  }

  // Orientation and a scale bar.
  const TextStyle small{.size = 18, .colour = rgb(0xD5DEE6), .bold = true, .align = Align::left, .lines = 1, .shorten = Shorten::end, .halo = true};
  canvas.text(frame.x + 6, frame.y + frame.height / 2 - 11, 30, orientation_letter(-1.0 * geometry.axis(0)), small);
  TextStyle top = small;
  top.align = Align::right;
  canvas.text(frame.right() - 36, frame.y + 4, 30, orientation_letter(-1.0 * geometry.axis(1)), top);
  const double bar_mm = view_width_mm > 150 ? 50 : 20;
  const double bar = bar_mm * pixels_per_mm, y = frame.bottom() - 10, x = frame.right() - 10 - bar;
  canvas.line(x - 1, y, x + bar + 1, y, rgb(0x000000, 0.7), 5);
  canvas.line(x, y, x + bar, y, rgb(0xE8EDF2), 2.5);
  TextStyle label = small;
  label.align = Align::right;
  label.bold = false;
  canvas.text(frame.right() - 90, y - 27, 80, bar_mm > 30 ? "5 cm" : "2 cm", label);
  canvas.frame(frame, rgb(0x33404D), 1);
  return view;
}

}  // namespace choana::reporting
