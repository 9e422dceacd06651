#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "processing/radiomics/image.h"

namespace choana::processing {

/// Where a label lies in a mask. A scan of the whole mask costs as much as a feature class: it is made once and handed on.
struct LabelExtent {
  VoxelBox box;              // the smallest around its voxels; empty when there are none
  std::size_t voxels = 0;
};
[[nodiscard]] LabelExtent find_label(const MaskVolume& mask, std::uint32_t label);

/// The voxels of a box that carry a label: one byte each, i fastest, 1 = inside.
[[nodiscard]] std::vector<std::uint8_t> cut_label(const MaskVolume& mask, std::uint32_t label, const VoxelBox& box);

}  // namespace choana::processing
