// Stretches of batches: which rows, which scale, which update.
#include "network/network.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "machine/denormals.hpp"
#include "network/update.hpp"

namespace deltarule {
namespace {

constexpr int64_t kChunk = 1024;         // rows of a batch that are held at once
constexpr int64_t kPacked = 128 * 1024;  // weights up to which a layer is copied to padded rows
constexpr int64_t kAhead = 64 * 1024;    // elements of the next batch that are asked for ahead

// A rate for each layer.
std::vector<double> of_all(std::vector<double> dropout, const NetworkSpec& spec) {
  dropout.resize(static_cast<std::size_t>(spec.layers()), 0.0);
  return dropout;
}

}  // namespace

template <class T>
Network<T>::Network(NetworkSpec spec, int64_t rows, std::vector<double> dropout)
    : spec_(std::move(spec)),
      chunk_(std::min(rows, kChunk)),
      layout_(spec_, kernels<T>().lanes, {kPacked, true}),
      pass_(spec_, layout_, of_all(std::move(dropout), spec_), chunk_),
      orders_(pass_) {}

template <class T>
double Network<T>::gradients(const T* theta, const Samples<T>& samples, const T* targets,
                             const T* sample_weight, T* gradient) {
  const FlushDenormals flush;
  pass_.begin(samples);
  layout_.load(const_cast<T*>(theta), nullptr, nullptr);  // only read
  layout_.need_gradients(Mode::gradient, samples.rows);
  double weight_sum = 0;
  for (int64_t i = 0; i < samples.rows; ++i)
    weight_sum += sample_weight ? double(sample_weight[i]) : 1.0;
  const double share = weight_sum > 0 ? 1.0 / weight_sum : 0.0;
  double loss = 0;
  std::vector<int64_t> order(static_cast<std::size_t>(chunk_));
  for (int64_t start = 0; start < samples.rows; start += chunk_) {
    const int64_t rows = std::min(chunk_, samples.rows - start);
    std::iota(order.begin(), order.begin() + rows, start);
    const Batch<T> batch{&samples, targets, sample_weight, order.data(), rows, 0, start, 0};
    loss += orders_.run(batch, {Mode::gradient, T(share), start == 0});
  }
  layout_.store_gradient(gradient);
  return loss * share;
}

template <class T>
bool Network<T>::binary_output() const {
  return spec_.loss.kind == LossKind::log_loss && spec_.activations.back().kind == Act::sigmoid &&
         spec_.sizes.back() == 1;
}

// Whether the whole stretch can run in registers.
template <class T>
bool Network<T>::runs_tiny(const RunSpec<T>& run) const {
  if (spec_.layers() != 2 || run.batch_size != 1 || run.samples.dense == nullptr ||
      run.sample_weight != nullptr || !run.plain() || run.first_moment != nullptr)
    return false;
  const Layer<T>&hidden = layout_[1], &output = layout_[2];
  return (binary_output() ||
          (spec_.loss.kind == LossKind::squared_error && output.f.kind == Act::identity)) &&
         !pass_.drops(0) && !pass_.drops(1) && hidden.packed && output.packed &&
         kernels<T>().tiny_fits(hidden.in, hidden.out, output.out, hidden.f.kind);
}

// The batches from k on.
template <class T>
void Network<T>::tiny_steps(const RunSpec<T>& run, const int64_t* order, const double* rates,
                            int64_t k, int64_t last, Stretch& stretch) {
  const Layer<T>&hidden = layout_[1], &output = layout_[2];
  TinyRun<T> tiny{};
  tiny.n_in = hidden.in;
  tiny.n_hidden = hidden.out;
  tiny.n_out = output.out;
  tiny.hidden = hidden.f.kind;
  tiny.binary = binary_output();
  tiny.w1 = hidden.block;
  tiny.w2 = output.block;
  tiny.ld1 = hidden.ld;
  tiny.ld2 = output.ld;
  tiny.bias1 = hidden.bias;
  tiny.bias2 = output.bias;
  tiny.x = run.samples.dense;
  tiny.y = run.targets;
  tiny.order = order + k;
  tiny.rates = rates + k;
  tiny.steps = last - k;
  tiny.stop = run.stop;
  tiny.loss_sum = stretch.loss_sum;
  tiny.objective = run.objective == nullptr ? nullptr : run.objective + k;
  const int64_t done = kernels<T>().tiny_steps(tiny);
  stretch.done += done;
  stretch.loss_sum = tiny.loss_sum;
  stretch.weight_sum += static_cast<double>(done);
  if (tiny.bad) stretch.bad_batch = k + done;
}

template <class T>
void Network<T>::steps(const RunSpec<T>& run, Stretch& stretch, const int64_t* order, int64_t count,
                       const double* rates, int64_t first, int64_t last) {
  const FlushDenormals flush;
  pass_.begin(run.samples);
  layout_.load(run.theta, run.first_moment, run.second_moment);
  for (int64_t k = first; k < last; ++k) {
    if (k > 0 && runs_tiny(run)) {
      tiny_steps(run, order, rates, k, last, stretch);
      break;
    }
    const int64_t start = k * run.batch_size;
    const int64_t rows = std::min(run.batch_size, count - start);
    const int64_t next = k + 1 < last ? std::min(run.batch_size, count - start - rows) : 0;
    if (!step(run, order + start, rows, next, rates[k], k, stretch)) {
      stretch.bad_batch = k;
      break;
    }
    ++stretch.done;
    if (*run.stop != 0) break;
  }
  layout_.store(run.theta, run.first_moment, run.second_moment);
}

// One batch; false if its loss is not finite (nothing is applied then).
template <class T>
bool Network<T>::step(const RunSpec<T>& run, const int64_t* order, int64_t rows, int64_t next_rows,
                      double rate, int64_t k, Stretch& stretch) {
  const int64_t done_before = stretch.steps_before + stretch.done;
  double weight_sum = static_cast<double>(rows);
  if (run.sample_weight != nullptr) {
    weight_sum = 0;
    for (int64_t i = 0; i < rows; ++i)
      weight_sum += static_cast<double>(run.sample_weight[order[i]]);
  }
  const double share = weight_sum > 0 ? 1.0 / weight_sum : 0.0;
  const bool whole = rows <= chunk_ && !pass_.sparse();
  const bool direct = k > 0 && run.plain() && whole;
  const bool by_tiles = whole && run.l1 == 0 && run.l2 == 0 && run.clip_norm == 0;
  Goal<T> goal{direct     ? Mode::direct
               : by_tiles ? Mode::by_tiles
                          : Mode::gradient,
               T(direct ? -rate * share : share), true, &run};
  if (!direct) {
    layout_.need_gradients(goal.mode, rows);
    goal.rate = rate;
    goal.adam_rate = adam_rate(run.optimizer, rate, done_before + 1);
    if (k == 0) {
      stretch.gradient_norms.resize(layout_.L());
      goal.norms = stretch.gradient_norms.data();
    }
  }
  double loss = 0;
  for (int64_t start = 0; start < rows; start += chunk_) {
    Batch<T> batch{
        &run.samples, run.targets, run.sample_weight, order + start, std::min(chunk_, rows - start),
        run.seed,     start,       done_before};
    if (direct && next_rows * spec_.sizes[0] <= kAhead)
      batch.ahead = {run.samples.dense, spec_.sizes[0], order + rows, next_rows};
    goal.begins = start == 0;
    loss += orders_.run(batch, goal);
    if (!std::isfinite(loss)) return false;
  }
  double penalty = 0;
  if (!direct) {
    if (run.l1 != 0 || run.l2 != 0)
      penalty = penalize(layout_, run, run.penalties_per_sample ? share : 1.0);
    apply(layout_, run, goal, rows, pass_.sparse() ? &pass_.space().touched : nullptr);
  }
  if (run.objective != nullptr) run.objective[k] = loss * share + penalty;
  stretch.loss_sum += loss;
  stretch.weight_sum += weight_sum;
  return true;
}

template class Network<float>;
template class Network<double>;

}  // namespace deltarule
