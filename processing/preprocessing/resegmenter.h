#pragma once

#include <string>
#include <vector>

#include "core/result.h"
#include "processing/radiomics/extraction_profile.h"
#include "processing/radiomics/image.h"

namespace choana::processing {

/// Keep the voxels of the region whose intensity lies in a range. thresholds: one (from there up) or two (closed range, any
/// order). relative: times the maximum of the region; sigma: mean + threshold x population standard deviation.
/// Returns a mask in which `label` alone remains.
/// Errors: roi_too_small (at most one voxel is left), invalid_argument (number of thresholds, sizes).
[[nodiscard]] Result<MaskVolume> resegment(const ScalarVolume& image, const MaskVolume& mask, int label, const std::vector<double>& thresholds,
                                           ResegmentMode mode);

}  // namespace choana::processing
