#pragma once

#include <string>
#include <vector>

#include "processing/radiomics/feature_family.h"
#include "processing/radiomics/matrices/size_zone.h"

namespace choana::processing {

/// Grey level size zone features.
/// names empty: all that are listed.
[[nodiscard]] std::vector<NamedValue> glszm_features(const LevelSizeMatrix& zones, const std::vector<std::string>& names);
[[nodiscard]] std::vector<FeatureDescription> describe_glszm();

}  // namespace choana::processing
