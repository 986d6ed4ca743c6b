// Numbers below the smallest normal one, which a vanishing gradient is full of, cost many times
// as much as others on many processors.
#pragma once

namespace deltarule {

// Keeps denormal numbers at zero while it lives: vanishing gradients would otherwise make steps
// many times slower, for contributions below 1e-38 (float64: 1e-308).
class FlushDenormals {
 public:
  FlushDenormals();
  ~FlushDenormals();

 private:
  unsigned long long saved_;
};

}  // namespace deltarule
