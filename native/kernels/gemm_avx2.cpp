// AVX2 + FMA kernels of gemm: 16 registers of 8 floats or 4 doubles.
#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>

#include "kernels/gemm_tiles.hpp"

namespace deltarule {
namespace {

struct Float8 {
  using T = float;
  using Reg = __m256;
  using Mask = __m256i;
  static constexpr int W = 8;
  static constexpr bool kCheapMask = false;
  static DELTARULE_INLINE Mask mask(int live) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(live), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  static DELTARULE_INLINE Reg zero() { return _mm256_setzero_ps(); }
  static DELTARULE_INLINE Reg broadcast(const T* p) { return _mm256_broadcast_ss(p); }
  static DELTARULE_INLINE Reg load(const T* p) { return _mm256_loadu_ps(p); }
  static DELTARULE_INLINE Reg load(const T* p, Mask m) { return _mm256_maskload_ps(p, m); }
  static DELTARULE_INLINE void store(T* p, Reg x) { _mm256_storeu_ps(p, x); }
  static DELTARULE_INLINE void store(T* p, Reg x, Mask m) { _mm256_maskstore_ps(p, m, x); }
  static DELTARULE_INLINE void keep(Reg& x) { asm("" : "+x"(x)); }
  static DELTARULE_INLINE Reg add(Reg x, Reg y) { return _mm256_add_ps(x, y); }
  static DELTARULE_INLINE Reg mul(Reg x, Reg y) { return _mm256_mul_ps(x, y); }
  static DELTARULE_INLINE Reg fma(Reg x, Reg y, Reg z) { return _mm256_fmadd_ps(x, y, z); }

  // Four columns of 8 rows: register i takes rows i and i+4.
  static constexpr int kBlock = 4;
  static DELTARULE_INLINE void transpose(T* to, int64_t strip, const T* const (&rows)[8],
                                         int64_t p) {
    Reg x[4];
    DELTARULE_UNROLL
    for (int i = 0; i < 4; ++i) {
      x[i] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(rows[i] + p)),
                                  _mm_loadu_ps(rows[i + 4] + p), 1);
    }
    const __m256d ab0 = _mm256_castps_pd(_mm256_unpacklo_ps(x[0], x[1]));
    const __m256d ab1 = _mm256_castps_pd(_mm256_unpackhi_ps(x[0], x[1]));
    const __m256d cd0 = _mm256_castps_pd(_mm256_unpacklo_ps(x[2], x[3]));
    const __m256d cd1 = _mm256_castps_pd(_mm256_unpackhi_ps(x[2], x[3]));
    store(to, _mm256_castpd_ps(_mm256_unpacklo_pd(ab0, cd0)));
    store(to + strip, _mm256_castpd_ps(_mm256_unpackhi_pd(ab0, cd0)));
    store(to + 2 * strip, _mm256_castpd_ps(_mm256_unpacklo_pd(ab1, cd1)));
    store(to + 3 * strip, _mm256_castpd_ps(_mm256_unpackhi_pd(ab1, cd1)));
  }
};

struct Double4 {
  using T = double;
  using Reg = __m256d;
  using Mask = __m256i;
  static constexpr int W = 4;
  static constexpr bool kCheapMask = false;
  static DELTARULE_INLINE Mask mask(int live) {
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(live), _mm256_setr_epi64x(0, 1, 2, 3));
  }
  static DELTARULE_INLINE Reg zero() { return _mm256_setzero_pd(); }
  static DELTARULE_INLINE Reg broadcast(const T* p) { return _mm256_broadcast_sd(p); }
  static DELTARULE_INLINE Reg load(const T* p) { return _mm256_loadu_pd(p); }
  static DELTARULE_INLINE Reg load(const T* p, Mask m) { return _mm256_maskload_pd(p, m); }
  static DELTARULE_INLINE void store(T* p, Reg x) { _mm256_storeu_pd(p, x); }
  static DELTARULE_INLINE void store(T* p, Reg x, Mask m) { _mm256_maskstore_pd(p, m, x); }
  static DELTARULE_INLINE void keep(Reg& x) { asm("" : "+x"(x)); }
  static DELTARULE_INLINE Reg add(Reg x, Reg y) { return _mm256_add_pd(x, y); }
  static DELTARULE_INLINE Reg mul(Reg x, Reg y) { return _mm256_mul_pd(x, y); }
  static DELTARULE_INLINE Reg fma(Reg x, Reg y, Reg z) { return _mm256_fmadd_pd(x, y, z); }

  static constexpr int kBlock = 2;
  static DELTARULE_INLINE void transpose(T* to, int64_t strip, const T* const (&rows)[4],
                                         int64_t p) {
    Reg x[2];
    DELTARULE_UNROLL
    for (int i = 0; i < 2; ++i) {
      x[i] = _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(rows[i] + p)),
                                  _mm_loadu_pd(rows[i + 2] + p), 1);
    }
    store(to, _mm256_unpacklo_pd(x[0], x[1]));
    store(to + strip, _mm256_unpackhi_pd(x[0], x[1]));
  }
};

}  // namespace

const KernelTable<float>& avx2_kernels(float) {
  static constexpr auto table = make_table<Float8, 6, 6, 2, 0>();
  return table;
}

const KernelTable<double>& avx2_kernels(double) {
  static constexpr auto table = make_table<Double4, 6, 6, 2, 0>();
  return table;
}

}  // namespace deltarule
#endif
