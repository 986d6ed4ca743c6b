// Losses on vectors: J, dJ/do and the fused deltas of canonical pairs (SPEC C10), as losses.py has
// them.
#pragma once

#include "kernels/elementwise.hpp"

namespace deltarule::DELTARULE_LEVEL {

template <class T>
struct Term {
  Vec<T> J, d;
};

// o, held just so far above 0 that y / o and log o stay finite.
template <class T>
DELTARULE_INLINE Vec<T> away_from_zero(Vec<T> o, Vec<T> y) {
  return max<T>(max<T>(splat<T>(T(1)), y) * Constants<T>::tiny, o);
}
// 1 - o for o <= 1, held above 0 by half of what o can be told apart from 1.
template <class T>
DELTARULE_INLINE Vec<T> up_to_one(Vec<T> o) {
  return max<T>(splat<T>(Constants<T>::epsilon / T(4)), T(1) - o);
}
// y log y - y, with 0 log 0 = 0.
template <class T>
DELTARULE_INLINE Vec<T> poisson_constant(Vec<T> y) {
  const Vec<T> tiny = splat<T>(Constants<T>::tiny);
  return y * log<T>(y > tiny ? y : tiny) - y;
}

// J and dJ/dz of one output from its raw score z: the canonical pairs but softmax.
template <class T, LossKind K>
DELTARULE_INLINE Term<T> fused_term(Vec<T> z, Vec<T> y) {
  const Vec<T> zero = splat<T>(T(0)), one = splat<T>(T(1));
  if constexpr (K == LossKind::squared_error) {
    const Vec<T> r = z - y;
    return {T(0.5) * r * r, r};
  } else if constexpr (K == LossKind::log_loss) {
    const Vec<T> e = exp_negative<T>(-abs<T>(z));
    const Vec<T> o = (z < zero ? e : one) / (one + e);
    return {(max<T>(zero, z) - z * y) + log1p_unit<T>(e), o - y};
  } else {
    static_assert(K == LossKind::poisson);
    const Vec<T> o = exp<T>(z);
    return {(o - y * z) + poisson_constant<T>(y), o - y};
  }
}

// J and dJ/do of one output o; p is the parameter of the loss.
template <class T, LossKind K>
DELTARULE_INLINE Term<T> plain_term(Vec<T> o, Vec<T> y, T p) {
  using V = Vec<T>;
  const V zero = splat<T>(T(0)), one = splat<T>(T(1));
  const V r = o - y;
  if constexpr (K == LossKind::squared_error) {
    return {T(0.5) * r * r, r};
  } else if constexpr (K == LossKind::log_loss) {
    const V yes = away_from_zero<T>(o, y), no = up_to_one<T>(o);
    return {-(y * log<T>(yes) + (one - y) * log<T>(no)), r / (yes * no)};
  } else if constexpr (K == LossKind::cross_entropy) {
    const V safe = away_from_zero<T>(o, y);
    return {-y * log<T>(safe), -y / safe};
  } else if constexpr (K == LossKind::absolute_error) {
    return {abs<T>(r), r > zero ? one : (r < zero ? -one : zero)};
  } else if constexpr (K == LossKind::huber) {
    const V inner = min<T>(splat<T>(p), abs<T>(r));
    return {inner * (abs<T>(r) - T(0.5) * inner), with_sign<T>(inner, r)};
  } else if constexpr (K == LossKind::quantile) {
    return {max<T>(-p * r, (T(1) - p) * r),
            r > zero ? splat<T>(T(1) - p) : (r < zero ? splat<T>(-p) : zero)};
  } else {
    static_assert(K == LossKind::poisson);
    const V safe = away_from_zero<T>(o, y);
    return {(o - y * log<T>(safe)) + poisson_constant<T>(y), one - y / safe};
  }
}

// Runs term(z, y) over the outputs: delta = w d with zeros in the padding; returns sum of w J.
template <class T, class F>
DELTARULE_INLINE double over_outputs(const Rows<T>& z, const T* y, const T* w, T* delta, F&& term) {
  const int64_t vectors = (z.columns + kLanes<T> - 1) / kLanes<T>;
  const Ints<T> last = first_lanes<T>(static_cast<int>(z.columns - (vectors - 1) * kLanes<T>));
  Vec<T> total = splat<T>(T(0));
  for (int64_t r = 0; r < z.rows; ++r) {
    const Vec<T> weight = splat<T>(w == nullptr ? T(1) : w[r]);
    for (int64_t v = 0; v < vectors; ++v) {
      const int64_t at = r * z.ld + v * kLanes<T>;
      Term<T> t = term(load(z.data + at), load(y + at));
      t.J = t.J * weight;
      t.d = t.d * weight;
      if (v == vectors - 1) {
        t.J = keep<T>(last, t.J);
        t.d = keep<T>(last, t.d);
      }
      total = total + t.J;
      store<T>(delta + at, t.d);
    }
  }
  double sum = 0;
  for (int i = 0; i < kLanes<T>; ++i) sum += static_cast<double>(total[i]);
  return sum;
}

// The vectors of a row of units. The last one may be partly filled: the padding behind a whole row
// may be read and written, the next group of outputs behind a group may not.
template <class T, bool Padded>
struct RowVectors {
  int64_t count;
  int lanes;  // of the last
  Ints<T> last;

  explicit DELTARULE_INLINE RowVectors(int64_t columns)
      : count((columns + kLanes<T> - 1) / kLanes<T>),
        lanes(static_cast<int>(columns - (count - 1) * kLanes<T>)),
        last(first_lanes<T>(lanes)) {}
  DELTARULE_INLINE Vec<T> read(const T* row, int64_t v) const {
    if (!Padded && v == count - 1) return load_first(row + v * kLanes<T>, lanes);
    return load(row + v * kLanes<T>);
  }
  DELTARULE_INLINE void write(T* row, int64_t v, Vec<T> x) const {
    if (!Padded && v == count - 1) return store_first<T>(row + v * kLanes<T>, x, lanes);
    store<T>(row + v * kLanes<T>, x);
  }
};

// e = exp(z - max) of one row into `e`, zeros in the padding; returns the sum and the maximum.
template <class T>
struct RowExp {
  Vec<T> sum, max;
};
template <class T, bool Padded>
DELTARULE_INLINE RowExp<T> row_exp(const T* z, const RowVectors<T, Padded>& row, T* e) {
  const Vec<T> lowest = splat<T>(T(-3.0e38));
  Vec<T> top = lowest;
  for (int64_t v = 0; v < row.count; ++v) {
    const Vec<T> x = row.read(z, v);
    top = max<T>(top, v == row.count - 1 ? (row.last ? x : lowest) : x);
  }
  top = max_everywhere<T>(top);
  Vec<T> total = splat<T>(T(0));
  for (int64_t v = 0; v < row.count; ++v) {
    Vec<T> x = exp_negative<T>(row.read(z, v) - top);
    if (v == row.count - 1) x = keep<T>(row.last, x);
    total = total + x;
    row.write(e, v, x);
  }
  return {sum_everywhere<T>(total), top};
}

template <class T, bool Padded>
void softmax_rows(const Rows<T>& z) {
  const RowVectors<T, Padded> vectors(z.columns);
  for (int64_t r = 0; r < z.rows; ++r) {
    T* row = z.data + r * z.ld;
    const Vec<T> total = row_exp<T>(row, vectors, row).sum;
    for (int64_t v = 0; v < vectors.count; ++v) vectors.write(row, v, vectors.read(row, v) / total);
  }
}

template <class T, bool Padded>
double softmax_cross_entropy(const Rows<T>& z, const T* y, const T* w, T* delta) {
  const RowVectors<T, Padded> vectors(z.columns);
  Vec<T> total = splat<T>(T(0));
  for (int64_t r = 0; r < z.rows; ++r) {
    const T* scores = z.data + r * z.ld;
    const T* target = y + r * z.ld;
    T* d = delta + r * z.ld;
    const RowExp<T> e = row_exp<T>(scores, vectors, d);
    const Vec<T> weight = splat<T>(w == nullptr ? T(1) : w[r]);
    Vec<T> dot = splat<T>(T(0));
    for (int64_t v = 0; v < vectors.count; ++v) {
      const Vec<T> t = vectors.read(target, v);
      Vec<T> product = t * (vectors.read(scores, v) - e.max);
      Vec<T> out = (vectors.read(d, v) / e.sum - t) * weight;
      if (v == vectors.count - 1) {
        product = keep<T>(vectors.last, product);
        out = keep<T>(vectors.last, out);
      }
      dot = dot + product;
      vectors.write(d, v, out);
    }
    // log(sum) stands in every lane: one lane of it is wanted in the end.
    total = total + (log<T>(e.sum) * (T(1) / kLanes<T>)-dot) * weight;
  }
  double sum = 0;
  for (int i = 0; i < kLanes<T>; ++i) sum += static_cast<double>(total[i]);
  return sum;
}

// Calls body(constant kind).
template <class F>
DELTARULE_INLINE double with_loss(LossKind kind, F&& body) {
  switch (kind) {
    case LossKind::squared_error:
      return body(std::integral_constant<LossKind, LossKind::squared_error>{});
    case LossKind::log_loss: return body(std::integral_constant<LossKind, LossKind::log_loss>{});
    case LossKind::cross_entropy:
      return body(std::integral_constant<LossKind, LossKind::cross_entropy>{});
    case LossKind::absolute_error:
      return body(std::integral_constant<LossKind, LossKind::absolute_error>{});
    case LossKind::huber: return body(std::integral_constant<LossKind, LossKind::huber>{});
    case LossKind::quantile: return body(std::integral_constant<LossKind, LossKind::quantile>{});
    default: return body(std::integral_constant<LossKind, LossKind::poisson>{});
  }
}

template <class T, LossKind K>
double fused_delta(const Rows<T>& z, const T* y, const T* w, T* delta) {
  return over_outputs(z, y, w, delta, [](Vec<T> s, Vec<T> t) { return fused_term<T, K>(s, t); });
}

// g -> s (g - sum of g s) for each row: the product with the Jacobian of softmax.
template <class T, bool Padded>
void softmax_backward(const Rows<T>& g, const T* s) {
  const RowVectors<T, Padded> vectors(g.columns);
  for (int64_t r = 0; r < g.rows; ++r) {
    T* row = g.data + r * g.ld;
    const T* a = s + r * g.ld;
    Vec<T> dot = splat<T>(T(0));  // g is zero in the padding
    for (int64_t v = 0; v < vectors.count; ++v)
      dot = dot + vectors.read(row, v) * vectors.read(a, v);
    dot = sum_everywhere<T>(dot);
    for (int64_t v = 0; v < vectors.count; ++v)
      vectors.write(row, v, vectors.read(a, v) * (vectors.read(row, v) - dot));
  }
}

// Calls body(first column, the group's columns, constant Padded) for each group; adds up what it
// returns.
template <class T, class F>
DELTARULE_INLINE double over_groups(Groups groups, const Rows<T>& z, F&& body) {
  if (groups.count == 0) return body(int64_t{0}, z, std::true_type{});
  double sum = 0;
  int64_t first = 0;
  for (int64_t j = 0; j < groups.count; first += groups.sizes[j++])
    sum += body(first, Rows<T>{z.data + first, z.rows, groups.sizes[j], z.ld}, std::false_type{});
  return sum;
}

template <class T>
void softmax(Groups groups, const Rows<T>& z) {
  over_groups(groups, z, [](int64_t, const Rows<T>& group, auto padded) {
    softmax_rows<T, decltype(padded)::value>(group);
    return 0.0;
  });
}

template <class T>
double output_delta(const Output& output, const Rows<T>& z, const T* y, const T* w, T* delta,
                    T* slope) {
  const Loss loss = output.loss;
  const Activation f = output.f;
  if (output.linked) {
    if (loss.kind == LossKind::squared_error)
      return fused_delta<T, LossKind::squared_error>(z, y, w, delta);
    if (loss.kind == LossKind::log_loss) return fused_delta<T, LossKind::log_loss>(z, y, w, delta);
    if (loss.kind == LossKind::poisson) return fused_delta<T, LossKind::poisson>(z, y, w, delta);
    return over_groups(output.groups, z, [&](int64_t first, const Rows<T>& group, auto padded) {
      return softmax_cross_entropy<T, decltype(padded)::value>(group, y + first, w, delta + first);
    });
  }
  if (f.kind == Act::softmax)
    softmax<T>(output.groups, z);
  else
    activate<T>(f, z, slope);
  const T p = T(loss.parameter);
  const double total = with_loss(loss.kind, [&](auto kind) {
    return over_outputs(z, y, w, delta, [p](Vec<T> o, Vec<T> t) {
      return plain_term<T, decltype(kind)::value>(o, t, p);
    });
  });
  const Rows<T> d{delta, z.rows, z.columns, z.ld};
  if (f.kind == Act::softmax)
    over_groups(output.groups, d, [&](int64_t first, const Rows<T>& group, auto padded) {
      softmax_backward<T, decltype(padded)::value>(group, z.data + first);
      return 0.0;
    });
  else
    multiply<T>(d, slope, z.ld);
  return total;
}

}  // namespace deltarule::DELTARULE_LEVEL
