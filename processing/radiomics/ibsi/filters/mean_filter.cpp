#include "processing/radiomics/ibsi/filters/filter_functions.h"
#include "processing/radiomics/ibsi/filters/separable_convolution.h"

namespace choana::processing::ibsi {

Status check(const MeanFilter& filter) {
  if (filter.support_voxels < 1 || filter.support_voxels > 2 * half_width_max_voxels || filter.support_voxels % 2 == 0)
    return fail(ErrorCode::invalid_settings, "filter_image", "support_voxels of a mean filter must be an odd number from 1 to 8191, but it is " + std::to_string(filter.support_voxels) + ".");
  return {};
}

std::string filter_name(const MeanFilter& filter) { return std::string("mean-") + (filter.by_slice ? "2D-" : "3D-") + std::to_string(filter.support_voxels); }

Result<std::vector<double>> respond(const MeanFilter& filter, const ScalarVolume& image, TaskPool* pool) {
  SeparablePass pass;
  const LineKernel box = centred_kernel(std::vector<double>(static_cast<std::size_t>(filter.support_voxels), 1.0 / filter.support_voxels));
  for (int axis = 0; axis < (filter.by_slice ? 2 : 3); ++axis) pass.kernels[axis] = box;
  return convolve(image.voxels, image.geometry.size(), {pass}, filter.boundary, pool);
}

}  // namespace choana::processing::ibsi
