// What a network keeps between steps: aligned, padded arrays for every layer, allocated once.
#pragma once

#include <cstring>

#include "machine/memory.hpp"
#include "machine/task_graph.hpp"
#include "network/network.hpp"

namespace deltarule {

// Layer l = 1..L with its parameters [b; W] as one block of rows of `ld` elements: in theta itself,
// or in a padded copy where that makes the inner loops simpler (`packed`).
template <class T>
struct Layer {
  int64_t in = 0, out = 0, ld = 0;
  bool bias = false, packed = false, whole_vectors = false;
  Activation f;
  int64_t offset = 0;  // of b_l in theta
  bool keeps_slope = false;

  T* block = nullptr;
  T* first = nullptr;  // moments and gradient, laid out as block
  T* second = nullptr;
  T* grad = nullptr;

  int64_t rows() const { return in + (bias ? 1 : 0); }
  int64_t size() const { return rows() * out; }
  int64_t block_size() const { return rows() * ld; }
  T* W() const { return weights(block); }
  T* b() const { return bias ? block : nullptr; }
  T* weights(T* of_block) const { return of_block + (bias ? ld : 0); }
};

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

template <class T>
class Workspace {
 public:
  std::vector<Units<T>> a;      // a_0..a_{L-1}; the last is z_L, then a_L
  std::vector<Units<T>> delta;  // delta_1..delta_L at their layer's index
  std::vector<Units<T>> slope;  // f'(z_l) where it cannot be had from a_l
  Units<T> factors;             // of dropout
  Units<T> targets;
  Buffer<T> weights;  // of the samples of a batch
  Buffer<T> transposed;
  std::vector<Buffer<T>> all_transposed;  // W_l^T where several are needed at once
  // Where blocks of rows go through all layers on their own: what is to be done, the pieces of the
  // gradient, and the blocks' losses.
  struct Piece {
    std::size_t l;
    int64_t first, rows;  // of [b; W]
  };
  TaskGraph graph;
  std::vector<Piece> pieces;
  int64_t pieces_rows = 0;  // the batch that they are for
  std::vector<double> losses;
  Buffer<T> sums;                             // of the deltas, for a bias
  Buffer<T> parameters, first, second, grad;  // packed blocks, one after another
  std::vector<int64_t> touched;               // rows of W_1 that a sparse batch meets
  std::vector<unsigned char> is_touched;
};

}  // namespace deltarule
