#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/region_of_interest.h"
#include "core/result.h"
#include "core/rigid_transform.h"
#include "core/series_volume.h"

namespace choana::processing {

/// How two series are brought together, and what counts as success.
struct RegistrationSettings {
  std::vector<double> smoothing_mm{4, 2, 1};  // standard deviation of the Gaussian on each level, coarse to fine
  int samples = 20'000;                       // points of the reference at which the images are compared
  double focus_share = 0.4;                   // of them around the focus, where there is one
  double focus_margin_mm = 25;                // around the focus
  int histogram_bins = 32;
  int iterations_max = 150;                   // of one descent; up to five on each level
  std::uint64_t seed = 1;                     // of the points

  // Refused beyond these.
  double translation_max_mm = 60;             // of the focus, or the middle of the head, from where the scanner put it
  double rotation_max_deg = 25;
  double overlap_min = 0.4;                   // of the reference's foreground that lies in the moving series
  double focus_overlap_min = 0.95;            // of the focus and its margin
  double information_min = 0.10;              // mutual information, nats
  double agreement_min = 0.55;                // share of blocks that agree with the result (see below)
  int blocks_min = 8;
};

/// What came out, whether it is good enough or not.
struct RigidRegistration {
  RigidTransform reference_to_moving;         // from points of the reference series to points of the moving one
  std::string start;                          // what the search began with: scanner coordinates, centres of the images, centres of mass
  double information_before = 0;              // Mattes mutual information (nats) with scanner coordinates; 0 where too little overlaps
  double information_after = 0;               // with the result
  double translation_mm = 0;                  // how far the middle of focus (or head) moves
  double rotation_deg = 0;
  double overlap = 0;                         // share of the reference's foreground that lies in the moving series
  double focus_overlap = 1;                   // of the focus with its margin
  double agreement = 0;                       // share of blocks of tissue that fit best where the result puts them
  double residual_mm = 0;                     // median distance by which blocks would rather lie elsewhere
  int blocks = 0;                             // that were compared
  int iterations = 0;
  bool converged = false;                     // on every level a descent gained nothing any more
};

/// Register a moving series to a reference rigidly (three rotations, three translations): Mattes mutual information, coarse to fine,
/// gradient descent with regular steps; begun with the best of scanner coordinates, centres of the images and centres of mass. Images
/// may differ in contrast, grid, orientation and field of view. focus: a region on the reference's grid around which a share of the
/// samples lie, so that the fit is best there; nullptr: none. The same bits at every call: points drawn by the seed, one thread.
///
/// Agreement is a check by other means, because the mutual information of two heads is high even when they are two patients'. Blocks of
/// tissue of 28 mm are moved to and fro by themselves, up to 8 mm, and the share of them counts that fit best within 2.5 mm of where the
/// result puts them. On synthetic studies: 0.8 and more for one patient
/// (0.45 and more with voxels of 3.6 x 3.6 x 6.4 mm), at most 0.46 for two.
/// Errors: invalid_argument (settings, focus on another grid), degenerate_input (fewer than 8 voxels an axis in the plane or 3 slices, no
/// contrast, no overlap from any start), internal (ITK failed), out_of_memory.
/// Source: Mattes et al. 2003, as implemented in ITK 5 (MattesMutualInformationImageToImageMetricv4).
[[nodiscard]] Result<RigidRegistration> register_rigidly(const SeriesVolume& reference, const SeriesVolume& moving, const RegionOfInterest* focus,
                                                         const RegistrationSettings& settings);

/// Why a registration must not be used, as a sentence with the figure and its limit; nothing if it may.
[[nodiscard]] std::optional<Error> refusal_of(const RigidRegistration& registration, const RegistrationSettings& settings);

/// Canonical JSON of the figures and the transform, for the record of steps.
[[nodiscard]] std::string registration_record(const RigidRegistration& registration);

}  // namespace choana::processing
