#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/result.h"
#include "processing/prediction/learners/calibrated_model.h"
#include "processing/prediction/learners/cox_model.h"
#include "processing/prediction/learners/gaussian_naive_bayes.h"
#include "processing/prediction/learners/gaussian_process.h"
#include "processing/prediction/learners/linear_model.h"
#include "processing/prediction/learners/multilayer_perceptron.h"
#include "processing/prediction/learners/nearest_neighbours.h"
#include "processing/prediction/learners/onnx_model.h"
#include "processing/prediction/learners/support_vector_machine.h"
#include "processing/prediction/learners/tree_ensemble.h"

namespace choana::processing {

/// z = (x - mean) / scale in double, input by input. A missing value stays missing.
struct StandardScaler {
  std::vector<double> mean;
  std::vector<double> scale;

  [[nodiscard]] std::vector<double> apply(const std::vector<double>& row) const;
};

/// What training left behind: the inputs by name and in order, an optional scaler that acts before everything else, and
/// the parameters of one kind of model.
struct Learner {
  std::vector<std::string> features;
  std::optional<StandardScaler> scaler;
  std::variant<LinearModel, TreeEnsemble, SupportVectorMachine, GaussianNaiveBayes, MultilayerPerceptron, CalibratedModel, NearestNeighbours, GaussianProcess,
               CoxModel, ScoreCalibration, OnnxModel> model;

  [[nodiscard]] std::string_view kind() const;  // as in the IR: linear, tree_ensemble, svm, ...
  /// From margin to value: identity means that the two are equal. An svm and a calibrated model have maps of their own,
  /// which count as logistic.
  [[nodiscard]] Link link() const;
  /// Whether the margin is the probability itself (no log-odds or score of its own), so that that of the other class is 1 - margin.
  [[nodiscard]] bool margin_is_share() const;
  [[nodiscard]] std::size_t outputs() const;    // 1, or the number of classes of a softmax
};

/// What a learner says of one row. margins: before the link; values: after it. Same length, all finite. A calibrated
/// model has no margin of its own: its margin is the log-odds of its probability where that is finite, else +-37. The
/// margin of nearest neighbours is the share itself, of a Gaussian process the latent mean, of a Cox model the log hazard, of a sigmoid calibration the
/// log-odds -(a x + b), of an isotonic one the value x that it calibrates, of an ONNX graph its score
/// where one is named, else the value itself.
struct LearnerScore {
  std::vector<double> margins;
  std::vector<double> values;
};

/// Score one row. row: inputs in the order of `learner.features`, NaN = missing.
/// Errors: missing_value (an input is missing and the model has no rule for it), invalid_argument (length; an infinite
/// input), not_computable (the margin is not finite).
[[nodiscard]] Result<LearnerScore> score(const Learner& learner, const std::vector<double>& row);

/// The margins of many rows, each as `score` gives it; an ONNX graph runs once for all of them. Errors: as `score`.
[[nodiscard]] Result<std::vector<std::vector<double>>> margins_of(const Learner& learner, const std::vector<std::vector<double>>& rows);

}  // namespace choana::processing
