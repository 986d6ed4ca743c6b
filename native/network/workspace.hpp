// What a network keeps between steps: aligned, padded rows of units for every layer.
#pragma once

#include <algorithm>
#include <vector>

#include "kernels/kernels.hpp"
#include "machine/memory.hpp"
#include "spec.hpp"

namespace deltarule {

// Rows of units of one layer: `ld` leaves room for whole vectors and, before each row, for a 1:
// with it [1, a]^T delta is the gradient of [b; W] in one product.
template <class T>
struct Units {
  Buffer<T> storage;
  int64_t columns = 0, ld = 0, lead = 0;

  void reset(int64_t rows, int64_t n, int64_t lanes, bool ones) {
    columns = n;
    lead = ones ? lanes : 0;
    ld = round_up(n, lanes) + lead;
    // rows in different cache sets: GemmPlan reads them in place
    const auto conflicts = [](int64_t bytes) { return bytes % 1024 < 64 || bytes % 1024 > 960; };
    while (conflicts(ld * static_cast<int64_t>(sizeof(T)))) ld += lanes;
    storage.reset(rows * ld + lead);
    if (ones)
      for (int64_t r = 0; r < rows; ++r) row(r)[-1] = T(1);
  }
  T* data() const { return storage.data() + lead; }
  T* row(int64_t r) const { return data() + r * ld; }
  bool empty() const { return storage.data() == nullptr; }
};

// For batches of at most `rows` rows. Where a_0 lies is up to the samples: see Pass::begin.
template <class T>
struct Workspace {
  std::vector<Units<T>> a;      // a_0..a_{L-1}; the last is z_L, then a_L
  std::vector<Units<T>> delta;  // delta_1..delta_L at their layer's index
  std::vector<Units<T>> slope;  // f'(z_l) where it cannot be had from a_l; else empty
  Units<T> factors;             // of dropout
  Units<T> targets;
  Buffer<T> weights;                  // of the samples of a batch
  std::vector<Buffer<T>> transposed;  // W_l^T where several are needed at once
  std::vector<int64_t> touched;       // rows of W_1 that a sparse batch meets
  std::vector<unsigned char> is_touched;

  Workspace(const NetworkSpec& spec, const std::vector<double>& dropout, int64_t rows,
            int64_t lanes)
      : a(spec.sizes.size()),
        delta(spec.sizes.size()),
        slope(spec.sizes.size()),
        transposed(spec.sizes.size()) {
    const std::size_t L = spec.sizes.size() - 1;
    for (std::size_t l = 1; l <= L; ++l) {
      a[l].reset(rows, spec.sizes[l], lanes, true);
      delta[l].reset(rows, spec.sizes[l], lanes, true);
      if (l == L || dropout[l] > 0 || !slope_from_output(spec.activations[l - 1]))
        slope[l].reset(rows, spec.sizes[l], lanes, true);
    }
    targets.reset(rows, spec.sizes.back(), lanes, true);
    weights.reset(rows);
    if (std::any_of(dropout.begin(), dropout.end(), [](double rate) { return rate > 0; }))
      factors.reset(rows, *std::max_element(spec.sizes.begin(), spec.sizes.end()), lanes, false);
  }
};

}  // namespace deltarule
