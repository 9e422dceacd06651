#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "processing/roi/roi_builder.h"
#include "processing/roi/roi_text.h"

namespace choana::processing {

std::string counted(int count, const char* one, const char* many) { return std::to_string(count) + " " + (count == 1 ? one : many); }

std::string percent(double fraction) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f %%", 100 * fraction);
  return text.data();
}

std::string decimal(double value) {
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), "%.3f", value);
  return text.data();
}

Status check_frame_of_reference(const std::string& roi_frame, const VolumeGeometry& geometry, const std::string& roi_name, const char* step,
                                const RoiSettings& settings) {
  const std::string& image_frame = geometry.frame_of_reference_uid();
  if (settings.accept_other_frame_of_reference || roi_frame.empty() || image_frame.empty() || roi_frame == image_frame) return {};
  return fail(ErrorCode::geometry_mismatch, step,
              "The region '" + roi_name + "' and the image have different frames of reference: it was drawn on another acquisition and cannot be placed.");
}

void note_missing_frame_of_reference(const std::string& roi_frame, const VolumeGeometry& geometry, RoiOrigin& origin) {
  const std::string& image_frame = geometry.frame_of_reference_uid();
  if (roi_frame.empty() || image_frame.empty())
    origin.notes.emplace_back("No frame of reference to compare; the region was placed by its coordinates alone.");
  else if (roi_frame != image_frame)
    origin.notes.emplace_back("The frames of reference of region and image differ; the region was placed by its coordinates on other evidence.");
}

Result<RegionOfInterest> carry_roi(const RegionOfInterest& roi, const VolumeGeometry& target, const RoiSettings& settings) {
  constexpr const char* step = "carry_roi";
  const VolumeGeometry& source = roi.geometry();
  if (Status same = check_frame_of_reference(source.frame_of_reference_uid(), target, roi.name(), step, settings); !same) return fail(same.error());
  RoiOrigin origin = roi.origin();
  if (source.frame_of_reference_uid() != target.frame_of_reference_uid()) note_missing_frame_of_reference(source.frame_of_reference_uid(), target, origin);
  if (target.matches(source)) return RegionOfInterest::make(roi.name(), target, roi.mask(), std::move(origin), roi.finding());

  // Where the source region lies: its box in source voxels, the part of it outside the target, its box in the target.
  const Index3 source_size = source.size(), target_size = target.size();
  std::size_t outside = 0;
  Vector3 target_low{INFINITY, INFINITY, INFINITY}, target_high{-INFINITY, -INFINITY, -INFINITY};
  for (int k = 0; k < source_size[2]; ++k)
    for (int j = 0; j < source_size[1]; ++j)
      for (int i = 0; i < source_size[0]; ++i) {
        if (roi.mask()[source.offset(i, j, k)] == 0) continue;
        const Vector3 index = target.patient_to_index(source.index_to_patient({static_cast<double>(i), static_cast<double>(j), static_cast<double>(k)}));
        bool inside = true;
        for (std::size_t axis = 0; axis < 3; ++axis) {
          inside = inside && index[axis] >= -0.5 && index[axis] < target_size[axis] - 0.5;
          target_low[axis] = std::min(target_low[axis], index[axis]);
          target_high[axis] = std::max(target_high[axis], index[axis]);
        }
        if (!inside) ++outside;
      }
  const double fraction_outside = static_cast<double>(outside) / static_cast<double>(roi.voxels());
  if (outside == roi.voxels())
    return fail(ErrorCode::roi_outside_image, step, "The region '" + roi.name() + "' lies outside the series it was to be carried to.");

  // Half a source voxel may reach beyond the outermost centres on every target axis.
  Index3 first{}, last{}, points{};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    double reach = 0.5, step_in_source = 0;
    for (int a = 0; a < 3; ++a) {
      const double along = std::abs(dot(source.axis(a), target.axis(static_cast<int>(axis))));
      const auto n = static_cast<std::size_t>(a);
      reach += 0.5 * along * source.spacing_mm()[n] / target.spacing_mm()[axis];
      step_in_source = std::max(step_in_source, along * target.spacing_mm()[axis] / source.spacing_mm()[n]);
    }
    first[axis] = static_cast<int>(std::clamp(std::floor(target_low[axis] - reach), 0.0, target_size[axis] - 1.0));
    last[axis] = static_cast<int>(std::clamp(std::ceil(target_high[axis] + reach), 0.0, target_size[axis] - 1.0));
    // Finer than the source by a hundredth is still one point: rounded spacings are not a reason to supersample.
    points[axis] = static_cast<int>(std::clamp(std::ceil(step_in_source - 0.01), 1.0, 9.0));
    // An odd number of points knows no ties: with ties counted as inside, a region grows at every carrying.
    points[axis] += 1 - points[axis] % 2;
  }
  std::vector<std::uint8_t> mask(target.voxel_count(), 0);
  const int per_voxel = points[0] * points[1] * points[2];
  std::size_t voxels = 0;
  const auto sample = [&](int voxel, int n, int count) { return voxel + (n + 0.5) / count - 0.5; };
  for (int k = first[2]; k <= last[2]; ++k)
    for (int j = first[1]; j <= last[1]; ++j)
      for (int i = first[0]; i <= last[0]; ++i) {
        int hits = 0;
        for (int c = 0; c < points[2]; ++c)
          for (int b = 0; b < points[1]; ++b)
            for (int a = 0; a < points[0]; ++a) {
              const Vector3 at = source.patient_to_index(target.index_to_patient({sample(i, a, points[0]), sample(j, b, points[1]), sample(k, c, points[2])}));
              Index3 voxel{};
              bool inside = true;
              for (std::size_t axis = 0; axis < 3; ++axis) {
                // Points on the border of two voxels go up, whatever the last bits say.
                const double rounded = std::floor(at[axis] + 0.5 + 1e-9);
                inside = inside && rounded >= 0 && rounded < source_size[axis];
                voxel[axis] = inside ? static_cast<int>(rounded) : 0;
              }
              if (inside && roi.mask()[source.offset(voxel[0], voxel[1], voxel[2])] != 0) ++hits;
            }
        if (2 * hits >= per_voxel) {
          mask[target.offset(i, j, k)] = 1;
          ++voxels;
        }
      }
  if (voxels == 0)
    return fail(ErrorCode::roi_too_small, step, "The region '" + roi.name() + "' is too small for the voxels of the series it was to be carried to.");
  // The fractions of two steps add up on what the first one left.
  origin.fraction_outside_image = origin.fraction_outside_image + (1 - origin.fraction_outside_image) * fraction_outside;
  if (outside > 0) origin.notes.push_back(percent(fraction_outside) + " of the region lies outside the series it was carried to.");
  const double after_ml = static_cast<double>(voxels) * target.voxel_volume_mm3() / 1000.0;
  origin.notes.push_back("Carried from the grid it was drawn on to another of the same frame of reference: " + decimal(roi.volume_ml()) + " ml before, " +
                         decimal(after_ml) + " ml after.");
  return RegionOfInterest::make(roi.name(), target, std::move(mask), std::move(origin), roi.finding());
}

}  // namespace choana::processing
