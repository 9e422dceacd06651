#pragma once

#include <cmath>
#include <vector>

namespace choana::processing {

/// A margin taken apart: base + sum of shares = margin. shares: one an input, in the learner's order.
struct Attribution {
  double base = 0;
  std::vector<double> shares;
};

/// Whether the parts give the whole: |base + sum of shares - margin| <= 1e-6 * (1 + |base| + sum of |shares|). What is
/// not additive is not shown.
[[nodiscard]] inline bool is_additive(const Attribution& attribution, double margin) {
  double sum = attribution.base, size = 1 + std::abs(attribution.base);
  for (const double share : attribution.shares) {
    sum += share;
    size += std::abs(share);
  }
  return std::abs(sum - margin) <= 1e-6 * size;
}

}  // namespace choana::processing
