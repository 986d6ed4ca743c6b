// Where the parameters of each layer lie: in theta itself, or in padded copies of small layers.
#pragma once

#include <cstdint>
#include <vector>

#include "machine/memory.hpp"
#include "network/run.hpp"
#include "spec.hpp"

namespace deltarule {

// Products of at least so many multiplications, with weights that fill more than a cache, are
// large.
constexpr int64_t kGemm = 1 << 20;

// Layer l = 1..L with its parameters [b; W] as one block of rows of `ld` elements: in theta itself,
// or in a padded copy where that makes the inner loops simpler (`packed`).
template <class T>
struct Layer {
  int64_t in = 0, out = 0, ld = 0;
  bool bias = false, packed = false, whole_vectors = false;
  Activation f;
  int64_t offset = 0;  // of b_l in theta

  T* block = nullptr;
  T* first = nullptr;  // moments and gradient, laid out as block
  T* second = nullptr;
  T* grad = nullptr;

  int64_t rows() const { return in + (bias ? 1 : 0); }
  int64_t size() const { return rows() * out; }
  int64_t block_size() const { return rows() * ld; }
  T* W() const { return weights(block); }
  T* b() const { return bias ? block : nullptr; }
  T* weights(T* of_block) const { return of_block + (bias ? ld : 0); }

  // Whether `gemm` makes its products with a batch of so many rows.
  bool by_gemm(int64_t batch_rows) const {
    return !whole_vectors || (!packed && batch_rows * in * out >= kGemm);
  }
  // Whether the gradient exists as a whole, or in tiles only.
  bool keeps_gradient(Mode mode, int64_t batch_rows) const {
    return mode != Mode::by_tiles || !by_gemm(batch_rows);
  }
};

// Which layers are copied to rows of whole vectors.
struct Padding {
  int64_t up_to;   // weights that such a layer has at most
  bool whole_too;  // also those whose rows are whole vectors anyway
};

template <class T>
class Layout {
 public:
  Layout(const NetworkSpec& spec, int64_t lanes, Padding padding);

  std::size_t L() const { return layers_.size() - 1; }
  const Layer<T>& operator[](std::size_t l) const { return layers_[l]; }  // 1..L

  // Points every layer at its block of theta (and of the moments, if they are given), or at a
  // padded copy that is filled here; `store` writes the copies back.
  void load(T* theta, T* first, T* second);
  void store(T* theta, T* first, T* second) const;

  // Room for the gradients that a batch of `rows` keeps.
  void need_gradients(Mode mode, int64_t rows);
  void store_gradient(T* gradient) const;

 private:
  std::vector<Layer<T>> layers_;              // the first stands for the inputs and is empty
  int64_t packed_ = 0;                        // elements of all padded copies
  Buffer<T> blocks_, first_, second_, grad_;  // of the layers, one after another
};

}  // namespace deltarule
