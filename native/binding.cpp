// The Python module deltarule._core: arrays in, arrays out, the GIL released. No maths here.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <limits>
#include <memory>
#include <numeric>
#include <optional>
#include <tuple>

#include "machine/cpu.hpp"
#include "machine/pool.hpp"
#include "network/network.hpp"
#include "network/predict.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace deltarule {
namespace {

template <class T>
using In = nb::ndarray<const T, nb::c_contig, nb::device::cpu>;
template <class T>
using Out = nb::ndarray<T, nb::c_contig, nb::device::cpu>;
template <class T>
using Csr = std::tuple<In<T>, In<int64_t>, In<int64_t>>;  // values, column indices, row starts

// The arrays come checked from deltarule.engines.native; sizes that do not fit would read beyond
// them.
void expect(bool fits, const char* what) {
  if (!fits) throw nb::value_error(what);
}

NetworkSpec make_spec(std::vector<int64_t> sizes, const std::vector<int>& activations,
                      const std::vector<double>& parameters, std::vector<bool> bias, int loss,
                      double loss_parameter, std::vector<int64_t> groups,
                      std::vector<int64_t> loss_groups) {
  NetworkSpec spec;
  spec.sizes = std::move(sizes);
  for (std::size_t l = 0; l < activations.size(); ++l)
    spec.activations.push_back({static_cast<Act>(activations[l]), parameters[l]});
  spec.bias = std::move(bias);
  spec.loss = {static_cast<LossKind>(loss), loss_parameter};
  expect(groups.empty() ||
             std::accumulate(groups.begin(), groups.end(), int64_t{0}) == spec.sizes.back(),
         "groups: they do not fill the outputs");
  spec.groups = std::move(groups);
  spec.loss_groups = std::move(loss_groups);
  return spec;
}

template <class T>
Samples<T> samples_of(const In<T>& x) {
  return {static_cast<int64_t>(x.shape(0)), x.data()};
}
template <class T>
Samples<T> samples_of(const Csr<T>& x) {
  return {static_cast<int64_t>(std::get<2>(x).shape(0)) - 1, nullptr, std::get<0>(x).data(),
          std::get<1>(x).data(), std::get<2>(x).data()};
}
template <class T>
bool width_fits(const NetworkSpec& spec, const In<T>& x) {
  return x.ndim() == 2 && static_cast<int64_t>(x.shape(1)) == spec.sizes.front();
}
template <class T>
bool width_fits(const NetworkSpec&, const Csr<T>&) {
  return true;  // the indices are those of a checked matrix
}
template <class A>
auto data_or_null(const std::optional<A>& array) {
  return array ? array->data() : nullptr;
}

template <class T, class X>
Samples<T> checked(const NetworkSpec& spec, const X& x, const In<T>* y,
                   const std::optional<In<T>>& weight) {
  const Samples<T> samples = samples_of<T>(x);
  if (samples.dense != nullptr || samples.rows == 0)
    expect(width_fits(spec, x), "x: wrong number of columns");
  if (y != nullptr)
    expect(static_cast<int64_t>(y->size()) == samples.rows * spec.sizes.back(), "y: wrong shape");
  if (weight) expect(static_cast<int64_t>(weight->size()) == samples.rows, "weight: wrong length");
  return samples;
}

constexpr int64_t kReleaseFrom =
    10'000;  // elements: below, releasing the GIL costs more than it gives

template <class T, class X>
double gradients(Network<T>& net, In<T> theta, X x, In<T> y, std::optional<In<T>> weight,
                 Out<T> gradient) {
  const Samples<T> samples = checked<T>(net.spec(), x, &y, weight);
  expect(static_cast<int64_t>(theta.size()) == net.spec().parameters() &&
             gradient.size() == theta.size(),
         "theta: wrong length");
  const nb::gil_scoped_release released;
  return net.gradients(theta.data(), samples, y.data(), data_or_null(weight), gradient.data());
}

// A run and the arrays that it points into.
template <class T>
struct BoundRun {
  RunSpec<T> run;
  NetworkSpec spec;  // that it was checked against
  int64_t batches;   // that the objective has room for
  std::shared_ptr<void> arrays;
};

template <class T, class X>
void bind_run(BoundRun<T>* self, const NetworkSpec& spec, Out<T> theta, X x, In<T> y,
              std::optional<In<T>> weight, int64_t batch_size, const OptimizerSpec& optimizer,
              std::optional<Out<T>> first_moment, std::optional<Out<T>> second_moment, double l1,
              double l2, bool penalties_per_sample, double clip_norm, std::uint64_t seed,
              nb::ndarray<const std::uint8_t, nb::c_contig> stop,
              std::optional<Out<double>> objective) {
  const auto length = static_cast<std::size_t>(spec.parameters());
  expect(theta.size() == length, "theta: wrong length");
  expect(!first_moment || first_moment->size() == length, "first_moment: wrong length");
  expect(!second_moment || second_moment->size() == length, "second_moment: wrong length");
  expect(batch_size >= 1, "batch_size: no rows");
  RunSpec<T> run{checked<T>(spec, x, &y, weight), y.data(), data_or_null(weight), batch_size,
                 optimizer};
  run.l1 = l1;
  run.l2 = l2;
  run.penalties_per_sample = penalties_per_sample;
  run.clip_norm = clip_norm;
  run.seed = seed;
  run.theta = theta.data();
  run.first_moment = data_or_null(first_moment);
  run.second_moment = data_or_null(second_moment);
  run.stop = stop.data();
  run.objective = data_or_null(objective);
  std::tuple held{theta, x, y, weight, first_moment, second_moment, stop, objective};
  const int64_t batches =
      objective ? static_cast<int64_t>(objective->size()) : std::numeric_limits<int64_t>::max();
  new (self) BoundRun<T>{run, spec, batches, std::make_shared<decltype(held)>(std::move(held))};
}

template <class T>
void steps(Network<T>& net, const BoundRun<T>& bound, Stretch& stretch, In<int64_t> order,
           In<double> rates, int64_t first, int64_t last) {
  expect(bound.spec.sizes == net.spec().sizes && bound.spec.bias == net.spec().bias,
         "run: of another network");
  expect(0 <= first && static_cast<std::size_t>(last) <= rates.size() &&
             (last - 1) * bound.run.batch_size < static_cast<int64_t>(order.size()),
         "batches beyond the epoch");
  expect(last <= bound.batches, "objective: fewer places than batches");
  const nb::gil_scoped_release released;
  net.steps(bound.run, stretch, order.data(), static_cast<int64_t>(order.shape(0)), rates.data(),
            first, last);
}

template <class T, class X>
void predict_rows(const NetworkSpec& spec, In<T> theta, X x, bool scores, Out<T> out) {
  const Samples<T> samples = checked<T>(spec, x, nullptr, std::nullopt);
  expect(static_cast<int64_t>(out.size()) == samples.rows * spec.sizes.back(), "out: wrong shape");
  const nb::gil_scoped_release released;
  predict<T>(spec, theta.data(), samples, scores, out.data());
}

// Predicts rows that need no checks by the caller: false, with `out` unset, if their number of
// columns is wrong or one is not finite.
template <class T>
bool predict_checked(const NetworkSpec& spec, In<T> theta,
                     nb::ndarray<const T, nb::ndim<2>, nb::c_contig> x,
                     nb::ndarray<T, nb::ndim<2>, nb::c_contig> out) {
  const auto rows = static_cast<int64_t>(x.shape(0));
  if (static_cast<int64_t>(x.shape(1)) != spec.sizes.front()) return false;
  if (!all_finite(x.data(), rows * spec.sizes.front())) return false;
  if (rows * spec.sizes.front() < kReleaseFrom &&
      static_cast<int64_t>(theta.size()) < kReleaseFrom) {
    predict<T>(spec, theta.data(), {rows, x.data()}, false, out.data());
    return true;
  }
  const nb::gil_scoped_release released;
  predict<T>(spec, theta.data(), {rows, x.data()}, false, out.data());
  return true;
}

// The same for dense samples and for CSR.
template <class T, class X>
void bind_samples(nb::module_& m, nb::class_<Network<T>>& network, nb::class_<BoundRun<T>>& run) {
  network.def("gradients", &gradients<T, X>, "theta"_a.noconvert(), "x"_a.noconvert(),
              "y"_a.noconvert(), "weight"_a.noconvert().none(), "gradient"_a.noconvert());
  run.def("__init__", &bind_run<T, X>, "spec"_a, "theta"_a.noconvert(), "x"_a.noconvert(),
          "y"_a.noconvert(), "weight"_a.noconvert().none(), "batch_size"_a, "optimizer"_a,
          "first_moment"_a.noconvert().none(), "second_moment"_a.noconvert().none(), "l1"_a, "l2"_a,
          "penalties_per_sample"_a, "clip_norm"_a, "seed"_a, "stop"_a.noconvert(),
          "objective"_a.noconvert().none());
  m.def("predict", &predict_rows<T, X>, "spec"_a, "theta"_a.noconvert(), "x"_a.noconvert(),
        "scores"_a, "out"_a.noconvert());
}

template <class T>
void bind_type(nb::module_& m, const char* network_name, const char* run_name) {
  nb::class_<BoundRun<T>> run(m, run_name, "A training run with its arrays: see engines/base.py.");
  nb::class_<Network<T>> network(m, network_name,
                                 "A network laid out for batches of at most `rows` rows.");
  network.def(nb::init<NetworkSpec, int64_t, std::vector<double>>(), "spec"_a, "rows"_a,
              "dropout"_a);
  network.def("steps", &steps<T>, "run"_a, "stretch"_a, "order"_a.noconvert(),
              "rates"_a.noconvert(), "first"_a, "last"_a);
  bind_samples<T, In<T>>(m, network, run);
  m.def("predict_checked", &predict_checked<T>, "spec"_a, "theta"_a.noconvert(), "x"_a.noconvert(),
        "out"_a.noconvert());
  bind_samples<T, Csr<T>>(m, network, run);
}

// The names of an enum as a tuple.
template <class E>
nb::tuple names_of() {
  return nb::tuple(nb::str(names(E{})).attr("split")(", "));
}

}  // namespace

NB_MODULE(_core, m) {
  // A daemon thread may still hold a network when the process ends: no leak to warn of.
  nb::set_leak_warnings(false);
  m.doc() = "The compiled core of deltarule; used through deltarule.engines.native.";
  nb::class_<NetworkSpec>(m, "NetworkSpec", "Sizes, activations and loss, by number.")
      .def(
          "__init__",
          [](NetworkSpec* self, std::vector<int64_t> sizes, const std::vector<int>& activations,
             const std::vector<double>& parameters, std::vector<bool> bias, int loss,
             double loss_parameter, std::vector<int64_t> groups, std::vector<int64_t> loss_groups) {
            new (self) NetworkSpec(make_spec(std::move(sizes), activations, parameters,
                                             std::move(bias), loss, loss_parameter,
                                             std::move(groups), std::move(loss_groups)));
          },
          "sizes"_a, "activations"_a, "parameters"_a, "bias"_a, "loss"_a, "loss_parameter"_a,
          "groups"_a, "loss_groups"_a);
  nb::class_<OptimizerSpec>(m, "OptimizerSpec", "The settings of an optimizer.")
      .def(
          "__init__",
          [](OptimizerSpec* self, int kind, double momentum, bool nesterov, double rho,
             double beta_1, double beta_2, double epsilon, double weight_decay) {
            new (self) OptimizerSpec{static_cast<OptimizerKind>(kind),
                                     momentum,
                                     nesterov,
                                     rho,
                                     beta_1,
                                     beta_2,
                                     epsilon,
                                     weight_decay};
          },
          "kind"_a, "momentum"_a, "nesterov"_a, "rho"_a, "beta_1"_a, "beta_2"_a, "epsilon"_a,
          "weight_decay"_a);
  nb::class_<Stretch>(m, "Stretch", "What has come of a stretch of batches so far.")
      .def(
          "__init__", [](Stretch* self, int64_t steps_before) { new (self) Stretch{steps_before}; },
          "steps_before"_a)
      .def_ro("loss_sum", &Stretch::loss_sum)
      .def_ro("weight_sum", &Stretch::weight_sum)
      .def_ro("done", &Stretch::done)
      .def_ro("bad_batch", &Stretch::bad_batch)
      .def_ro("gradient_norms", &Stretch::gradient_norms);
  bind_type<float>(m, "Network32", "Run32");
  bind_type<double>(m, "Network64", "Run64");
  m.attr("ACTIVATIONS") = names_of<Act>();
  m.attr("LOSSES") = names_of<LossKind>();
  m.attr("OPTIMIZERS") = names_of<OptimizerKind>();
  m.def(
      "cpu_level", [] { return level_name(cpu_level()); },
      "The CPU level whose kernels are in use.");
  m.def("get_num_threads", &get_num_threads);
  m.def("set_num_threads", &set_num_threads, "n"_a);
}

}  // namespace deltarule
