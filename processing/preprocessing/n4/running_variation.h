#pragma once

#include <cstddef>

namespace choana::processing {

/// Coefficient of variation as ITK's N4 measures convergence: mean and sum of squares are single floats, updated value by value. Beyond some ten thousand
/// values the mean can no longer move, so the figure differs from the true statistic, and iteration counts depend on it. Bit for bit that recurrence:
///   N += 1;  if N > 1: Q = float(Q + (e - M)^2 (N - 1) / N);  M = float(M (1 - 1/N) + e / N)
/// with (e - M)^2 and e / N in float, the rest in double; N is a float too and stops at 2^24.
class RunningVariation {
 public:
  void add(const float* values, std::size_t count);
  /// sqrt(Q / (N - 1)) / M; not a number below two values.
  [[nodiscard]] float value() const;

  [[nodiscard]] float mean() const { return mean_; }
  [[nodiscard]] float sum_of_squares() const { return squares_; }

 private:
  void add_one(float value);
  [[nodiscard]] bool add_block(const float* values);

  float count_ = 0;
  float mean_ = 0;
  float squares_ = 0;
};

}  // namespace choana::processing
