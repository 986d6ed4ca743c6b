// The table of the CPU level in use.
#include "kernels/kernels.hpp"

#include "machine/cpu.hpp"

namespace deltarule {

// Each defined by a level.cpp of its own.
#define DELTARULE_TABLES(level)         \
  namespace level {                     \
  const Kernels<float>& table(float);   \
  const Kernels<double>& table(double); \
  }
DELTARULE_TABLES(level_baseline)
#if defined(__x86_64__) || defined(_M_X64)
DELTARULE_TABLES(level_avx2)
DELTARULE_TABLES(level_avx512)
#endif
#undef DELTARULE_TABLES

template <class T>
const Kernels<T>& kernels() {
#if defined(__x86_64__) || defined(_M_X64)
  if (cpu_level() == Level::avx512) return level_avx512::table(T{});
  if (cpu_level() == Level::avx2) return level_avx2::table(T{});
#endif
  return level_baseline::table(T{});
}

template const Kernels<float>& kernels<float>();
template const Kernels<double>& kernels<double>();

}  // namespace deltarule
