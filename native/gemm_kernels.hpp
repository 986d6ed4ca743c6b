// The register-blocked inner kernels of gemm, written once over a vector type. Each CPU level includes
// this file in its own translation unit with its own vector type, inside its own namespace.
#pragma once

#include <cstdint>
#include <utility>

#include "gemm_table.hpp"

#define DELTARULE_INLINE inline __attribute__((always_inline))

namespace deltarule {
namespace {  // every level compiles its own copy: nothing here may be shared between them

using std::int64_t;

template <class F, int... I>
DELTARULE_INLINE void unroll(std::integer_sequence<int, I...>, F&& body) {
  (body(std::integral_constant<int, I>{}), ...);
}
// Calls body(integral_constant 0 .. N-1). A loop over an array of accumulators is left in memory by
// GCC 12; constant indices are what puts them into registers.
template <int N, class F>
DELTARULE_INLINE void unroll(F&& body) {
  unroll(std::make_integer_sequence<int, N>{}, static_cast<F&&>(body));
}
#define DELTARULE_EACH(i) [&](auto i) __attribute__((always_inline))

// One tile of C: MR rows, NV vectors wide, the last of which has `tail` live lanes.
// a: element (row, p) is at a[row * as + p] (ByRow) or a[p * as + row]; b: element (p, column) at b[p * bs + column].
// Small tiles keep KU partial sums per element, since a fused multiply-add takes about 4 cycles.
template <class V, int MR, int NV, int KU, bool ByRow, bool Full>
DELTARULE_INLINE void tile(const TileArgs<typename V::T>& t) {
  using T = typename V::T;
  using R = typename V::Reg;
  const typename V::Mask mask = V::mask(Full ? V::W : t.tail);
  R acc[KU][MR][NV];
  unroll<KU>(DELTARULE_EACH(u) {
    unroll<MR>(DELTARULE_EACH(r) { unroll<NV>(DELTARULE_EACH(v) { acc[u][r][v] = V::zero(); }); });
  });

  // Rows of a row-major A are reached as base, base + one row, base + two rows from every third one. The
  // compilers would rather chain additions or spill a pointer per row: hide how the addresses relate.
  constexpr int kBases = ByRow ? (MR + 2) / 3 : 1;
  const char* a[kBases];
  int64_t one_row = t.as * static_cast<int64_t>(sizeof(T)), two_rows = 2 * one_row;
  unroll<kBases>(DELTARULE_EACH(g) {
    a[g] = reinterpret_cast<const char*>(t.a) + 3 * g * one_row;
    asm("" : "+r"(a[g]));
  });
  asm("" : "+r"(one_row));
  if constexpr (ByRow && MR > 2) asm("" : "+r"(two_rows));
  const auto element = [&](auto r, int p) __attribute__((always_inline)) {
    if constexpr (!ByRow) return reinterpret_cast<const T*>(a[0]) + r;
    const char* const base = a[ByRow ? r / 3 : 0];
    const char* const row = r % 3 == 0 ? base : base + (r % 3 == 1 ? one_row : two_rows);
    return reinterpret_cast<const T*>(row) + p;
  };
  const T* b = t.b;
  const int64_t bs = t.bs;

  const auto step = [&](auto u, int p) __attribute__((always_inline)) {
    R bv[NV];
    unroll<NV>(DELTARULE_EACH(v) {
      if constexpr (Full || v + 1 < NV) {
        bv[v] = V::load(b + v * V::W);
      } else {
        bv[v] = V::load(b + v * V::W, mask);
      }
    });
    b += bs;
    unroll<MR>(DELTARULE_EACH(r) {
      const R x = V::broadcast(element(r, p));
      unroll<NV>(DELTARULE_EACH(v) { acc[u][r][v] = V::fma(x, bv[v], acc[u][r][v]); });
    });
    if constexpr (!ByRow) a[0] += one_row;
  };
  constexpr int kStep = KU > 4 ? KU : 4;
  int64_t p = t.k;
  for (; p >= kStep; p -= kStep) {
    unroll<kStep>(DELTARULE_EACH(s) { step(std::integral_constant<int, s % KU>{}, s); });
    if constexpr (ByRow) unroll<kBases>(DELTARULE_EACH(g) { a[g] += kStep * sizeof(T); });
  }
  for (; p > 0; --p) {
    step(std::integral_constant<int, 0>{}, 0);
    if constexpr (ByRow) unroll<kBases>(DELTARULE_EACH(g) { a[g] += sizeof(T); });
  }
  unroll<KU - 1>(DELTARULE_EACH(u) {
    unroll<MR>(DELTARULE_EACH(r) {
      unroll<NV>(DELTARULE_EACH(v) { acc[0][r][v] = V::add(acc[0][r][v], acc[u + 1][r][v]); });
    });
  });

  const R alpha = V::broadcast(&t.alpha);
  // Everything is loaded before anything is stored: a masked store delays every later load that is near.
  if (t.beta == T(0)) {
    unroll<MR>(DELTARULE_EACH(r) {
      unroll<NV>(DELTARULE_EACH(v) { acc[0][r][v] = V::mul(alpha, acc[0][r][v]); });
    });
  } else {
    const R beta = V::broadcast(&t.beta);
    const T* c = t.c;
    unroll<MR>(DELTARULE_EACH(r) {
      unroll<NV>(DELTARULE_EACH(v) {
        R old;
        if constexpr (Full || v + 1 < NV) {
          old = V::load(c + v * V::W);
        } else {
          old = V::load(c + v * V::W, mask);
        }
        acc[0][r][v] = V::fma(beta, old, V::mul(alpha, acc[0][r][v]));
      });
      c += t.cs;
    });
  }
  T* c = t.c;
  unroll<MR>(DELTARULE_EACH(r) {
    unroll<NV>(DELTARULE_EACH(v) {
      if constexpr (Full || v + 1 < NV) {
        V::store(c + v * V::W, acc[0][r][v]);
      } else {
        V::store(c + v * V::W, acc[0][r][v], mask);
      }
    });
    c += t.cs;
  });
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

static int PFD = 8;
// See KernelTable. The rows are read ahead: they are often far apart and not in cache.
template <class V>
void copy(typename V::T* to, int64_t strip, int64_t apart, const typename V::T* from, int64_t ld,
          int64_t columns, int64_t k) {
  for (int64_t p = 0; p < k; ++p, to += strip, from += ld) {
    typename V::T* out = to;
    for (int64_t j = 0; j < columns; j += strip, out += apart) {
      const int64_t run = columns - j < strip ? columns - j : strip;
      int64_t i = 0;
      for (; i + V::W <= run; i += V::W) {
        __builtin_prefetch(from + PFD * ld + j + i);
        V::store(out + i, V::load(from + j + i));
      }
      if (i < run) {
        const typename V::Mask rest = V::mask(static_cast<int>(run - i));
        V::store(out + i, V::load(from + j + i, rest), rest);
      }
    }
  }
}

// See KernelTable: blocks in registers. Lanes beyond the last column repeat it; they fall on the next
// step of k, which is written later, since the last block of columns comes first, or into the slack.
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
