// Vectors of the CPU level that the including file is compiled for, on the compilers' own vector
// types: one source for SSE2, AVX2, AVX-512 and NEON. Everything lies in a namespace per level
// (DELTARULE_LEVEL), so that the linker never mixes code of different levels.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>
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
  return x - Vec<T>{};  // x, in every lane; + would lose the sign of -0
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
// The first n = 1 .. kLanes lanes, for loads (zeros beyond) and stores that touch no others.
#if defined(__AVX512F__)
constexpr bool kCheapMasks = true;
template <class T>
using Mask = std::conditional_t<sizeof(T) == 4, __mmask16, __mmask8>;
template <class T>
DELTARULE_INLINE Mask<T> mask_first(int n) {
  return static_cast<Mask<T>>((1u << n) - 1);
}
template <class T>
DELTARULE_INLINE Vec<T> load(const T* p, Mask<T> mask) {
  if constexpr (sizeof(T) == 4)
    return (Vec<T>)_mm512_maskz_loadu_ps(mask, p);
  else
    return (Vec<T>)_mm512_maskz_loadu_pd(mask, p);
}
template <class T>
DELTARULE_INLINE void store(T* p, Vec<T> v, Mask<T> mask) {
  if constexpr (sizeof(T) == 4)
    _mm512_mask_storeu_ps(p, mask, (__m512)v);
  else
    _mm512_mask_storeu_pd(p, mask, (__m512d)v);
}
#elif defined(__AVX2__)
constexpr bool kCheapMasks = false;
template <class T>
using Mask = Ints<T>;
template <class T>
DELTARULE_INLINE Mask<T> mask_first(int n) {
  return first_lanes<T>(n);
}
template <class T>
DELTARULE_INLINE Vec<T> load(const T* p, Mask<T> mask) {
  if constexpr (sizeof(T) == 4)
    return (Vec<T>)_mm256_maskload_ps(p, (__m256i)mask);
  else
    return (Vec<T>)_mm256_maskload_pd(p, (__m256i)mask);
}
template <class T>
DELTARULE_INLINE void store(T* p, Vec<T> v, Mask<T> mask) {
  if constexpr (sizeof(T) == 4)
    _mm256_maskstore_ps(p, (__m256i)mask, (__m256)v);
  else
    _mm256_maskstore_pd(p, (__m256i)mask, (__m256d)v);
}
#else
constexpr bool kCheapMasks = false;
template <class T>
using Mask = int;
template <class T>
DELTARULE_INLINE Mask<T> mask_first(int n) {
  return n;
}
template <class T>
DELTARULE_INLINE Vec<T> load(const T* p, Mask<T> n) {
  Vec<T> v{};
  unroll<kLanes<T>>([&](auto i) {
    constexpr int lane = i;
    if (lane < n) v[lane] = p[lane];
  });
  return v;
}
template <class T>
DELTARULE_INLINE void store(T* p, Vec<T> v, Mask<T> n) {
  unroll<kLanes<T>>([&](auto i) {
    constexpr int lane = i;
    if (lane < n) p[lane] = v[lane];
  });
}
#endif

template <class T>
DELTARULE_INLINE Vec<T> load_first(const T* p, int n) {
  return load(p, mask_first<T>(n));
}
template <class T>
DELTARULE_INLINE void store_first(T* p, Vec<T> v, int n) {
  store<T>(p, v, mask_first<T>(n));
}

// Keeps v in a register: the compiler forgets where it has come from.
template <class T>
DELTARULE_INLINE void pin(Vec<T>& v) {
#if defined(__AVX512F__)
  asm("" : "+v"(v));
#elif defined(__x86_64__)
  asm("" : "+x"(v));
#elif defined(__aarch64__)
  asm("" : "+w"(v));
#else
  (void)v;
#endif
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

// kBlock columns of kLanes rows, from column p on, become kBlock rows that lie `apart`.
#if defined(__AVX512F__) || defined(__AVX2__)
template <class T>
constexpr int kBlock = 16 / sizeof(T);

// Register i takes elements of the rows i, i + kBlock, ... by 128-bit loads, so that only the
// shuffles inside 128-bit lanes remain.
template <class T>
DELTARULE_INLINE Vec<T> load_apart(const T* const (&rows)[kLanes<T>], int i, int64_t p) {
  const auto at = [&](int r) { return rows[i + r * kBlock<T>] + p; };
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) {
    __m512 x = _mm512_castps128_ps512(_mm_loadu_ps(at(0)));
    x = _mm512_mask_broadcast_f32x4(x, 0x00f0, _mm_loadu_ps(at(1)));
    x = _mm512_mask_broadcast_f32x4(x, 0x0f00, _mm_loadu_ps(at(2)));
    return (Vec<T>)_mm512_mask_broadcast_f32x4(x, 0xf000, _mm_loadu_ps(at(3)));
  } else {
    __m512d x = _mm512_castpd128_pd512(_mm_loadu_pd(at(0)));
    x = _mm512_mask_broadcast_f64x2(x, 0x0c, _mm_loadu_pd(at(1)));
    x = _mm512_mask_broadcast_f64x2(x, 0x30, _mm_loadu_pd(at(2)));
    return (Vec<T>)_mm512_mask_broadcast_f64x2(x, 0xc0, _mm_loadu_pd(at(3)));
  }
#else
  if constexpr (sizeof(T) == 4)
    return (Vec<T>)_mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(at(0))),
                                        _mm_loadu_ps(at(1)), 1);
  else
    return (Vec<T>)_mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(at(0))),
                                        _mm_loadu_pd(at(1)), 1);
#endif
}

// Elements of x and y in turns, from the low half of each 128-bit lane, or from the high one.
template <class T, int High, int... I>
DELTARULE_INLINE Vec<T> interleave(Vec<T> x, Vec<T> y, std::integer_sequence<int, I...>) {
  constexpr int lane = 16 / sizeof(T);
  return __builtin_shufflevector(
      x, y, (I / lane * lane + High * lane / 2 + I % lane / 2 + I % 2 * kLanes<T>)...);
}
template <class T>
DELTARULE_INLINE Vec<T> low(Vec<T> x, Vec<T> y) {
  return interleave<T, 0>(x, y, std::make_integer_sequence<int, kLanes<T>>{});
}
template <class T>
DELTARULE_INLINE Vec<T> high(Vec<T> x, Vec<T> y) {
  return interleave<T, 1>(x, y, std::make_integer_sequence<int, kLanes<T>>{});
}

template <class T>
DELTARULE_INLINE void transpose_block(T* to, int64_t apart, const T* const (&rows)[kLanes<T>],
                                      int64_t p) {
  const Vec<T> x0 = load_apart<T>(rows, 0, p), x1 = load_apart<T>(rows, 1, p);
  if constexpr (sizeof(T) == 8) {
    store<T>(to, low<T>(x0, x1));
    store<T>(to + apart, high<T>(x0, x1));
  } else {
    using Pairs = Vec<double>;
    const Vec<T> x2 = load_apart<T>(rows, 2, p), x3 = load_apart<T>(rows, 3, p);
    const Pairs low_01 = (Pairs)low<T>(x0, x1), low_23 = (Pairs)low<T>(x2, x3);
    const Pairs high_01 = (Pairs)high<T>(x0, x1), high_23 = (Pairs)high<T>(x2, x3);
    store<T>(to, (Vec<T>)low<double>(low_01, low_23));
    store<T>(to + apart, (Vec<T>)high<double>(low_01, low_23));
    store<T>(to + 2 * apart, (Vec<T>)low<double>(high_01, high_23));
    store<T>(to + 3 * apart, (Vec<T>)high<double>(high_01, high_23));
  }
}
#else
template <class T>
constexpr int kBlock = 1;
template <class T>
DELTARULE_INLINE void transpose_block(T* to, int64_t, const T* const (&rows)[kLanes<T>],
                                      int64_t p) {
  for (int i = 0; i < kLanes<T>; ++i) to[i] = rows[i][p];
}
#endif

}  // namespace deltarule::DELTARULE_LEVEL
