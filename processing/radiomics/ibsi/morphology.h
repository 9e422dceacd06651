#pragma once

#include <span>
#include <vector>

#include "core/task_pool.h"
#include "processing/radiomics/ibsi/ibsi_feature_row.h"
#include "processing/radiomics/ibsi/measured_region.h"

namespace choana::processing::ibsi {

/// Morphological features (IBSI HCUG), 25: mesh, axes and densities of the morphological mask; centre of mass shift, integrated intensity and spatial
/// autocorrelation also see the intensities. The oriented bounding box and the enclosing ellipsoid have no reference values in the manual
/// ("should not be used") and are left out.
[[nodiscard]] std::vector<TaggedValue> morphological_features(const MeasuredRegion& region, TaskPool* pool);

void describe_morphological_features(std::vector<IbsiFeatureDescription>& descriptions);

}  // namespace choana::processing::ibsi
