#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace choana::reporting {

/// A closed polygon in pixel coordinates (column, row); the first point is repeated as the last.
using Outline = std::vector<std::array<double, 2>>;

/// Trace the pixel-edge outlines of a 2-D mask.
/// mask: rows x columns, column fastest, any non-zero value is inside. Pixel (0,0) covers [0,1] x [0,1], so 0.5 is the
/// centre of the first pixel, as SCOORD graphic data want it (PS3.3 C.18.6.1.2).
/// Returns outer boundaries (signed_area > 0) and holes (signed_area < 0) in the order of their topmost, leftmost
/// corner. Collinear points are merged. Pixels that touch only at a corner belong to different outlines. Empty if the
/// mask is empty or its size is not rows x columns.
[[nodiscard]] std::vector<Outline> trace_outlines(std::span<const std::uint8_t> mask, int columns, int rows);

/// Area in square pixels; positive for an outer boundary, negative for a hole.
[[nodiscard]] double signed_area(const Outline& outline);

}  // namespace choana::reporting
