#pragma once

#include <map>
#include <optional>
#include <string>

#include "core/study_findings.h"
#include "processing/pipeline/package_plan.h"
#include "processing/pipeline/study_measurements.h"
#include "processing/pipeline/study_series.h"
#include "processing/prediction/prediction_context.h"
#include "processing/study_pipeline.h"

namespace choana::processing {

/// The values of a package's features in this study. What is not there is left out; the package's rule for missing values decides.
class PackageInputs {
 public:
  /// All outlive this.
  PackageInputs(const StudyInput& input, const StudySeries& series, const StudyMeasurements& measurements, StudyFindings& findings, StudyLog& log)
      : input_(input), series_(series), measurements_(measurements), findings_(findings), log_(log) {}

  /// By feature id. Clinical values that are used are noted in the findings.
  [[nodiscard]] std::map<std::string, double> gather(const ModelPackage& package, const PackagePlan& plan);

  /// What the package's ranges of acquisition and volume are held against: the series in its roles, and the regions as they lie on the first
  /// of their series that was received.
  [[nodiscard]] PredictionContext context(const PackageManifest& manifest, const PackagePlan& plan) const;

 private:
  /// What is known of a habitat without measuring it: its volume, its share of the region, and how many there are.
  [[nodiscard]] std::optional<double> habitat_value(const PackagePlan& plan, const PackageFeature& feature) const;
  /// A clinical value that the package may use; otherwise an issue says why not.
  [[nodiscard]] std::optional<double> clinical_value(const PackageManifest& manifest, const PackageFeature& feature);

  const StudyInput& input_;
  const StudySeries& series_;
  const StudyMeasurements& measurements_;
  StudyFindings& findings_;
  StudyLog& log_;
};

}  // namespace choana::processing
