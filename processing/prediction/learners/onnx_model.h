#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "processing/prediction/learners/link.h"

namespace choana::processing {

/// Which values of an ONNX graph a learner uses; what is not said is found where there is no doubt.
struct OnnxSelection {
  std::string input;                // of the graph; empty: its only one, or one a feature
  std::string output;               // probabilities or the value; empty: the graph's only output of floating numbers
  std::string score;                // what is explained, before the probability; empty: the value itself
  std::optional<int> chosen_class;  // give this class alone; otherwise class 1 of two, and all of more
};

/// An ONNX graph as a learner: rows of float32, float64 or int64 go in, one value a class comes out. Immutable; copies share the graph; safe to use from
/// several threads, one after the other.
class OnnxModel {
 public:
  /// features: number of inputs. The graph takes them as one input of that width, or as one input each; a value is rounded to the graph's type, as every
  /// runtime does. Two columns whose values are probabilities are one output, of class 1. Every chosen value is computed once on trial.
  /// A two-class SVMClassifier without probabilities gives its decision with class 1 positive, as scikit-learn does (spec/models.md, trap 20).
  /// Errors: invalid_package (as `read_onnx` and `OnnxSession`; the graph does not take that many features; which value to use is in doubt: the message
  /// lists them), limit_exceeded.
  static Result<OnnxModel> read(std::string_view bytes, const std::string& name, std::size_t features, const OnnxSelection& selection);

  struct Rows {
    std::vector<std::vector<double>> margins;  // a row, then a class
    std::vector<std::vector<double>> values;
  };
  /// Errors: invalid_argument (a value that the graph's type cannot hold), not_computable (a value is no probability where it must be), invalid_package.
  [[nodiscard]] Result<Rows> score(const std::vector<std::vector<double>>& rows) const;

  /// own: the values are probabilities; identity: they are not known to be.
  [[nodiscard]] Link link() const;
  [[nodiscard]] std::size_t outputs() const;
  /// Whether the margin is a score of its own; otherwise it is the value.
  [[nodiscard]] bool has_score() const;
  /// Whether the graph has an operator that deals with a missing value (trees, an imputer, a test for NaN).
  [[nodiscard]] bool takes_missing() const;
  /// Names of the graph's inputs where it has one a feature, in order; empty otherwise.
  [[nodiscard]] const std::vector<std::string>& feature_names() const;
  /// "TreeEnsembleClassifier" or "17 operators".
  [[nodiscard]] const std::string& summary() const;

 private:
  struct State;
  std::shared_ptr<const State> state_;
};

}  // namespace choana::processing
