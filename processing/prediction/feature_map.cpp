#include "processing/prediction/feature_map.h"

#include <algorithm>
#include <cmath>

namespace choana::processing {

Result<std::vector<double>> apply_map(const FeatureMap& map, const std::vector<double>& row, std::string_view site, const std::vector<double>& covariates) {
  if (const auto* combat = std::get_if<CombatParameters>(&map)) return apply_combat(*combat, site, row, covariates);
  std::vector<double> mapped = row;
  if (const auto* affine = std::get_if<AffineMap>(&map)) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      mapped[i] = (row[i] - affine->shift[i]) / affine->scale[i];
      if (affine->clip && !std::isnan(mapped[i])) mapped[i] = std::clamp(mapped[i], 0.0, 1.0);
    }
  } else {
    const std::vector<double>& values = std::get<Imputation>(map).values;
    for (std::size_t i = 0; i < row.size(); ++i)
      if (std::isnan(row[i])) mapped[i] = values[i];
  }
  return mapped;
}

}  // namespace choana::processing
