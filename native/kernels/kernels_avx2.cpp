// The inner loops for x86-64 CPUs with AVX2 and FMA.
#if defined(__x86_64__) || defined(_M_X64)
#define DELTARULE_LEVEL level_avx2
#include "kernels/level.hpp"

namespace deltarule {

const Kernels<float>& kernels_avx2_float() { return level_avx2::table<float>(); }
const Kernels<double>& kernels_avx2_double() { return level_avx2::table<double>(); }

}  // namespace deltarule

#endif
