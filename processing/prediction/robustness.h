#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/prediction.h"
#include "processing/prediction/model_package.h"

namespace choana::processing {

/// Say of predictions how much they depend on how exactly the regions were drawn (the package's `robustness` rule).
/// inputs: of the predictions. perturbed: the same with the features of perturbed regions in place, one row a perturbation that could be measured.
/// again: ids of the features that were measured again. context: as given to `predict`.
/// interval_low and interval_high become the quantiles (linear between order statistics) that hold `coverage` of the perturbed predictions, widened to hold the prediction
/// itself; they stay empty when fewer than half of the perturbed regions gave a prediction. Features whose perturbed values have a standard deviation above
/// `moved_sd` times train_sd are named. Without a rule nothing changes.
void add_robustness(const ModelPackage& package, const std::map<std::string, double>& inputs, const std::vector<std::map<std::string, double>>& perturbed, const std::set<std::string>& again,
                    const PredictionContext& context, std::vector<Prediction>& predictions);

}  // namespace choana::processing
