#pragma once

#include <vector>

namespace choana::processing {

/// Proportional hazards: log hazard = sum of coefficients * (x - centre), relative to a patient at the centre.
struct CoxModel {
  std::vector<double> coefficients;
  std::vector<double> centre;
  std::vector<double> times;                // ascending; unit as the package states it
  std::vector<double> cumulative_hazards;   // baseline at the centre, from each time on
};

[[nodiscard]] double log_hazard(const CoxModel& model, const std::vector<double>& row);

/// S(t) at every step of the baseline.
[[nodiscard]] std::vector<double> survival_steps(const CoxModel& model, double log_hazard);

/// Survival S(t) = exp(-H0(t) exp(log hazard)); H0 is the step reached at t, 0 before the first.
[[nodiscard]] double survival(const CoxModel& model, double log_hazard, double time);

}  // namespace choana::processing
