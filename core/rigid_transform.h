#pragma once

#include <string>

#include "core/geometry.h"

namespace choana {

/// A rotation about a centre and a translation: y = R (x - centre) + centre + translation, patient coordinates, mm.
struct RigidTransform {
  Matrix3 rotation{1, 0, 0, 0, 1, 0, 0, 0, 1};
  Vector3 centre_mm{};
  Vector3 translation_mm{};

  [[nodiscard]] Vector3 apply(const Vector3& point_mm) const;
  [[nodiscard]] RigidTransform inverse() const;
  /// Angle of the rotation about its own axis, 0 to 180.
  [[nodiscard]] double rotation_deg() const;
  /// How far a point moves.
  [[nodiscard]] double displacement_mm(const Vector3& point_mm) const { return norm(apply(point_mm) - point_mm); }
  /// Canonical JSON: {"centre_mm":[..],"rotation":[..],"translation_mm":[..]}, 17 digits.
  [[nodiscard]] std::string json() const;
};

}  // namespace choana
