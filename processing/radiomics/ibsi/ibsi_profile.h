#pragma once

#include <array>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "processing/radiomics/ibsi/filters/ibsi_filter.h"

namespace choana::processing::ibsi {

enum class ImageInterpolation { nearest_neighbour, linear, cubic_spline };
enum class MaskInterpolation { nearest_neighbour, linear };

/// The grid that image and masks are brought to. Centres of the old and the new grid coincide (IBSI 3WE3).
struct GridSettings {
  std::array<double, 3> spacing_mm{0, 0, 0};   // i, j, k; 0 keeps the spacing of the image
  ImageInterpolation image = ImageInterpolation::linear;
  MaskInterpolation mask = MaskInterpolation::linear;
  double mask_threshold = 0.5;                 // a voxel belongs to the mask from this fraction on
  bool round_intensities = false;              // to whole numbers: Hounsfield units

  friend bool operator==(const GridSettings&, const GridSettings&) = default;
};

/// Which voxels of the mask are the intensity mask: those inside the range and not further than so many standard deviations (population) from
/// the mean of the mask as drawn. Both hold at once.
struct ResegmentationSettings {
  double lower = -std::numeric_limits<double>::infinity();   // closed range
  double upper = std::numeric_limits<double>::infinity();
  std::optional<double> outlier_sigmas;

  friend bool operator==(const ResegmentationSettings&, const ResegmentationSettings&) = default;
};

/// Most grey levels that a region may have.
inline constexpr int grey_levels_max = 100'000;

/// none: intensities are whole numbers from 1 (texture), or stay as they are (intensity-volume histogram).
enum class DiscretisationMethod { none, fixed_bin_number, fixed_bin_size };

struct DiscretisationSettings {
  DiscretisationMethod method = DiscretisationMethod::none;
  int bin_count = 32;       // fixed bin number
  double bin_width = 25;    // fixed bin size: from the lower bound of the resegmentation range, else from the minimum of the region

  friend bool operator==(const DiscretisationSettings&, const DiscretisationSettings&) = default;
};

/// Settings of one extraction in IBSI mode (IBSI reference manual, version 0.0.1dev and later).
struct IbsiProfile {
  std::string name = "ibsi";
  bool by_slice = false;                         // 2D: interpolation in plane, texture by slice
  std::optional<GridSettings> grid;              // nothing: the grid of the image
  ResegmentationSettings resegmentation;
  DiscretisationSettings discretisation;         // texture and intensity histogram
  DiscretisationSettings volume_histogram;       // intensity-volume histogram
  int glcm_distance_voxels = 1;                  // Chebyshev
  int ngtdm_distance_voxels = 1;
  int ngldm_distance_voxels = 1;
  double ngldm_alpha = 0;
  std::vector<std::string> families;             // in the order of `ibsi_family_names`
  std::vector<std::string> aggregations;         // in the order of `aggregation_names`
  bool original = true;                          // measure the unfiltered image, too
  std::vector<IbsiFilter> filters;
  int label = 1;
};

/// morphology, local_intensity, intensity_statistics, intensity_histogram, intensity_volume_histogram, glcm, glrlm, glszm, gldzm, ngtdm, ngldm.
[[nodiscard]] const std::vector<std::string>& ibsi_family_names();

/// How matrices of slices and directions become one value. GLCM, GLRLM: 2D_avg, 2D_slice_merged, 2.5D_direction_merged, 2.5D_merged, 3D_avg, 3D_merged
/// (IBSI BTW3, SUJT, JJUI, ZW7Z, ITBB, IAZD); the other matrices: 2D, 2.5D, 3D (8QNN, 62GR, KOBO).
[[nodiscard]] const std::vector<std::string>& aggregation_names();

/// Is this parameter file for IBSI mode: does it have `mode: ibsi` at the top? PyRadiomics' files have no such key.
[[nodiscard]] bool is_ibsi_profile(std::string_view yaml);

/// Read a parameter file of IBSI mode (docs/radiomics.md lists its keys). Unknown names are errors that offer near matches.
/// Errors: invalid_profile.
[[nodiscard]] Result<IbsiProfile> parse_ibsi_profile(std::string_view yaml, std::string name);

/// All settings as a JSON object with a fixed order of keys: equal profiles give equal text. Filters stand as their names.
[[nodiscard]] std::string canonical_json(const IbsiProfile& profile);

}  // namespace choana::processing::ibsi
