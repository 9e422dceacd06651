#include "reporting/charts/canvas.h"

#include <pango/pangocairo.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <numbers>

namespace choana::reporting {
namespace {

struct Unref {
  void operator()(PangoLayout* layout) const { g_object_unref(layout); }
  void operator()(PangoFontDescription* font) const { pango_font_description_free(font); }
  void operator()(cairo_font_options_t* options) const { cairo_font_options_destroy(options); }
  void operator()(cairo_surface_t* surface) const { cairo_surface_destroy(surface); }
};

void set_colour(cairo_t* cairo, Colour c) { cairo_set_source_rgba(cairo, c.red, c.green, c.blue, c.alpha); }

// Pango refuses text that is not UTF-8; names come from files.
std::string valid_text(const std::string& text) {
  if (g_utf8_validate(text.data(), static_cast<gssize>(text.size()), nullptr)) return text;
  char* repaired = g_utf8_make_valid(text.data(), static_cast<gssize>(text.size()));
  std::string valid(repaired);
  g_free(repaired);
  return valid;
}

std::unique_ptr<PangoLayout, Unref> make_layout(cairo_t* cairo, const std::string& utf8, const TextStyle& style, double width) {
  std::unique_ptr<PangoLayout, Unref> layout(pango_cairo_create_layout(cairo));
  // Smoothing and hinting are fixed here, not taken from the machine.
  std::unique_ptr<cairo_font_options_t, Unref> options(cairo_font_options_create());
  cairo_font_options_set_antialias(options.get(), CAIRO_ANTIALIAS_GRAY);
  cairo_font_options_set_hint_style(options.get(), CAIRO_HINT_STYLE_NONE);
  cairo_font_options_set_hint_metrics(options.get(), CAIRO_HINT_METRICS_OFF);
  PangoContext* context = pango_layout_get_context(layout.get());
  pango_cairo_context_set_font_options(context, options.get());
  pango_cairo_context_set_resolution(context, 96);
  std::unique_ptr<PangoFontDescription, Unref> font(pango_font_description_new());
  pango_font_description_set_family(font.get(), "DejaVu Sans, WenQuanYi Micro Hei, sans-serif");
  pango_font_description_set_weight(font.get(), style.bold ? PANGO_WEIGHT_BOLD : PANGO_WEIGHT_NORMAL);
  pango_font_description_set_absolute_size(font.get(), style.size * PANGO_SCALE);
  pango_layout_set_font_description(layout.get(), font.get());
  const std::string text = valid_text(utf8);
  pango_layout_set_text(layout.get(), text.c_str(), static_cast<int>(text.size()));
  if (style.lines == 1) pango_layout_set_single_paragraph_mode(layout.get(), TRUE);
  if (width > 0) {
    pango_layout_set_width(layout.get(), static_cast<int>(width * PANGO_SCALE));
    pango_layout_set_height(layout.get(), -std::max(1, style.lines));
    pango_layout_set_wrap(layout.get(), PANGO_WRAP_WORD_CHAR);
    pango_layout_set_ellipsize(layout.get(), style.shorten == Shorten::middle ? PANGO_ELLIPSIZE_MIDDLE : PANGO_ELLIPSIZE_END);
    pango_layout_set_alignment(layout.get(), style.align == Align::left ? PANGO_ALIGN_LEFT : style.align == Align::right ? PANGO_ALIGN_RIGHT : PANGO_ALIGN_CENTER);
  }
  return layout;
}

}  // namespace

Canvas::Canvas(int width, int height, Colour ground) : width_(width), height_(height) {
  surface_ = cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height);
  cairo_ = cairo_create(surface_);
  set_colour(cairo_, ground);
  cairo_paint(cairo_);
}

Canvas::~Canvas() {
  cairo_destroy(cairo_);
  cairo_surface_destroy(surface_);
}

bool Canvas::good() const { return cairo_status(cairo_) == CAIRO_STATUS_SUCCESS && cairo_surface_status(surface_) == CAIRO_STATUS_SUCCESS; }

void Canvas::path(const Box& box, double radius) {
  if (radius <= 0) {
    cairo_rectangle(cairo_, box.x, box.y, box.width, box.height);
    return;
  }
  const double r = std::min({radius, box.width / 2, box.height / 2}), quarter = std::numbers::pi / 2;
  cairo_new_sub_path(cairo_);
  cairo_arc(cairo_, box.right() - r, box.y + r, r, -quarter, 0);
  cairo_arc(cairo_, box.right() - r, box.bottom() - r, r, 0, quarter);
  cairo_arc(cairo_, box.x + r, box.bottom() - r, r, quarter, 2 * quarter);
  cairo_arc(cairo_, box.x + r, box.y + r, r, 2 * quarter, 3 * quarter);
  cairo_close_path(cairo_);
}

void Canvas::fill(const Box& box, Colour colour, double radius) {
  if (!(box.width > 0) || !(box.height > 0)) return;
  path(box, radius);
  set_colour(cairo_, colour);
  cairo_fill(cairo_);
}

void Canvas::frame(const Box& box, Colour colour, double line, double radius) {
  path({box.x + line / 2, box.y + line / 2, box.width - line, box.height - line}, radius);
  set_colour(cairo_, colour);
  cairo_set_line_width(cairo_, line);
  cairo_stroke(cairo_);
}

void Canvas::line(double x1, double y1, double x2, double y2, Colour colour, double width) {
  cairo_move_to(cairo_, x1, y1);
  cairo_line_to(cairo_, x2, y2);
  set_colour(cairo_, colour);
  cairo_set_line_width(cairo_, width);
  cairo_stroke(cairo_);
}

void Canvas::disc(double x, double y, double radius, Colour colour, Colour rim, double rim_width) {
  cairo_new_sub_path(cairo_);
  cairo_arc(cairo_, x, y, radius, 0, 2 * std::numbers::pi);
  set_colour(cairo_, colour);
  cairo_fill_preserve(cairo_);
  set_colour(cairo_, rim);
  cairo_set_line_width(cairo_, rim_width);
  cairo_stroke(cairo_);
}

void Canvas::polygon(const std::vector<std::array<double, 2>>& points, Colour colour) {
  for (const auto& point : points) cairo_line_to(cairo_, point[0], point[1]);
  cairo_close_path(cairo_);
  set_colour(cairo_, colour);
  cairo_fill(cairo_);
}

void Canvas::polyline(const std::vector<std::array<double, 2>>& points, Colour colour, double width) {
  for (const auto& point : points) cairo_line_to(cairo_, point[0], point[1]);
  set_colour(cairo_, colour);
  cairo_set_line_width(cairo_, width);
  cairo_set_line_join(cairo_, CAIRO_LINE_JOIN_ROUND);
  cairo_set_line_cap(cairo_, CAIRO_LINE_CAP_ROUND);
  cairo_stroke(cairo_);
  cairo_set_line_cap(cairo_, CAIRO_LINE_CAP_BUTT);
  cairo_set_line_join(cairo_, CAIRO_LINE_JOIN_MITER);
}

double Canvas::text(double x, double y, double width, const std::string& utf8, const TextStyle& style) {
  const auto layout = make_layout(cairo_, utf8, style, width);
  int pixel_height = 0;
  pango_layout_get_pixel_size(layout.get(), nullptr, &pixel_height);
  if (style.halo) {
    cairo_move_to(cairo_, x, y);
    pango_cairo_layout_path(cairo_, layout.get());
    cairo_set_source_rgba(cairo_, 0, 0, 0, 0.85);
    cairo_set_line_width(cairo_, 3.5);
    cairo_set_line_join(cairo_, CAIRO_LINE_JOIN_ROUND);
    cairo_stroke(cairo_);
    cairo_set_line_join(cairo_, CAIRO_LINE_JOIN_MITER);
  }
  cairo_move_to(cairo_, x, y);
  set_colour(cairo_, style.colour);
  pango_cairo_show_layout(cairo_, layout.get());
  cairo_new_path(cairo_);
  return pixel_height;
}

double Canvas::text_width(const std::string& utf8, const TextStyle& style) const {
  const auto layout = make_layout(cairo_, utf8, style, 0);
  PangoRectangle logical{};
  pango_layout_get_extents(layout.get(), nullptr, &logical);
  return std::ceil(static_cast<double>(logical.width) / PANGO_SCALE);
}

void Canvas::label_image(const std::vector<std::uint8_t>& labels, int columns, int rows, const std::vector<Colour>& colours, const Box& target, const Box& clip) {
  if (columns <= 0 || rows <= 0 || labels.size() != static_cast<std::size_t>(columns) * static_cast<std::size_t>(rows)) return;
  const int left = std::max(0, static_cast<int>(std::ceil(std::max(target.x, clip.x) - 0.5))), right = std::min(width_, static_cast<int>(std::ceil(std::min(target.right(), clip.right()) - 0.5)));
  const int upper = std::max(0, static_cast<int>(std::ceil(std::max(target.y, clip.y) - 0.5))), lower = std::min(height_, static_cast<int>(std::ceil(std::min(target.bottom(), clip.bottom()) - 0.5)));
  if (right <= left || lower <= upper) return;
  std::unique_ptr<cairo_surface_t, Unref> image(cairo_image_surface_create(CAIRO_FORMAT_ARGB32, right - left, lower - upper));
  if (cairo_surface_status(image.get()) != CAIRO_STATUS_SUCCESS) return;
  unsigned char* data = cairo_image_surface_get_data(image.get());
  const auto stride = static_cast<std::size_t>(cairo_image_surface_get_stride(image.get()));
  const auto source = [](int at, double start, double length, int count) { return static_cast<std::size_t>(std::clamp(static_cast<int>(std::floor((at + 0.5 - start) / length * count)), 0, count - 1)); };
  for (int y = upper; y < lower; ++y)
    for (int x = left; x < right; ++x) {
      const std::size_t label = labels[source(y, target.y, target.height, rows) * static_cast<std::size_t>(columns) + source(x, target.x, target.width, columns)];
      if (label == 0 || label > colours.size()) continue;
      const Colour& colour = colours[label - 1];
      const auto part = [&](double value) { return static_cast<std::uint32_t>(std::lround(255 * std::clamp(value, 0.0, 1.0))); };
      const std::uint32_t pixel = part(colour.alpha) << 24 | part(colour.alpha * colour.red) << 16 | part(colour.alpha * colour.green) << 8 | part(colour.alpha * colour.blue);
      std::memcpy(data + static_cast<std::size_t>(y - upper) * stride + 4 * static_cast<std::size_t>(x - left), &pixel, 4);
    }
  cairo_surface_mark_dirty(image.get());
  cairo_set_source_surface(cairo_, image.get(), left, upper);
  cairo_rectangle(cairo_, left, upper, right - left, lower - upper);
  cairo_fill(cairo_);
}

void Canvas::grey_image(const std::vector<std::uint8_t>& grey, int columns, int rows, const Box& target, const Box& clip) {
  if (columns <= 0 || rows <= 0 || grey.size() != static_cast<std::size_t>(columns) * static_cast<std::size_t>(rows)) return;
  // Only the pixels of the page that the picture covers; Cairo's own filters turn blocky when they enlarge.
  const int left = std::max(0, static_cast<int>(std::ceil(std::max(target.x, clip.x) - 0.5))), right = std::min(width_, static_cast<int>(std::ceil(std::min(target.right(), clip.right()) - 0.5)));
  const int upper = std::max(0, static_cast<int>(std::ceil(std::max(target.y, clip.y) - 0.5))), lower = std::min(height_, static_cast<int>(std::ceil(std::min(target.bottom(), clip.bottom()) - 0.5)));
  if (right <= left || lower <= upper) return;
  struct Taps {
    std::array<std::size_t, 4> at{};
    std::array<float, 4> weight{};
  };
  // Catmull and Rom's cubic: four source samples for each pixel of the page.
  const auto taps = [](int from, int to, double start, double length, int count) {
    std::vector<Taps> all;
    for (int n = from; n < to; ++n) {
      const double source = (n + 0.5 - start) / length * count - 0.5, whole = std::floor(source);
      const auto f = static_cast<float>(source - whole);
      Taps t;
      t.weight = {-0.5f * f + f * f - 0.5f * f * f * f, 1 - 2.5f * f * f + 1.5f * f * f * f, 0.5f * f + 2 * f * f - 1.5f * f * f * f, -0.5f * f * f + 0.5f * f * f * f};
      for (int k = 0; k < 4; ++k) t.at[static_cast<std::size_t>(k)] = static_cast<std::size_t>(std::clamp(static_cast<int>(whole) + k - 1, 0, count - 1));
      all.push_back(t);
    }
    return all;
  };
  const auto across = taps(left, right, target.x, target.width, columns), down = taps(upper, lower, target.y, target.height, rows);
  std::unique_ptr<cairo_surface_t, Unref> image(cairo_image_surface_create(CAIRO_FORMAT_RGB24, right - left, lower - upper));
  if (cairo_surface_status(image.get()) != CAIRO_STATUS_SUCCESS) return;
  unsigned char* data = cairo_image_surface_get_data(image.get());
  const auto stride = static_cast<std::size_t>(cairo_image_surface_get_stride(image.get()));
  for (std::size_t y = 0; y < down.size(); ++y)
    for (std::size_t x = 0; x < across.size(); ++x) {
      float value = 0;
      for (std::size_t j = 0; j < 4; ++j) {
        const std::uint8_t* row = grey.data() + down[y].at[j] * static_cast<std::size_t>(columns);
        float sum = 0;
        for (std::size_t i = 0; i < 4; ++i) sum += across[x].weight[i] * static_cast<float>(row[across[x].at[i]]);
        value += down[y].weight[j] * sum;
      }
      unsigned char* pixel = data + y * stride + 4 * x;
      pixel[0] = pixel[1] = pixel[2] = static_cast<unsigned char>(std::clamp(value + 0.5f, 0.0f, 255.0f));
    }
  cairo_surface_mark_dirty(image.get());
  cairo_set_source_surface(cairo_, image.get(), left, upper);
  cairo_rectangle(cairo_, left, upper, right - left, lower - upper);
  cairo_fill(cairo_);
}

void Canvas::outlines(const std::vector<std::vector<std::array<double, 2>>>& curves, const Box& clip, Colour colour, double width, bool dashed) {
  cairo_save(cairo_);
  cairo_rectangle(cairo_, clip.x, clip.y, clip.width, clip.height);
  cairo_clip(cairo_);
  cairo_new_path(cairo_);
  for (const auto& curve : curves) {
    cairo_new_sub_path(cairo_);
    for (const auto& point : curve) cairo_line_to(cairo_, point[0], point[1]);
    if (curve.size() > 2) cairo_close_path(cairo_);
  }
  cairo_set_line_join(cairo_, CAIRO_LINE_JOIN_ROUND);
  // A dark rim keeps the line visible on bright tissue.
  cairo_set_source_rgba(cairo_, 0, 0, 0, 0.55);
  cairo_set_line_width(cairo_, width + 1.8);
  cairo_stroke_preserve(cairo_);
  if (dashed) {
    const double dashes[] = {7, 4};
    cairo_set_dash(cairo_, dashes, 2, 0);
  }
  set_colour(cairo_, colour);
  cairo_set_line_width(cairo_, width);
  cairo_stroke(cairo_);
  cairo_restore(cairo_);
}

std::vector<std::uint8_t> Canvas::pixels() const {
  cairo_surface_flush(surface_);
  const unsigned char* data = cairo_image_surface_get_data(surface_);
  const auto stride = static_cast<std::size_t>(cairo_image_surface_get_stride(surface_));
  std::vector<std::uint8_t> rgb;
  rgb.reserve(static_cast<std::size_t>(width_) * static_cast<std::size_t>(height_) * 3);
  for (std::size_t y = 0; y < static_cast<std::size_t>(height_); ++y)
    for (std::size_t x = 0; x < static_cast<std::size_t>(width_); ++x) {
      std::uint32_t pixel = 0;
      std::copy_n(data + y * stride + 4 * x, 4, reinterpret_cast<unsigned char*>(&pixel));
      rgb.push_back(static_cast<std::uint8_t>(pixel >> 16));
      rgb.push_back(static_cast<std::uint8_t>(pixel >> 8));
      rgb.push_back(static_cast<std::uint8_t>(pixel));
    }
  return rgb;
}

}  // namespace choana::reporting
