// What a network is, for the core: sizes, activations, loss. No Python, no arrays.
#pragma once

#include <cstdint>
#include <vector>

namespace deltarule {

using std::int64_t;

enum class Act : int {
  identity,
  sigmoid,
  tanh,
  relu,
  leaky_relu,
  elu,
  selu,
  gelu,
  silu,
  softplus,
  softsign,
  mish,
  exp,
  softmax
};

enum class LossKind : int {
  squared_error,
  log_loss,
  cross_entropy,
  absolute_error,
  huber,
  quantile,
  poisson
};

// An activation with the number in brackets of a parametrized one ("leaky_relu(0.2)").
struct Activation {
  Act kind = Act::identity;
  double parameter = 0.0;
};

struct Loss {
  LossKind kind = LossKind::squared_error;
  double parameter = 0.0;
};

// Layers 0..L; activations and biases are those of layers 1..L.
struct NetworkSpec {
  std::vector<int64_t> sizes;
  std::vector<Activation> activations;
  std::vector<bool> bias;
  Loss loss;

  int layers() const { return static_cast<int>(sizes.size()) - 1; }
};

enum class OptimizerKind : int { sgd, adagrad, rmsprop, adam, adamw };

struct OptimizerSpec {
  OptimizerKind kind = OptimizerKind::sgd;
  double momentum = 0.0;
  bool nesterov = false;
  double rho = 0.9;
  double beta_1 = 0.9;
  double beta_2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.0;
};

}  // namespace deltarule
