#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/acquired_slice.h"
#include "core/geometry.h"
#include "core/result.h"

namespace choana {

/// One slice of a volume as DICOM names it.
struct SliceReference {
  std::string sop_class_uid;
  std::string sop_instance_uid;
  int frame_number = 0;  // 1-based; 0 in a single-frame object
  std::string file;

  friend bool operator==(const SliceReference&, const SliceReference&) = default;
};

/// Where a volume comes from. slices[k] is the slice at index k of the volume's third axis.
struct SeriesReference {
  std::string study_instance_uid;
  std::string series_instance_uid;
  int series_number = 0;
  std::string description;
  std::vector<SliceReference> slices;
};

/// A 3-D image: geometry and shared read-only voxels, i fastest, then j, then k.
class SeriesVolume {
 public:
  SeriesVolume() = default;

  /// Errors: invalid_argument if the number of voxels is not the geometry's.
  static Result<SeriesVolume> make(VolumeGeometry geometry, std::vector<float> voxels, PixelType pixel_type,
                                   SeriesReference reference, AcquisitionFacts acquisition);

  [[nodiscard]] const VolumeGeometry& geometry() const { return geometry_; }
  [[nodiscard]] const std::vector<float>& voxels() const { return *voxels_; }
  [[nodiscard]] PixelType pixel_type() const { return pixel_type_; }
  [[nodiscard]] const SeriesReference& reference() const { return reference_; }
  /// Facts of the middle slice; elements that differ between slices are those of that slice.
  [[nodiscard]] const AcquisitionFacts& acquisition() const { return acquisition_; }
  [[nodiscard]] bool empty() const { return voxels_ == nullptr; }

  /// The same series with other voxels (bias-corrected, say) on the same grid.
  [[nodiscard]] Result<SeriesVolume> with_voxels(std::vector<float> voxels, PixelType pixel_type) const;

 private:
  VolumeGeometry geometry_;
  std::shared_ptr<const std::vector<float>> voxels_;
  PixelType pixel_type_ = PixelType::float32;
  SeriesReference reference_;
  AcquisitionFacts acquisition_;
};

}  // namespace choana
