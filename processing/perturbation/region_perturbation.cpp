#include "processing/perturbation/region_perturbation.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <numbers>
#include <string>
#include <utility>

#include "processing/habitats/counter_random.h"

namespace choana::processing {
namespace {

constexpr double sigma_voxels = 0.8;   // the least that smooths away the steps of a slanted boundary
constexpr int kernel_radius = 4;       // 5 sigma
constexpr double deviates_max = 3;     // perturbations are cut off here
constexpr double share_min = 1e-7;     // of a smoothed mask: beyond, the distance is only known to be large
constexpr double reach_voxels = 3;     // distances are reliable up to here
constexpr double side_kept_voxels = 1e-3;

double normal_share(double deviate) { return 0.5 * std::erfc(-deviate / std::numbers::sqrt2); }

/// Inverse of the normal distribution function for 1e-7 <= share <= 1 - 1e-7: a rational start (Abramowitz and Stegun 26.2.23, error below
/// 4.5e-4), then Newton steps to the last digits.
double normal_deviate(double share) {
  const bool lower = share < 0.5;
  const double tail = lower ? share : 1 - share;
  const double t = std::sqrt(-2 * std::log(tail));
  double x = t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
  for (int step = 0; step < 3; ++step) x += (normal_share(-x) - tail) / (std::exp(-0.5 * x * x) / std::sqrt(2 * std::numbers::pi));
  return lower ? -x : x;
}

/// A normal deviate between -3 and 3.
double cut_off_normal(CounterRandom& random) {
  const double least = normal_share(-deviates_max);
  return normal_deviate(least + random.uniform() * (1 - 2 * least));
}

// FNV-1a, 64 bits.
std::uint64_t stream_of(std::string_view region, std::uint64_t n) {
  std::uint64_t hash = 0xCBF29CE484222325ULL;
  for (const char c : region) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
  return hash + n;
}

std::array<double, 2 * kernel_radius + 1> gaussian_kernel() {
  std::array<double, 2 * kernel_radius + 1> kernel{};
  double sum = 0;
  for (int n = -kernel_radius; n <= kernel_radius; ++n) sum += kernel[static_cast<std::size_t>(n + kernel_radius)] = std::exp(-0.5 * n * n / (sigma_voxels * sigma_voxels));
  for (double& weight : kernel) weight /= sum;
  return kernel;
}

std::size_t step_along(const Index3& size, std::size_t axis) {
  return axis == 0 ? 1 : axis == 1 ? static_cast<std::size_t>(size[0]) : static_cast<std::size_t>(size[0]) * static_cast<std::size_t>(size[1]);
}

/// Smooth along one axis; beyond the box the last voxel goes on.
void smooth(std::vector<double>& values, const Index3& size, std::size_t axis) {
  const auto kernel = gaussian_kernel();
  const std::size_t step = step_along(size, axis);
  const int count = size[axis];
  std::vector<double> line(static_cast<std::size_t>(count + 2 * kernel_radius));
  for (std::size_t start = 0; start < values.size(); ++start) {
    if ((start / step) % static_cast<std::size_t>(count) != 0) continue;
    for (int n = -kernel_radius; n < count + kernel_radius; ++n)
      line[static_cast<std::size_t>(n + kernel_radius)] = values[start + static_cast<std::size_t>(std::clamp(n, 0, count - 1)) * step];
    for (int n = 0; n < count; ++n) {
      double sum = 0;
      for (std::size_t tap = 0; tap < kernel.size(); ++tap) sum += kernel[tap] * line[static_cast<std::size_t>(n) + tap];
      values[start + static_cast<std::size_t>(n) * step] = sum;
    }
  }
}

/// Rodrigues' formula.
Vector3 turned(const Vector3& v, const Vector3& axis, double angle_rad) {
  const double c = std::cos(angle_rad), s = std::sin(angle_rad);
  return c * v + s * cross(axis, v) + ((1 - c) * dot(axis, v)) * axis;
}

}  // namespace

Perturbation draw_perturbation(const PerturbationAmplitude& amplitude, std::uint64_t seed, std::string_view region, std::uint64_t n) {
  CounterRandom random(seed, stream_of(region, n));
  Perturbation how;
  for (double& along : how.translation_mm) along = amplitude.translation_mm * cut_off_normal(random);
  const double height = 2 * random.uniform() - 1, longitude = 2 * std::numbers::pi * random.uniform();
  const double width = std::sqrt(std::max(0.0, 1 - height * height));
  how.axis = {width * std::cos(longitude), width * std::sin(longitude), height};
  how.angle_deg = amplitude.rotation_deg * cut_off_normal(random);
  how.growth_mm = amplitude.boundary_mm * cut_off_normal(random);
  return how;
}

PerturbableRegion::PerturbableRegion(const RegionOfInterest& region) : region_(region) {
  const VolumeGeometry& grid = region.geometry();
  const Index3& full = grid.size();
  Index3 low = full, high{-1, -1, -1};
  Vector3 sum{};
  std::size_t at = 0;
  for (int k = 0; k < full[2]; ++k)
    for (int j = 0; j < full[1]; ++j)
      for (int i = 0; i < full[0]; ++i, ++at) {
        if (region.mask()[at] == 0) continue;
        const Index3 index{i, j, k};
        for (std::size_t axis = 0; axis < 3; ++axis) {
          low[axis] = std::min(low[axis], index[axis]);
          high[axis] = std::max(high[axis], index[axis]);
          sum[axis] += index[axis];
        }
      }
  centre_mm_ = grid.index_to_patient((1.0 / static_cast<double>(region.voxels())) * sum);
  constexpr int margin = kernel_radius + 1;  // so that the outermost voxels of the box are far outside, or on the edge of the image
  for (std::size_t axis = 0; axis < 3; ++axis) {
    lower_[axis] = std::max(0, low[axis] - margin);
    size_[axis] = std::min(full[axis], high[axis] + margin + 1) - lower_[axis];
  }
  std::vector<double> share;
  share.reserve(static_cast<std::size_t>(size_[0]) * static_cast<std::size_t>(size_[1]) * static_cast<std::size_t>(size_[2]));
  for (int k = 0; k < size_[2]; ++k)
    for (int j = 0; j < size_[1]; ++j)
      for (int i = 0; i < size_[0]; ++i) share.push_back(region.mask()[grid.offset(lower_[0] + i, lower_[1] + j, lower_[2] + k)] != 0 ? 1.0 : 0.0);
  const std::vector<std::uint8_t> sides(share.begin(), share.end());
  for (std::size_t axis = 0; axis < 3; ++axis) smooth(share, size_, axis);
  // Where the boundary is flat its deviates are linear, so that differences over two voxels give its direction exactly.
  std::vector<double>& deviate = share;
  for (double& value : deviate) value = normal_deviate(std::clamp(value, share_min, 1 - share_min));

  const Vector3& spacing = grid.spacing_mm();
  const double finest = std::min({spacing[0], spacing[1], spacing[2]});
  distance_mm_.resize(deviate.size());
  at = 0;
  for (int k = 0; k < size_[2]; ++k)
    for (int j = 0; j < size_[1]; ++j)
      for (int i = 0; i < size_[0]; ++i, ++at) {
        // Along its normal n the boundary is smoothed by the Gaussian's width in that direction.
        double length = 0, width = 0;
        const Index3 index{i, j, k};
        for (std::size_t axis = 0; axis < 3; ++axis) {
          const std::size_t step = step_along(size_, axis);
          const double before = deviate[index[axis] > 0 ? at - step : at], after = deviate[index[axis] + 1 < size_[axis] ? at + step : at];
          const double slope = (after - before) / spacing[axis];
          length += slope * slope;
          width += slope * slope * spacing[axis] * spacing[axis];
        }
        const double sigma_mm = sigma_voxels * (length > 1e-20 ? std::sqrt(width / length) : finest);
        distance_mm_[at] = sigma_mm * deviate[at];
      }
  // Smoothing draws curved boundaries inwards. The level that encloses as many voxels as were drawn makes up for it.
  std::vector<double>& ordered = share;  // its memory serves again: boxes may be large
  ordered = distance_mm_;
  const auto last_inside = ordered.begin() + static_cast<std::ptrdiff_t>(region.voxels()) - 1;
  std::nth_element(ordered.begin(), last_inside, ordered.end(), std::greater<>());
  const double level = *last_inside;
  for (at = 0; at < distance_mm_.size(); ++at) {
    const double distance = distance_mm_[at] - level;
    distance_mm_[at] = sides[at] != 0 ? std::max(distance, side_kept_voxels * finest) : std::min(distance, -side_kept_voxels * finest);
  }
}

double PerturbableRegion::distance_mm(const Vector3& index) const {
  std::array<std::size_t, 3> base{}, step{};
  Vector3 part{};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const double inside = std::clamp(index[axis] - lower_[axis], 0.0, static_cast<double>(size_[axis] - 1));
    const double whole = std::min(std::floor(inside), static_cast<double>(std::max(0, size_[axis] - 2)));
    base[axis] = static_cast<std::size_t>(whole);
    part[axis] = inside - whole;
    step[axis] = size_[axis] > 1 ? step_along(size_, axis) : 0;
  }
  const double* corner = distance_mm_.data() + base[0] + base[1] * step_along(size_, 1) + base[2] * step_along(size_, 2);
  const auto along_i = [&](std::size_t offset) { return corner[offset] + part[0] * (corner[offset + step[0]] - corner[offset]); };
  const auto along_j = [&](std::size_t offset) {
    const double first = along_i(offset);
    return first + part[1] * (along_i(offset + step[1]) - first);
  };
  const double first = along_j(0);
  return first + part[2] * (along_j(step[2]) - first);
}

Result<RegionOfInterest> PerturbableRegion::perturbed(const Perturbation& how) const {
  const VolumeGeometry& grid = region_.geometry();
  const Vector3& spacing = grid.spacing_mm();
  const double reach_mm = reach_voxels * std::min({spacing[0], spacing[1], spacing[2]});
  if (std::abs(how.growth_mm) > reach_mm) {
    // Farther than the distance is known: in steps.
    Perturbation first;
    first.growth_mm = std::copysign(reach_mm, how.growth_mm);
    auto grown = perturbed(first);
    if (!grown) return grown;
    Perturbation rest = how;
    rest.growth_mm -= first.growth_mm;
    return PerturbableRegion(*grown).perturbed(rest);
  }
  const double angle_rad = how.angle_deg * std::numbers::pi / 180;
  // How far a voxel of the region can go, in voxels of each axis.
  double radius_mm = 0;
  for (int corner = 0; corner < 8; ++corner) {
    Vector3 index{};
    for (std::size_t axis = 0; axis < 3; ++axis) index[axis] = lower_[axis] + ((corner >> axis & 1) != 0 ? size_[axis] - 1 : 0);
    radius_mm = std::max(radius_mm, norm(grid.index_to_patient(index) - centre_mm_));
  }
  const double moved_mm = norm(how.translation_mm) + 2 * radius_mm * std::abs(std::sin(angle_rad / 2)) + std::max(0.0, how.growth_mm);
  Index3 low{}, high{};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    // Before it is rounded: the motion may be larger than any image.
    const double voxels = std::min(std::ceil(moved_mm / spacing[axis]), static_cast<double>(grid.size()[axis]));
    low[axis] = std::max(0, lower_[axis] - static_cast<int>(voxels));
    high[axis] = std::min(grid.size()[axis], lower_[axis] + size_[axis] + static_cast<int>(voxels));
  }
  // Index of the point that comes to lie on a voxel: affine in the voxel's index.
  const auto source = [&](const Vector3& index) {
    return grid.patient_to_index(turned(grid.index_to_patient(index) - centre_mm_ - how.translation_mm, how.axis, -angle_rad) + centre_mm_);
  };
  const Vector3 origin = source({0, 0, 0});
  const std::array<Vector3, 3> columns{source({1, 0, 0}) - origin, source({0, 1, 0}) - origin, source({0, 0, 1}) - origin};
  std::vector<std::uint8_t> mask(region_.mask().size(), 0);
  std::size_t voxels = 0;
  for (int k = low[2]; k < high[2]; ++k)
    for (int j = low[1]; j < high[1]; ++j) {
      const Vector3 row = origin + static_cast<double>(j) * columns[1] + static_cast<double>(k) * columns[2];
      const std::size_t at = grid.offset(0, j, k);
      for (int i = low[0]; i < high[0]; ++i)
        if (distance_mm(row + static_cast<double>(i) * columns[0]) > -how.growth_mm) {
          mask[at + static_cast<std::size_t>(i)] = 1;
          ++voxels;
        }
    }
  if (voxels == 0)
    return fail(ErrorCode::roi_too_small, "perturb_region", "Nothing is left of the region '" + region_.name() + "' when it is perturbed: it is thinner than the perturbation, or leaves the image.");
  return RegionOfInterest::make(region_.name(), grid, std::move(mask), region_.origin(), region_.finding());
}

}  // namespace choana::processing
