#pragma once

#include <string_view>
#include <vector>

#include "processing/radiomics/feature_family.h"

namespace choana::processing {

/// Every feature that can be computed: families in the order shape, shape2D, firstorder, glcm, gldm, glrlm, glszm, ngtdm,
/// features by name within. Codes: IBSI reference manual and PS3.16 CID 7466 ff., private ones under 99CHOANA.
[[nodiscard]] const std::vector<FeatureDescription>& feature_catalogue();

/// nullptr when there is no such feature.
[[nodiscard]] const FeatureDescription* find_feature(std::string_view family, std::string_view name);

/// The names of the families, as parameter files write them.
[[nodiscard]] const std::vector<std::string_view>& family_names();

}  // namespace choana::processing
