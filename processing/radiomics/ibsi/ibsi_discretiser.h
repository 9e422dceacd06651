#pragma once

#include <optional>
#include <span>

#include "core/result.h"
#include "processing/preprocessing/discretiser.h"
#include "processing/radiomics/ibsi/ibsi_profile.h"

namespace choana::processing::ibsi {

/// Grey levels by IBSI's rules. Fixed bin number: floor(N (x - min) / (max - min)) + 1, the maximum in bin N (IBSI K15C). Fixed bin size:
/// floor((x - origin) / width) + 1 from `origin`, else from the minimum (IBSI Q3RU). None: intensities are whole numbers from 1.
/// `highest` is the number of levels that features know: N, or the highest level present.
/// Errors: degenerate_input (no values, one not finite; none: values that are no grey levels), limit_exceeded (more than 100,000 levels).
[[nodiscard]] Result<Discretisation> discretise(std::span<const double> values, const DiscretisationSettings& settings, std::optional<double> origin);

}  // namespace choana::processing::ibsi
