#pragma once

#include <string>
#include <vector>

#include "processing/radiomics/feature_family.h"
#include "processing/radiomics/matrices/cooccurrence.h"

namespace choana::processing {

/// Grey level co-occurrence features: the mean over directions (one matrix when they were joined).
/// names empty: all that are listed.
[[nodiscard]] std::vector<NamedValue> glcm_features(const std::vector<CooccurrenceMatrix>& directions, const std::vector<std::string>& names);
[[nodiscard]] std::vector<FeatureDescription> describe_glcm();

}  // namespace choana::processing
