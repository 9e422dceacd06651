#include "processing/preprocessing/n4/running_variation.h"

#include <bit>
#include <cmath>
#include <cstdint>

#include "core/vectorised.h"

namespace choana::processing {
namespace {

constexpr std::size_t block = 32;
constexpr float count_max = 16777216.0F;  // 2^24: one more is not a float

/// Two to the power of the exponent of a normal float.
double binade(float value) { return std::bit_cast<double>(static_cast<std::uint64_t>((std::bit_cast<std::uint32_t>(value) >> 23U) + 896U) << 52U); }

bool has_fraction(float value) { return (std::bit_cast<std::uint32_t>(value) & 0x7FFFFFU) != 0; }

/// Differences from the mean. Returns whether one of them is not within the limit.
CHOANA_VECTORISED bool leave_limit(const float* values, float mean, float limit, float* differences) {
  std::int32_t beyond = 0;
  for (std::size_t i = 0; i < block; ++i) {
    differences[i] = values[i] - mean;
    beyond |= std::fabs(differences[i]) < limit ? 0 : 1;
  }
  return beyond != 0;
}

/// Sum of (e - M)^2 (n - 1) / n, each rounded to whole units. Returns -1 if one of them is too near to the middle between two.
CHOANA_VECTORISED double whole_units(const float* differences, double first, double step, double per_unit) {
  constexpr double whole = 6755399441055744.0;  // 1.5 * 2^52: adding and subtracting rounds to a whole number
  double rounded[block];
  double doubtful[block];
  for (int i = 0; i < static_cast<int>(block); ++i) {
    const double n = first + step * static_cast<double>(i);
    const float d = differences[i];
    const double units = static_cast<double>(d * d) * (n - 1.0) / n * per_unit;
    rounded[i] = (units + whole) - whole;
    // Near the middle the double sum Q + t decides, not t alone; beyond 2^24 the binade is left anyway.
    const double from_middle = std::fabs(std::fabs(units - rounded[i]) - 0.5);
    doubtful[i] = from_middle < 1e-6 ? 1.0 : units < 16777216.0 ? 0.0 : 1.0;
  }
  for (std::size_t half = block / 2; half > 0; half /= 2)
    for (std::size_t i = 0; i < half; ++i) {
      rounded[i] += rounded[i + half];
      doubtful[i] += doubtful[i + half];
    }
  return doubtful[0] == 0 ? rounded[0] : -1;
}

}  // namespace

void RunningVariation::add_one(float value) {
  count_ += 1.0F;
  const auto n = static_cast<double>(count_);
  if (count_ > 1.0F) {
    const float difference = value - mean_;
    squares_ = static_cast<float>(static_cast<double>(squares_) + static_cast<double>(difference * difference) * (n - 1.0) / n);
  }
  mean_ = static_cast<float>(static_cast<double>(mean_) * (1.0 - 1.0 / n) + static_cast<double>(value / count_));
}

// The recurrence waits for itself at every step. In a block in which the mean cannot move, the sum of squares grows by whole units of its last place,
// and whole numbers may be added in any order. Returns false, with nothing changed, where that cannot be shown.
bool RunningVariation::add_block(const float* values) {
  if (count_ < 1024.0F || !(mean_ > 0) || !(squares_ > 1e-30F)) return false;
  const bool saturated = count_ >= count_max;
  if (!saturated && count_ + static_cast<float>(block) > count_max) return false;

  // M stays while |e - M| / N is below half a unit of its last place; the two per cent are for the rounding of e / N. Below a power of
  // two the unit is half of that above.
  const double mean_unit = binade(mean_) * 0x1p-24;
  const auto limit = static_cast<float>(0.98 * 0.5 * mean_unit * static_cast<double>(count_) * (has_fraction(mean_) ? 2 : 1));
  float differences[block];
  if (leave_limit(values, mean_, limit, differences)) return false;

  const double floor = binade(squares_);
  const double unit = floor * 0x1p-23;
  const double first = saturated ? static_cast<double>(count_max) : static_cast<double>(count_) + 1.0;
  const double units = whole_units(differences, first, saturated ? 0.0 : 1.0, 1.0 / unit);
  if (units < 0) return false;
  const double grown = static_cast<double>(squares_) + units * unit;
  if (!(grown < 2 * floor)) return false;
  squares_ = static_cast<float>(grown);
  if (!saturated) count_ += static_cast<float>(block);
  return true;
}

void RunningVariation::add(const float* values, std::size_t count) {
  std::size_t at = 0;
  for (; at + block <= count; at += block)
    if (!add_block(values + at))
      for (std::size_t i = 0; i < block; ++i) add_one(values[at + i]);
  for (; at < count; ++at) add_one(values[at]);
}

float RunningVariation::value() const {
  const auto sigma = static_cast<float>(std::sqrt(static_cast<double>(squares_) / (static_cast<double>(count_) - 1.0)));
  return sigma / mean_;
}

}  // namespace choana::processing
