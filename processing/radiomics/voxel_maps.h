#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "core/feature.h"
#include "core/result.h"
#include "core/task_pool.h"
#include "processing/radiomics/extraction_profile.h"
#include "processing/radiomics/feature_extractor.h"
#include "processing/radiomics/image.h"

namespace choana::processing {

/// One feature at every voxel of a region: the feature of the kernel around that voxel.
struct VoxelMap {
  FeatureId id;                       // printed "wavelet-LLH_glcm_Id", as PyRadiomics names the map
  ScalarVolume volume;                // float64; initValue outside the region, NaN where the feature has no value
  std::size_t voxels_without_value = 0;  // NaN voxels of the region
};

/// Takes maps one at a time, in PyRadiomics' order; what it does not keep is freed before the next is made. A Status with an error ends the extraction.
using VoxelMapSink = std::function<Status(VoxelMap&&)>;

/// Told the share done, 0 to 1, now and then, from the calling thread.
using ShareDone = std::function<void(double)>;

/// What is known besides the maps.
struct VoxelMapSummary {
  std::vector<Diagnostic> diagnostics;         // those of an extraction of the whole region
  std::vector<std::string> notes;
  std::vector<MissingImage> missing_images;    // images that were asked for and cannot be had
  std::vector<LevelCount> levels;
  VolumeGeometry geometry;                     // of every map: the box of the region enlarged by the kernel radius, within the image
  std::size_t voxels = 0;                      // of the region: kernels evaluated an image
  std::size_t maps = 0;                        // given to the sink
};

/// Bounds of one extraction.
struct VoxelMapLimits {
  /// Values of one image are kept for as many features at a time as fit here; if fewer fit, kernels are evaluated again.
  std::size_t values_bytes_max = std::size_t{1} << 30;
};

/// Feature maps as PyRadiomics 3.0.1 makes them with execute(..., voxelBased=True): the region is prepared as for whole-region features; grey
/// levels are those of the whole region (maskedKernel) or of the whole box (not masked); each feature of each intensity and texture class is computed
/// in the cube of kernelRadius around each voxel of the region (a square with force2D). Shape has no maps. Kernels run as tasks of `pool`, with the
/// same bits at any number of threads.
/// PyRadiomics' habits that show: a voxel alone in its kernel has no GLCM and GLRLM values (NaN); glcm_JointAverage is NaN where one direction has no
/// pair, and glcm_MCC keeps initValue for every voxel of a batch (voxelBatch, default all) in which that happens (a note says so).
/// Errors: those of prepare_region and of the filters; limit_exceeded (kernel or grey levels too large), invalid_argument, what the sink returns.
[[nodiscard]] Result<VoxelMapSummary> extract_voxel_maps(const ScalarVolume& image, const MaskVolume& mask, int label, const ExtractionProfile& profile,
                                                         const VoxelMapSink& sink, TaskPool* pool = nullptr, const ShareDone& progress = {},
                                                         const VoxelMapLimits& limits = {});

}  // namespace choana::processing
