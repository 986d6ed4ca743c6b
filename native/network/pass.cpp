// The row operations of a batch.
#include "network/pass.hpp"

#include <algorithm>

#include "kernels/dropout.hpp"

namespace deltarule {
namespace {

// Multiplications that are worth a task of their own.
constexpr int64_t kPieceWork = 1 << 18;

}  // namespace

template <class T>
Pass<T>::Pass(const NetworkSpec& spec, const Layout<T>& layout, std::vector<double> dropout,
              int64_t rows)
    : kernels_(deltarule::kernels<T>()),
      output_(spec.output()),
      chunk_(rows),
      dropout_(std::move(dropout)),
      layout_(layout),
      space_(spec, dropout_, rows, kernels_.lanes) {}

template <class T>
void Pass<T>::begin(const Samples<T>& samples) {
  sparse_ = samples.dense == nullptr;
  Units<T>& a_0 = space_.a[0];  // would be large for wide sparse samples, which need none
  if (!sparse_ && a_0.empty()) a_0.reset(chunk_, layout_[1].in, kernels_.lanes, true);
  space_.is_touched.clear();
  space_.touched.clear();
}

template <class T>
void Pass<T>::gather(const Batch<T>& batch, int64_t first, int64_t rows) {
  Workspace<T>& s = space_;
  const int64_t n_in = layout_[1].in, n_out = s.targets.columns;
  const int64_t* order = batch.order + first;
  if (!sparse_)
    kernels_.gather(batch.samples->dense, n_in, order, {s.a[0].row(first), rows, n_in, s.a[0].ld});
  kernels_.gather(batch.targets, n_out, order, {s.targets.row(first), rows, n_out, s.targets.ld});
  if (batch.sample_weight != nullptr)
    for (int64_t i = 0; i < rows; ++i) s.weights[first + i] = batch.sample_weight[order[i]];
  drop(0, batch, first, rows);
}

template <class T>
void Pass<T>::drop(std::size_t l, const Batch<T>& batch, int64_t first, int64_t rows) {
  if (!drops(l)) return;
  const Units<T>& a = space_.a[l];
  const Rows<T> factors{space_.factors.row(first), rows, a.columns, space_.factors.ld};
  kernels_.dropout(dropout_[l], dropout_key(batch.seed, batch.step, static_cast<int>(l)),
                   static_cast<std::uint64_t>((batch.offset + first) * a.columns), factors);
  kernels_.multiply({a.row(first), rows, a.columns, a.ld}, factors.data, factors.ld);
  if (l > 0) kernels_.multiply({slope(l, first), rows, a.columns, a.ld}, factors.data, factors.ld);
}

template <class T>
void Pass<T>::forward(std::size_t l, const Batch<T>& batch, int64_t first, int64_t rows) {
  const Layer<T>& layer = layout_[l];
  const Units<T>&before = space_.a[l - 1], &here = space_.a[l];
  if (l == 1 && sparse_) {
    const std::uint64_t key = dropout_key(batch.seed, batch.step, 0);
    for (int64_t i = first; i < first + rows; ++i)
      sparse_row(kernels_, layer, *batch.samples, batch.order[i], here.row(i), [&](int64_t j) {
        return kept(dropout_[0], key, (batch.offset + i) * layer.in + j);
      });
  } else {
    dense_rows(kernels_, layer, rows, before.row(first), before.ld, here.row(first), here.ld);
  }
  if (l == layout_.L()) return;
  kernels_.activate(layer.f, {here.row(first), rows, round_up(layer.out, kernels_.lanes), here.ld},
                    slope(l, first));
  drop(l, batch, first, rows);
}

template <class T>
double Pass<T>::output(const Batch<T>& batch, int64_t first, int64_t rows) {
  Workspace<T>& s = space_;
  const std::size_t L = layout_.L();
  const Units<T>& z = s.a[L];
  return kernels_.output_delta(output_, {z.row(first), rows, z.columns, z.ld}, s.targets.row(first),
                               batch.sample_weight == nullptr ? nullptr : s.weights.data() + first,
                               s.delta[L].row(first), s.slope[L].row(first));
}

// The dropout factor of one element (the masks of sparse inputs are never spelled out).
template <class T>
T Pass<T>::kept(double rate, std::uint64_t key, int64_t element) const {
  if (rate <= 0) return T(1);
  T factor;
  kernels_.dropout(rate, key, static_cast<std::uint64_t>(element), {&factor, 1, 1, 1});
  return factor;
}

// delta_{l-1} = (delta_l W_l^T) * f'(z_{l-1})
template <class T>
void Pass<T>::backward(std::size_t l, int64_t first, int64_t rows, const T* transposed) {
  const Layer<T>& layer = layout_[l];
  const Units<T>&d = space_.delta[l], &out = space_.delta[l - 1];
  const int64_t ld = round_up(layer.in, kernels_.lanes);
  if (transposed == nullptr)
    kernels_.rows_dot_rows(d.row(first), d.ld, layer.W(), layer.ld, rows, layer.in, layer.ld,
                           out.row(first), out.ld);
  else
    kernels_.product(
        {rows, ld, layer.out, d.row(first), d.ld, 1, transposed, ld, out.row(first), out.ld});
  times_slope(l - 1, first, rows, 0, ld);
}

template <class T>
void Pass<T>::times_slope(std::size_t l, int64_t first, int64_t rows, int64_t column,
                          int64_t columns) {
  const Units<T>&out = space_.delta[l], &a = space_.a[l];
  const Rows<T> block{out.row(first) + column, rows, columns, out.ld};
  if (const T* kept = slope(l, first))
    kernels_.multiply(block, kept + column, a.ld);
  else
    kernels_.times_slope(layout_[l].f, block, a.row(first) + column, a.ld);
}

template <class T>
void Pass<T>::transpose(std::size_t l, T* to) const {
  const Layer<T>& layer = layout_[l];
  kernels_.transpose(layer.W(), layer.ld, layer.in, layer.out, to,
                     round_up(layer.in, kernels_.lanes));
}

template <class T>
T* Pass<T>::transposed(std::size_t l) {
  const Layer<T>& layer = layout_[l];
  return space_.transposed[l].at_least(round_up(layer.in, kernels_.lanes) * layer.out);
}

// Whole tiles, some 2 us of work or more.
template <class T>
int64_t Pass<T>::gradient_rows(std::size_t l, int64_t batch_rows) const {
  const Layer<T>& layer = layout_[l];
  if (l == 1 && sparse_) return layer.rows();
  const int64_t pieces = std::clamp<int64_t>(batch_rows * layer.rows() * layer.ld / kPieceWork, 1,
                                             ceil_div(layer.rows(), kGrain));
  return round_up(ceil_div(layer.rows(), pieces), kBlockRows);
}

// dC/d[b; W] = [1, a_{l-1}]^T delta_l, times alpha.
template <class T>
void Pass<T>::accumulate(std::size_t l, const Batch<T>& batch, const Goal<T>& goal, int64_t first,
                         int64_t rows) {
  if (l == 1 && sparse_) return accumulate_sparse(batch, goal);
  const Layer<T>& layer = layout_[l];
  const Units<T>&before = space_.a[l - 1], &d = space_.delta[l];
  const bool direct = goal.mode == Mode::direct;
  const bool velocity = direct && layer.first != nullptr;
  const T* ones_and_a = before.data() - (layer.bias ? 1 : 0);
  T* into = direct ? layer.block : layer.grad;
  Product<T> p{rows,      layer.ld, batch.rows, ones_and_a + first,      1,
               before.ld, d.data(), d.ld,       into + first * layer.ld, layer.ld};
  p.store = velocity ? Store::momentum : direct || !goal.begins ? Store::add : Store::scaled;
  p.alpha = goal.alpha;
  if (velocity) {
    p.mu = T(goal.run->optimizer.momentum);
    p.velocity = layer.first + first * layer.ld;
  }
  if (l == 1) p.ahead = batch.ahead;
  kernels_.product(p);
}

// The gradient of layer 1 for sparse inputs; rows that no sample touches stay zero.
template <class T>
void Pass<T>::accumulate_sparse(const Batch<T>& batch, const Goal<T>& goal) {
  Workspace<T>& s = space_;
  const Layer<T>& layer = layout_[1];
  const Units<T>& d = s.delta[1];
  const Samples<T>& x = *batch.samples;
  const std::uint64_t key = dropout_key(batch.seed, batch.step, 0);
  const std::size_t row_bytes = static_cast<std::size_t>(layer.ld) * sizeof(T);
  if (goal.begins) {  // clear what the last batch has left; penalties reach every row
    const bool fresh = s.is_touched.empty();
    if (fresh) {
      s.is_touched.assign(static_cast<std::size_t>(layer.in), 0);
      s.touched.reserve(static_cast<std::size_t>(layer.in));
    }
    if (fresh || (goal.run != nullptr && (goal.run->l1 != 0 || goal.run->l2 != 0)))
      std::memset(layer.grad, 0, static_cast<std::size_t>(layer.block_size()) * sizeof(T));
    if (layer.bias) std::memset(layer.grad, 0, row_bytes);
    for (const int64_t j : s.touched) {
      std::memset(layer.weights(layer.grad) + j * layer.ld, 0, row_bytes);
      s.is_touched[static_cast<std::size_t>(j)] = 0;
    }
    s.touched.clear();
  }
  for (int64_t i = 0; i < batch.rows; ++i) {
    const T* delta = d.row(i);
    if (layer.bias) kernels_.axpy(goal.alpha, delta, layer.grad, layer.out);
    const int64_t row = batch.order[i];
    for (int64_t e = x.starts[row]; e < x.starts[row + 1]; ++e) {
      const int64_t j = x.indices[e];
      const T value = x.values[e] * kept(dropout_[0], key, (batch.offset + i) * layer.in + j);
      if (s.is_touched[static_cast<std::size_t>(j)] == 0) {
        s.is_touched[static_cast<std::size_t>(j)] = 1;
        s.touched.push_back(j);
      }
      kernels_.axpy(goal.alpha * value, delta, layer.weights(layer.grad) + j * layer.ld, layer.out);
    }
  }
}

template class Pass<float>;
template class Pass<double>;

}  // namespace deltarule
