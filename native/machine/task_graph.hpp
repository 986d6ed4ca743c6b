// Jobs that need each other, run as one dispatch of a pool: where a thread would wait for the
// slowest task of a job, it goes on with the next job whose needs are met.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <vector>

#include "machine/pool.hpp"

namespace deltarule {

// Tasks are taken in the order in which their jobs were added, so put what others wait for early,
// and work that nobody waits for between a job and those that need it.
class TaskGraph {
 public:
  void clear() {
    jobs_.clear();
    needs_.clear();
    tasks_ = 0;
  }

  // A job of at least one task; its number.
  int add(int tasks) {
    jobs_.push_back({tasks_, tasks, static_cast<int>(needs_.size()), 0});
    tasks_ += tasks;
    return static_cast<int>(jobs_.size()) - 1;
  }
  // The job added last begins when an earlier one has ended.
  void needs(int job) {
    needs_.push_back(job);
    ++jobs_.back().needs;
  }

  // Runs body(job, task) for all; bodies must not throw.
  template <class F>
  void run(Pool& pool, F&& body) {
    if (capacity_ < jobs_.size()) {
      capacity_ = jobs_.size();
      left_ = std::make_unique<std::atomic<int>[]>(capacity_);
    }
    for (std::size_t j = 0; j < jobs_.size(); ++j)
      left_[j].store(jobs_[j].tasks, std::memory_order_relaxed);
    // No thread can wait for ever: what a task needs was taken before it.
    pool.parallel_for(tasks_, [&](int index) {
      const auto next = std::upper_bound(jobs_.begin(), jobs_.end(), index,
                                         [](int i, const Job& job) { return i < job.first; });
      const auto number = static_cast<std::size_t>(next - jobs_.begin()) - 1;
      const Job& job = jobs_[number];
      for (int i = 0; i < job.needs; ++i)
        wait_for(
            left_[static_cast<std::size_t>(needs_[static_cast<std::size_t>(job.first_need + i)])]);
      body(static_cast<int>(number), index - job.first);
      left_[number].fetch_sub(1, std::memory_order_release);
    });
  }

 private:
  struct Job {
    int first, tasks;  // of all tasks
    int first_need, needs;
  };
  std::vector<Job> jobs_;
  std::vector<int> needs_;
  int tasks_ = 0;
  std::unique_ptr<std::atomic<int>[]> left_;  // tasks of each job that have not ended
  std::size_t capacity_ = 0;
};

}  // namespace deltarule
