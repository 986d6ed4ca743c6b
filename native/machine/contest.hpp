// Picks the faster of two ways to the same numbers, by their times: threads that are worth it on
// idle cores cost more than they give on busy ones, and only a clock can tell.
#pragma once

#include <algorithm>
#include <chrono>

namespace deltarule {

class Contest {
 public:
  // Whether the next run is to go the first way.
  bool first_way() const { return run_ < kTrial || (run_ >= 2 * kTrial && first_won_); }

  // body(), timed as a run of the way that is up.
  template <class F>
  auto run(F&& body) {
    const auto start = Clock::now();
    auto result = body();
    finished(std::chrono::duration<double>(Clock::now() - start).count());
    return result;
  }

  void finished(double seconds) {
    if (run_ < 2 * kTrial && run_ % kTrial != 0) seconds_[run_ / kTrial] += seconds;
    ++run_;
    if (run_ == 2 * kTrial) {
      const bool wins = seconds_[0] < seconds_[1];
      length_ = wins == first_won_ ? std::min(2 * length_, kLongest) : kShortest;
      first_won_ = wins;
      seconds_[0] = seconds_[1] = 0;
    } else if (run_ == 2 * kTrial + length_) {
      run_ = 0;
    }
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr int kTrial = 4;  // runs of each way; the first only brings the data to its cores
  static constexpr int kShortest = 32, kLongest = 512;  // runs from one trial to the next
  int run_ = 0, length_ = kShortest;
  double seconds_[2] = {0, 0};
  bool first_won_ = false;
};

}  // namespace deltarule
