#include <algorithm>
#include <cmath>
#include <new>

#include "processing/prediction/readers/foreign_json_internal.h"
#include "processing/prediction/readers/table.h"

namespace choana::processing {
namespace {

using nlohmann::json;

// Builds the document while it counts: a few bytes of binary JSON can claim 2^63 values, or nest without end.
class BoundedBuilder {
 public:
  BoundedBuilder(json& document, std::size_t bytes) : builder_(document, false), values_max_(std::min(values_max, bytes)) {}

  bool null() { return count() && builder_.null(); }
  bool boolean(bool v) { return count() && builder_.boolean(v); }
  bool number_integer(json::number_integer_t v) { return count() && builder_.number_integer(v); }
  bool number_unsigned(json::number_unsigned_t v) { return count() && builder_.number_unsigned(v); }
  bool number_float(json::number_float_t v, const std::string& s) { return count() && builder_.number_float(v, s); }
  bool string(std::string& v) { return count() && builder_.string(v); }
  bool binary(json::binary_t&) { return false; }
  bool key(std::string& v) { return count() && builder_.key(v); }
  bool start_object(std::size_t) { return deeper() && builder_.start_object(unknown_size); }
  bool start_array(std::size_t) { return deeper() && builder_.start_array(unknown_size); }
  bool end_object() { return --depth_, builder_.end_object(); }
  bool end_array() { return --depth_, builder_.end_array(); }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& error) {
    // The library quotes the input; only its own words are kept.
    trouble_ = "is not valid JSON: " + std::string(error.what()).substr(0, 120);
    return false;
  }

  [[nodiscard]] const std::string& trouble() const { return trouble_; }

 private:
  static constexpr std::size_t unknown_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t values_max = 32'000'000;
  static constexpr int depth_max = 256;  // CatBoost nests its trees

  bool count() {
    if (++values_ > values_max_) trouble_ = "holds more than " + std::to_string(values_max_) + " values";
    return values_ <= values_max_;
  }
  bool deeper() {
    if (++depth_ > depth_max) trouble_ = "is nested deeper than " + std::to_string(depth_max) + " levels";
    return depth_ <= depth_max && count();
  }

  nlohmann::detail::json_sax_dom_parser<json> builder_;
  std::size_t values_max_;  // no model writes values that take no byte
  std::size_t values_ = 0;
  int depth_ = 0;
  std::string trouble_;
};

}  // namespace

json parse_foreign(std::string_view bytes, bool binary) {
  json document;
  BoundedBuilder builder(document, bytes.size());
  const bool complete = json::sax_parse(bytes.begin(), bytes.end(), &builder, binary ? json::input_format_t::ubjson : json::input_format_t::json);
  if (!complete) throw ReaderRefusal(builder.trouble().empty() ? "is not valid JSON" : builder.trouble());
  return document;
}

std::vector<double> number_list(const json& array, const std::string& what) {
  if (!array.is_array()) throw ReaderRefusal("has no list of numbers as " + what);
  std::vector<double> numbers;
  numbers.reserve(array.size());
  for (const json& item : array) {
    if (!item.is_number() && !item.is_null()) throw ReaderRefusal("has something else than numbers in " + what);
    numbers.push_back(item.is_null() ? std::nan("") : item.get<double>());
  }
  return numbers;
}

std::vector<int> integer_list(const json& array, const std::string& what) {
  if (!array.is_array()) throw ReaderRefusal("has no list of whole numbers as " + what);
  std::vector<int> numbers;
  numbers.reserve(array.size());
  for (const json& item : array) {
    const double number = item.is_boolean() ? (item.get<bool>() ? 1 : 0) : item.is_number() ? item.get<double>() : std::nan("");
    if (!(std::abs(number) <= 2147483647.0) || number != std::floor(number)) throw ReaderRefusal("has something else than whole numbers in " + what);
    numbers.push_back(static_cast<int>(number));
  }
  return numbers;
}

double number_of(const json& value, const std::string& what) {
  if (value.is_number()) return value.get<double>();
  if (value.is_boolean()) return value.get<bool>() ? 1 : 0;
  if (value.is_string())
    if (const auto number = parse_number(value.get_ref<const std::string&>())) return *number;
  throw ReaderRefusal("has no number as " + what);
}

Result<Learner> read_foreign(const std::string& name, const std::string& library, const std::function<Learner()>& reader) {
  const auto refuse = [&](const std::string& what) {
    return fail(ErrorCode::invalid_package, "read_model", name + " " + what + (what.ends_with('.') ? "" : "."));
  };
  try {
    return reader();
  } catch (const ReaderRefusal& refusal) {
    return refuse(refusal.what());
  } catch (const nlohmann::json::exception& error) {
    return refuse("is not a complete " + library + " model: " + std::string(error.what()).substr(0, 160));
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::limit_exceeded, "read_model", name + " needs more memory than there is.");
  }
}

}  // namespace choana::processing
