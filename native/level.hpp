// Fills the table of inner loops for the level that the including file is compiled for.
#pragma once

#include "losses.hpp"
#include "products.hpp"
#include "tiny.hpp"
#include "update.hpp"

namespace deltarule::DELTARULE_LEVEL {

template <class T>
const Kernels<T>& table() {
  static constexpr Kernels<T> kernels = {
      kLanes<T>,         product<T>,     transpose<T>,      row_times_matrix<T>, rows_dot_rows<T>,
      column_sums<T>,    activate<T>,    times_slope<T>,    multiply<T>,         output_delta<T>,
      softmax<T>,        update<T>,      penalize<T>,       sum_of_squares<T>,   scale<T>,
      axpy<T>,           dropout<T>,     tiny_fits<T>,      tiny_steps<T>};
  return kernels;
}

}  // namespace deltarule::DELTARULE_LEVEL
