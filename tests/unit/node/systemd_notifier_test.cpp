#include "node/systemd_notifier.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "tests/unit/node/temporary_folder.h"

namespace choana {
namespace {

class SystemdNotifierTest : public testing::Test {
 protected:
  void SetUp() override {
    path = (folder.path() / "notify").string();
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    ASSERT_LT(path.size(), sizeof address.sun_path);
    std::memcpy(address.sun_path, path.data(), path.size());
    socket = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    ASSERT_EQ(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  void TearDown() override {
    ::close(socket);
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) ::unsetenv(name);
  }
  std::string received() {
    std::array<char, 512> text{};
    const auto size = ::recv(socket, text.data(), text.size(), 0);
    return size < 0 ? "" : std::string(text.data(), static_cast<std::size_t>(size));
  }

  test::TemporaryFolder folder;
  std::string path;
  int socket = -1;
};

TEST_F(SystemdNotifierTest, SendsWhatSystemdUnderstands) {
  ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
  const auto notifier = SystemdNotifier::from_environment();
  notifier.ready("Listening on 127.0.0.1:11112");
  EXPECT_EQ(received(), "READY=1\nSTATUS=Listening on 127.0.0.1:11112");
  notifier.watchdog();
  EXPECT_EQ(received(), "WATCHDOG=1");
  notifier.extend_timeout(20);
  EXPECT_EQ(received(), "EXTEND_TIMEOUT_USEC=20000000");
  notifier.stopping();
  EXPECT_EQ(received(), "STOPPING=1");
  EXPECT_FALSE(notifier.heartbeat_interval_ms());
}

TEST_F(SystemdNotifierTest, BeatsTwiceWithinTheWatchdogTimeIfItIsMeantForThisProcess) {
  ::setenv("WATCHDOG_USEC", "30000000", 1);
  EXPECT_EQ(SystemdNotifier::from_environment().heartbeat_interval_ms(), 15000);
  ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
  EXPECT_EQ(SystemdNotifier::from_environment().heartbeat_interval_ms(), 15000);
  ::setenv("WATCHDOG_PID", "1", 1);
  EXPECT_FALSE(SystemdNotifier::from_environment().heartbeat_interval_ms());
}

TEST_F(SystemdNotifierTest, OutsideSystemdItIsSilent) {
  SystemdNotifier::from_environment().ready("x");
  EXPECT_EQ(received(), "");
}

}  // namespace
}  // namespace choana
