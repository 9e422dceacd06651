#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/coded_concept.h"
#include "core/geometry.h"
#include "core/result.h"

namespace choana {

/// Where a region was drawn, and what became of what was drawn: the ledger that leaves with every result.
struct RoiOrigin {
  enum class Kind { structure_set, segmentation, mask_image };
  Kind kind = Kind::mask_image;
  std::string sop_class_uid;
  std::string sop_instance_uid;
  std::string series_instance_uid;
  int number = 0;                    // ROI number or segment number
  std::string algorithm_type;        // MANUAL, SEMIAUTOMATIC, AUTOMATIC; empty when not stated
  int contours_used = 0;
  int contours_dropped = 0;
  double contour_volume_ml = 0;      // sum of polygon areas x slice distance; 0 for a segmentation
  double fraction_outside_image = 0; // of the drawn region
  std::vector<std::string> notes;    // sentences a radiographer understands
};

[[nodiscard]] std::string_view to_string(RoiOrigin::Kind kind);

/// A region on the grid of one series. The mask is never empty.
class RegionOfInterest {
 public:
  RegionOfInterest() = default;

  /// mask: one byte a voxel (0 or 1), i fastest, on exactly `geometry`.
  /// Errors: invalid_argument (size), roi_empty (no voxel set).
  static Result<RegionOfInterest> make(std::string name, VolumeGeometry geometry, std::vector<std::uint8_t> mask,
                                       RoiOrigin origin, CodedConcept finding = {});

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const VolumeGeometry& geometry() const { return geometry_; }
  [[nodiscard]] const std::vector<std::uint8_t>& mask() const { return *mask_; }
  [[nodiscard]] const RoiOrigin& origin() const { return origin_; }
  [[nodiscard]] const CodedConcept& finding() const { return finding_; }
  [[nodiscard]] std::size_t voxels() const { return voxels_; }
  [[nodiscard]] double volume_ml() const;
  /// Slice (index along k) with the most voxels; the lowest of equals.
  [[nodiscard]] int largest_slice() const;

 private:
  std::string name_;
  VolumeGeometry geometry_;
  std::shared_ptr<const std::vector<std::uint8_t>> mask_;
  RoiOrigin origin_;
  CodedConcept finding_;
  std::size_t voxels_ = 0;
};

}  // namespace choana
