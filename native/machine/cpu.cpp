// CPU detection through the compiler's own CPUID support (which also checks that the operating
// system saves the wide registers).
#include "machine/cpu.hpp"

#include <cstdlib>
#include <cstring>
#include <initializer_list>

namespace deltarule {
namespace {

Level best_level() {
#if defined(__x86_64__) || defined(_M_X64)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
    return Level::avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return Level::avx2;
#endif
  return Level::baseline;
}

Level chosen_level() {
  const Level best = best_level();
  const char* asked = std::getenv("DELTARULE_CPU");
  if (asked == nullptr) return best;
  for (const Level level : {Level::baseline, Level::avx2, Level::avx512})
    if (std::strcmp(asked, level_name(level)) == 0) return level < best ? level : best;
  return best;
}

}  // namespace

Level cpu_level() {
  static const Level level = chosen_level();
  return level;
}

const char* level_name(Level level) {
  switch (level) {
    case Level::avx512: return "avx512";
    case Level::avx2: return "avx2";
    default: return "baseline";
  }
}

}  // namespace deltarule
