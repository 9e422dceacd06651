#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace choana {

/// Tells systemd how the service is (sd_notify(3)): one datagram to $NOTIFY_SOCKET. Does nothing outside systemd.
class SystemdNotifier {
 public:
  /// Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID once.
  static SystemdNotifier from_environment();

  void ready(const std::string& status) const;
  void status(const std::string& text) const;
  void reloading() const;
  void stopping() const;
  /// Heartbeat; only a supervisor that sees progress sends it.
  void watchdog() const;
  /// Start or stop takes longer: not later than this many seconds from now.
  void extend_timeout(int seconds) const;
  /// Half of the watchdog time, or none when systemd does not watch.
  [[nodiscard]] std::optional<std::int64_t> heartbeat_interval_ms() const;

 private:
  void send(const std::string& message) const;
  std::string socket_;
  std::optional<std::int64_t> heartbeat_interval_ms_;
};

}  // namespace choana
