#pragma once

#include <cstdint>

#include "core/result.h"

namespace choana::node {

struct WorkerLimits {
  std::uint64_t memory_max_bytes = 0;  // address space; 0 = none
  std::uint64_t cpu_max_s = 0;         // all threads together; 0 = none
  std::uint64_t file_max_bytes = 0;    // largest file it may write; 0 = none
};

/// Confine the calling process for good: limits on memory, CPU and files, no core dump, no new privileges, no new
/// programs, and no sockets (seccomp). Whatever a stranger's object makes a decoder do then stays in this process.
/// Errors: internal (the kernel refused); a kernel without seccomp is an error too, since the promise would be empty.
Status confine_worker(const WorkerLimits& limits);

}  // namespace choana::node
