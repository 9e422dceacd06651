#include "processing/preprocessing/label_scan.h"

#include <algorithm>

#include "core/vectorised.h"

namespace choana::processing {
namespace {

CHOANA_VECTORISED std::uint32_t count_label(const std::uint32_t* labels, std::uint32_t count, std::uint32_t label) {
  std::uint32_t found = 0;
  for (std::uint32_t at = 0; at < count; ++at) found += labels[at] == label ? 1u : 0u;
  return found;
}

CHOANA_VECTORISED void mark_label(const std::uint32_t* labels, std::size_t count, std::uint32_t label, std::uint8_t* inside) {
  for (std::size_t at = 0; at < count; ++at) inside[at] = static_cast<std::uint8_t>(labels[at] == label ? 1 : 0);
}

}  // namespace

LabelExtent find_label(const MaskVolume& mask, std::uint32_t label) {
  const Index3& size = mask.geometry.size();
  Index3 lower = size;
  Index3 upper{-1, -1, -1};
  LabelExtent extent;
  const std::uint32_t* row = mask.labels.data();
  for (int k = 0; k < size[2]; ++k)
    for (int j = 0; j < size[1]; ++j, row += size[0]) {
      const std::uint32_t found = count_label(row, static_cast<std::uint32_t>(size[0]), label);
      if (found == 0) continue;
      extent.voxels += found;
      int first = 0;
      while (row[first] != label) ++first;
      int last = size[0] - 1;
      while (row[last] != label) --last;
      lower = {std::min(lower[0], first), std::min(lower[1], j), std::min(lower[2], k)};
      upper = {std::max(upper[0], last), std::max(upper[1], j), std::max(upper[2], k)};
    }
  if (extent.voxels > 0) extent.box = {lower, {upper[0] - lower[0] + 1, upper[1] - lower[1] + 1, upper[2] - lower[2] + 1}};
  return extent;
}

VoxelBox bounding_box(const MaskVolume& mask, std::uint32_t label) { return find_label(mask, label).box; }

std::vector<std::uint8_t> cut_label(const MaskVolume& mask, std::uint32_t label, const VoxelBox& box) {
  const auto width = static_cast<std::size_t>(box.size[0]);
  std::vector<std::uint8_t> inside(width * static_cast<std::size_t>(box.size[1]) * static_cast<std::size_t>(box.size[2]));
  std::uint8_t* row = inside.data();
  for (int k = 0; k < box.size[2]; ++k)
    for (int j = 0; j < box.size[1]; ++j, row += width)
      mark_label(mask.labels.data() + mask.geometry.offset(box.lower[0], j + box.lower[1], k + box.lower[2]), width, label, row);
  return inside;
}

}  // namespace choana::processing
