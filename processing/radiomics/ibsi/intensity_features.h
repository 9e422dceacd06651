#pragma once

#include <span>
#include <vector>

#include "core/task_pool.h"
#include "processing/preprocessing/discretiser.h"
#include "processing/radiomics/ibsi/ibsi_feature_row.h"
#include "processing/radiomics/ibsi/ibsi_profile.h"
#include "processing/radiomics/ibsi/measured_region.h"

namespace choana::processing::ibsi {

/// Intensity-based statistics (IBSI UHIW), 18: of the intensity mask, without discretisation.
[[nodiscard]] std::vector<TaggedValue> intensity_statistics(std::span<const double> intensities);

/// Intensity histogram features (IBSI ZVCW), 23: of the grey levels. Levels 1 .. highest all count as bins, empty ones, too.
[[nodiscard]] std::vector<TaggedValue> intensity_histogram(const Discretisation& discretisation);

/// Intensity-volume histogram features (IBSI P88C), 6. Without discretisation intensities stand on a grid of whole units; fixed bin size works with bin
/// centres, fixed bin number with the bin numbers. range: of the resegmentation; an open end is the minimum or maximum of the region.
[[nodiscard]] std::vector<TaggedValue> intensity_volume_histogram(std::span<const double> intensities, const DiscretisationSettings& settings,
                                                                  const ResegmentationSettings& range);

/// Local and global intensity peak (IBSI 9ST6): means over the voxels of the image, inside the region or not, whose centres lie within a
/// sphere of 1 cm3 about a voxel of the intensity mask. box: where the region lies in the image.
[[nodiscard]] std::vector<TaggedValue> local_intensity(const ScalarVolume& image, const VoxelBox& box, const MeasuredRegion& region, TaskPool* pool);

void describe_intensity_features(std::vector<IbsiFeatureDescription>& descriptions);

}  // namespace choana::processing::ibsi
