// Nets with one small hidden layer, trained one sample at a time: the parameters never leave the
// registers, so a step costs little more than the latency of its longest chain of operations.
#pragma once

#include <limits>

#include "kernels/elementwise.hpp"

namespace deltarule::DELTARULE_LEVEL {

constexpr int64_t kTinyInputs = 4, kTinyHidden = 16, kTinyOutputs = 4;

// The total of each aligned group of `Width` lanes, in every lane of the group.
template <int Shift, class T, int... I>
DELTARULE_INLINE Vec<T> exchange(Vec<T> v, std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(v, v, (I ^ Shift)...);
}
template <class T, int Width>
DELTARULE_INLINE Vec<T> sum_groups(Vec<T> v) {
  if constexpr (Width == 1) {
    return v;
  } else {
    constexpr int shift = Width / 2;
    return sum_groups<T, shift>(
        v + exchange<shift, T>(v, std::make_integer_sequence<int, kLanes<T>>{}));
  }
}

// The sum of x[k] factor(k), by halves: a short chain.
template <class T, int N, int First = 0, class F>
DELTARULE_INLINE Vec<T> sum_products(const Vec<T>* x, F&& factor) {
  if constexpr (N == 1) {
    return x[First] * factor(Index<First>{});
  } else {
    constexpr int half = N / 2;
    return sum_products<T, half, First>(x, factor) +
           sum_products<T, N - half, First + half>(x, factor);
  }
}

// Inputs, Outputs: room for n_in and n_out; Vectors: of the hidden layer; Width: lanes to add up.
// Binary: sigmoid output with log loss, else linear outputs with squared error; delta is o - y in
// both.
template <class T, Act K, int Inputs, int Outputs, int Vectors, int Width, bool Binary>
int64_t tiny_loop(TinyRun<T>& run) {
  using V = Vec<T>;
  constexpr int L = kLanes<T>;
  constexpr T largest = std::numeric_limits<T>::max();
  const int64_t n_in = run.n_in, n_out = run.n_out;
  const T one1 = run.bias1 ? T(1) : T(0), one2 = run.bias2 ? T(1) : T(0);
  V b1[Vectors], W1[Inputs * Vectors], b2[Outputs], W2[Outputs * Vectors];  // W2 by columns
  Ints<T> real[Vectors];
  unroll<Vectors>([&](auto v) {
    const int64_t left = run.n_hidden - v * L;
    real[v] = first_lanes<T>(static_cast<int>(left < 0 ? 0 : left < L ? left : L));
    b1[v] = run.bias1 ? load(run.w1 + v * L) : splat<T>(T(0));
    unroll<Inputs>([&](auto i) {
      const T* row = run.w1 + (i + (run.bias1 ? 1 : 0)) * run.ld1 + v * L;
      W1[i * Vectors + v] = i < n_in && left > 0 ? load(row) : splat<T>(T(0));
    });
  });
  unroll<Outputs>([&](auto k) {
    b2[k] = splat<T>(k < n_out && run.bias2 ? run.w2[k] : T(0));
    unroll<Vectors>([&](auto v) {
      V column = splat<T>(T(0));
      for (int lane = 0; lane < L; ++lane) {
        const int64_t h = v * L + lane;
        if (k < n_out && h < run.n_hidden)
          column[lane] = run.w2[(h + (run.bias2 ? 1 : 0)) * run.ld2 + k];
      }
      W2[k * Vectors + v] = column;
    });
  });

  double* const objective = run.objective;
  double total = run.loss_sum;
  bool bad = false;
  int64_t step = 0;
  for (; step < run.steps; ++step) {
    const T* x = run.x + run.order[step] * n_in;
    const T* y = run.y + run.order[step] * n_out;
    const T rate = static_cast<T>(-run.rates[step]);
    V in[Inputs], a[Vectors], slope[Vectors];
    unroll<Inputs>([&](auto i) {
      in[i] = splat<T>(i < (Inputs + 1) / 2 || i < n_in ? x[i < n_in ? int64_t(i) : 0] : T(0));
      if (i >= n_in) in[i] = splat<T>(T(0));
    });
    unroll<Vectors>([&](auto v) {
      V even = b1[v], odd = splat<T>(T(0));
      unroll<Inputs>([&](auto i) {
        if constexpr (i % 2 == 0)
          even = in[i] * W1[i * Vectors + v] + even;
        else
          odd = in[i] * W1[i * Vectors + v] + odd;
      });
      const V value = activation<T, K>(even + odd, T(0)).a;
      a[v] = keep<T>(real[v], value);
      slope[v] = slope_of<T, K>(a[v], T(0));
    });

    // dC/dz_1 is delta_2 times these: what does not wait for delta_2 is done before it comes.
    V reach[Outputs * Vectors];
    unroll<Outputs>([&](auto k) {
      unroll<Vectors>(
          [&](auto v) { reach[k * Vectors + v] = (W2[k * Vectors + v] * rate) * slope[v]; });
    });
    V delta[Outputs], back[Vectors];
    V loss = splat<T>(T(0));
    unroll<Outputs>([&](auto k) {
      V sums = a[0] * W2[k * Vectors];
      unroll<Vectors - 1>([&](auto v) { sums = a[v + 1] * W2[k * Vectors + v + 1] + sums; });
      const V target = splat<T>(k < n_out ? y[k < n_out ? int64_t(k) : 0] : T(0));
      if constexpr (Binary) {
        const V z = sum_groups<T, Width>(sums) + b2[k];
        delta[k] = activation<T, Act::sigmoid>(z, T(0)).a - target;
        loss = loss + (activation<T, Act::softplus>(z, T(0)).a - z * target);
      } else {
        delta[k] = sum_groups<T, Width>(sums) + (b2[k] - target);
        loss = T(0.5) * delta[k] * delta[k] + loss;
      }
    });
    const T J = loss[0];
    if (!(J <= largest)) {
      bad = true;
      break;
    }
    total += static_cast<double>(J);
    if (objective != nullptr) objective[step] = static_cast<double>(J);
    unroll<Vectors>([&](auto v) {
      back[v] = sum_products<T, Outputs>(delta, [&](auto k) { return reach[k * Vectors + v]; });
    });
    unroll<Outputs>([&](auto k) {
      const V move = delta[k] * rate;
      b2[k] = b2[k] + move * one2;
      unroll<Vectors>([&](auto v) { W2[k * Vectors + v] = move * a[v] + W2[k * Vectors + v]; });
    });
    unroll<Vectors>([&](auto v) {
      b1[v] = b1[v] + back[v] * one1;
      unroll<Inputs>([&](auto i) { W1[i * Vectors + v] = in[i] * back[v] + W1[i * Vectors + v]; });
    });
    if ((step & 1023) == 1023 && *run.stop != 0) {
      ++step;
      break;
    }
  }

  unroll<Vectors>([&](auto v) {
    if (v * L >= run.n_hidden) return;
    if (run.bias1) store<T>(run.w1 + v * L, b1[v]);
    unroll<Inputs>([&](auto i) {
      T* row = run.w1 + (i + (run.bias1 ? 1 : 0)) * run.ld1 + v * L;
      if (i < n_in) store<T>(row, W1[i * Vectors + v]);
    });
  });
  unroll<Outputs>([&](auto k) {
    if (k >= n_out) return;
    if (run.bias2) run.w2[k] = b2[k][0];
    unroll<Vectors>([&](auto v) {
      for (int lane = 0; lane < L; ++lane) {
        const int64_t h = v * L + lane;
        if (h < run.n_hidden)
          run.w2[(h + (run.bias2 ? 1 : 0)) * run.ld2 + k] = W2[k * Vectors + v][lane];
      }
    });
  });
  run.loss_sum = total;
  run.bad = bad;
  return step;
}

template <class T, Act K, int Inputs, int Outputs, bool Binary = false>
int64_t tiny_by_hidden(TinyRun<T>& run) {
  constexpr int L = kLanes<T>;
  if (run.n_hidden <= 2) return tiny_loop<T, K, Inputs, Outputs, 1, 2, Binary>(run);
  if (run.n_hidden <= 4)
    return tiny_loop<T, K, Inputs, Outputs, (L < 4 ? 4 / L : 1), (L < 4 ? L : 4), Binary>(run);
  return tiny_loop<T, K, Inputs, Outputs, (L < kTinyHidden ? kTinyHidden / L : 1), L, Binary>(run);
}
template <class T, Act K>
int64_t tiny_by_shape(TinyRun<T>& run) {
  if (run.binary)
    return run.n_in <= 2 ? tiny_by_hidden<T, K, 2, 1, true>(run)
                         : tiny_by_hidden<T, K, kTinyInputs, 1, true>(run);
  if (run.n_in <= 2)
    return run.n_out == 1 ? tiny_by_hidden<T, K, 2, 1>(run)
                          : tiny_by_hidden<T, K, 2, kTinyOutputs>(run);
  return run.n_out == 1 ? tiny_by_hidden<T, K, kTinyInputs, 1>(run)
                        : tiny_by_hidden<T, K, kTinyInputs, kTinyOutputs>(run);
}

template <class T>
bool tiny_fits(int64_t n_in, int64_t n_hidden, int64_t n_out, Act hidden) {
  return n_in <= kTinyInputs && n_hidden <= kTinyHidden && n_out <= kTinyOutputs &&
         (hidden == Act::sigmoid || hidden == Act::tanh || hidden == Act::relu);
}
template <class T>
int64_t tiny_steps(TinyRun<T>& run) {
  switch (run.hidden) {
    case Act::sigmoid: return tiny_by_shape<T, Act::sigmoid>(run);
    case Act::tanh: return tiny_by_shape<T, Act::tanh>(run);
    default: return tiny_by_shape<T, Act::relu>(run);
  }
}

}  // namespace deltarule::DELTARULE_LEVEL
