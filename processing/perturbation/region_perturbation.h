#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/geometry.h"
#include "core/region_of_interest.h"
#include "core/result.h"

namespace choana::processing {

/// How much a region is perturbed: standard deviations of normal distributions cut off at three of them.
struct PerturbationAmplitude {
  double translation_mm = 0.5;  // along each patient axis
  double rotation_deg = 2;      // about an axis of random direction through the region's centre
  double boundary_mm = 0.5;     // by which the boundary moves outwards, or inwards where negative
};

/// One perturbation, in patient coordinates.
struct Perturbation {
  Vector3 translation_mm{};
  Vector3 axis{0, 0, 1};        // unit vector
  double angle_deg = 0;
  double growth_mm = 0;         // of the boundary, outwards

  friend bool operator==(const Perturbation&, const Perturbation&) = default;
};

/// Perturbation number `n` of a region: a function of its arguments alone, so it is the same on every series that the region is measured on, in
/// any order and on any number of threads.
[[nodiscard]] Perturbation draw_perturbation(const PerturbationAmplitude& amplitude, std::uint64_t seed, std::string_view region, std::uint64_t n);

/// A region whose boundary is known to a fraction of a voxel, so that half a millimetre counts on a grid of one.
///
/// The mask is smoothed by a Gaussian of 0.8 voxels along each axis. Where the boundary is flat, what comes out is the normal distribution function of
/// the distance from it, whichever way it runs and however long the voxels are; its inverse is the distance. Voxels keep the side they are on, so the
/// region unperturbed is the region. At the edge of the image the region is taken to go on.
class PerturbableRegion {
 public:
  explicit PerturbableRegion(const RegionOfInterest& region);

  /// The region perturbed: turned about its centre of mass and moved, with its boundary shifted; a voxel is inside when its centre is.
  /// Errors: roi_too_small (nothing is left).
  [[nodiscard]] Result<RegionOfInterest> perturbed(const Perturbation& how) const;

  /// Distance from the boundary in mm at a point (index coordinates of the region's grid), positive inside; reliable up to about three voxels.
  [[nodiscard]] double distance_mm(const Vector3& index) const;

 private:
  RegionOfInterest region_;
  Vector3 centre_mm_{};
  Index3 lower_{};  // of the box below
  Index3 size_{};
  std::vector<double> distance_mm_;
};

}  // namespace choana::processing
