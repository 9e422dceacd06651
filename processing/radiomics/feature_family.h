#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/feature.h"

namespace choana::processing {

/// What a value measures, from which its UCUM unit follows.
enum class Quantity { none, length, area, volume, per_length, intensity, intensity_squared, intensity_squared_volume };

/// Listed: computed unless names are given. by_name: computed only when named. retired: PyRadiomics knows the name but gives no value.
enum class Availability { listed, by_name, retired };

/// One feature: name, code, quantity and formula in one row, so that they cannot drift apart. Rows stand in the order of
/// PyRadiomics: by name followed by "FeatureValue", so that MeanAbsoluteDeviation comes before Mean.
/// A formula that has no value for this region returns NaN.
template <typename Source>
struct FeatureRow {
  std::string_view name;
  std::string_view code;  // IBSI (four characters) or private (with an underscore)
  Quantity quantity = Quantity::none;
  double (*formula)(const Source&) = nullptr;
  Availability availability = Availability::listed;
};

/// A feature as the catalogue lists it, without its formula.
struct FeatureDescription {
  std::string_view family;
  std::string_view name;
  std::string_view code;
  std::string_view scheme;     // "IBSI" or "99CHOANA"
  std::string_view unit;       // UCUM, intensities without unit
  std::string_view raw_unit;   // UCUM with intensities as arbitrary units
  Availability availability = Availability::listed;
};

[[nodiscard]] FeatureDescription describe(std::string_view family, std::string_view name, std::string_view code, Quantity quantity,
                                          Availability availability);

/// A value of one feature, or why there is none; nothing when the name is retired.
struct NamedValue {
  std::string_view name;
  std::variant<double, NotComputed> value;
};

inline constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
/// PyRadiomics' guard in logarithms and denominators: numpy.spacing(1).
inline constexpr double epsilon = std::numeric_limits<double>::epsilon();

/// Rows to compute: all listed ones in order, or those named, in the order of the names.
template <typename Source>
[[nodiscard]] std::vector<const FeatureRow<Source>*> select_rows(std::span<const FeatureRow<Source>> rows, const std::vector<std::string>& names) {
  std::vector<const FeatureRow<Source>*> selected;
  if (names.empty()) {
    for (const auto& row : rows)
      if (row.availability == Availability::listed) selected.push_back(&row);
    return selected;
  }
  for (const std::string& name : names)
    for (const auto& row : rows)
      if (row.name == name && row.availability != Availability::retired) selected.push_back(&row);
  return selected;
}

/// Values of one source (a whole region).
template <typename Source>
[[nodiscard]] std::vector<NamedValue> evaluate(std::span<const FeatureRow<Source>> rows, const std::vector<std::string>& names, const Source& source,
                                               const NotComputed& why_not) {
  std::vector<NamedValue> values;
  for (const auto* row : select_rows(rows, names)) {
    const double value = row->formula(source);
    if (std::isfinite(value)) values.push_back({row->name, value});
    else values.push_back({row->name, why_not});
  }
  return values;
}

/// Values as the mean over directions; a direction without a value (NaN) is left out of the mean.
template <typename Source>
[[nodiscard]] std::vector<NamedValue> evaluate_mean(std::span<const FeatureRow<Source>> rows, const std::vector<std::string>& names,
                                                    const std::vector<Source>& directions, const NotComputed& why_not) {
  std::vector<NamedValue> values;
  for (const auto* row : select_rows(rows, names)) {
    double sum = 0;
    std::size_t count = 0;
    for (const Source& direction : directions) {
      const double value = row->formula(direction);
      if (std::isnan(value)) continue;
      sum += value;
      ++count;
    }
    const double mean = sum / static_cast<double>(count);
    if (count > 0 && std::isfinite(mean)) values.push_back({row->name, mean});
    else values.push_back({row->name, why_not});
  }
  return values;
}

template <typename Source>
[[nodiscard]] std::vector<FeatureDescription> describe_rows(std::string_view family, std::span<const FeatureRow<Source>> rows) {
  std::vector<FeatureDescription> descriptions;
  for (const auto& row : rows) descriptions.push_back(describe(family, row.name, row.code, row.quantity, row.availability));
  return descriptions;
}

}  // namespace choana::processing
