#pragma once

#include <string>
#include <vector>

#include "core/task_pool.h"
#include "processing/preprocessing/discretiser.h"
#include "processing/radiomics/ibsi/ibsi_feature_row.h"
#include "processing/radiomics/ibsi/ibsi_profile.h"
#include "processing/radiomics/ibsi/measured_region.h"

namespace choana::processing::ibsi {

/// The values of one texture family under one aggregation.
struct TextureValues {
  std::string family;
  std::string aggregation;
  std::vector<TaggedValue> values;
};

/// Texture features of a discretised region: each family of the settings under each aggregation that applies to it.
/// GLCM (IBSI LFYI) 25, GLRLM (TP0I) 16, GLSZM (9SAK) 16, GLDZM (VMDZ) 16, NGTDM (IPET) 5, NGLDM (REK0) 17. A slice or direction without a value is left
/// out of a mean.
[[nodiscard]] std::vector<TextureValues> texture_features(const MeasuredRegion& region, const Discretisation& discretisation, const IbsiProfile& profile, TaskPool* pool);

/// The same with a reason in place of every value.
[[nodiscard]] std::vector<TextureValues> no_texture_features(const IbsiProfile& profile, const NotComputed& why);

void describe_texture_features(std::vector<IbsiFeatureDescription>& descriptions);

}  // namespace choana::processing::ibsi
