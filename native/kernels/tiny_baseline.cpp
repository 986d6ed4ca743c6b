// Nets that live in registers, for this CPU level (see kernels_baseline.cpp).
#define DELTARULE_LEVEL level_baseline
#include "kernels/tiny.hpp"

namespace deltarule::level_baseline {

template bool tiny_fits<float>(int64_t, int64_t, int64_t, Act);
template bool tiny_fits<double>(int64_t, int64_t, int64_t, Act);
template int64_t tiny_steps<float>(TinyRun<float>&);
template int64_t tiny_steps<double>(TinyRun<double>&);

}  // namespace deltarule::level_baseline
