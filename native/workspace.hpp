// What a network keeps between steps: aligned, padded arrays for every layer, allocated once.
#pragma once

#include <cstring>
#include <new>

#include "network.hpp"

namespace deltarule {

// Zeroed memory on cache line boundaries.
template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(int64_t size) { reset(size); }
  ~Buffer() { release(); }
  Buffer(Buffer&& other) noexcept : data_(other.data_), size_(other.size_) {
    other.data_ = nullptr;
    other.size_ = 0;
  }
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }

  void reset(int64_t size) {
    release();
    data_ = static_cast<T*>(::operator new (bytes(size), std::align_val_t{64}));
    size_ = size;
    std::memset(data_, 0, bytes(size));
  }
  T* data() const { return data_; }
  int64_t size() const { return size_; }
  T& operator[](int64_t i) const { return data_[i]; }

 private:
  static std::size_t bytes(int64_t size) { return static_cast<std::size_t>(size) * sizeof(T) + 64; }
  void release() {
    if (data_ != nullptr) ::operator delete (data_, std::align_val_t{64});
    data_ = nullptr;
  }
  T* data_ = nullptr;
  int64_t size_ = 0;
};

inline int64_t round_up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }

// Layer l = 1..L with its parameters [b; W] as one block of rows of `ld` elements: in theta itself,
// or in a padded copy where that makes the inner loops simpler (`packed`).
template <class T>
struct Layer {
  int64_t in = 0, out = 0, ld = 0;
  bool bias = false, packed = false, whole_vectors = false;
  Activation f;
  int64_t offset = 0;  // of b_l in theta
  bool keeps_slope = false;

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
};

// Rows of units of one layer: `ld` leaves room for whole vectors and, before each row, for a 1:
// with it [1, a]^T delta is the gradient of [b; W] in one product.
template <class T>
struct Units {
  Buffer<T> storage;
  int64_t columns = 0, ld = 0, lead = 0;

  void reset(int64_t rows, int64_t n, int64_t lanes, bool ones) {
    columns = n;
    lead = ones ? lanes : 0;
    ld = round_up(n, lanes) + lead;
    if (ld * static_cast<int64_t>(sizeof(T)) % 1024 == 0)
      ld += lanes;  // rows in different cache sets
    storage.reset(rows * ld + lead);
    if (ones)
      for (int64_t r = 0; r < rows; ++r) row(r)[-1] = T(1);
  }
  T* data() const { return storage.data() + lead; }
  T* row(int64_t r) const { return data() + r * ld; }
  bool empty() const { return storage.data() == nullptr; }
};

template <class T>
class Workspace {
 public:
  std::vector<Units<T>> a;      // a_0..a_{L-1}; the last is z_L, then a_L
  std::vector<Units<T>> delta;  // delta_1..delta_L at their layer's index
  std::vector<Units<T>> slope;  // f'(z_l) where it cannot be had from a_l
  Units<T> factors;             // of dropout
  Units<T> targets;
  Buffer<T> weights;  // of the samples of a batch
  Buffer<T> transposed;
  Buffer<T> sums;                             // of the deltas, for a bias
  Buffer<T> parameters, first, second, grad;  // packed blocks, one after another
  std::vector<int64_t> touched;               // rows of W_1 that a sparse batch meets
  std::vector<unsigned char> is_touched;
};

}  // namespace deltarule
