// The table of the CPU level in use.
#include "kernels/kernels.hpp"

#include "machine/cpu.hpp"

namespace deltarule {

const Kernels<float>& kernels_baseline_float();
const Kernels<double>& kernels_baseline_double();
#if defined(__x86_64__) || defined(_M_X64)
const Kernels<float>& kernels_avx2_float();
const Kernels<double>& kernels_avx2_double();
const Kernels<float>& kernels_avx512_float();
const Kernels<double>& kernels_avx512_double();
#endif

template <>
const Kernels<float>& kernels<float>() {
#if defined(__x86_64__) || defined(_M_X64)
  if (cpu_level() == Level::avx512) return kernels_avx512_float();
  if (cpu_level() == Level::avx2) return kernels_avx2_float();
#endif
  return kernels_baseline_float();
}

template <>
const Kernels<double>& kernels<double>() {
#if defined(__x86_64__) || defined(_M_X64)
  if (cpu_level() == Level::avx512) return kernels_avx512_double();
  if (cpu_level() == Level::avx2) return kernels_avx2_double();
#endif
  return kernels_baseline_double();
}

}  // namespace deltarule
