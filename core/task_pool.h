#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace choana {

/// A fixed number of threads for computing. The one place with threads outside `node` and `scp`: who computes hands over tasks and
/// never sees a thread. Tasks of one call may run in any order and at the same time, so each writes to a place of its own; results
/// are then the same at any number of threads.
class TaskPool {
 public:
  /// threads: how many tasks run at the same time, the caller's thread included; below 1 means 1.
  explicit TaskPool(int threads);
  ~TaskPool();
  TaskPool(const TaskPool&) = delete;
  TaskPool& operator=(const TaskPool&) = delete;

  [[nodiscard]] int threads() const;

  /// Call body(0) .. body(count - 1), each once, and return when all have ended. The caller works too, so a task may itself call `run`.
  /// If tasks throw, the rest still run and the exception of the lowest index is thrown again here.
  void run(std::size_t count, const std::function<void(std::size_t)>& body);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The same with an optional pool: without one the tasks run here, in order.
void run_tasks(TaskPool* pool, std::size_t count, const std::function<void(std::size_t)>& body);

}  // namespace choana
