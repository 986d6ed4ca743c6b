// C = alpha op(A) op(B) + beta C for row-major float and double matrices, shaped for training: a
// batch of rows against weights, weights transposed, and batch-transposed products added into
// parameters.
#pragma once

#include <cstdint>

#include "kernels/kernels.hpp"
#include "machine/pool.hpp"

namespace deltarule {

using std::int64_t;

// A finished piece of C (all of k summed, alpha and beta applied): data points at C(row, col).
template <class T>
struct Tile {
  T* data;
  int64_t ld;
  int64_t row, col, rows, cols;
  int64_t task;  // of the plan: tiles of one task come in order, on one thread
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

// A product and how it is taken apart: into tasks that may run in any order, on any threads. For
// those who have other work beside it; everybody else calls gemm.
template <class T>
class GemmPlan {
 public:
  GemmPlan(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, int64_t ldb);

  // Where the matrices are, as for gemm. They are only read, and C written, by `run`.
  void of(T by_alpha, const T* matrix_a, int64_t a_stride, const T* matrix_b, T by_beta,
          T* matrix_c, int64_t c_stride, const Epilogue<T>* last = nullptr);

  int64_t tasks() const { return row_blocks_ * column_blocks_; }
  void run(int64_t task) const;

 private:
  template <class U>
  friend void gemm(Pool&, bool, bool, int64_t, int64_t, int64_t, U, const U*, int64_t, const U*,
                   int64_t, U, U*, int64_t, const Epilogue<U>*);

  int64_t panel_row(int64_t panel) const;
  int64_t block_k(int64_t block) const;
  T* packed_panel(int64_t panel, int64_t k_block) const;
  int64_t strip_size(int64_t steps) const;
  void copy_a(int64_t first, int64_t last) const;
  void copy_b(T* to, int64_t p0, int64_t p1, int64_t j0, int64_t j1) const;
  void run_all(Pool& pool);

  const Kernels<T>* kernels_;
  bool trans_a_, trans_b_;
  int64_t m_, n_, k_, ldb_;
  T alpha_ = 1, beta_ = 0;
  const T* a_ = nullptr;
  const T* b_ = nullptr;
  T* c_ = nullptr;  // null: only the epilogue sees it
  int64_t lda_ = 0, ldc_ = 0;
  const Epilogue<T>* epilogue_ = nullptr;
  int64_t first_row_ = 0;  // of this slice in the caller's C

  int wide_ = 0;            // tiles are 1 << wide vectors wide
  int64_t strip_ = 0;       // the same in columns
  int64_t panels_ = 0;      // rows are split into so many tiles ...
  int64_t panel_rows_ = 0;  // (each this tall, the last one may be less)
  int64_t k_blocks_ = 1;    // ... the inner dimension into so many blocks ...
  int64_t row_blocks_ = 1;  // ... and C into row_blocks x column_blocks tasks
  int64_t column_blocks_ = 1;
  bool copies_b_ = false;
  T* packed_a_ = nullptr;    // all of op(A), panel by panel within each block of k; null: in place
  int64_t packed_size_ = 0;  // of one panel
};

}  // namespace deltarule
