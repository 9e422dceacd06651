#pragma once

#include <string>

#include "core/result.h"
#include "processing/prediction/learners/onnx_model.h"
#include "processing/prediction/package_files.h"

namespace choana::processing {

/// A learner from another program, and what proves that it computes the same here.
struct ImportRequest {
  std::string format;       // model_formats()
  std::string model;        // bytes of the file
  std::string features_csv;  // column `feature`: names in order; optional unit, train_mean, train_sd, q01, q99
  std::string selftest_csv;  // the features and `expected`, or `expected.0`, `expected.1`, ... (one a class); optional `case`
  std::string background_csv;  // the features; empty: none. At most 100 rows
  std::string id = "imported-model";
  std::string version = "1.0.0";
  std::string title;         // empty: made of the format
  OnnxSelection onnx;        // onnx: which values of the graph
  double tolerance = 1e-6;   // relative to max(1, |expected|)
};

/// Make the files of a package (format choana-model/1) with one learner and one output named `prediction`: the model's
/// file unchanged, its features, its self-test rows, a manifest and the sums. Two columns expected.0 and expected.1 of a
/// two-class model make an output of both classes. An XGBoost model that stopped early is cut to its best round if only
/// then its rows come out as expected. Nothing is written; the caller admits the files.
/// Errors: invalid_package (the model is refused), invalid_argument (a table does not fit), selftest_mismatch (the model
/// gives other numbers here than expected: row, expected and computed value), limit_exceeded.
[[nodiscard]] Result<PackageFiles> import_model(const ImportRequest& request);

}  // namespace choana::processing
