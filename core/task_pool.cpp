#include "core/task_pool.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <list>
#include <mutex>
#include <thread>
#include <vector>

namespace choana {
namespace {

/// One call of `run`. Guarded by the pool's mutex, except for `body`.
struct Batch {
  const std::function<void(std::size_t)>& body;
  std::size_t count;
  std::size_t next = 0;
  std::size_t ended = 0;
  std::size_t failed_index = 0;
  std::exception_ptr failure{};
};

}  // namespace

struct TaskPool::State {
  std::mutex mutex;
  std::condition_variable work_or_end;
  std::condition_variable batch_ended;
  std::list<Batch*> open;  // batches with tasks that nobody has taken
  bool ending = false;
  std::vector<std::thread> workers;

  /// Take the next task of `batch` and run it; the lock is held before and after.
  void run_one(Batch& batch, std::unique_lock<std::mutex>& lock) {
    const std::size_t index = batch.next++;
    if (batch.next == batch.count) open.remove(&batch);
    lock.unlock();
    std::exception_ptr failure;
    try {
      batch.body(index);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    if (failure && (!batch.failure || index < batch.failed_index)) {
      batch.failure = failure;
      batch.failed_index = index;
    }
    if (++batch.ended == batch.count) batch_ended.notify_all();
  }

  void work() {
    std::unique_lock lock(mutex);
    while (true) {
      work_or_end.wait(lock, [&] { return ending || !open.empty(); });
      if (ending) return;
      // The newest first: it was opened by a task of an older one, which cannot end before it.
      run_one(*open.back(), lock);
    }
  }
};

TaskPool::TaskPool(int threads) : state_(std::make_unique<State>()) {
  const auto helpers = static_cast<std::size_t>(std::max(threads, 1) - 1);
  state_->workers.reserve(helpers);
  for (std::size_t at = 0; at < helpers; ++at) state_->workers.emplace_back([state = state_.get()] { state->work(); });
}

TaskPool::~TaskPool() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->ending = true;
  }
  state_->work_or_end.notify_all();
  for (std::thread& worker : state_->workers) worker.join();
}

int TaskPool::threads() const { return static_cast<int>(state_->workers.size()) + 1; }

void TaskPool::run(std::size_t count, const std::function<void(std::size_t)>& body) {
  if (count == 0) return;
  Batch batch{body, count};
  std::unique_lock lock(state_->mutex);
  state_->open.push_back(&batch);
  if (count > 1) state_->work_or_end.notify_all();
  while (batch.next < batch.count) state_->run_one(batch, lock);
  state_->batch_ended.wait(lock, [&] { return batch.ended == batch.count; });
  lock.unlock();
  if (batch.failure) std::rethrow_exception(batch.failure);
}

void run_tasks(TaskPool* pool, std::size_t count, const std::function<void(std::size_t)>& body) {
  if (pool != nullptr) {
    pool->run(count, body);
    return;
  }
  std::exception_ptr failure;
  for (std::size_t index = 0; index < count; ++index) {
    try {
      body(index);
    } catch (...) {
      if (!failure) failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace choana
