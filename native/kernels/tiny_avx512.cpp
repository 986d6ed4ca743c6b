// Nets that live in registers, for this CPU level (see kernels_avx512.cpp).
#if defined(__x86_64__) || defined(_M_X64)
#define DELTARULE_LEVEL level_avx512
#include "kernels/tiny.hpp"

namespace deltarule::level_avx512 {

template bool tiny_fits<float>(int64_t, int64_t, int64_t, Act);
template bool tiny_fits<double>(int64_t, int64_t, int64_t, Act);
template int64_t tiny_steps<float>(TinyRun<float>&);
template int64_t tiny_steps<double>(TinyRun<double>&);

}  // namespace deltarule::level_avx512

#endif
