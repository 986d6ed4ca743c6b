// The pool's machinery. A job is published in one 64-bit ticket (generation, tasks left); whoever
// lowers it owns a task, so a late worker can never touch a job that has ended.
#include "machine/pool.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "machine/denormals.hpp"

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#define DELTARULE_HAS_FORK 1
#endif
#if defined(__linux__)
#include <sched.h>

#include <fstream>
#include <sstream>
#include <string>
#endif

namespace deltarule {
namespace {

constexpr int kMaxThreads = 256;
constexpr int kSpins =
    4000;  // about 40 us of pauses: longer than the gaps inside one training step

thread_local bool inside_task = false;
std::atomic<int> requested_threads{0};
std::atomic<int> fork_generation{0};

inline void pause_briefly() {
#if defined(__x86_64__) || defined(_M_X64)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

#if defined(__linux__)
// Floor of quota / period, at least 1; kMaxThreads where there is no limit ("max" or -1).
int quota_threads(const std::string& quota, const std::string& period) {
  char* end = nullptr;
  const long long q = std::strtoll(quota.c_str(), &end, 10);
  const long long p = std::strtoll(period.c_str(), nullptr, 10);
  if (end == quota.c_str() || q <= 0 || p <= 0) return kMaxThreads;
  return static_cast<int>(std::clamp<long long>(q / p, 1, kMaxThreads));
}

int quota_in(const std::string& folder, bool v2) {
  std::string quota, period;
  if (v2) {
    std::ifstream(folder + "/cpu.max") >> quota >> period;
  } else {
    std::ifstream(folder + "/cpu.cfs_quota_us") >> quota;
    std::ifstream(folder + "/cpu.cfs_period_us") >> period;
  }
  return quota_threads(quota, period);
}

bool lists_cpu(const std::string& comma_separated) {
  std::istringstream names(comma_separated);
  for (std::string name; std::getline(names, name, ',');) {
    if (name == "cpu") return true;
  }
  return false;
}

// Smallest quota of this process's group and all groups above it, as far as they are mounted here.
int cgroup_threads() {
  int threads = kMaxThreads;
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    // id parent device root mountpoint options... - type source superoptions
    const auto dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::string skip, root, mount, type, source, options;
    std::istringstream(line) >> skip >> skip >> skip >> root >> mount;
    std::istringstream(line.substr(dash + 3)) >> type >> source >> options;
    const bool v2 = type == "cgroup2";
    if (!v2 && (type != "cgroup" || !lists_cpu(options))) continue;

    std::ifstream groups("/proc/self/cgroup");
    for (std::string group; std::getline(groups, group);) {  // hierarchy:controllers:path
      const auto first = group.find(':');
      const auto second = group.find(':', first + 1);
      if (first == std::string::npos || second == std::string::npos) continue;
      const std::string controllers = group.substr(first + 1, second - first - 1);
      if (v2 ? !controllers.empty() : !lists_cpu(controllers)) continue;
      std::string path = group.substr(second + 1);
      if (root != "/" && path.compare(0, root.size(), root) == 0) path.erase(0, root.size());
      while (true) {
        threads = std::min(threads, quota_in(mount + path, v2));
        const auto slash = path.rfind('/');
        if (path.empty() || slash == std::string::npos) break;
        path.erase(slash);
      }
    }
  }
  return threads;
}
#endif

int default_threads() {
  int threads = static_cast<int>(std::thread::hardware_concurrency());
#if defined(__linux__)
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) threads = CPU_COUNT(&allowed);
  threads = std::min(threads, cgroup_threads());
#endif
  if (const char* text = std::getenv("OMP_NUM_THREADS")) {  // "4" or "4,2": the outer level counts
    const int wanted = std::atoi(text);
    if (wanted > 0) threads = std::min(threads, wanted);
  }
  return std::clamp(threads, 1, kMaxThreads);
}

}  // namespace

int get_num_threads() {
  static const int by_default = default_threads();
  const int requested = requested_threads.load(std::memory_order_relaxed);
  return requested > 0 ? requested : by_default;
}

void set_num_threads(int n) {
  requested_threads.store(std::clamp(n, 0, kMaxThreads), std::memory_order_relaxed);
}

void wait_for(const std::atomic<int>& count) {
  for (int spin = 0; count.load(std::memory_order_acquire) != 0; ++spin) {
    if (spin < kSpins) {
      pause_briefly();
    } else {
      std::this_thread::yield();  // a preempted worker must get this core if it needs it
    }
  }
}

struct Pool::State {
  const int born = fork_generation.load(std::memory_order_relaxed);
  std::atomic<bool> busy{false};  // a dispatch is under way; also guards `workers`
  std::vector<std::thread> workers;
  int wanted = 0;  // workers asked for; fewer run if the system refused some

  alignas(64) std::atomic<std::uint64_t> ticket{0};  // generation << 32 | tasks left to claim
  std::atomic<void (*)(void*, int)> task{
      nullptr};  // the job; valid while the ticket has tasks left
  std::atomic<void*> context{nullptr};
  std::atomic<int> tasks{0};
  alignas(64) std::atomic<int> unfinished{0};

  alignas(64) std::atomic<int> sleepers{0};
  std::atomic<bool> stopping{false};
  std::mutex mutex;
  std::condition_variable wake;

  ~State() { stop(); }

  bool has_work() const { return static_cast<std::uint32_t>(ticket.load()) != 0; }

  // Claims and runs tasks of the current job until none is left.
  void work() {
    std::uint64_t seen = ticket.load(std::memory_order_acquire);
    while (static_cast<std::uint32_t>(seen) != 0) {
      // The job may change under these loads, but then the exchange fails: its generation moved on.
      const auto run_task = task.load(std::memory_order_relaxed);
      void* const ctx = context.load(std::memory_order_relaxed);
      const int count = tasks.load(std::memory_order_relaxed);
      if (!ticket.compare_exchange_weak(seen, seen - 1, std::memory_order_acq_rel,
                                        std::memory_order_acquire)) {
        continue;
      }
      run_task(ctx, count - static_cast<int>(static_cast<std::uint32_t>(seen)));
      unfinished.fetch_sub(1, std::memory_order_release);
      seen = ticket.load(std::memory_order_acquire);
    }
  }

  void worker_loop() {
    inside_task = true;          // whatever a task dispatches runs inline
    const FlushDenormals flush;  // as the callers do, so that the bits do not tell threads apart
    while (true) {
      for (int spin = 0; spin < kSpins; ++spin) {
        if (stopping.load(std::memory_order_relaxed)) return;
        if (static_cast<std::uint32_t>(ticket.load(std::memory_order_relaxed)) != 0) {
          work();
          spin = 0;
        }
        pause_briefly();
      }
      std::unique_lock lock(mutex);
      sleepers.fetch_add(
          1);  // sequentially consistent with publish(): one of the two sees the other
      wake.wait(lock, [this] { return stopping.load() || has_work(); });
      sleepers.fetch_sub(1);
    }
  }

  void start(int count) {
    if (wanted == count) return;
    stop();
    wanted = count;
    stopping.store(false);
    workers.reserve(static_cast<std::size_t>(count));
    try {
      while (static_cast<int>(workers.size()) < count) {
        workers.emplace_back([this] { worker_loop(); });
      }
    } catch (const std::system_error&) {
      // No more threads to be had: the job runs on those that started, with the same result.
    }
  }

  void stop() {
    if (workers.empty()) return;
    {
      const std::lock_guard lock(mutex);
      stopping.store(true);
    }
    wake.notify_all();
    for (std::thread& worker : workers) worker.join();
    workers.clear();
  }

  void dispatch(int count, void (*run_task)(void*, int), void* ctx) {
    task.store(run_task, std::memory_order_relaxed);
    context.store(ctx, std::memory_order_relaxed);
    tasks.store(count, std::memory_order_relaxed);
    unfinished.store(count, std::memory_order_relaxed);
    const std::uint64_t generation = (ticket.load(std::memory_order_relaxed) >> 32) + 1;
    ticket.store(generation << 32 | static_cast<std::uint32_t>(count));
    if (const int asleep = sleepers.load(); asleep > 0) {
      {
        const std::lock_guard lock(mutex);
      }
      for (int i = std::min(asleep, count - 1); i > 0; --i) wake.notify_one();
    }
    inside_task = true;
    work();
    inside_task = false;
    wait_for(unfinished);  // the last tasks run elsewhere
  }
};

Pool::Pool(int max_threads) : max_threads_(max_threads), state_(new State) {
#if defined(DELTARULE_HAS_FORK)
  static const int registered = pthread_atfork(
      nullptr, nullptr, [] { fork_generation.fetch_add(1, std::memory_order_relaxed); });
  (void)registered;
#endif
}

Pool::~Pool() {
  State* const last = state_.load();
  if (last->born == fork_generation.load(std::memory_order_relaxed)) delete last;
}

// Never destroyed: workers may outlive static destructors, and a process that ends needs no join.
Pool& Pool::shared() {
  static Pool* const pool = new Pool();
  return *pool;
}

Pool& Pool::serial() {
  static Pool* const pool = new Pool(1);
  return *pool;
}

int Pool::size() const {
  return max_threads_ > 0 ? std::min(max_threads_, get_num_threads()) : get_num_threads();
}

void Pool::run(int tasks, void (*task)(void*, int), void* context) {
  const int threads = std::min(size(), kMaxThreads);
  if (tasks > 1 && threads > 1 && !inside_task) {
    State& current = state();
    if (!current.busy.exchange(true, std::memory_order_acquire)) {
      current.start(threads - 1);
      current.dispatch(tasks, task, context);
      current.busy.store(false, std::memory_order_release);
      return;
    }
  }
  for (int i = 0; i < tasks; ++i) task(context, i);
}

Pool::State& Pool::state() {
  State* current = state_.load(std::memory_order_acquire);
  if (current->born != fork_generation.load(std::memory_order_relaxed)) {
    // Threads and locks of the parent do not exist here: leave its state behind and start afresh.
    State* const fresh = new State;
    if (state_.compare_exchange_strong(current, fresh)) return *fresh;
    delete fresh;  // another thread of this process was first
  }
  return *current;
}

}  // namespace deltarule
