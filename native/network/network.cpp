// Laying out a network, and running stretches of batches: which rows, which scale, which update.
#include "network/network.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "network/by_jobs.hpp"

namespace deltarule {
namespace {

constexpr int64_t kChunk = 1024;         // rows of a batch that are held at once
constexpr int64_t kPacked = 128 * 1024;  // weights up to which a layer is copied to padded rows
constexpr int64_t kAhead = 64 * 1024;    // elements of the next batch that are asked for ahead
constexpr int64_t kParallelUpdate = 1 << 18;

template <class T>
void copy_block(const Layer<T>& layer, const T* from, int64_t from_ld, T* to, int64_t to_ld) {
  for (int64_t r = 0; r < layer.rows(); ++r)
    std::memcpy(to + r * to_ld, from + r * from_ld,
                static_cast<std::size_t>(layer.out) * sizeof(T));
}

// The learning rate of step t (from 1) with the corrections of Adam's moments.
double adam_rate(const OptimizerSpec& o, double rate, int64_t t) {
  const double steps = static_cast<double>(t);
  return rate * std::sqrt(1 - std::pow(o.beta_2, steps)) / (1 - std::pow(o.beta_1, steps));
}

}  // namespace

template <class T>
Network<T>::Network(NetworkSpec spec, int64_t rows, std::vector<double> dropout)
    : spec_(std::move(spec)),
      output_(spec_.output()),
      kernels_(kernels<T>()),
      pool_(Pool::shared()),
      chunk_(std::min(rows, kChunk)),
      dropout_(std::move(dropout)),
      space_(std::make_unique<Workspace<T>>()) {
  const int64_t lanes = kernels_.lanes;
  const int L = spec_.layers();
  dropout_.resize(static_cast<std::size_t>(L), 0.0);
  layers_.resize(static_cast<std::size_t>(L) + 1);
  Workspace<T>& s = *space_;
  s.a.resize(layers_.size());
  s.delta.resize(layers_.size());
  s.slope.resize(layers_.size());
  s.all_transposed.resize(layers_.size());
  int64_t packed = 0, largest = 0, widest = spec_.sizes[0];
  for (int l = 1; l <= L; ++l) {
    Layer<T>& layer = layers_[static_cast<std::size_t>(l)];
    layer.in = spec_.sizes[static_cast<std::size_t>(l) - 1];
    layer.out = spec_.sizes[static_cast<std::size_t>(l)];
    layer.bias = spec_.bias[static_cast<std::size_t>(l) - 1];
    layer.f = spec_.activations[static_cast<std::size_t>(l) - 1];
    layer.offset = parameters_;
    layer.packed = layer.in * layer.out <= kPacked;
    layer.ld = layer.packed ? round_up(layer.out, lanes) : layer.out;
    layer.whole_vectors = layer.ld % lanes == 0;
    const bool drops = l < L && dropout_[static_cast<std::size_t>(l)] > 0;
    layer.keeps_slope = l == L || drops || !slope_from_output(layer.f);
    parameters_ += layer.size();
    if (layer.packed) packed += layer.block_size();
    largest = std::max(largest, layer.out * round_up(layer.in, lanes));
    widest = std::max(widest, layer.out);
    s.a[static_cast<std::size_t>(l)].reset(chunk_, layer.out, lanes, true);
    s.delta[static_cast<std::size_t>(l)].reset(chunk_, layer.out, lanes, true);
    if (layer.keeps_slope)
      s.slope[static_cast<std::size_t>(l)].reset(chunk_, layer.out, lanes, true);
  }
  s.targets.reset(chunk_, spec_.sizes.back(), lanes, true);
  s.weights.reset(chunk_);
  if (std::any_of(dropout_.begin(), dropout_.end(), [](double rate) { return rate > 0; }))
    s.factors.reset(chunk_, widest, lanes, false);
  s.parameters.reset(packed);
  s.sums.reset(widest);
  if (L > 1) s.transposed.reset(largest);
}

template <class T>
Network<T>::~Network() = default;

// Points every layer at its block: in theta, or in a padded copy that is filled here.
template <class T>
void Network<T>::load_parameters(const T* theta, bool moments, const RunSpec<T>* run) {
  Workspace<T>& s = *space_;
  const bool first = moments && run->first_moment != nullptr;
  const bool second = moments && run->second_moment != nullptr;
  if (first && s.first.size() == 0) s.first.reset(s.parameters.size());
  if (second && s.second.size() == 0) s.second.reset(s.parameters.size());
  int64_t at = 0;
  for (std::size_t l = 1; l < layers_.size(); ++l) {
    Layer<T>& layer = layers_[l];
    T* own =
        const_cast<T*>(theta) + layer.offset;  // written to only by steps, whose theta is not const
    T* own_first = first ? run->first_moment + layer.offset : nullptr;
    T* own_second = second ? run->second_moment + layer.offset : nullptr;
    if (!layer.packed) {
      layer.block = own;
      layer.first = own_first;
      layer.second = own_second;
      continue;
    }
    layer.block = s.parameters.data() + at;
    layer.first = first ? s.first.data() + at : nullptr;
    layer.second = second ? s.second.data() + at : nullptr;
    copy_block(layer, own, layer.out, layer.block, layer.ld);
    if (first) copy_block(layer, own_first, layer.out, layer.first, layer.ld);
    if (second) copy_block(layer, own_second, layer.out, layer.second, layer.ld);
    at += layer.block_size();
  }
}

template <class T>
void Network<T>::store_parameters(const RunSpec<T>& run) {
  for (std::size_t l = 1; l < layers_.size(); ++l) {
    const Layer<T>& layer = layers_[l];
    if (!layer.packed) continue;
    copy_block(layer, layer.block, layer.ld, run.theta + layer.offset, layer.out);
    if (layer.first != nullptr)
      copy_block(layer, layer.first, layer.ld, run.first_moment + layer.offset, layer.out);
    if (layer.second != nullptr)
      copy_block(layer, layer.second, layer.ld, run.second_moment + layer.offset, layer.out);
  }
}

// Room for the gradients that a batch of `rows` keeps.
template <class T>
void Network<T>::need_gradients(Mode mode, int64_t rows) {
  Workspace<T>& s = *space_;
  int64_t total = 0;
  for (std::size_t l = 1; l < layers_.size(); ++l)
    if (!updates_by_tiles(layers_[l], mode, rows)) total += layers_[l].block_size();
  if (s.grad.size() < total) s.grad.reset(total);
  int64_t at = 0;
  for (std::size_t l = 1; l < layers_.size(); ++l) {
    if (updates_by_tiles(layers_[l], mode, rows)) continue;
    layers_[l].grad = s.grad.data() + at;
    at += layers_[l].block_size();
  }
}

template <class T>
bool Network<T>::updates_by_tiles(const Layer<T>& layer, Mode mode, int64_t rows) const {
  return mode == Mode::by_tiles && by_gemm(layer, rows);
}

template <class T>
void Network<T>::begin_call(const Samples<T>& samples) {
  sparse_ = samples.dense == nullptr;
  Units<T>& a_0 = space_->a[0];  // would be large for wide sparse samples, which need none
  if (!sparse_ && a_0.empty()) a_0.reset(chunk_, spec_.sizes[0], kernels_.lanes, true);
  space_->is_touched.clear();
  space_->touched.clear();
}

template <class T>
double Network<T>::gradients(const T* theta, const Samples<T>& samples, const T* targets,
                             const T* sample_weight, T* gradient) {
  const FlushDenormals flush;
  begin_call(samples);
  load_parameters(theta, false, nullptr);
  need_gradients(Mode::gradient, samples.rows);
  double weight_sum = 0;
  for (int64_t i = 0; i < samples.rows; ++i)
    weight_sum += sample_weight ? double(sample_weight[i]) : 1.0;
  const double share = weight_sum > 0 ? 1.0 / weight_sum : 0.0;
  double loss = 0;
  std::vector<int64_t> order(static_cast<std::size_t>(chunk_));
  for (int64_t start = 0; start < samples.rows; start += chunk_) {
    const int64_t rows = std::min(chunk_, samples.rows - start);
    std::iota(order.begin(), order.begin() + rows, start);
    const Batch batch{&samples, targets, sample_weight, order.data(), rows, 0, start, 0};
    loss += forward_backward(batch, {Mode::gradient, T(share), start == 0});
  }
  for (std::size_t l = 1; l < layers_.size(); ++l)
    copy_block(layers_[l], layers_[l].grad, layers_[l].ld, gradient + layers_[l].offset,
               layers_[l].out);
  return loss * share;
}

template <class T>
bool Network<T>::binary_output() const {
  return spec_.loss.kind == LossKind::log_loss && layers_.back().f.kind == Act::sigmoid &&
         layers_.back().out == 1;
}

// Whether the whole stretch can run in registers.
template <class T>
bool Network<T>::runs_tiny(const RunSpec<T>& run) const {
  return spec_.layers() == 2 && run.batch_size == 1 && run.samples.dense != nullptr &&
         run.sample_weight == nullptr && plain(run) && run.first_moment == nullptr &&
         (binary_output() ||
          (spec_.loss.kind == LossKind::squared_error && layers_[2].f.kind == Act::identity)) &&
         dropout_[0] == 0 && dropout_[1] == 0 && layers_[1].packed && layers_[2].packed &&
         kernels_.tiny_fits(layers_[1].in, layers_[1].out, layers_[2].out, layers_[1].f.kind);
}

template <class T>
StretchResult Network<T>::steps(const RunSpec<T>& run, const int64_t* order, int64_t count,
                                const double* rates, int64_t first, int64_t last) {
  const FlushDenormals flush;
  StretchResult result;
  result.loss_sum = run.loss_before;
  result.weight_sum = run.weight_before;
  begin_call(run.samples);
  load_parameters(run.theta, true, &run);
  for (int64_t k = first; k < last; ++k) {
    if (k > 0 && runs_tiny(run)) {
      TinyRun<T> tiny{layers_[1].in,
                      layers_[1].out,
                      layers_[2].out,
                      layers_[1].f.kind,
                      binary_output(),
                      layers_[1].block,
                      layers_[2].block,
                      layers_[1].ld,
                      layers_[2].ld,
                      layers_[1].bias,
                      layers_[2].bias,
                      run.samples.dense,
                      run.targets,
                      order + k,
                      rates + k,
                      last - k,
                      run.stop,
                      result.loss_sum,
                      false,
                      run.objective == nullptr ? nullptr : run.objective + k};
      const int64_t done = kernels_.tiny_steps(tiny);
      result.done += done;
      result.loss_sum = tiny.loss_sum;
      result.weight_sum += static_cast<double>(done);
      if (tiny.bad) result.bad_batch = k + done;
      break;
    }
    const int64_t start = k * run.batch_size;
    const int64_t rows = std::min(run.batch_size, count - start);
    const int64_t next = k + 1 < last ? std::min(run.batch_size, count - start - rows) : 0;
    if (!step(run, order + start, rows, next, rates[k], k, result)) {
      result.bad_batch = k;
      break;
    }
    ++result.done;
    if (*run.stop != 0) break;
  }
  store_parameters(run);
  return result;
}

// One batch; false if its loss is not finite (nothing is applied then).
template <class T>
bool Network<T>::step(const RunSpec<T>& run, const int64_t* order, int64_t rows, int64_t next_rows,
                      double rate, int64_t k, StretchResult& result) {
  const int64_t done_before = run.steps_before + result.done;
  double weight_sum = static_cast<double>(rows);
  if (run.sample_weight != nullptr) {
    weight_sum = 0;
    for (int64_t i = 0; i < rows; ++i)
      weight_sum += static_cast<double>(run.sample_weight[order[i]]);
  }
  const double share = weight_sum > 0 ? 1.0 / weight_sum : 0.0;
  const bool whole = rows <= chunk_ && !sparse_;
  const bool direct = k > 0 && plain(run) && whole;
  const bool by_tiles = whole && run.l1 == 0 && run.l2 == 0 && run.clip_norm == 0;
  Goal goal{direct     ? Mode::direct
            : by_tiles ? Mode::by_tiles
                       : Mode::gradient,
            T(direct ? -rate * share : share), true, &run};
  if (!direct) {
    need_gradients(goal.mode, rows);
    goal.rate = rate;
    goal.adam_rate = adam_rate(run.optimizer, rate, done_before + 1);
    if (k == 0) {
      result.gradient_norms.resize(layers_.size() - 1);
      goal.norms = result.gradient_norms.data();
    }
  }
  double loss = 0;
  for (int64_t start = 0; start < rows; start += chunk_) {
    Batch batch{
        &run.samples, run.targets, run.sample_weight, order + start, std::min(chunk_, rows - start),
        run.seed,     start,       done_before};
    if (direct && next_rows * spec_.sizes[0] <= kAhead)
      batch.ahead = {run.samples.dense, spec_.sizes[0], order + rows, next_rows};
    goal.begins = start == 0;
    loss += forward_backward(batch, goal);
    if (!std::isfinite(loss)) return false;
  }
  double penalty = 0;
  if (!direct) {
    if (run.l1 != 0 || run.l2 != 0) penalty = penalize(run, run.penalties_per_sample ? share : 1.0);
    apply(run, goal, rows);
  }
  if (run.objective != nullptr) run.objective[k] = loss * share + penalty;
  result.loss_sum += loss;
  result.weight_sum += weight_sum;
  return true;
}

// Plain SGD and momentum need no gradient of their own: the product adds into the parameters.
template <class T>
bool Network<T>::plain(const RunSpec<T>& run) {
  return run.optimizer.kind == OptimizerKind::sgd && !run.optimizer.nesterov && run.l1 == 0 &&
         run.l2 == 0 && run.clip_norm == 0;
}

// Plain SGD after a sparse batch: the other rows of W_1 have no gradient.
template <class T>
void Network<T>::update_touched(const RunSpec<T>& run, double rate) {
  const Layer<T>& layer = layers_[1];
  const auto update = [&](int64_t at) {
    kernels_.update(run.optimizer, T(rate), 0, layer.ld, layer.block + at, layer.grad + at, nullptr,
                    nullptr);
  };
  if (layer.bias) update(0);
  for (const int64_t j : space_->touched) update((j + (layer.bias ? 1 : 0)) * layer.ld);
}

// The sum of piece(first, count) over n elements, in pieces of a fixed size, so that the bits do
// not depend on the threads.
template <class T>
template <class F>
double Network<T>::sum_of_pieces(int64_t n, F&& piece) {
  if (n <= kParallelUpdate) return piece(int64_t{0}, n);
  std::vector<double> parts(static_cast<std::size_t>(ceil_div(n, kParallelUpdate)));
  pool_.parallel_for(static_cast<int>(parts.size()), [&](int index) {
    const int64_t at = index * kParallelUpdate;
    parts[static_cast<std::size_t>(index)] = piece(at, std::min(kParallelUpdate, n - at));
  });
  return std::accumulate(parts.begin(), parts.end(), 0.0);
}

// Adds `scale` times the penalties to the gradient; returns their value where it is asked for.
template <class T>
double Network<T>::penalize(const RunSpec<T>& run, double scale) {
  const T l1 = T(run.l1 * scale), l2 = T(run.l2 * scale);
  double value = 0;
  for (std::size_t l = 1; l < layers_.size(); ++l) {
    const Layer<T>& layer = layers_[l];
    T* g = layer.weights(layer.grad);
    value += sum_of_pieces(layer.in * layer.ld, [&](int64_t at, int64_t n) {
      return kernels_.penalize(l1, l2, n, layer.W() + at, g + at, run.objective != nullptr);
    });
  }
  return value;
}

// Norms, clipping and the optimizer, on the gradient of the batch with its penalties.
template <class T>
void Network<T>::apply(const RunSpec<T>& run, const Goal& goal, int64_t rows) {
  double squares = 0;
  for (std::size_t l = 1; l < layers_.size(); ++l) {
    const Layer<T>& layer = layers_[l];
    if (updates_by_tiles(layer, goal.mode, rows)) continue;
    if (goal.norms == nullptr && run.clip_norm == 0) continue;
    const double square = sum_of_pieces(layer.block_size(), [&](int64_t at, int64_t n) {
      return kernels_.sum_of_squares(layer.grad + at, n);
    });
    if (goal.norms != nullptr) goal.norms[l - 1] = std::sqrt(square);
    squares += square;
  }
  const double norm = std::sqrt(squares);
  const bool clips = run.clip_norm > 0 && norm > run.clip_norm;
  for (std::size_t l = 1; l < layers_.size(); ++l) {
    const Layer<T>& layer = layers_[l];
    if (updates_by_tiles(layer, goal.mode, rows)) continue;
    if (l == 1 && sparse_ && plain(run) && layer.first == nullptr) {
      update_touched(run, goal.rate);
      continue;
    }
    const int64_t n = layer.block_size();
    const int64_t pieces = ceil_div(n, kParallelUpdate);
    pool_.parallel_for(static_cast<int>(pieces), [&](int piece) {
      const int64_t at = piece * kParallelUpdate;
      const int64_t size = std::min(kParallelUpdate, n - at);
      T* m = layer.first == nullptr ? nullptr : layer.first + at;
      T* v = layer.second == nullptr ? nullptr : layer.second + at;
      if (clips) kernels_.scale(T(run.clip_norm / norm), layer.grad + at, size);
      kernels_.update(run.optimizer, T(goal.rate), goal.adam_rate, size, layer.block + at,
                      layer.grad + at, m, v);
    });
  }
}

template class Network<float>;
template class Network<double>;

}  // namespace deltarule
