#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <new>
#include <vector>

#include "node/files.h"
#include "node/retry_policy.h"
#include "node/worker_process.h"
#include "node/worker_sandbox.h"

namespace choana::node {
namespace {

// Runs `body` in a child process and returns its exit status, or 128 + signal.
template <typename Body>
int in_child(const Body& body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST(WorkerSandbox, RefusesSocketsAndPrograms) {
  EXPECT_EQ(in_child([] {
              if (!confine_worker({})) return 1;
              if (socket(AF_INET, SOCK_STREAM, 0) >= 0 || errno != EPERM) return 2;
              if (socket(AF_UNIX, SOCK_STREAM, 0) >= 0 || errno != EPERM) return 3;
              execl("/bin/true", "true", nullptr);
              return errno == EPERM ? 0 : 4;
            }), 0);
}

TEST(WorkerSandbox, LimitsMemory) {
  EXPECT_EQ(in_child([] {
              if (!confine_worker({.memory_max_bytes = 512ULL << 20})) return 1;
              try {
                const std::vector<char> large(1ULL << 30);
                return large.back() == 0 ? 2 : 3;
              } catch (const std::bad_alloc&) {
                return 0;
              }
            }), 0);
}

TEST(WorkerSandbox, LimitsCpuTime) {
  EXPECT_EQ(in_child([] {
              if (!confine_worker({.cpu_max_s = 1})) return 1;
              for (volatile bool again = true; again;) {
              }
              return 2;
            }), 128 + SIGKILL);
}
#endif

class WorkerProcessTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "choana-worker-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path folder_;
  std::atomic<bool> stop_{false};
};

TEST_F(WorkerProcessTest, TellsTheExitStatusAndKeepsTheLog) {
  const auto end = run_worker({"/bin/sh", {"-c", "echo said; exit 3"}, folder_ / "log", 10'000}, stop_);
  ASSERT_TRUE(end);
  EXPECT_EQ(end->exit_status, 3);
  EXPECT_EQ(end->signal, 0);
  EXPECT_EQ(read_file(folder_ / "log", 100).value(), "said\n");
}

TEST_F(WorkerProcessTest, TellsACrash) {
  const auto end = run_worker({"/bin/sh", {"-c", "kill -SEGV $$"}, folder_ / "log", 10'000}, stop_);
  ASSERT_TRUE(end);
  EXPECT_EQ(end->signal, SIGSEGV);
}

TEST_F(WorkerProcessTest, EndsAtTheWallLimitWithItsChildren) {
  const auto end = run_worker({"/bin/sh", {"-c", "sleep 600 & sleep 600"}, folder_ / "log", 200}, stop_);
  ASSERT_TRUE(end);
  EXPECT_TRUE(end->timed_out);
  EXPECT_EQ(end->signal, SIGKILL);
}

TEST_F(WorkerProcessTest, EndsWhenTheNodeStops) {
  stop_ = true;
  const auto end = run_worker({"/bin/sh", {"-c", "sleep 600"}, folder_ / "log", 0}, stop_);
  ASSERT_TRUE(end);
  EXPECT_TRUE(end->cancelled);
}

TEST_F(WorkerProcessTest, HandsOnNoEnvironmentOfTheDaemon) {
  setenv("CHOANA_TEST_SECRET", "secret", 1);
  ASSERT_TRUE(run_worker({"/usr/bin/env", {}, folder_ / "log", 10'000}, stop_));
  EXPECT_EQ(read_file(folder_ / "log", 10'000).value().find("secret"), std::string::npos);
}

TEST(RetryPolicy, EndsAfterThreeCrashesButNeverForADrainOrAFullDisk) {
  EXPECT_TRUE(retry_delay_ms(ErrorCode::worker_crashed, 1));
  EXPECT_TRUE(retry_delay_ms(ErrorCode::worker_crashed, 2));
  EXPECT_FALSE(retry_delay_ms(ErrorCode::worker_crashed, 3));
  EXPECT_TRUE(retry_delay_ms(ErrorCode::cancelled, 50));
  EXPECT_TRUE(retry_delay_ms(ErrorCode::disk_full, 50));
  EXPECT_FALSE(retry_delay_ms(ErrorCode::invalid_package, 1));
}

}  // namespace
}  // namespace choana::node
