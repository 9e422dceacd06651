#pragma once

#include <cstddef>
#include <cstdint>

namespace choana::processing {

/// Random numbers as a function of (seed, stream, position): what one start draws does not depend on how many others ran, on
/// which thread or in which order. The mixing function of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014) over a counter.
class CounterRandom {
 public:
  CounterRandom(std::uint64_t seed, std::uint64_t stream) : key_(mixed(mixed(seed) + 0x9E3779B97F4A7C15ULL * (stream + 1))) {}

  [[nodiscard]] std::uint64_t next() { return mixed(key_ + 0x9E3779B97F4A7C15ULL * ++position_); }
  /// 0 <= u < 1, 53 bits.
  [[nodiscard]] double uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
  /// 0 <= n < count.
  [[nodiscard]] std::size_t below(std::size_t count) {
    const auto n = static_cast<std::size_t>(uniform() * static_cast<double>(count));
    return n < count ? n : count - 1;
  }

 private:
  static std::uint64_t mixed(std::uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }

  std::uint64_t key_;
  std::uint64_t position_ = 0;
};

}  // namespace choana::processing
