// The table of inner loops that each CPU level fills (see level.cpp); the rest of the core calls
// through it and is compiled once, for the oldest CPU.
#pragma once

#include "spec.hpp"

namespace deltarule {

// What a small product does with its sums S = A B.
enum class Store : int {
  set,       // C = S (+ bias row)
  scaled,    // C = alpha S
  add,       // C += alpha S
  momentum,  // V = mu V + alpha S; C += V
};

// Rows of a matrix that will be read soon: an update asks for them, a few lines with each tile.
template <class T>
struct Ahead {
  const T* x = nullptr;
  int64_t ld = 0;
  const int64_t* order = nullptr;
  int64_t rows = 0;
};

// C (m, n) from A (m, k) and B (k, n), row-major. n, ldb, ldc are multiples of the vector length
// (rows are padded with zeros); A is read element by element, with any strides, one of them 1.
template <class T>
struct Product {
  int64_t m, n, k;
  const T* a;
  int64_t a_row, a_column;  // strides of A
  const T* b;
  int64_t ldb;
  T* c;
  int64_t ldc;
  Store store = Store::set;
  const T* bias = nullptr;  // (n,), for Store::set
  T alpha = 1;
  T mu = 0;
  T* velocity = nullptr;  // laid out as C
  Ahead<T> ahead = {};    // not for Store::set
};

// A block of rows whose elements are treated alike; columns need not fill whole vectors.
template <class T>
struct Rows {
  T* data;
  int64_t rows, columns, ld;
};

// A net with one hidden layer that fits in registers, trained one sample at a time by plain SGD.
template <class T>
struct TinyRun {
  int64_t n_in, n_hidden, n_out;
  Act hidden;
  bool binary;  // sigmoid output with log loss, else linear outputs with squared error
  T* w1;        // [b_1; W_1] with rows of ld1, padded with zeros
  T* w2;
  int64_t ld1, ld2;
  bool bias1, bias2;
  const T* x;
  const T* y;
  const int64_t* order;  // the row of each step
  const double* rates;   // the learning rate of each step
  int64_t steps;
  const volatile unsigned char* stop;
  double loss_sum;    // goes on from what it holds
  bool bad;           // out: the loss of the step after the last one done is not finite
  double* objective;  // takes the loss of each step, or nullptr
};

// A tile of a large product.
template <class T>
struct TileArgs {
  const T* a;  // the tile's first row of op(A)
  int64_t as;  // between rows (row-major A), or between steps of k (transposed or packed A)
  const T* b;  // the tile's first column of op(B)
  int64_t bs;  // between steps of k
  T* c;
  int64_t cs;
  int64_t k;
  T alpha, beta;
  int tail;  // live lanes of the last vector, 1 .. lanes
};

// What gemm is made of: see gemm_tiles.hpp.
template <class T>
struct GemmTiles {
  static constexpr int kMaxRows = 14;  // of the tallest tile of any level
  static constexpr int kWidths = 4;    // tiles are 1, 2, 4 or 8 vectors wide

  using Kernel = void (*)(const TileArgs<T>&);
  int max_rows[kWidths];              // tallest tile for each number of vectors
  Kernel by_row[kWidths][kMaxRows];   // A row-major; [log2(vectors)][rows - 1], null above max_rows
  Kernel by_step[kWidths][kMaxRows];  // A transposed or packed: the rows of one k lie side by side

  // Both write up to a vector's elements more than asked for behind each strip.
  // Cuts rows into strips of `strip` elements that lie `apart` from each other:
  // to[j / strip * apart + p * strip + j % strip] = from[p * ld + j] for p < k, j < columns.
  void (*copy)(T* to, int64_t strip, int64_t apart, const T* from, int64_t ld, int64_t columns,
               int64_t k);
  // One strip of a transposed matrix: to[p * strip + j] = from[j * ld + p] for p < k, j < columns.
  void (*transpose)(T* to, int64_t strip, const T* from, int64_t ld, int64_t columns, int64_t k);
};

template <class T>
struct Kernels {
  int lanes;  // vector length

  GemmTiles<T> gemm;

  void (*product)(const Product<T>& p);

  // out (columns, ldo) = W^T for W (rows, columns); out's rows are padded with zeros up to a
  // multiple of the vector length.
  void (*transpose)(const T* w, int64_t ldw, int64_t rows, int64_t columns, T* out, int64_t ldo);

  // y (n, padded) = x W + b for one row x, W with rows of exactly ldw elements and any alignment;
  // nothing is read outside W and b (n,).
  void (*row_times_matrix)(const T* x, const T* w, int64_t ldw, const T* b, int64_t k, int64_t n,
                           T* y);

  // D (m, n) = G (m, k) W^T for few rows: W (n, k padded), rows dotted with rows.
  void (*rows_dot_rows)(const T* g, int64_t ldg, const T* w, int64_t ldw, int64_t m, int64_t n,
                        int64_t k, T* d, int64_t ldd);

  // out (columns,) = scale * sum over the rows.
  void (*column_sums)(const Rows<T>& x, T scale, T* out);

  // z -> f(z) in place; `slope`, laid out alike, takes f'(z) if given.
  void (*activate)(Activation f, const Rows<T>& z, T* slope);

  // d *= f'(z), from a = f(z) (only for activations with slope_from_output).
  void (*times_slope)(Activation f, const Rows<T>& d, const T* a, int64_t lda);

  void (*multiply)(const Rows<T>& d, const T* s, int64_t lds);

  // From z_L (rows, columns), padded with anything: delta_L (times w_i if given) into `delta`, with
  // zeros in the padding (which must be there before if the outputs are in groups), and sum of
  // w_i J_i. `slope` is scratch laid out as z; z becomes a_L unless the pair is fused.
  double (*output_delta)(const Output& output, const Rows<T>& z, const T* y, const T* w, T* delta,
                         T* slope);

  // softmax of each row, group by group, in place.
  void (*softmax)(Groups groups, const Rows<T>& z);

  // One optimizer step on n parameters (any count): g is the gradient, m and v its state.
  void (*update)(const OptimizerSpec& o, T rate, double rate_t, int64_t n, T* theta, const T* g,
                 T* m, T* v);

  // g += l1 sign(w) + l2 w; returns l1 sum |w| + l2/2 sum w^2 if `value`, else 0.
  double (*penalize)(T l1, T l2, int64_t n, const T* w, T* g, bool value);

  double (*sum_of_squares)(const T* x, int64_t n);
  void (*scale)(T factor, T* x, int64_t n);

  // y += alpha x, any n.
  void (*axpy)(T alpha, const T* x, T* y, int64_t n);

  // The rows x[order[i]] side by side.
  void (*gather)(const T* x, int64_t ldx, const int64_t* order, const Rows<T>& out);

  // The dropout factors of a layer, as dropout.py defines them, element by element from `first`.
  void (*dropout)(double rate, std::uint64_t key, std::uint64_t first, const Rows<T>& out);

  bool (*tiny_fits)(int64_t n_in, int64_t n_hidden, int64_t n_out, Act hidden);
  int64_t (*tiny_steps)(TinyRun<T>& run);
};

// Whether f'(z) can be had from f(z) alone, cheaply.
inline bool slope_from_output(Activation f) {
  switch (f.kind) {
    case Act::identity:
    case Act::sigmoid:
    case Act::tanh:
    case Act::relu:
    case Act::selu:
    case Act::softsign:
    case Act::exp: return true;
    case Act::leaky_relu:
    case Act::elu: return f.parameter >= 0;
    default: return false;
  }
}

template <class T>
const Kernels<T>& kernels();  // of cpu_level()

}  // namespace deltarule
