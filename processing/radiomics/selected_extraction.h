#pragma once

#include <cstddef>
#include <functional>
#include <set>
#include <vector>

#include "core/feature.h"
#include "core/result.h"
#include "core/task_pool.h"
#include "processing/radiomics/extraction_profile.h"
#include "processing/radiomics/image.h"

namespace choana::processing {

/// A profile that asks for the image types, scales and features of `wanted` alone. Everything that shapes values stays as it is.
[[nodiscard]] ExtractionProfile narrowed(const ExtractionProfile& profile, const std::set<FeatureId>& wanted);

/// Compute the wanted features of several regions on one image: of each the values that extract_features gives with the same profile. Regions whose
/// prepared image is the same (always without resampling and pre-cropping, otherwise when their boxes are equal) share filtered images.
/// region: the n-th label map, on the grid of `image`; called once for each, perhaps at the same time as others.
/// Filters that cut their input beyond the box of the region (LoG) may differ in the last bit of a float32 voxel where they are shared.
/// One result a region, in order. Errors of each: as extract_features.
[[nodiscard]] std::vector<Result<FeatureVector>> extract_selected(const ScalarVolume& image, std::size_t regions, const std::function<MaskVolume(std::size_t)>& region, int label,
                                                                  const ExtractionProfile& profile, const std::set<FeatureId>& wanted, TaskPool* pool = nullptr);

}  // namespace choana::processing
