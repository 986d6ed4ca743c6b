// Activations, slopes, losses and their deltas on vectors: the records of activations.py and
// losses.py, value by value.
#pragma once

#include "kernels/kernels.hpp"
#include "kernels/vmath.hpp"

namespace deltarule::DELTARULE_LEVEL {

constexpr double kSeluScale = 1.0507009873554805, kSeluAlpha = 1.6732632423543772;

// f(z), and f'(z) where the caller uses it (the compiler drops what is not used).
template <class T, Act K>
struct Value {
  Vec<T> a, slope;
};
template <class T, Act K>
DELTARULE_INLINE Value<T, K> activation(Vec<T> z, T p) {
  using V = Vec<T>;
  const V zero = splat<T>(T(0)), one = splat<T>(T(1));
  if constexpr (K == Act::identity) {
    return {z, one};
  } else if constexpr (K == Act::sigmoid) {
    const V a = sigmoid<T>(z);
    return {a, a - a * a};
  } else if constexpr (K == Act::tanh) {
    const V a = tanh<T>(z);
    return {a, one - a * a};
  } else if constexpr (K == Act::relu) {
    return {max<T>(zero, z), z > zero ? one : zero};
  } else if constexpr (K == Act::leaky_relu) {
    return {z > zero ? z : p * z, z > zero ? one : splat<T>(p)};
  } else if constexpr (K == Act::elu || K == Act::selu) {
    const T alpha = K == Act::selu ? T(kSeluAlpha) : p,
            scale = K == Act::selu ? T(kSeluScale) : T(1);
    const V below = alpha * expm1<T>(min<T>(zero, z));
    return {scale * (z > zero ? z : below), scale * (z > zero ? one : below + alpha)};
  } else if constexpr (K == Act::gelu) {
    const Normal<T> n = normal<T>(z);
    return {z * n.cdf, n.cdf + z * n.exp_half_square * T(0.3989422804014327)};
  } else if constexpr (K == Act::silu) {
    const V s = sigmoid<T>(z);
    return {z * s, s * (one + z * sigmoid<T>(-z))};
  } else if constexpr (K == Act::softplus) {
    return {max<T>(zero, z) + log1p_unit<T>(exp_negative<T>(-abs<T>(z))), sigmoid<T>(z)};
  } else if constexpr (K == Act::softsign) {
    const V d = one / (one + abs<T>(z));
    return {z * d, d * d};
  } else if constexpr (K == Act::mish) {
    const V e = exp_negative<T>(-abs<T>(z));
    const V top = z < zero ? e * (e + T(2)) : one + (e + e);
    const V bottom = z < zero ? top + T(2) : top + T(2) * e * e;
    const V t = top / bottom;
    // 1 - t^2 = (bottom - top)(bottom + top) / bottom^2, without cancellation.
    const V gap = z < zero ? splat<T>(T(2)) : T(2) * e * e;
    const V s = z < zero ? e / (one + e) : one / (one + e);
    return {z * t, t + z * (gap * (bottom + top) / (bottom * bottom)) * s};
  } else {
    static_assert(K == Act::exp);
    const V a = exp<T>(z);
    return {a, a};
  }
}

// f'(z) from a = f(z).
template <class T, Act K>
DELTARULE_INLINE Vec<T> slope_of(Vec<T> a, T p) {
  using V = Vec<T>;
  const V zero = splat<T>(T(0)), one = splat<T>(T(1));
  if constexpr (K == Act::sigmoid)
    return a - a * a;
  else if constexpr (K == Act::tanh)
    return one - a * a;
  else if constexpr (K == Act::relu)
    return a > zero ? one : zero;
  else if constexpr (K == Act::leaky_relu)
    return a > zero ? one : splat<T>(p);
  else if constexpr (K == Act::elu)
    return a > zero ? one : a + p;
  else if constexpr (K == Act::selu)
    return a > zero ? splat<T>(T(kSeluScale)) : a + T(kSeluScale * kSeluAlpha);
  else if constexpr (K == Act::softsign)
    return (one - abs<T>(a)) * (one - abs<T>(a));
  else if constexpr (K == Act::exp)
    return a;
  else
    return one;
}

// Calls body(pointer offset, lanes) over the block, whole vectors first; `Full` vectors are the
// rule.
template <class T, class F>
DELTARULE_INLINE void for_vectors(const Rows<T>& x, F&& body) {
  const bool flat = x.columns == x.ld;
  const int64_t rows = flat ? 1 : x.rows, columns = flat ? x.rows * x.columns : x.columns;
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t start = r * x.ld;
    int64_t c = 0;
    for (; c + kLanes<T> <= columns; c += kLanes<T>) body(start + c, Index<kLanes<T>>{});
    if (c < columns) body(start + c, static_cast<int>(columns - c));
  }
}
template <class T, int N>
DELTARULE_INLINE Vec<T> load_lanes(const T* p, Index<N>) {
  return load(p);
}
template <class T>
DELTARULE_INLINE Vec<T> load_lanes(const T* p, int n) {
  return load_first(p, n);
}
template <class T, int N>
DELTARULE_INLINE void store_lanes(T* p, Vec<T> v, Index<N>) {
  store<T>(p, v);
}
template <class T>
DELTARULE_INLINE void store_lanes(T* p, Vec<T> v, int n) {
  store_first<T>(p, v, n);
}

template <class T, Act K>
void activate_as(T p, const Rows<T>& z, T* slope) {
  if (slope != nullptr) {
    for_vectors(z, [&](int64_t at, auto lanes) {
      const auto v = activation<T, K>(load_lanes(z.data + at, lanes), p);
      store_lanes<T>(z.data + at, v.a, lanes);
      store_lanes<T>(slope + at, v.slope, lanes);
    });
  } else if constexpr (K != Act::identity) {
    for_vectors(z, [&](int64_t at, auto lanes) {
      store_lanes<T>(z.data + at, activation<T, K>(load_lanes(z.data + at, lanes), p).a, lanes);
    });
  }
}

template <class T, Act K>
void times_slope_as(T p, const Rows<T>& d, const T* a, int64_t lda) {
  if constexpr (K != Act::identity) {
    const int64_t step = lda - d.ld;
    int64_t shift = 0;
    if (step == 0) {
      for_vectors(d, [&](int64_t at, auto lanes) {
        const Vec<T> slope = slope_of<T, K>(load_lanes(a + at, lanes), p);
        store_lanes<T>(d.data + at, load_lanes(d.data + at, lanes) * slope, lanes);
      });
      return;
    }
    for (int64_t r = 0; r < d.rows; ++r, shift += step)
      times_slope_as<T, K>(p, Rows<T>{d.data + r * d.ld, 1, d.columns, d.ld}, a + r * lda, d.ld);
  }
}

// Calls body(constant kind) for the elementwise activations.
template <class F>
DELTARULE_INLINE void with_activation(Act kind, F&& body) {
  switch (kind) {
    case Act::identity: return body(std::integral_constant<Act, Act::identity>{});
    case Act::sigmoid: return body(std::integral_constant<Act, Act::sigmoid>{});
    case Act::tanh: return body(std::integral_constant<Act, Act::tanh>{});
    case Act::relu: return body(std::integral_constant<Act, Act::relu>{});
    case Act::leaky_relu: return body(std::integral_constant<Act, Act::leaky_relu>{});
    case Act::elu: return body(std::integral_constant<Act, Act::elu>{});
    case Act::selu: return body(std::integral_constant<Act, Act::selu>{});
    case Act::gelu: return body(std::integral_constant<Act, Act::gelu>{});
    case Act::silu: return body(std::integral_constant<Act, Act::silu>{});
    case Act::softplus: return body(std::integral_constant<Act, Act::softplus>{});
    case Act::softsign: return body(std::integral_constant<Act, Act::softsign>{});
    case Act::mish: return body(std::integral_constant<Act, Act::mish>{});
    case Act::exp: return body(std::integral_constant<Act, Act::exp>{});
    case Act::softmax: return;  // mixes the units of a row: see losses.hpp
  }
}

template <class T>
void activate(Activation f, const Rows<T>& z, T* slope) {
  with_activation(
      f.kind, [&](auto kind) { activate_as<T, decltype(kind)::value>(T(f.parameter), z, slope); });
}
template <class T>
void times_slope(Activation f, const Rows<T>& d, const T* a, int64_t lda) {
  with_activation(f.kind, [&](auto kind) {
    times_slope_as<T, decltype(kind)::value>(T(f.parameter), d, a, lda);
  });
}
template <class T>
void multiply(const Rows<T>& d, const T* s, int64_t lds) {
  for (int64_t r = 0; r < d.rows; ++r)
    for_vectors(Rows<T>{d.data + r * d.ld, 1, d.columns, d.ld}, [&](int64_t at, auto lanes) {
      T* p = d.data + r * d.ld + at;
      store_lanes<T>(p, load_lanes(p, lanes) * load_lanes(s + r * lds + at, lanes), lanes);
    });
}

}  // namespace deltarule::DELTARULE_LEVEL
