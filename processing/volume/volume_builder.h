#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/acquired_slice.h"
#include "core/result.h"
#include "core/series_volume.h"

namespace choana::processing {

/// One volume of a series.
struct BuiltVolume {
  SeriesVolume volume;
  std::optional<double> b_value_s_per_mm2;
  std::vector<std::string> notes;      // how it was split off and what is odd about it
};

/// Everything of one series that could become a volume, in order of b-value, then of acquisition.
struct VolumeSet {
  std::vector<BuiltVolume> volumes;
  std::vector<std::string> rejected;   // a sentence for each part of the series that could not become a volume
};

/// How far slices may stray from an even stack: the larger of the two.
struct VolumeTolerance {
  double absolute_mm = 0.02;
  double fraction_of_spacing = 0.02;
};

/// Build the volumes of ONE series: slices are parted by image size, pixel spacing and orientation, then by b-value;
/// where positions still repeat, by what the objects state as index (echo, complex part, temporal position, diffusion
/// direction, object of an enhanced series, acquisition, times). The slices of a volume are ordered along the normal
/// (row x column direction, so the axes are right-handed) and must be evenly spaced within the tolerance, without gaps
/// and doubles; anything else is a sentence in `rejected`. Pixels must be decoded.
/// Errors: no_image_series (no slices), invalid_argument (several series; pixels not decoded).
/// Source: PS3.3 C.7.6.2 (image plane), spec/inputs.md 7 and Geometry.
[[nodiscard]] Result<VolumeSet> build_volumes(std::vector<AcquiredSlice> slices, const VolumeTolerance& tolerance = {});

/// What the choice of a role wants to know about the volumes of a series, or of one of them.
struct VolumeSummary {
  std::string plane;                          // axial, coronal, sagittal or oblique; empty without a volume
  int slices = 0;                             // of the largest volume
  std::vector<double> b_values_s_per_mm2;     // ascending, without repeats
  double field_of_view_mm = 0;                // larger side of a slice
};

[[nodiscard]] VolumeSummary summarise(const BuiltVolume& volume);
[[nodiscard]] VolumeSummary summarise(const VolumeSet& volumes);

/// Plane of a grid by its normal: axial, sagittal or coronal within 30 degrees of the patient axis, else oblique.
[[nodiscard]] std::string plane_of(const VolumeGeometry& geometry);

}  // namespace choana::processing
