#pragma once

#include <string>
#include <vector>

#include "core/study_findings.h"
#include "reporting/charts/canvas.h"

namespace choana::reporting {

/// How a region is drawn, the same on every page. The colours differ in luminance and the lines in pattern, because
/// many diagnostic displays are grey.
struct RegionStyle {
  Colour colour;
  bool dashed = false;
};
[[nodiscard]] RegionStyle region_style(std::size_t index);

/// Where on the page the pixels of a slice lie.
struct SliceView {
  Box frame;               // the picture
  Box image;               // the whole slice, of which `frame` shows a part
  int k = 0;               // slice index
};

/// The slice with the largest area of the region, windowed by percentiles of what is visible and cropped around all
/// regions of that slice. region: index into series.rois.
[[nodiscard]] SliceView draw_slice(Canvas& canvas, const Box& frame, const MeasuredSeries& series, std::size_t region,
                                   const std::vector<std::string>& region_order);

/// Slices that hold any region, from the lowest; at most `most` of them, evenly taken and always with both ends.
[[nodiscard]] std::vector<int> region_slices(const MeasuredSeries& series, std::size_t most);

/// Draw these slices with one crop and one window, so that they can be compared: around all regions of the series.
/// frames: one for each slice. Returns where the slices lie.
std::vector<SliceView> draw_slices(Canvas& canvas, const std::vector<Box>& frames, const std::vector<int>& slices, const MeasuredSeries& series,
                                   const std::vector<std::string>& region_order);

/// "R", "L", "A", "P", "H", "F" for a direction in patient coordinates: its largest component.
[[nodiscard]] std::string orientation_letter(const Vector3& direction);

}  // namespace choana::reporting
