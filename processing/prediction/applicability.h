#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/prediction.h"
#include "core/result.h"
#include "processing/prediction/package_manifest.h"
#include "processing/prediction/prediction_context.h"

namespace choana::processing {

/// An attribute of acquisition whose training range a package may state.
struct AcquisitionAttribute {
  std::string_view key;    // in the manifest: repetition_time_ms
  std::string_view words;  // in sentences: repetition time
  std::string_view unit;   // ms
  std::optional<double> (*value)(const SeriesFacts& series);
};

/// All of them. slice_spacing_mm is the distance between slices, pixel_spacing_mm the larger of the two within a slice.
[[nodiscard]] std::span<const AcquisitionAttribute> acquisition_attributes();

/// The squared Mahalanobis distance of a row from the training rows, d2 = (x - mean)' precision (x - mean), and the largest one that still counts
/// as like them. Source: Mahalanobis 1936; docs/models.md says how to choose the limit.
struct TrainingDistance {
  std::string of;                     // stage whose values x holds; "features": the features as measured
  std::vector<std::string> features;  // names of x
  std::vector<double> mean;
  std::vector<double> precision;      // inverse covariance, row by row
  double limit = 0;
  std::optional<double> quantile;     // of the training rows' own distances, that the limit is

  /// Read distance.json (format choana-distance/1), strictly: at most 512 features, lists of exactly their number, every number finite and at most
  /// 1e100 in magnitude, precision symmetric (within 1e-9 of its diagonal) and positive definite, limit above 0.
  /// name: of the file. Errors: invalid_package, limit_exceeded.
  static Result<TrainingDistance> read(std::string_view json, const std::string& name);

  /// d2 of a row; infinity where it is beyond a double. row: one value a feature, finite.
  [[nodiscard]] double squared(const std::vector<double>& row) const;
};

/// "T2 primary original glcm Contrast": what a chart has room for.
[[nodiscard]] std::string label_of(const PackageFeature& feature);

/// "9,800" or "0.003512": four significant digits, thousands set apart.
[[nodiscard]] std::string short_number(double value);

/// Everything about a case that is unlike the training data, or that should be known and is not; one sentence each.
/// inputs: value by feature id; absent or NaN = missing (which the rules for missing values deal with, not this). harmonised: values after ComBat of
/// the features that have any; the training ranges of those are harmonised too.
[[nodiscard]] std::vector<std::string> applicability_flags(const PackageManifest& manifest, const std::map<std::string, double>& inputs, const PredictionContext& context,
                                                           const std::map<std::string, double>& harmonised = {});

}  // namespace choana::processing
