// Passes over whole gradients, in pieces that the pool shares out.
#include "network/update.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "machine/pool.hpp"

namespace deltarule {
namespace {

constexpr int64_t kParallelUpdate = 1 << 18;

// The sum of piece(first, count) over n elements, in pieces of a fixed size, so that the bits do
// not depend on the threads.
template <class F>
double sum_of_pieces(int64_t n, F&& piece) {
  if (n <= kParallelUpdate) return piece(int64_t{0}, n);
  std::vector<double> parts(static_cast<std::size_t>(ceil_div(n, kParallelUpdate)));
  Pool::shared().parallel_for(static_cast<int>(parts.size()), [&](int index) {
    const int64_t at = index * kParallelUpdate;
    parts[static_cast<std::size_t>(index)] = piece(at, std::min(kParallelUpdate, n - at));
  });
  return std::accumulate(parts.begin(), parts.end(), 0.0);
}

// Plain SGD after a sparse batch: the other rows of W_1 have no gradient.
template <class T>
void update_touched(const Layer<T>& layer, const RunSpec<T>& run, double rate,
                    const std::vector<int64_t>& touched) {
  const auto update = [&](int64_t at) {
    kernels<T>().update(run.optimizer, T(rate), 0, layer.ld, layer.block + at, layer.grad + at,
                        nullptr, nullptr);
  };
  if (layer.bias) update(0);
  for (const int64_t j : touched) update((j + (layer.bias ? 1 : 0)) * layer.ld);
}

}  // namespace

double adam_rate(const OptimizerSpec& optimizer, double rate, int64_t t) {
  const double steps = static_cast<double>(t);
  return rate * std::sqrt(1 - std::pow(optimizer.beta_2, steps)) /
         (1 - std::pow(optimizer.beta_1, steps));
}

template <class T>
double penalize(const Layout<T>& layout, const RunSpec<T>& run, double scale) {
  const Kernels<T>& kernels = deltarule::kernels<T>();
  const T l1 = T(run.l1 * scale), l2 = T(run.l2 * scale);
  double value = 0;
  for (std::size_t l = 1; l <= layout.L(); ++l) {
    const Layer<T>& layer = layout[l];
    T* g = layer.weights(layer.grad);
    value += sum_of_pieces(layer.in * layer.ld, [&](int64_t at, int64_t n) {
      return kernels.penalize(l1, l2, n, layer.W() + at, g + at, run.objective != nullptr);
    });
  }
  return value;
}

template <class T>
void apply(const Layout<T>& layout, const RunSpec<T>& run, const Goal<T>& goal, int64_t rows,
           const std::vector<int64_t>* touched) {
  const Kernels<T>& kernels = deltarule::kernels<T>();
  double squares = 0;
  for (std::size_t l = 1; l <= layout.L(); ++l) {
    const Layer<T>& layer = layout[l];
    if (!layer.keeps_gradient(goal.mode, rows)) continue;
    if (goal.norms == nullptr && run.clip_norm == 0) continue;
    const double square = sum_of_pieces(layer.block_size(), [&](int64_t at, int64_t n) {
      return kernels.sum_of_squares(layer.grad + at, n);
    });
    if (goal.norms != nullptr) goal.norms[l - 1] = std::sqrt(square);
    squares += square;
  }
  const double norm = std::sqrt(squares);
  const bool clips = run.clip_norm > 0 && norm > run.clip_norm;
  for (std::size_t l = 1; l <= layout.L(); ++l) {
    const Layer<T>& layer = layout[l];
    if (!layer.keeps_gradient(goal.mode, rows)) continue;
    if (l == 1 && touched != nullptr && run.plain() && layer.first == nullptr) {
      update_touched(layer, run, goal.rate, *touched);
      continue;
    }
    const int64_t n = layer.block_size();
    const int64_t pieces = ceil_div(n, kParallelUpdate);
    Pool::shared().parallel_for(static_cast<int>(pieces), [&](int piece) {
      const int64_t at = piece * kParallelUpdate;
      const int64_t size = std::min(kParallelUpdate, n - at);
      T* m = layer.first == nullptr ? nullptr : layer.first + at;
      T* v = layer.second == nullptr ? nullptr : layer.second + at;
      if (clips) kernels.scale(T(run.clip_norm / norm), layer.grad + at, size);
      kernels.update(run.optimizer, T(goal.rate), goal.adam_rate, size, layer.block + at,
                     layer.grad + at, m, v);
    });
  }
}

template double penalize<float>(const Layout<float>&, const RunSpec<float>&, double);
template double penalize<double>(const Layout<double>&, const RunSpec<double>&, double);
template void apply<float>(const Layout<float>&, const RunSpec<float>&, const Goal<float>&, int64_t,
                           const std::vector<int64_t>*);
template void apply<double>(const Layout<double>&, const RunSpec<double>&, const Goal<double>&,
                            int64_t, const std::vector<int64_t>*);

}  // namespace deltarule
