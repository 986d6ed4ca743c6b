// The inner loops for x86-64 CPUs with AVX-512 (F, DQ, BW, VL).
#if defined(__x86_64__) || defined(_M_X64)
#define DELTARULE_LEVEL level_avx512
#include "kernels/level.hpp"

namespace deltarule {

const Kernels<float>& kernels_avx512_float() { return level_avx512::table<float>(); }
const Kernels<double>& kernels_avx512_double() { return level_avx512::table<double>(); }

}  // namespace deltarule

#endif
