#pragma once

#include <string_view>

#include "core/result.h"
#include "processing/prediction/package_manifest.h"

namespace choana::processing {

/// Read manifest.yaml of format choana-model/1 (spec/models.md 7.4; conf/models/README.md). Files that it names are not
/// opened: `features`, `extraction` and `performance` stay empty. Unknown keys are errors that name the near match.
/// Errors: invalid_package, limit_exceeded.
[[nodiscard]] Result<PackageManifest> read_manifest(std::string_view yaml);

/// Read features.csv: columns order, id, role, roi, kind, feature, unit, train_mean, train_sd, q01, q99; icc and label
/// may follow. Sorted by order, which counts from 1 without a gap.
/// Errors: invalid_package, limit_exceeded.
[[nodiscard]] Result<std::vector<PackageFeature>> read_package_features(std::string_view csv);

}  // namespace choana::processing
