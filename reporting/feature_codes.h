#pragma once

#include <string>
#include <vector>

#include "core/coded_concept.h"
#include "core/feature.h"
#include "core/study_findings.h"

namespace choana::reporting {

/// How a feature is coded in results: one row of conf/feature-codes.tsv.
struct FeatureCode {
  std::string family;
  std::string name;
  CodedConcept concept_name;     // IBSI where the definition is the same, else 99CHOANA
  Unit unit;                     // of a normalised or filtered image
  std::string intensity_power;   // none, geom, I, I^2, I^2.mm3: how raw intensities enter
};

/// The rows of the embedded table, in its order.
[[nodiscard]] const std::vector<FeatureCode>& feature_codes();

/// Code of a feature; the image transform does not change it. A feature that the table does not know gets a private
/// code that is a function of its family and name, so that it never changes its sense. A deep feature's code is a function of its network too.
[[nodiscard]] FeatureCode feature_code(const FeatureId& id);

/// Unit of a feature: the row's, or powers of [arb'U] for raw intensities of the original image (spec/sr.md 5.3).
[[nodiscard]] Unit feature_unit(const FeatureId& id, bool raw_intensities);

/// Were the values taken from raw scanner intensities? False if the measurement's settings or a step of the pipeline
/// for its role normalised them.
[[nodiscard]] bool measured_raw_intensities(const Measurement& measurement, const std::vector<StepRecord>& steps);

}  // namespace choana::reporting
