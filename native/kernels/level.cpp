// Fills the table of inner loops for one CPU level. Compiled once for each, with its own flags and
// name: see CMakeLists.txt.
#include "kernels/gemm_tiles.hpp"
#include "kernels/kernels.hpp"
#include "kernels/losses.hpp"
#include "kernels/products.hpp"
#include "kernels/tiny.hpp"
#include "kernels/update.hpp"

namespace deltarule::DELTARULE_LEVEL {

template <class T>
constexpr Kernels<T> kTable = {kLanes<T>,
                               gemm_tiles::tiles<T>(),
                               product<T>,
                               transpose<T>,
                               row_times_matrix<T>,
                               rows_dot_rows<T>,
                               column_sums<T>,
                               activate<T>,
                               times_slope<T>,
                               multiply<T>,
                               output_delta<T>,
                               softmax<T>,
                               update<T>,
                               penalize<T>,
                               sum_of_squares<T>,
                               scale<T>,
                               axpy<T>,
                               gather<T>,
                               dropout<T>,
                               tiny_fits<T>,
                               tiny_steps<T>};

const Kernels<float>& table(float) { return kTable<float>; }
const Kernels<double>& table(double) { return kTable<double>; }

}  // namespace deltarule::DELTARULE_LEVEL
