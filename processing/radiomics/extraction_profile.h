#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"

namespace choana::processing {

enum class Interpolation { nearest_neighbour, linear, cubic_bspline };
enum class ResegmentMode { absolute, relative, sigma };
/// How texture directions are joined: none = one value a direction, then the mean.
enum class WeightingNorm { none, euclidean, manhattan, infinity, no_weighting };

/// What a 2-D local binary pattern makes of its bits, in the words of scikit-image: weighted sum, rotation invariant, uniform, or variance.
enum class LocalPatternMethod { standard, rotation_invariant, uniform, variance };

/// One LoG scale. The text is the number as Python prints it, because the YAML type shows in the name of the image: 1 or 1.0.
struct LogScale {
  double sigma_mm = 1;
  std::string text = "1.0";

  friend bool operator==(const LogScale&, const LogScale&) = default;
};

/// Settings of one extraction, named as in PyRadiomics parameter files (3.0.1) with its defaults.
struct ExtractionSettings {
  int minimum_roi_dimensions = 2;
  std::optional<int> minimum_roi_size;
  double geometry_tolerance = 1e-6;             // relative to the spacing, as ITK compares grids
  bool correct_mask = false;
  bool additional_info = true;
  int label = 1;
  int label_channel = 0;                        // which component of a vector mask
  double bin_width = 25;
  std::optional<int> bin_count;                 // wins over bin_width
  bool normalize = false;
  double normalize_scale = 1;
  std::optional<double> remove_outliers;        // standard deviations
  std::optional<std::array<double, 3>> resampled_pixel_spacing_mm;  // i, j, k; 0 keeps the spacing of the mask
  std::optional<Interpolation> interpolator = Interpolation::cubic_bspline;
  int pad_distance_voxels = 5;
  std::vector<int> distances_voxels{1};
  bool force_2d = false;
  int force_2d_dimension = 0;                   // 0 = k (axial), 1 = j, 2 = i: the order z, y, x of PyRadiomics
  std::vector<double> resegment_range;          // empty: no resegmentation; else 1 or 2 thresholds
  ResegmentMode resegment_mode = ResegmentMode::absolute;
  bool resegment_shape = false;
  bool pre_crop = false;
  double voxel_array_shift = 0;
  bool symmetrical_glcm = true;
  WeightingNorm weighting_norm = WeightingNorm::none;
  int gldm_alpha = 0;
  // Image filters.
  std::vector<LogScale> log_scales;             // `sigma`
  std::string wavelet = "coif1";
  int wavelet_start_level = 0;
  int wavelet_levels = 1;                       // `level`: how many, from start_level on
  bool gradient_use_spacing = true;
  double lbp2d_radius_pixels = 1;
  int lbp2d_samples = 8;
  LocalPatternMethod lbp2d_method = LocalPatternMethod::uniform;
  int lbp3d_levels = 2;
  double lbp3d_icosphere_radius_voxels = 1;
  int lbp3d_icosphere_subdivision = 1;

  friend bool operator==(const ExtractionSettings&, const ExtractionSettings&) = default;
};

/// Settings of voxel maps (`voxelSetting`), with PyRadiomics' defaults.
struct VoxelSettings {
  int kernel_radius_voxels = 1;
  bool masked_kernel = true;
  double initial_value = 0;                     // of voxels without a value; may be NaN
  int voxel_batch = -1;                         // voxels at a time; -1 = all

  friend bool operator==(const VoxelSettings&, const VoxelSettings&) = default;
};

/// One image type of a profile with the settings that hold for it (its own overrides applied).
struct ImageTypeRequest {
  std::string name = "Original";
  ExtractionSettings settings;
  std::string overrides = "{}";  // the overrides as written, as a Python dictionary literal
  std::optional<int> label;      // measures voxels with this label, within the box of the region

  friend bool operator==(const ImageTypeRequest&, const ImageTypeRequest&) = default;
};

/// One feature class of a profile. names empty: every feature that is not deprecated, in alphabetical order.
struct FamilyRequest {
  std::string family;
  std::vector<std::string> names;

  friend bool operator==(const FamilyRequest&, const FamilyRequest&) = default;
};

/// What to extract and how.
struct ExtractionProfile {
  std::string name = "default";
  ExtractionSettings settings;
  VoxelSettings voxel;
  std::vector<ImageTypeRequest> image_types{ImageTypeRequest{}};
  std::vector<FamilyRequest> families;
  std::vector<std::pair<std::string, std::string>> written;  // settings as given (voxelSetting last), values as Python literals
};

/// PyRadiomics without a parameter file: the original image, seven classes (shape2D is off), bin width 25.
[[nodiscard]] ExtractionProfile default_profile();

/// Read a PyRadiomics parameter file (YAML or JSON) with the top keys setting, imageType, featureClass, voxelSetting.
/// Unknown names are errors that offer near matches; so are values outside PyRadiomics' schema.
/// Errors: invalid_profile.
[[nodiscard]] Result<ExtractionProfile> parse_profile(std::string_view yaml, std::string name);

/// Change one setting as the command line writes it: key "binWidth", value "25" or, for lists, "1,1,1".
/// It holds for every image type that does not override that key itself. Errors: invalid_profile.
[[nodiscard]] Status override_setting(ExtractionProfile& profile, std::string_view key, std::string_view value);

/// All settings, image types and features as a JSON object with sorted keys: equal profiles give equal text.
[[nodiscard]] std::string canonical_json(const ExtractionProfile& profile);

/// Defaults and given settings as a Python dictionary literal, as PyRadiomics' diagnostics print them.
[[nodiscard]] std::string settings_literal(const ExtractionProfile& profile, int label);

/// The image types with their overrides as a Python dictionary literal.
[[nodiscard]] std::string image_types_literal(const ExtractionProfile& profile);

}  // namespace choana::processing
