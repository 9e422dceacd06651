#include "node/systemd_notifier.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace choana {

SystemdNotifier SystemdNotifier::from_environment() {
  SystemdNotifier notifier;
  if (const char* socket = std::getenv("NOTIFY_SOCKET")) notifier.socket_ = socket;
  const char* pid = std::getenv("WATCHDOG_PID");
  const char* microseconds = std::getenv("WATCHDOG_USEC");
  const bool meant_for_us = pid == nullptr || std::strtoll(pid, nullptr, 10) == static_cast<long long>(::getpid());
  if (microseconds != nullptr && meant_for_us) {
    const long long half_ms = std::strtoll(microseconds, nullptr, 10) / 2000;
    if (half_ms > 0) notifier.heartbeat_interval_ms_ = half_ms;
  }
  return notifier;
}

void SystemdNotifier::send(const std::string& message) const {
  sockaddr_un address{};
  if (socket_.size() < 2 || socket_.size() >= sizeof address.sun_path) return;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, socket_.data(), socket_.size());
  if (socket_[0] == '@') address.sun_path[0] = '\0';  // abstract name
  const int socket = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return;
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size());
  // Nobody to tell is no reason to stop working.
  static_cast<void>(::sendto(socket, message.data(), message.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address), length));
  ::close(socket);
}

void SystemdNotifier::ready(const std::string& status) const { send("READY=1\nSTATUS=" + status); }
void SystemdNotifier::status(const std::string& text) const { send("STATUS=" + text); }
void SystemdNotifier::stopping() const { send("STOPPING=1"); }
void SystemdNotifier::watchdog() const { send("WATCHDOG=1"); }

void SystemdNotifier::reloading() const {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  send("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(static_cast<long long>(now.tv_sec) * 1000000 + now.tv_nsec / 1000));
}

void SystemdNotifier::extend_timeout(int seconds) const { send("EXTEND_TIMEOUT_USEC=" + std::to_string(static_cast<long long>(seconds) * 1000000)); }

std::optional<std::int64_t> SystemdNotifier::heartbeat_interval_ms() const { return heartbeat_interval_ms_; }

}  // namespace choana
