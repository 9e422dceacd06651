#include "node/child_process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <thread>

namespace choana::node {

Result<ChildProcess> ChildProcess::start(const std::vector<std::string>& arguments, const std::filesystem::path& output_file,
                                         const std::vector<std::pair<std::string, std::string>>& environment) {
  const int out = open(output_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (out < 0) return fail(ErrorCode::io_error, "start_process", "Cannot write " + output_file.string() + ": " + std::strerror(errno) + ".");
  std::vector<std::string> texts = arguments;
  std::vector<char*> argv;
  for (std::string& text : texts) argv.push_back(text.data());
  argv.push_back(nullptr);
  // A pipe that closes on exec tells whether the program could be started.
  int told[2];
  if (pipe2(told, O_CLOEXEC) != 0) {
    close(out);
    return fail(ErrorCode::internal, "start_process", std::string("Cannot start a process: ") + std::strerror(errno) + ".");
  }
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), 1);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    const int null = open("/dev/null", O_RDONLY);
    if (null >= 0) dup2(null, 0);
    dup2(out, 1);
    dup2(out, 2);
    execvp(argv[0], argv.data());
    const int error = errno;
    [[maybe_unused]] const auto written = write(told[1], &error, sizeof error);
    _exit(127);
  }
  close(out);
  close(told[1]);
  int error = 0;
  const bool failed = child < 0 || read(told[0], &error, sizeof error) == static_cast<ssize_t>(sizeof error);
  close(told[0]);
  if (failed) {
    if (child > 0) waitpid(child, nullptr, 0);
    return fail(error == ENOENT ? ErrorCode::not_found : ErrorCode::internal, "start_process",
                "Cannot start " + arguments.front() + ": " + std::strerror(error == 0 ? errno : error) + ".");
  }
  ChildProcess process;
  process.pid_ = child;
  return process;
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept : pid_(std::exchange(other.pid_, -1)), status_(other.status_) {}
ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  if (this != &other) {
    stop();
    pid_ = std::exchange(other.pid_, -1);
    status_ = other.status_;
  }
  return *this;
}
ChildProcess::~ChildProcess() { stop(); }

bool ChildProcess::running() {
  if (pid_ < 0) return false;
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) == pid_) {
    status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    pid_ = -1;
  }
  return pid_ >= 0;
}

int ChildProcess::wait() {
  if (pid_ >= 0) {
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    pid_ = -1;
  }
  return status_;
}

int ChildProcess::stop() {
  if (pid_ < 0) return status_;
  kill(pid_, SIGTERM);
  for (int n = 0; n < 200 && running(); ++n) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  if (pid_ >= 0) {
    kill(pid_, SIGKILL);
    int status = 0;
    waitpid(pid_, &status, 0);
    status_ = 128 + SIGKILL;
    pid_ = -1;
  }
  return status_;
}

Result<int> free_port() {
  const int handle = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  int port = 0;
  if (handle >= 0 && bind(handle, reinterpret_cast<sockaddr*>(&address), size) == 0 && getsockname(handle, reinterpret_cast<sockaddr*>(&address), &size) == 0)
    port = ntohs(address.sin_port);
  if (handle >= 0) close(handle);
  if (port == 0) return fail(ErrorCode::internal, "free_port", "There is no free port on 127.0.0.1.");
  return port;
}

}  // namespace choana::node
