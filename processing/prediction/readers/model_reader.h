#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "processing/prediction/learners/learner.h"

namespace choana::processing {

/// Names of the formats that a stage may state: ir, xgboost, lightgbm, catboost, onnx. xgboost_json, xgboost_ubj, lightgbm_text
/// and catboost_json mean the same files.
[[nodiscard]] const std::vector<std::string>& model_formats();

/// Read a learner's file and bind its inputs. inputs: names in the order in which values will be given; the file's own
/// names must be the same in the same order where it has names (IR), or must at least not name the same inputs in
/// another order (the libraries invent and rewrite names). iterations: xgboost only, see `read_xgboost`; 0: all. selection: onnx only.
/// Errors: as the reader of the format; invalid_package for another number or order of inputs.
[[nodiscard]] Result<Learner> read_model(const std::string& format, std::string_view bytes, const std::string& name,
                                         const std::vector<std::string>& inputs, int iterations = 0, const OnnxSelection& selection = {});

}  // namespace choana::processing
