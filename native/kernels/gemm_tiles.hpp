// The register-blocked inner kernels of gemm (see GemmTiles in kernels.hpp).
#pragma once

#include <cstdint>
#include <utility>

#include "kernels/kernels.hpp"
#include "kernels/simd.hpp"

namespace deltarule::DELTARULE_LEVEL::gemm_tiles {

// Every loop over accumulators must vanish, or they stay in memory. Look at the machine code after
// a change here: no vector register may be read from or written to the stack inside a loop.
#define DELTARULE_UNROLL _Pragma("GCC unroll 16")

// Vector v of NV from p; only the last one may be partial.
template <class T, int NV, bool Full>
DELTARULE_INLINE Vec<T> load_vector(const T* p, int v, Mask<T> mask) {
  return Full || v + 1 < NV ? load(p + v * kLanes<T>) : load(p + v * kLanes<T>, mask);
}

// One tile of C: MR rows, NV vectors wide, the last of which has `tail` live lanes. Element (row,
// p) of op(A) is a[row * as + p] (ByRow) or a[p * as + row]; (p, column) of op(B) is b[p * bs +
// column]. Small tiles keep KU partial sums per element, since a fused multiply-add takes about 4
// cycles.
template <class T, int MR, int NV, int KU, bool ByRow, bool Full>
DELTARULE_INLINE void tile(const TileArgs<T>& t) {
  constexpr int L = kLanes<T>;
  using R = Vec<T>;
  const Mask<T> mask = mask_first<T>(Full ? L : t.tail);
  R acc[KU * MR][NV];
  DELTARULE_UNROLL
  for (int r = 0; r < KU * MR; ++r) {
    DELTARULE_UNROLL
    for (int v = 0; v < NV; ++v) acc[r][v] = splat<T>(T(0));
  }

  // Rows of a row-major A are reached as base, base + one row, base + two rows from every third
  // one. The compilers would rather chain additions or spill a pointer per row: hide how the
  // addresses relate.
  constexpr int kBases = ByRow ? (MR + 2) / 3 : 1;
  const char* a[kBases];
  int64_t one_row = t.as * static_cast<int64_t>(sizeof(T)), two_rows = 2 * one_row;
  DELTARULE_UNROLL
  for (int g = 0; g < kBases; ++g) {
    a[g] = reinterpret_cast<const char*>(t.a) + 3 * g * one_row;
    asm("" : "+r"(a[g]));
  }
  asm("" : "+r"(one_row));
  if constexpr (ByRow && MR > 2) asm("" : "+r"(two_rows));
  const T* b = t.b;
  const int64_t bs = t.bs, ahead = 8 * bs;

  const auto step = [&](int u, int p) __attribute__((always_inline)) {
    R bv[NV];
    DELTARULE_UNROLL
    for (int v = 0; v < NV; ++v) {
      bv[v] = load_vector<T, NV, Full>(b, v, mask);
      if (MR > 1) pin<T>(bv[v]);  // GCC would read it again for each row
      __builtin_prefetch(b + ahead + v * L);
    }
    b += bs;
    DELTARULE_UNROLL
    for (int r = 0; r < MR; ++r) {
      const char* at = a[ByRow ? r / 3 : 0];
      if (ByRow && r % 3 == 1) at += one_row;
      if (ByRow && r % 3 == 2) at += two_rows;
      const R x = splat<T>(reinterpret_cast<const T*>(at)[ByRow ? p : r]);
      DELTARULE_UNROLL
      for (int v = 0; v < NV; ++v) {
        acc[u * MR + r][v] = x * bv[v] + acc[u * MR + r][v];
      }
    }
    if (!ByRow) a[0] += one_row;
  };
  constexpr int kStep = KU > 2 ? KU : 2;
  int64_t p = t.k;
  for (; p >= kStep; p -= kStep) {
    DELTARULE_UNROLL
    for (int s = 0; s < kStep; ++s) step(s % KU, s);
    if (ByRow) {
      DELTARULE_UNROLL
      for (int g = 0; g < kBases; ++g) a[g] += kStep * sizeof(T);
    }
  }
  for (; p > 0; --p) {
    step(0, 0);
    if (ByRow) {
      DELTARULE_UNROLL
      for (int g = 0; g < kBases; ++g) a[g] += sizeof(T);
    }
  }
  DELTARULE_UNROLL
  for (int r = MR; r < KU * MR; ++r) {
    DELTARULE_UNROLL
    for (int v = 0; v < NV; ++v) acc[r % MR][v] = acc[r % MR][v] + acc[r][v];
  }

  const R alpha = splat<T>(t.alpha);
  // Everything is loaded before anything is stored: a masked store delays every later load that is
  // near.
  if (t.beta == T(0)) {
    DELTARULE_UNROLL
    for (int r = 0; r < MR; ++r) {
      DELTARULE_UNROLL
      for (int v = 0; v < NV; ++v) acc[r][v] = alpha * acc[r][v];
    }
  } else {
    const R beta = splat<T>(t.beta);
    const T* c = t.c;
    DELTARULE_UNROLL
    for (int r = 0; r < MR; ++r, c += t.cs) {
      DELTARULE_UNROLL
      for (int v = 0; v < NV; ++v) {
        acc[r][v] = alpha * acc[r][v];
        pin<T>(acc[r][v]);  // or either product might be the one that is fused with the sum
        acc[r][v] = beta * load_vector<T, NV, Full>(c, v, mask) + acc[r][v];
      }
    }
  }
  T* c = t.c;
  DELTARULE_UNROLL
  for (int r = 0; r < MR; ++r, c += t.cs) {
    DELTARULE_UNROLL
    for (int v = 0; v < NV; ++v) {
      if (Full || v + 1 < NV) {
        store<T>(c + v * L, acc[r][v]);
      } else {
        store<T>(c + v * L, acc[r][v], mask);
      }
    }
  }
}

template <class T, int MR, int NV, int KU, bool ByRow>
void kernel(const TileArgs<T>& t) {
  if constexpr (kCheapMasks) {
    tile<T, MR, NV, KU, ByRow, false>(t);
  } else if (t.tail == kLanes<T>) {
    tile<T, MR, NV, KU, ByRow, true>(t);
  } else {
    tile<T, MR, NV, KU, ByRow, false>(t);
  }
}

// Enough accumulators to cover the latency of two multiply-add pipes.
constexpr int partial_sums(int accumulators) {
  return accumulators >= 8 ? 1 : accumulators >= 4 ? 2 : 4;
}

template <class T, int MaxRows, int NV, bool ByRow>
constexpr void fill(typename GemmTiles<T>::Kernel (&row)[GemmTiles<T>::kMaxRows]) {
  [&]<int... I>(std::integer_sequence<int, I...>) {
    ((row[I] = &kernel<T, I + 1, NV, partial_sums((I + 1) * NV), ByRow>), ...);
  }(std::make_integer_sequence<int, MaxRows>{});
}

// See GemmTiles. The rows are read ahead: they are often far apart and not in cache. Lanes beyond
// a strip fall on its next row, which is written later, or into the slack.
template <class T>
void copy(T* to, int64_t strip, int64_t apart, const T* from, int64_t ld, int64_t columns,
          int64_t k) {
  constexpr int64_t kAhead = 8;
  for (int64_t p = 0; p < k; ++p, to += strip, from += ld) {
    T* out = to;
    for (int64_t j = 0; j < columns; j += strip, out += apart) {
      const int64_t end = columns - j < strip ? columns - j : strip;
      for (int64_t i = 0; i < end; i += kLanes<T>) {
        const T* const at = from + j + i;
        const int64_t left = columns - j - i;
        __builtin_prefetch(at + kAhead * ld);
        store<T>(out + i, left >= kLanes<T> ? load(at) : load_first(at, static_cast<int>(left)));
      }
    }
  }
}

// See GemmTiles: blocks in registers. Lanes beyond the last column repeat it; they fall on the
// next step of k, which is written later, since the last block of columns comes first, or into the
// slack.
template <class T>
void transpose(T* to, int64_t strip, const T* from, int64_t ld, int64_t columns, int64_t k) {
  for (int64_t j = (columns - 1) / kLanes<T> * kLanes<T>; j >= 0; j -= kLanes<T>) {
    const int64_t last = columns - j < kLanes<T> ? columns - j - 1 : kLanes<T> - 1;
    const T* rows[kLanes<T>];
    for (int64_t i = 0; i < kLanes<T>; ++i) rows[i] = from + (j + (i < last ? i : last)) * ld;
    int64_t p = 0;
    for (; p + kBlock<T> <= k; p += kBlock<T>)
      transpose_block<T>(to + p * strip + j, strip, rows, p);
    for (; p < k; ++p) {
      for (int64_t i = 0; i <= last; ++i) to[p * strip + j + i] = rows[i][p];
    }
  }
}

// Rows of the tallest tiles of 1, 2, 4 and 8 vectors that leave room for the operands.
#if defined(__AVX512F__)
constexpr int kRows[] = {14, 14, 6, 2};
#elif defined(__AVX2__)
constexpr int kRows[] = {6, 6, 2, 0};
#elif defined(__aarch64__)
constexpr int kRows[] = {12, 12, 2, 0};
#else
constexpr int kRows[] = {4, 4, 2, 0};
#endif

template <class T>
constexpr GemmTiles<T> tiles() {
  GemmTiles<T> table{};
  [&]<int... W>(std::integer_sequence<int, W...>) {
    ((table.max_rows[W] = kRows[W]), ...);
    (fill<T, kRows[W], 1 << W, true>(table.by_row[W]), ...);
    (fill<T, kRows[W], 1 << W, false>(table.by_step[W]), ...);
  }(std::make_integer_sequence<int, GemmTiles<T>::kWidths>{});
  table.copy = &copy<T>;
  table.transpose = &transpose<T>;
  return table;
}

}  // namespace deltarule::DELTARULE_LEVEL::gemm_tiles
