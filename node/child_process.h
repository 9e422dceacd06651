#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "core/result.h"

namespace choana::node {

/// A program started beside this one, without a shell; it dies with this process. Destroying it ends it (SIGTERM, then
/// SIGKILL after ten seconds).
class ChildProcess {
 public:
  /// arguments: argv[0] is looked up in PATH. output_file: its standard output and error.
  /// Errors: not_found (no such program), io_error, internal.
  static Result<ChildProcess> start(const std::vector<std::string>& arguments, const std::filesystem::path& output_file,
                                    const std::vector<std::pair<std::string, std::string>>& environment = {});
  ~ChildProcess();
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;

  [[nodiscard]] bool running();
  [[nodiscard]] pid_t pid() const { return pid_; }
  /// Wait until it ends by itself; its exit status, 128 + signal when it was killed.
  int wait();
  /// Ask it to end and wait; its exit status, 128 + signal when it was killed.
  int stop();

 private:
  ChildProcess() = default;
  pid_t pid_ = -1;
  int status_ = 0;
};

/// A TCP port of 127.0.0.1 that is free at this moment.
Result<int> free_port();

}  // namespace choana::node
