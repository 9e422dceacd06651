#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace choana::processing {

/// Sums over a sample are taken in eight lanes that are joined in a fixed order: the same bits on every machine.

/// Smallest, largest and sum of values that are not empty and finite.
struct SampleRange {
  double low = 0;
  double high = 0;
  double sum = 0;
};
[[nodiscard]] SampleRange range_and_sum(std::span<const double> values);

/// Is every value a finite number?
[[nodiscard]] bool all_finite(std::span<const double> values);

/// Sum of (x + shift)^2.
[[nodiscard]] double sum_of_squares(std::span<const double> values, double shift);

/// Sums of |x - mean|, (x - mean)^2, ^3 and ^4.
struct CentralSums {
  double absolute = 0;
  double second = 0;
  double third = 0;
  double fourth = 0;
};
[[nodiscard]] CentralSums central_sums(std::span<const double> values, double mean);

/// Mean absolute deviation of the values in the closed range [low, high] around their own mean; NaN when there are none.
[[nodiscard]] double deviation_within(std::span<const double> values, double low, double high);

/// The values that stand at some places when the sample is sorted ascending, without sorting it. places: each below values.size();
/// low, high: smallest and largest value.
[[nodiscard]] std::vector<double> order_statistics(std::span<const double> values, double low, double high, std::span<const std::size_t> places);

}  // namespace choana::processing
