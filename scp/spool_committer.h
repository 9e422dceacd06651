#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "core/error.h"
#include "core/result.h"

namespace choana::scp {

class InstanceSpool;

/// How a batch becomes durable. Both ways promise the same; which is cheaper depends on the machine.
enum class SyncMode {
  adaptive,      // whichever has cost less lately; the other is tried again now and then
  file_system,   // one syncfs: one flush for any batch, but it waits for everybody's dirty pages on that file system
  single_files,  // fdatasync of each file, fsync of its folder: only our own pages, but a flush for each
};

/// Group commit across associations: takes everything that waits, makes it durable, then answers each.
class SpoolCommitter {
 public:
  struct Settings {
    int threads = 1;                       // batches in flight
    SyncMode mode = SyncMode::adaptive;
  };
  struct Item {
    int file_descriptor = -1;              // closed by the committer
    std::string spool_file;                // relative to the spool
    std::function<void(bool durable)> done;  // from any committing thread, in the order of a batch; must not submit
  };
  struct Counters {
    std::uint64_t batches = 0;
    std::uint64_t items = 0;
    std::uint64_t file_system_syncs = 0;   // of the batches, those made durable by syncfs
    std::uint64_t waiting = 0;
    std::int64_t busy_since_ms = 0;        // monotonic time a running sync began; 0 = idle
  };

  /// on_fatal: a sync failed. Nothing was acknowledged, nothing will be: the process must end and start anew, because
  /// the kernel may have marked the pages clean and a second sync would lie. Called once.
  SpoolCommitter(InstanceSpool& spool, Settings settings, std::function<void(const Error&)> on_fatal);
  ~SpoolCommitter();

  /// Queue an item; where no batch is under way, commit it here and now, in the caller's thread.
  void submit(Item item);
  [[nodiscard]] Counters counters() const;
  /// Commit what waits, then end the threads. `submit` afterwards answers "not durable".
  void stop();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace choana::scp
