#include "node/worker_process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "core/clock.h"

namespace choana::node {

Result<WorkerEnd> run_worker(const WorkerCommand& command, const std::atomic<bool>& stop) {
  const int log = open(command.log_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (log < 0) return fail(ErrorCode::io_error, "run_worker", std::string("Cannot create the worker's log: ") + std::strerror(errno) + ".");

  // Everything the child needs is laid out before the fork: between fork and exec only async-signal-safe calls.
  std::vector<std::string> texts{command.program.string()};
  texts.insert(texts.end(), command.arguments.begin(), command.arguments.end());
  std::vector<char*> argv;
  for (std::string& text : texts) argv.push_back(text.data());
  argv.push_back(nullptr);
  std::vector<std::string> environment{"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", "OMP_NUM_THREADS=1"};
  for (const char* name : {"TZ", "DCMDICTPATH", "FONTCONFIG_FILE", "FONTCONFIG_PATH", "CHOANA_DATA_DIR", "ASAN_OPTIONS", "UBSAN_OPTIONS"})
    if (const char* value = std::getenv(name)) environment.push_back(std::string(name) + "=" + value);
  std::vector<char*> envp;
  for (std::string& text : environment) envp.push_back(text.data());
  envp.push_back(nullptr);

  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) {
    close(log);
    return fail(ErrorCode::internal, "run_worker", std::string("Cannot start a worker: ") + std::strerror(errno) + ".");
  }
  if (child == 0) {
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    const int null = open("/dev/null", O_RDONLY);
    if (null >= 0) dup2(null, 0);
    dup2(log, 1);
    dup2(log, 2);
    execve(argv[0], argv.data(), envp.data());
    _exit(127);
  }
  close(log);
  setpgid(child, child);

  WorkerEnd end;
  const std::int64_t started = system_clock().monotonic_ms();
  const int handle = static_cast<int>(syscall(SYS_pidfd_open, child, 0));
  bool killed = false;
  int status = 0;
  rusage usage{};
  for (;;) {
    const pid_t reaped = wait4(child, &status, WNOHANG, &usage);
    if (reaped == child) break;
    if (reaped < 0 && errno != EINTR) {
      if (handle >= 0) close(handle);
      return fail(ErrorCode::internal, "run_worker", std::string("Lost the worker: ") + std::strerror(errno) + ".");
    }
    if (!killed) {
      end.cancelled = stop.load();
      end.timed_out = !end.cancelled && command.wall_max_ms > 0 && system_clock().monotonic_ms() - started > command.wall_max_ms;
      if (end.cancelled || end.timed_out) {
        kill(-child, SIGKILL);
        killed = true;
      }
    }
    pollfd ended{handle, POLLIN, 0};
    poll(&ended, handle >= 0 ? 1 : 0, 100);
  }
  if (handle >= 0) close(handle);
  if (WIFSIGNALED(status)) end.signal = WTERMSIG(status);
  if (WIFEXITED(status)) end.exit_status = WEXITSTATUS(status);
  end.peak_memory_kib = usage.ru_maxrss;
  end.cpu_s = static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
              static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
  return end;
}

}  // namespace choana::node
