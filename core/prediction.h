#pragma once

#include <optional>
#include <string>
#include <vector>

namespace choana {

/// One input of a model and its share of the output.
struct Contribution {
  std::string feature;        // as in the package's features.csv
  std::string label;          // for people: "T2 original glcm JointEntropy"
  double value = 0;           // the input as measured (before scaling); NaN = missing
  std::string unit = "1";
  double contribution = 0;    // Shapley value in the explained space
};

/// An additive explanation: base + sum of contributions = output, all in `space`.
struct Explanation {
  std::string method;         // tree_path_dependent, linear, ...
  std::string space;          // margin (log-odds), probability
  double base = 0;
  double output = 0;
  std::vector<Contribution> contributions;  // in feature order
};

/// Is this patient like the training data?
struct Applicability {
  bool inside = true;
  std::vector<std::string> flags;  // one sentence each
};

/// The survival function that a Cox model gives a patient: steps, each survival[n] holds from time[n] on; before time[0] it is 1.
struct SurvivalCurve {
  std::string time_unit;         // month, day, year
  std::vector<double> time;      // ascending
  std::vector<double> survival;  // 0 to 1, falling
  std::vector<double> horizons;  // times that the package reports
};

/// How much a prediction depends on how exactly its regions were drawn: the model was run again on features of regions that were shifted, turned,
/// grown and shrunk a little. Says nothing of how right the model is.
struct Robustness {
  int count = 0;                    // perturbed regions that were asked for
  int used = 0;                     // those that could be measured and predicted
  double coverage = 0;              // share of the perturbed predictions between interval_low and interval_high
  double translation_mm = 0;        // standard deviations of the perturbations
  double rotation_deg = 0;
  double boundary_mm = 0;
  std::vector<std::string> moved;   // labels of the features that moved more than the package allows, the most moved first
  std::vector<std::string> kept;    // labels of features that were not measured again: habitats, networks
};

/// One output of one model package for one study.
struct Prediction {
  std::string package;        // id of the package
  std::string version;
  std::string status;         // demonstration | research | clinical
  std::string title;          // of the package
  std::string output;         // name of the output: "Complete response"
  std::string endpoint;       // short upper-case code for PROB_<EP>, at most 11 characters
  double value = 0;           // percent when unit is "%"
  std::string unit = "%";
  int decimals = 1;           // digits after the point where the value is shown to people
  std::optional<double> margin;
  std::optional<double> interval_low;   // with `robustness`: of the perturbed predictions and the value itself; otherwise a 95 % confidence interval
  std::optional<double> interval_high;
  std::optional<Robustness> robustness;
  std::optional<SurvivalCurve> survival_curve;
  std::optional<double> threshold;   // same unit as value
  std::string group;          // label of the side of the threshold: "likely responder"
  std::string risk;           // high | moderate | low | empty
  std::string performance;    // one line: "AUC 0.81 (95 % CI 0.74 to 0.88), internal test, n = 200, synthetic"
  std::string intended_use;
  Explanation explanation;
  Applicability applicability;
};

}  // namespace choana
