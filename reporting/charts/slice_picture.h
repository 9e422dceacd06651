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

/// "R", "L", "A", "P", "H", "F" for a direction in patient coordinates: its largest component.
[[nodiscard]] std::string orientation_letter(const Vector3& direction);

}  // namespace choana::reporting
