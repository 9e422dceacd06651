#pragma once

#include <variant>
#include <vector>

#include "core/result.h"
#include "processing/prediction/learners/linear_model.h"
#include "processing/prediction/learners/support_vector_machine.h"
#include "processing/prediction/learners/tree_ensemble.h"

namespace choana::processing {

/// The mean of calibrated members (CalibratedClassifierCV): each a model of one margin and a map to a probability.
struct CalibratedModel {
  /// sigmoid: 1 / (1 + exp(a d + b)). isotonic: linear between the points, constant outside them.
  struct Calibrator {
    bool isotonic = false;
    double a = 0;
    double b = 0;
    std::vector<double> x;  // ascending
    std::vector<double> y;
  };
  struct Member {
    std::variant<LinearModel, SupportVectorMachine, TreeEnsemble> base;
    Calibrator calibrator;
  };
  std::vector<Member> members;
};

/// A calibration of another model's output (a stage `calibration`).
struct ScoreCalibration {
  CalibratedModel::Calibrator calibrator;
};

/// The probability that a calibrator makes of a value.
[[nodiscard]] double calibrate(const CalibratedModel::Calibrator& calibrator, double value);

/// Probability of class 1. Errors: missing_value (as `tree_margins`).
[[nodiscard]] Result<double> calibrated_probability(const CalibratedModel& model, const std::vector<double>& row);

}  // namespace choana::processing
