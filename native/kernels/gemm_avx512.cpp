// AVX-512 kernels of gemm: 32 registers of 16 floats or 8 doubles, edges by lane masks.
#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>

#include "kernels/gemm_tiles.hpp"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // in GCC 12's own _mm512_unpacklo_ps
#endif

namespace deltarule {
namespace {

struct Float16 {
  using T = float;
  using Reg = __m512;
  using Mask = __mmask16;
  static constexpr int W = 16;
  static constexpr bool kCheapMask = true;
  static DELTARULE_INLINE Mask mask(int live) { return static_cast<Mask>((1u << live) - 1u); }
  static DELTARULE_INLINE Reg zero() { return _mm512_setzero_ps(); }
  static DELTARULE_INLINE Reg broadcast(const T* p) { return _mm512_set1_ps(*p); }
  static DELTARULE_INLINE Reg load(const T* p) { return _mm512_loadu_ps(p); }
  static DELTARULE_INLINE Reg load(const T* p, Mask m) { return _mm512_maskz_loadu_ps(m, p); }
  static DELTARULE_INLINE void store(T* p, Reg x) { _mm512_storeu_ps(p, x); }
  static DELTARULE_INLINE void store(T* p, Reg x, Mask m) { _mm512_mask_storeu_ps(p, m, x); }
  static DELTARULE_INLINE void keep(Reg& x) { asm("" : "+v"(x)); }
  static DELTARULE_INLINE Reg add(Reg x, Reg y) { return _mm512_add_ps(x, y); }
  static DELTARULE_INLINE Reg mul(Reg x, Reg y) { return _mm512_mul_ps(x, y); }
  static DELTARULE_INLINE Reg fma(Reg x, Reg y, Reg z) { return _mm512_fmadd_ps(x, y, z); }

  // Four columns of 16 rows: register i takes rows i, i+4, i+8, i+12 by 128-bit loads, so that only
  // the shuffles inside lanes remain.
  static constexpr int kBlock = 4;
  static DELTARULE_INLINE void transpose(T* to, int64_t strip, const T* const (&rows)[16],
                                         int64_t p) {
    Reg x[4];
    DELTARULE_UNROLL
    for (int i = 0; i < 4; ++i) {
      Reg r = _mm512_castps128_ps512(_mm_loadu_ps(rows[i] + p));
      r = _mm512_mask_broadcast_f32x4(r, 0x00f0, _mm_loadu_ps(rows[i + 4] + p));
      r = _mm512_mask_broadcast_f32x4(r, 0x0f00, _mm_loadu_ps(rows[i + 8] + p));
      x[i] = _mm512_mask_broadcast_f32x4(r, 0xf000, _mm_loadu_ps(rows[i + 12] + p));
    }
    const __m512d ab0 = _mm512_castps_pd(_mm512_unpacklo_ps(x[0], x[1]));
    const __m512d ab1 = _mm512_castps_pd(_mm512_unpackhi_ps(x[0], x[1]));
    const __m512d cd0 = _mm512_castps_pd(_mm512_unpacklo_ps(x[2], x[3]));
    const __m512d cd1 = _mm512_castps_pd(_mm512_unpackhi_ps(x[2], x[3]));
    store(to, _mm512_castpd_ps(_mm512_unpacklo_pd(ab0, cd0)));
    store(to + strip, _mm512_castpd_ps(_mm512_unpackhi_pd(ab0, cd0)));
    store(to + 2 * strip, _mm512_castpd_ps(_mm512_unpacklo_pd(ab1, cd1)));
    store(to + 3 * strip, _mm512_castpd_ps(_mm512_unpackhi_pd(ab1, cd1)));
  }
};

struct Double8 {
  using T = double;
  using Reg = __m512d;
  using Mask = __mmask8;
  static constexpr int W = 8;
  static constexpr bool kCheapMask = true;
  static DELTARULE_INLINE Mask mask(int live) { return static_cast<Mask>((1u << live) - 1u); }
  static DELTARULE_INLINE Reg zero() { return _mm512_setzero_pd(); }
  static DELTARULE_INLINE Reg broadcast(const T* p) { return _mm512_set1_pd(*p); }
  static DELTARULE_INLINE Reg load(const T* p) { return _mm512_loadu_pd(p); }
  static DELTARULE_INLINE Reg load(const T* p, Mask m) { return _mm512_maskz_loadu_pd(m, p); }
  static DELTARULE_INLINE void store(T* p, Reg x) { _mm512_storeu_pd(p, x); }
  static DELTARULE_INLINE void store(T* p, Reg x, Mask m) { _mm512_mask_storeu_pd(p, m, x); }
  static DELTARULE_INLINE void keep(Reg& x) { asm("" : "+v"(x)); }
  static DELTARULE_INLINE Reg add(Reg x, Reg y) { return _mm512_add_pd(x, y); }
  static DELTARULE_INLINE Reg mul(Reg x, Reg y) { return _mm512_mul_pd(x, y); }
  static DELTARULE_INLINE Reg fma(Reg x, Reg y, Reg z) { return _mm512_fmadd_pd(x, y, z); }

  // Two columns of 8 rows, as above.
  static constexpr int kBlock = 2;
  static DELTARULE_INLINE void transpose(T* to, int64_t strip, const T* const (&rows)[8],
                                         int64_t p) {
    Reg x[2];
    DELTARULE_UNROLL
    for (int i = 0; i < 2; ++i) {
      Reg r = _mm512_castpd128_pd512(_mm_loadu_pd(rows[i] + p));
      r = _mm512_mask_broadcast_f64x2(r, 0x0c, _mm_loadu_pd(rows[i + 2] + p));
      r = _mm512_mask_broadcast_f64x2(r, 0x30, _mm_loadu_pd(rows[i + 4] + p));
      x[i] = _mm512_mask_broadcast_f64x2(r, 0xc0, _mm_loadu_pd(rows[i + 6] + p));
    }
    store(to, _mm512_unpacklo_pd(x[0], x[1]));
    store(to + strip, _mm512_unpackhi_pd(x[0], x[1]));
  }
};

}  // namespace

const KernelTable<float>& avx512_kernels(float) {
  static constexpr auto table = make_table<Float16, 14, 14, 6, 2>();
  return table;
}

const KernelTable<double>& avx512_kernels(double) {
  static constexpr auto table = make_table<Double8, 14, 14, 6, 2>();
  return table;
}

}  // namespace deltarule
#endif
