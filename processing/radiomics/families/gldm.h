#pragma once

#include <string>
#include <vector>

#include "processing/radiomics/feature_family.h"
#include "processing/radiomics/matrices/dependence.h"

namespace choana::processing {

/// Grey level dependence features (IBSI: neighbouring grey level dependence).
/// names empty: all that are listed.
[[nodiscard]] std::vector<NamedValue> gldm_features(const LevelSizeMatrix& dependences, const std::vector<std::string>& names);
[[nodiscard]] std::vector<FeatureDescription> describe_gldm();

}  // namespace choana::processing
