#include "core/clock.h"

#include <ctime>

namespace choana {
namespace {

std::int64_t read_ms(clockid_t id) {
  timespec now{};
  clock_gettime(id, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1000000;
}

class SystemClock final : public Clock {
 public:
  [[nodiscard]] std::int64_t monotonic_ms() const override { return read_ms(CLOCK_BOOTTIME); }
  [[nodiscard]] std::int64_t wall_ms() const override { return read_ms(CLOCK_REALTIME); }
};

}  // namespace

const Clock& system_clock() {
  static const SystemClock clock;
  return clock;
}

}  // namespace choana
