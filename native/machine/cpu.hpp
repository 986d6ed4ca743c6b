// Which CPU level the kernels are picked for: one build serves old and new machines.
#pragma once

namespace deltarule {

enum class Level { baseline, avx2, avx512 };

// The best level that this CPU and operating system can run, or the lower one that the environment
// variable DELTARULE_CPU (baseline, avx2, avx512) asks for. Decided once per process.
Level cpu_level();

const char* level_name(Level level);

}  // namespace deltarule
