#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/feature.h"
#include "core/result.h"
#include "core/task_pool.h"
#include "processing/radiomics/extraction_profile.h"
#include "processing/radiomics/families/shape.h"
#include "processing/radiomics/filters/image_filter.h"

namespace choana::processing {

/// The number of grey levels that textures of one image saw.
struct LevelCount {
  std::string image;
  int highest = 0;   // Ng: highest level present
  int present = 0;   // levels that occur
};

/// What one derived image gave in one region.
struct ImageMeasurement {
  std::vector<FeatureValue> values;   // families in the order asked for, features in PyRadiomics' order
  std::optional<LevelCount> levels;   // nothing when the region could not be discretised
  std::vector<std::string> notes;
};

/// Intensity and texture features of one image in one region; `shape` and `shape2D` among the families are left to `measure_shape`.
/// region: the voxels measured, in `box` (indices of the prepared image), which lies within the derived image.
/// Families run as tasks of `pool`; nothing is shared between calls. A feature without a value stands as NotComputed.
/// Errors: invalid_profile (a family that does not exist).
[[nodiscard]] Result<ImageMeasurement> measure_image(const DerivedImage& image, const RegionBox& region, const VoxelBox& box, const ExtractionSettings& settings,
                                                     const std::vector<FamilyRequest>& families, TaskPool* pool = nullptr);

/// Shape features of a region (`original_shape_*`, `original_shape2D_*`) in the order of the families asked for.
/// region: the voxels of the morphological mask in the box that is measured.
[[nodiscard]] ImageMeasurement measure_shape(const RegionBox& region, const ExtractionSettings& settings, const std::vector<FamilyRequest>& families);

}  // namespace choana::processing
