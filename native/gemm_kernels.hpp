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

  const int64_t as = t.as, bs = t.bs;
  // Rows of a row-major A are reached from every fourth one, to spare address registers.
  constexpr int kBases = ByRow ? (MR + 2) / 3 : 1;
  const T* a[kBases];
  unroll<kBases>(DELTARULE_EACH(g) { a[g] = t.a + 3 * g * as; });
  const T* b = t.b;

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
      const R x = ByRow ? V::broadcast(a[ByRow ? r / 3 : 0] + (r % 3) * as + p) : V::broadcast(a[0] + r);
      unroll<NV>(DELTARULE_EACH(v) { acc[u][r][v] = V::fma(x, bv[v], acc[u][r][v]); });
    });
    if constexpr (!ByRow) a[0] += as;
  };
  constexpr int kStep = KU > 4 ? KU : 4;
  int64_t p = t.k;
  for (; p >= kStep; p -= kStep) {
    unroll<kStep>(DELTARULE_EACH(s) { step(std::integral_constant<int, s % KU>{}, s); });
    if constexpr (ByRow) unroll<kBases>(DELTARULE_EACH(g) { a[g] += kStep; });
  }
  for (; p > 0; --p) {
    step(std::integral_constant<int, 0>{}, 0);
    if constexpr (ByRow) unroll<kBases>(DELTARULE_EACH(g) { a[g] += 1; });
  }
  unroll<KU - 1>(DELTARULE_EACH(u) {
    unroll<MR>(DELTARULE_EACH(r) {
      unroll<NV>(DELTARULE_EACH(v) { acc[0][r][v] = V::add(acc[0][r][v], acc[u + 1][r][v]); });
    });
  });

  const R alpha = V::broadcast(&t.alpha);
  const auto write = [&](auto beta_kind) __attribute__((always_inline)) {
    T* c = t.c;
    const R beta = V::broadcast(&t.beta);
    unroll<MR>(DELTARULE_EACH(r) {
      unroll<NV>(DELTARULE_EACH(v) {
        constexpr bool kWhole = Full || v + 1 < NV;
        R sum = V::mul(alpha, acc[0][r][v]);
        if constexpr (beta_kind != 0) {
          R old = kWhole ? V::load(c + v * V::W) : V::load(c + v * V::W, mask);
          if constexpr (beta_kind == 2) old = V::mul(beta, old);
          sum = V::add(old, sum);
        }
        if constexpr (kWhole) {
          V::store(c + v * V::W, sum);
        } else {
          V::store(c + v * V::W, sum, mask);
        }
      });
      c += t.cs;
    });
  };
  if (t.beta == T(0)) {
    write(std::integral_constant<int, 0>{});
  } else if (t.beta == T(1)) {
    write(std::integral_constant<int, 1>{});
  } else {
    write(std::integral_constant<int, 2>{});
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

// to[p * stride + j] = from[j * ld + p]: blocks of W x W in registers, the edges one by one.
template <class V>
void transpose(typename V::T* to, int64_t stride, const typename V::T* from, int64_t ld,
               int64_t columns, int64_t k) {
  using T = typename V::T;
  constexpr int64_t W = V::W;
  for (int64_t j = 0; j < stride; j += W) {
    const int64_t live = columns - j < W ? columns - j : W;
    int64_t p = 0;
    if (live == W) {
      for (; p + W <= k; p += W) V::transpose(to + p * stride + j, stride, from + j * ld + p, ld);
    }
    for (; p < k; ++p) {
      T* const out = to + p * stride + j;
      for (int64_t i = 0; i < W; ++i) out[i] = i < live ? from[(j + i) * ld + p] : T(0);
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
  table.transpose = &transpose<V>;
  return table;
}

}  // namespace
}  // namespace deltarule
