#include "processing/preprocessing/n4/running_variation.h"

#include <cmath>
#include <limits>

namespace choana::processing {
namespace {

constexpr std::size_t block = 32;
constexpr float count_max = 16777216.0F;  // 2^24: one more is not a float

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

  // M stays while |e - M| / N is below half a unit of its last place; the two per cent are for the rounding of e / N.
  const float half_unit = 0.5F * (mean_ - std::nextafter(mean_, 0.0F));
  const float limit = 0.98F * count_ * half_unit;
  float difference[block];
  bool moves = false;
  for (std::size_t i = 0; i < block; ++i) {
    difference[i] = values[i] - mean_;
    moves |= !(std::fabs(difference[i]) < limit);
  }
  if (moves) return false;

  const int exponent = std::ilogb(squares_);
  const double unit = std::ldexp(1.0, exponent - 23);
  const double per_unit = 1.0 / unit;
  const double first = saturated ? static_cast<double>(count_max) : static_cast<double>(count_) + 1.0;
  const double step = saturated ? 0.0 : 1.0;
  constexpr double whole = 6755399441055744.0;  // 1.5 * 2^52: adding and subtracting rounds to a whole number
  constexpr std::size_t lanes = 4;
  double sum[lanes] = {};
  double doubtful[lanes] = {};
  for (std::size_t i = 0; i < block; i += lanes)
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      const double n = first + step * static_cast<double>(static_cast<int>(i + lane));
      const float d = difference[i + lane];
      const double units = static_cast<double>(d * d) * (n - 1.0) / n * per_unit;
      const double rounded = (units + whole) - whole;
      sum[lane] += rounded;
      // Near a tie the double sum Q + t decides, not t alone; beyond 2^24 the binade is left anyway.
      doubtful[lane] += std::fabs(std::fabs(units - rounded) - 0.5) < 1e-6 || !(units < 16777216.0) ? 1.0 : 0.0;
    }
  if (doubtful[0] + doubtful[1] + doubtful[2] + doubtful[3] != 0.0) return false;
  const double grown = static_cast<double>(squares_) + ((sum[0] + sum[1]) + (sum[2] + sum[3])) * unit;
  if (!(grown < std::ldexp(1.0, exponent + 1))) return false;
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
