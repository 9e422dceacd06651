#pragma once

#include <cstdint>

namespace choana {

/// Time is passed in. `monotonic_ms` counts suspended time too (CLOCK_BOOTTIME) and drives every wait; `wall_ms` is
/// Unix time and only stamps things.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual std::int64_t monotonic_ms() const = 0;
  [[nodiscard]] virtual std::int64_t wall_ms() const = 0;
};

/// The machine's clock.
[[nodiscard]] const Clock& system_clock();

}  // namespace choana
