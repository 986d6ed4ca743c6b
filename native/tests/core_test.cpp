// Runs the core by itself, for the sanitizers and without Python: gradients against differences of
// C, and steps against those gradients, over shapes, functions, optimizers and options. Exit code 1
// on a failure.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <random>
#include <thread>

#include "machine/cpu.hpp"
#include "machine/pool.hpp"
#include "network/network.hpp"
#include "network/predict.hpp"

using namespace deltarule;

namespace {

int failed = 0, checked = 0;

void expect(bool right, const char* what, const NetworkSpec& spec, double value) {
  ++checked;
  if (right) return;
  ++failed;
  std::printf("FAILED %s: %g, sizes", what, value);
  for (const int64_t n : spec.sizes) std::printf(" %lld", static_cast<long long>(n));
  std::printf(", activation %d, loss %d\n", static_cast<int>(spec.activations[0].kind),
              static_cast<int>(spec.loss.kind));
}

NetworkSpec make_spec(std::vector<int64_t> sizes, Act hidden, Act output, LossKind loss) {
  NetworkSpec spec;
  spec.sizes = std::move(sizes);
  for (int l = 1; l <= spec.layers(); ++l) {
    spec.activations.push_back({l < spec.layers() ? hidden : output, 0.5});
    spec.bias.push_back(l % 3 != 0);
  }
  spec.loss = {loss, 0.7};
  return spec;
}

template <class T>
struct Problem {
  NetworkSpec spec;
  int64_t rows;
  std::vector<T> theta, x, y;
  std::vector<int64_t> order;
  std::vector<T> values;  // x as CSR
  std::vector<int64_t> indices, starts{0};

  Problem(NetworkSpec s, int64_t n, unsigned seed) : spec(std::move(s)), rows(n) {
    std::mt19937 random(seed);
    std::normal_distribution<double> normal;
    int64_t count = 0;
    for (int l = 0; l < spec.layers(); ++l) {
      const auto at = static_cast<std::size_t>(l);
      count += (spec.sizes[at] + (spec.bias[at] ? 1 : 0)) * spec.sizes[at + 1];
    }
    for (int64_t i = 0; i < count; ++i)
      theta.push_back(T(0.3 * normal(random) / std::sqrt(double(spec.sizes[0]) / 4)));
    for (int64_t i = 0; i < n * spec.sizes.front(); ++i) {
      x.push_back(i % 3 == 0 ? T(normal(random)) : T(0));
      if (x.back() != 0) {
        values.push_back(x.back());
        indices.push_back(i % spec.sizes.front());
      }
      if ((i + 1) % spec.sizes.front() == 0) starts.push_back(static_cast<int64_t>(values.size()));
    }
    const std::vector<int64_t> whole{spec.sizes.back()};
    for (int64_t i = 0; i < n; ++i)
      for (const int64_t size : spec.loss_groups.empty() ? whole : spec.loss_groups) {
        double total = 0;
        for (int64_t k = 0; k < size; ++k) {
          y.push_back(T(std::abs(normal(random)) + 0.1));
          total += double(y.back());
        }
        for (int64_t k = 0; k < size; ++k) y[y.size() - 1 - std::size_t(k)] /= T(total);
      }
    for (int64_t i = 0; i < n; ++i) order.push_back((i * 7 + 3) % n);
    std::sort(order.begin(), order.end());
    std::shuffle(order.begin(), order.end(), random);
  }
  Samples<T> dense() const { return {rows, x.data()}; }
  Samples<T> sparse() const {
    return {rows, nullptr, values.data(), indices.data(), starts.data()};
  }
};

double largest(const std::vector<double>& x) {
  double most = 0;
  for (const double v : x) most = std::max(most, std::abs(v));
  return most;
}

void check_gradient(const NetworkSpec& spec, int64_t rows) {
  Problem<double> p(spec, rows, 1);
  Network<double> net(spec, rows);
  std::vector<double> g(p.theta.size()), other(p.theta.size());
  const double C = net.gradients(p.theta.data(), p.dense(), p.y.data(), nullptr, g.data());
  expect(std::isfinite(C), "C", spec, C);
  net.gradients(p.theta.data(), p.sparse(), p.y.data(), nullptr, other.data());
  for (std::size_t i = 0; i < g.size(); ++i) other[i] -= g[i];
  expect(largest(other) <= 1e-11 * (largest(g) + 1e-3), "sparse gradient", spec, largest(other));
  // C along a random direction, by central differences.
  std::mt19937 random(2);
  std::normal_distribution<double> normal;
  std::vector<double> direction(g.size()), moved(g.size());
  double slope = 0;
  for (std::size_t i = 0; i < g.size(); ++i) {
    direction[i] = normal(random);
    slope += g[i] * direction[i];
  }
  const double step = 1e-6;
  double difference = 0;
  for (const double sign : {1.0, -1.0}) {
    for (std::size_t i = 0; i < g.size(); ++i) moved[i] = p.theta[i] + sign * step * direction[i];
    difference += sign * net.gradients(moved.data(), p.dense(), p.y.data(), nullptr, other.data());
  }
  difference /= 2 * step;
  const double error = std::abs(difference - slope) / (std::abs(slope) + 1e-2);
  expect(error < 1e-3, "gradient against differences", spec, error);
}

template <class T>
void check_steps(const NetworkSpec& spec, int64_t rows, const OptimizerSpec& optimizer, bool sparse,
                 double drop) {
  Problem<T> p(spec, rows, 3);
  const unsigned char stop = 0;
  std::vector<T> bits;
  for (const int64_t batch : {int64_t{1}, int64_t{5}, rows}) {
    Network<T> net(spec, batch, std::vector<double>(static_cast<std::size_t>(spec.layers()), drop));
    std::vector<T> theta = p.theta, m(theta.size()), v(theta.size());
    RunSpec<T> run{};
    run.samples = sparse ? p.sparse() : p.dense();
    run.targets = p.y.data();
    run.batch_size = batch;
    run.optimizer = optimizer;
    run.seed = 9;
    run.theta = theta.data();
    run.stop = &stop;
    const bool plain = optimizer.kind == OptimizerKind::sgd;
    if (!plain || optimizer.momentum > 0) run.first_moment = m.data();
    if (optimizer.kind == OptimizerKind::adam || optimizer.kind == OptimizerKind::adamw)
      run.second_moment = v.data();
    const int64_t batches = (rows + batch - 1) / batch;
    const std::vector<double> rates(static_cast<std::size_t>(batches), 1e-3);
    Stretch result;
    net.steps(run, result, p.order.data(), rows, rates.data(), 0, batches);
    expect(result.done == batches && result.bad_batch == -1, "steps done", spec,
           static_cast<double>(result.done));
    if (batch == rows && plain && optimizer.momentum == 0 && drop == 0) {
      std::vector<T> g(theta.size());
      net.gradients(p.theta.data(), p.dense(), p.y.data(), nullptr, g.data());
      double worst = 0;
      for (std::size_t i = 0; i < g.size(); ++i)
        worst =
            std::max(worst, std::abs(double(theta[i]) - double(p.theta[i]) + 1e-3 * double(g[i])));
      expect(worst < 1e-6, "full step against the gradient", spec, worst);
    }
    std::vector<T> out(static_cast<std::size_t>(rows * spec.sizes.back()));
    predict<T>(spec, theta.data(), run.samples, false, out.data());
    for (const T o : out)
      if (!std::isfinite(o)) expect(false, "prediction", spec, double(o));
  }
}

// The objective of a full batch is C with the penalties; that of each batch adds up to the loss.
template <class T>
void check_objective(const NetworkSpec& spec, int64_t rows) {
  Problem<T> p(spec, rows, 6);
  const unsigned char stop = 0;
  const double l1 = 0.3, l2 = 0.5;
  double penalty = 0;
  std::size_t at = 0;
  for (int l = 0; l < spec.layers(); ++l) {
    const auto here = static_cast<std::size_t>(l);
    if (spec.bias[here]) at += static_cast<std::size_t>(spec.sizes[here + 1]);
    for (int64_t i = 0; i < spec.sizes[here] * spec.sizes[here + 1]; ++i, ++at)
      penalty += l1 * std::abs(double(p.theta[at])) + l2 / 2 * double(p.theta[at] * p.theta[at]);
  }
  std::vector<T> g(p.theta.size());
  for (const int64_t batch : {int64_t{1}, int64_t{3}, rows}) {
    Network<T> net(spec, rows);
    const double C = net.gradients(p.theta.data(), p.dense(), p.y.data(), nullptr, g.data());
    std::vector<T> theta = p.theta;
    const int64_t batches = (rows + batch - 1) / batch;
    std::vector<double> objective(static_cast<std::size_t>(batches));
    const std::vector<double> rates(objective.size(), 0.0);
    RunSpec<T> run{};
    run.samples = p.dense();
    run.targets = p.y.data();
    run.batch_size = batch;
    run.theta = theta.data();
    run.stop = &stop;
    run.objective = objective.data();
    Stretch stretch;
    net.steps(run, stretch, p.order.data(), rows, rates.data(), 0, batches);
    double total = 0;
    for (int64_t k = 0; k < batches; ++k)
      total += objective[static_cast<std::size_t>(k)] *
               static_cast<double>(std::min(batch, rows - k * batch));
    const double off = std::abs(total / static_cast<double>(rows) - C);
    expect(off < 1e-5 * (C + 1), "objective of each batch", spec, off);
    if (batch != rows) continue;
    run.l1 = l1;
    run.l2 = l2;
    for (const bool per_sample : {false, true}) {
      run.penalties_per_sample = per_sample;
      net.steps(run, stretch, p.order.data(), rows, rates.data(), 0, 1);
      const double wanted = C + penalty / (per_sample ? static_cast<double>(rows) : 1.0);
      const double error = std::abs(objective[0] - wanted);
      expect(error < 1e-5 * wanted, "objective with penalties", spec, error);
    }
  }
}

void all_functions() {
  for (int hidden = 0; hidden < static_cast<int>(Act::exp); ++hidden)
    check_gradient(
        make_spec({5, 17, 7, 3}, static_cast<Act>(hidden), Act::identity, LossKind::squared_error),
        33);
  const Act positive[] = {Act::sigmoid, Act::softmax};
  for (int loss = 0; loss <= static_cast<int>(LossKind::poisson); ++loss)
    for (const Act output : positive)
      check_gradient(make_spec({5, 17, 3}, Act::tanh, output, static_cast<LossKind>(loss)), 33);
  check_gradient(make_spec({5, 17, 3}, Act::tanh, Act::exp, LossKind::poisson), 33);
  const std::vector<int64_t> groups{3, 1, 8, 5};
  for (const LossKind loss : {LossKind::cross_entropy, LossKind::squared_error}) {
    NetworkSpec spec = make_spec({5, 17, 17}, Act::tanh, Act::softmax, loss);
    spec.groups = groups;
    check_gradient(spec, 33);  // squared error; or the entropy of all outputs as one group
    if (loss == LossKind::cross_entropy) {
      spec.loss_groups = groups;
      check_gradient(spec, 33);
      check_steps<float>(spec, 20, {}, false, 0);
      spec.groups.clear();
      check_gradient(spec, 33);
    }
  }
  const auto sum = LossKind::squared_error;
  for (const std::vector<int64_t>& sizes :
       {std::vector<int64_t>{4, 16, 3}, {5, 17, 7, 3}, {700, 600, 2}}) {
    check_objective<float>(make_spec(sizes, Act::tanh, Act::identity, sum), 33);
    check_objective<double>(make_spec(sizes, Act::tanh, Act::identity, sum), 33);
  }
}

void all_shapes() {
  std::mt19937 random(4);
  const std::vector<int64_t> widths{1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 33, 64, 70, 100};
  const auto width = [&] { return widths[random() % widths.size()]; };
  for (int i = 0; i < 60; ++i) {
    std::vector<int64_t> sizes{width(), width()};
    while (random() % 3 != 0 && sizes.size() < 5) sizes.push_back(width());
    const NetworkSpec spec =
        make_spec(sizes, i % 2 ? Act::sigmoid : Act::relu, Act::identity, LossKind::squared_error);
    const int64_t rows = 1 + static_cast<int64_t>(random() % 70);
    check_gradient(spec, rows);
    OptimizerSpec optimizer;
    optimizer.kind = static_cast<OptimizerKind>(i % 5);
    optimizer.momentum = i % 10 == 5 ? 0.9 : 0.0;
    check_steps<float>(spec, rows, optimizer, i % 3 == 0, i % 4 == 0 ? 0.3 : 0.0);
    check_steps<double>(spec, rows, optimizer, i % 4 == 0, i % 3 == 0 ? 0.3 : 0.0);
  }
  check_steps<float>(
      make_spec({300, 400, 500, 10}, Act::relu, Act::identity, LossKind::squared_error), 128, {},
      false, 0);
  check_gradient(make_spec({30, 40, 3}, Act::tanh, Act::identity, LossKind::squared_error), 1500);
}

// Several networks at once, large enough to want the pool.
void many_threads() {
  std::vector<std::thread> threads;
  std::vector<std::vector<float>> results(4);
  for (std::size_t t = 0; t < results.size(); ++t)
    threads.emplace_back([t, &results] {
      const NetworkSpec spec =
          make_spec({200, 300, 200, 10}, Act::relu, Act::identity, LossKind::squared_error);
      const Problem<float> p(spec, 256, 5);
      results[t].resize(p.theta.size());
      Network<float> net(spec, 256);
      for (int i = 0; i < 3; ++i)
        net.gradients(p.theta.data(), p.dense(), p.y.data(), nullptr, results[t].data());
    });
  for (std::thread& thread : threads) thread.join();
  const NetworkSpec spec = make_spec({1, 1}, Act::relu, Act::identity, LossKind::squared_error);
  for (const auto& result : results) expect(result == results[0], "bits under threads", spec, 0);
}

// Networks of which some layers are large: dense and sparse inputs, dropout, every optimizer, and
// batches that are taken in two pieces.
void large_layers() {
  const auto sum = LossKind::squared_error;
  const NetworkSpec some = make_spec({40, 300, 260, 7}, Act::relu, Act::identity, sum);
  const NetworkSpec odd = make_spec({130, 515, 3, 301, 250}, Act::gelu, Act::identity, sum);
  for (const NetworkSpec& spec : {some, odd}) {
    check_gradient(spec, 33);
    for (int kind = 0; kind < 5; ++kind)
      for (const double momentum : {0.0, 0.9}) {
        OptimizerSpec optimizer;
        optimizer.kind = static_cast<OptimizerKind>(kind);
        optimizer.momentum = momentum;
        check_steps<float>(spec, 33, optimizer, kind % 2 == 0, 0);
        check_steps<double>(spec, 33, optimizer, kind % 2 == 1, 0.3);
      }
  }
  check_gradient(make_spec({64, 128, 64, 3}, Act::tanh, Act::identity, sum), 1500);
  for (const int64_t rows : {1, 2, 3})  // few rows take dot products
    for (const Act hidden : {Act::tanh, Act::gelu})
      check_gradient(make_spec({700, 1600, 1024, 3}, hidden, Act::identity, sum), rows);
}

// Nothing moves in a batch whose loss is not finite.
void bad_batches() {
  const unsigned char stop = 0;
  std::vector<int64_t> deep(25, 60);
  for (const auto& sizes : {std::vector<int64_t>{4, 5, 3}, {4, 16, 3}, deep, {40, 300, 260, 7}}) {
    const NetworkSpec spec = make_spec(sizes, Act::tanh, Act::identity, LossKind::squared_error);
    Problem<float> p(spec, 120, 7);
    p.y[static_cast<std::size_t>(50 * sizes.back())] = std::numeric_limits<float>::infinity();
    for (const int64_t batch : {int64_t{1}, int64_t{40}}) {
      Network<float> net(spec, batch);
      std::vector<float> theta = p.theta;
      RunSpec<float> run{};
      run.samples = p.dense();
      run.targets = p.y.data();
      run.batch_size = batch;
      run.theta = theta.data();
      run.stop = &stop;
      std::vector<int64_t> order(120);
      for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int64_t>(i);
      const std::vector<double> rates(120, 1e-3);
      const int64_t bad = 50 / batch, batches = 120 / batch;
      Stretch result;
      net.steps(run, result, order.data(), 120, rates.data(), 0, batches);
      expect(result.bad_batch == bad && result.done == bad, "the bad batch", spec,
             static_cast<double>(result.bad_batch));
      std::vector<float> before = p.theta;
      run.theta = before.data();
      Stretch good;
      net.steps(run, good, order.data(), 120, rates.data(), 0, bad);
      expect(theta == before, "what a bad batch leaves alone", spec, static_cast<double>(batch));
    }
  }
}

// Many small layers, in blocks of rows and layer by layer.
void many_layers() {
  std::vector<int64_t> sizes(25, 60);
  sizes.back() = 7;
  const NetworkSpec spec = make_spec(sizes, Act::tanh, Act::identity, LossKind::squared_error);
  check_gradient(spec, 40);
  check_steps<float>(spec, 40, {}, false, 0);
  const Problem<float> p(spec, 400, 6);
  std::vector<float> first;
  for (const int threads : {1, 4}) {
    set_num_threads(threads);
    const unsigned char stop = 0;
    Network<float> net(spec, 40);
    std::vector<float> theta = p.theta;
    RunSpec<float> run{};
    run.samples = p.dense();
    run.targets = p.y.data();
    run.batch_size = 40;
    run.theta = theta.data();
    run.stop = &stop;
    const std::vector<double> rates(10, 1e-2);
    Stretch stretch;
    net.steps(run, stretch, p.order.data(), 400, rates.data(), 0, 10);
    if (first.empty()) first = theta;
    expect(theta == first, "bits in blocks of rows", spec, threads);
  }
  set_num_threads(0);
}

// The faster way is taken most of the time, also after it has changed.
void contests() {
  const NetworkSpec none = make_spec({1, 1}, Act::relu, Act::identity, LossKind::squared_error);
  Contest contest;
  for (const bool first_is_faster : {true, false, true}) {
    int first = 0;
    for (int run = 0; run < 4000; ++run) {
      const bool way = contest.first_way();
      first += way ? 1 : 0;
      contest.finished(way == first_is_faster ? 1.0 : 2.0);
    }
    expect(first_is_faster ? first > 3200 : first < 800, "runs of the first way", none, first);
  }
}

}  // namespace

int main() {
  all_functions();
  all_shapes();
  large_layers();
  bad_batches();
  many_layers();
  contests();
  many_threads();
  std::printf("core_test (%s): %d checks, %d failed\n", level_name(cpu_level()), checked, failed);
  return failed == 0 ? 0 : 1;
}
