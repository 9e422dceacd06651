#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/prediction.h"
#include "core/task_pool.h"
#include "processing/pipeline/package_plan.h"
#include "processing/pipeline/study_images.h"
#include "processing/pipeline/study_log.h"
#include "processing/pipeline/study_measurements.h"
#include "processing/prediction/model_package.h"

namespace choana::processing {

/// Predictions on regions that are shifted, turned, grown and shrunk a little, for the packages that ask for it.
class StudyRobustness {
 public:
  /// All outlive this.
  StudyRobustness(const StudyImages& images, const StudyMeasurements& measurements, StudyLog& log) : images_(images), measurements_(measurements), log_(log) {}

  /// Measure the features that the package needs again in perturbed regions and give its predictions their interval. Habitats and deep features stay as
  /// they were measured. A region is perturbed in the same way on all of its series. Nothing happens to a package without a `robustness` rule.
  void add(const ModelPackage& package, const PackagePlan& plan, const std::map<std::string, double>& inputs, const PredictionContext& context, TaskPool* pool,
           std::vector<Prediction>& predictions) const;

 private:
  const StudyImages& images_;
  const StudyMeasurements& measurements_;
  StudyLog& log_;
};

}  // namespace choana::processing
