#pragma once

#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "core/feature.h"

namespace choana::processing::ibsi {

/// UCUM: of intensities without unit (filtered, normalised), and of raw intensities in arbitrary units.
struct UnitPair {
  std::string_view unit = "1";
  std::string_view raw = "1";
};

namespace units {
inline constexpr UnitPair none{"1", "1"};
inline constexpr UnitPair length{"mm", "mm"};
inline constexpr UnitPair area{"mm2", "mm2"};
inline constexpr UnitPair volume{"mm3", "mm3"};
inline constexpr UnitPair per_length{"/mm", "/mm"};
inline constexpr UnitPair intensity{"1", "[arb'U]"};
inline constexpr UnitPair intensity_squared{"1", "[arb'U]2"};
inline constexpr UnitPair intensity_volume{"mm3", "[arb'U].mm3"};
}  // namespace units

/// One feature: the tag and the code that IBSI gives it, its unit and its formula in one row, so that they cannot drift apart. Rows stand in the
/// order of the reference manual. A formula without a value for this region returns NaN.
template <typename Source>
struct IbsiFeatureRow {
  std::string_view tag;
  std::string_view code;
  UnitPair unit;
  double (*formula)(const Source&) = nullptr;
};

/// A feature as the catalogue lists it.
struct IbsiFeatureDescription {
  std::string_view family;
  std::string_view tag;
  std::string_view code;
  UnitPair unit;
};

/// One value of a family, or why there is none.
struct TaggedValue {
  std::string_view tag;
  std::string_view code;
  UnitPair unit;
  std::variant<double, NotComputed> value;
};

inline constexpr double no_value = std::numeric_limits<double>::quiet_NaN();

/// Each row as the mean over the sources (slices, directions); a source without a value is left out of the mean.
template <typename Source>
[[nodiscard]] std::vector<TaggedValue> evaluate_rows(std::span<const IbsiFeatureRow<Source>> rows, const std::vector<Source>& sources, const NotComputed& why_not) {
  std::vector<TaggedValue> values;
  values.reserve(rows.size());
  for (const auto& row : rows) {
    double sum = 0;
    std::size_t count = 0;
    for (const Source& source : sources) {
      const double value = row.formula(source);
      if (std::isnan(value)) continue;
      sum += value;
      ++count;
    }
    const double mean = sum / static_cast<double>(count);
    if (count > 0 && std::isfinite(mean)) values.push_back({row.tag, row.code, row.unit, mean});
    else values.push_back({row.tag, row.code, row.unit, why_not});
  }
  return values;
}

template <typename Source>
void describe_rows(std::string_view family, std::span<const IbsiFeatureRow<Source>> rows, std::vector<IbsiFeatureDescription>& descriptions) {
  for (const auto& row : rows) descriptions.push_back({family, row.tag, row.code, row.unit});
}

}  // namespace choana::processing::ibsi
