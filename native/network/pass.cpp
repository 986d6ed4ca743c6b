// One batch through the network: forward, deltas, and the gradient or the updated parameters.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/dropout.hpp"
#include "network/by_jobs.hpp"

namespace deltarule {

namespace {

// Multiplications that are worth a task of their own.
constexpr int64_t kPieceWork = 1 << 18;
// Multiplications of a pass through all layers from which blocks of rows go through on their own.
constexpr int64_t kByBlocks = 1 << 20;

}  // namespace

template <class T>
bool Network<T>::by_gemm(const Layer<T>& layer, int64_t rows) const {
  return !layer.whole_vectors || (!layer.packed && rows * layer.in * layer.out >= kGemm);
}

// Some rows of the batch, side by side: inputs (unless sparse), targets and weights.
template <class T>
void Network<T>::gather_rows(const Batch& batch, int64_t first, int64_t rows) {
  Workspace<T>& s = *space_;
  const int64_t n_in = spec_.sizes.front(), n_out = spec_.sizes.back();
  const int64_t* order = batch.order + first;
  if (!sparse_)
    kernels_.gather(batch.samples->dense, n_in, order, {s.a[0].row(first), rows, n_in, s.a[0].ld});
  kernels_.gather(batch.targets, n_out, order, {s.targets.row(first), rows, n_out, s.targets.ld});
  if (batch.sample_weight != nullptr)
    for (int64_t i = 0; i < rows; ++i) s.weights[first + i] = batch.sample_weight[order[i]];
}

// Applies the dropout mask of a_l, and puts it into the slopes.
template <class T>
void Network<T>::drop_rows(std::size_t l, const Batch& batch, int64_t first, int64_t rows) {
  if (dropout_[l] <= 0 || (l == 0 && sparse_)) return;
  Workspace<T>& s = *space_;
  const Units<T>& a = s.a[l];
  const Rows<T> factors{s.factors.row(first), rows, a.columns, s.factors.ld};
  kernels_.dropout(dropout_[l], dropout_key(batch.seed, batch.step, static_cast<int>(l)),
                   static_cast<std::uint64_t>((batch.offset + first) * a.columns), factors);
  kernels_.multiply({a.row(first), rows, a.columns, a.ld}, factors.data, factors.ld);
  if (l > 0)
    kernels_.multiply({s.slope[l].row(first), rows, a.columns, a.ld}, factors.data, factors.ld);
}

// z_l = a_{l-1} W_l + b_l ; a_l = f_l(z_l), but z_L for the output layer.
template <class T>
void Network<T>::forward(std::size_t l, const Batch& batch) {
  if (l == 1 && sparse_) return sparse_forward_rows(batch, 0, batch.rows);
  forward_rows(l, 0, batch.rows);
}

template <class T>
void Network<T>::forward_rows(std::size_t l, int64_t first, int64_t rows) {
  const Layer<T>& layer = layers_[l];
  const Units<T>&before = space_->a[l - 1], &here = space_->a[l];
  Product<T> p{rows, layer.ld,  layer.in, before.row(first), before.ld,
               1,    layer.W(), layer.ld, here.row(first),   here.ld};
  p.bias = layer.b();
  kernels_.product(p);
  if (l + 1 < layers_.size())
    kernels_.activate(layer.f, {here.row(first), rows, layer.ld, here.ld},
                      layer.keeps_slope ? space_->slope[l].row(first) : nullptr);
}

template <class T>
void Network<T>::sparse_forward_rows(const Batch& batch, int64_t first, int64_t rows) {
  const Layer<T>& layer = layers_[1];
  const Units<T>& here = space_->a[1];
  const Samples<T>& x = *batch.samples;
  const double rate = dropout_[0];
  const std::uint64_t key = dropout_key(batch.seed, batch.step, 0);
  for (int64_t i = first; i < first + rows; ++i) {
    T* z = here.row(i);
    if (layer.bias)
      std::memcpy(z, layer.b(), static_cast<std::size_t>(layer.out) * sizeof(T));
    else
      std::memset(z, 0, static_cast<std::size_t>(layer.out) * sizeof(T));
    const int64_t row = batch.order[i];
    for (int64_t e = x.starts[row]; e < x.starts[row + 1]; ++e) {
      const T value = x.values[e] * kept(rate, key, (batch.offset + i) * layer.in + x.indices[e]);
      if (value != 0) kernels_.axpy(value, layer.W() + x.indices[e] * layer.ld, z, layer.out);
    }
  }
  if (layers_.size() > 2)
    kernels_.activate(layer.f,
                      {here.row(first), rows, round_up(layer.out, kernels_.lanes), here.ld},
                      layer.keeps_slope ? space_->slope[1].row(first) : nullptr);
}

// delta_L of some rows; returns the sum of their w_i J_i.
template <class T>
double Network<T>::output_rows(const Batch& batch, int64_t first, int64_t rows) {
  Workspace<T>& s = *space_;
  const std::size_t L = layers_.size() - 1;
  const Units<T>& z = s.a[L];
  return kernels_.output_delta(output_, {z.row(first), rows, z.columns, z.ld}, s.targets.row(first),
                               batch.sample_weight == nullptr ? nullptr : s.weights.data() + first,
                               s.delta[L].row(first), s.slope[L].row(first));
}

// The dropout factor of one element (the masks of sparse inputs are never spelled out).
template <class T>
T Network<T>::kept(double rate, std::uint64_t key, int64_t element) const {
  if (rate <= 0) return T(1);
  T factor;
  kernels_.dropout(rate, key, static_cast<std::uint64_t>(element), {&factor, 1, 1, 1});
  return factor;
}

// delta_{l-1} = (delta_l W_l^T) * f'(z_{l-1})
template <class T>
void Network<T>::backward(std::size_t l, int64_t rows) {
  T* transposed = rows <= kDotRows ? nullptr : space_->transposed.data();
  if (transposed != nullptr) transpose(l, transposed);
  backward_rows(l, 0, rows, transposed);
}

// `transposed`: W_l^T, or nullptr to take dot products with the rows of W_l.
template <class T>
void Network<T>::backward_rows(std::size_t l, int64_t first, int64_t rows, const T* transposed) {
  Workspace<T>& s = *space_;
  const Layer<T>& layer = layers_[l];
  const Units<T>&d = s.delta[l], &out = s.delta[l - 1];
  const int64_t ld = round_up(layer.in, kernels_.lanes);
  if (transposed == nullptr)
    kernels_.rows_dot_rows(d.row(first), d.ld, layer.W(), layer.ld, rows, layer.in, layer.ld,
                           out.row(first), out.ld);
  else
    kernels_.product(
        {rows, ld, layer.out, d.row(first), d.ld, 1, transposed, ld, out.row(first), out.ld});
  times_slope(l - 1, first, rows, 0, ld);
}

// delta_l *= f'(z_l), for some rows and columns.
template <class T>
void Network<T>::times_slope(std::size_t l, int64_t first, int64_t rows, int64_t column,
                             int64_t columns) {
  const Units<T>&out = space_->delta[l], &a = space_->a[l];
  const Rows<T> block{out.row(first) + column, rows, columns, out.ld};
  if (layers_[l].keeps_slope)
    kernels_.multiply(block, space_->slope[l].row(first) + column, a.ld);
  else
    kernels_.times_slope(layers_[l].f, block, a.row(first) + column, a.ld);
}

template <class T>
void Network<T>::transpose(std::size_t l, T* to) {
  const Layer<T>& layer = layers_[l];
  kernels_.transpose(layer.W(), layer.ld, layer.in, layer.out, to,
                     round_up(layer.in, kernels_.lanes));
}

// dC/d[b; W] = [1, a_{l-1}]^T delta_l, times alpha: what becomes of it is the goal's mode.
template <class T>
void Network<T>::accumulate(std::size_t l, const Batch& batch, const Goal& goal) {
  const Layer<T>& layer = layers_[l];
  if (l == 1 && sparse_) return accumulate_sparse(batch, goal);
  accumulate_rows(l, batch, goal, 0, layer.rows());
}

// Rows of [b; W] whose gradient one task takes: whole tiles, some 2 us of work or more.
template <class T>
int64_t Network<T>::gradient_rows(const Layer<T>& layer, int64_t rows) const {
  const int64_t pieces = std::clamp<int64_t>(rows * layer.rows() * layer.ld / kPieceWork, 1,
                                             ceil_div(layer.rows(), kGrain));
  return round_up(ceil_div(layer.rows(), pieces), kBlockRows);
}

// The same for some rows of [b; W] of a small layer.
template <class T>
void Network<T>::accumulate_rows(std::size_t l, const Batch& batch, const Goal& goal, int64_t first,
                                 int64_t rows) {
  const Layer<T>& layer = layers_[l];
  const Units<T>&before = space_->a[l - 1], &d = space_->delta[l];
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
void Network<T>::accumulate_sparse(const Batch& batch, const Goal& goal) {
  Workspace<T>& s = *space_;
  const Layer<T>& layer = layers_[1];
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

// Many small layers: none is worth sharing out, all together are.
template <class T>
bool Network<T>::may_go_by_blocks(int64_t rows) const {
  if (pool_.size() == 1 || sparse_ || rows < 2 * kBlockRows) return false;
  int64_t work = 0;
  for (std::size_t l = 1; l < layers_.size(); ++l) work += rows * layers_[l].in * layers_[l].ld;
  return work >= kByBlocks;
}

// Rows need each other only in the gradients, so blocks of them go through all layers on their
// own, and W^T is spelled out meanwhile.
template <class T>
double Network<T>::block_by_block(const Batch& batch, const Goal& goal) {
  Workspace<T>& s = *space_;
  const std::size_t L = layers_.size() - 1;
  for (std::size_t l = 2; l <= L; ++l)
    if (s.all_transposed[l].size() == 0)
      s.all_transposed[l].reset(round_up(layers_[l].in, kernels_.lanes) * layers_[l].out);
  if (s.pieces_rows != batch.rows) {
    s.pieces_rows = batch.rows;
    s.pieces.clear();
    for (std::size_t l = 1; l <= L; ++l) {
      const int64_t most = gradient_rows(layers_[l], batch.rows);
      for (int64_t first = 0; first < layers_[l].rows(); first += most)
        s.pieces.push_back({l, first, std::min(most, layers_[l].rows() - first)});
    }
  }
  const int64_t height = block_rows(batch.rows);
  const int blocks = static_cast<int>(ceil_div(batch.rows, height));
  std::vector<double>& losses = s.losses;
  losses.assign(static_cast<std::size_t>(blocks), 0.0);
  TaskGraph& graph = s.graph;
  graph.clear();
  for (int block = 0; block < blocks; ++block) graph.add(1);  // forward
  const int transposing = L > 1 ? graph.add(static_cast<int>(L) - 1) : -1;
  const int first_backward = blocks + (L > 1 ? 1 : 0);
  for (int block = 0; L > 1 && block < blocks; ++block) {
    graph.add(1);
    graph.needs(block);
    graph.needs(transposing);
  }
  const int gradients = graph.add(static_cast<int>(s.pieces.size()));
  for (int block = 0; block < blocks; ++block) graph.needs(gradients - 1 - block);
  graph.run(pool_, [&](int job, int task) {
    if (job == gradients) {
      for (const double loss : losses)
        if (!std::isfinite(loss)) return;
      const auto& [l, first, rows] = s.pieces[static_cast<std::size_t>(task)];
      return accumulate_rows(l, batch, goal, first, rows);
    }
    if (job == transposing) {
      const auto l = static_cast<std::size_t>(task) + 2;
      return transpose(l, s.all_transposed[l].data());
    }
    const int block = job < blocks ? job : job - first_backward;
    const int64_t first = block * height, rows = std::min(height, batch.rows - first);
    if (job >= blocks) {
      for (std::size_t l = L; l > 1; --l) backward_rows(l, first, rows, s.all_transposed[l].data());
      return;
    }
    gather_rows(batch, first, rows);
    for (std::size_t l = 0; l <= L; ++l) {
      if (l > 0) forward_rows(l, first, rows);
      if (l < L) drop_rows(l, batch, first, rows);
    }
    losses[static_cast<std::size_t>(block)] = output_rows(batch, first, rows);
  });
  return std::accumulate(losses.begin(), losses.end(), 0.0);
}

// The losses are added up in blocks of `height` rows, as they are where blocks go on their own.
template <class T>
double Network<T>::layer_by_layer(const Batch& batch, const Goal& goal, int64_t height) {
  const std::size_t L = layers_.size() - 1;
  gather_rows(batch, 0, batch.rows);
  for (std::size_t l = 0; l <= L; ++l) {
    if (l > 0) forward(l, batch);
    if (l < L) drop_rows(l, batch, 0, batch.rows);
  }
  double loss = 0;
  for (int64_t first = 0; first < batch.rows; first += height)
    loss += output_rows(batch, first, std::min(height, batch.rows - first));
  if (!std::isfinite(loss)) return loss;
  for (std::size_t l = L; l >= 1; --l) {
    if (l > 1) backward(l, batch.rows);
    accumulate(l, batch, goal);
  }
  return loss;
}

// Returns the sum of w_i J_i; if it is not finite nothing has moved.
template <class T>
double Network<T>::forward_backward(const Batch& batch, const Goal& goal) {
  for (std::size_t l = 1; l < layers_.size(); ++l) {
    if (!by_gemm(layers_[l], batch.rows)) continue;
    if (large_ == nullptr) large_ = std::make_unique<LargePass<T>>(*this);
    return large_->run(batch, goal);
  }
  if (!may_go_by_blocks(batch.rows)) return layer_by_layer(batch, goal, batch.rows);
  return by_blocks_.run([&] {
    return by_blocks_.first_way() ? block_by_block(batch, goal)
                                  : layer_by_layer(batch, goal, block_rows(batch.rows));
  });
}

template class Network<float>;
template class Network<double>;

}  // namespace deltarule
