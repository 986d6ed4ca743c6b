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
ByJobs<T>::ByJobs(Pass<T>& pass)
    : pass_(pass),
      layout_(pass.layout()),
      kernels_(pass.kernels()),
      before_gradient_(layout_.L() + 1),
      squares_(layout_.L() + 1) {}

template <class T>
double ByJobs<T>::run(const Batch<T>& batch, const Goal<T>& goal) {
  batch_ = &batch;
  goal_ = &goal;
  plan();
  int64_t work = 0;
  for (std::size_t l = 1; l <= layout_.L(); ++l)
    work = std::max(work, batch.rows * layout_[l].in * layout_[l].out);
  Pool& pool = work < kGemm ? Pool::serial() : Pool::shared();
  graph_.run(pool, [&](int number, int task) {
    const Job& job = jobs_[static_cast<std::size_t>(number)];
    (this->*job.run)(job, task);
  });
  if (goal.norms != nullptr)
    for (std::size_t l = 1; l <= layout_.L(); ++l)
      if (!squares_[l].empty())
        goal.norms[l - 1] = std::sqrt(std::accumulate(squares_[l].begin(), squares_[l].end(), 0.0));
  return std::accumulate(losses_.begin(), losses_.end(), 0.0);
}

// -- which jobs there are -------------------------------------------------------------------------

template <class T>
void ByJobs<T>::plan() {
  const std::size_t L = layout_.L();
  const int64_t pieces = ceil_div(batch_->rows, kGrain);
  graph_.clear();
  jobs_.clear();
  jobs_.reserve(6 * L + 2);  // epilogues point to them
  losses_.assign(static_cast<std::size_t>(pieces), 0.0);
  newest_ = add({&ByJobs::gather, 0}, pieces);
  for (std::size_t l = 1; l <= L; ++l) plan_forward(l);
  add_next({&ByJobs::output, L}, pieces);
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
int ByJobs<T>::add(Job job, int64_t tasks) {
  jobs_.push_back(std::move(job));
  return graph_.add(static_cast<int>(tasks));
}

// A job that needs what the newest one makes, and takes its place.
template <class T>
typename ByJobs<T>::Job& ByJobs<T>::add_next(Job job, int64_t tasks) {
  const int number = add(std::move(job), tasks);
  graph_.needs(newest_);
  newest_ = number;
  return jobs_.back();
}

template <class T>
void ByJobs<T>::plan_forward(std::size_t l) {
  const Layer<T>& layer = layout_[l];
  const Units<T>&before = pass_.space().a[l - 1], &here = pass_.space().a[l];
  const bool output = l == layout_.L();
  if (!pass_.by_gemm(l, batch_->rows)) {
    add_next({&ByJobs::forward, l}, ceil_div(batch_->rows, kGrain));
    return;
  }
  GemmPlan<T> product(false, false, batch_->rows, layer.out, layer.in, layer.ld);
  Job& job = add_next({&ByJobs::product, l, product}, product.tasks());
  T* slope = output ? nullptr : pass_.slope(l, 0);
  job.tail = {&kernels_, layer.f, layer.b(), !output, slope, nullptr, here.ld};
  job.epilogue = {&forward_tile, &job.tail};
  job.product->of(T(1), before.data(), before.ld, layer.W(), T(0), here.data(), here.ld,
                  &job.epilogue);
  if (!output && pass_.drops(l)) add_next({&ByJobs::drop, l}, ceil_div(batch_->rows, kGrain));
}

template <class T>
void ByJobs<T>::plan_backward(std::size_t l) {
  const Layer<T>&layer = layout_[l], &below = layout_[l - 1];
  const Units<T>&d = pass_.space().delta[l], &out = pass_.space().delta[l - 1],
        &a = pass_.space().a[l - 1];
  if (!pass_.by_gemm(l, batch_->rows)) {
    pass_.transposed(l);  // no task may allocate
    const int spelled_out = add({&ByJobs::transpose, l}, 1);
    add_next({&ByJobs::backward, l}, ceil_div(batch_->rows, kGrain));
    graph_.needs(spelled_out);
    return;
  }
  if (batch_->rows <= kDotRows && layer.whole_vectors) {
    add_next({&ByJobs::backward_by_dots, l}, ceil_div(layer.in, kDotPiece));
    return;
  }
  GemmPlan<T> product(false, true, batch_->rows, layer.in, layer.out, layer.ld);
  Job& job = add_next({&ByJobs::product, l, product}, product.tasks());
  job.tail = {&kernels_, below.f, nullptr, false, pass_.slope(l - 1, 0), a.data(), a.ld};
  job.epilogue = {&backward_tile, &job.tail};
  job.product->of(T(1), d.data(), d.ld, layer.W(), T(0), out.data(), out.ld, &job.epilogue);
}

// dC/d[b; W] of a layer: added straight into the parameters or the velocity, kept, or shown to the
// optimizer tile by tile: a gradient of a large layer would be read and written again where memory
// is slowest.
template <class T>
void ByJobs<T>::plan_gradient(std::size_t l) {
  const Layer<T>& layer = layout_[l];
  const Units<T>&before = pass_.space().a[l - 1], &d = pass_.space().delta[l];
  squares_[l].clear();
  if (!pass_.by_gemm(l, batch_->rows)) {
    add({&ByJobs::gradient, l}, ceil_div(layer.rows(), pass_.gradient_rows(l, batch_->rows)));
    return graph_.needs(before_gradient_[l]);
  }
  GemmPlan<T> product(true, false, layer.in, layer.out, batch_->rows, d.ld);
  const int64_t tasks = bias_pieces(layer) + product.tasks();
  add({&ByJobs::gradient, l, product}, tasks);
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
int64_t ByJobs<T>::bias_pieces(const Layer<T>& layer) const {
  return layer.bias ? ceil_div(layer.out, kBiasPiece) : 0;
}

// -- what their tasks do --------------------------------------------------------------------------

// Calls body(first, count) for the rows of a task.
template <class T>
template <class F>
auto ByJobs<T>::with_rows(int task, F&& body) const {
  const int64_t first = task * kGrain;
  return body(first, std::min(kGrain, batch_->rows - first));
}

template <class T>
void ByJobs<T>::gather(const Job&, int task) {
  with_rows(task, [&](int64_t first, int64_t rows) { pass_.gather(*batch_, first, rows); });
}

template <class T>
void ByJobs<T>::drop(const Job& job, int task) {
  with_rows(task, [&](int64_t first, int64_t rows) { pass_.drop(job.l, *batch_, first, rows); });
}

template <class T>
void ByJobs<T>::product(const Job& job, int task) {
  job.product->run(task);
}

template <class T>
void ByJobs<T>::forward(const Job& job, int task) {
  with_rows(task, [&](int64_t first, int64_t rows) { pass_.forward(job.l, *batch_, first, rows); });
}

template <class T>
void ByJobs<T>::output(const Job&, int task) {
  losses_[static_cast<std::size_t>(task)] = with_rows(
      task, [&](int64_t first, int64_t rows) { return pass_.output(*batch_, first, rows); });
}

template <class T>
void ByJobs<T>::transpose(const Job& job, int) {
  pass_.transpose(job.l, pass_.transposed(job.l));
}

template <class T>
void ByJobs<T>::backward(const Job& job, int task) {
  with_rows(task, [&](int64_t first, int64_t rows) {
    pass_.backward(job.l, first, rows, pass_.transposed(job.l));
  });
}

// Some columns of delta_{l-1} for very few rows: dot products with the rows of W_l.
template <class T>
void ByJobs<T>::backward_by_dots(const Job& job, int task) {
  const Layer<T>& layer = layout_[job.l];
  const Units<T>&d = pass_.space().delta[job.l], &out = pass_.space().delta[job.l - 1];
  const int64_t first = task * kDotPiece, n = std::min(kDotPiece, layer.in - first);
  kernels_.rows_dot_rows(d.data(), d.ld, layer.W() + first * layer.ld, layer.ld, batch_->rows, n,
                         layer.ld, out.data() + first, out.ld);
  pass_.times_slope(job.l - 1, 0, batch_->rows, first, n);
}

template <class T>
void ByJobs<T>::gradient(const Job& job, int task) {
  // Nothing may move if the loss is not finite; by now it is known.
  for (const double loss : losses_)
    if (!std::isfinite(loss)) return;
  const Layer<T>& layer = layout_[job.l];
  if (!job.product) {
    const int64_t most = pass_.gradient_rows(job.l, batch_->rows), first = task * most;
    return pass_.accumulate(job.l, *batch_, *goal_, first, std::min(most, layer.rows() - first));
  }
  if (task < bias_pieces(layer))
    bias_gradient(job, task);
  else
    job.product->run(task - bias_pieces(layer));
}

// The gradient of a bias: alpha times the sums of the deltas.
template <class T>
void ByJobs<T>::bias_gradient(const Job& job, int64_t piece) {
  const Layer<T>& layer = layout_[job.l];
  const Units<T>& d = pass_.space().delta[job.l];
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
void ByJobs<T>::Update::row(const T* gradient, int64_t row, int64_t col, int64_t n,
                            int64_t task) const {
  const int64_t at = row * ld + col;
  if (squares != nullptr) squares[task] += kernels->sum_of_squares(gradient, n);
  kernels->update(goal->run->optimizer, T(goal->rate), goal->adam_rate, n, parameters + at,
                  gradient, first == nullptr ? nullptr : first + at,
                  second == nullptr ? nullptr : second + at);
}

template <class T>
void ByJobs<T>::forward_tile(void* context, const Tile<T>& t) {
  const Tail& tail = *static_cast<Tail*>(context);
  if (tail.bias != nullptr)
    for (int64_t r = 0; r < t.rows; ++r)
      tail.kernels->axpy(T(1), tail.bias + t.col, t.data + r * t.ld, t.cols);
  if (tail.activates)
    tail.kernels->activate(tail.f, {t.data, t.rows, t.cols, t.ld},
                           tail.slope == nullptr ? nullptr : tail.slope + t.row * tail.ld + t.col);
}

template <class T>
void ByJobs<T>::backward_tile(void* context, const Tile<T>& t) {
  const Tail& tail = *static_cast<Tail*>(context);
  const int64_t at = t.row * tail.ld + t.col;
  if (tail.slope != nullptr)
    tail.kernels->multiply({t.data, t.rows, t.cols, t.ld}, tail.slope + at, tail.ld);
  else
    tail.kernels->times_slope(tail.f, {t.data, t.rows, t.cols, t.ld}, tail.a + at, tail.ld);
}

template <class T>
void ByJobs<T>::velocity_tile(void* context, const Tile<T>& t) {
  const Tail& tail = *static_cast<Tail*>(context);
  for (int64_t r = 0; r < t.rows; ++r)
    tail.kernels->axpy(T(1), t.data + r * t.ld, tail.parameters + (t.row + r) * t.ld + t.col,
                       t.cols);
}

template <class T>
void ByJobs<T>::update_tile(void* context, const Tile<T>& t) {
  const Update& update = *static_cast<Update*>(context);
  for (int64_t r = 0; r < t.rows; ++r)
    update.row(t.data + r * t.ld, t.row + r, t.col, t.cols, t.task);
}

template class ByJobs<float>;
template class ByJobs<double>;

}  // namespace deltarule
