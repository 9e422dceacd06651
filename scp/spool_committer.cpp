#include "scp/spool_committer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <set>
#include <string>
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
  int running = 0;             // batches under way
  Counters counters;
  std::mutex answering;  // answers of two batches in flight do not mix
  std::vector<std::thread> threads;

  State(InstanceSpool& s, Settings set, std::function<void(const Error&)> fatal)
      : spool(s), settings(set), on_fatal(std::move(fatal)) {}

  // Times of both ways, smoothed; 0 = not known yet. Guarded by the mutex.
  double file_system_ms = 0;   // one syncfs
  double per_file_ms = 0;      // one file of a batch
  double spent_since_probe_ms = 0;

  // Called with the mutex held. The dearer way is tried again once sixteen times its cost has been spent on the cheaper,
  // so that probing costs a few per cent at most and a change of the machine is noticed.
  bool use_file_system(std::size_t files) {
    if (settings.mode != SyncMode::adaptive) return settings.mode == SyncMode::file_system;
    if (file_system_ms == 0) return true;
    if (per_file_ms == 0) return false;
    const double single_ms = per_file_ms * static_cast<double>(files);
    const bool cheaper = file_system_ms <= single_ms;
    if (spent_since_probe_ms < 16 * std::max(file_system_ms, single_ms)) return cheaper;
    spent_since_probe_ms = 0;
    return !cheaper;
  }

  // Called with the mutex held.
  void learn(bool file_system, std::size_t files, double spent_ms) {
    spent_since_probe_ms += spent_ms;
    double& known = file_system ? file_system_ms : per_file_ms;
    const double now = std::max(1e-3, file_system ? spent_ms : spent_ms / static_cast<double>(files));
    known = known == 0 ? now : 0.8 * known + 0.2 * now;
  }

  // 0, or errno of the first failure. Files are already under their final names.
  int make_durable(const std::vector<Item>& batch, bool file_system) const {
    if (file_system) return ::syncfs(spool.directory_descriptor()) != 0 ? errno : 0;
    // Writing starts for all before the first is waited for.
    for (const Item& item : batch) ::sync_file_range(item.file_descriptor, 0, 0, SYNC_FILE_RANGE_WRITE);
    std::set<std::string> folders;
    for (const Item& item : batch) {
      if (::fdatasync(item.file_descriptor) != 0) return errno;
      folders.insert(item.spool_file.substr(0, item.spool_file.find('/')));
    }
    for (const std::string& folder : folders) {
      const int descriptor = ::openat(spool.directory_descriptor(), folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      if (descriptor < 0) return errno;
      const int number = ::fsync(descriptor) != 0 ? errno : 0;
      ::close(descriptor);
      if (number != 0) return number;
    }
    return 0;
  }

  void answer(std::vector<Item>& batch, bool durable) {
    const std::lock_guard lock(answering);
    for (Item& item : batch) {
      if (item.file_descriptor >= 0) ::close(item.file_descriptor);
      if (item.done) item.done(durable);
    }
  }

  // Take what waits and make it durable. Called with the lock held; returns with it held.
  void commit(std::unique_lock<std::mutex>& lock) {
    std::vector<Item> batch(std::make_move_iterator(waiting.begin()), std::make_move_iterator(waiting.end()));
    waiting.clear();
    const bool usable = !broken;
    const bool file_system = use_file_system(batch.size());
    if (running++ == 0) counters.busy_since_ms = system_clock().monotonic_ms();
    lock.unlock();

    const auto begin = std::chrono::steady_clock::now();
    const int number = usable ? make_durable(batch, file_system) : EIO;
    const std::chrono::duration<double, std::milli> spent = std::chrono::steady_clock::now() - begin;
    // Answers first, the alarm after: senders learn that nothing was stored before the process ends.
    answer(batch, number == 0);

    lock.lock();
    learn(file_system, batch.size(), spent.count());
    ++counters.batches;
    if (file_system) ++counters.file_system_syncs;
    counters.items += batch.size();
    counters.busy_since_ms = --running == 0 ? 0 : system_clock().monotonic_ms();
    if (number != 0 && !std::exchange(broken, true)) {
      lock.unlock();
      if (on_fatal) {
        on_fatal({ErrorCode::io_error, "spool_commit",
                  "Syncing the spool failed: " + std::string(std::strerror(number)) + ". Check the disk; the node must start anew.", {}});
      }
      lock.lock();
    }
  }

  void run() {
    std::unique_lock lock(mutex);
    while (true) {
      wake.wait(lock, [this] { return (stopping && waiting.empty()) || (!waiting.empty() && running < std::max(1, settings.threads)); });
      if (waiting.empty()) return;
      commit(lock);
      if (!waiting.empty() || stopping) wake.notify_all();
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
    std::unique_lock lock(state_->mutex);
    if (!state_->stopping) {
      state_->waiting.push_back(std::move(item));
      // Nobody else is at it: the caller's own thread saves two changes of thread, which cost more than a fast disk.
      if (state_->running == 0 && state_->waiting.size() == 1) state_->commit(lock);
      if (!state_->waiting.empty()) state_->wake.notify_one();
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
