#include "core/rigid_transform.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numbers>

namespace choana {
namespace {

Vector3 rotated(const Matrix3& m, const Vector3& v) {
  return {m[0] * v[0] + m[1] * v[1] + m[2] * v[2], m[3] * v[0] + m[4] * v[1] + m[5] * v[2], m[6] * v[0] + m[7] * v[1] + m[8] * v[2]};
}

template <typename Numbers>
std::string list(const Numbers& numbers) {
  std::string text = "[";
  for (const double number : numbers) {
    char digits[40];
    std::snprintf(digits, sizeof digits, "%.17g", number);
    text += (text.size() > 1 ? "," : "") + std::string(digits);
  }
  return text + "]";
}

}  // namespace

Vector3 RigidTransform::apply(const Vector3& point_mm) const { return rotated(rotation, point_mm - centre_mm) + centre_mm + translation_mm; }

RigidTransform RigidTransform::inverse() const {
  const Matrix3& r = rotation;
  RigidTransform back;
  back.rotation = {r[0], r[3], r[6], r[1], r[4], r[7], r[2], r[5], r[8]};
  back.centre_mm = centre_mm + translation_mm;
  back.translation_mm = -1.0 * translation_mm;
  return back;
}

double RigidTransform::rotation_deg() const {
  const Matrix3& r = rotation;
  // The sine keeps small angles that the cosine alone would round away.
  const double sine = 0.5 * norm(Vector3{r[7] - r[5], r[2] - r[6], r[3] - r[1]});
  return std::atan2(sine, 0.5 * (r[0] + r[4] + r[8] - 1)) * 180 / std::numbers::pi;
}

std::string RigidTransform::json() const {
  return "{\"centre_mm\":" + list(centre_mm) + ",\"rotation\":" + list(rotation) + ",\"translation_mm\":" + list(translation_mm) + "}";
}

}  // namespace choana
