#include "processing/preprocessing/discretiser.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>

namespace choana::processing {
namespace {

constexpr double bins_max = 1e8;

Result<std::pair<double, double>> range_of(std::span<const double> values) {
  if (values.empty()) return fail(ErrorCode::degenerate_input, "discretise", "The region holds no voxel.");
  double low = values[0];
  double high = values[0];
  for (const double value : values) {
    if (!std::isfinite(value)) return fail(ErrorCode::degenerate_input, "discretise", "The region holds a value that is not a number.");
    low = std::min(low, value);
    high = std::max(high, value);
  }
  return std::pair{low, high};
}

void collect_present(Discretisation& result) {
  const auto [low, high] = std::minmax_element(result.levels.begin(), result.levels.end());
  result.highest = *high;
  const auto span = static_cast<std::size_t>(*high - *low) + 1;
  if (span <= 4 * result.levels.size() + 1024) {
    std::vector<char> seen(span, 0);
    for (const int level : result.levels) seen[static_cast<std::size_t>(level - *low)] = 1;
    for (std::size_t offset = 0; offset < span; ++offset)
      if (seen[offset] != 0) result.present.push_back(*low + static_cast<int>(offset));
    return;
  }
  result.present = result.levels;
  std::sort(result.present.begin(), result.present.end());
  result.present.erase(std::unique(result.present.begin(), result.present.end()), result.present.end());
}

}  // namespace

Result<Discretisation> discretise_by_width(std::span<const double> values, double bin_width) {
  const auto range = range_of(values);
  if (!range) return fail(range.error());
  const auto [low, high] = *range;
  // Python's modulo: the sign of the divisor.
  double remainder = std::fmod(low, bin_width);
  if (remainder < 0) remainder += bin_width;
  const double first = low - remainder;
  const double step = (first + bin_width) - first;
  if (!(step > 0) || (high - first) / step > bins_max)
    return fail(ErrorCode::limit_exceeded, "discretise",
                "A bin width of " + std::to_string(bin_width) + " gives more than 100 million grey levels here. Choose a larger binWidth or a binCount.");
  Discretisation result;
  result.levels.reserve(values.size());
  const auto edge = [&](double index) { return first + index * step; };
  for (const double value : values) {
    // The quotient may be off by rounding; the edges decide.
    double index = std::floor((value - first) / step);
    while (index > 0 && edge(index) > value) index -= 1;
    while (edge(index + 1) <= value) index += 1;
    result.levels.push_back(static_cast<int>(index) + 1);
  }
  collect_present(result);
  return result;
}

Result<Discretisation> discretise_by_count(std::span<const double> values, int bin_count, bool single_precision) {
  const auto range = range_of(values);
  if (!range) return fail(range.error());
  if (bin_count < 1 || bin_count > 100000000) return fail(ErrorCode::limit_exceeded, "discretise", "binCount must be between 1 and 100 million.");
  auto [low, high] = *range;
  if (low == high) {
    low -= 0.5;
    high += 0.5;
  }
  const double step = (high - low) / bin_count;
  const double last = single_precision ? static_cast<double>(static_cast<float>(static_cast<float>(high) + 1.0f)) : high + 1;
  const auto edge = [&](int index) {
    if (index >= bin_count) return last;
    const double exact = static_cast<double>(index) * step + low;
    return single_precision ? static_cast<double>(static_cast<float>(exact)) : exact;
  };
  Discretisation result;
  result.levels.reserve(values.size());
  for (const double value : values) {
    int index = 0;
    if (step > 0) index = std::clamp(static_cast<int>(std::floor((value - low) / step)), 0, bin_count - 1);
    while (index > 0 && edge(index) > value) --index;
    while (index < bin_count && edge(index + 1) <= value) ++index;
    result.levels.push_back(index + 1);
  }
  collect_present(result);
  return result;
}

}  // namespace choana::processing
