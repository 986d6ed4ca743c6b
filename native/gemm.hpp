// C = alpha op(A) op(B) + beta C for row-major float and double matrices, shaped for training: a
// batch of rows against weights, weights transposed, and batch-transposed products added into
// parameters.
#pragma once

#include <cstdint>

#include "pool.hpp"

namespace deltarule {

using std::int64_t;

// A finished piece of C (all of k summed, alpha and beta applied): data points at C(row, col).
template <class T>
struct Tile {
  T* data;
  int64_t ld;
  int64_t row, col, rows, cols;
  int64_t part;  // tiles of one part come in order, on one thread; gemm_parts tells how many
};

// Called once on every tile of C while it is hot in cache; the tiles partition C. Several threads
// may call it at once, on different tiles.
template <class T>
struct Epilogue {
  void (*tile)(void* context, const Tile<T>& tile);
  void* context;
};

// op(A) is (m, k), op(B) is (k, n), C is (m, n); lda, ldb, ldc are the row strides as stored (op(A)
// = A^T is stored (k, m)). beta == 0 never reads C; C must not overlap A or B. The sums are split
// by m, n and k alone: the same bits come out for any number of threads. Nothing is allocated after
// the first calls of a size. T is float or double. If c is null, C is only shown to the epilogue,
// tile by tile, and kept nowhere (beta must be 0).
template <class T>
void gemm(Pool& pool, bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, T alpha,
          const T* a, int64_t lda, const T* b, int64_t ldb, T beta, T* c, int64_t ldc,
          const Epilogue<T>* epilogue = nullptr);

// The number of parts that gemm divides such a product into.
template <class T>
int64_t gemm_parts(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k);

}  // namespace deltarule
