// The inner loops for the oldest CPU of the target architecture.
#define DELTARULE_LEVEL level_baseline
#include "kernels/level.hpp"

namespace deltarule {

const Kernels<float>& kernels_baseline_float() { return level_baseline::table<float>(); }
const Kernels<double>& kernels_baseline_double() { return level_baseline::table<double>(); }

}  // namespace deltarule
