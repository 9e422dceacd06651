#include "reporting/mask_outline.h"

#include <cstddef>

namespace choana::reporting {
namespace {

// Directions in which an edge leaves a corner; rows grow downwards, so each is a right turn from the one before.
enum Direction : std::uint8_t { right = 0, down = 1, left = 2, up = 3 };
constexpr std::array<int, 4> step_column{1, 0, -1, 0};
constexpr std::array<int, 4> step_row{0, 1, 0, -1};

}  // namespace

std::vector<Outline> trace_outlines(std::span<const std::uint8_t> mask, int columns, int rows) {
  std::vector<Outline> outlines;
  if (columns <= 0 || rows <= 0) return outlines;
  const auto width = static_cast<std::size_t>(columns);
  if (mask.size() != width * static_cast<std::size_t>(rows)) return outlines;

  const auto inside = [&](int column, int row) {
    return column >= 0 && row >= 0 && column < columns && row < rows &&
           mask[static_cast<std::size_t>(row) * width + static_cast<std::size_t>(column)] != 0;
  };
  const auto corner = [&](int column, int row) {
    return static_cast<std::size_t>(row) * (width + 1) + static_cast<std::size_t>(column);
  };

  // Each edge between an inside and an outside pixel, directed so that the inside lies on its right hand: one bit per
  // direction at the corner where the edge starts.
  std::vector<std::uint8_t> leaving((width + 1) * (static_cast<std::size_t>(rows) + 1), 0);
  const auto mark = [&](int column, int row, Direction direction) {
    leaving[corner(column, row)] |= static_cast<std::uint8_t>(1U << direction);
  };
  for (int row = 0; row < rows; ++row) {
    for (int column = 0; column < columns; ++column) {
      if (!inside(column, row)) continue;
      if (!inside(column, row - 1)) mark(column, row, right);
      if (!inside(column + 1, row)) mark(column + 1, row, down);
      if (!inside(column, row + 1)) mark(column + 1, row + 1, left);
      if (!inside(column - 1, row)) mark(column, row + 1, up);
    }
  }

  for (int start_row = 0; start_row <= rows; ++start_row) {
    for (int start_column = 0; start_column <= columns; ++start_column) {
      // The topmost, leftmost corner of an outline has an edge to the right (outer) or down (hole).
      while (leaving[corner(start_column, start_row)] != 0) {
        int column = start_column;
        int row = start_row;
        unsigned direction = right;
        while ((leaving[corner(column, row)] & (1U << direction)) == 0) ++direction;
        const unsigned first_direction = direction;
        Outline outline;
        for (;;) {
          outline.push_back({static_cast<double>(column), static_cast<double>(row)});
          // Straight on as far as the edge goes.
          unsigned next = direction;
          bool closed = false;
          for (;;) {
            leaving[corner(column, row)] &= static_cast<std::uint8_t>(~(1U << direction));
            column += step_column[direction];
            row += step_row[direction];
            // Where two pixels touch at a corner, the right turn stays with the pixel we follow.
            const std::uint8_t open = leaving[corner(column, row)];
            const unsigned turn_right = (direction + 1) % 4;
            const unsigned turn_left = (direction + 3) % 4;
            if (column == start_column && row == start_row && (first_direction == turn_right || open == 0)) {
              closed = true;
              break;
            }
            if ((open & (1U << turn_right)) != 0) {
              next = turn_right;
              break;
            }
            if ((open & (1U << direction)) != 0) continue;
            next = turn_left;
            break;
          }
          if (closed) break;
          direction = next;
        }
        outline.push_back(outline.front());
        outlines.push_back(std::move(outline));
      }
    }
  }
  return outlines;
}

double signed_area(const Outline& outline) {
  double twice = 0;
  for (std::size_t n = 1; n < outline.size(); ++n)
    twice += outline[n - 1][0] * outline[n][1] - outline[n][0] * outline[n - 1][1];
  return twice / 2;
}

}  // namespace choana::reporting
