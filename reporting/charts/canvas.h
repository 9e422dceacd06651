#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

typedef struct _cairo cairo_t;
typedef struct _cairo_surface cairo_surface_t;

namespace choana::reporting {

struct Colour {
  double red = 0, green = 0, blue = 0, alpha = 1;
};
/// 0xRRGGBB.
[[nodiscard]] constexpr Colour rgb(unsigned hex, double alpha = 1) {
  return {((hex >> 16) & 0xFF) / 255.0, ((hex >> 8) & 0xFF) / 255.0, (hex & 0xFF) / 255.0, alpha};
}

struct Box {
  double x = 0, y = 0, width = 0, height = 0;
  [[nodiscard]] double right() const { return x + width; }
  [[nodiscard]] double bottom() const { return y + height; }
};

enum class Align { left, centre, right };
enum class Shorten { end, middle };

struct TextStyle {
  double size = 18;           // pixels
  Colour colour{};
  bool bold = false;
  Align align = Align::left;
  int lines = 1;              // wrapped to at most so many lines, then shortened with an ellipsis
  Shorten shorten = Shorten::end;
  bool halo = false;          // dark rim, for text on images
};

/// A page to draw on: pixels, y downwards. Text never leaves the width it is given.
class Canvas {
 public:
  Canvas(int width, int height, Colour ground);
  ~Canvas();
  Canvas(const Canvas&) = delete;
  Canvas& operator=(const Canvas&) = delete;

  void fill(const Box& box, Colour colour, double radius = 0);
  void frame(const Box& box, Colour colour, double line = 1, double radius = 0);
  void line(double x1, double y1, double x2, double y2, Colour colour, double width = 1);
  void disc(double x, double y, double radius, Colour colour, Colour rim, double rim_width);
  void polygon(const std::vector<std::array<double, 2>>& points, Colour colour);
  void polyline(const std::vector<std::array<double, 2>>& points, Colour colour, double width);
  /// `y` is the top of the text. Returns its height in pixels.
  double text(double x, double y, double width, const std::string& utf8, const TextStyle& style);
  /// Width that the text takes in one line, in pixels.
  [[nodiscard]] double text_width(const std::string& utf8, const TextStyle& style) const;
  /// Draw a grey image (columns x rows, column fastest) stretched over `target` with cubic interpolation, and only the
  /// part inside `clip`.
  void grey_image(const std::vector<std::uint8_t>& grey, int columns, int rows, const Box& target, const Box& clip);
  /// Lay colours over `target`, one for each label above 0 (the first for 1), pixel by pixel without smoothing, only inside `clip`.
  void label_image(const std::vector<std::uint8_t>& labels, int columns, int rows, const std::vector<Colour>& colours, const Box& target, const Box& clip);
  /// Draw closed curves (two points: a line) given in page coordinates, only inside `clip`.
  void outlines(const std::vector<std::vector<std::array<double, 2>>>& curves, const Box& clip, Colour colour, double width, bool dashed);

  /// height x width x 3, interleaved.
  [[nodiscard]] std::vector<std::uint8_t> pixels() const;
  [[nodiscard]] bool good() const;

 private:
  void path(const Box& box, double radius);
  cairo_surface_t* surface_ = nullptr;
  cairo_t* cairo_ = nullptr;
  int width_ = 0;
  int height_ = 0;
};

}  // namespace choana::reporting
