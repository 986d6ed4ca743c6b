// The Python module deltarule._core: arrays in, arrays out, the GIL released. No maths here.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <optional>

#include "cpu.hpp"
#include "network.hpp"
#include "pool.hpp"

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

NetworkSpec make_spec(std::vector<int64_t> sizes, const std::vector<int>& activations,
                      const std::vector<double>& parameters, std::vector<bool> bias, int loss,
                      double loss_parameter) {
  NetworkSpec spec;
  spec.sizes = std::move(sizes);
  for (std::size_t l = 0; l < activations.size(); ++l)
    spec.activations.push_back({static_cast<Act>(activations[l]), parameters[l]});
  spec.bias = std::move(bias);
  spec.loss = {static_cast<LossKind>(loss), loss_parameter};
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
template <class A>
auto data_or_null(const std::optional<A>& array) {
  return array ? array->data() : nullptr;
}

template <class T, class X>
double gradients(Network<T>& net, In<T> theta, X x, In<T> y, std::optional<In<T>> weight, Out<T> gradient) {
  const Samples<T> samples = samples_of<T>(x);
  const nb::gil_scoped_release released;
  return net.gradients(theta.data(), samples, y.data(), data_or_null(weight), gradient.data());
}

template <class T, class X>
nb::tuple steps(Network<T>& net, Out<T> theta, X x, In<T> y, std::optional<In<T>> weight,
                int64_t batch_size, const OptimizerSpec& optimizer, std::optional<Out<T>> first_moment,
                std::optional<Out<T>> second_moment, int64_t steps_before, double loss_before, double weight_before, double l1, double l2,
                double clip_norm, std::uint64_t seed, nb::ndarray<const std::uint8_t, nb::c_contig> stop,
                In<int64_t> order, In<double> rates, int64_t first, int64_t last) {
  const RunSpec<T> run{samples_of<T>(x), y.data(),
                       data_or_null(weight), batch_size,
                       optimizer, l1,
                       l2, clip_norm,
                       seed, theta.data(),
                       data_or_null(first_moment), data_or_null(second_moment),
                       steps_before, loss_before,
                       weight_before, stop.data()};
  StretchResult result;
  {
    const nb::gil_scoped_release released;
    result = net.steps(run, order.data(), static_cast<int64_t>(order.shape(0)), rates.data(), first, last);
  }
  return nb::make_tuple(result.loss_sum, result.weight_sum, result.done, result.bad_batch,
                        result.gradient_norms);
}

template <class T, class X>
void predict_rows(const NetworkSpec& spec, In<T> theta, X x, bool scores, Out<T> out) {
  const Samples<T> samples = samples_of<T>(x);
  const nb::gil_scoped_release released;
  predict<T>(spec, theta.data(), samples, scores, out.data());
}

template <class T>
void bind_network(nb::module_& m, const char* name) {
  nb::class_<Network<T>>(m, name, "A network laid out for batches of at most `rows` rows.")
      .def(nb::init<NetworkSpec, int64_t, std::vector<double>>(), "spec"_a, "rows"_a, "dropout"_a)
      .def("gradients", &gradients<T, In<T>>, "theta"_a, "x"_a, "y"_a, "weight"_a.none(), "gradient"_a)
      .def("gradients", &gradients<T, Csr<T>>, "theta"_a, "x"_a, "y"_a, "weight"_a.none(), "gradient"_a)
      .def("steps", &steps<T, In<T>>, "theta"_a, "x"_a, "y"_a, "weight"_a.none(), "batch_size"_a,
           "optimizer"_a, "first_moment"_a.none(), "second_moment"_a.none(), "steps_before"_a, "loss_before"_a,
           "weight_before"_a, "l1"_a,
           "l2"_a, "clip_norm"_a, "seed"_a, "stop"_a, "order"_a, "rates"_a, "first"_a, "last"_a)
      .def("steps", &steps<T, Csr<T>>, "theta"_a, "x"_a, "y"_a, "weight"_a.none(), "batch_size"_a,
           "optimizer"_a, "first_moment"_a.none(), "second_moment"_a.none(), "steps_before"_a, "loss_before"_a,
           "weight_before"_a, "l1"_a,
           "l2"_a, "clip_norm"_a, "seed"_a, "stop"_a, "order"_a, "rates"_a, "first"_a, "last"_a);
  m.def("predict", &predict_rows<T, In<T>>, "spec"_a, "theta"_a, "x"_a, "scores"_a, "out"_a);
  m.def("predict", &predict_rows<T, Csr<T>>, "spec"_a, "theta"_a, "x"_a, "scores"_a, "out"_a);
}

}  // namespace

NB_MODULE(_core, m) {
  m.doc() = "The compiled core of deltarule; used through deltarule.engines.native.";
  nb::class_<NetworkSpec>(m, "NetworkSpec", "Sizes, activations and loss, by number.")
      .def("__init__",
           [](NetworkSpec* self, std::vector<int64_t> sizes, const std::vector<int>& activations,
              const std::vector<double>& parameters, std::vector<bool> bias, int loss,
              double loss_parameter) {
             new (self) NetworkSpec(make_spec(std::move(sizes), activations, parameters, std::move(bias),
                                              loss, loss_parameter));
           },
           "sizes"_a, "activations"_a, "parameters"_a, "bias"_a, "loss"_a, "loss_parameter"_a);
  nb::class_<OptimizerSpec>(m, "OptimizerSpec", "The settings of an optimizer.")
      .def("__init__",
           [](OptimizerSpec* self, int kind, double momentum, bool nesterov, double rho, double beta_1,
              double beta_2, double epsilon, double weight_decay) {
             new (self) OptimizerSpec{static_cast<OptimizerKind>(kind), momentum, nesterov, rho, beta_1,
                                      beta_2, epsilon, weight_decay};
           },
           "kind"_a, "momentum"_a, "nesterov"_a, "rho"_a, "beta_1"_a, "beta_2"_a, "epsilon"_a,
           "weight_decay"_a);
  bind_network<float>(m, "Network32");
  bind_network<double>(m, "Network64");
  m.def("cpu_level", [] { return level_name(cpu_level()); }, "The CPU level whose kernels are in use.");
  m.def("get_num_threads", &get_num_threads);
  m.def("set_num_threads", &set_num_threads, "n"_a);
}

}  // namespace deltarule
