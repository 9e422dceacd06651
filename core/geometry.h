#pragma once

#include <array>
#include <cstddef>
#include <string>

#include "core/result.h"

namespace choana {

using Vector3 = std::array<double, 3>;
using Index3 = std::array<int, 3>;
/// Row-major 3 x 3 matrix: element (r, c) at 3 r + c.
using Matrix3 = std::array<double, 9>;

[[nodiscard]] Vector3 operator+(const Vector3& a, const Vector3& b);
[[nodiscard]] Vector3 operator-(const Vector3& a, const Vector3& b);
[[nodiscard]] Vector3 operator*(double factor, const Vector3& a);
[[nodiscard]] double dot(const Vector3& a, const Vector3& b);
[[nodiscard]] Vector3 cross(const Vector3& a, const Vector3& b);
[[nodiscard]] double norm(const Vector3& a);

/// The grid of a volume in the patient coordinate system of DICOM (LPS, millimetres).
/// Axis order everywhere: i (columns, fastest), j (rows), k (slices). Built only by `make`, so it is always valid:
/// positive size and spacing, an invertible orthonormal direction.
class VolumeGeometry {
 public:
  VolumeGeometry() = default;

  /// size: voxels along i, j, k, each >= 1. spacing_mm: > 0 along i, j, k. origin_mm: centre of voxel (0,0,0).
  /// direction: columns are the unit vectors of i, j, k in patient coordinates (ITK's convention).
  /// Errors: invalid_argument, geometry_mismatch (direction not orthonormal within 1e-3).
  static Result<VolumeGeometry> make(Index3 size, Vector3 spacing_mm, Vector3 origin_mm, Matrix3 direction,
                                     std::string frame_of_reference_uid = {});

  [[nodiscard]] const Index3& size() const { return size_; }
  [[nodiscard]] const Vector3& spacing_mm() const { return spacing_mm_; }
  [[nodiscard]] const Vector3& origin_mm() const { return origin_mm_; }
  [[nodiscard]] const Matrix3& direction() const { return direction_; }
  [[nodiscard]] const std::string& frame_of_reference_uid() const { return frame_of_reference_uid_; }

  /// Unit vector of axis 0 (i), 1 (j) or 2 (k) in patient coordinates.
  [[nodiscard]] Vector3 axis(int index) const;
  [[nodiscard]] std::size_t voxel_count() const;
  [[nodiscard]] double voxel_volume_mm3() const;
  /// Position of (i, j, k) in a volume stored i fastest.
  [[nodiscard]] std::size_t offset(int i, int j, int k) const {
    return (static_cast<std::size_t>(k) * static_cast<std::size_t>(size_[1]) + static_cast<std::size_t>(j)) *
               static_cast<std::size_t>(size_[0]) +
           static_cast<std::size_t>(i);
  }
  /// Continuous index to patient coordinates in mm; whole numbers are voxel centres.
  [[nodiscard]] Vector3 index_to_patient(const Vector3& index) const;
  [[nodiscard]] Vector3 patient_to_index(const Vector3& point_mm) const;

  /// Equal size, and origin, spacing and direction equal within tolerance_mm at every corner voxel.
  [[nodiscard]] bool matches(const VolumeGeometry& other, double tolerance_mm = 1e-3) const;

  friend bool operator==(const VolumeGeometry&, const VolumeGeometry&) = default;

 private:
  Index3 size_{0, 0, 0};
  Vector3 spacing_mm_{1, 1, 1};
  Vector3 origin_mm_{0, 0, 0};
  Matrix3 direction_{1, 0, 0, 0, 1, 0, 0, 0, 1};
  std::string frame_of_reference_uid_;
};

}  // namespace choana
