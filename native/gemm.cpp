// Splits a product into cache blocks and tiles, decides what is worth copying first, and hands the
// blocks to the pool. Every decision depends on the shape alone, so the bits never depend on the
// threads.
#include "gemm.hpp"

#include <algorithm>
#include <cstddef>
#include <new>

#include "cpu.hpp"
#include "gemm_table.hpp"

namespace deltarule {
namespace {

// How each was chosen: GEMM.md.
constexpr int64_t kParallelProducts =
    5'000'000;                  // m n k below which a dispatch costs more than it saves
constexpr int64_t kTasks = 16;  // at least as many tasks, for threads that start late or lose time
constexpr int64_t kTaskColumns = 256;  // at most so many columns ...
constexpr int64_t kTaskRows = 512;     // ... and rows of C in a task
constexpr int64_t kSliceRows = 4096;   // rows taken at a time, which bounds the copy of A
constexpr int64_t kInnerBytes =
    2048;  // of a block of the inner dimension: its strips of B stay in cache
constexpr int64_t kPanelsInPlace = 10;       // up to so many panels of rows, B is not worth a copy
constexpr int64_t kEpilogueElements = 2048;  // tiles handed to the epilogue have about this size

int64_t ceil_div(int64_t x, int64_t y) { return (x + y - 1) / y; }

// First item of part `i` when `items` are split into `parts` as evenly as can be.
int64_t split(int64_t items, int64_t parts, int64_t i) { return items * i / parts; }

// Cache-line aligned memory that only grows; one per thread and purpose.
class Buffer {
 public:
  Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { release(); }

  template <class T>
  T* get(int64_t elements) {
    const auto bytes = static_cast<std::size_t>(elements) * sizeof(T);
    if (bytes > bytes_) {
      release();
      memory_ = ::operator new(bytes, kAlignment);
      bytes_ = bytes;
    }
    return static_cast<T*>(memory_);
  }

 private:
  static constexpr std::align_val_t kAlignment{64};
  void release() {
    if (memory_ != nullptr) ::operator delete(memory_, kAlignment);
    memory_ = nullptr;
    bytes_ = 0;
  }
  void* memory_ = nullptr;
  std::size_t bytes_ = 0;
};

thread_local Buffer buffer_a;  // op(A) of the caller, shared with the workers of its dispatch
thread_local Buffer buffer_b;  // the block of op(B) of the thread at work
thread_local Buffer buffer_c;  // its block of C, where the caller keeps none

template <class T>
const KernelTable<T>& kernels() {
#if defined(__x86_64__) || defined(_M_X64)
  static const KernelTable<T>& table = cpu_level() == Level::avx512 ? avx512_kernels(T{})
                                       : cpu_level() == Level::avx2 ? avx2_kernels(T{})
                                                                    : baseline_kernels(T{});
#else
  static const KernelTable<T>& table = baseline_kernels(T{});
#endif
  return table;
}

// One slice of rows of the product, and how it is taken apart.
template <class T>
struct Product {
  const KernelTable<T>& table;
  bool trans_a, trans_b;
  int64_t m, n, k;
  T alpha = 1;
  const T* a = nullptr;
  int64_t lda = 0;
  const T* b = nullptr;
  int64_t ldb = 0;
  T beta = 0;
  T* c = nullptr;  // null: only the epilogue sees it
  int64_t ldc = 0;
  const Epilogue<T>* epilogue = nullptr;
  int64_t first_row = 0;   // of this slice in the caller's C ...
  int64_t first_part = 0;  // ... and of its tasks among all

  int wide = 0;            // tiles are 1 << wide vectors wide
  int64_t strip = 0;       // the same in columns
  int64_t panels = 0;      // rows are split into so many tiles ...
  int64_t panel_rows = 0;  // (each this tall, the last one may be less)
  int64_t k_blocks = 1;    // ... the inner dimension into so many blocks ...
  int64_t row_blocks = 1;  // ... and C into row_blocks x column_blocks tasks
  int64_t column_blocks = 1;
  bool copy_b = false;
  T* packed_a =
      nullptr;  // all of op(A), panel by panel within each block of k; null: used in place
  int64_t packed_size = 0;  // of one panel

  int64_t panel_row(int64_t panel) const { return std::min(m, panel * panel_rows); }
  int64_t block_k(int64_t block) const { return split(k, k_blocks, block); }
  T* packed_panel(int64_t panel, int64_t k_block) const {
    return packed_a + (k_block * panels + panel) * packed_size;
  }

  // Of a copied strip of op(B); one vector more keeps strips out of each other's cache sets.
  int64_t strip_size(int64_t steps) const { return steps * strip + table.width; }
  void plan();
  int64_t tasks() const { return row_blocks * column_blocks; }
  void run(Pool& pool);

 private:
  void copy_a(int64_t first, int64_t last) const;
  void copy_b_block(T* to, int64_t p0, int64_t p1, int64_t j0, int64_t j1) const;
  void block(int64_t task) const;
};

// Rows whose distance is near a multiple of a page fall into one set of the L1 cache.
template <class T>
bool conflicts(int64_t stride) {
  const int64_t offset = stride * static_cast<int64_t>(sizeof(T)) % 4096;
  return offset < 64 || offset > 4032;
}

template <class T>
void Product<T>::plan() {
  const int64_t width = table.width;
  // Few rows leave registers for wider tiles, which read B in longer runs.
  wide = kWidths - 1;
  while (wide > 0 && (table.max_rows[wide] < std::min<int64_t>(m, table.max_rows[1]) ||
                      width << (wide - 1) >= n)) {
    --wide;
  }
  strip = width << wide;
  panel_rows = ceil_div(m, ceil_div(m, table.max_rows[wide]));
  panels = ceil_div(m, panel_rows);
  k_blocks = std::max<int64_t>(1, ceil_div(k, kInnerBytes / static_cast<int64_t>(sizeof(T))));
  copy_b = trans_b || panels > kPanelsInPlace;

  if (m * n * k < kParallelProducts) {
    column_blocks = copy_b ? ceil_div(n, 2 * kTaskColumns) : 1;
    return;
  }
  // Columns are divided first: every task copies its own part of B, and nobody else's.
  const int64_t strips = ceil_div(n, copy_b ? strip : 2 * strip);
  row_blocks = ceil_div(m, kTaskRows);
  column_blocks =
      std::min(strips, std::max(ceil_div(kTasks, row_blocks), ceil_div(n, kTaskColumns)));
  if (column_blocks * row_blocks < kTasks) {
    row_blocks = std::max(row_blocks, std::min(kTasks / column_blocks, panels / 4));
  }
}

// Panels of op(A) with the rows of one k side by side: one stream for the kernel to read.
template <class T>
void Product<T>::copy_a(int64_t first, int64_t last) const {
  const int64_t i0 = panel_row(first), i1 = panel_row(last);
  for (int64_t kb = 0; kb < k_blocks; ++kb) {
    const int64_t p0 = block_k(kb), p1 = block_k(kb + 1);
    if (trans_a) {
      table.copy(packed_panel(first, kb), panel_rows, packed_size, a + p0 * lda + i0, lda, i1 - i0,
                 p1 - p0);
      continue;
    }
    for (int64_t panel = first; panel < last; ++panel) {
      const int64_t i = panel_row(panel);
      table.transpose(packed_panel(panel, kb), panel_rows, a + i * lda + p0, lda,
                      panel_row(panel + 1) - i, p1 - p0);
    }
  }
}

// op(B)[p0:p1, j0:j1] as strips of contiguous rows.
template <class T>
void Product<T>::copy_b_block(T* to, int64_t p0, int64_t p1, int64_t j0, int64_t j1) const {
  if (!trans_b) {
    table.copy(to, strip, strip_size(p1 - p0), b + p0 * ldb + j0, ldb, j1 - j0, p1 - p0);
    return;
  }
  for (int64_t j = j0; j < j1; j += strip, to += strip_size(p1 - p0)) {
    table.transpose(to, strip, b + j * ldb + p0, ldb, std::min(strip, j1 - j), p1 - p0);
  }
}

// One task: a block of C, all of k.
template <class T>
void Product<T>::block(int64_t task) const {
  const int64_t strips = ceil_div(n, strip);
  const int64_t row_block = task / column_blocks, column_block = task % column_blocks;
  const int64_t first = split(panels, row_blocks, row_block);
  const int64_t last = split(panels, row_blocks, row_block + 1);
  const int64_t j0 = split(strips, column_blocks, column_block) * strip;
  const int64_t j1 = std::min(n, split(strips, column_blocks, column_block + 1) * strip);
  T* const copied =
      copy_b ? buffer_b.get<T>(ceil_div(j1 - j0, strip) * strip_size(ceil_div(k, k_blocks)))
             : nullptr;
  const bool by_row = !trans_a && packed_a == nullptr;
  const int64_t row0 = panel_row(first);
  const int64_t out_ld = c == nullptr ? j1 - j0 : ldc;
  T* const out = c == nullptr ? buffer_c.get<T>((panel_row(last) - row0) * out_ld)
                              : c + row0 * ldc + j0;

  TileArgs<T> args{};
  args.cs = out_ld;
  args.alpha = alpha;
  for (int64_t kb = 0; kb < k_blocks; ++kb) {
    const int64_t p0 = block_k(kb), p1 = block_k(kb + 1);
    args.k = p1 - p0;
    args.beta = kb == 0 ? beta : T(1);
    if (copy_b) copy_b_block(copied, p0, p1, j0, j1);
    args.bs = copy_b ? strip : ldb;
    int64_t finished = row0;
    for (int64_t panel = first; panel < last; ++panel) {
      const int64_t i0 = panel_row(panel), i1 = panel_row(panel + 1), rows = i1 - i0;
      if (packed_a != nullptr) {
        args.a = packed_panel(panel, kb);
        args.as = panel_rows;
      } else {
        args.a = by_row ? a + i0 * lda + p0 : a + p0 * lda + i0;
        args.as = lda;
      }
      for (int64_t j = j0; j < j1;) {
        // The last strip is taken in powers of two vectors.
        const int64_t vectors = ceil_div(std::min(strip, j1 - j), table.width);
        int log = wide;
        while (1 << log > vectors) --log;
        const int64_t columns = std::min(j1 - j, static_cast<int64_t>(table.width) << log);
        args.b = copy_b ? copied + (j - j0) / strip * strip_size(args.k) + (j - j0) % strip
                        : b + p0 * ldb + j;
        args.c = out + (i0 - row0) * out_ld + j - j0;
        args.tail = static_cast<int>((columns - 1) % table.width + 1);
        (by_row ? table.by_row : table.by_step)[log][rows - 1](args);
        j += columns;
      }
      if (epilogue != nullptr && kb + 1 == k_blocks &&
          (panel + 1 == last || (i1 - finished) * (j1 - j0) >= kEpilogueElements)) {
        epilogue->tile(epilogue->context,
                       {out + (finished - row0) * out_ld, out_ld, first_row + finished, j0,
                        i1 - finished, j1 - j0, first_part + task});
        finished = i1;
      }
    }
  }
}

template <class T>
void Product<T>::run(Pool& pool) {
  const bool parallel = tasks() > 1 && m * n * k >= kParallelProducts;
  if (panels > 1 && n > 2 * strip && conflicts<T>(lda)) {
    packed_size = ceil_div(k, k_blocks) * panel_rows + table.width;
    packed_a = buffer_a.get<T>(k_blocks * panels * packed_size);
    const int64_t parts = parallel ? std::min(panels, kTasks) : 1;
    pool.parallel_for(static_cast<int>(parts), [&](int part) {
      copy_a(split(panels, parts, part), split(panels, parts, part + 1));
    });
  }
  if (parallel) {
    pool.parallel_for(static_cast<int>(tasks()), [&](int task) { block(task); });
  } else {
    for (int64_t task = 0; task < tasks(); ++task) block(task);
  }
}

// A slice of rows as it will be taken apart; where its matrices are is told later.
template <class T>
Product<T> slice(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k) {
  Product<T> product{.table = kernels<T>(), .trans_a = trans_a, .trans_b = trans_b, .m = m, .n = n,
                     .k = k};
  product.plan();
  return product;
}

}  // namespace

template <class T>
void gemm(Pool& pool, bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, T alpha,
          const T* a, int64_t lda, const T* b, int64_t ldb, T beta, T* c, int64_t ldc,
          const Epilogue<T>* epilogue) {
  if (m <= 0 || n <= 0) return;
  k = std::max<int64_t>(k, 0);
  int64_t parts = 0;
  for (int64_t row = 0; row < m; row += kSliceRows) {
    Product<T> product = slice<T>(trans_a, trans_b, std::min(m - row, kSliceRows), n, k);
    product.alpha = alpha;
    product.a = trans_a ? a + row : a + row * lda;
    product.lda = lda;
    product.b = b;
    product.ldb = ldb;
    product.beta = beta;
    product.c = c == nullptr ? nullptr : c + row * ldc;
    product.ldc = ldc;
    product.epilogue = epilogue;
    product.first_row = row;
    product.first_part = parts;
    product.run(pool);
    parts += product.tasks();
  }
}

template <class T>
int64_t gemm_parts(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k) {
  int64_t parts = 0;
  for (int64_t row = 0; row < m; row += kSliceRows)
    parts += slice<T>(trans_a, trans_b, std::min(m - row, kSliceRows), n, k).tasks();
  return parts;
}

template void gemm<float>(Pool&, bool, bool, int64_t, int64_t, int64_t, float, const float*,
                          int64_t, const float*, int64_t, float, float*, int64_t,
                          const Epilogue<float>*);
template void gemm<double>(Pool&, bool, bool, int64_t, int64_t, int64_t, double, const double*,
                           int64_t, const double*, int64_t, double, double*, int64_t,
                           const Epilogue<double>*);
template int64_t gemm_parts<float>(bool, bool, int64_t, int64_t, int64_t);
template int64_t gemm_parts<double>(bool, bool, int64_t, int64_t, int64_t);

}  // namespace deltarule
