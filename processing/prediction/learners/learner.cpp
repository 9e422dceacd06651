#include "processing/prediction/learners/learner.h"

#include <cmath>

namespace choana::processing {

std::vector<double> StandardScaler::apply(const std::vector<double>& row) const {
  std::vector<double> scaled(row.size());
  for (std::size_t i = 0; i < row.size(); ++i) scaled[i] = (row[i] - mean[i]) / scale[i];
  return scaled;
}

std::string_view Learner::kind() const {
  return std::holds_alternative<LinearModel>(model) ? "linear" : "tree_ensemble";
}

Link Learner::link() const {
  return std::visit([](const auto& m) { return m.link; }, model);
}

std::size_t Learner::outputs() const {
  if (const auto* trees = std::get_if<TreeEnsemble>(&model)) return trees->base.size();
  return std::get<LinearModel>(model).intercepts.size();
}

Result<LearnerScore> score(const Learner& learner, const std::vector<double>& row) {
  if (row.size() != learner.features.size())
    return fail(ErrorCode::invalid_argument, "predict",
                "The model takes " + std::to_string(learner.features.size()) + " inputs, got " +
                    std::to_string(row.size()) + ".");
  const bool is_linear = std::holds_alternative<LinearModel>(learner.model);
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (std::isinf(row[i]))
      return fail(ErrorCode::invalid_argument, "predict", "The input " + learner.features[i] + " is infinite.");
    if (is_linear && std::isnan(row[i]))
      return fail(ErrorCode::missing_value, "predict",
                  "The input " + learner.features[i] + " is missing and a linear model needs every input.");
  }
  const std::vector<double> z = learner.scaler ? learner.scaler->apply(row) : row;
  LearnerScore result;
  if (is_linear) {
    result.margins = linear_margins(std::get<LinearModel>(learner.model), z);
  } else {
    auto margins = tree_margins(std::get<TreeEnsemble>(learner.model), z);
    if (!margins) return fail(margins.error());
    result.margins = std::move(*margins);
  }
  result.values = apply_link(learner.link(), result.margins);
  for (std::size_t g = 0; g < result.margins.size(); ++g)
    if (!std::isfinite(result.margins[g]) || !std::isfinite(result.values[g]))
      return fail(ErrorCode::not_computable, "predict", "The model's output is not a finite number for these inputs.");
  return result;
}

}  // namespace choana::processing
