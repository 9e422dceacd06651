#include "processing/preprocessing/discretiser.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>

#include "core/vectorised.h"

namespace choana::processing {
namespace {

constexpr double bins_max = 1e8;

/// Smallest and largest value, and how many are no finite numbers.
CHOANA_VECTORISED std::uint64_t scan_values(const double* values, std::size_t count, double* low, double* high) {
  constexpr std::size_t lanes = 8;
  double lows[lanes], highs[lanes];
  for (std::size_t l = 0; l < lanes; ++l) lows[l] = highs[l] = values[0];
  std::uint64_t not_finite = 0;
  for (std::size_t at = 0; at < count; ++at) not_finite += values[at] - values[at] == 0 ? 0u : 1u;
  std::size_t at = 0;
  for (; at + lanes <= count; at += lanes)
    for (std::size_t l = 0; l < lanes; ++l) {
      lows[l] = values[at + l] < lows[l] ? values[at + l] : lows[l];
      highs[l] = values[at + l] > highs[l] ? values[at + l] : highs[l];
    }
  for (; at < count; ++at) {
    lows[0] = values[at] < lows[0] ? values[at] : lows[0];
    highs[0] = values[at] > highs[0] ? values[at] : highs[0];
  }
  *low = *std::min_element(lows, lows + lanes);
  *high = *std::max_element(highs, highs + lanes);
  return not_finite;
}

Result<std::pair<double, double>> range_of(std::span<const double> values) {
  if (values.empty()) return fail(ErrorCode::degenerate_input, "discretise", "The region holds no voxel.");
  double low = 0;
  double high = 0;
  if (scan_values(values.data(), values.size(), &low, &high) != 0)
    return fail(ErrorCode::degenerate_input, "discretise", "The region holds a value that is not a number.");
  return std::pair{low, high};
}

/// Levels for edges first + index x step. The quotient may be off by rounding; the edges decide. Returns how many voxels are more than one
/// edge off, which the caller settles one by one.
CHOANA_VECTORISED std::uint64_t assign_levels(const double* values, std::size_t count, double first, double step, int* levels) {
  std::uint64_t unsettled = 0;
  for (std::size_t at = 0; at < count; ++at) {
    const double value = values[at];
    int index = static_cast<int>((value - first) / step);
    index += (first + static_cast<double>(index + 1) * step <= value ? 1 : 0) - (first + static_cast<double>(index) * step > value ? 1 : 0);
    unsettled += (first + static_cast<double>(index + 1) * step <= value) | (first + static_cast<double>(index) * step > value) ? 1u : 0u;
    levels[at] = index + 1;
  }
  return unsettled;
}

CHOANA_VECTORISED void find_level_range(const int* levels, std::size_t count, int* low, int* high) {
  int lowest = levels[0];
  int highest = levels[0];
  for (std::size_t at = 0; at < count; ++at) {
    lowest = std::min(lowest, levels[at]);
    highest = std::max(highest, levels[at]);
  }
  *low = lowest;
  *high = highest;
}

void collect_present(Discretisation& result) {
  int low = 0;
  int high = 0;
  find_level_range(result.levels.data(), result.levels.size(), &low, &high);
  result.highest = high;
  const auto span = static_cast<std::size_t>(high - low) + 1;
  if (span <= 4 * result.levels.size() + 1024) {
    std::vector<char> seen(span, 0);
    for (const int level : result.levels) seen[static_cast<std::size_t>(level - low)] = 1;
    for (std::size_t offset = 0; offset < span; ++offset)
      if (seen[offset] != 0) result.present.push_back(low + static_cast<int>(offset));
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
  result.levels.resize(values.size());
  if (assign_levels(values.data(), values.size(), first, step, result.levels.data()) != 0) {
    const auto edge = [&](double index) { return first + index * step; };
    for (std::size_t at = 0; at < values.size(); ++at) {
      double index = std::floor((values[at] - first) / step);
      while (index > 0 && edge(index) > values[at]) index -= 1;
      while (edge(index + 1) <= values[at]) index += 1;
      result.levels[at] = static_cast<int>(index) + 1;
    }
  }
  collect_present(result);
  return result;
}

Result<Discretisation> discretise_by_count(std::span<const double> values, int bin_count, bool single_precision) {
  const auto range = range_of(values);
  if (!range) return fail(range.error());
  if (bin_count < 1 || bin_count > 100000000) return fail(ErrorCode::limit_exceeded, "discretise", "binCount must be between 1 and 100 million.");
  double low = range->first;  // not a structured binding: Clang 14 cannot capture one
  double high = range->second;
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
