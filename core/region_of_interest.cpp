#include "core/region_of_interest.h"

#include <algorithm>
#include <utility>

namespace choana {

std::string_view to_string(RoiOrigin::Kind kind) {
  switch (kind) {
    case RoiOrigin::Kind::structure_set: return "RTSTRUCT";
    case RoiOrigin::Kind::segmentation: return "SEG";
    case RoiOrigin::Kind::mask_image: return "mask image";
  }
  return "mask image";
}

Result<RegionOfInterest> RegionOfInterest::make(std::string name, VolumeGeometry geometry, std::vector<std::uint8_t> mask,
                                                RoiOrigin origin, CodedConcept finding) {
  if (mask.size() != geometry.voxel_count())
    return fail(ErrorCode::invalid_argument, "region_of_interest", "The mask is not on the grid of its series.");
  const auto voxels = static_cast<std::size_t>(std::count_if(mask.begin(), mask.end(), [](std::uint8_t v) { return v != 0; }));
  if (voxels == 0) return fail(ErrorCode::roi_empty, "region_of_interest", "The region '" + name + "' holds no voxel of the series.");
  RegionOfInterest roi;
  roi.name_ = std::move(name);
  roi.geometry_ = std::move(geometry);
  roi.mask_ = std::make_shared<const std::vector<std::uint8_t>>(std::move(mask));
  roi.origin_ = std::move(origin);
  roi.finding_ = std::move(finding);
  roi.voxels_ = voxels;
  return roi;
}

double RegionOfInterest::volume_ml() const { return static_cast<double>(voxels_) * geometry_.voxel_volume_mm3() / 1000.0; }

int RegionOfInterest::largest_slice() const {
  const auto slice_size = static_cast<std::ptrdiff_t>(geometry_.size()[0]) * geometry_.size()[1];
  int best = 0;
  std::ptrdiff_t most = -1;
  for (int k = 0; k < geometry_.size()[2]; ++k) {
    const auto first = mask_->begin() + k * slice_size;
    const auto count = std::count_if(first, first + slice_size, [](std::uint8_t v) { return v != 0; });
    if (count > most) {
      most = count;
      best = k;
    }
  }
  return best;
}

}  // namespace choana
