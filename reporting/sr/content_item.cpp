#include "reporting/sr/content_item.h"

#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace choana::reporting {
namespace {

constexpr std::size_t ds_length_max = 16;

/// "1.5e-07" as "1.5e-7": every digit of the exponent costs one of the number.
std::string shorten_exponent(const std::string& text) {
  const std::size_t mark = text.find('e');
  if (mark == std::string::npos) return text;
  std::string result = text.substr(0, mark + 1);
  std::size_t digits = mark + 1;
  if (text[digits] == '-') result += '-';
  if (text[digits] == '-' || text[digits] == '+') ++digits;
  while (digits + 1 < text.size() && text[digits] == '0') ++digits;
  return result + text.substr(digits);
}

void append(std::string& out, const std::string& part) { out += std::to_string(part.size()) + ":" + part; }
void append(std::string& out, const CodedConcept& code) {
  append(out, code.value);
  append(out, code.scheme);
  append(out, code.meaning);
}
std::string exact(double number) {
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%a", number);
  return text.data();
}

void append(std::string& out, const ContentItem& item) {
  out += std::to_string(static_cast<int>(item.relation)) + "/" + std::to_string(item.value.index()) + "(";
  append(out, item.name);
  if (const auto* container = std::get_if<ContainerValue>(&item.value)) append(out, container->template_id);
  if (const auto* text = std::get_if<TextValue>(&item.value)) append(out, text->text);
  if (const auto* code = std::get_if<CodedConcept>(&item.value)) append(out, *code);
  if (const auto* uid = std::get_if<UidValue>(&item.value)) append(out, uid->uid);
  if (const auto* date = std::get_if<DateValue>(&item.value)) append(out, date->date);
  if (const auto* time = std::get_if<TimeValue>(&item.value)) append(out, time->time);
  if (const auto* number = std::get_if<NumberValue>(&item.value)) {
    append(out, exact(number->number));
    append(out, number->unit.code);
  }
  if (const auto* image = std::get_if<ImageValue>(&item.value)) {
    append(out, image->sop_class_uid);
    append(out, image->sop_instance_uid);
    append(out, std::to_string(image->frame_number) + "/" + std::to_string(image->segment_number));
  }
  if (const auto* line = std::get_if<PolylineValue>(&item.value))
    for (const auto& point : line->points) append(out, exact(point[0]) + "," + exact(point[1]));
  for (const ContentItem& child : item.children) append(out, child);
  out += ")";
}

}  // namespace

std::string decimal_string(double number) {
  if (number == 0) return "0";
  std::string best;
  double best_error = INFINITY;
  std::array<char, 400> text{};
  for (int digits = 1; digits <= 17; ++digits) {
    for (const char* format : {"%.*g", "%.*e", "%.*f"}) {
      std::snprintf(text.data(), text.size(), format, format[3] == 'e' ? digits - 1 : format[3] == 'f' ? 1 : digits, number);
      const std::string candidate = shorten_exponent(text.data());
      if (candidate.size() > ds_length_max) continue;
      // A whole number beyond 32 bits is written with a point or an exponent: Orthanc's DICOMweb reads bare digits as an
      // integer and wraps it, and a viewer behind it then shows another number.
      if (std::abs(number) > 2147483647.0 && candidate.find_first_of(".eE") == std::string::npos) continue;
      const double error = std::abs(std::strtod(candidate.c_str(), nullptr) - number);
      if (error < best_error || (error == best_error && candidate.size() < best.size())) {
        best = candidate;
        best_error = error;
      }
    }
  }
  return best;
}

std::string canonical_text(const ContentItem& item) {
  std::string out;
  append(out, item);
  return out;
}

}  // namespace choana::reporting
