// What a network is, for the core: sizes, activations, loss. No Python, no arrays.
#pragma once

#include <cstdint>
#include <vector>

namespace deltarule {

using std::int64_t;

// An enum, and the names of its values in their order: "identity, sigmoid, ...".
#define DELTARULE_ENUM(Name, ...)        \
  enum class Name : int { __VA_ARGS__ }; \
  constexpr const char* names(Name) { return #__VA_ARGS__; }

DELTARULE_ENUM(Act, identity, sigmoid, tanh, relu, leaky_relu, elu, selu, gelu, silu, softplus,
               softsign, mish, exp, softmax)
DELTARULE_ENUM(LossKind, squared_error, log_loss, cross_entropy, absolute_error, huber, quantile,
               poisson)
DELTARULE_ENUM(OptimizerKind, sgd, adagrad, rmsprop, adam, adamw)

#undef DELTARULE_ENUM

// An activation with the number in brackets of a parametrized one ("leaky_relu(0.2)").
struct Activation {
  Act kind = Act::identity;
  double parameter = 0.0;
};

struct Loss {
  LossKind kind = LossKind::squared_error;
  double parameter = 0.0;
};

// Outputs side by side, each group of them a softmax of its own; none: one group of all.
struct Groups {
  const int64_t* sizes = nullptr;
  int64_t count = 0;
};

// The loss on the outputs of a network, as the kernels take it.
struct Output {
  Loss loss;
  Activation f;
  Groups groups;        // of a softmax f
  bool linked = false;  // f is the canonical activation of the loss: their fused forms hold
};

// Layers 0..L; activations and biases are those of layers 1..L.
struct NetworkSpec {
  std::vector<int64_t> sizes;
  std::vector<Activation> activations;
  std::vector<bool> bias;
  Loss loss;
  std::vector<int64_t> groups, loss_groups;  // of a softmax output, of a cross entropy

  int layers() const { return static_cast<int>(sizes.size()) - 1; }
  int64_t parameters() const {
    int64_t count = 0;
    for (std::size_t l = 0; l < bias.size(); ++l)
      count += (sizes[l] + (bias[l] ? 1 : 0)) * sizes[l + 1];
    return count;
  }
  Output output() const {
    const Activation f = activations.back();
    const bool pair = (loss.kind == LossKind::squared_error && f.kind == Act::identity) ||
                      (loss.kind == LossKind::log_loss && f.kind == Act::sigmoid) ||
                      (loss.kind == LossKind::cross_entropy && f.kind == Act::softmax) ||
                      (loss.kind == LossKind::poisson && f.kind == Act::exp);
    return {loss,
            f,
            {groups.data(), static_cast<int64_t>(groups.size())},
            pair && groups == loss_groups};
  }
};

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
