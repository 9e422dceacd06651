#pragma once

#include <string>
#include <vector>

#include "processing/radiomics/feature_family.h"
#include "processing/radiomics/matrices/neighbouring_tone_difference.h"

namespace choana::processing {

/// Neighbourhood grey tone difference features.
/// names empty: all that are listed.
[[nodiscard]] std::vector<NamedValue> ngtdm_features(const ToneDifferenceMatrix& matrix, const std::vector<std::string>& names);
[[nodiscard]] std::vector<FeatureDescription> describe_ngtdm();

}  // namespace choana::processing
