// The jobs of a batch: which there are, what each needs, and what their tasks do.
#include "network/by_jobs.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace deltarule {
namespace {

constexpr int64_t kDotPiece = 128;   // inputs whose delta one task takes, of very few rows
constexpr int64_t kBiasPiece = 512;  // biases whose gradient one task takes

}  // namespace

template <class T>
LargePass<T>::LargePass(Network<T>& net) : net_(net), kernels_(net.kernels_) {
  before_gradient_.resize(net.layers_.size());
  squares_.resize(net.layers_.size());
  net.space_->all_transposed.resize(net.layers_.size());
}

template <class T>
double LargePass<T>::run(const typename Network<T>::Batch& batch,
                         const typename Network<T>::Goal& goal) {
  batch_ = &batch;
  goal_ = &goal;
  plan();
  int64_t work = 0;
  for (std::size_t l = 1; l < net_.layers_.size(); ++l)
    work = std::max(work, batch.rows * net_.layers_[l].in * net_.layers_[l].out);
  Pool& pool = work < Network<T>::kGemm ? Pool::serial() : net_.pool_;
  graph_.run(pool, [&](int number, int task) {
    const Job& job = jobs_[static_cast<std::size_t>(number)];
    (this->*job.run)(job, task);
  });
  if (goal.norms != nullptr)
    for (std::size_t l = 1; l < net_.layers_.size(); ++l)
      if (!squares_[l].empty())
        goal.norms[l - 1] = std::sqrt(std::accumulate(squares_[l].begin(), squares_[l].end(), 0.0));
  return std::accumulate(losses_.begin(), losses_.end(), 0.0);
}

// -- which jobs there are -------------------------------------------------------------------------

template <class T>
void LargePass<T>::plan() {
  const std::size_t L = net_.layers_.size() - 1;
  const int64_t pieces = ceil_div(batch_->rows, net_.kGrain);
  graph_.clear();
  jobs_.clear();
  jobs_.reserve(6 * L + 2);  // epilogues point to them
  losses_.assign(static_cast<std::size_t>(pieces), 0.0);
  newest_ = add({&LargePass::gather, 0}, pieces);
  for (std::size_t l = 0; l <= L; ++l) {
    if (l > 0) plan_forward(l);
    if (l < L && net_.dropout_[l] > 0) add_next({&LargePass::drop, l}, pieces);
  }
  add_next({&LargePass::output, L}, pieces);
  for (std::size_t l = L; l > 1; --l) {
    plan_backward(l);
    before_gradient_[l] = newest_;
    if (l < L) plan_gradient(l + 1);
  }
  before_gradient_[1] = newest_;
  if (L > 1) plan_gradient(2);
  plan_gradient(1);
}

template <class T>
int LargePass<T>::add(Job job, int64_t tasks) {
  jobs_.push_back(std::move(job));
  return graph_.add(static_cast<int>(tasks));
}

// A job that needs what the newest one makes, and takes its place.
template <class T>
typename LargePass<T>::Job& LargePass<T>::add_next(Job job, int64_t tasks) {
  const int number = add(std::move(job), tasks);
  graph_.needs(newest_);
  newest_ = number;
  return jobs_.back();
}

template <class T>
void LargePass<T>::plan_forward(std::size_t l) {
  const Layer<T>& layer = net_.layers_[l];
  const Units<T>&before = net_.space_->a[l - 1], &here = net_.space_->a[l];
  const bool output = l + 1 == net_.layers_.size();
  if (!net_.by_gemm(layer, batch_->rows) || (l == 1 && net_.sparse_)) {
    add_next({&LargePass::forward, l}, ceil_div(batch_->rows, net_.kGrain));
    return;
  }
  GemmPlan<T> product(false, false, batch_->rows, layer.out, layer.in, layer.ld);
  Job& job = add_next({&LargePass::product, l, product}, product.tasks());
  T* slope = !output && layer.keeps_slope ? net_.space_->slope[l].data() : nullptr;
  job.tail = {&kernels_, layer.f, layer.b(), !output, slope, nullptr, here.ld};
  job.epilogue = {&forward_tile, &job.tail};
  job.product->of(T(1), before.data(), before.ld, layer.W(), T(0), here.data(), here.ld,
                  &job.epilogue);
}

template <class T>
void LargePass<T>::plan_backward(std::size_t l) {
  const Layer<T>&layer = net_.layers_[l], &below = net_.layers_[l - 1];
  const Units<T>&d = net_.space_->delta[l], &out = net_.space_->delta[l - 1],
        &a = net_.space_->a[l - 1];
  if (!net_.by_gemm(layer, batch_->rows)) {
    Buffer<T>& transposed = net_.space_->all_transposed[l];
    if (transposed.size() == 0) transposed.reset(round_up(layer.in, kernels_.lanes) * layer.out);
    const int spelled_out = add({&LargePass::transpose, l}, 1);
    add_next({&LargePass::backward, l}, ceil_div(batch_->rows, net_.kGrain));
    graph_.needs(spelled_out);
    return;
  }
  if (batch_->rows <= net_.kDotRows && layer.whole_vectors) {
    add_next({&LargePass::backward_by_dots, l}, ceil_div(layer.in, kDotPiece));
    return;
  }
  GemmPlan<T> product(false, true, batch_->rows, layer.in, layer.out, layer.ld);
  Job& job = add_next({&LargePass::product, l, product}, product.tasks());
  T* slope = below.keeps_slope ? net_.space_->slope[l - 1].data() : nullptr;
  job.tail = {&kernels_, below.f, nullptr, false, slope, a.data(), a.ld};
  job.epilogue = {&backward_tile, &job.tail};
  job.product->of(T(1), d.data(), d.ld, layer.W(), T(0), out.data(), out.ld, &job.epilogue);
}

// dC/d[b; W] of a layer: added straight into the parameters or the velocity, kept, or shown to the
// optimizer tile by tile: a gradient of a large layer would be read and written again where memory
// is slowest.
template <class T>
void LargePass<T>::plan_gradient(std::size_t l) {
  using Mode = typename Network<T>::Mode;
  const Layer<T>& layer = net_.layers_[l];
  const Units<T>&before = net_.space_->a[l - 1], &d = net_.space_->delta[l];
  squares_[l].clear();
  if ((l == 1 && net_.sparse_) || !net_.by_gemm(layer, batch_->rows)) {
    add({&LargePass::gradient, l},
        l == 1 && net_.sparse_ ? 1
                               : ceil_div(layer.rows(), net_.gradient_rows(layer, batch_->rows)));
    return graph_.needs(before_gradient_[l]);
  }
  GemmPlan<T> product(true, false, layer.in, layer.out, batch_->rows, d.ld);
  const int64_t tasks = bias_pieces(layer) + product.tasks();
  add({&LargePass::gradient, l, product}, tasks);
  graph_.needs(before_gradient_[l]);
  Job& job = jobs_.back();
  if (goal_->mode == Mode::by_tiles) {
    if (goal_->norms != nullptr) squares_[l].assign(static_cast<std::size_t>(tasks), 0.0);
    job.update = {&kernels_,
                  goal_,
                  layer.W(),
                  layer.first == nullptr ? nullptr : layer.weights(layer.first),
                  layer.second == nullptr ? nullptr : layer.weights(layer.second),
                  layer.ld,
                  squares_[l].empty() ? nullptr : squares_[l].data() + bias_pieces(layer)};
    job.epilogue = {&update_tile, &job.update};
    return job.product->of(goal_->alpha, before.data(), before.ld, d.data(), T(0), nullptr, 0,
                           &job.epilogue);
  }
  T *into = layer.weights(layer.grad), beta = goal_->begins ? T(0) : T(1);
  if (goal_->mode == Mode::direct) {
    into = layer.W();
    beta = T(1);
    if (layer.first != nullptr) {
      into = layer.weights(layer.first);
      beta = T(goal_->run->optimizer.momentum);
      job.tail = {&kernels_, layer.f};
      job.tail.parameters = layer.W();
      job.epilogue = {&velocity_tile, &job.tail};
    }
  }
  job.product->of(goal_->alpha, before.data(), before.ld, d.data(), beta, into, layer.ld,
                  job.epilogue.tile == nullptr ? nullptr : &job.epilogue);
}

template <class T>
int64_t LargePass<T>::bias_pieces(const Layer<T>& layer) const {
  return layer.bias ? ceil_div(layer.out, kBiasPiece) : 0;
}

// -- what their tasks do --------------------------------------------------------------------------

// Calls body(first, count) for the rows of a task.
template <class T>
template <class F>
auto LargePass<T>::with_rows(int task, F&& body) const {
  const int64_t first = task * net_.kGrain;
  return body(first, std::min(net_.kGrain, batch_->rows - first));
}

template <class T>
void LargePass<T>::gather(const Job&, int task) {
  with_rows(task, [&](int64_t first, int64_t rows) { net_.gather_rows(*batch_, first, rows); });
}

template <class T>
void LargePass<T>::drop(const Job& job, int task) {
  with_rows(task,
            [&](int64_t first, int64_t rows) { net_.drop_rows(job.l, *batch_, first, rows); });
}

template <class T>
void LargePass<T>::product(const Job& job, int task) {
  job.product->run(task);
}

template <class T>
void LargePass<T>::forward(const Job& job, int task) {
  with_rows(task, [&](int64_t first, int64_t rows) {
    if (job.l == 1 && net_.sparse_)
      net_.sparse_forward_rows(*batch_, first, rows);
    else
      net_.forward_rows(job.l, first, rows);
  });
}

template <class T>
void LargePass<T>::output(const Job&, int task) {
  losses_[static_cast<std::size_t>(task)] = with_rows(
      task, [&](int64_t first, int64_t rows) { return net_.output_rows(*batch_, first, rows); });
}

template <class T>
void LargePass<T>::transpose(const Job& job, int) {
  net_.transpose(job.l, net_.space_->all_transposed[job.l].data());
}

template <class T>
void LargePass<T>::backward(const Job& job, int task) {
  with_rows(task, [&](int64_t first, int64_t rows) {
    net_.backward_rows(job.l, first, rows, net_.space_->all_transposed[job.l].data());
  });
}

// Some columns of delta_{l-1} for very few rows: dot products with the rows of W_l.
template <class T>
void LargePass<T>::backward_by_dots(const Job& job, int task) {
  const Layer<T>& layer = net_.layers_[job.l];
  const Units<T>&d = net_.space_->delta[job.l], &out = net_.space_->delta[job.l - 1];
  const int64_t first = task * kDotPiece, n = std::min(kDotPiece, layer.in - first);
  kernels_.rows_dot_rows(d.data(), d.ld, layer.W() + first * layer.ld, layer.ld, batch_->rows, n,
                         layer.ld, out.data() + first, out.ld);
  net_.times_slope(job.l - 1, 0, batch_->rows, first, n);
}

template <class T>
void LargePass<T>::gradient(const Job& job, int task) {
  // Nothing may move if the loss is not finite; by now it is known.
  for (const double loss : losses_)
    if (!std::isfinite(loss)) return;
  const Layer<T>& layer = net_.layers_[job.l];
  if (job.l == 1 && net_.sparse_) return net_.accumulate_sparse(*batch_, *goal_);
  if (!job.product) {
    const int64_t most = net_.gradient_rows(layer, batch_->rows), first = task * most;
    return net_.accumulate_rows(job.l, *batch_, *goal_, first,
                                std::min(most, layer.rows() - first));
  }
  if (task < bias_pieces(layer))
    bias_gradient(job, task);
  else
    job.product->run(task - bias_pieces(layer));
}

// The gradient of a bias: alpha times the sums of the deltas.
template <class T>
void LargePass<T>::bias_gradient(const Job& job, int64_t piece) {
  using Mode = typename Network<T>::Mode;
  const Layer<T>& layer = net_.layers_[job.l];
  const Units<T>& d = net_.space_->delta[job.l];
  const int64_t at = piece * kBiasPiece, n = std::min(kBiasPiece, layer.out - at);
  alignas(64) T sums[kBiasPiece];
  kernels_.column_sums({d.data() + at, batch_->rows, n, d.ld}, goal_->alpha, sums);
  if (goal_->mode == Mode::by_tiles) {
    const Update update{&kernels_,
                        goal_,
                        layer.block,
                        layer.first,
                        layer.second,
                        layer.ld,
                        squares_[job.l].empty() ? nullptr : squares_[job.l].data()};
    return update.row(sums, 0, at, n, piece);
  }
  if (goal_->mode == Mode::direct && layer.first != nullptr) {
    kernels_.scale(T(goal_->run->optimizer.momentum), layer.first + at, n);
    kernels_.axpy(T(1), sums, layer.first + at, n);
    return kernels_.axpy(T(1), layer.first + at, layer.block + at, n);
  }
  T* into = (goal_->mode == Mode::direct ? layer.block : layer.grad) + at;
  if (goal_->mode == Mode::gradient && goal_->begins)
    std::memcpy(into, sums, static_cast<std::size_t>(n) * sizeof(T));
  else
    kernels_.axpy(T(1), sums, into, n);
}

// -- what follows a product -----------------------------------------------------------------------

template <class T>
void LargePass<T>::Update::row(const T* gradient, int64_t row, int64_t col, int64_t n,
                               int64_t task) const {
  const int64_t at = row * ld + col;
  if (squares != nullptr) squares[task] += kernels->sum_of_squares(gradient, n);
  kernels->update(goal->run->optimizer, T(goal->rate), goal->adam_rate, n, parameters + at,
                  gradient, first == nullptr ? nullptr : first + at,
                  second == nullptr ? nullptr : second + at);
}

template <class T>
void LargePass<T>::forward_tile(void* context, const Tile<T>& t) {
  const Tail& tail = *static_cast<Tail*>(context);
  if (tail.bias != nullptr)
    for (int64_t r = 0; r < t.rows; ++r)
      tail.kernels->axpy(T(1), tail.bias + t.col, t.data + r * t.ld, t.cols);
  if (tail.activates)
    tail.kernels->activate(tail.f, {t.data, t.rows, t.cols, t.ld},
                           tail.slope == nullptr ? nullptr : tail.slope + t.row * tail.ld + t.col);
}

template <class T>
void LargePass<T>::backward_tile(void* context, const Tile<T>& t) {
  const Tail& tail = *static_cast<Tail*>(context);
  const int64_t at = t.row * tail.ld + t.col;
  if (tail.slope != nullptr)
    tail.kernels->multiply({t.data, t.rows, t.cols, t.ld}, tail.slope + at, tail.ld);
  else
    tail.kernels->times_slope(tail.f, {t.data, t.rows, t.cols, t.ld}, tail.a + at, tail.ld);
}

template <class T>
void LargePass<T>::velocity_tile(void* context, const Tile<T>& t) {
  const Tail& tail = *static_cast<Tail*>(context);
  for (int64_t r = 0; r < t.rows; ++r)
    tail.kernels->axpy(T(1), t.data + r * t.ld, tail.parameters + (t.row + r) * t.ld + t.col,
                       t.cols);
}

template <class T>
void LargePass<T>::update_tile(void* context, const Tile<T>& t) {
  const Update& update = *static_cast<Update*>(context);
  for (int64_t r = 0; r < t.rows; ++r)
    update.row(t.data + r * t.ld, t.row + r, t.col, t.cols, t.task);
}

template class LargePass<float>;
template class LargePass<double>;

}  // namespace deltarule
