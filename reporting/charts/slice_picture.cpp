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

struct Window {
  double low = 0, high = 1;
};

// What of a slice stands where in a frame.
struct Crop {
  double centre_x_mm = 0, centre_y_mm = 0, width_mm = 1, height_mm = 1;
};

// The extent with as much again around it, never less than 90 mm of anatomy, in the shape of the frame.
Crop crop_around(const Extent& extent, const VolumeGeometry& geometry, const Box& frame, double share) {
  const double pixel_x_mm = geometry.spacing_mm()[0], pixel_y_mm = geometry.spacing_mm()[1];
  const double full_x_mm = geometry.size()[0] * pixel_x_mm, full_y_mm = geometry.size()[1] * pixel_y_mm;
  const double width_mm = (extent.high_i - extent.low_i + 1) * pixel_x_mm, height_mm = (extent.high_j - extent.low_j + 1) * pixel_y_mm;
  Crop crop;
  crop.height_mm = std::max({90.0, share * height_mm, share * width_mm * frame.height / frame.width});
  crop.height_mm = std::min(crop.height_mm, std::max(full_y_mm, full_x_mm * frame.height / frame.width));
  crop.width_mm = crop.height_mm * frame.width / frame.height;
  const auto keep_inside = [](double centre, double half, double full) { return 2 * half >= full ? full / 2 : std::clamp(centre, half, full - half); };
  crop.centre_x_mm = keep_inside((extent.low_i + extent.high_i + 1) * 0.5 * pixel_x_mm, crop.width_mm / 2, full_x_mm);
  crop.centre_y_mm = keep_inside((extent.low_j + extent.high_j + 1) * 0.5 * pixel_y_mm, crop.height_mm / 2, full_y_mm);
  return crop;
}

std::span<const float> voxel_slice(const SeriesVolume& volume, int k) {
  const auto& size = volume.geometry().size();
  const auto area = static_cast<std::size_t>(size[0]) * static_cast<std::size_t>(size[1]);
  return std::span(volume.voxels()).subspan(static_cast<std::size_t>(k) * area, area);
}

// 1st to 99.5th percentile of what is visible on these slices.
Window window_of(const SeriesVolume& volume, const std::vector<int>& slices, const Crop& crop) {
  const auto& geometry = volume.geometry();
  const int columns = geometry.size()[0], rows = geometry.size()[1];
  const auto column_at = [&](double x_mm) { return std::clamp(static_cast<int>(std::floor(x_mm / geometry.spacing_mm()[0])), 0, columns - 1); };
  const auto row_at = [&](double y_mm) { return std::clamp(static_cast<int>(std::floor(y_mm / geometry.spacing_mm()[1])), 0, rows - 1); };
  std::vector<float> seen;
  for (const int k : slices) {
    const auto voxels = voxel_slice(volume, k);
    for (int j = row_at(crop.centre_y_mm - crop.height_mm / 2); j <= row_at(crop.centre_y_mm + crop.height_mm / 2); ++j)
      for (int i = column_at(crop.centre_x_mm - crop.width_mm / 2); i <= column_at(crop.centre_x_mm + crop.width_mm / 2); ++i) {
        const float v = voxels[static_cast<std::size_t>(j) * static_cast<std::size_t>(columns) + static_cast<std::size_t>(i)];
        if (std::isfinite(v)) seen.push_back(v);
      }
  }
  if (seen.empty()) return {};
  const auto percentile = [&](double p) {
    const auto nth = seen.begin() + static_cast<std::ptrdiff_t>(p * static_cast<double>(seen.size() - 1));
    std::nth_element(seen.begin(), nth, seen.end());
    return static_cast<double>(*nth);
  };
  Window window;
  window.low = percentile(0.01);
  window.high = percentile(0.995);
  if (!(window.high > window.low)) window.high = window.low + 1;
  return window;
}

struct Marks {
  bool orientation = true, scale = true;
};

SliceView draw_one(Canvas& canvas, const Box& frame, const MeasuredSeries& series, int k, std::size_t on_top, const std::vector<std::string>& region_order, const Crop& crop,
                   const Window& window, Marks marks) {
  SliceView view{frame, frame, k};
  const auto& geometry = series.volume.geometry();
  const int columns = geometry.size()[0], rows = geometry.size()[1];
  const double pixels_per_mm = frame.height / crop.height_mm;
  view.image = {frame.x + frame.width / 2 - crop.centre_x_mm * pixels_per_mm, frame.y + frame.height / 2 - crop.centre_y_mm * pixels_per_mm,
                columns * geometry.spacing_mm()[0] * pixels_per_mm, rows * geometry.spacing_mm()[1] * pixels_per_mm};
  const auto voxels = voxel_slice(series.volume, k);
  std::vector<std::uint8_t> grey(voxels.size());
  for (std::size_t n = 0; n < grey.size(); ++n) {
    const double v = std::isfinite(voxels[n]) ? (static_cast<double>(voxels[n]) - window.low) / (window.high - window.low) : 0;
    grey[n] = static_cast<std::uint8_t>(std::lround(255 * std::clamp(v, 0.0, 1.0)));
  }
  canvas.grey_image(grey, columns, rows, view.image, frame);

  const double scale_x = view.image.width / columns, scale_y = view.image.height / rows;
  for (std::size_t n = series.rois.size(); n-- > 0;) {  // the region asked for comes last, on top
    const std::size_t r = n == 0 ? on_top : (n <= on_top ? n - 1 : n);
    const RegionOfInterest& roi = series.rois[r];
    if (roi.geometry().size() != geometry.size()) continue;
    auto curves = trace_outlines(mask_slice(roi, k), columns, rows);
    for (auto& curve : curves)
      for (auto& point : curve) point = {view.image.x + point[0] * scale_x, view.image.y + point[1] * scale_y};
    const auto place = std::find(region_order.begin(), region_order.end(), roi.name());
    const RegionStyle style = region_style(static_cast<std::size_t>(place - region_order.begin()));
    canvas.outlines(curves, frame, style.colour, 2.2, style.dashed);
  }

  TextStyle small{.size = 18, .colour = rgb(0xD5DEE6), .bold = true, .align = Align::left, .lines = 1, .shorten = Shorten::end, .halo = true};
  if (marks.orientation) {
    canvas.text(frame.x + 6, frame.y + frame.height / 2 - 11, 30, orientation_letter(-1.0 * geometry.axis(0)), small);
    small.align = Align::right;
    canvas.text(frame.right() - 36, frame.y + 4, 30, orientation_letter(-1.0 * geometry.axis(1)), small);
  }
  if (marks.scale) {
    const double bar_mm = crop.width_mm > 150 ? 50 : 20;
    const double bar = bar_mm * pixels_per_mm, y = frame.bottom() - 10, x = frame.right() - 10 - bar;
    canvas.line(x - 1, y, x + bar + 1, y, rgb(0x000000, 0.7), 5);
    canvas.line(x, y, x + bar, y, rgb(0xE8EDF2), 2.5);
    small.align = Align::right;
    small.bold = false;
    canvas.text(frame.right() - 90, y - 27, 80, bar_mm > 30 ? "5 cm" : "2 cm", small);
  }
  canvas.frame(frame, rgb(0x33404D), 1);
  return view;
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
  canvas.fill(frame, rgb(0x000000));
  const RegionOfInterest& roi = series.rois[region];
  if (series.volume.empty() || roi.geometry().size() != series.volume.geometry().size()) return {frame, frame, 0};
  const auto& geometry = series.volume.geometry();
  const int k = roi.largest_slice();
  Extent extent;
  grow(extent, mask_slice(roi, k), geometry.size()[0], geometry.size()[1]);
  const Crop crop = crop_around(extent, geometry, frame, 1.9);
  return draw_one(canvas, frame, series, k, region, region_order, crop, window_of(series.volume, {k}, crop), {});
}

std::vector<int> region_slices(const MeasuredSeries& series, std::size_t most) {
  std::vector<int> all;
  if (series.volume.empty()) return all;
  const auto& size = series.volume.geometry().size();
  for (int k = 0; k < size[2]; ++k)
    for (const auto& roi : series.rois) {
      if (roi.geometry().size() != size) continue;
      const auto mask = mask_slice(roi, k);
      if (std::any_of(mask.begin(), mask.end(), [](std::uint8_t v) { return v != 0; })) {
        all.push_back(k);
        break;
      }
    }
  if (all.size() <= most || most < 2) return all;
  std::vector<int> some;
  for (std::size_t n = 0; n < most; ++n) some.push_back(all[n * (all.size() - 1) / (most - 1)]);
  return some;
}

std::vector<SliceView> draw_slices(Canvas& canvas, const std::vector<Box>& frames, const std::vector<int>& slices, const MeasuredSeries& series,
                                   const std::vector<std::string>& region_order) {
  std::vector<SliceView> views;
  if (frames.empty() || series.volume.empty()) return views;
  const auto& geometry = series.volume.geometry();
  Extent extent;
  for (const int k : slices)
    for (const auto& roi : series.rois)
      if (roi.geometry().size() == geometry.size()) grow(extent, mask_slice(roi, k), geometry.size()[0], geometry.size()[1]);
  if (extent.empty()) return views;
  const Crop crop = crop_around(extent, geometry, frames.front(), 1.35);
  const Window window = window_of(series.volume, slices, crop);
  for (std::size_t n = 0; n < frames.size() && n < slices.size(); ++n) {
    canvas.fill(frames[n], rgb(0x000000));
    views.push_back(draw_one(canvas, frames[n], series, slices[n], 0, region_order, crop, window, {n == 0, n == 0}));
  }
  return views;
}

}  // namespace choana::reporting
