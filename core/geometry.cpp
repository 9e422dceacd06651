#include "core/geometry.h"

#include <cmath>
#include <utility>

namespace choana {

Vector3 operator+(const Vector3& a, const Vector3& b) { return {a[0] + b[0], a[1] + b[1], a[2] + b[2]}; }
Vector3 operator-(const Vector3& a, const Vector3& b) { return {a[0] - b[0], a[1] - b[1], a[2] - b[2]}; }
Vector3 operator*(double factor, const Vector3& a) { return {factor * a[0], factor * a[1], factor * a[2]}; }
double dot(const Vector3& a, const Vector3& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }
Vector3 cross(const Vector3& a, const Vector3& b) {
  return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}
double norm(const Vector3& a) { return std::sqrt(dot(a, a)); }

Result<VolumeGeometry> VolumeGeometry::make(Index3 size, Vector3 spacing_mm, Vector3 origin_mm, Matrix3 direction,
                                            std::string frame_of_reference_uid) {
  for (std::size_t axis = 0; axis < 3; ++axis) {
    if (size[axis] < 1) return fail(ErrorCode::invalid_argument, "geometry", "A volume needs at least one voxel on every axis.");
    if (!(spacing_mm[axis] > 0) || !std::isfinite(spacing_mm[axis]))
      return fail(ErrorCode::invalid_argument, "geometry", "The voxel spacing must be a positive number on every axis.");
    if (!std::isfinite(origin_mm[axis])) return fail(ErrorCode::invalid_argument, "geometry", "The position of the volume is not a number.");
  }
  VolumeGeometry geometry;
  geometry.size_ = size;
  geometry.spacing_mm_ = spacing_mm;
  geometry.origin_mm_ = origin_mm;
  geometry.direction_ = direction;
  geometry.frame_of_reference_uid_ = std::move(frame_of_reference_uid);
  for (int a = 0; a < 3; ++a)
    for (int b = a; b < 3; ++b) {
      const double expected = a == b ? 1.0 : 0.0;
      if (!(std::abs(dot(geometry.axis(a), geometry.axis(b)) - expected) < 1e-3))
        return fail(ErrorCode::geometry_mismatch, "geometry", "The image axes are not perpendicular unit vectors.");
    }
  return geometry;
}

Vector3 VolumeGeometry::axis(int index) const {
  const auto column = static_cast<std::size_t>(index);
  return {direction_[column], direction_[3 + column], direction_[6 + column]};
}

std::size_t VolumeGeometry::voxel_count() const {
  return static_cast<std::size_t>(size_[0]) * static_cast<std::size_t>(size_[1]) * static_cast<std::size_t>(size_[2]);
}

double VolumeGeometry::voxel_volume_mm3() const { return spacing_mm_[0] * spacing_mm_[1] * spacing_mm_[2]; }

Vector3 VolumeGeometry::index_to_patient(const Vector3& index) const {
  Vector3 point = origin_mm_;
  for (int a = 0; a < 3; ++a) {
    const auto n = static_cast<std::size_t>(a);
    point = point + (index[n] * spacing_mm_[n]) * axis(a);
  }
  return point;
}

Vector3 VolumeGeometry::patient_to_index(const Vector3& point_mm) const {
  // The axes are orthonormal only within 1e-3, so the inverse is computed, not transposed.
  const Vector3 x = axis(0), y = axis(1), z = axis(2), d = point_mm - origin_mm_;
  const double determinant = dot(x, cross(y, z));
  return {dot(d, cross(y, z)) / determinant / spacing_mm_[0], dot(d, cross(z, x)) / determinant / spacing_mm_[1],
          dot(d, cross(x, y)) / determinant / spacing_mm_[2]};
}

bool VolumeGeometry::matches(const VolumeGeometry& other, double tolerance_mm) const {
  if (size_ != other.size_) return false;
  for (int corner = 0; corner < 8; ++corner) {
    const Vector3 index{(corner & 1) ? size_[0] - 1.0 : 0.0, (corner & 2) ? size_[1] - 1.0 : 0.0, (corner & 4) ? size_[2] - 1.0 : 0.0};
    if (!(norm(index_to_patient(index) - other.index_to_patient(index)) <= tolerance_mm)) return false;
  }
  return true;
}

}  // namespace choana
