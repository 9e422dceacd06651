#include "core/task_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

namespace choana {
namespace {

TEST(TaskPool, RunsEveryTaskOnceAtAnyNumberOfThreads) {
  for (const int threads : {0, 1, 2, 3, 8}) {
    TaskPool pool(threads);
    EXPECT_EQ(pool.threads(), std::max(threads, 1));
    std::vector<int> calls(1000, 0);
    pool.run(calls.size(), [&](std::size_t at) { ++calls[at]; });
    EXPECT_EQ(calls, std::vector<int>(1000, 1)) << threads;
  }
}

TEST(TaskPool, LetsATaskRunTasksOfItsOwn) {
  TaskPool pool(3);
  std::vector<long> sums(20, 0);
  pool.run(sums.size(), [&](std::size_t outer) {
    std::vector<long> parts(50, 0);
    pool.run(parts.size(), [&](std::size_t inner) {
      std::vector<long> grains(4, 0);
      pool.run(grains.size(), [&](std::size_t at) { grains[at] = static_cast<long>(outer * inner + at); });
      parts[inner] = std::accumulate(grains.begin(), grains.end(), 0L);
    });
    sums[outer] = std::accumulate(parts.begin(), parts.end(), 0L);
  });
  for (std::size_t outer = 0; outer < sums.size(); ++outer) EXPECT_EQ(sums[outer], static_cast<long>(4 * outer * 1225 + 300));
}

TEST(TaskPool, RunsTheRestAndThrowsTheExceptionOfTheLowestIndex) {
  for (const int threads : {1, 4}) {
    TaskPool pool(threads);
    std::atomic<int> ran{0};
    try {
      pool.run(100, [&](std::size_t at) {
        ++ran;
        if (at % 10 == 7) throw std::runtime_error(std::to_string(at));
      });
      ADD_FAILURE() << "no exception";
    } catch (const std::runtime_error& error) {
      EXPECT_STREQ(error.what(), "7");
    }
    EXPECT_EQ(ran, 100);
    // The pool still works.
    pool.run(5, [&](std::size_t) { ++ran; });
    EXPECT_EQ(ran, 105);
  }
}

TEST(TaskPool, WithoutAPoolTasksRunHereInOrder) {
  std::vector<std::size_t> order;
  run_tasks(nullptr, 5, [&](std::size_t at) { order.push_back(at); });
  EXPECT_EQ(order, (std::vector<std::size_t>{0, 1, 2, 3, 4}));
  EXPECT_THROW(run_tasks(nullptr, 2, [](std::size_t at) { if (at == 0) throw std::runtime_error("0"); }), std::runtime_error);
}

TEST(TaskPool, ServesSeveralCallersAtOnce) {
  TaskPool pool(2);
  TaskPool callers(4);
  std::vector<long> sums(8, 0);
  callers.run(sums.size(), [&](std::size_t caller) {
    std::vector<long> parts(200, 0);
    pool.run(parts.size(), [&](std::size_t at) { parts[at] = static_cast<long>(caller); });
    sums[caller] = std::accumulate(parts.begin(), parts.end(), 0L);
  });
  for (std::size_t caller = 0; caller < sums.size(); ++caller) EXPECT_EQ(sums[caller], static_cast<long>(200 * caller));
}

}  // namespace
}  // namespace choana
