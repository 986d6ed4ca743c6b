// The register-blocked inner kernels of gemm, written once over a vector type. Each CPU level
// includes this file in its own translation unit with its own vector type, inside its own
// namespace.
#pragma once

#include <cstdint>
#include <utility>

#include "kernels/gemm_table.hpp"

#define DELTARULE_INLINE inline __attribute__((always_inline))

namespace deltarule {
namespace {  // every level compiles its own copy: nothing here may be shared between them

using std::int64_t;

// Every loop over accumulators must vanish, or they stay in memory. Look at the machine code after
// a change here: no vector register may be read from or written to the stack inside a loop.
#define DELTARULE_UNROLL _Pragma("GCC unroll 16")

// Vector v of NV from p; only the last one may be partial.
template <class V, int NV, bool Full>
DELTARULE_INLINE typename V::Reg load_vector(const typename V::T* p, int v, typename V::Mask mask) {
  return Full || v + 1 < NV ? V::load(p + v * V::W) : V::load(p + v * V::W, mask);
}

// One tile of C: MR rows, NV vectors wide, the last of which has `tail` live lanes. Element (row,
// p) of op(A) is a[row * as + p] (ByRow) or a[p * as + row]; (p, column) of op(B) is b[p * bs +
// column]. Small tiles keep KU partial sums per element, since a fused multiply-add takes about 4
// cycles.
template <class V, int MR, int NV, int KU, bool ByRow, bool Full>
DELTARULE_INLINE void tile(const TileArgs<typename V::T>& t) {
  using T = typename V::T;
  using R = typename V::Reg;
  const typename V::Mask mask = V::mask(Full ? V::W : t.tail);
  R acc[KU * MR][NV];
  DELTARULE_UNROLL
  for (int r = 0; r < KU * MR; ++r) {
    DELTARULE_UNROLL
    for (int v = 0; v < NV; ++v) acc[r][v] = V::zero();
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
      bv[v] = load_vector<V, NV, Full>(b, v, mask);
      if (MR > 1) V::keep(bv[v]);  // GCC would read it again for each row
      __builtin_prefetch(b + ahead + v * V::W);
    }
    b += bs;
    DELTARULE_UNROLL
    for (int r = 0; r < MR; ++r) {
      const char* at = a[ByRow ? r / 3 : 0];
      if (ByRow && r % 3 == 1) at += one_row;
      if (ByRow && r % 3 == 2) at += two_rows;
      const R x = V::broadcast(reinterpret_cast<const T*>(at) + (ByRow ? p : r));
      DELTARULE_UNROLL
      for (int v = 0; v < NV; ++v) {
        acc[u * MR + r][v] = V::fma(x, bv[v], acc[u * MR + r][v]);
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
    for (int v = 0; v < NV; ++v) acc[r % MR][v] = V::add(acc[r % MR][v], acc[r][v]);
  }

  const R alpha = V::broadcast(&t.alpha);
  // Everything is loaded before anything is stored: a masked store delays every later load that is
  // near.
  if (t.beta == T(0)) {
    DELTARULE_UNROLL
    for (int r = 0; r < MR; ++r) {
      DELTARULE_UNROLL
      for (int v = 0; v < NV; ++v) acc[r][v] = V::mul(alpha, acc[r][v]);
    }
  } else {
    const R beta = V::broadcast(&t.beta);
    const T* c = t.c;
    DELTARULE_UNROLL
    for (int r = 0; r < MR; ++r, c += t.cs) {
      DELTARULE_UNROLL
      for (int v = 0; v < NV; ++v) {
        acc[r][v] = V::fma(beta, load_vector<V, NV, Full>(c, v, mask), V::mul(alpha, acc[r][v]));
      }
    }
  }
  T* c = t.c;
  DELTARULE_UNROLL
  for (int r = 0; r < MR; ++r, c += t.cs) {
    DELTARULE_UNROLL
    for (int v = 0; v < NV; ++v) {
      if (Full || v + 1 < NV) {
        V::store(c + v * V::W, acc[r][v]);
      } else {
        V::store(c + v * V::W, acc[r][v], mask);
      }
    }
  }
}

template <class V, int MR, int NV, int KU, bool ByRow>
void kernel(const TileArgs<typename V::T>& t) {
  if constexpr (V::kCheapMask) {
    tile<V, MR, NV, KU, ByRow, false>(t);
  } else if (t.tail == V::W) {
    tile<V, MR, NV, KU, ByRow, true>(t);
  } else {
    tile<V, MR, NV, KU, ByRow, false>(t);
  }
}

// Enough accumulators to cover the latency of two multiply-add pipes.
constexpr int partial_sums(int accumulators) {
  return accumulators >= 8 ? 1 : accumulators >= 4 ? 2 : 4;
}

template <class V, int MaxRows, int NV, bool ByRow>
constexpr void fill(typename KernelTable<typename V::T>::Kernel (&row)[kMaxRows]) {
  [&]<int... I>(std::integer_sequence<int, I...>) {
    ((row[I] = &kernel<V, I + 1, NV, partial_sums((I + 1) * NV), ByRow>), ...);
  }(std::make_integer_sequence<int, MaxRows>{});
}

// See KernelTable. The rows are read ahead: they are often far apart and not in cache. Lanes beyond
// a strip fall on its next row, which is written later, or into the slack.
template <class V>
void copy(typename V::T* to, int64_t strip, int64_t apart, const typename V::T* from, int64_t ld,
          int64_t columns, int64_t k) {
  constexpr int64_t kAhead = 8;
  for (int64_t p = 0; p < k; ++p, to += strip, from += ld) {
    typename V::T* out = to;
    for (int64_t j = 0; j < columns; j += strip, out += apart) {
      const int64_t end = columns - j < strip ? columns - j : strip;
      for (int64_t i = 0; i < end; i += V::W) {
        const typename V::T* const at = from + j + i;
        const int64_t left = columns - j - i;
        __builtin_prefetch(at + kAhead * ld);
        V::store(out + i,
                 left >= V::W ? V::load(at) : V::load(at, V::mask(static_cast<int>(left))));
      }
    }
  }
}

// See KernelTable: blocks in registers. Lanes beyond the last column repeat it; they fall on the
// next step of k, which is written later, since the last block of columns comes first, or into the
// slack.
template <class V>
void transpose(typename V::T* to, int64_t strip, const typename V::T* from, int64_t ld,
               int64_t columns, int64_t k) {
  for (int64_t j = (columns - 1) / V::W * V::W; j >= 0; j -= V::W) {
    const int64_t last = columns - j < V::W ? columns - j - 1 : V::W - 1;
    const typename V::T* rows[V::W];
    for (int64_t i = 0; i < V::W; ++i) rows[i] = from + (j + (i < last ? i : last)) * ld;
    int64_t p = 0;
    for (; p + V::kBlock <= k; p += V::kBlock) V::transpose(to + p * strip + j, strip, rows, p);
    for (; p < k; ++p) {
      for (int64_t i = 0; i <= last; ++i) to[p * strip + j + i] = rows[i][p];
    }
  }
}

template <class V, int Rows1, int Rows2, int Rows4, int Rows8>
constexpr KernelTable<typename V::T> make_table() {
  KernelTable<typename V::T> table{};
  table.width = V::W;
  table.max_rows[0] = Rows1;
  table.max_rows[1] = Rows2;
  table.max_rows[2] = Rows4;
  table.max_rows[3] = Rows8;
  fill<V, Rows1, 1, true>(table.by_row[0]);
  fill<V, Rows2, 2, true>(table.by_row[1]);
  fill<V, Rows4, 4, true>(table.by_row[2]);
  fill<V, Rows8, 8, true>(table.by_row[3]);
  fill<V, Rows1, 1, false>(table.by_step[0]);
  fill<V, Rows2, 2, false>(table.by_step[1]);
  fill<V, Rows4, 4, false>(table.by_step[2]);
  fill<V, Rows8, 8, false>(table.by_step[3]);
  table.copy = &copy<V>;
  table.transpose = &transpose<V>;
  return table;
}

}  // namespace
}  // namespace deltarule
