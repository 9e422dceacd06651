#pragma once

#include <string>
#include <vector>

#include "processing/radiomics/feature_family.h"
#include "processing/radiomics/matrices/run_length.h"

namespace choana::processing {

/// Grey level run length features: the mean over directions (one matrix when they were joined).
/// names empty: all that are listed.
[[nodiscard]] std::vector<NamedValue> glrlm_features(const std::vector<LevelSizeMatrix>& directions, const std::vector<std::string>& names);
[[nodiscard]] std::vector<FeatureDescription> describe_glrlm();

}  // namespace choana::processing
