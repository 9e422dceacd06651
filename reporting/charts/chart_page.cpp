#include "reporting/charts/chart_page.h"

#include <cairo.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <exception>
#include <optional>
#include <set>

#include "core/version.h"
#include "reporting/charts/canvas.h"
#include "reporting/charts/chart_texts.h"
#include "reporting/charts/slice_picture.h"

namespace choana::reporting {
namespace {

constexpr int page_width = 1280;
constexpr int page_height = 960;
constexpr double margin = 40;
constexpr double top = 98;              // viewers write above and below
constexpr double bottom = 862;
constexpr std::size_t series_max = 5;   // columns of pictures
constexpr std::size_t bars_max = 8;

constexpr Colour ground = rgb(0x0F141A);
constexpr Colour card = rgb(0x19212A);
constexpr Colour edge = rgb(0x2A3541);
constexpr Colour bright = rgb(0xF2F6F9);
constexpr Colour plain = rgb(0xD3DCE4);
constexpr Colour muted = rgb(0x93A3B2);
constexpr Colour amber = rgb(0xFFC24B);
constexpr Colour raising = rgb(0xFFB05C);   // luminance 0.53
constexpr Colour lowering = rgb(0x3E82C4);  // luminance 0.21
constexpr Colour good_green = rgb(0x6FD39A);

TextStyle style(double size, Colour colour, bool bold = false, Align align = Align::left) {
  TextStyle s;
  s.size = size;
  s.colour = colour;
  s.bold = bold;
  s.align = align;
  return s;
}

// Four significant digits, a true minus sign, no exponent where a person would not write one.
std::string number_text(double value, int digits = 4) {
  if (std::isnan(value)) return "–";
  if (std::isinf(value)) return value > 0 ? "∞" : "−∞";
  const double size = std::abs(value);
  char text[48];
  if (size != 0 && (size >= 1e6 || size < 1e-3)) {
    std::snprintf(text, sizeof text, "%.*e", 1, value);
  } else {
    const int whole = size < 1 ? 1 : static_cast<int>(std::floor(std::log10(size))) + 1;
    std::snprintf(text, sizeof text, "%.*f", std::clamp(digits - whole, 0, 4), value);
  }
  std::string out;
  for (const char* c = text; *c != '\0'; ++c) out += *c == '-' ? std::string("−") : std::string(1, *c);
  return out;
}

std::string fixed_text(double value, int decimals) {
  if (!std::isfinite(value) || std::abs(value) >= 1e7) return number_text(value);
  char text[48];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  std::string out = text[0] == '-' ? std::string("−") + (text + 1) : std::string(text);
  return out;
}

std::string signed_text(double value, int decimals) { return (value > 0 ? "+" : "") + fixed_text(value, decimals); }

// UCUM as a person writes it; arbitrary units say nothing beside a number.
std::string unit_text(const std::string& ucum) {
  static const std::pair<std::string_view, std::string_view> known[] = {
      {"1", ""}, {"[arb'U]", ""}, {"{counts}", ""}, {"mm2", "mm²"}, {"mm3", "mm³"}, {"cm3", "cm³"}, {"/mm", "mm⁻¹"}, {"mm-1", "mm⁻¹"}, {"um2/ms", "µm²/ms"}, {"10*-6.mm2/s", "10⁻⁶ mm²/s"}, {"mo", "months"}, {"a", "years"}};
  for (const auto& [code, text] : known)
    if (ucum == code) return std::string(text);
  return ucum;
}

std::string with_unit(const std::string& number, const std::string& ucum) {
  const std::string unit = unit_text(ucum);
  return unit.empty() ? number : number + " " + unit;
}

// A step of 1, 2 or 5 times a power of ten that divides the range into about four.
double even_step(double range) {
  const double raw = range / 4, power = std::pow(10.0, std::floor(std::log10(raw))), share = raw / power;
  return power * (share < 1.5 ? 1 : share < 3.5 ? 2 : share < 7.5 ? 5 : 10);
}

std::string date_text(const std::string& date) {
  const bool digits = date.size() == 8 && std::all_of(date.begin(), date.end(), [](char c) { return c >= '0' && c <= '9'; });
  return digits ? date.substr(0, 4) + "-" + date.substr(4, 2) + "-" + date.substr(6, 2) : date;
}

// "T1C log-sigma-2-0-mm-3D glcm Idn" as people write it: "T1C LoG 2.0 mm glcm Idn".
std::string with_plain_scale(std::string label) {
  constexpr std::string_view before = "log-sigma-", after = "-mm-3D";
  const auto at = label.find(before);
  const auto end = at == std::string::npos ? at : label.find(after, at);
  if (end == std::string::npos) return label;
  std::string sigma = label.substr(at + before.size(), end - at - before.size());
  if (sigma.find('e') == std::string::npos) std::replace(sigma.begin(), sigma.end(), '-', '.');
  return label.replace(at, end + after.size() - at, "LoG " + sigma + " mm");
}

// Feature names are long. What does not fit loses letters in an order that keeps it unique to a reader; the whole name is
// in the structured report.
std::string fitted_label(const Canvas& canvas, std::string label, const TextStyle& text, double width) {
  static const std::pair<std::string_view, std::string_view> shorter[] = {{" original ", " "},          {"GrayLevel", "GL"},
                                                                          {"Emphasis", "Emph."},        {"Normalized", "Norm."},  {"NonUniformity", "NonUnif."}, {"Dependence", "Dep."},
                                                                          {"Absolute", "Abs."},         {"Deviation", "Dev."},    {"Difference", "Diff."},    {"Informational", "Inf."},
                                                                          {"Variance", "Var."},         {"SmallArea", "SmArea"},  {"LargeArea", "LgArea"}};
  label = with_plain_scale(std::move(label));
  for (const auto& [from, to] : shorter) {
    if (canvas.text_width(label, text) <= width) break;
    if (const auto at = label.find(from); at != std::string::npos) label.replace(at, from.size(), to);
  }
  return label;
}

// One measured series as a page shows it.
struct ShownSeries {
  const MeasuredSeries* series = nullptr;
  std::size_t region = 0;                      // the region that chooses slice and crop
  const Measurement* measurement = nullptr;    // of that region; may be absent
};

class PageDrawer {
 public:
  PageDrawer(const StudyFindings& findings, const ChartSettings& settings)
      : findings_(findings), settings_(settings), t_(chart_texts(settings.language)), chinese_(settings.language.starts_with("zh")) {
    collect();
  }

  ChartPage prediction_page(const Prediction& prediction, std::size_t number);
  ChartPage reliability_page(const std::vector<const Prediction*>& outputs, std::size_t number);
  ChartPage measurement_page();
  [[nodiscard]] const ShownSeries* series_for_slices() const;
  ChartPage slices_page(const ShownSeries& shown);
  ChartPage habitats_page(const HabitatMap& map, std::size_t number);
  ChartPage not_analysed_page();

 private:
  void collect();
  [[nodiscard]] std::optional<double> feature(const Measurement* measurement, const char* family, const char* name) const;
  [[nodiscard]] std::optional<double> region_volume_ml(const std::string& roi) const;
  [[nodiscard]] const Measurement* region_measurement(const std::string& roi) const;
  void header(Canvas& canvas, const std::string& title, const std::string& subtitle, bool demonstration) const;
  void footer(Canvas& canvas, const Prediction* prediction, const std::string& note) const;
  void headline(Canvas& canvas, const Box& box, const Prediction& prediction) const;
  void gauge(Canvas& canvas, const Box& box, const Prediction& prediction) const;
  void explanation(Canvas& canvas, const Box& box, const Prediction& prediction) const;
  void survival(Canvas& canvas, const Box& box, const SurvivalCurve& curve) const;
  void robustness(Canvas& canvas, const Box& box, const std::vector<const Prediction*>& outputs) const;
  void applicability(Canvas& canvas, const Box& box, const Applicability& applicability) const;
  [[nodiscard]] std::string time_text(double time, const std::string& unit) const;
  void pictures(Canvas& canvas, const Box& box) const;
  void key_features(Canvas& canvas, const Box& box) const;
  void histogram(Canvas& canvas, const Box& box, const ShownSeries& shown) const;
  void legend(Canvas& canvas, double x, double y, double width) const;
  void picture(Canvas& canvas, const Box& box, const ShownSeries& shown, bool name_region = false) const;
  [[nodiscard]] ChartPage finish(const Canvas& canvas, std::string name, std::string title, std::string description) const;

  const StudyFindings& findings_;
  const ChartSettings& settings_;
  const ChartTexts& t_;
  bool chinese_;
  std::vector<ShownSeries> shown_;
  std::size_t left_out_ = 0;
  std::vector<std::string> regions_;           // all region names, the main one first
};

void PageDrawer::collect() {
  // The main region: that of the most measurements, the larger of equals.
  std::vector<std::pair<std::string, double>> volumes;
  for (const auto& series : findings_.measured)
    for (const auto& roi : series.rois) {
      const auto found = std::find_if(volumes.begin(), volumes.end(), [&](const auto& v) { return v.first == roi.name(); });
      if (found == volumes.end()) {
        volumes.emplace_back(roi.name(), roi.volume_ml());
      } else {
        found->second = std::max(found->second, roi.volume_ml());
      }
    }
  const auto times = [&](const std::string& roi) {
    return std::count_if(findings_.measurements.begin(), findings_.measurements.end(), [&](const Measurement& m) { return m.roi == roi; });
  };
  std::stable_sort(volumes.begin(), volumes.end(), [&](const auto& a, const auto& b) {
    const auto na = times(a.first), nb = times(b.first);
    return na != nb ? na > nb : a.second > b.second;
  });
  for (const auto& [name, volume] : volumes) regions_.push_back(name);
  for (const auto& series : findings_.measured) {
    if (series.rois.empty() || series.volume.empty()) continue;
    if (shown_.size() == series_max) {
      ++left_out_;
      continue;
    }
    ShownSeries shown;
    shown.series = &series;
    std::size_t best = regions_.size();
    for (std::size_t r = 0; r < series.rois.size(); ++r) {
      const auto rank = static_cast<std::size_t>(std::find(regions_.begin(), regions_.end(), series.rois[r].name()) - regions_.begin());
      if (rank < best) {
        best = rank;
        shown.region = r;
      }
    }
    for (const auto& m : findings_.measurements)
      if (m.role == series.role && m.roi == series.rois[shown.region].name() &&
          (m.series_instance_uid.empty() || m.series_instance_uid == series.volume.reference().series_instance_uid)) {
        shown.measurement = &m;
        break;
      }
    shown_.push_back(shown);
  }
}

std::optional<double> PageDrawer::feature(const Measurement* measurement, const char* family, const char* name) const {
  if (measurement == nullptr) return std::nullopt;
  return measurement->features.number(FeatureId{"original", family, name});
}

const Measurement* PageDrawer::region_measurement(const std::string& roi) const {
  for (const auto& m : findings_.measurements)
    if (m.roi == roi && feature(&m, "shape", "Maximum3DDiameter")) return &m;
  for (const auto& m : findings_.measurements)
    if (m.roi == roi) return &m;
  return nullptr;
}

// Of the voxels that were delineated, before any resampling: the number that the key slice and result.json give.
std::optional<double> PageDrawer::region_volume_ml(const std::string& roi) const {
  for (const auto& series : findings_.measured)
    for (const auto& region : series.rois)
      if (region.name() == roi) return region.volume_ml();
  return std::nullopt;
}

void PageDrawer::header(Canvas& canvas, const std::string& title, const std::string& subtitle, bool demonstration) const {
  const TextStyle strong = style(18, rgb(0x1A1300), true, Align::centre);
  double width = canvas.text_width(t_.research_only, strong);
  if (demonstration) width = std::max(width, canvas.text_width(t_.demonstration, strong));
  const Box banner{page_width - margin - width - 36, top, width + 36, 54};
  canvas.fill(banner, amber, 8);
  if (demonstration) {
    canvas.text(banner.x, banner.y + 4, banner.width, t_.research_only, strong);
    canvas.text(banner.x, banner.y + 28, banner.width, t_.demonstration, strong);
  } else {
    canvas.text(banner.x, banner.y + 16, banner.width, t_.research_only, strong);
  }
  const double room = banner.x - margin - 24;
  TextStyle large = style(27, bright, true);
  if (canvas.text_width(title, large) > room) large.size = 22;
  if (canvas.text_width(title, large) <= room) {
    canvas.text(margin, top - 4 + (27 - large.size) * 0.6, room, title, large);
    canvas.text(margin, top + 32, room, subtitle, style(18, muted));
  } else {  // two lines leave no room for what every such page says
    large.size = 20;
    large.lines = 2;
    canvas.text(margin, top + 1, room, title, large);
  }
}

void PageDrawer::footer(Canvas& canvas, const Prediction* prediction, const std::string& note) const {
  const double width = page_width - 2 * margin;
  double y = bottom - 52;
  canvas.line(margin, y - 8, page_width - margin, y - 8, edge, 1);
  std::string first, second;
  const std::string separator = "   ·   ";
  if (prediction != nullptr) {
    const std::string status = prediction->status == "demonstration" ? t_.status_demonstration
                               : prediction->status == "research"    ? t_.status_research
                               : prediction->status == "clinical"    ? t_.status_clinical
                                                                     : prediction->status;
    first = t_.model + " " + prediction->package + " " + prediction->version + (status.empty() ? "" : " (" + status + ")");
    if (!prediction->performance.empty()) first += separator + prediction->performance;
  } else {
    first = note;
  }
  second = "Choana " + (settings_.software_version.empty() ? std::string(version) : settings_.software_version);
  if (!settings_.settings_sha256.empty()) second += separator + t_.settings + " " + settings_.settings_sha256.substr(0, 16);
  if (!settings_.run_date.empty()) second += separator + t_.run + " " + date_text(settings_.run_date);
  if (left_out_ > 0) second += separator + fill_in(t_.more_series, "n", std::to_string(left_out_));
  canvas.text(margin, y, width, first, style(18, plain));
  canvas.text(margin, y + 26, width, second, style(18, muted));
}

void PageDrawer::gauge(Canvas& canvas, const Box& box, const Prediction& p) const {
  // A percentage is drawn on 0 to 100; any other unit on an even scale that holds all marks, if there is any to compare with.
  double low = 0, high = 100, step = 25;
  if (p.unit != "%") {
    if (!std::isfinite(p.value)) return;
    low = high = p.value;
    for (const auto& mark : {p.threshold, p.interval_low, p.interval_high})
      if (mark && std::isfinite(*mark)) {
        low = std::min(low, *mark);
        high = std::max(high, *mark);
      }
    if (!(high > low) || !std::isfinite(high - low)) return;
    const double room = 0.1 * (high - low);
    step = even_step(high - low + 2 * room);
    const bool positive = low >= 0;
    low = std::floor((low - room) / step) * step;
    high = std::ceil((high + room) / step) * step;
    if (positive) low = std::max(0.0, low);
  }
  if (!std::isfinite(low) || !std::isfinite(high) || !(high > low) || !(step > 0) || (high - low) / step > 20) return;
  const auto place = [&](double v) { return box.x + box.width * std::clamp((v - low) / (high - low), 0.0, 1.0); };
  const double y = box.y + 36, height = 18;
  const Box track{box.x, y, box.width, height};
  canvas.fill(track, rgb(0x2C3844), 5);
  if (p.threshold && std::isfinite(*p.threshold)) {
    const double x = place(*p.threshold);
    canvas.fill({x, y, track.right() - x, height}, rgb(0x48596A), 5);
  }
  if (p.interval_low && p.interval_high && std::isfinite(*p.interval_low) && std::isfinite(*p.interval_high)) {
    const double a = place(std::min(*p.interval_low, *p.interval_high)), b = place(std::max(*p.interval_low, *p.interval_high));
    canvas.fill({a, y + 5, std::max(2.0, b - a), height - 10}, rgb(0x8FD3FF), 4);
    canvas.line(a, y + 1, a, y + height - 1, rgb(0x8FD3FF), 2.5);
    canvas.line(b, y + 1, b, y + height - 1, rgb(0x8FD3FF), 2.5);
  }
  if (p.threshold && std::isfinite(*p.threshold)) {
    const double x = place(*p.threshold);
    canvas.line(x, y - 7, x, y + height + 7, amber, 3);
    const std::string text = t_.threshold + " " + with_unit(number_text(*p.threshold, 3), p.unit);
    const double width = std::min(box.width, canvas.text_width(text, style(18, amber)) + 2);
    canvas.text(std::clamp(x - width / 2, box.x, box.right() - width), y - 34, width, text, style(18, amber, false, Align::centre));
  }
  if (std::isfinite(p.value)) canvas.disc(place(p.value), y + height / 2, 11, bright, rgb(0x0B0F13), 3);
  const int ticks = static_cast<int>(std::lround((high - low) / step));
  for (int n = 0; n <= ticks; ++n) {
    const double v = low + step * n, x = place(v);
    canvas.line(x, y + height + 3, x, y + height + 8, muted, 1.5);
    const int decimals = std::clamp(static_cast<int>(-std::floor(std::log10(step) + 1e-9)), 0, 6);
    const std::string text = fixed_text(std::abs(v) < step * 1e-9 ? 0.0 : v, decimals);
    const double width = std::min(box.width / (ticks + 1), canvas.text_width(text, style(18, muted)) + 2);
    canvas.text(std::clamp(x - width / 2, box.x, box.right() - width), y + height + 9, width, text, style(18, muted, false, Align::centre));
  }
}

void PageDrawer::headline(Canvas& canvas, const Box& box, const Prediction& p) const {
  canvas.fill(box, card, 10);
  const double x = box.x + 22, width = box.width - 44;
  // A short name stands large on one line, a long one on two.
  TextStyle name = style(22, plain);
  if (canvas.text_width(p.output, name) > width) name.size = 19;
  const bool one_line = canvas.text_width(p.output, name) <= width;
  if (!one_line) name.lines = 2;
  canvas.text(x, box.y + (one_line ? 18 : 10), width, p.output, name);
  const std::string value = p.unit == "%" ? fixed_text(p.value, 1) : number_text(p.value);
  const TextStyle big = style(60, bright, true);
  const double value_width = std::min(canvas.text_width(value, big) + 2, width * 0.6);
  canvas.text(x, box.y + 46, value_width, value, big);
  const std::string unit = unit_text(p.unit);
  double used = value_width;
  if (!unit.empty()) {
    const double unit_width = std::min(canvas.text_width(unit, style(30, plain)) + 2, width * 0.25);
    canvas.text(x + used + 8, box.y + 75, unit_width, unit, style(30, plain));
    used += unit_width + 8;
  }
  // Group and interval stand beside the number.
  const double side = x + used + 24, room = box.right() - 22 - side;
  if (room > 80) {
    double y = box.y + 62;
    if (!p.group.empty()) {
      const Colour tone = p.risk == "high" ? rgb(0xFF9A70) : p.risk == "low" ? good_green : p.risk == "moderate" ? amber : rgb(0xBFE3FF);
      TextStyle text = style(20, rgb(0x10151B), true, Align::centre);
      if (canvas.text_width(p.group, text) + 28 > room) text.size = 18;
      const double chip = std::min(canvas.text_width(p.group, text) + 28, room);
      canvas.fill({side, y, chip, 32}, tone, 16);
      canvas.text(side + 10, y + (32 - 1.2 * text.size) / 2, chip - 20, p.group, text);
      y += 38;
    }
    if (p.interval_low && p.interval_high)
      canvas.text(side, y, room,
                  fill_in(fill_in(p.robustness ? t_.interval_robust : t_.interval, "low", number_text(*p.interval_low, 3)), "high", with_unit(number_text(*p.interval_high, 3), p.unit)), style(18, plain));
  }
  gauge(canvas, {x, box.y + 126, width, 90}, p);

  const double y = box.bottom() - 58;
  canvas.line(x, y, x + width, y, edge, 1);
  if (p.applicability.inside && p.applicability.flags.empty()) {
    canvas.disc(x + 13, y + 29, 12, good_green, good_green, 1);
    canvas.polyline({{x + 7, y + 29}, {x + 11.5, y + 34}, {x + 19.5, y + 24}}, rgb(0x10151B), 3);
    canvas.text(x + 36, y + 18, width - 36, t_.inside_training, style(18, plain));
  } else {
    canvas.polygon({{x + 13, y + 18}, {x + 27, y + 43}, {x - 1, y + 43}}, amber);
    canvas.line(x + 13, y + 26, x + 13, y + 35, rgb(0x10151B), 3);
    canvas.line(x + 13, y + 37.5, x + 13, y + 40.5, rgb(0x10151B), 3);
    std::string text = p.applicability.inside ? "" : t_.outside_training;
    if (!p.applicability.flags.empty()) {
      text += (text.empty() ? "" : ": ") + p.applicability.flags.front();
      if (p.applicability.flags.size() > 1) text += " " + fill_in(t_.more_flags, "n", std::to_string(p.applicability.flags.size() - 1));
    }
    TextStyle warning = style(18, amber);
    warning.lines = 2;
    canvas.text(x + 36, y + 7, width - 36, text, warning);
  }
}

void PageDrawer::explanation(Canvas& canvas, const Box& box, const Prediction& p) const {
  canvas.fill(box, card, 10);
  const double x = box.x + 22, width = box.width - 44;
  canvas.text(x, box.y + 12, width * 0.5, t_.explanation, style(20, bright, true));
  const Explanation& e = p.explanation;
  if (e.contributions.empty()) {
    canvas.text(x, box.y + 52, width, t_.no_explanation, style(18, muted));
    return;
  }
  // Legend: which side is which.
  // The margin of a Cox model is its log hazard: what raises it lowers the survival that the page shows.
  const bool hazard = p.survival_curve.has_value();
  const std::string space = e.space == "probability" ? t_.probability_space : !e.space.empty() && e.space != "margin" ? e.space : hazard ? t_.hazard_space : t_.margin_space;
  {
    double right = x + width;
    for (const auto& [colour, text] : {std::pair{raising, hazard ? t_.raises_risk : t_.raises}, std::pair{lowering, hazard ? t_.lowers_risk : t_.lowers}}) {
      const double w = canvas.text_width(text, style(18, plain)) + 2;
      canvas.text(right - w, box.y + 13, w, text, style(18, plain));
      canvas.fill({right - w - 22, box.y + 17, 14, 14}, colour, 2);
      right -= w + 40;
    }
  }
  std::vector<const Contribution*> order;
  for (const auto& c : e.contributions) order.push_back(&c);
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) { return std::abs(a->contribution) > std::abs(b->contribution); });
  struct Bar {
    std::string label, value;
    double share = 0;
    bool rest = false;
  };
  std::vector<Bar> bars;
  const std::size_t alone = order.size() == bars_max + 1 ? bars_max + 1 : std::min(order.size(), bars_max);
  for (std::size_t n = 0; n < alone; ++n) {
    const Contribution& c = *order[n];
    bars.push_back({c.label.empty() ? c.feature : c.label, with_unit(number_text(c.value), c.unit), c.contribution, false});
  }
  if (order.size() > alone) {
    double rest = 0;
    for (std::size_t n = alone; n < order.size(); ++n) rest += order[n]->contribution;
    bars.push_back({fill_in(t_.other_features, "n", std::to_string(order.size() - alone)), "", rest, true});
  }
  double largest = 0;
  for (const Bar& bar : bars)
    if (std::isfinite(bar.share)) largest = std::max(largest, std::abs(bar.share));
  const int decimals = largest >= 100 ? 0 : largest >= 10 ? 1 : largest == 0 || largest >= 0.1 ? 2 : 3;

  // Numbers take what they need, the bars at least a third, labels the rest. One scale for both sides of zero.
  double value_width = 40, number_width = 40, most_up = 0, most_down = 0;
  for (const Bar& bar : bars) {
    value_width = std::max(value_width, std::min(130.0, canvas.text_width(bar.value, style(18, muted)) + 2));
    number_width = std::max(number_width, std::min(130.0, canvas.text_width(signed_text(bar.share, decimals), style(18, plain)) + 2));
    if (!std::isfinite(bar.share)) continue;
    most_up = std::max(most_up, bar.share);
    most_down = std::max(most_down, -bar.share);
  }
  const double bars_width = 176, gap = 16;
  const double label_width = width - bars_width - value_width - number_width - 3 * gap, bars_x = x + label_width + value_width + 2 * gap;
  const double reach = std::max(1e-300, most_up + most_down), zero = bars_x + bars_width * (most_up + most_down > 0 ? most_down / reach : 0.5);
  const double first = box.y + 46, foot = box.bottom() - 40;
  const double row = std::min(30.0, (foot - first) / static_cast<double>(bars.size()));
  canvas.line(zero, first - 2, zero, first + row * static_cast<double>(bars.size()), muted, 1);
  for (std::size_t n = 0; n < bars.size(); ++n) {
    const Bar& bar = bars[n];
    const double y = first + row * static_cast<double>(n);
    TextStyle label = style(18, bar.rest ? muted : plain);
    label.shorten = Shorten::middle;
    canvas.text(x, y + row / 2 - 11, label_width, fitted_label(canvas, bar.label, label, label_width), label);
    if (!bar.value.empty()) canvas.text(x + label_width + gap, y + row / 2 - 11, value_width, bar.value, style(18, muted, false, Align::right));
    const double length = std::isfinite(bar.share) ? std::abs(bar.share) / reach * bars_width : 0;
    const Colour colour = bar.share >= 0 ? raising : lowering;
    canvas.fill({bar.share >= 0 ? zero : zero - length, y + 5, length, row - 10}, bar.rest ? Colour{colour.red, colour.green, colour.blue, 0.55} : colour, 3);
    canvas.text(x + width - number_width, y + row / 2 - 11, number_width, signed_text(bar.share, decimals), style(18, bar.rest ? muted : plain, false, Align::right));
  }
  canvas.line(x, foot, x + width, foot, edge, 1);
  const std::string sum = t_.base + " " + fixed_text(e.base, std::max(2, decimals)) + "   →   " + t_.output + " " + fixed_text(e.output, std::max(2, decimals)) + "   (" + space + ")";
  canvas.text(x, foot + 8, width, sum, style(18, plain));
}

void PageDrawer::picture(Canvas& canvas, const Box& box, const ShownSeries& shown, bool name_region) const {
  const SliceView view = draw_slice(canvas, box, *shown.series, shown.region, regions_);
  const TextStyle bold = style(name_region ? 18 : 20, bright, true);
  const std::string title = shown.series->role + (name_region ? " " + shown.series->rois[shown.region].name() : "");
  const double room_above = box.width - 50;
  canvas.fill({box.x, box.y, std::min(room_above, canvas.text_width(title, bold)) + 18, 30}, rgb(0x0B0F13, 0.75), 0);
  canvas.text(box.x + 9, box.y + 3, room_above, title, bold);
  const std::string slice = fill_in(fill_in(t_.slice, "k", std::to_string(view.k + 1)), "n", std::to_string(shown.series->volume.geometry().size()[2]));
  const std::string brief = std::to_string(view.k + 1) + "/" + std::to_string(shown.series->volume.geometry().size()[2]);
  TextStyle text = style(18, plain);
  text.halo = true;
  const double room = box.width - 96;
  canvas.text(box.x + 8, box.bottom() - 28, room, canvas.text_width(slice, text) <= room ? slice : brief, text);
}

void PageDrawer::pictures(Canvas& canvas, const Box& box) const {
  if (shown_.empty()) {
    canvas.fill(box, card, 10);
    canvas.text(box.x + 22, box.y + 20, box.width - 44, t_.nothing_measured, style(18, muted));
    return;
  }
  const std::size_t count = shown_.size();
  const std::size_t first_row = count <= 3 ? count : (count + 1) / 2, rows = count <= 3 ? 1 : 2;
  const double gap = 8, height = (box.height - gap * static_cast<double>(rows - 1)) / static_cast<double>(rows);
  std::size_t n = 0;
  for (std::size_t r = 0; r < rows; ++r) {
    const std::size_t here = r == 0 ? first_row : count - first_row;
    const double width = (box.width - gap * static_cast<double>(here - 1)) / static_cast<double>(here);
    for (std::size_t c = 0; c < here; ++c, ++n)
      picture(canvas, {box.x + static_cast<double>(c) * (width + gap), box.y + static_cast<double>(r) * (height + gap), width, height}, shown_[n]);
  }
}

void PageDrawer::legend(Canvas& canvas, double x, double y, double width) const {
  double at = x;
  for (std::size_t n = 0; n < regions_.size(); ++n) {
    std::string text = regions_[n];
    if (const auto volume = region_volume_ml(regions_[n])) text += "  " + number_text(*volume, 4) + " ml";
    const double w = std::min(canvas.text_width(text, style(18, plain)) + 2, 320.0);
    if (at + 40 + w > x + width || n == 5) {
      canvas.text(at, y, std::max(0.0, x + width - at), fill_in(t_.more_regions, "n", std::to_string(regions_.size() - n)), style(18, muted));
      return;
    }
    const RegionStyle s = region_style(n);
    canvas.outlines({{{at, y + 12}, {at + 28, y + 12}}}, {at, y, 29, 24}, s.colour, 3, s.dashed);
    TextStyle label = style(18, plain);
    label.shorten = Shorten::middle;
    canvas.text(at + 38, y, w, text, label);
    at += 38 + w + 28;
  }
}

void PageDrawer::key_features(Canvas& canvas, const Box& box) const {
  canvas.fill(box, card, 10);
  const double x = box.x + 20, width = box.width - 40;
  double y = box.y + 12;
  const double row = 28, gap = 12;
  // Columns as wide as their heads, names get the rest.
  const std::array<std::string, 3> heads{t_.volume, t_.diameter, t_.sphericity}, columns{t_.mean, t_.entropy, t_.skewness};
  std::array<double, 3> widths{}, rights{};
  double right = box.right() - 20;
  for (std::size_t c = 3; c-- > 0;) {
    widths[c] = std::clamp(std::max(canvas.text_width(heads[c], style(18, muted)), canvas.text_width(columns[c], style(18, muted))) + 2, 66.0, 120.0);
    rights[c] = right;
    right -= widths[c] + gap;
  }
  const double name_width = right - x;
  const auto head = [&](const std::array<std::string, 3>& texts, double at) {
    for (std::size_t c = 0; c < 3; ++c) canvas.text(rights[c] - widths[c], at, widths[c], texts[c], style(18, muted, false, Align::right));
  };
  const auto cells = [&](const std::array<std::optional<double>, 3>& values, const std::array<int, 3>& digits) {
    for (std::size_t c = 0; c < 3; ++c)
      canvas.text(rights[c] - widths[c], y, widths[c], values[c] ? number_text(*values[c], digits[c]) : t_.not_computed, style(18, values[c] ? bright : muted, false, Align::right));
  };
  // Regions.
  canvas.text(x, y, name_width, t_.regions, style(20, bright, true));
  head(heads, y + 2);
  y += 25;
  head({"ml", "mm", ""}, y);
  y += 24;
  const std::size_t series_rows = std::max<std::size_t>(1, shown_.size());
  const double series_height = 12 + 30 + row * static_cast<double>(series_rows);
  const auto room = static_cast<std::size_t>(std::max(1.0, std::floor((box.bottom() - 8 - series_height - y) / row)));
  const std::size_t shown_regions = std::min(regions_.size(), room);
  for (std::size_t n = 0; n < shown_regions; ++n) {
    if (n + 1 == shown_regions && regions_.size() > shown_regions && shown_regions > 1) {
      canvas.text(x, y, width, fill_in(t_.more_regions, "n", std::to_string(regions_.size() - n)), style(18, muted));
      y += row;
      break;
    }
    const RegionStyle s = region_style(n);
    canvas.fill({x, y + 6, 12, 12}, s.colour, 2);
    TextStyle label = style(18, plain);
    label.shorten = Shorten::middle;
    canvas.text(x + 20, y, name_width - 20, regions_[n], label);
    const Measurement* m = region_measurement(regions_[n]);
    cells({region_volume_ml(regions_[n]), feature(m, "shape", "Maximum3DDiameter"), feature(m, "shape", "Sphericity")}, {4, 3, 3});
    y += row;
  }
  // Series: the main region on each.
  y += 4;
  canvas.line(x, y, x + width, y, edge, 1);
  y += 8;
  canvas.text(x, y, name_width, t_.series, style(20, bright, true));
  head(columns, y + 2);
  y += 30;
  if (shown_.empty()) canvas.text(x, y, width, t_.nothing_measured, style(18, muted));
  for (const auto& shown : shown_) {
    TextStyle label = style(18, plain);
    label.shorten = Shorten::middle;
    canvas.text(x, y, name_width, shown.series->role, label);
    cells({feature(shown.measurement, "firstorder", "Mean"), feature(shown.measurement, "firstorder", "Entropy"), feature(shown.measurement, "firstorder", "Skewness")}, {4, 3, 3});
    y += row;
  }
  if (!shown_.empty() && y + 28 <= box.bottom()) {
    TextStyle note = style(18, muted);
    note.shorten = Shorten::middle;
    canvas.text(x, y + 2, width, fill_in(fill_in(t_.intensities_in, "role", shown_.front().series->role), "roi", regions_.front()), note);
    const double room_below = box.bottom() - 12 - (y + 34);
    if (room_below >= 56) histogram(canvas, {x, y + 34, width, std::min(room_below, 110.0)}, shown_.front());
  }
}

void PageDrawer::histogram(Canvas& canvas, const Box& box, const ShownSeries& shown) const {
  const auto& mask = shown.series->rois[shown.region].mask();
  const auto& voxels = shown.series->volume.voxels();
  std::vector<float> values;
  if (mask.size() == voxels.size())
    for (std::size_t n = 0; n < mask.size(); ++n)
      if (mask[n] != 0 && std::isfinite(voxels[n])) values.push_back(voxels[n]);
  if (values.empty()) return;
  std::sort(values.begin(), values.end());
  const auto percentile = [&](double p) { return static_cast<double>(values[static_cast<std::size_t>(p * static_cast<double>(values.size() - 1))]); };
  double low = percentile(0.005), high = percentile(0.995);
  if (!(high > low)) {
    low -= 0.5;
    high += 0.5;
  }
  constexpr std::size_t bins = 32;
  std::vector<std::size_t> counts(bins, 0);
  for (const float v : values) {
    const double place = (static_cast<double>(v) - low) / (high - low) * static_cast<double>(bins);
    if (place >= 0 && place <= static_cast<double>(bins)) ++counts[std::min(bins - 1, static_cast<std::size_t>(place))];
  }
  const std::size_t most = *std::max_element(counts.begin(), counts.end());
  const double plot = box.height - 26, bar = box.width / static_cast<double>(bins);
  for (std::size_t n = 0; n < bins; ++n) {
    const double height = most == 0 ? 0 : (plot - 4) * static_cast<double>(counts[n]) / static_cast<double>(most);
    canvas.fill({box.x + static_cast<double>(n) * bar, box.y + plot - height, bar - 1, height}, rgb(0x7FB4DC));
  }
  canvas.line(box.x, box.y + plot, box.right(), box.y + plot, muted, 1);
  const double median = box.x + box.width * std::clamp((percentile(0.5) - low) / (high - low), 0.0, 1.0);
  canvas.line(median, box.y, median, box.y + plot, amber, 2);
  canvas.text(box.x, box.y + plot + 3, box.width / 2, number_text(low, 3), style(18, muted));
  canvas.text(box.x + box.width / 2, box.y + plot + 3, box.width / 2, number_text(high, 3), style(18, muted, false, Align::right));
}

ChartPage PageDrawer::finish(const Canvas& canvas, std::string name, std::string title, std::string description) const {
  ChartPage page;
  page.name = std::move(name);
  page.title = std::move(title);
  page.description = std::move(description);
  page.width = page_width;
  page.height = page_height;
  page.rgb = canvas.good() ? canvas.pixels() : std::vector<std::uint8_t>{};
  if (!shown_.empty()) {
    const auto& reference = shown_.front().series->volume.reference();
    const int k = shown_.front().series->rois[shown_.front().region].largest_slice();
    if (static_cast<std::size_t>(k) < reference.slices.size()) page.slice = reference.slices[static_cast<std::size_t>(k)];
    page.source_series_uid = reference.series_instance_uid;
  }
  return page;
}

ChartPage PageDrawer::prediction_page(const Prediction& prediction, std::size_t number) {
  Canvas canvas(page_width, page_height, ground);
  header(canvas, prediction.title.empty() ? prediction.package : prediction.title, t_.prediction_subtitle, prediction.status == "demonstration");
  const double middle = 452, gap = 16;
  headline(canvas, {margin, 166, 592, middle - 166}, prediction);
  const double right = margin + 592 + gap, right_width = page_width - margin - right;
  pictures(canvas, {right, 166, right_width, middle - 166 - 32});
  legend(canvas, right, middle - 25, right_width);
  const double lower = middle + gap, lower_height = bottom - 68 - lower;
  explanation(canvas, {margin, lower, 708, lower_height}, prediction);
  key_features(canvas, {margin + 708 + gap, lower, page_width - 2 * margin - 708 - gap, lower_height});
  footer(canvas, &prediction, "");
  std::string name = "prediction";
  if (number > 0 || findings_.predictions.size() > 1) name += "-" + std::to_string(number + 1);
  ChartPage page = finish(canvas, name, prediction.title.empty() ? prediction.package : prediction.title,
                          "Predicted output with threshold and interval, contributions of features, outlines of the measured regions, key features");
  page.explains = prediction.endpoint;
  return page;
}

std::string PageDrawer::time_text(double time, const std::string& unit) const {
  char number[48];
  std::snprintf(number, sizeof number, "%.6g", time);
  if (chinese_) return number + std::string(unit == "month" ? " 个月" : unit == "day" ? " 天" : unit == "year" ? " 年" : unit.empty() ? "" : " " + unit);
  return number + (unit.empty() ? std::string() : " " + unit + (time == 1 ? "" : "s"));
}

// The survival function as steps, the asked times marked, their percentages in words above the plot.
void PageDrawer::survival(Canvas& canvas, const Box& box, const SurvivalCurve& curve) const {
  canvas.fill(box, card, 10);
  const double x = box.x + 22, width = box.width - 44;
  canvas.text(x, box.y + 12, width, t_.survival_title, style(20, bright, true));
  const std::size_t steps = std::min(curve.time.size(), curve.survival.size());
  // The function as it is defined: 1 before the first step, the last step held to the end of what was observed.
  const auto at = [&](double time) {
    double survival = 1;
    for (std::size_t n = 0; n < steps && curve.time[n] <= time; ++n) survival = curve.survival[n];
    return std::clamp(survival, 0.0, 1.0);
  };
  std::vector<double> horizons;
  for (const double horizon : curve.horizons)
    if (std::isfinite(horizon) && horizon > 0 && horizons.size() < 6) horizons.push_back(horizon);
  double last = 0;
  for (std::size_t n = 0; n < steps; ++n)
    if (std::isfinite(curve.time[n])) last = std::max(last, curve.time[n]);
  for (const double horizon : horizons) last = std::max(last, horizon);
  double y = box.y + 50;
  const double cell_width = width / 3;
  for (std::size_t n = 0; n < horizons.size(); ++n) {
    const double cx = x + cell_width * static_cast<double>(n % 3), cy = y + 32 * static_cast<double>(n / 3);
    canvas.disc(cx + 8, cy + 13, 6, bright, amber, 3);
    const std::string when = time_text(horizons[n], curve.time_unit);
    const std::string percent = fixed_text(100 * at(horizons[n]), 1) + " %";
    const double percent_width = canvas.text_width(percent, style(18, bright, true)) + 2, when_width = std::min(canvas.text_width(when, style(18, plain)) + 2, cell_width - 34 - percent_width);
    canvas.text(cx + 22, cy + 2, when_width, when, style(18, plain));
    canvas.text(cx + 30 + when_width, cy + 2, percent_width, percent, style(18, bright, true));
  }
  y += horizons.empty() ? 0 : 32 * static_cast<double>((horizons.size() + 2) / 3);
  if (!(last > 0) || !std::isfinite(last)) return;
  canvas.text(x, y + 4, width, t_.survival_axis, style(18, muted));
  const Box plot{x + 50, y + 38, width - 84, box.bottom() - 64 - (y + 38)};
  if (plot.height < 60) return;
  const double step = even_step(last), span = std::ceil(last / step - 1e-9) * step;
  const auto place_x = [&](double time) { return plot.x + plot.width * std::clamp(time / span, 0.0, 1.0); };
  const auto place_y = [&](double share) { return plot.bottom() - plot.height * std::clamp(share, 0.0, 1.0); };
  for (int percent = 0; percent <= 100; percent += 25) {
    const double py = place_y(percent / 100.0);
    canvas.line(plot.x, py, plot.right(), py, edge, 1);
    canvas.text(x, py - 12, 42, std::to_string(percent), style(18, muted, false, Align::right));
  }
  const int decimals = std::clamp(static_cast<int>(-std::floor(std::log10(step) + 1e-9)), 0, 6);
  const int ticks = static_cast<int>(std::lround(span / step));
  for (int n = 0; n <= ticks; ++n) {
    const double px = place_x(step * n), tick_width = std::min(plot.width / std::max(1, ticks), 88.0);
    canvas.line(px, plot.bottom(), px, plot.bottom() + 6, muted, 1.5);
    canvas.text(std::min(px - tick_width / 2, box.right() - 8 - tick_width), plot.bottom() + 8, tick_width, fixed_text(step * n, decimals), style(18, muted, false, Align::centre));
  }
  const std::string unit = chinese_ ? (curve.time_unit == "month" ? "月" : curve.time_unit == "day" ? "天" : curve.time_unit == "year" ? "年" : curve.time_unit) : curve.time_unit + (curve.time_unit.empty() ? "" : "s");
  canvas.text(plot.x, plot.bottom() + 32, plot.width, unit.empty() ? t_.time_axis_plain : fill_in(t_.time_axis, "unit", unit), style(18, muted, false, Align::centre));
  for (const double horizon : horizons)
    for (double py = place_y(at(horizon)); py < plot.bottom(); py += 10) canvas.line(place_x(horizon), py, place_x(horizon), std::min(py + 5, plot.bottom()), amber, 2);
  std::vector<std::array<double, 2>> line{{place_x(0), place_y(1)}};
  double level = 1;
  for (std::size_t n = 0; n < steps; ++n) {
    if (!std::isfinite(curve.time[n]) || !std::isfinite(curve.survival[n])) continue;
    line.push_back({place_x(curve.time[n]), place_y(level)});
    level = curve.survival[n];
    line.push_back({place_x(curve.time[n]), place_y(level)});
  }
  if (steps > 0) line.push_back({place_x(last), place_y(level)});
  canvas.polyline(line, rgb(0x8FD3FF), 3);
  for (const double horizon : horizons) canvas.disc(place_x(horizon), place_y(at(horizon)), 7, bright, amber, 3);
}

// One bar for each output: the interval, the value in it, both in numbers.
void PageDrawer::robustness(Canvas& canvas, const Box& box, const std::vector<const Prediction*>& outputs) const {
  constexpr std::size_t outputs_max = 4;
  const double x = box.x + 22, width = box.width - 44;
  std::vector<const Prediction*> shown;
  for (const Prediction* p : outputs)
    if (p->robustness && shown.size() < outputs_max) shown.push_back(p);
  const Robustness& how = *shown.front()->robustness;
  const auto listed = [&](const std::vector<std::string>& names, std::size_t most) {
    std::string text;
    for (std::size_t n = 0; n < std::min(most, names.size()); ++n) text += (n > 0 ? (chinese_ ? "、" : ", ") : "") + names[n];
    if (names.size() > most) text += (chinese_ ? "，" : ", ") + fill_in(t_.more_features, "n", std::to_string(names.size() - most));
    return text;
  };
  canvas.fill(box, card, 10);
  canvas.text(x, box.y + 12, width, t_.if_redrawn, style(20, bright, true));
  double y = box.y + 48;
  for (const Prediction* p : shown) {
    if (y + 68 > box.bottom()) break;
    const bool ranged = p->interval_low && p->interval_high && std::isfinite(*p->interval_low) && std::isfinite(*p->interval_high) && std::isfinite(p->value);
    const std::string number = with_unit(fixed_text(p->value, p->decimals), p->unit) + (ranged ? "  (" + fixed_text(*p->interval_low, p->decimals) + " – " + fixed_text(*p->interval_high, p->decimals) + ")" : "");
    const double number_width = std::min(canvas.text_width(number, style(18, bright, true)) + 2, 0.62 * width);
    TextStyle name = style(18, plain);
    name.shorten = Shorten::middle;
    canvas.text(x, y, width - number_width - 12, p->output, name);
    canvas.text(x + width - number_width, y, number_width, number, style(18, bright, true, Align::right));
    y += 32;
    if (ranged) {
      double low = 0, high = 100;
      if (p->unit != "%") {
        const double room = std::max({std::abs(*p->interval_high - *p->interval_low), 1e-3 * std::abs(p->value), 1e-12});
        low = *p->interval_low - room;
        high = *p->interval_high + room;
      }
      const auto place = [&](double v) { return x + 10 + (width - 20) * std::clamp((v - low) / (high - low), 0.0, 1.0); };
      canvas.fill({x, y + 4, width, 14}, rgb(0x2C3844), 5);
      const double a = place(*p->interval_low), b = place(*p->interval_high);
      canvas.fill({a, y + 7, std::max(2.0, b - a), 8}, rgb(0x8FD3FF), 3);
      canvas.line(a, y + 2, a, y + 20, rgb(0x8FD3FF), 2.5);
      canvas.line(b, y + 2, b, y + 20, rgb(0x8FD3FF), 2.5);
      if (p->threshold && std::isfinite(*p->threshold) && *p->threshold > low && *p->threshold < high) canvas.line(place(*p->threshold), y - 2, place(*p->threshold), y + 24, amber, 3);
      canvas.disc(place(p->value), y + 11, 8, bright, rgb(0x0B0F13), 2);
    }
    y += 34;
  }
  TextStyle words = style(18, plain);
  const auto number = [](double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.3g", value);
    return std::string(text);
  };
  std::string note = fill_in(fill_in(t_.redrawn_note, "used", std::to_string(how.used)), "count", std::to_string(how.count));
  note = fill_in(fill_in(fill_in(note, "mm", number(how.translation_mm)), "deg", number(how.rotation_deg)), "edge", number(how.boundary_mm));
  note = fill_in(note, "share", number(100 * how.coverage));
  words.colour = muted;
  words.lines = 5;
  if (y + 60 < box.bottom()) y += canvas.text(x, y, width, note, words) + 10;
  std::vector<std::string> names;
  for (const std::string& name : how.moved) names.push_back(with_plain_scale(name));
  std::string moved = how.moved.empty() ? t_.none_moved : t_.moved_features + (chinese_ ? "" : " ") + listed(names, 8);
  words.colour = how.moved.empty() ? plain : amber;
  const auto lines_left = [&] { return static_cast<int>((box.bottom() - 12 - y) / 23); };
  words.lines = std::clamp(lines_left(), 0, how.kept.empty() ? 9 : 7);
  if (words.lines > 0) y += canvas.text(x, y, width, moved, words) + 8;
  words.colour = muted;
  words.lines = std::clamp(lines_left(), 0, 2);
  if (!how.kept.empty() && words.lines > 0) canvas.text(x, y, width, t_.kept_features + (chinese_ ? "" : " ") + listed(how.kept, 3), words);
}

void PageDrawer::applicability(Canvas& canvas, const Box& box, const Applicability& applicability) const {
  canvas.fill(box, card, 10);
  const double x = box.x + 22, width = box.width - 44;
  canvas.text(x, box.y + 12, width, t_.applicability_title, style(20, bright, true));
  double y = box.y + 48;
  TextStyle words = style(18, applicability.inside ? plain : amber);
  words.lines = 2;
  y += canvas.text(x, y, width, !applicability.inside ? t_.outside_training : applicability.flags.empty() ? t_.inside_training : t_.inside_with_flags, words) + 8;
  for (std::size_t n = 0; n < applicability.flags.size(); ++n) {
    TextStyle flag = style(18, plain);
    const bool last = n + 1 == applicability.flags.size();
    flag.lines = std::clamp(static_cast<int>((box.bottom() - (last ? 8 : 34) - y) / 23), 0, 4);
    if (flag.lines < (last ? 1 : 2)) {
      canvas.text(x, y, width, fill_in(t_.more_flags, "n", std::to_string(applicability.flags.size() - n)), style(18, muted));
      break;
    }
    canvas.disc(x + 5, y + 12, 4, amber, amber, 1);
    y += canvas.text(x + 20, y, width - 20, applicability.flags[n], flag) + 6;
  }
}

// What a single page of a prediction has no room for: the survival curve, what perturbed regions gave, every flag.
ChartPage PageDrawer::reliability_page(const std::vector<const Prediction*>& outputs, std::size_t number) {
  const Prediction& first = *outputs.front();
  Canvas canvas(page_width, page_height, ground);
  const std::string title = first.title.empty() ? first.package : first.title;
  header(canvas, title, t_.reliability_subtitle, first.status == "demonstration");
  const Prediction *with_curve = nullptr, *with_interval = nullptr;
  for (const Prediction* p : outputs) {
    if (with_curve == nullptr && p->survival_curve) with_curve = p;
    if (with_interval == nullptr && p->robustness) with_interval = p;
  }
  const double y = 166, height = bottom - 68 - y, gap = 16, all = page_width - 2 * margin, left = 680;
  const double right = margin + left + gap, right_width = all - left - gap;
  if (with_curve != nullptr) {
    // Flags under the curve, where a sentence has room; the bars beside them.
    const double width = with_interval != nullptr ? left : all;
    const double flags = first.applicability.flags.empty() ? 86 : std::min(266.0, 112.0 + 62.0 * static_cast<double>(first.applicability.flags.size()));
    survival(canvas, {margin, y, width, height - flags - gap}, *with_curve->survival_curve);
    applicability(canvas, {margin, y + height - flags, width, flags}, first.applicability);
    if (with_interval != nullptr) robustness(canvas, {right, y, right_width, height}, outputs);
  } else if (with_interval != nullptr) {
    const double needed = first.applicability.flags.size() > 4 || outputs.size() > 2 ? height : 470;
    robustness(canvas, {margin, y, left, needed}, outputs);
    applicability(canvas, {right, y, right_width, needed}, first.applicability);
  } else {
    applicability(canvas, {margin, y, all, std::min(height, 100.0 + 60.0 * static_cast<double>(first.applicability.flags.size()))}, first.applicability);
  }
  footer(canvas, &first, "");
  ChartPage page = finish(canvas, "reliability" + (number == 0 ? std::string() : "-" + std::to_string(number + 1)), title,
                          "Predicted survival curve, interval of the prediction under perturbed regions, features that moved, likeness to the training data");
  return page;
}

// The features that people know, in the order of a report: size and shape, then intensity, then texture.
struct KeyFeature {
  std::string label;
  const char *family, *name;
  double scale;
  int digits;
};

ChartPage PageDrawer::measurement_page() {
  Canvas canvas(page_width, page_height, ground);
  header(canvas, t_.measurement_title, t_.measurement_subtitle, false);
  const std::vector<KeyFeature> rows{{t_.volume + " (ml)", "shape", "VoxelVolume", 1e-3, 4}, {t_.diameter + " (mm)", "shape", "Maximum3DDiameter", 1, 3},
                                     {t_.surface + " (cm²)", "shape", "SurfaceArea", 1e-2, 3}, {t_.sphericity, "shape", "Sphericity", 1, 3},
                                     {t_.mean, "firstorder", "Mean", 1, 4}, {t_.p10, "firstorder", "10Percentile", 1, 4},
                                     {t_.p90, "firstorder", "90Percentile", 1, 4}, {t_.skewness, "firstorder", "Skewness", 1, 3},
                                     {t_.entropy, "firstorder", "Entropy", 1, 3}, {t_.contrast, "glcm", "Contrast", 1, 4}};
  const std::size_t first_intensity = 4;
  // Every region of every series if they fit, else the main region of each series.
  std::vector<ShownSeries> columns;
  std::size_t pairs = 0;
  for (const auto& shown : shown_) pairs += shown.series->rois.size();
  const bool by_region = pairs > shown_.size() && pairs <= series_max;
  for (const auto& shown : shown_) {
    columns.push_back(shown);
    if (!by_region) continue;
    for (std::size_t r = 0; r < shown.series->rois.size(); ++r) {
      if (r == shown.region) continue;
      ShownSeries other{shown.series, r, nullptr};
      for (const auto& m : findings_.measurements)
        if (m.role == shown.series->role && m.roi == shown.series->rois[r].name()) other.measurement = &m;
      columns.push_back(other);
    }
  }
  const double y = 170;
  const auto cell = [&](double right, double cy, double room, const ShownSeries& column, const KeyFeature& row) {
    const auto value = feature(column.measurement, row.family, row.name);
    canvas.text(right - room, cy, room, value ? number_text(*value * row.scale, row.digits) : t_.not_computed, style(18, value ? bright : muted, false, Align::right));
  };
  if (columns.empty()) {
    canvas.fill({margin, y, page_width - 2 * margin, 120}, card, 10);
    canvas.text(margin + 24, y + 46, page_width - 2 * margin - 48, t_.nothing_measured, style(22, plain));
  } else if (columns.size() == 1) {
    // One series fills the page: the picture on the left, its numbers on the right.
    const double picture_width = 620, right = margin + picture_width + 24, right_width = page_width - margin - right;
    picture(canvas, {margin, y, picture_width, 586}, columns[0]);
    legend(canvas, margin, y + 594, picture_width);
    canvas.fill({right, y, right_width, 186}, card, 10);
    TextStyle heading = style(18, plain);
    heading.shorten = Shorten::middle;
    canvas.text(right + 20, y + 10, right_width - 40, t_.histogram_of + " " + fill_in(t_.in_region, "roi", regions_.front()), heading);
    histogram(canvas, {right + 20, y + 42, right_width - 40, 134}, columns[0]);
    const double table_y = y + 202, row = 40;
    canvas.fill({right, table_y, right_width, 12 + row * static_cast<double>(rows.size())}, card, 10);
    for (std::size_t n = 0; n < rows.size(); ++n) {
      const double ry = table_y + 6 + row * static_cast<double>(n);
      if (n > 0) canvas.line(right + 20, ry, right + right_width - 20, ry, n == first_intensity ? rgb(0x4A5A6A) : edge, 1);
      canvas.text(right + 20, ry + 8, right_width - 200, rows[n].label, style(18, plain));
      cell(right + right_width - 20, ry + 8, 180, columns[0], rows[n]);
    }
  } else {
    const double label_width = 214, x = margin + label_width, gap = 26, count = static_cast<double>(columns.size());
    const double width = std::min(480.0, (page_width - margin - x - gap * (count - 1)) / count);
    const double picture_height = 214, histogram_y = y + picture_height + 12, histogram_height = 96, table_y = histogram_y + histogram_height + 12, row = 27;
    canvas.fill({margin, table_y - 2, page_width - 2 * margin, row * static_cast<double>(rows.size()) + 6}, card, 10);
    for (std::size_t n = 0; n < rows.size(); ++n) {
      const double ry = table_y + 2 + row * static_cast<double>(n);
      if (n == first_intensity) canvas.line(margin + 16, ry - 1, page_width - margin - 16, ry - 1, rgb(0x4A5A6A), 1);
      canvas.text(margin + 16, ry + 1, label_width - 20, rows[n].label, style(18, plain));
    }
    canvas.text(margin, histogram_y + 12, label_width - 20, t_.histogram_of, style(18, plain));
    if (!by_region) {
      TextStyle in_region = style(18, muted);
      in_region.shorten = Shorten::middle;
      canvas.text(margin, histogram_y + 36, label_width - 20, fill_in(t_.in_region, "roi", regions_.front()), in_region);
    }
    for (std::size_t c = 0; c < columns.size(); ++c) {
      const double cx = x + static_cast<double>(c) * (width + gap);
      picture(canvas, {cx, y, width, picture_height}, columns[c], by_region);
      histogram(canvas, {cx, histogram_y, width, histogram_height}, columns[c]);
      for (std::size_t n = 0; n < rows.size(); ++n) cell(cx + width / 2 + 42, table_y + 3 + row * static_cast<double>(n), width / 2 + 42, columns[c], rows[n]);
    }
    double ly = y + 2;
    canvas.text(margin, ly, label_width - 16, t_.regions, style(20, bright, true));
    ly += 32;
    for (std::size_t n = 0; n < regions_.size(); ++n) {
      if (n == 3 && regions_.size() > 4) {
        canvas.text(margin, ly, label_width - 16, fill_in(t_.more_regions, "n", std::to_string(regions_.size() - n)), style(18, muted));
        break;
      }
      const RegionStyle s = region_style(n);
      canvas.outlines({{{margin, ly + 12}, {margin + 26, ly + 12}}}, {margin, ly, 27, 24}, s.colour, 3, s.dashed);
      TextStyle label = style(18, plain);
      label.shorten = Shorten::middle;
      canvas.text(margin + 34, ly, label_width - 50, regions_[n], label);
      if (const auto volume = region_volume_ml(regions_[n])) canvas.text(margin + 34, ly + 22, label_width - 50, number_text(*volume, 4) + " ml", style(18, muted));
      ly += 48;
    }
  }
  footer(canvas, nullptr, t_.values_note);
  return finish(canvas, "measurements", t_.measurement_title, "Outlines of the measured regions, intensity histograms and key radiomic features of each series");
}

const ShownSeries* PageDrawer::series_for_slices() const {
  // Where a reader knows the tumour best: enhanced T1, then T2, then whatever there is.
  for (const std::string_view wanted : {"T1C", "T2", ""})
    for (const auto& shown : shown_)
      if (shown.series->role.starts_with(wanted)) return &shown;
  return nullptr;
}

ChartPage PageDrawer::slices_page(const ShownSeries& shown) {
  constexpr std::size_t across = 4, down = 3;
  Canvas canvas(page_width, page_height, ground);
  const auto all = region_slices(*shown.series, 100000), some = region_slices(*shown.series, across * down);
  std::string subtitle = fill_in(t_.slices_subtitle, "n", std::to_string(some.size()));
  subtitle = fill_in(fill_in(subtitle, "all", std::to_string(all.size())), "from", some.empty() ? "" : std::to_string(some.front() + 1));
  subtitle = fill_in(fill_in(subtitle, "to", some.empty() ? "" : std::to_string(some.back() + 1)), "role", shown.series->role);
  header(canvas, t_.slices_title, subtitle, false);
  const double gap = 8, first = 166, last = bottom - 68 - 32;
  const std::size_t columns = some.size() <= 2 ? std::max<std::size_t>(1, some.size()) : some.size() <= 6 ? 3 : across;
  const std::size_t rows = std::max<std::size_t>(1, (some.size() + columns - 1) / columns);
  const double width = (page_width - 2 * margin - gap * static_cast<double>(columns - 1)) / static_cast<double>(columns);
  const double height = (last - first - gap * static_cast<double>(rows - 1)) / static_cast<double>(rows);
  std::vector<Box> frames;
  for (std::size_t n = 0; n < some.size(); ++n)
    frames.push_back({margin + static_cast<double>(n % columns) * (width + gap), first + static_cast<double>(n / columns) * (height + gap), width, height});
  draw_slices(canvas, frames, some, *shown.series, regions_);
  for (std::size_t n = 0; n < some.size(); ++n) {
    TextStyle text = style(18, bright, true);
    text.halo = true;
    canvas.text(frames[n].x + 8, frames[n].y + 4, width - 60, std::to_string(some[n] + 1), text);
  }
  legend(canvas, margin, last + 7, page_width - 2 * margin);
  footer(canvas, nullptr, t_.slices_note);
  const std::string region = shown.series->rois[shown.region].name();
  ChartPage page = finish(canvas, "slices", t_.slices_title, "Slices of one series with the outlines of all measured regions");
  const auto& reference = shown.series->volume.reference();
  const auto k = static_cast<std::size_t>(shown.series->rois[shown.region].largest_slice());
  page.slice = k < reference.slices.size() ? reference.slices[k] : SliceReference{};
  page.source_series_uid = reference.series_instance_uid;
  page.roi = region;
  return page;
}

// The colours of the segments in SEG-HAB, from dark to light.
Colour habitat_colour(int number) {
  static const Colour colours[] = {rgb(0x4A3FD6), rgb(0x2C8FC9), rgb(0x3DAA5C), rgb(0xE8BE34), rgb(0xF2662F), rgb(0xD79BF0), rgb(0xA82F5A), rgb(0x9CEFD9), rgb(0xF4F0B0)};
  return colours[static_cast<std::size_t>(std::max(1, number) - 1) % std::size(colours)];
}

ChartPage PageDrawer::habitats_page(const HabitatMap& map, std::size_t number) {
  const MeasuredSeries& series = findings_.measured[map.measured];
  const RegionOfInterest& region = series.rois[map.roi];
  Canvas canvas(page_width, page_height, ground);
  const std::string title = chinese_ ? "生境：" + series.role + "，" + region.name() : "Habitats of " + region.name() + " on " + series.role;
  header(canvas, title, chinese_ ? std::to_string(map.habitats.size()) + " 个生境" : std::to_string(map.habitats.size()) + (map.habitats.size() == 1 ? " habitat" : " habitats"), false);

  // Slices on the left, with the habitats over them; the grey picture itself stands on the other pages.
  MeasuredSeries alone{series.role, series.volume, {region}};
  const auto some = region_slices(alone, 6);
  const double first = 166, last = bottom - 68, gap = 8, pictures_width = 780;
  const std::size_t columns = some.size() <= 2 ? std::max<std::size_t>(1, some.size()) : some.size() <= 4 ? 2 : 3, rows = std::max<std::size_t>(1, (some.size() + columns - 1) / columns);
  const double width = (pictures_width - gap * static_cast<double>(columns - 1)) / static_cast<double>(columns), height = (last - first - gap * static_cast<double>(rows - 1)) / static_cast<double>(rows);
  std::vector<Box> frames;
  for (std::size_t n = 0; n < some.size(); ++n)
    frames.push_back({margin + static_cast<double>(n % columns) * (width + gap), first + static_cast<double>(n / columns) * (height + gap), width, height});
  const auto views = draw_slices(canvas, frames, some, alone, {region.name()});
  const Index3& size = series.volume.geometry().size();
  const auto area = static_cast<std::size_t>(size[0]) * static_cast<std::size_t>(size[1]);
  std::vector<Colour> colours;
  for (int h = 1; h <= 9; ++h) {
    colours.push_back(habitat_colour(h));
    colours.back().alpha = 0.72;
  }
  for (const SliceView& view : views) {
    std::vector<std::uint8_t> labels(area, 0);
    for (const Habitat& habitat : map.habitats)
      for (std::size_t n = 0; n < area; ++n)
        if (habitat.region.mask()[static_cast<std::size_t>(view.k) * area + n] != 0) labels[n] = static_cast<std::uint8_t>(habitat.number);
    canvas.label_image(labels, size[0], size[1], colours, view.image, view.frame);
    TextStyle text = style(18, bright, true);
    text.halo = true;
    canvas.text(view.frame.x + 8, view.frame.y + 4, width - 60, std::to_string(view.k + 1), text);
  }

  // The table: colour, number, volume, share, mean of each feature.
  const double left = margin + pictures_width + 24, card_width = page_width - margin - left;
  const std::size_t shown_features = map.habitats.empty() ? 0 : std::min<std::size_t>(map.habitats.front().means.size(), 2);
  const double row = 34;
  double y = first;
  canvas.fill({left, y, card_width, 46 + row * static_cast<double>(map.habitats.size())}, card, 10);
  const double columns_width = (card_width - 76) / static_cast<double>(2 + shown_features);
  const auto cell = [&](std::size_t column, double at, const std::string& text, Colour colour) {
    canvas.text(left + 64 + columns_width * static_cast<double>(column), at, columns_width - 6, text, style(18, colour, false, Align::right));
  };
  cell(0, y + 10, "ml", muted);
  cell(1, y + 10, "%", muted);
  for (std::size_t f = 0; f < shown_features; ++f) cell(2 + f, y + 10, map.habitats.front().means[f].first, muted);
  y += 40;
  for (const Habitat& habitat : map.habitats) {
    canvas.fill({left + 16, y + 4, 22, 20}, habitat_colour(habitat.number), 4);
    canvas.text(left + 46, y + 3, 30, std::to_string(habitat.number), style(18, bright, true));
    cell(0, y + 3, fixed_text(habitat.region.volume_ml(), 2), plain);
    cell(1, y + 3, fixed_text(100 * habitat.fraction, 1), plain);
    for (std::size_t f = 0; f < shown_features && f < habitat.means.size(); ++f) cell(2 + f, y + 3, number_text(habitat.means[f].second, 3), plain);
    y += row;
  }
  y += 22;
  TextStyle words = style(18, plain);
  words.lines = 9;
  y += canvas.text(left, y, card_width, map.method + ".", words) + 18;
  // The criterion over k, the chosen one filled: how clear the choice was.
  if (map.criterion.size() > 1 && y + 150 < last) {
    double low = map.criterion.front().second, high = low;
    int chosen = map.criterion.front().first;
    for (const auto& [k, bic] : map.criterion) {
      if (bic < low) {
        low = bic;
        chosen = k;
      }
      high = std::max(high, bic);
    }
    const double plot = std::min(150.0, last - y - 60), base = y + plot + 26, spacing = card_width / static_cast<double>(map.criterion.size());
    canvas.text(left, y, card_width, chinese_ ? "BIC（越低越好）" : "BIC by number of habitats (lower is better)", style(18, muted));
    std::vector<std::array<double, 2>> curve;
    for (std::size_t n = 0; n < map.criterion.size(); ++n)
      curve.push_back({left + spacing * (static_cast<double>(n) + 0.5), base - (high > low ? (map.criterion[n].second - low) / (high - low) : 0.0) * (plot - 10) - 4});
    canvas.polyline(curve, muted, 2);
    for (std::size_t n = 0; n < curve.size(); ++n) {
      const bool best = map.criterion[n].first == chosen;
      canvas.disc(curve[n][0], curve[n][1], best ? 7 : 5, best ? amber : card, best ? amber : muted, 2);
      canvas.text(curve[n][0] - 20, base + 8, 40, std::to_string(map.criterion[n].first), style(18, best ? bright : muted, best, Align::centre));
    }
  }
  footer(canvas, nullptr, chinese_ ? "生境编号仅在本方案内有意义；在每位患者自身的体素中得出。" : "Numbers mean something only within this scheme; the habitats were found in this patient's own voxels.");
  ChartPage page = finish(canvas, "habitats" + (number == 0 ? "" : "-" + std::to_string(number + 1)), title, "Slices of one series with the habitats found in a region, their volumes, fractions and mean intensities");
  const auto& reference = series.volume.reference();
  const auto k = static_cast<std::size_t>(region.largest_slice());
  page.slice = k < reference.slices.size() ? reference.slices[k] : SliceReference{};
  page.source_series_uid = reference.series_instance_uid;
  page.roi = region.name();
  return page;
}

ChartPage PageDrawer::not_analysed_page() {
  Canvas canvas(page_width, page_height, ground);
  header(canvas, t_.not_analysed, t_.measurement_title, false);
  const Box box{margin, 180, page_width - 2 * margin, 300};
  canvas.fill(box, card, 10);
  TextStyle message = style(26, bright);
  message.lines = 5;
  canvas.text(box.x + 30, box.y + 30, box.width - 60, findings_.reason.message, message);
  canvas.text(box.x + 30, box.bottom() - 48, box.width - 60, std::string(to_string(findings_.reason.code)), style(18, muted));
  footer(canvas, nullptr, "");
  return finish(canvas, "not-analysed", t_.not_analysed, "Why the study was not analysed");
}

cairo_status_t write_bytes(void* closure, const unsigned char* data, unsigned int length) {
  return std::fwrite(data, 1, length, static_cast<std::FILE*>(closure)) == length ? CAIRO_STATUS_SUCCESS : CAIRO_STATUS_WRITE_ERROR;
}

}  // namespace

Result<std::vector<ChartPage>> draw_chart_pages(const StudyFindings& findings, const ChartSettings& settings) {
  std::vector<ChartPage> pages;
  try {
    PageDrawer drawer(findings, settings);
    if (findings.outcome != Outcome::reported) {
      pages.push_back(drawer.not_analysed_page());
    } else {
      for (std::size_t n = 0; n < findings.predictions.size(); ++n) pages.push_back(drawer.prediction_page(findings.predictions[n], n));
      std::size_t number = 0;
      for (std::size_t n = 0; n < findings.predictions.size();) {
        // The outputs of one model stand together.
        std::vector<const Prediction*> outputs;
        bool wanted = false;
        const Prediction& model = findings.predictions[n];
        for (; n < findings.predictions.size() && findings.predictions[n].package == model.package && findings.predictions[n].version == model.version; ++n) {
          const Prediction& output = findings.predictions[n];
          outputs.push_back(&output);
          wanted = wanted || output.survival_curve || output.robustness || output.applicability.flags.size() > 1;
        }
        if (wanted) pages.push_back(drawer.reliability_page(outputs, number++));
      }
      pages.push_back(drawer.measurement_page());
      if (const ShownSeries* shown = drawer.series_for_slices()) pages.push_back(drawer.slices_page(*shown));
      for (std::size_t n = 0; n < findings.habitats.size(); ++n) pages.push_back(drawer.habitats_page(findings.habitats[n], n));
    }
  } catch (const std::exception& error) {
    return fail(ErrorCode::internal, "draw_charts", std::string("The chart pages could not be drawn: ") + error.what());
  }
  for (const auto& page : pages)
    if (page.rgb.empty()) return fail(ErrorCode::internal, "draw_charts", "The drawing library could not draw the page '" + page.name + "'.");
  return pages;
}

Status write_png(const ChartPage& page, const std::filesystem::path& file) {
  if (page.width <= 0 || page.height <= 0 || page.rgb.size() != static_cast<std::size_t>(page.width) * static_cast<std::size_t>(page.height) * 3)
    return fail(ErrorCode::invalid_argument, "write_png", "The page '" + page.name + "' holds no picture.");
  cairo_surface_t* surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, page.width, page.height);
  if (cairo_surface_status(surface) != CAIRO_STATUS_SUCCESS) {
    cairo_surface_destroy(surface);
    return fail(ErrorCode::out_of_memory, "write_png", "There is not enough memory for the page '" + page.name + "'.");
  }
  unsigned char* data = cairo_image_surface_get_data(surface);
  const auto stride = static_cast<std::size_t>(cairo_image_surface_get_stride(surface));
  const auto width = static_cast<std::size_t>(page.width);
  for (std::size_t y = 0; y < static_cast<std::size_t>(page.height); ++y)
    for (std::size_t x = 0; x < width; ++x) {
      const std::uint8_t* from = page.rgb.data() + 3 * (y * width + x);
      const std::uint32_t pixel = static_cast<std::uint32_t>(from[0]) << 16 | static_cast<std::uint32_t>(from[1]) << 8 | from[2];
      std::copy_n(reinterpret_cast<const unsigned char*>(&pixel), 4, data + y * stride + 4 * x);
    }
  cairo_surface_mark_dirty(surface);
  std::FILE* out = std::fopen(file.c_str(), "wb");
  cairo_status_t status = out == nullptr ? CAIRO_STATUS_WRITE_ERROR : cairo_surface_write_to_png_stream(surface, write_bytes, out);
  if (out != nullptr && std::fclose(out) != 0) status = CAIRO_STATUS_WRITE_ERROR;
  cairo_surface_destroy(surface);
  if (status != CAIRO_STATUS_SUCCESS) return fail(ErrorCode::io_error, "write_png", "Cannot write " + file.string() + ".");
  return {};
}

}  // namespace choana::reporting
