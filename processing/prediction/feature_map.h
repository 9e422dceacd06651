#pragma once

#include <string_view>
#include <variant>
#include <vector>

#include "core/result.h"
#include "processing/harmonisation/combat.h"

namespace choana::processing {

/// y = (x - shift) / scale in double, input by input: what standard (mean, standard deviation), mean_range (mean, maximum - minimum), min_max
/// (minimum, maximum - minimum) and robust (median, interquartile range) scaling are. A missing value stays missing.
struct AffineMap {
  std::vector<double> shift;
  std::vector<double> scale;  // above 0
  bool clip = false;          // to 0 to 1 afterwards
};

/// A missing value becomes the one given for its input; all others stay as they are.
struct Imputation {
  std::vector<double> values;
};

/// A stage that maps each of its inputs to one value of the same name.
using FeatureMap = std::variant<AffineMap, Imputation, CombatParameters>;

/// Map one row. row: one value an input, NaN = missing. site, covariates: of ComBat only (`apply_combat`).
/// Errors: as `apply_combat`; the others have none.
[[nodiscard]] Result<std::vector<double>> apply_map(const FeatureMap& map, const std::vector<double>& row, std::string_view site, const std::vector<double>& covariates);

}  // namespace choana::processing
