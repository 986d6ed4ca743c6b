// The random words of dropout (see dropout.py), and the key under which a layer's masks are drawn.
#pragma once

#include <cstdint>

namespace deltarule {

constexpr std::uint64_t kMixStep = 0x9E3779B97F4A7C15u;  // from one state to the next

// SplitMix64: the word that follows the state x. Always inlined, as every CPU level calls it.
__attribute__((always_inline)) inline std::uint64_t mix(std::uint64_t x) {
  x += kMixStep;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

// Of the masks of a_l in an optimizer step (from 0).
inline std::uint64_t dropout_key(std::uint64_t seed, std::int64_t step, int layer) {
  return mix(mix(mix(seed) ^ static_cast<std::uint64_t>(step)) ^ static_cast<std::uint64_t>(layer));
}

}  // namespace deltarule
