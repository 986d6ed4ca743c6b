// Prediction: single rows straight from theta, many rows in pieces that the pool shares out.
#pragma once

#include "network/run.hpp"

namespace deltarule {

// a_L (rows, n_L) for the rows of `samples`, or z_L if only the scores are asked for.
template <class T>
void predict(const NetworkSpec& spec, const T* theta, const Samples<T>& samples, bool scores,
             T* out);

template <class T>
bool all_finite(const T* x, int64_t n);

}  // namespace deltarule
