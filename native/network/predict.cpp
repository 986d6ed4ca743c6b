// How many rows go through at once, and by which products.
#include "network/predict.hpp"

#include <algorithm>
#include <iterator>

#include "gemm/gemm.hpp"
#include "machine/denormals.hpp"
#include "machine/memory.hpp"
#include "network/layout.hpp"
#include "network/pass.hpp"

namespace deltarule {
namespace {

constexpr int64_t kPiece = 128;             // rows of a piece
constexpr int64_t kRowByRow = 4;            // rows up to which nothing is copied or packed
constexpr int64_t kPadded = 64 * 1024;      // weights up to which ragged rows are padded
constexpr int64_t kWorthThreads = 1 << 23;  // multiplications

template <class T>
void finish(const Kernels<T>& kernels, Activation f, Groups groups, const Rows<T>& z) {
  if (f.kind == Act::softmax)
    kernels.softmax(groups, z);
  else
    kernels.activate(f, z, nullptr);
}

template <class T>
struct Prediction {
  const Kernels<T>& kernels;
  const Layout<T>& layout;
  Groups groups;  // of the outputs
  const Samples<T>& x;
  bool scores;
  int64_t ld;  // of a block of rows, wide enough for every layer
  T* out;

  void piece(Pool& pool, int64_t first, int64_t rows, T* space) const;
};

// Rows first .. first + rows - 1 through all layers; `space` holds two blocks of them.
template <class T>
void Prediction<T>::piece(Pool& pool, int64_t first, int64_t rows, T* space) const {
  const T* a = x.dense == nullptr ? nullptr : x.dense + first * layout[1].in;
  int64_t lda = layout[1].in;
  T *here = space, *other = space + rows * ld;
  for (std::size_t l = 1; l <= layout.L(); ++l) {
    const Layer<T>& layer = layout[l];
    if (a == nullptr) {
      for (int64_t r = 0; r < rows; ++r)
        sparse_row(kernels, layer, x, first + r, here + r * ld, [](int64_t) { return T(1); });
    } else if (rows <= kRowByRow) {
      for (int64_t r = 0; r < rows; ++r)
        kernels.row_times_matrix(a + r * lda, layer.W(), layer.ld, layer.b(), layer.in, layer.out,
                                 here + r * ld);
    } else if (!layer.whole_vectors || rows * layer.in * layer.out >= 1 << 20) {
      gemm<T>(pool, false, false, rows, layer.out, layer.in, T(1), a, lda, layer.W(), layer.ld,
              T(0), here, ld, nullptr);
      if (layer.bias)
        for (int64_t r = 0; r < rows; ++r) kernels.axpy(T(1), layer.b(), here + r * ld, layer.out);
    } else {
      dense_rows(kernels, layer, rows, a, lda, here, ld);
    }
    if (!(scores && l == layout.L())) finish(kernels, layer.f, groups, {here, rows, layer.out, ld});
    a = here;
    lda = ld;
    std::swap(here, other);
  }
  const int64_t n_out = layout[layout.L()].out;
  for (int64_t r = 0; r < rows; ++r)
    std::memcpy(out + (first + r) * n_out, a + r * lda,
                static_cast<std::size_t>(n_out) * sizeof(T));
}

}  // namespace

template <class T>
void predict(const NetworkSpec& spec, const T* theta, const Samples<T>& samples, bool scores,
             T* out) {
  const FlushDenormals flush;
  const Kernels<T>& kernels = deltarule::kernels<T>();
  const int64_t n = samples.rows;
  // Nothing is copied for few rows.
  Layout<T> layout(spec, kernels.lanes, {n > kRowByRow ? kPadded : 0, false});
  layout.load(const_cast<T*>(theta), nullptr, nullptr);  // only read
  const int64_t ld =
      round_up(*std::max_element(spec.sizes.begin() + 1, spec.sizes.end()), kernels.lanes) +
      kernels.lanes;
  const Prediction<T> prediction{kernels, layout, spec.output().groups, samples, scores, ld, out};
  const int64_t rows = std::min(n, kPiece), pieces = ceil_div(n, kPiece);
  int64_t products = 0;
  for (std::size_t l = 1; l <= layout.L(); ++l) products += n * layout[l].in * layout[l].out;
  const bool shared = pieces > 1 && products >= kWorthThreads;
  Pool& outer = shared ? Pool::shared() : Pool::serial();
  Pool& inner = pieces > 1 ? Pool::serial() : Pool::shared();
  outer.parallel_for(static_cast<int>(pieces), [&](int index) {
    const FlushDenormals flush_here;
    static thread_local Buffer<T> space;
    const int64_t first = index * kPiece;
    prediction.piece(inner, first, std::min(kPiece, n - first), space.at_least(2 * rows * ld));
  });
}

template <class T>
bool all_finite(const T* x, int64_t n) {
  T sums[16] = {};  // x - x is 0, or NaN if x is not finite
  int64_t i = 0;
  for (; i + 16 <= n; i += 16)
    for (int j = 0; j < 16; ++j) sums[j] += x[i + j] - x[i + j];
  for (; i < n; ++i) sums[0] += x[i] - x[i];
  return std::all_of(std::begin(sums), std::end(sums), [](T sum) { return sum == 0; });
}

template bool all_finite<float>(const float*, int64_t);
template bool all_finite<double>(const double*, int64_t);
template void predict<float>(const NetworkSpec&, const float*, const Samples<float>&, bool, float*);
template void predict<double>(const NetworkSpec&, const double*, const Samples<double>&, bool,
                              double*);

}  // namespace deltarule
