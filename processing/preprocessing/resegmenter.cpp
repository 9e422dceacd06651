#include "processing/preprocessing/resegmenter.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace choana::processing {

Result<MaskVolume> resegment(const ScalarVolume& image, const MaskVolume& mask, int label, const std::vector<double>& thresholds, ResegmentMode mode) {
  if (thresholds.empty() || thresholds.size() > 2)
    return fail(ErrorCode::invalid_argument, "resegment", "resegmentRange must hold one or two thresholds.");
  if (image.voxels.size() != mask.labels.size()) return fail(ErrorCode::invalid_argument, "resegment", "Image and mask differ in size.");
  const auto wanted = static_cast<std::uint32_t>(label);
  std::vector<double> limits = thresholds;
  std::sort(limits.begin(), limits.end());
  if (mode != ResegmentMode::absolute) {
    double highest = -std::numeric_limits<double>::infinity();
    double sum = 0;
    std::size_t count = 0;
    for (std::size_t at = 0; at < mask.labels.size(); ++at)
      if (mask.labels[at] == wanted) {
        highest = std::max(highest, image.voxels[at]);
        sum += image.voxels[at];
        ++count;
      }
    if (mode == ResegmentMode::relative) {
      for (double& limit : limits) limit *= highest;
    } else {
      const double mean = sum / static_cast<double>(count);
      double squares = 0;
      for (std::size_t at = 0; at < mask.labels.size(); ++at)
        if (mask.labels[at] == wanted) squares += (image.voxels[at] - mean) * (image.voxels[at] - mean);
      const double deviation = std::sqrt(squares / static_cast<double>(count));
      for (double& limit : limits) limit = mean + deviation * limit;
    }
  }
  MaskVolume result{mask.geometry, std::vector<std::uint32_t>(mask.labels.size(), 0)};
  std::size_t kept = 0;
  for (std::size_t at = 0; at < mask.labels.size(); ++at) {
    if (mask.labels[at] != wanted || !(image.voxels[at] >= limits[0])) continue;
    if (limits.size() == 2 && !(image.voxels[at] <= limits[1])) continue;
    result.labels[at] = wanted;
    ++kept;
  }
  if (kept <= 1)
    return fail(ErrorCode::roi_too_small, "resegment",
                "Resegmentation left " + std::to_string(kept) + " voxel(s) with label " + std::to_string(label) + ": widen resegmentRange.");
  return result;
}

}  // namespace choana::processing
