#pragma once

#include <string>
#include <vector>

#include "core/result.h"
#include "core/task_pool.h"

namespace choana::processing::ibsi {

/// One reference value of the digital phantom and what this program computes for it.
struct PhantomCheck {
  std::string feature;       // IBSI's tag
  std::string code;
  std::string aggregation;   // empty where there is but one
  double value = 0;          // NaN: not computed
  double reference = 0;
  double tolerance = 0;      // printed, or half a unit of the third significant digit
  bool passed = false;
};

/// A feature that both modes have: the same definition, or a stated difference that turns the reference value into PyRadiomics'.
struct ModeCheck {
  std::string feature;       // IBSI's tag
  std::string code;
  std::string pyradiomics;   // firstorder_Kurtosis
  std::string aggregation;   // 3D_avg: PyRadiomics' default; 3D_merged: its weightingNorm no_weighting; else empty or 3D
  double ibsi = 0;           // value in IBSI mode
  double value = 0;          // value in PyRadiomics mode
  double expected = 0;       // the reference, after the stated difference
  double tolerance = 0;
  std::string difference;    // empty: the definitions agree
  bool passed = false;
};

struct PhantomSelftest {
  std::vector<PhantomCheck> checks;
  std::vector<ModeCheck> modes;
};

/// Measure the digital phantom in both modes and hold the values against the reference manual. Errors: those of the extractions.
[[nodiscard]] Result<PhantomSelftest> run_phantom_selftest(TaskPool* pool = nullptr);

}  // namespace choana::processing::ibsi
