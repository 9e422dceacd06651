#pragma once

#include <cstddef>
#include <string>
#include <variant>
#include <vector>

#include "core/feature.h"
#include "core/result.h"
#include "core/task_pool.h"
#include "processing/radiomics/ibsi/ibsi_feature_row.h"
#include "processing/radiomics/ibsi/ibsi_profile.h"
#include "processing/radiomics/image.h"

namespace choana::processing::ibsi {

/// A feature of IBSI mode: a finite number, or the reason why there is none.
struct IbsiFeatureValue {
  std::string image;         // "original", or the name of a filter
  std::string family;        // of `ibsi_family_names`
  std::string tag;           // IBSI's: cm_joint_max
  std::string code;          // IBSI's four characters
  std::string aggregation;   // of `aggregation_names`; "3D" for what is by definition measured in the volume as a whole
  std::string unit;          // UCUM, intensities without unit
  std::string raw_unit;      // UCUM, intensities in arbitrary units
  int levels = 0;            // grey levels the value was computed from; 0: not discretised
  std::variant<double, NotComputed> value;

  [[nodiscard]] bool computed() const { return std::holds_alternative<double>(value); }
  [[nodiscard]] double number() const { return std::get<double>(value); }
  /// Name of a column: "original_cm_joint_max_3D_avg"; the aggregation stands with texture alone: "original_stat_mean".
  [[nodiscard]] std::string name() const;
};

/// The features of one region, and how they came about.
struct IbsiExtractionResult {
  std::vector<IbsiFeatureValue> features;   // images, then families, then aggregations, then the order of the manual
  std::vector<std::string> notes;           // sentences
  Index3 grid_size{};                       // of the interpolated image
  Vector3 grid_spacing_mm{};
  std::size_t voxels_original = 0;          // of the mask as given
  std::size_t voxels_morphological = 0;     // after interpolation
  std::size_t voxels_intensity = 0;         // after resegmentation
  double volume_original_ml = 0;
  double volume_morphological_ml = 0;
};

/// Measure the voxels of `mask` that carry `label` in IBSI mode: interpolate, resegment, filter, discretise, measure (IBSI reference manual). Families
/// and images run as tasks of `pool`; values do not depend on it. Of a filter's response everything is measured but morphology.
/// Errors: roi_empty, roi_too_small (nothing left in the resegmentation range), geometry_mismatch, degenerate_input, limit_exceeded, invalid_settings.
[[nodiscard]] Result<IbsiExtractionResult> extract_ibsi_features(const ScalarVolume& image, const MaskVolume& mask, int label, const IbsiProfile& profile,
                                                                 TaskPool* pool = nullptr);

/// Every feature of IBSI mode, families and features in the order of the manual.
[[nodiscard]] const std::vector<IbsiFeatureDescription>& ibsi_catalogue();

}  // namespace choana::processing::ibsi
