// What a CPU level offers to gemm: its tile kernels and its transposing copy, as plain function
// pointers.
#pragma once

#include <cstdint>

namespace deltarule {

template <class T>
struct TileArgs {
  const T* a;       // the tile's first row of op(A)
  std::int64_t as;  // between rows (row-major A), or between steps of k (transposed or packed A)
  const T* b;       // the tile's first column of op(B)
  std::int64_t bs;  // between steps of k
  T* c;
  std::int64_t cs;
  std::int64_t k;
  T alpha, beta;
  int tail;  // live lanes of the last vector, 1 .. width
};

constexpr int kMaxRows = 14;  // rows of the tallest tile of any level
constexpr int kWidths = 4;    // tiles are 1, 2, 4 or 8 vectors wide

template <class T>
struct KernelTable {
  using Kernel = void (*)(const TileArgs<T>&);
  int width;                          // lanes of a vector
  int max_rows[kWidths];              // tallest tile for each number of vectors
  Kernel by_row[kWidths][kMaxRows];   // A row-major; [log2(vectors)][rows - 1], null above max_rows
  Kernel by_step[kWidths][kMaxRows];  // A transposed or packed: the rows of one k lie side by side
  // Both write up to `width` elements more than asked for behind each strip.
  // Cuts rows into strips of `strip` elements that lie `apart` from each other:
  // to[j / strip * apart + p * strip + j % strip] = from[p * ld + j] for p < k, j < columns.
  void (*copy)(T* to, std::int64_t strip, std::int64_t apart, const T* from, std::int64_t ld,
               std::int64_t columns, std::int64_t k);
  // One strip of a transposed matrix: to[p * strip + j] = from[j * ld + p] for p < k, j < columns.
  void (*transpose)(T* to, std::int64_t strip, const T* from, std::int64_t ld, std::int64_t columns,
                    std::int64_t k);
};

// One per level and type, defined in gemm_<level>.cpp.
const KernelTable<float>& baseline_kernels(float);
const KernelTable<double>& baseline_kernels(double);
const KernelTable<float>& avx2_kernels(float);
const KernelTable<double>& avx2_kernels(double);
const KernelTable<float>& avx512_kernels(float);
const KernelTable<double>& avx512_kernels(double);

}  // namespace deltarule
