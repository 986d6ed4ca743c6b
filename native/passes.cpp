// One batch through the network: forward, deltas, and the gradient or the updated parameters.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "gemm.hpp"
#include "workspace.hpp"

namespace deltarule {

std::uint64_t dropout_key(std::uint64_t seed, int64_t step, int layer);

namespace {

// Products of at least so many multiplications go to the blocked, threaded product.
constexpr int64_t kGemm = 1 << 20;
// Rows, inputs or columns that a thread takes at a time.
constexpr int64_t kGrain = 32;
constexpr int64_t kGradientRows = 4 * kGrain;
// Multiplications of a pass through all layers from which blocks of rows go through on their own.
constexpr int64_t kByBlocks = 1 << 21;
// What it costs to copy an element, in multiplications.
constexpr int64_t kCopy = 16;
// Rows up to which dot products beat transposing the weights.
constexpr int64_t kDotRows = 2;

// Rows of a batch that go through all layers together: enough for full tiles, few enough that every
// thread has some.
constexpr int64_t kBlockRows = 8;
int64_t block_rows(int64_t rows) { return rows >= 4 * kGrain ? kGrain : kBlockRows; }

// What follows a product, on each finished tile of a large one.
template <class T>
struct Tail {
  const Kernels<T>* kernels;
  Activation f;
  const T* bias = nullptr;
  bool activates = false;
  T* slope = nullptr;       // forward: takes f'(z); backward: holds it
  const T* a = nullptr;     // backward: f(z)
  int64_t ld = 0;           // of slope and a
  T* parameters = nullptr;  // momentum: what the velocity moves
};

template <class T>
void forward_tile(void* context, const Tile<T>& t) {
  const Tail<T>& tail = *static_cast<Tail<T>*>(context);
  if (tail.bias != nullptr)
    for (int64_t r = 0; r < t.rows; ++r)
      tail.kernels->axpy(T(1), tail.bias + t.col, t.data + r * t.ld, t.cols);
  if (tail.activates)
    tail.kernels->activate(tail.f, {t.data, t.rows, t.cols, t.ld},
                           tail.slope == nullptr ? nullptr : tail.slope + t.row * tail.ld + t.col);
}

template <class T>
void backward_tile(void* context, const Tile<T>& t) {
  const Tail<T>& tail = *static_cast<Tail<T>*>(context);
  const int64_t at = t.row * tail.ld + t.col;
  if (tail.slope != nullptr)
    tail.kernels->multiply({t.data, t.rows, t.cols, t.ld}, tail.slope + at, tail.ld);
  else
    tail.kernels->times_slope(tail.f, {t.data, t.rows, t.cols, t.ld}, tail.a + at, tail.ld);
}

template <class T>
void velocity_tile(void* context, const Tile<T>& t) {
  const Tail<T>& tail = *static_cast<Tail<T>*>(context);
  for (int64_t r = 0; r < t.rows; ++r)
    tail.kernels->axpy(T(1), t.data + r * t.ld, tail.parameters + (t.row + r) * t.ld + t.col,
                       t.cols);
}

// A gradient that exists only in tiles: rows of it move the parameters, and leave their squares.
template <class T>
struct Update {
  const Kernels<T>& kernels;
  const OptimizerSpec& optimizer;
  T rate;
  double adam_rate;
  T *parameters, *first, *second;  // rows of ld; the moments may be null
  int64_t ld;
  double* squares;  // of each part, if they are asked for

  void row(const T* gradient, int64_t row, int64_t col, int64_t n, int64_t part) const {
    const int64_t at = row * ld + col;
    if (squares != nullptr) squares[part] += kernels.sum_of_squares(gradient, n);
    kernels.update(optimizer, rate, adam_rate, n, parameters + at, gradient,
                   first == nullptr ? nullptr : first + at,
                   second == nullptr ? nullptr : second + at);
  }
};

template <class T>
void update_tile(void* context, const Tile<T>& t) {
  const Update<T>& update = *static_cast<Update<T>*>(context);
  for (int64_t r = 0; r < t.rows; ++r)
    update.row(t.data + r * t.ld, t.row + r, t.col, t.cols, t.part);
}

}  // namespace

template <class T>
bool Network<T>::by_gemm(const Layer<T>& layer, int64_t rows) const {
  return !layer.whole_vectors || rows * layer.in * layer.out >= kGemm;
}

// The rows of the batch, side by side: inputs (unless sparse), targets and weights.
template <class T>
void Network<T>::gather(const Batch& batch) {
  Workspace<T>& s = *space_;
  const int64_t n_in = spec_.sizes.front(), n_out = spec_.sizes.back();
  if (!sparse_)
    share_out(kCopy * batch.rows * n_in, batch.rows, kGrain, [&](int64_t first, int64_t rows) {
      kernels_.gather(batch.samples->dense, n_in, batch.order + first,
                      {s.a[0].row(first), rows, n_in, s.a[0].ld});
    });
  kernels_.gather(batch.targets, n_out, batch.order,
                  {s.targets.data(), batch.rows, n_out, s.targets.ld});
  if (batch.sample_weight != nullptr)
    for (int64_t i = 0; i < batch.rows; ++i) s.weights[i] = batch.sample_weight[batch.order[i]];
}

// Applies the dropout mask of a_l, and puts it into the slopes.
template <class T>
void Network<T>::drop(std::size_t l, const Batch& batch) {
  if (l >= dropout_.size() || dropout_[l] <= 0 || (l == 0 && sparse_)) return;
  Workspace<T>& s = *space_;
  const Units<T>& a = s.a[l];
  const Rows<T> factors{s.factors.data(), batch.rows, a.columns, s.factors.ld};
  kernels_.dropout(dropout_[l], dropout_key(batch.seed, batch.step, static_cast<int>(l)),
                   static_cast<std::uint64_t>(batch.offset * a.columns), factors);
  kernels_.multiply({a.data(), batch.rows, a.columns, a.ld}, factors.data, factors.ld);
  if (l > 0)
    kernels_.multiply({s.slope[l].data(), batch.rows, a.columns, a.ld}, factors.data, factors.ld);
}

// z_l = a_{l-1} W_l + b_l ; a_l = f_l(z_l), but z_L for the output layer.
template <class T>
void Network<T>::forward(std::size_t l, const Batch& batch) {
  Workspace<T>& s = *space_;
  const Layer<T>& layer = layers_[l];
  const Units<T>&before = s.a[l - 1], &here = s.a[l];
  const bool output = l + 1 == layers_.size();
  T* slope = !output && layer.keeps_slope ? s.slope[l].data() : nullptr;
  if (l == 1 && sparse_) {
    sparse_forward(batch);
    if (!output)
      kernels_.activate(
          layer.f, {here.data(), batch.rows, round_up(layer.out, kernels_.lanes), here.ld}, slope);
  } else if (by_gemm(layer, batch.rows)) {
    Tail<T> tail{&kernels_, layer.f, layer.b(), !output, slope, nullptr, here.ld};
    const Epilogue<T> epilogue{forward_tile<T>, &tail};
    gemm<T>(pool_, false, false, batch.rows, layer.out, layer.in, T(1), before.data(), before.ld,
            layer.W(), layer.ld, T(0), here.data(), here.ld, &epilogue);
  } else {
    share_out(batch.rows * layer.in * layer.ld, batch.rows, kGrain,
              [&](int64_t first, int64_t rows) { forward_rows(l, first, rows); });
  }
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
void Network<T>::sparse_forward(const Batch& batch) {
  const Layer<T>& layer = layers_[1];
  const Units<T>& here = space_->a[1];
  const Samples<T>& x = *batch.samples;
  const double rate = dropout_[0];
  const std::uint64_t key = dropout_key(batch.seed, batch.step, 0);
  for (int64_t i = 0; i < batch.rows; ++i) {
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
  Workspace<T>& s = *space_;
  const Layer<T>&layer = layers_[l], &below = layers_[l - 1];
  const Units<T>&d = s.delta[l], &out = s.delta[l - 1], &a = s.a[l - 1];
  if (by_gemm(layer, rows)) {
    T* slope = below.keeps_slope ? s.slope[l - 1].data() : nullptr;
    Tail<T> tail{&kernels_, below.f, nullptr, false, slope, a.data(), a.ld};
    const Epilogue<T> epilogue{backward_tile<T>, &tail};
    gemm<T>(pool_, false, true, rows, layer.in, layer.out, T(1), d.data(), d.ld, layer.W(),
            layer.ld, T(0), out.data(), out.ld, &epilogue);
    return;
  }
  const bool by_dots = rows <= kDotRows;
  if (!by_dots) transpose(l, s.transposed.data());
  share_out(rows * round_up(layer.in, kernels_.lanes) * layer.out, rows, kGrain,
            [&](int64_t first, int64_t count) {
              backward_rows(l, first, count, by_dots ? nullptr : s.transposed.data());
            });
}

// `transposed`: W_l^T, or nullptr to take dot products with the rows of W_l.
template <class T>
void Network<T>::backward_rows(std::size_t l, int64_t first, int64_t rows, const T* transposed) {
  Workspace<T>& s = *space_;
  const Layer<T>&layer = layers_[l], &below = layers_[l - 1];
  const Units<T>&d = s.delta[l], &out = s.delta[l - 1], &a = s.a[l - 1];
  const int64_t ld = round_up(layer.in, kernels_.lanes);
  if (transposed == nullptr)
    kernels_.rows_dot_rows(d.row(first), d.ld, layer.W(), layer.ld, rows, layer.in, layer.ld,
                           out.row(first), out.ld);
  else
    kernels_.product({rows, ld, layer.out, d.row(first), d.ld, 1, transposed, ld, out.row(first),
                      out.ld});
  const Rows<T> block{out.row(first), rows, ld, out.ld};
  if (below.keeps_slope)
    kernels_.multiply(block, s.slope[l - 1].row(first), a.ld);
  else
    kernels_.times_slope(below.f, block, a.row(first), a.ld);
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
  if (by_gemm(layer, batch.rows))
    return goal.mode == Mode::by_tiles ? update_by_tiles(l, batch, goal)
                                       : accumulate_large(l, batch, goal);
  share_out(
      batch.rows * layer.in * layer.ld, layer.rows(), kGradientRows,
      [&](int64_t first, int64_t rows) { accumulate_rows(l, batch, goal, first, rows); });
}

// The same for some rows of [b; W] of a small layer.
template <class T>
void Network<T>::accumulate_rows(std::size_t l, const Batch& batch, const Goal& goal,
                                 int64_t first, int64_t rows) {
  const Layer<T>& layer = layers_[l];
  const Units<T>&before = space_->a[l - 1], &d = space_->delta[l];
  const bool direct = goal.mode == Mode::direct;
  const bool velocity = direct && layer.first != nullptr;
  const T* ones_and_a = before.data() - (layer.bias ? 1 : 0);
  T* into = direct ? layer.block : layer.grad;
  Product<T> p{rows,      layer.ld, batch.rows, ones_and_a + first,      1,
               before.ld, d.data(), d.ld,       into + first * layer.ld, layer.ld};
  p.store = velocity                 ? Store::momentum
            : direct || !goal.begins ? Store::add
                                     : Store::scaled;
  p.alpha = goal.alpha;
  if (velocity) {
    p.mu = T(goal.run->optimizer.momentum);
    p.velocity = layer.first + first * layer.ld;
  }
  if (l == 1) p.ahead = batch.ahead;
  kernels_.product(p);
}

// The gradient of a bias: alpha times the sums of the deltas.
template <class T>
const T* Network<T>::bias_gradient(std::size_t l, int64_t rows, T alpha) {
  const Units<T>& d = space_->delta[l];
  T* sums = space_->sums.data();
  share_out(kCopy * rows * d.columns, d.columns, kGradientRows,
            [&](int64_t first, int64_t columns) {
              kernels_.column_sums({d.data() + first, rows, columns, d.ld}, alpha, sums + first);
            });
  return sums;
}

template <class T>
void Network<T>::accumulate_large(std::size_t l, const Batch& batch, const Goal& goal) {
  const Layer<T>& layer = layers_[l];
  const Units<T>&before = space_->a[l - 1], &d = space_->delta[l];
  const int64_t m = layer.in, n = layer.out;
  const bool direct = goal.mode == Mode::direct;
  const T mu = direct ? T(goal.run->optimizer.momentum) : T(0);
  const bool velocity = direct && layer.first != nullptr;
  if (layer.bias) {
    const T* sums = bias_gradient(l, batch.rows, goal.alpha);
    if (velocity) {
      kernels_.scale(mu, layer.first, n);
      kernels_.axpy(T(1), sums, layer.first, n);
      kernels_.axpy(T(1), layer.first, layer.block, n);
    } else {
      T* into = direct ? layer.block : layer.grad;
      if (!direct && goal.begins) std::memset(into, 0, static_cast<std::size_t>(n) * sizeof(T));
      kernels_.axpy(T(1), sums, into, n);
    }
  }
  T* into = velocity ? layer.weights(layer.first) : direct ? layer.W() : layer.weights(layer.grad);
  const T beta = velocity ? mu : (direct || !goal.begins ? T(1) : T(0));
  Tail<T> tail{&kernels_, layer.f};
  tail.parameters = layer.W();
  const Epilogue<T> epilogue{velocity_tile<T>, &tail};
  gemm<T>(pool_, true, false, m, n, batch.rows, goal.alpha, before.data(), before.ld, d.data(),
          d.ld, beta, into, layer.ld, velocity ? &epilogue : nullptr);
}

// A gradient of a large layer would be read and written again where memory is slowest.
template <class T>
void Network<T>::update_by_tiles(std::size_t l, const Batch& batch, const Goal& goal) {
  const Layer<T>& layer = layers_[l];
  const Units<T>&before = space_->a[l - 1], &d = space_->delta[l];
  const int64_t m = layer.in, n = layer.out;
  std::vector<double> squares;  // of each part of the product, then of the bias
  if (goal.norms != nullptr)
    squares.resize(static_cast<std::size_t>(gemm_parts<T>(true, false, m, n, batch.rows)) + 1);
  Update<T> update{kernels_,
                   goal.run->optimizer,
                   T(goal.rate),
                   goal.adam_rate,
                   layer.block,
                   layer.first,
                   layer.second,
                   layer.ld,
                   squares.empty() ? nullptr : squares.data()};
  if (layer.bias)
    update.row(bias_gradient(l, batch.rows, goal.alpha), 0, 0, n,
               static_cast<int64_t>(squares.size()) - 1);
  update.parameters = layer.W();
  if (layer.first != nullptr) update.first = layer.weights(layer.first);
  if (layer.second != nullptr) update.second = layer.weights(layer.second);
  const Epilogue<T> epilogue{update_tile<T>, &update};
  gemm<T>(pool_, true, false, m, n, batch.rows, goal.alpha, before.data(), before.ld, d.data(),
          d.ld, T(0), nullptr, 0, &epilogue);
  if (goal.norms != nullptr)
    goal.norms[l - 1] = std::sqrt(std::accumulate(squares.begin(), squares.end(), 0.0));
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

// Many small layers: none is worth sharing out, all together are. Rows need each other only in the
// gradients, so blocks of them go through all layers without waiting.
template <class T>
bool Network<T>::may_go_by_blocks(int64_t rows) const {
  if (pool_.size() == 1 || sparse_ || rows < 2 * kBlockRows) return false;
  int64_t work = 0;
  for (std::size_t l = 1; l < layers_.size(); ++l) {
    if (by_gemm(layers_[l], rows) || dropout_[l - 1] > 0) return false;
    work += rows * layers_[l].in * layers_[l].ld;
  }
  return work >= kByBlocks;
}

// z_L, and W^T of all layers on the way.
template <class T>
void Network<T>::forward_by_blocks(int64_t rows) {
  Workspace<T>& s = *space_;
  const std::size_t L = layers_.size() - 1;
  if (s.all_transposed.empty()) {
    s.all_transposed.resize(layers_.size());
    for (std::size_t l = 2; l <= L; ++l)
      s.all_transposed[l].reset(round_up(layers_[l].in, kernels_.lanes) * layers_[l].out);
  }
  const int64_t height = block_rows(rows), blocks = (rows + height - 1) / height;
  pool_.parallel_for(static_cast<int>(blocks) + static_cast<int>(L) - 1, [&](int task) {
    if (task >= blocks) {
      const auto l = static_cast<std::size_t>(task - blocks + 2);
      return transpose(l, s.all_transposed[l].data());
    }
    const int64_t first = task * height;
    for (std::size_t l = 1; l <= L; ++l) forward_rows(l, first, std::min(height, rows - first));
  });
}

template <class T>
void Network<T>::backward_by_blocks(const Batch& batch, const Goal& goal) {
  Workspace<T>& s = *space_;
  const int64_t height = block_rows(batch.rows), blocks = (batch.rows + height - 1) / height;
  pool_.parallel_for(static_cast<int>(blocks), [&](int block) {
    const int64_t first = block * height;
    for (std::size_t l = layers_.size() - 1; l > 1; --l)
      backward_rows(l, first, std::min(height, batch.rows - first), s.all_transposed[l].data());
  });
  if (s.pieces.empty())
    for (std::size_t l = 1; l < layers_.size(); ++l)
      for (int64_t first = 0; first < layers_[l].rows(); first += kGradientRows)
        s.pieces.push_back({l, first, std::min(kGradientRows, layers_[l].rows() - first)});
  pool_.parallel_for(static_cast<int>(s.pieces.size()), [&](int i) {
    const auto& [l, first, rows] = s.pieces[static_cast<std::size_t>(i)];
    accumulate_rows(l, batch, goal, first, rows);
  });
}

// Returns the sum of w_i J_i; if it is not finite nothing else has happened.
template <class T>
double Network<T>::forward_backward(const Batch& batch, const Goal& goal) {
  if (!may_go_by_blocks(batch.rows)) return forward_backward(batch, goal, false);
  return by_blocks_.run([&] { return forward_backward(batch, goal, by_blocks_.first_way()); });
}

template <class T>
double Network<T>::forward_backward(const Batch& batch, const Goal& goal, bool by_blocks) {
  Workspace<T>& s = *space_;
  const std::size_t L = layers_.size() - 1;
  gather(batch);
  drop(0, batch);
  if (by_blocks) {
    forward_by_blocks(batch.rows);
  } else {
    for (std::size_t l = 1; l <= L; ++l) {
      forward(l, batch);
      if (l < L) drop(l, batch);
    }
  }
  const Units<T>& z = s.a[L];
  const double loss = kernels_.output_delta(
      output_, {z.data(), batch.rows, z.columns, z.ld}, s.targets.data(),
      batch.sample_weight == nullptr ? nullptr : s.weights.data(), s.delta[L].data(),
      s.slope[L].data());
  if (!std::isfinite(loss)) return loss;
  if (by_blocks) {
    backward_by_blocks(batch, goal);
    return loss;
  }
  for (std::size_t l = L; l >= 1; --l) {
    if (l > 1) backward(l, batch.rows);
    accumulate(l, batch, goal);
  }
  return loss;
}

template class Network<float>;
template class Network<double>;

}  // namespace deltarule
