// The engine of the core: a network laid out once, then batches run through it without allocation.
#pragma once

#include <vector>

#include "network/layout.hpp"
#include "network/orders.hpp"
#include "network/pass.hpp"
#include "network/run.hpp"

namespace deltarule {

template <class T>
class Network {
 public:
  // `rows`: the largest batch that will come; `dropout`: the rates of a_0..a_{L-1}, or empty.
  Network(NetworkSpec spec, int64_t rows, std::vector<double> dropout = {});
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  const NetworkSpec& spec() const { return spec_; }

  // C and dC/dtheta.
  double gradients(const T* theta, const Samples<T>& samples, const T* targets,
                   const T* sample_weight, T* gradient);

  // Batches first..last-1 of an epoch: batch k is order[k * batch_size ...], of `count` rows in
  // all, with the learning rate rates[k].
  void steps(const RunSpec<T>& run, Stretch& stretch, const int64_t* order, int64_t count,
             const double* rates, int64_t first, int64_t last);

 private:
  bool binary_output() const;
  bool runs_tiny(const RunSpec<T>& run) const;
  void tiny_steps(const RunSpec<T>& run, const int64_t* order, const double* rates, int64_t k,
                  int64_t last, Stretch& stretch);
  bool step(const RunSpec<T>& run, const int64_t* order, int64_t rows, int64_t next_rows,
            double rate, int64_t k, Stretch& stretch);

  const NetworkSpec spec_;
  const int64_t chunk_;  // most rows held at once
  Layout<T> layout_;
  Pass<T> pass_;
  Orders<T> orders_;
};

}  // namespace deltarule
