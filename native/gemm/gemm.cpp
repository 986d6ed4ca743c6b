// Splits a product into cache blocks and tiles, decides what is worth copying first, and hands the
// blocks to the pool. Every decision depends on the shape alone, so the bits never depend on the
// threads.
#include "gemm/gemm.hpp"

#include <algorithm>

#include "machine/memory.hpp"

namespace deltarule {
namespace {

// How each was chosen: GEMM.md.
constexpr int64_t kWorthSharing =
    5'000'000;                  // m n k below which a dispatch costs more than it saves
constexpr int64_t kTasks = 16;  // at least as many tasks, for threads that start late or lose time,
constexpr int64_t kTaskProducts = 1 << 19;  // if each has so many multiplications
constexpr int64_t kTaskColumns = 256;       // at most so many columns ...
constexpr int64_t kTaskRows = 512;          // ... and rows of C in a task
constexpr int64_t kSliceRows = 4096;        // rows taken at a time, which bounds the copy of A
constexpr int64_t kInnerBytes =
    2048;  // of a block of the inner dimension: its strips of B stay in cache
constexpr int64_t kPanelsInPlace = 10;  // up to so many panels of rows, B is not worth a copy;
constexpr int64_t kPanelsInConflict =
    5;  // if its rows displace each other from the caches, so many
constexpr int64_t kEpilogueElements = 2048;  // tiles handed to the epilogue have about this size

// First item of part `i` when `items` are split into `parts` as evenly as can be.
int64_t split(int64_t items, int64_t parts, int64_t i) { return items * i / parts; }

template <class T>
struct Scratch {
  Buffer<T> a;  // op(A) of the caller, shared with the workers of its dispatch
  Buffer<T> b;  // the block of op(B) of the thread at work
  Buffer<T> c;  // its block of C, where the caller keeps none
};

// Of this thread. Local to a function: GCC 12 never frees thread_local variable templates.
template <class T>
Scratch<T>& scratch() {
  static thread_local Scratch<T> own;
  return own;
}

// Rows whose distance is near a multiple of a page fall into one set of the L1 cache.
template <class T>
bool conflicts(int64_t stride) {
  const int64_t offset = stride * static_cast<int64_t>(sizeof(T)) % 4096;
  return offset < 64 || offset > 4032;
}

}  // namespace

template <class T>
GemmPlan<T>::GemmPlan(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, int64_t ldb)
    : kernels_(&kernels<T>()),
      trans_a_(trans_a),
      trans_b_(trans_b),
      m_(m),
      n_(n),
      k_(k),
      ldb_(ldb) {
  const int64_t width = kernels_->lanes;
  // Few rows leave registers for wider tiles, which read B in longer runs.
  wide_ = GemmTiles<T>::kWidths - 1;
  while (wide_ > 0 &&
         (kernels_->gemm.max_rows[wide_] < std::min<int64_t>(m_, kernels_->gemm.max_rows[1]) ||
          width << (wide_ - 1) >= n_)) {
    --wide_;
  }
  strip_ = width << wide_;
  panel_rows_ = ceil_div(m_, ceil_div(m_, kernels_->gemm.max_rows[wide_]));
  panels_ = ceil_div(m_, panel_rows_);
  k_blocks_ = std::max<int64_t>(1, ceil_div(k_, kInnerBytes / static_cast<int64_t>(sizeof(T))));
  copies_b_ = trans_b_ || panels_ > (conflicts<T>(ldb_) ? kPanelsInConflict : kPanelsInPlace);

  const int64_t wanted = std::min(kTasks, m_ * n_ * k_ / kTaskProducts);
  if (wanted < 2) {
    column_blocks_ = copies_b_ ? ceil_div(n_, 2 * kTaskColumns) : 1;
    return;
  }
  // Columns are divided first: every task copies its own part of B, and nobody else's.
  const int64_t strips = ceil_div(n_, copies_b_ ? strip_ : 2 * strip_);
  row_blocks_ = ceil_div(m_, kTaskRows);
  column_blocks_ =
      std::min(strips, std::max(ceil_div(wanted, row_blocks_), ceil_div(n_, kTaskColumns)));
  if (column_blocks_ * row_blocks_ < wanted) {
    row_blocks_ = std::max(row_blocks_, std::min(wanted / column_blocks_, panels_ / 4));
  }
}

template <class T>
void GemmPlan<T>::of(T by_alpha, const T* matrix_a, int64_t a_stride, const T* matrix_b, T by_beta,
                     T* matrix_c, int64_t c_stride, const Epilogue<T>* last) {
  alpha_ = by_alpha;
  a_ = matrix_a;
  lda_ = a_stride;
  b_ = matrix_b;
  beta_ = by_beta;
  c_ = matrix_c;
  ldc_ = c_stride;
  epilogue_ = last;
}

template <class T>
int64_t GemmPlan<T>::panel_row(int64_t panel) const {
  return std::min(m_, panel * panel_rows_);
}
template <class T>
int64_t GemmPlan<T>::block_k(int64_t block) const {
  return split(k_, k_blocks_, block);
}
template <class T>
T* GemmPlan<T>::packed_panel(int64_t panel, int64_t k_block) const {
  return packed_a_ + (k_block * panels_ + panel) * packed_size_;
}
// Of a copied strip of op(B); one vector more keeps strips out of each other's cache sets.
template <class T>
int64_t GemmPlan<T>::strip_size(int64_t steps) const {
  return steps * strip_ + kernels_->lanes;
}

// Panels of op(A) with the rows of one k side by side: one stream for the kernel to read.
template <class T>
void GemmPlan<T>::copy_a(int64_t first, int64_t last) const {
  const int64_t i0 = panel_row(first), i1 = panel_row(last);
  for (int64_t kb = 0; kb < k_blocks_; ++kb) {
    const int64_t p0 = block_k(kb), p1 = block_k(kb + 1);
    if (trans_a_) {
      kernels_->gemm.copy(packed_panel(first, kb), panel_rows_, packed_size_, a_ + p0 * lda_ + i0,
                          lda_, i1 - i0, p1 - p0);
      continue;
    }
    for (int64_t panel = first; panel < last; ++panel) {
      const int64_t i = panel_row(panel);
      kernels_->gemm.transpose(packed_panel(panel, kb), panel_rows_, a_ + i * lda_ + p0, lda_,
                               panel_row(panel + 1) - i, p1 - p0);
    }
  }
}

// op(B)[p0:p1, j0:j1] as strips of contiguous rows.
template <class T>
void GemmPlan<T>::copy_b(T* to, int64_t p0, int64_t p1, int64_t j0, int64_t j1) const {
  if (!trans_b_) {
    kernels_->gemm.copy(to, strip_, strip_size(p1 - p0), b_ + p0 * ldb_ + j0, ldb_, j1 - j0,
                        p1 - p0);
    return;
  }
  for (int64_t j = j0; j < j1; j += strip_, to += strip_size(p1 - p0)) {
    kernels_->gemm.transpose(to, strip_, b_ + j * ldb_ + p0, ldb_, std::min(strip_, j1 - j),
                             p1 - p0);
  }
}

// One task: a block of C, all of k.
template <class T>
void GemmPlan<T>::run(int64_t task) const {
  const int64_t strips = ceil_div(n_, strip_);
  const int64_t row_block = task / column_blocks_, column_block = task % column_blocks_;
  const int64_t first = split(panels_, row_blocks_, row_block);
  const int64_t last = split(panels_, row_blocks_, row_block + 1);
  const int64_t j0 = split(strips, column_blocks_, column_block) * strip_;
  const int64_t j1 = std::min(n_, split(strips, column_blocks_, column_block + 1) * strip_);
  T* const copied =
      copies_b_
          ? scratch<T>().b.at_least(ceil_div(j1 - j0, strip_) * strip_size(ceil_div(k_, k_blocks_)))
          : nullptr;
  const bool by_row = !trans_a_ && packed_a_ == nullptr;
  const int64_t row0 = panel_row(first);
  const int64_t out_ld = c_ == nullptr ? j1 - j0 : ldc_;
  T* const out = c_ == nullptr ? scratch<T>().c.at_least((panel_row(last) - row0) * out_ld)
                               : c_ + row0 * ldc_ + j0;

  TileArgs<T> args{};
  args.cs = out_ld;
  args.alpha = alpha_;
  for (int64_t kb = 0; kb < k_blocks_; ++kb) {
    const int64_t p0 = block_k(kb), p1 = block_k(kb + 1);
    args.k = p1 - p0;
    args.beta = kb == 0 ? beta_ : T(1);
    if (copies_b_) copy_b(copied, p0, p1, j0, j1);
    args.bs = copies_b_ ? strip_ : ldb_;
    int64_t finished = row0;
    for (int64_t panel = first; panel < last; ++panel) {
      const int64_t i0 = panel_row(panel), i1 = panel_row(panel + 1), rows = i1 - i0;
      if (packed_a_ != nullptr) {
        args.a = packed_panel(panel, kb);
        args.as = panel_rows_;
      } else {
        args.a = by_row ? a_ + i0 * lda_ + p0 : a_ + p0 * lda_ + i0;
        args.as = lda_;
      }
      for (int64_t j = j0; j < j1;) {
        // The last strip is taken in powers of two vectors.
        const int64_t vectors = ceil_div(std::min(strip_, j1 - j), kernels_->lanes);
        int log = wide_;
        while (1 << log > vectors) --log;
        const int64_t columns = std::min(j1 - j, static_cast<int64_t>(kernels_->lanes) << log);
        args.b = copies_b_ ? copied + (j - j0) / strip_ * strip_size(args.k) + (j - j0) % strip_
                           : b_ + p0 * ldb_ + j;
        args.c = out + (i0 - row0) * out_ld + j - j0;
        args.tail = static_cast<int>((columns - 1) % kernels_->lanes + 1);
        (by_row ? kernels_->gemm.by_row : kernels_->gemm.by_step)[log][rows - 1](args);
        j += columns;
      }
      if (epilogue_ != nullptr && kb + 1 == k_blocks_ &&
          (panel + 1 == last || (i1 - finished) * (j1 - j0) >= kEpilogueElements)) {
        epilogue_->tile(epilogue_->context,
                        {out + (finished - row0) * out_ld, out_ld, first_row_ + finished, j0,
                         i1 - finished, j1 - j0, task});
        finished = i1;
      }
    }
  }
}

template <class T>
void GemmPlan<T>::run_all(Pool& pool) {
  const bool parallel = tasks() > 1 && m_ * n_ * k_ >= kWorthSharing;
  if (panels_ > 1 && n_ > 2 * strip_ && conflicts<T>(lda_)) {
    packed_size_ = ceil_div(k_, k_blocks_) * panel_rows_ + kernels_->lanes;
    packed_a_ = scratch<T>().a.at_least(k_blocks_ * panels_ * packed_size_);
    const int64_t parts = parallel ? std::min(panels_, kTasks) : 1;
    pool.parallel_for(static_cast<int>(parts), [&](int part) {
      copy_a(split(panels_, parts, part), split(panels_, parts, part + 1));
    });
  }
  if (parallel) {
    pool.parallel_for(static_cast<int>(tasks()), [&](int task) { run(task); });
  } else {
    for (int64_t task = 0; task < tasks(); ++task) run(task);
  }
}

template <class T>
void gemm(Pool& pool, bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, T alpha,
          const T* a, int64_t lda, const T* b, int64_t ldb, T beta, T* c, int64_t ldc,
          const Epilogue<T>* epilogue) {
  if (m <= 0 || n <= 0) return;
  k = std::max<int64_t>(k, 0);
  for (int64_t row = 0; row < m; row += kSliceRows) {
    GemmPlan<T> plan(trans_a, trans_b, std::min(m - row, kSliceRows), n, k, ldb);
    plan.of(alpha, trans_a ? a + row : a + row * lda, lda, b, beta,
            c == nullptr ? nullptr : c + row * ldc, ldc, epilogue);
    plan.first_row_ = row;
    plan.run_all(pool);
  }
}

template class GemmPlan<float>;
template class GemmPlan<double>;
template void gemm<float>(Pool&, bool, bool, int64_t, int64_t, int64_t, float, const float*,
                          int64_t, const float*, int64_t, float, float*, int64_t,
                          const Epilogue<float>*);
template void gemm<double>(Pool&, bool, bool, int64_t, int64_t, int64_t, double, const double*,
                           int64_t, const double*, int64_t, double, double*, int64_t,
                           const Epilogue<double>*);

}  // namespace deltarule
