#include "processing/prediction/readers/model_reader.h"

#include <algorithm>

#include "core/near_match.h"
#include "processing/prediction/readers/catboost_reader.h"
#include "processing/prediction/readers/ir_reader.h"
#include "processing/prediction/readers/lightgbm_reader.h"
#include "processing/prediction/readers/xgboost_reader.h"

namespace choana::processing {
namespace {

Result<Learner> read_graph(std::string_view bytes, const std::string& name, const std::vector<std::string>& inputs, const OnnxSelection& selection) {
  auto model = OnnxModel::read(bytes, name, inputs.size(), selection);
  if (!model) return fail(model.error());
  Learner learner;
  // A graph with one input for all features names none of them.
  learner.features = model->feature_names().empty() ? inputs : model->feature_names();
  learner.model = std::move(*model);
  return learner;
}

Result<Learner> read_bytes(const std::string& format, std::string_view bytes, const std::string& name, int iterations) {
  if (format == "ir") return read_ir(bytes, name);
  if (format.starts_with("xgboost")) return read_xgboost(bytes, name, iterations);
  if (format.starts_with("lightgbm")) return read_lightgbm(bytes, name);
  return read_catboost(bytes, name);
}

}  // namespace

const std::vector<std::string>& model_formats() {
  static const std::vector<std::string> formats{"ir", "xgboost", "lightgbm", "catboost", "xgboost_json", "xgboost_ubj", "lightgbm_text", "catboost_json", "onnx"};
  return formats;
}

Result<Learner> read_model(const std::string& format, std::string_view bytes, const std::string& name, const std::vector<std::string>& inputs, int iterations, const OnnxSelection& selection) {
  const auto refuse = [](const std::string& sentence) { return fail(ErrorCode::invalid_package, "read_model", sentence); };
  if (std::find(model_formats().begin(), model_formats().end(), format) == model_formats().end())
    return refuse("The model format '" + format.substr(0, 40) + "' is unknown." + did_you_mean(format, model_formats()));
  auto learner = format == "onnx" ? read_graph(bytes, name, inputs, selection) : read_bytes(format, bytes, name, iterations);
  if (!learner) return learner;
  if (learner->features.size() != inputs.size())
    return refuse(name + " wants " + std::to_string(learner->features.size()) + " inputs, and " + std::to_string(inputs.size()) + " are given.");
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const std::string& own = learner->features[i];
    if (own == inputs[i]) continue;
    if (format == "ir" || (!own.empty() && std::find(inputs.begin(), inputs.end(), own) != inputs.end()))
      return refuse("'" + inputs[i].substr(0, 128) + "' is given as input " + std::to_string(i + 1) + ", but " + name + " wants '" + own.substr(0, 128) + "' there.");
  }
  learner->features = inputs;
  return learner;
}

}  // namespace choana::processing
