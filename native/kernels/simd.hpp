// Vectors of the CPU level that the including file is compiled for, on the compilers' own vector
// types: one source for SSE2, AVX2, AVX-512 and NEON. Everything lies in a namespace per level
// (DELTARULE_LEVEL), so that the linker never mixes code of different levels.
#pragma once

#include <cstdint>
#include <cstring>
#include <utility>
#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

#ifndef DELTARULE_LEVEL
#error "define DELTARULE_LEVEL before including"
#endif
#define DELTARULE_INLINE inline __attribute__((always_inline))

namespace deltarule::DELTARULE_LEVEL {

#if defined(__AVX512F__)
constexpr int kBytes = 64;
#elif defined(__AVX2__)
constexpr int kBytes = 32;
#else
constexpr int kBytes = 16;
#endif

// Compile-time loops: the body sees a constant, so arrays of vectors indexed by it stay in
// registers.
template <int N>
struct Index {
  constexpr operator int() const { return N; }
};
template <int N, class F>
DELTARULE_INLINE void unroll(F&& f) {
  if constexpr (N > 0) {
    unroll<N - 1>(f);
    f(Index<N - 1>{});
  }
}

template <class T>
struct Simd;
template <>
struct Simd<float> {
  typedef float V __attribute__((vector_size(kBytes)));
  typedef std::int32_t I __attribute__((vector_size(kBytes)));
  typedef std::int32_t Int;
  static constexpr int mantissa = 23;
  static constexpr std::int32_t exponent_bias = 127;
};
template <>
struct Simd<double> {
  typedef double V __attribute__((vector_size(kBytes)));
  typedef std::int64_t I __attribute__((vector_size(kBytes)));
  typedef std::int64_t Int;
  static constexpr int mantissa = 52;
  static constexpr std::int64_t exponent_bias = 1023;
};

template <class T>
using Vec = typename Simd<T>::V;
template <class T>
using Ints = typename Simd<T>::I;
template <class T>
constexpr int kLanes = kBytes / static_cast<int>(sizeof(T));

template <class T>
DELTARULE_INLINE Vec<T> load(const T* p) {
  Vec<T> v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
template <class T>
DELTARULE_INLINE void store(T* p, Vec<T> v) {
  std::memcpy(p, &v, sizeof v);
}

template <class T>
DELTARULE_INLINE Vec<T> splat(T x) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    return (Vec<T>)_mm512_set1_ps(x);
  else
    return (Vec<T>)_mm512_set1_pd(x);
#elif defined(__AVX2__)
  if constexpr (sizeof(T) == 4)
    return (Vec<T>)_mm256_set1_ps(x);
  else
    return (Vec<T>)_mm256_set1_pd(x);
#else
  Vec<T> v{};
  for (int i = 0; i < kLanes<T>; ++i) v[i] = x;
  return v;
#endif
}

// The first n lanes from p, zeros beyond; nothing beyond p + n is read.
template <class T>
DELTARULE_INLINE Vec<T> load_first(const T* p, int n) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    return (Vec<T>)_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), p);
  else
    return (Vec<T>)_mm512_maskz_loadu_pd(static_cast<__mmask8>((1u << n) - 1), p);
#else
  Vec<T> v{};
  for (int i = 0; i < n; ++i) v[i] = p[i];
  return v;
#endif
}
template <class T>
DELTARULE_INLINE void store_first(T* p, Vec<T> v, int n) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1), (__m512)v);
  else
    _mm512_mask_storeu_pd(p, static_cast<__mmask8>((1u << n) - 1), (__m512d)v);
#else
  for (int i = 0; i < n; ++i) p[i] = v[i];
#endif
}

// All bits set in the first n lanes.
template <class T>
DELTARULE_INLINE Ints<T> first_lanes(int n) {
  Ints<T> lane{};
  for (int i = 0; i < kLanes<T>; ++i) lane[i] = i;
  Ints<T> limit = lane - lane + n;
  return lane < limit;
}
template <class T>
DELTARULE_INLINE Vec<T> keep(Ints<T> mask, Vec<T> v) {
  return (Vec<T>)(mask & (Ints<T>)v);
}

// In these two a NaN in the second operand comes through (as in NumPy's maximum and minimum).
#define DELTARULE_BINARY(name, comparison)           \
  template <class T>                                 \
  DELTARULE_INLINE Vec<T> name(Vec<T> a, Vec<T> b) { \
    DELTARULE_NATIVE(name, a, b)                     \
    return a comparison b ? a : b;                   \
  }
#if defined(__AVX512F__)
#define DELTARULE_NATIVE(name, a, b)                                       \
  if constexpr (sizeof(T) == 4)                                            \
    return (Vec<T>)_mm512_maskz_##name##_ps(0xffff, (__m512)a, (__m512)b); \
  else                                                                     \
    return (Vec<T>)_mm512_maskz_##name##_pd(0xff, (__m512d)a, (__m512d)b);
#elif defined(__AVX2__)
#define DELTARULE_NATIVE(name, a, b)                         \
  if constexpr (sizeof(T) == 4)                              \
    return (Vec<T>)_mm256_##name##_ps((__m256)a, (__m256)b); \
  else                                                       \
    return (Vec<T>)_mm256_##name##_pd((__m256d)a, (__m256d)b);
#else
#define DELTARULE_NATIVE(name, a, b)
#endif
DELTARULE_BINARY(max, >)
DELTARULE_BINARY(min, <)
#undef DELTARULE_BINARY
#undef DELTARULE_NATIVE

template <class T>
DELTARULE_INLINE Ints<T> sign_bit() {
  return (Ints<T>)splat<T>(T(-0.0));
}
template <class T>
DELTARULE_INLINE Vec<T> abs(Vec<T> x) {
  return (Vec<T>)((Ints<T>)x & ~sign_bit<T>());
}
template <class T>
DELTARULE_INLINE Vec<T> with_sign(Vec<T> magnitude, Vec<T> sign) {
  return (Vec<T>)((Ints<T>)magnitude | ((Ints<T>)sign & sign_bit<T>()));
}

template <class T>
DELTARULE_INLINE Vec<T> sqrt(Vec<T> x) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    return (Vec<T>)_mm512_maskz_sqrt_ps(0xffff, (__m512)x);
  else
    return (Vec<T>)_mm512_maskz_sqrt_pd(0xff, (__m512d)x);
#elif defined(__AVX2__)
  if constexpr (sizeof(T) == 4)
    return (Vec<T>)_mm256_sqrt_ps((__m256)x);
  else
    return (Vec<T>)_mm256_sqrt_pd((__m256d)x);
#else
  Vec<T> r{};
  for (int i = 0; i < kLanes<T>; ++i) {
    if constexpr (sizeof(T) == 4)
      r[i] = __builtin_sqrtf(x[i]);
    else
      r[i] = __builtin_sqrt(x[i]);
  }
  return r;
#endif
}

// Lane i becomes lane i + N/2 (mod N), and so on: log2(lanes) steps leave the total in every lane.
template <int Shift, class T, int... I>
DELTARULE_INLINE Vec<T> rotate_by(Vec<T> v, std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(v, v, ((I + Shift) % kLanes<T>)...);
}
template <int Shift, class T>
DELTARULE_INLINE Vec<T> rotate(Vec<T> v) {
  return rotate_by<Shift, T>(v, std::make_integer_sequence<int, kLanes<T>>{});
}
template <class T, int Shift = kLanes<T> / 2>
DELTARULE_INLINE Vec<T> sum_everywhere(Vec<T> v) {
  v = v + rotate<Shift, T>(v);
  if constexpr (Shift > 1) return sum_everywhere<T, Shift / 2>(v);
  return v;
}
template <class T, int Shift = kLanes<T> / 2>
DELTARULE_INLINE Vec<T> max_everywhere(Vec<T> v) {
  v = max<T>(v, rotate<Shift, T>(v));
  if constexpr (Shift > 1) return max_everywhere<T, Shift / 2>(v);
  return v;
}
template <class T>
DELTARULE_INLINE T sum(Vec<T> v) {
  return sum_everywhere<T>(v)[0];
}

}  // namespace deltarule::DELTARULE_LEVEL
