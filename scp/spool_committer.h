#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "core/error.h"
#include "core/result.h"

namespace choana::scp {

class InstanceSpool;

/// Group commit across associations: takes everything that waits, makes it durable with one sync, then answers each.
/// One syncfs of the spool's file system; a batch of one may instead sync the file and its folder.
class SpoolCommitter {
 public:
  struct Settings {
    int threads = 1;                       // batches in flight
    bool sync_single_files = false;        // fdatasync + fsync(folder) for a batch of one, see docs/decisions
  };
  struct Item {
    int file_descriptor = -1;              // closed by the committer
    std::string spool_file;                // relative to the spool
    std::function<void(bool durable)> done;  // called from a committer thread, in the order of a batch
  };
  struct Counters {
    std::uint64_t batches = 0;
    std::uint64_t items = 0;
    std::uint64_t waiting = 0;
    std::int64_t busy_since_ms = 0;        // monotonic time a running sync began; 0 = idle
  };

  /// on_fatal: a sync failed. Nothing was acknowledged, nothing will be: the process must end and start anew, because
  /// the kernel may have marked the pages clean and a second sync would lie. Called once.
  SpoolCommitter(InstanceSpool& spool, Settings settings, std::function<void(const Error&)> on_fatal);
  ~SpoolCommitter();

  void submit(Item item);
  [[nodiscard]] Counters counters() const;
  /// Commit what waits, then end the threads. `submit` afterwards answers "not durable".
  void stop();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace choana::scp
