#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/result.h"

namespace choana::node {

struct WorkerCommand {
  std::filesystem::path program;         // usually /proc/self/exe
  std::vector<std::string> arguments;    // argv[1..]; never through a shell
  std::filesystem::path log_file;        // its standard output and error
  std::int64_t wall_max_ms = 0;
};

/// What became of a worker: its exit status, or why it ended otherwise.
struct WorkerEnd {
  int exit_status = -1;                  // valid when signal is 0 and timed_out is false
  int signal = 0;
  bool timed_out = false;
  bool cancelled = false;                // `stop` was set: the node is draining
  std::int64_t peak_memory_kib = 0;
  double cpu_s = 0;
};

/// Run one worker to its end. It dies with this process (PR_SET_PDEATHSIG) and is killed with its process group when
/// the wall limit passes or `stop` turns true. The environment handed on is empty but for a fixed PATH, locale and time zone.
/// Errors: io_error (log file), internal (fork).
Result<WorkerEnd> run_worker(const WorkerCommand& command, const std::atomic<bool>& stop);

}  // namespace choana::node
