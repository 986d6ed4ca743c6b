// One batch through the network, some rows and one layer at a time. In which order, and on which
// threads, others decide: orders.cpp, by_jobs.cpp.
#pragma once

#include <cstring>
#include <vector>

#include "network/layout.hpp"
#include "network/workspace.hpp"

namespace deltarule {

constexpr int64_t kGrain = 32;     // rows that a thread takes at a time
constexpr int64_t kBlockRows = 8;  // rows of a full tile
constexpr int64_t kDotRows = 2;    // rows up to which dot products beat transposing the weights

// z = a W + b for some rows, where whole vectors can be read and written.
template <class T>
void dense_rows(const Kernels<T>& kernels, const Layer<T>& layer, int64_t rows, const T* a,
                int64_t lda, T* z, int64_t ldz) {
  Product<T> p{rows, layer.ld, layer.in, a, lda, 1, layer.W(), layer.ld, z, ldz};
  p.bias = layer.b();
  kernels.product(p);
}

// z = x W + b for one row x of a sparse matrix, whose elements in column j are multiplied by
// factor(j).
template <class T, class F>
void sparse_row(const Kernels<T>& kernels, const Layer<T>& layer, const Samples<T>& x, int64_t row,
                T* z, F&& factor) {
  if (layer.bias)
    std::memcpy(z, layer.b(), static_cast<std::size_t>(layer.out) * sizeof(T));
  else
    std::memset(z, 0, static_cast<std::size_t>(layer.out) * sizeof(T));
  for (int64_t e = x.starts[row]; e < x.starts[row + 1]; ++e) {
    const T value = x.values[e] * factor(x.indices[e]);
    if (value != 0) kernels.axpy(value, layer.W() + x.indices[e] * layer.ld, z, layer.out);
  }
}

template <class T>
class Pass {
 public:
  // `rows`: the largest batch that will come; `dropout`: the rates of a_0..a_{L-1}.
  Pass(const NetworkSpec& spec, const Layout<T>& layout, std::vector<double> dropout, int64_t rows);

  const Kernels<T>& kernels() const { return kernels_; }
  const Layout<T>& layout() const { return layout_; }
  const Workspace<T>& space() const { return space_; }
  bool sparse() const { return sparse_; }  // the samples of this call are CSR
  bool drops(std::size_t l) const { return dropout_[l] > 0 && !(l == 0 && sparse_); }
  bool by_gemm(std::size_t l, int64_t rows) const {
    return layout_[l].by_gemm(rows) && !(l == 1 && sparse_);
  }
  // f'(z_l) of a row, or nullptr if it is had from a_l.
  T* slope(std::size_t l, int64_t row) const {
    return space_.slope[l].empty() ? nullptr : space_.slope[l].row(row);
  }

  // Batches of these samples come next.
  void begin(const Samples<T>& samples);

  // The operations, on rows first .. first + rows - 1 of a batch. Of the same rows each needs those
  // before it; different rows may go at once.

  // Targets, weights and a_0 side by side.
  void gather(const Batch<T>& batch, int64_t first, int64_t rows);
  // a_l from a_{l-1}, or z_L; layers that are not by_gemm.
  void forward(std::size_t l, const Batch<T>& batch, int64_t first, int64_t rows);
  // Dropout on a_l and its slopes; part of gather and forward.
  void drop(std::size_t l, const Batch<T>& batch, int64_t first, int64_t rows);
  // delta_L; returns the sum of w_i J_i.
  double output(const Batch<T>& batch, int64_t first, int64_t rows);
  // delta_{l-1} from delta_l. `transposed`: W_l^T, or nullptr to take dot products with rows of
  // W_l.
  void backward(std::size_t l, int64_t first, int64_t rows, const T* transposed);
  // delta_l *= f'(z_l), for some columns; part of backward.
  void times_slope(std::size_t l, int64_t first, int64_t rows, int64_t column, int64_t columns);
  // Rows of the gradient of [b; W]_l, all samples of the batch: what becomes of it is the goal's
  // mode. That of sparse inputs is made at once.
  void accumulate(std::size_t l, const Batch<T>& batch, const Goal<T>& goal, int64_t first,
                  int64_t rows);
  // Rows of [b; W]_l whose gradient one task takes.
  int64_t gradient_rows(std::size_t l, int64_t batch_rows) const;

  // W_l^T
  void transpose(std::size_t l, T* to) const;
  // Room for W_l^T, kept.
  T* transposed(std::size_t l);

 private:
  T kept(double rate, std::uint64_t key, int64_t element) const;
  void accumulate_sparse(const Batch<T>& batch, const Goal<T>& goal);

  const Kernels<T>& kernels_;
  const Output output_;
  const int64_t chunk_;
  const std::vector<double> dropout_;
  const Layout<T>& layout_;
  Workspace<T> space_;
  bool sparse_ = false;
};

}  // namespace deltarule
