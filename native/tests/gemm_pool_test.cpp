// Checks the pool: every task once, nesting, callers on several threads, changing limits, fork.
// Meant for ThreadSanitizer as well. Exit code 1 on a failure.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <thread>
#include <vector>

#include "gemm/gemm.hpp"
#include "machine/pool.hpp"

#if defined(__unix__) || defined(__APPLE__)
#include <sys/wait.h>
#include <unistd.h>
#endif

using deltarule::Pool;

namespace {

std::atomic<int> failed{0};

void expect(bool ok, const char* what) {
  if (ok) return;
  ++failed;
  std::printf("FAILED %s\n", what);
}

bool runs_each_task_once(Pool& pool, int tasks) {
  std::vector<int> calls(static_cast<std::size_t>(tasks));  // plain ints: a race would show
  pool.parallel_for(tasks, [&](int i) { ++calls[static_cast<std::size_t>(i)]; });
  for (const int count : calls) {
    if (count != 1) return false;
  }
  return true;
}

void many_dispatches() {
  Pool pool(4);
  bool ok = true;
  for (int i = 0; i < 3000; ++i) ok &= runs_each_task_once(pool, 1 + i % 37);
  expect(ok, "every task runs once");
  expect(runs_each_task_once(pool, 0), "no task at all");
}

void sleeping_workers() {
  Pool pool(4);
  bool ok = true;
  for (int i = 0; i < 30; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(3));  // long enough to fall asleep
    ok &= runs_each_task_once(pool, 16);
  }
  expect(ok, "workers wake up");
}

void several_workers() {
  Pool pool(3);
  std::atomic<int> waiting{0};
  // Ends only if all three run at the same time.
  pool.parallel_for(3, [&](int) {
    ++waiting;
    while (waiting.load() < 3) std::this_thread::yield();
  });
  expect(waiting.load() == 3, "as many threads as asked for");
}

void nested_calls() {
  Pool& pool = Pool::shared();
  std::atomic<int> inner{0}, elsewhere{0};
  pool.parallel_for(8, [&](int) {
    const auto here = std::this_thread::get_id();
    pool.parallel_for(8, [&](int) {
      ++inner;
      if (std::this_thread::get_id() != here) ++elsewhere;
    });
  });
  expect(inner.load() == 64, "nested tasks run");
  expect(elsewhere.load() == 0, "nested tasks stay on their thread");
}

void several_callers() {
  Pool& pool = Pool::shared();
  std::vector<std::thread> callers;
  std::atomic<bool> ok{true};
  for (int t = 0; t < 4; ++t) {
    callers.emplace_back([&] {
      for (int i = 0; i < 300; ++i) {
        if (!runs_each_task_once(pool, 11)) ok = false;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  expect(ok, "several callers at once");
}

void changing_limits() {
  Pool& pool = Pool::shared();
  for (const int threads : {1, 4, 2, 7, 3}) {
    deltarule::set_num_threads(threads);
    expect(pool.size() == threads, "the limit is taken");
    expect(runs_each_task_once(pool, 20), "tasks after a new limit");
  }
  expect(Pool::serial().size() == 1, "the serial pool stays serial");
  deltarule::set_num_threads(0);
  expect(deltarule::get_num_threads() >= 1, "a default limit");
  deltarule::set_num_threads(4);
}

// Products from several threads at once: the packing buffers must not be shared.
void products_from_several_callers() {
  const int m = 130, n = 300, k = 512;
  std::vector<float> a(m * k), b(n * k), want(m * n);
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(i % 7) - 3;
  for (std::size_t i = 0; i < b.size(); ++i) b[i] = static_cast<float>(i % 11) - 5;
  const auto product = [&](std::vector<float>& c) {
    deltarule::gemm<float>(Pool::shared(), false, true, m, n, k, 1, a.data(), k, b.data(), k, 0,
                           c.data(), n);
  };
  product(want);
  std::atomic<bool> ok{true};
  std::vector<std::thread> callers;
  for (int t = 0; t < 3; ++t) {
    callers.emplace_back([&] {
      for (int i = 0; i < 10; ++i) {
        std::vector<float> c(want.size());
        product(c);
        if (std::memcmp(c.data(), want.data(), c.size() * sizeof(float)) != 0) ok = false;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  expect(ok, "products from several callers");
}

void after_fork() {
#if defined(__unix__) || defined(__APPLE__)
  Pool& pool = Pool::shared();
  expect(runs_each_task_once(pool, 16), "before fork");
  const pid_t child = fork();
  if (child == 0) {
    const bool ok = runs_each_task_once(pool, 16) && runs_each_task_once(pool, 16);
    _exit(ok ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child of fork has its own pool");
  expect(runs_each_task_once(pool, 16), "the parent's pool goes on");
#endif
}

void dispatch_time() {
  Pool& pool = Pool::shared();
  double best = 1;
  for (int round = 0; round < 20; ++round) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < 200; ++i) pool.parallel_for(8, [](int) {});
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    best = taken.count() / 200 < best ? taken.count() / 200 : best;
  }
  std::printf("empty dispatch of 8 tasks: %.2f us at best\n", best * 1e6);
}

}  // namespace

int main(int argc, char** argv) {
  deltarule::set_num_threads(4);
  many_dispatches();
  sleeping_workers();
  several_workers();
  nested_calls();
  several_callers();
  changing_limits();
  products_from_several_callers();
  if (argc < 2 || std::strcmp(argv[1], "--no-fork") != 0) after_fork();
  dispatch_time();
  std::printf("pool: %d failed\n", failed.load());
  return failed.load() == 0 ? 0 : 1;
}
