// Optimizer steps and other passes over flat vectors, and the dropout factors.
#pragma once

#include "kernels/dropout.hpp"
#include "kernels/elementwise.hpp"

namespace deltarule::DELTARULE_LEVEL {

template <class T, class F>
DELTARULE_INLINE void for_flat(int64_t n, F&& body) {
  for_vectors(Rows<T>{nullptr, 1, n, n}, body);
}

// The formulas of optimizers.py.
template <class T>
void update(const OptimizerSpec& o, T rate, double rate_t, int64_t n, T* theta, const T* g, T* m,
            T* v) {
  const T epsilon = T(o.epsilon);
  switch (o.kind) {
    case OptimizerKind::sgd: {
      const T mu = T(o.momentum);
      if (m == nullptr)
        return for_flat<T>(n, [&](int64_t at, auto lanes) {
          store_lanes<T>(theta + at,
                         load_lanes(theta + at, lanes) - rate * load_lanes(g + at, lanes), lanes);
        });
      return for_flat<T>(n, [&](int64_t at, auto lanes) {
        const Vec<T> step = -rate * load_lanes(g + at, lanes);
        const Vec<T> velocity = mu * load_lanes(m + at, lanes) + step;
        store_lanes<T>(m + at, velocity, lanes);
        store_lanes<T>(
            theta + at,
            load_lanes(theta + at, lanes) + (o.nesterov ? mu * velocity + step : velocity), lanes);
      });
    }
    case OptimizerKind::adagrad:
    case OptimizerKind::rmsprop: {
      const bool decays = o.kind == OptimizerKind::rmsprop;
      const T keep_share = decays ? T(o.rho) : T(1), new_share = decays ? T(1 - o.rho) : T(1);
      return for_flat<T>(n, [&](int64_t at, auto lanes) {
        const Vec<T> grad = load_lanes(g + at, lanes);
        const Vec<T> s = keep_share * load_lanes(m + at, lanes) + new_share * grad * grad;
        store_lanes<T>(m + at, s, lanes);
        const Vec<T> w = load_lanes(theta + at, lanes) - rate * grad / (sqrt<T>(s) + epsilon);
        store_lanes<T>(theta + at, w, lanes);
      });
    }
    case OptimizerKind::adam:
    case OptimizerKind::adamw: {
      const T b1 = T(o.beta_1), c1 = T(1 - o.beta_1), b2 = T(o.beta_2), c2 = T(1 - o.beta_2);
      const T decay = o.kind == OptimizerKind::adamw ? T(rate * o.weight_decay) : T(0);
      const T step = T(rate_t);
      return for_flat<T>(n, [&](int64_t at, auto lanes) {
        const Vec<T> grad = load_lanes(g + at, lanes);
        const Vec<T> first = b1 * load_lanes(m + at, lanes) + c1 * grad;
        const Vec<T> second = b2 * load_lanes(v + at, lanes) + c2 * grad * grad;
        store_lanes<T>(m + at, first, lanes);
        store_lanes<T>(v + at, second, lanes);
        Vec<T> w = load_lanes(theta + at, lanes);
        w = w - decay * w;
        store_lanes<T>(theta + at, w - step * first / (sqrt<T>(second) + epsilon), lanes);
      });
    }
  }
}

// The sum of term(at, lanes) over n elements: each piece in T, the pieces in double.
template <class T, class F>
DELTARULE_INLINE double sum_flat(int64_t n, F&& term) {
  constexpr int64_t kPiece = 4096;
  double total = 0;
  for (int64_t start = 0; start < n; start += kPiece) {
    Vec<T> s = splat<T>(T(0));
    for_flat<T>(n - start < kPiece ? n - start : kPiece,
                [&](int64_t at, auto lanes) { s = s + term(start + at, lanes); });
    for (int i = 0; i < kLanes<T>; ++i) total += static_cast<double>(s[i]);
  }
  return total;
}

template <class T>
double penalize(T l1, T l2, int64_t n, const T* w, T* g, bool value) {
  const Vec<T> zero = splat<T>(T(0)), plus = splat<T>(l1), minus = splat<T>(-l1);
  const auto penalized = [&](int64_t at, auto lanes) {
    const Vec<T> x = load_lanes(w + at, lanes);
    const Vec<T> sign = x > zero ? plus : (x < zero ? minus : zero);
    store_lanes<T>(g + at, load_lanes(g + at, lanes) + sign + l2 * x, lanes);
    return x * (sign + T(0.5) * l2 * x);
  };
  if (value) return sum_flat<T>(n, penalized);
  for_flat<T>(n, penalized);
  return 0;
}

template <class T>
double sum_of_squares(const T* x, int64_t n) {
  return sum_flat<T>(n, [&](int64_t at, auto lanes) {
    const Vec<T> v = load_lanes(x + at, lanes);
    return v * v;
  });
}

template <class T>
void scale(T factor, T* x, int64_t n) {
  for_flat<T>(n, [&](int64_t at, auto lanes) {
    store_lanes<T>(x + at, factor * load_lanes(x + at, lanes), lanes);
  });
}

template <class T>
void axpy(T alpha, const T* x, T* y, int64_t n) {
  for_flat<T>(n, [&](int64_t at, auto lanes) {
    store_lanes<T>(y + at, alpha * load_lanes(x + at, lanes) + load_lanes(y + at, lanes), lanes);
  });
}

template <class T>
void column_sums(const Rows<T>& x, T factor, T* out) {
  constexpr int L = kLanes<T>;
  int64_t c = 0;
  for (; c + 4 * L <= x.columns; c += 4 * L) {
    Vec<T> s[4];
    unroll<4>([&](auto v) { s[v] = splat<T>(T(0)); });
    for (int64_t r = 0; r < x.rows; ++r)
      unroll<4>([&](auto v) { s[v] = s[v] + load(x.data + r * x.ld + c + v * L); });
    unroll<4>([&](auto v) { store<T>(out + c + v * L, factor * s[v]); });
  }
  for (; c < x.columns; c += L) {
    const int lanes = static_cast<int>(x.columns - c < L ? x.columns - c : L);
    Vec<T> s = splat<T>(T(0));
    for (int64_t r = 0; r < x.rows; ++r) s = s + load_first(x.data + r * x.ld + c, lanes);
    store_first<T>(out + c, factor * s, lanes);
  }
}

// Rows of `x` into `out`, asking for each a few rows ahead: shuffled rows are seldom in a cache.
template <class T>
void gather(const T* x, int64_t ldx, const int64_t* order, const Rows<T>& out) {
  constexpr int64_t ahead = 4;
  constexpr int64_t line = 64 / sizeof(T);
  const int64_t whole = out.columns / kLanes<T> * kLanes<T>;
  const int rest = static_cast<int>(out.columns - whole);
  for (int64_t r = 0; r < out.rows; ++r) {
    if (r + ahead < out.rows) {
      const T* next = x + order[r + ahead] * ldx;
      for (int64_t c = 0; c < out.columns; c += line) __builtin_prefetch(next + c);
    }
    const T* from = x + order[r] * ldx;
    T* to = out.data + r * out.ld;
    for (int64_t c = 0; c < whole; c += kLanes<T>) store<T>(to + c, load(from + c));
    if (rest > 0) store_first<T>(to + whole, load_first(from + whole, rest), rest);
  }
}

// SplitMix64 words first + 1, first + 2, ... under `key`, row by row: kept if word >= rate 2^64.
template <class T>
void dropout(double rate, std::uint64_t key, std::uint64_t first, const Rows<T>& out) {
  const std::uint64_t limit = static_cast<std::uint64_t>(rate * 18446744073709551616.0);
  const T kept = static_cast<T>(1.0 / (1.0 - rate));
  std::uint64_t state = key + first * kMixStep;
  for (int64_t r = 0; r < out.rows; ++r) {
    T* row = out.data + r * out.ld;
    for (int64_t c = 0; c < out.columns; ++c)
      row[c] = mix(state + static_cast<std::uint64_t>(c) * kMixStep) >= limit ? kept : T(0);
    state += static_cast<std::uint64_t>(out.columns) * kMixStep;
  }
}

}  // namespace deltarule::DELTARULE_LEVEL
