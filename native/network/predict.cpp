// Prediction: single rows straight from theta, many rows in pieces that the pool shares out.
#include <algorithm>
#include <iterator>

#include "gemm/gemm.hpp"
#include "network/workspace.hpp"

namespace deltarule {
namespace {

constexpr int64_t kPiece = 128;             // rows of a piece
constexpr int64_t kRowByRow = 4;            // rows up to which nothing is copied or packed
constexpr int64_t kWorthThreads = 1 << 23;  // multiplications

template <class T>
void finish(const Kernels<T>& kernels, Activation f, Groups groups, const Rows<T>& z) {
  if (f.kind == Act::softmax)
    kernels.softmax(groups, z);
  else
    kernels.activate(f, z, nullptr);
}

// The parameters of each layer, padded where the register kernels need it.
template <class T>
struct Parameters {
  std::vector<Layer<T>> layers;
  Buffer<T> packed;
  int64_t widest = 0;
  Groups groups;  // of the outputs

  Parameters(const NetworkSpec& spec, const T* theta, int64_t lanes, bool pack)
      : groups(spec.output().groups) {
    int64_t offset = 0, total = 0;
    for (int l = 0; l < spec.layers(); ++l) {
      const auto at = static_cast<std::size_t>(l);
      Layer<T> layer;
      layer.in = spec.sizes[at];
      layer.out = spec.sizes[at + 1];
      layer.bias = spec.bias[at];
      layer.f = spec.activations[at];
      layer.offset = offset;
      layer.packed = pack && layer.out % lanes != 0 && layer.in * layer.out <= 64 * 1024;
      layer.ld = layer.packed ? round_up(layer.out, lanes) : layer.out;
      layer.whole_vectors = layer.ld % lanes == 0;
      layer.block = const_cast<T*>(theta) + offset;  // only read
      offset += layer.size();
      if (layer.packed) total += layer.block_size();
      widest = std::max(widest, round_up(layer.out, lanes) + lanes);
      layers.push_back(layer);
    }
    if (total == 0) return;
    packed.reset(total);
    T* to = packed.data();
    for (Layer<T>& layer : layers) {
      if (!layer.packed) continue;
      for (int64_t r = 0; r < layer.rows(); ++r)
        std::memcpy(to + r * layer.ld, layer.block + r * layer.out,
                    static_cast<std::size_t>(layer.out) * sizeof(T));
      layer.block = to;
      to += layer.block_size();
    }
  }
};

template <class T>
void sparse_rows(const Kernels<T>& kernels, const Layer<T>& layer, const Samples<T>& x,
                 int64_t first, int64_t rows, T* z, int64_t ldz) {
  for (int64_t r = 0; r < rows; ++r) {
    T* row = z + r * ldz;
    if (layer.bias)
      std::memcpy(row, layer.b(), static_cast<std::size_t>(layer.out) * sizeof(T));
    else
      std::memset(row, 0, static_cast<std::size_t>(layer.out) * sizeof(T));
    for (int64_t e = x.starts[first + r]; e < x.starts[first + r + 1]; ++e)
      kernels.axpy(x.values[e], layer.W() + x.indices[e] * layer.ld, row, layer.out);
  }
}

// Rows first .. first + rows - 1 through all layers; `space` holds two blocks of rows x widest.
template <class T>
void piece(const Kernels<T>& kernels, Pool& pool, const Parameters<T>& parameters,
           const Samples<T>& x, int64_t first, int64_t rows, bool scores, T* space, T* out) {
  const int64_t lanes = kernels.lanes, ld = parameters.widest;
  const T* a = x.dense == nullptr ? nullptr : x.dense + first * parameters.layers[0].in;
  int64_t lda = parameters.layers[0].in;
  T *here = space, *other = space + rows * ld;
  for (std::size_t l = 0; l < parameters.layers.size(); ++l) {
    const Layer<T>& layer = parameters.layers[l];
    if (l == 0 && a == nullptr) {
      sparse_rows(kernels, layer, x, first, rows, here, ld);
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
      Product<T> p{rows, round_up(layer.out, lanes), layer.in, a, lda, 1, layer.W(), layer.ld, here,
                   ld};
      p.bias = layer.b();
      kernels.product(p);
    }
    if (!(scores && l + 1 == parameters.layers.size()))
      finish(kernels, layer.f, parameters.groups, {here, rows, layer.out, ld});
    a = here;
    lda = ld;
    std::swap(here, other);
  }
  const int64_t n_out = parameters.layers.back().out;
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
  const Parameters<T> parameters(spec, theta, kernels.lanes, n > kRowByRow);
  const int64_t rows = std::min(n, kPiece), pieces = ceil_div(n, kPiece);
  int64_t products = 0;
  for (const Layer<T>& layer : parameters.layers) products += n * layer.in * layer.out;
  const bool shared = pieces > 1 && products >= kWorthThreads;
  Pool& outer = shared ? Pool::shared() : Pool::serial();
  Pool& inner = pieces > 1 ? Pool::serial() : Pool::shared();
  outer.parallel_for(static_cast<int>(pieces), [&](int index) {
    const FlushDenormals flush_here;
    static thread_local Buffer<T> space;
    const int64_t first = index * kPiece;
    piece(kernels, inner, parameters, samples, first, std::min(kPiece, n - first), scores,
          space.at_least(2 * rows * parameters.widest), out);
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
