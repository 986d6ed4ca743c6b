// The Python module deltarule._core: arrays in, arrays out, the GIL released. No maths here.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <numeric>
#include <optional>

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
  expect(static_cast<int64_t>(theta.size()) == net.parameters() && gradient.size() == theta.size(),
         "theta: wrong length");
  const nb::gil_scoped_release released;
  return net.gradients(theta.data(), samples, y.data(), data_or_null(weight), gradient.data());
}

template <class T, class X>
nb::tuple steps(Network<T>& net, Out<T> theta, X x, In<T> y, std::optional<In<T>> weight,
                int64_t batch_size, const OptimizerSpec& optimizer,
                std::optional<Out<T>> first_moment, std::optional<Out<T>> second_moment,
                int64_t steps_before, double loss_before, double weight_before, double l1,
                double l2, bool penalties_per_sample, double clip_norm, std::uint64_t seed,
                nb::ndarray<const std::uint8_t, nb::c_contig> stop,
                std::optional<Out<double>> objective, In<int64_t> order, In<double> rates,
                int64_t first, int64_t last) {
  const auto length = static_cast<std::size_t>(net.parameters());
  expect(theta.size() == length, "theta: wrong length");
  expect(!first_moment || first_moment->size() == length, "first_moment: wrong length");
  expect(!second_moment || second_moment->size() == length, "second_moment: wrong length");
  expect(0 <= first && batch_size >= 1 && static_cast<std::size_t>(last) <= rates.size() &&
             (last - 1) * batch_size < static_cast<int64_t>(order.size()),
         "batches beyond the epoch");
  expect(!objective || static_cast<int64_t>(objective->size()) >= last,
         "objective: fewer places than batches");
  const RunSpec<T> run{checked<T>(net.spec(), x, &y, weight),
                       y.data(),
                       data_or_null(weight),
                       batch_size,
                       optimizer,
                       l1,
                       l2,
                       penalties_per_sample,
                       clip_norm,
                       seed,
                       theta.data(),
                       data_or_null(first_moment),
                       data_or_null(second_moment),
                       steps_before,
                       loss_before,
                       weight_before,
                       stop.data(),
                       data_or_null(objective)};
  StretchResult result;
  {
    const nb::gil_scoped_release released;
    result = net.steps(run, order.data(), static_cast<int64_t>(order.shape(0)), rates.data(), first,
                       last);
  }
  return nb::make_tuple(result.loss_sum, result.weight_sum, result.done, result.bad_batch,
                        result.gradient_norms);
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

template <class T>
void bind_network(nb::module_& m, const char* name) {
  nb::class_<Network<T>>(m, name, "A network laid out for batches of at most `rows` rows.")
      .def(nb::init<NetworkSpec, int64_t, std::vector<double>>(), "spec"_a, "rows"_a, "dropout"_a)
      .def("gradients", &gradients<T, In<T>>, "theta"_a.noconvert(), "x"_a.noconvert(),
           "y"_a.noconvert(), "weight"_a.noconvert().none(), "gradient"_a.noconvert())
      .def("gradients", &gradients<T, Csr<T>>, "theta"_a.noconvert(), "x"_a.noconvert(),
           "y"_a.noconvert(), "weight"_a.noconvert().none(), "gradient"_a.noconvert())
      .def("steps", &steps<T, In<T>>, "theta"_a.noconvert(), "x"_a.noconvert(), "y"_a.noconvert(),
           "weight"_a.noconvert().none(), "batch_size"_a, "optimizer"_a,
           "first_moment"_a.noconvert().none(), "second_moment"_a.noconvert().none(),
           "steps_before"_a, "loss_before"_a, "weight_before"_a, "l1"_a, "l2"_a,
           "penalties_per_sample"_a, "clip_norm"_a, "seed"_a, "stop"_a.noconvert(),
           "objective"_a.noconvert().none(), "order"_a.noconvert(), "rates"_a.noconvert(),
           "first"_a, "last"_a)
      .def("steps", &steps<T, Csr<T>>, "theta"_a.noconvert(), "x"_a.noconvert(), "y"_a.noconvert(),
           "weight"_a.noconvert().none(), "batch_size"_a, "optimizer"_a,
           "first_moment"_a.noconvert().none(), "second_moment"_a.noconvert().none(),
           "steps_before"_a, "loss_before"_a, "weight_before"_a, "l1"_a, "l2"_a,
           "penalties_per_sample"_a, "clip_norm"_a, "seed"_a, "stop"_a.noconvert(),
           "objective"_a.noconvert().none(), "order"_a.noconvert(), "rates"_a.noconvert(),
           "first"_a, "last"_a);
  m.def("predict", &predict_rows<T, In<T>>, "spec"_a, "theta"_a.noconvert(), "x"_a.noconvert(),
        "scores"_a, "out"_a.noconvert());
  m.def("predict_checked", &predict_checked<T>, "spec"_a, "theta"_a.noconvert(), "x"_a.noconvert(),
        "out"_a.noconvert());
  m.def("predict", &predict_rows<T, Csr<T>>, "spec"_a, "theta"_a.noconvert(), "x"_a.noconvert(),
        "scores"_a, "out"_a.noconvert());
}

}  // namespace

NB_MODULE(_core, m) {
  // deltarule.engines.native keeps descriptions of networks until the process ends, on purpose.
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
  bind_network<float>(m, "Network32");
  bind_network<double>(m, "Network64");
  m.def(
      "cpu_level", [] { return level_name(cpu_level()); },
      "The CPU level whose kernels are in use.");
  m.def("get_num_threads", &get_num_threads);
  m.def("set_num_threads", &set_num_threads, "n"_a);
}

}  // namespace deltarule
