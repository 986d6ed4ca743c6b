// One small thread pool for the whole core: the work of a step is split by problem size alone, so
// the numbers never depend on how many threads there are, and one dispatch costs about a
// microsecond.
#pragma once

#include <atomic>
#include <memory>
#include <type_traits>

namespace deltarule {

// Threads used at most: set_num_threads if it was called, else the smallest of OMP_NUM_THREADS, the
// scheduler affinity and the cgroup CPU quota.
int get_num_threads();
// n <= 0 goes back to the default. Takes effect at the next dispatch.
void set_num_threads(int n);

// Returns when the count is 0: soon, or else after letting others have this core.
void wait_for(const std::atomic<int>& count);

class Pool {
 public:
  // max_threads <= 0: follows get_num_threads(). No thread is started before the first dispatch.
  explicit Pool(int max_threads = 0);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  static Pool& shared();  // the process-wide pool
  static Pool& serial();  // a pool of one: everything runs inline on the caller

  int size() const;  // threads a dispatch may use now, the caller included

  // Runs task(context, i) for i = 0 .. tasks-1 and returns when all are done. The
  // caller takes part. Runs inline if size() == 1, tasks == 1, from inside a task, or while another
  // thread is dispatching on this pool. Tasks begin in ascending order. A task must not throw.
  void run(int tasks, void (*task)(void* context, int index), void* context);

  template <class F>
  void parallel_for(int tasks, F&& body) {
    using Body = std::remove_reference_t<F>;
    run(
        tasks, [](void* context, int index) { (*static_cast<Body*>(context))(index); },
        const_cast<void*>(static_cast<const void*>(std::addressof(body))));
  }

 private:
  struct State;
  State& state();  // of this process: a child of fork gets a fresh one

  int max_threads_;
  std::atomic<State*> state_;
};

}  // namespace deltarule
