// Fills the table of inner loops for the level that the including file is compiled for.
#pragma once

#include "kernels/losses.hpp"
#include "kernels/products.hpp"
#include "kernels/update.hpp"

namespace deltarule::DELTARULE_LEVEL {

// In tiny.hpp, compiled apart: it takes a while.
template <class T>
bool tiny_fits(int64_t n_in, int64_t n_hidden, int64_t n_out, Act hidden);
template <class T>
int64_t tiny_steps(TinyRun<T>& run);

template <class T>
const Kernels<T>& table() {
  static constexpr Kernels<T> kernels = {
      kLanes<T>,      product<T>,  transpose<T>,   row_times_matrix<T>, rows_dot_rows<T>,
      column_sums<T>, activate<T>, times_slope<T>, multiply<T>,         output_delta<T>,
      softmax<T>,     update<T>,   penalize<T>,    sum_of_squares<T>,   scale<T>,
      axpy<T>,        gather<T>,   dropout<T>,     tiny_fits<T>,        tiny_steps<T>};
  return kernels;
}

}  // namespace deltarule::DELTARULE_LEVEL
