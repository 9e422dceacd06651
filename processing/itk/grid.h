#pragma once

#include "core/geometry.h"

namespace choana::processing {

/// The index transforms of an ITK image with this geometry, to the last bit: ITK inverts the direction by singular values, and
/// resampled integers are truncated, so one unit in the last place of an index can change a grey value.
struct ItkGrid {
  Matrix3 index_to_patient{};
  Matrix3 patient_to_index{};
  Vector3 origin_mm{};

  [[nodiscard]] Vector3 patient_from_index(const Vector3& index) const;
  /// Summed as ITK sums continuous indices: products first, origin last.
  [[nodiscard]] Vector3 patient_from_continuous_index(const Vector3& index) const;
  [[nodiscard]] Vector3 index_from_patient(const Vector3& point_mm) const;
};

[[nodiscard]] ItkGrid itk_grid(const VolumeGeometry& geometry);

}  // namespace choana::processing
