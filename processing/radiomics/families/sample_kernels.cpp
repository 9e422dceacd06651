#include "processing/radiomics/families/sample_kernels.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>

#include "core/vectorised.h"

namespace choana::processing {
namespace {

constexpr std::size_t lanes = 8;
constexpr std::size_t buckets = 2048;

[[gnu::always_inline]] inline double joined(const double* lane) {
  return ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]));
}

/// f(value, lane) for every value; the lane is fixed by the place of the value.
template <typename Function>
[[gnu::always_inline]] inline void each_lane(const double* values, std::size_t count, Function&& f) {
  std::size_t at = 0;
  for (; at + lanes <= count; at += lanes)
    for (std::size_t l = 0; l < lanes; ++l) f(values[at + l], l);
  for (std::size_t l = 0; at < count; ++at, ++l) f(values[at], l);
}

CHOANA_VECTORISED void find_range(const double* values, std::size_t count, double* low, double* high, double* sum) {
  double lows[lanes], highs[lanes], sums[lanes];
  for (std::size_t l = 0; l < lanes; ++l) {
    lows[l] = highs[l] = values[0];
    sums[l] = 0;
  }
  each_lane(values, count, [&](double value, std::size_t l) __attribute__((always_inline)) {
    lows[l] = value < lows[l] ? value : lows[l];
    highs[l] = value > highs[l] ? value : highs[l];
    sums[l] += value;
  });
  *low = lows[0];
  *high = highs[0];
  for (std::size_t l = 1; l < lanes; ++l) {
    *low = std::min(*low, lows[l]);
    *high = std::max(*high, highs[l]);
  }
  *sum = joined(sums);
}

CHOANA_VECTORISED std::uint64_t count_not_finite(const double* values, std::size_t count) {
  std::uint64_t found = 0;
  // A number less itself is 0, unless it is infinite or none.
  for (std::size_t at = 0; at < count; ++at) found += values[at] - values[at] == 0 ? 0u : 1u;
  return found;
}

CHOANA_VECTORISED double add_squares(const double* values, std::size_t count, double shift) {
  double sums[lanes] = {};
  each_lane(values, count, [&](double value, std::size_t l) __attribute__((always_inline)) { sums[l] += (value + shift) * (value + shift); });
  return joined(sums);
}

CHOANA_VECTORISED void add_powers(const double* values, std::size_t count, double mean, CentralSums* result) {
  double absolute[lanes] = {}, second[lanes] = {}, third[lanes] = {}, fourth[lanes] = {};
  each_lane(values, count, [&](double value, std::size_t l) __attribute__((always_inline)) {
    const double d = value - mean;
    const double square = d * d;
    absolute[l] += std::fabs(d);
    second[l] += square;
    third[l] += square * d;
    fourth[l] += square * square;
  });
  *result = {joined(absolute), joined(second), joined(third), joined(fourth)};
}

CHOANA_VECTORISED void add_within(const double* values, std::size_t count, double low, double high, double* sum, double* members) {
  double sums[lanes] = {}, counts[lanes] = {};
  each_lane(values, count, [&](double value, std::size_t l) __attribute__((always_inline)) {
    const bool in = (value >= low) & (value <= high);
    sums[l] += in ? value : 0.0;
    counts[l] += in ? 1.0 : 0.0;
  });
  *sum = joined(sums);
  *members = joined(counts);
}
CHOANA_VECTORISED double add_deviations_within(const double* values, std::size_t count, double low, double high, double centre) {
  double sums[lanes] = {};
  each_lane(values, count, [&](double value, std::size_t l) __attribute__((always_inline)) {
    const bool in = (value >= low) & (value <= high);
    sums[l] += in ? std::fabs(value - centre) : 0.0;
  });
  return joined(sums);
}

CHOANA_VECTORISED void find_buckets(const double* values, std::size_t count, double low, double scale, std::int32_t* bucket) {
  for (std::size_t at = 0; at < count; ++at) {
    const double position = (values[at] - low) * scale;
    bucket[at] = static_cast<std::int32_t>(position < static_cast<double>(buckets - 1) ? position : static_cast<double>(buckets - 1));
  }
}

}  // namespace

SampleRange range_and_sum(std::span<const double> values) {
  SampleRange range;
  find_range(values.data(), values.size(), &range.low, &range.high, &range.sum);
  return range;
}

bool all_finite(std::span<const double> values) { return count_not_finite(values.data(), values.size()) == 0; }

double sum_of_squares(std::span<const double> values, double shift) { return add_squares(values.data(), values.size(), shift); }

CentralSums central_sums(std::span<const double> values, double mean) {
  CentralSums sums;
  add_powers(values.data(), values.size(), mean, &sums);
  return sums;
}

double deviation_within(std::span<const double> values, double low, double high) {
  double sum = 0;
  double members = 0;
  add_within(values.data(), values.size(), low, high, &sum, &members);
  if (!(members > 0)) return std::numeric_limits<double>::quiet_NaN();
  return add_deviations_within(values.data(), values.size(), low, high, sum / members) / members;
}

std::vector<double> order_statistics(std::span<const double> values, double low, double high, std::span<const std::size_t> places) {
  std::vector<double> result(places.size(), low);
  if (low == high) return result;
  const double scale = static_cast<double>(buckets) / (high - low);
  if (!(scale > 0) || !std::isfinite(scale)) {
    std::vector<double> sorted(values.begin(), values.end());
    std::sort(sorted.begin(), sorted.end());
    for (std::size_t at = 0; at < places.size(); ++at) result[at] = sorted[places[at]];
    return result;
  }
  // Buckets never exchange the order of two values, so that only those which hold a wanted place are looked into.
  std::vector<std::int32_t> bucket(values.size());
  find_buckets(values.data(), values.size(), low, scale, bucket.data());
  std::array<std::array<std::uint32_t, buckets>, 4> counts{};
  std::size_t at = 0;
  for (; at + 4 <= bucket.size(); at += 4)
    for (std::size_t l = 0; l < 4; ++l) ++counts[l][static_cast<std::size_t>(bucket[at + l])];
  for (; at < bucket.size(); ++at) ++counts[0][static_cast<std::size_t>(bucket[at])];
  std::array<std::size_t, buckets + 1> first{};
  for (std::size_t b = 0; b < buckets; ++b) first[b + 1] = first[b] + counts[0][b] + counts[1][b] + counts[2][b] + counts[3][b];
  const auto bucket_of = [&](std::size_t place) { return static_cast<std::size_t>(std::upper_bound(first.begin(), first.end(), place) - first.begin()) - 1; };
  std::array<std::int16_t, buckets> slot;
  slot.fill(-1);
  std::vector<std::vector<double>> members;
  for (const std::size_t place : places)
    if (std::int16_t& own = slot[bucket_of(place)]; own < 0) {
      own = static_cast<std::int16_t>(members.size());
      members.emplace_back();
      members.back().reserve(first[bucket_of(place) + 1] - first[bucket_of(place)]);
    }
  for (std::size_t value = 0; value < values.size(); ++value)
    if (const std::int16_t own = slot[static_cast<std::size_t>(bucket[value])]; own >= 0) members[static_cast<std::size_t>(own)].push_back(values[value]);
  for (std::vector<double>& one : members) {
    const bool equal = std::all_of(one.begin(), one.end(), [&](double value) { return value == one.front(); });
    if (!equal) std::sort(one.begin(), one.end());
  }
  for (std::size_t place = 0; place < places.size(); ++place) {
    const std::size_t b = bucket_of(places[place]);
    result[place] = members[static_cast<std::size_t>(slot[b])][places[place] - first[b]];
  }
  return result;
}

}  // namespace choana::processing
