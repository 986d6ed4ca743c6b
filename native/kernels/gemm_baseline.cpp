// Kernels of gemm for any machine, in the compilers' vector extension: SSE2 on x86-64, NEON on
// aarch64.
#include <cstring>

#include "kernels/gemm_tiles.hpp"

namespace deltarule {
namespace {

template <class Element>
struct Vector16 {
  using T = Element;
  using Reg __attribute__((vector_size(16))) = Element;
  using Mask = int;
  static constexpr int W = 16 / sizeof(T);
  static constexpr bool kCheapMask = false;
  static DELTARULE_INLINE Mask mask(int live) { return live; }
  static DELTARULE_INLINE Reg zero() { return Reg{}; }
  static DELTARULE_INLINE Reg broadcast(const T* p) { return Reg{} + *p; }
  static DELTARULE_INLINE Reg load(const T* p) {
    Reg x;
    std::memcpy(&x, p, sizeof x);
    return x;
  }
  static DELTARULE_INLINE void store(T* p, Reg x) { std::memcpy(p, &x, sizeof x); }
  static DELTARULE_INLINE Reg load(const T* p, Mask live) {
    Reg x = zero();
    x[0] = p[0];
    if (W > 2 && live > 1) x[1] = p[1];
    if (W > 2 && live > 2) x[2 % W] = p[2];
    return x;
  }
  static DELTARULE_INLINE void store(T* p, Reg x, Mask live) {
    p[0] = x[0];
    if (W > 2 && live > 1) p[1] = x[1];
    if (W > 2 && live > 2) p[2] = x[2 % W];
  }
  static DELTARULE_INLINE void keep(Reg& x) {
#if defined(__x86_64__)
    asm("" : "+x"(x));
#elif defined(__aarch64__)
    asm("" : "+w"(x));
#else
    (void)x;
#endif
  }
  static DELTARULE_INLINE Reg add(Reg x, Reg y) { return x + y; }
  static DELTARULE_INLINE Reg mul(Reg x, Reg y) { return x * y; }
  static DELTARULE_INLINE Reg fma(Reg x, Reg y, Reg z) { return z + x * y; }

  static constexpr int kBlock = 1;
  static DELTARULE_INLINE void transpose(T* to, int64_t, const T* const (&rows)[W], int64_t p) {
    for (int i = 0; i < W; ++i) to[i] = rows[i][p];
  }
};

#if defined(__aarch64__)
constexpr int kRows = 12;  // 32 registers
#else
constexpr int kRows = 4;
#endif

}  // namespace

const KernelTable<float>& baseline_kernels(float) {
  static constexpr auto table = make_table<Vector16<float>, kRows, kRows, 2, 0>();
  return table;
}

const KernelTable<double>& baseline_kernels(double) {
  static constexpr auto table = make_table<Vector16<double>, kRows, kRows, 2, 0>();
  return table;
}

}  // namespace deltarule
