// Small matrix products on register tiles: no packing, no blocking for caches, accumulators in
// registers from the first to the last k. Larger products go to gemm.hpp.
#pragma once

#include "kernels/kernels.hpp"
#include "kernels/simd.hpp"

namespace deltarule::DELTARULE_LEVEL {

// Largest tiles (rows of A x vectors of B) that leave room for the operands: 32 registers with
// AVX-512 and NEON, 16 before.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int kRows1 = 12, kRows2 = 12, kRows4 = 6;
#else
constexpr int kRows1 = 8, kRows2 = 6, kRows4 = 2;
#endif
constexpr int kUpdateRows = kRows2 < 8 ? kRows2 : 8;  // tiles that add into C touch it twice

// One tile. RowsOfA: A's rows are contiguous (forward, delta); else its columns are (A^T D).
template <class T, int M, int N, bool RowsOfA>
DELTARULE_INLINE void sums(const Product<T>& p, int64_t i, int64_t j, Vec<T> (&s)[M * N]) {
  const T* b = p.b + j;
  const int64_t ldb = p.ldb;
  if constexpr (RowsOfA) {
    const T* a = p.a + i * p.a_row;
    const int64_t lda = p.a_row;
    for (int64_t k = 0; k < p.k; ++k, b += ldb) {
      Vec<T> row[N];
      unroll<N>([&](auto n) { row[n] = load(b + n * kLanes<T>); });
      unroll<M>([&](auto m) {
        const Vec<T> x = splat<T>(a[m * lda + k]);
        unroll<N>([&](auto n) { s[m * N + n] = x * row[n] + s[m * N + n]; });
      });
    }
  } else {
    const T* a = p.a + i;
    const int64_t lda = p.a_column;
    for (int64_t k = 0; k < p.k; ++k, b += ldb, a += lda) {
      Vec<T> row[N];
      unroll<N>([&](auto n) { row[n] = load(b + n * kLanes<T>); });
      unroll<M>([&](auto m) {
        const Vec<T> x = splat<T>(a[m]);
        unroll<N>([&](auto n) { s[m * N + n] = x * row[n] + s[m * N + n]; });
      });
    }
  }
}

template <class T, int M, int N, bool RowsOfA>
void tile(const Product<T>& p, int64_t i, int64_t j) {
  Vec<T> s[M * N];
  T* c = p.c + i * p.ldc + j;
  const int64_t ldc = p.ldc;
  if constexpr (RowsOfA) {
    if (p.bias != nullptr) {
      unroll<N>([&](auto n) {
        const Vec<T> b = load(p.bias + j + n * kLanes<T>);
        unroll<M>([&](auto m) { s[m * N + n] = b; });
      });
    } else {
      unroll<M * N>([&](auto t) { s[t] = splat<T>(T(0)); });
    }
    sums<T, M, N, RowsOfA>(p, i, j, s);
    unroll<M>([&](auto m) {
      unroll<N>([&](auto n) { store<T>(c + m * ldc + n * kLanes<T>, s[m * N + n]); });
    });
  } else {
    unroll<M * N>([&](auto t) { s[t] = splat<T>(T(0)); });
    sums<T, M, N, RowsOfA>(p, i, j, s);
    const Vec<T> alpha = splat<T>(p.alpha);
    if (p.store == Store::add) {
      unroll<M>([&](auto m) {
        unroll<N>([&](auto n) {
          T* at = c + m * ldc + n * kLanes<T>;
          store<T>(at, alpha * s[m * N + n] + load(at));
        });
      });
    } else if (p.store == Store::scaled) {
      unroll<M>([&](auto m) {
        unroll<N>([&](auto n) { store<T>(c + m * ldc + n * kLanes<T>, alpha * s[m * N + n]); });
      });
    } else {
      const Vec<T> mu = splat<T>(p.mu);
      T* velocity = p.velocity + i * ldc + j;
      unroll<M>([&](auto m) {
        unroll<N>([&](auto n) {
          const int64_t at = m * ldc + n * kLanes<T>;
          const Vec<T> v = mu * load(velocity + at) + alpha * s[m * N + n];
          store<T>(velocity + at, v);
          store<T>(c + at, load(c + at) + v);
        });
      });
    }
  }
}

// Picks the tile of `rows` <= M rows.
template <class T, int M, int N, bool RowsOfA>
DELTARULE_INLINE void tile_of(int64_t rows, const Product<T>& p, int64_t i, int64_t j) {
  if constexpr (M > 1) {
    if (rows < M) return tile_of<T, M - 1, N, RowsOfA>(rows, p, i, j);
  }
  tile<T, M, N, RowsOfA>(p, i, j);
}

// Spreads the requests for p.ahead evenly over the tiles of a product.
template <class T>
class Prefetcher {
 public:
  Prefetcher(const Product<T>& p, int64_t tiles) : ahead_(p.ahead) {
    if (ahead_.rows > 0)
      per_tile_ = (ahead_.rows * ((ahead_.ld + kLine - 1) / kLine) + tiles - 1) / tiles;
  }
  void next_tile() {
    for (int64_t i = 0; i < per_tile_ && row_ < ahead_.rows; ++i) {
      __builtin_prefetch(ahead_.x + ahead_.order[row_] * ahead_.ld + column_, 0, 2);
      column_ += kLine;
      if (column_ >= ahead_.ld) {
        column_ = 0;
        ++row_;
      }
    }
  }

 private:
  static constexpr int64_t kLine = 64 / sizeof(T);
  Ahead<T> ahead_;
  int64_t per_tile_ = 0, row_ = 0, column_ = 0;
};

// All rows of one column of tiles, in pieces of nearly equal height: 10 rows are 10, 13 are 7 + 6.
template <class T, int M, int N, bool RowsOfA>
void tile_column(const Product<T>& p, int64_t j, Prefetcher<T>& ahead) {
  const int64_t pieces = (p.m + M - 1) / M, height = p.m / pieces, higher = p.m % pieces;
  int64_t i = 0;
  for (int64_t t = 0; t < pieces; ++t) {
    const int64_t rows = height + (t < higher ? 1 : 0);
    if constexpr (!RowsOfA) ahead.next_tile();
    tile_of<T, M, N, RowsOfA>(rows, p, i, j);
    i += rows;
  }
}

template <class T, bool RowsOfA>
DELTARULE_INLINE void tile_columns(const Product<T>& p) {
  constexpr int L = kLanes<T>;
  constexpr int rows1 = RowsOfA ? kRows1 : kUpdateRows, rows2 = RowsOfA ? kRows2 : kUpdateRows;
  Prefetcher<T> ahead(p, (p.m + rows2 - 1) / rows2 * ((p.n + 2 * L - 1) / (2 * L)));
  int64_t j = 0;
  if (p.m <= kRows4)
    for (; j + 4 * L <= p.n; j += 4 * L) tile_column<T, kRows4, 4, RowsOfA>(p, j, ahead);
  for (; j + 2 * L <= p.n; j += 2 * L) tile_column<T, rows2, 2, RowsOfA>(p, j, ahead);
  for (; j < p.n; j += L) tile_column<T, rows1, 1, RowsOfA>(p, j, ahead);
}

template <class T>
void product(const Product<T>& p) {
  if (p.m == 0) return;
  if (p.store == Store::set)
    tile_columns<T, true>(p);
  else
    tile_columns<T, false>(p);
}

// A square of lanes x lanes, transposed by log2(lanes) rounds of interleaving row i with row
// i + lanes/2.
template <class T, int... I>
DELTARULE_INLINE void zip(Vec<T> x, Vec<T> y, Vec<T>& low, Vec<T>& high,
                          std::integer_sequence<int, I...>) {
  constexpr int L = kLanes<T>;
  low = __builtin_shufflevector(x, y, (I / 2 + (I % 2) * L)...);
  high = __builtin_shufflevector(x, y, (L / 2 + I / 2 + (I % 2) * L)...);
}
template <class T, int Rounds>
DELTARULE_INLINE void zip_rounds(Vec<T> (&x)[kLanes<T>]) {
  if constexpr (Rounds > 1) {
    constexpr int L = kLanes<T>;
    Vec<T> y[L];
    unroll<L / 2>([&](auto i) {
      zip<T>(x[i], x[i + L / 2], y[2 * i], y[2 * i + 1], std::make_integer_sequence<int, L>{});
    });
    zip_rounds<T, Rounds / 2>(y);
    unroll<L>([&](auto i) { x[i] = y[i]; });
  }
}

template <class T>
void transpose(const T* w, int64_t ldw, int64_t rows, int64_t columns, T* out, int64_t ldo) {
  constexpr int L = kLanes<T>;
  for (int64_t r = 0; r < rows; r += L) {
    const int64_t high = rows - r;
    for (int64_t c = 0; c < columns; c += L) {
      Vec<T> x[L];
      unroll<L>([&](auto i) { x[i] = i < high ? load(w + (r + i) * ldw + c) : splat<T>(T(0)); });
      zip_rounds<T, L>(x);
      const int64_t wide = columns - c;
      unroll<L>([&](auto i) {
        if (i < wide) store<T>(out + (c + i) * ldo + r, x[i]);
      });
    }
  }
}

// The columns [j, j + vectors) of x W + b, W with rows of any alignment. The last vector may hang
// over the end of a row: it then reads on into the next one, except where that would leave W.
template <class T, int N>
DELTARULE_INLINE void row_strip(const T* x, const T* w, int64_t ldw, const T* b, int64_t k,
                                int64_t n, int64_t j, T* y) {
  constexpr int L = kLanes<T>;
  const int64_t columns = n - j < N * L ? n - j : N * L;
  const int last = static_cast<int>(columns - (N - 1) * L);
  Vec<T> s[N];
  unroll<N>([&](auto v) {
    if (b == nullptr)
      s[v] = splat<T>(T(0));
    else
      s[v] = v < N - 1 ? load(b + j + v * L) : load_first(b + j + v * L, last);
  });
  // Rows from which N whole vectors can be read.
  const int64_t beyond = j + N * L - ldw;  // elements read past the end of a row, if positive
  const int64_t whole = beyond <= 0 ? k : (k - (beyond + ldw - 1) / ldw);
  int64_t i = 0;
  const T* row = w + j;
  for (; i < whole; ++i, row += ldw) {
    const Vec<T> a = splat<T>(x[i]);
    unroll<N>([&](auto v) { s[v] = a * load(row + v * L) + s[v]; });
  }
  for (; i < k; ++i, row += ldw) {
    const Vec<T> a = splat<T>(x[i]);
    unroll<N>([&](auto v) {
      s[v] = a * (v < N - 1 ? load(row + v * L) : load_first(row + v * L, last)) + s[v];
    });
  }
  unroll<N>([&](auto v) { store<T>(y + j + v * L, s[v]); });
}

template <class T>
void row_times_matrix(const T* x, const T* w, int64_t ldw, const T* b, int64_t k, int64_t n, T* y) {
  constexpr int L = kLanes<T>;
  int64_t j = 0;
  for (; n - j > 7 * L; j += 8 * L) row_strip<T, 8>(x, w, ldw, b, k, n, j, y);
  for (; n - j > 3 * L; j += 4 * L) row_strip<T, 4>(x, w, ldw, b, k, n, j, y);
  for (; n - j > L; j += 2 * L) row_strip<T, 2>(x, w, ldw, b, k, n, j, y);
  if (j < n) row_strip<T, 1>(x, w, ldw, b, k, n, j, y);
}

template <class T>
void rows_dot_rows(const T* g, int64_t ldg, const T* w, int64_t ldw, int64_t m, int64_t n,
                   int64_t k, T* d, int64_t ldd) {
  constexpr int L = kLanes<T>;
  for (int64_t r = 0; r < m; ++r) {
    const T* x = g + r * ldg;
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) {
      Vec<T> s[4];
      unroll<4>([&](auto q) { s[q] = splat<T>(T(0)); });
      for (int64_t c = 0; c < k; c += L) {
        const Vec<T> v = load(x + c);
        unroll<4>([&](auto q) { s[q] = v * load(w + (i + q) * ldw + c) + s[q]; });
      }
      unroll<4>([&](auto q) { d[r * ldd + i + q] = sum<T>(s[q]); });
    }
    for (; i < n; ++i) {
      Vec<T> s = splat<T>(T(0));
      for (int64_t c = 0; c < k; c += L) s = load(x + c) * load(w + i * ldw + c) + s;
      d[r * ldd + i] = sum<T>(s);
    }
  }
}

}  // namespace deltarule::DELTARULE_LEVEL
