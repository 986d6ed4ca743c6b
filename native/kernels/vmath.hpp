// exp, log, tanh and their kin on vectors, to full accuracy of the type (a few units in the last
// place), so that the engine's numbers are the reference's to rounding.
//
// Polynomials: Chebyshev fits made for these ranges (exp, erfc), and fdlibm's for log. No reliance
// on fused multiply-add for correctness: baseline x86-64 has none.
#pragma once

#include "kernels/simd.hpp"

namespace deltarule::DELTARULE_LEVEL {

template <class T>
struct Constants;
template <>
struct Constants<float> {
  static constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
  static constexpr float round_magic = 12582912.0f;  // 1.5 * 2^23
  // exp(x) is finite and normal in [exp_low, exp_high]; activations.py holds exp at the same top.
  static constexpr float exp_low = -86.8f, exp_high = 88.7227503f;
  static constexpr float tanh_top = 10.0f;
  static constexpr float tiny = 1.17549435e-38f;  // the smallest normal number
  static constexpr float epsilon = 1.19209290e-07f;
  static constexpr float largest_erfc = 10.0f;
  static constexpr float exp_terms[] = {0.500000001f,  0.166666667f,   0.0416664647f,
                                        0.0083333109f, 0.00139336737f, 0.000198910172f};
  static constexpr float log_terms[] = {0.66666662693f, 0.40000972152f, 0.28498786688f,
                                        0.24279078841f};
  static constexpr float erfc_center = 2.0f;
  static constexpr float erfc_terms[] = {
      1.27697838f,     -0.09276383f,    -0.166030417f,  0.164051409f,    -0.0542195055f,
      -0.00803528007f, 0.00871788984f,  0.00127513544f, -0.00143621473f, -0.000451682446f,
      0.000167010562f, 0.000121793143f, 2.0400499e-05f};
};
template <>
struct Constants<double> {
  static constexpr double ln2_high = 6.93147180369123816490e-01,
                          ln2_low = 1.90821492927058770002e-10;
  static constexpr double round_magic = 6755399441055744.0;  // 1.5 * 2^52
  static constexpr double exp_low = -707.5, exp_high = 709.7820031106711;
  static constexpr double tanh_top = 22.0;
  static constexpr double tiny = 2.2250738585072014e-308;
  static constexpr double epsilon = 2.220446049250313e-16;
  static constexpr double largest_erfc = 28.0;
  static constexpr double exp_terms[] = {0.5,
                                         0.16666666666666671,
                                         0.041666666666666671,
                                         0.0083333333333261202,
                                         0.0013888888888883737,
                                         0.00019841269874873975,
                                         2.4801587325585839e-05,
                                         2.7557255332554409e-06,
                                         2.7557273594799413e-07,
                                         2.5105245153901371e-08,
                                         2.0914707069612355e-09};
  static constexpr double log_terms[] = {6.666666666666735130e-01, 3.999999999940941908e-01,
                                         2.857142874366239149e-01, 2.222219843214978396e-01,
                                         1.818357216161805012e-01, 1.531383769920937332e-01,
                                         1.479819860511658591e-01};
  static constexpr double erfc_center = 4.0;
  static constexpr double erfc_terms[] = {
      1.2329951186255526,      -0.13962111684056253,    0.015379652102619558,
      0.068097054254693229,    -0.10103906603629459,    0.093732834998330225,
      -0.066330365812409503,   0.037167515537770257,    -0.016197734055994489,
      0.005031969975753176,    -0.00075777329736691462, -0.00019925668432389153,
      0.00015062169704678355,  -2.4399244283129879e-05, -1.1222046316669005e-05,
      5.7097847609665058e-06,  2.9377854943443786e-07,  -8.2546997448711616e-07,
      7.4719527805009712e-08,  1.1005996198640057e-07,  -1.7999475459031421e-08,
      -1.4091982822555755e-08, 1.868487385473519e-09,   1.263782858042137e-09};
};

// c[0] + c[1] x + ... by pairs of pairs (Estrin): short chains, so that single vectors are fast
// too.
template <class T, int N>
DELTARULE_INLINE Vec<T> estrin(const Vec<T> (&c)[N], Vec<T> x) {
  if constexpr (N == 1) {
    return c[0];
  } else {
    Vec<T> pairs[(N + 1) / 2];
    unroll<N / 2>([&](auto i) { pairs[i] = c[2 * i + 1] * x + c[2 * i]; });
    if constexpr (N % 2 == 1) pairs[N / 2] = c[N - 1];
    return estrin<T>(pairs, x * x);
  }
}
template <class T, int N>
DELTARULE_INLINE Vec<T> polynomial(const T (&c)[N], Vec<T> x) {
  Vec<T> terms[N];
  unroll<N>([&](auto i) { terms[i] = splat<T>(c[i]); });
  return estrin<T>(terms, x);
}

// x = n ln 2 + r with |r| <= ln 2 / 2: gives r, (exp(r) - 1 - r) / r^2, and the bits of 2^n.
template <class T>
struct ExpParts {
  Vec<T> r, rest;
  Ints<T> exponent;  // n, shifted to the exponent's place

  DELTARULE_INLINE Vec<T> minus_one() const { return r + (r * r) * rest; }  // exp(r) - 1
};
template <class T>
DELTARULE_INLINE ExpParts<T> exp_parts(Vec<T> x) {
  using C = Constants<T>;
  const Vec<T> magic = splat<T>(C::round_magic);
  const Vec<T> shifted = x * T(1.4426950408889634) + magic;
  const Vec<T> n = shifted - magic;
  const Vec<T> r = (x - n * C::ln2_high) - n * C::ln2_low;
  return {r, polynomial<T>(C::exp_terms, r), (Ints<T>)shifted << Simd<T>::mantissa};
}
// 2^(n + offset)
template <class T, int Offset = 0>
DELTARULE_INLINE Vec<T> power_of_two(Ints<T> exponent) {
  constexpr auto one = (Simd<T>::exponent_bias + Offset) << Simd<T>::mantissa;
  return (Vec<T>)(exponent + one);
}

// exp(x), held at the largest float above and at the smallest normal one below. NaN stays NaN in
// all of these.
template <class T>
DELTARULE_INLINE Vec<T> exp(Vec<T> x) {
  using C = Constants<T>;
  x = max<T>(splat<T>(C::exp_low), min<T>(splat<T>(C::exp_high), x));
  const ExpParts<T> e = exp_parts<T>(x);
  const Vec<T> p = e.minus_one() + T(1);
  return (p + p) * power_of_two<T, -1>(e.exponent);  // in two factors: 2^n alone may overflow
}

// exp(x) for x <= 0.
template <class T>
DELTARULE_INLINE Vec<T> exp_negative(Vec<T> x) {
  const ExpParts<T> e = exp_parts<T>(max<T>(splat<T>(Constants<T>::exp_low), x));
  return (e.minus_one() + T(1)) * power_of_two<T>(e.exponent);
}

// exp(x) - 1 for x <= -exp_low.
template <class T>
DELTARULE_INLINE Vec<T> expm1(Vec<T> x) {
  const ExpParts<T> e = exp_parts<T>(max<T>(splat<T>(Constants<T>::exp_low), x));
  const Vec<T> scale = power_of_two<T>(e.exponent);
  return e.minus_one() * scale + (scale - T(1));
}

template <class T>
DELTARULE_INLINE Vec<T> sigmoid(Vec<T> z) {
  using C = Constants<T>;
  const Vec<T> bound = splat<T>(-C::exp_low);
  const ExpParts<T> e = exp_parts<T>(-max<T>(-bound, min<T>(bound, z)));
  const Vec<T> scale = power_of_two<T>(e.exponent);
  // all but the last term of 1 + 2^n exp(r) is there before `rest` is: a short chain
  return T(1) / ((e.r * e.r * scale) * e.rest + (e.r * scale + (scale + T(1))));
}

template <class T>
DELTARULE_INLINE Vec<T> tanh(Vec<T> z) {
  const Vec<T> twice = abs<T>(z) + abs<T>(z);
  const Vec<T> e = expm1<T>(min<T>(splat<T>(2 * Constants<T>::tanh_top), twice));
  return with_sign<T>(e / (e + T(2)), z);
}

// log(1 + f) + n ln 2 for 1 + f in [sqrt(1/2), sqrt(2)] (fdlibm).
template <class T>
DELTARULE_INLINE Vec<T> log_parts(Vec<T> f, Vec<T> n) {
  using C = Constants<T>;
  const Vec<T> half_square = T(0.5) * f * f;
  const Vec<T> s = f / (f + T(2));
  const Vec<T> s2 = s * s;
  const Vec<T> rest = s2 * polynomial<T>(C::log_terms, s2);
  return n * C::ln2_high + (f - (half_square - (s * (half_square + rest) + n * C::ln2_low)));
}

// log(x) for normal x > 0; infinite x gives NaN.
template <class T>
DELTARULE_INLINE Vec<T> log(Vec<T> x) {
  using C = Constants<T>;
  const Ints<T> root_half = (Ints<T>)splat<T>(T(0.7071067811865476));
  const Ints<T> n = ((Ints<T>)x - root_half) >> Simd<T>::mantissa;
  const Vec<T> m = (Vec<T>)((Ints<T>)x - (n << Simd<T>::mantissa));
  const Vec<T> magic = splat<T>(C::round_magic);
  const Vec<T> n_float = (Vec<T>)(n + (Ints<T>)magic) - magic;
  return log_parts<T>(m - T(1), n_float) + (x - x);
}

// log(1 + u) for 0 <= u <= 1.
template <class T>
DELTARULE_INLINE Vec<T> log1p_unit(Vec<T> u) {
  const Vec<T> zero = u - u;
  const Vec<T> limit = zero + T(0.41421356);
  const Vec<T> n = u > limit ? zero + T(1) : zero;
  return log_parts<T>(u > limit ? (u - T(1)) * T(0.5) : u, n);
}

// Phi(z), the normal distribution function, and exp(-z^2 / 2).
template <class T>
struct Normal {
  Vec<T> cdf, exp_half_square;
};
template <class T>
DELTARULE_INLINE Normal<T> normal(Vec<T> z) {
  using C = Constants<T>;
  const Vec<T> x = min<T>(splat<T>(C::largest_erfc), abs<T>(z) * T(0.7071067811865476));
  // z^2 exactly, as square + rest: exp(-z^2 / 2) must not lose digits in the tail.
  constexpr int half = Simd<T>::mantissa / 2 + 1;
  const Vec<T> size = min<T>(splat<T>(C::largest_erfc * T(1.4142)), abs<T>(z));
  const Vec<T> high = (Vec<T>)(((Ints<T>)size >> half) << half);
  const Vec<T> low = size - high;
  const Vec<T> square = size * size;
  const Vec<T> rest = ((high * high - square) + T(2) * high * low) + low * low;
  const Vec<T> rounded = exp_negative<T>(T(-0.5) * square);
  const Vec<T> e = rounded - rounded * (T(0.5) * rest);
  const Vec<T> tail = e * T(0.5);
  const Vec<T> t = (x - C::erfc_center) / (x + C::erfc_center);
  const Vec<T> upper = tail * polynomial<T>(C::erfc_terms, t) / (T(2) * x + T(1));
  const Vec<T> zero = z - z;
  return {z < zero ? upper : T(1) - upper, e};
}

}  // namespace deltarule::DELTARULE_LEVEL
