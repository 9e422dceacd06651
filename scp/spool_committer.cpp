#include "scp/spool_committer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "core/clock.h"
#include "scp/instance_spool.h"

namespace choana::scp {

struct SpoolCommitter::State {
  InstanceSpool& spool;
  Settings settings;
  std::function<void(const Error&)> on_fatal;

  mutable std::mutex mutex;
  std::condition_variable wake;
  std::deque<Item> waiting;
  bool stopping = false;
  bool broken = false;
  Counters counters;
  std::mutex answering;  // answers of two batches in flight do not mix
  std::vector<std::thread> threads;

  State(InstanceSpool& s, Settings set, std::function<void(const Error&)> fatal)
      : spool(s), settings(set), on_fatal(std::move(fatal)) {}

  // 0, or errno of the first failure.
  int make_durable(const std::vector<Item>& batch) const {
    if (batch.size() == 1 && settings.sync_single_files) {
      if (::fdatasync(batch.front().file_descriptor) != 0) return errno;
      const std::string folder = batch.front().spool_file.substr(0, batch.front().spool_file.find('/'));
      const int descriptor = ::openat(spool.directory_descriptor(), folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      if (descriptor < 0) return errno;
      const int number = ::fsync(descriptor) != 0 ? errno : 0;
      ::close(descriptor);
      return number;
    }
    return ::syncfs(spool.directory_descriptor()) != 0 ? errno : 0;
  }

  void answer(std::vector<Item>& batch, bool durable) {
    const std::lock_guard lock(answering);
    for (Item& item : batch) {
      if (item.file_descriptor >= 0) ::close(item.file_descriptor);
      if (item.done) item.done(durable);
    }
  }

  void run() {
    std::unique_lock lock(mutex);
    while (true) {
      wake.wait(lock, [this] { return stopping || !waiting.empty(); });
      if (waiting.empty()) return;
      std::vector<Item> batch(std::make_move_iterator(waiting.begin()), std::make_move_iterator(waiting.end()));
      waiting.clear();
      const bool usable = !broken;
      counters.busy_since_ms = system_clock().monotonic_ms();
      lock.unlock();

      const int number = usable ? make_durable(batch) : EIO;
      // Answers first, the alarm after: senders learn that nothing was stored before the process ends.
      answer(batch, number == 0);

      lock.lock();
      counters.busy_since_ms = 0;
      ++counters.batches;
      counters.items += batch.size();
      if (number != 0 && !std::exchange(broken, true)) {
        lock.unlock();
        if (on_fatal) {
          on_fatal({ErrorCode::io_error, "spool_commit",
                    "Syncing the spool failed: " + std::string(std::strerror(number)) + ". Check the disk; the node must start anew.", {}});
        }
        lock.lock();
      }
    }
  }
};

SpoolCommitter::SpoolCommitter(InstanceSpool& spool, Settings settings, std::function<void(const Error&)> on_fatal)
    : state_(std::make_unique<State>(spool, settings, std::move(on_fatal))) {
  for (int i = 0; i < std::max(1, settings.threads); ++i) state_->threads.emplace_back([state = state_.get()] { state->run(); });
}

SpoolCommitter::~SpoolCommitter() { stop(); }

void SpoolCommitter::submit(Item item) {
  {
    const std::lock_guard lock(state_->mutex);
    if (!state_->stopping) {
      state_->waiting.push_back(std::move(item));
      state_->wake.notify_one();
      return;
    }
  }
  std::vector<Item> late;
  late.push_back(std::move(item));
  state_->answer(late, false);
}

SpoolCommitter::Counters SpoolCommitter::counters() const {
  const std::lock_guard lock(state_->mutex);
  Counters counters = state_->counters;
  counters.waiting = state_->waiting.size();
  return counters;
}

void SpoolCommitter::stop() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->wake.notify_all();
  for (std::thread& thread : state_->threads) {
    if (thread.joinable()) thread.join();
  }
}

}  // namespace choana::scp
