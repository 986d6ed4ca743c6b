// The engine of the core: a network laid out once, then batches run through it without allocation.
#pragma once

#include <memory>

#include "kernels/kernels.hpp"
#include "machine/contest.hpp"
#include "machine/denormals.hpp"
#include "machine/pool.hpp"

namespace deltarule {

// Samples: a dense row-major matrix, or CSR.
template <class T>
struct Samples {
  int64_t rows;
  const T* dense;  // (rows, n_0), or nullptr for CSR
  const T* values = nullptr;
  const int64_t* indices = nullptr;
  const int64_t* starts = nullptr;  // (rows + 1,)
};

// One training run, as engines/base.py describes it; theta and the moments are updated in place.
template <class T>
struct RunSpec {
  Samples<T> samples;
  const T* targets;        // (rows, n_L)
  const T* sample_weight;  // (rows,) or nullptr
  int64_t batch_size;
  OptimizerSpec optimizer;
  double l1 = 0, l2 = 0;
  bool penalties_per_sample = false;  // divided by the sum of the batch's weights
  double clip_norm = 0;               // 0: none
  std::uint64_t seed = 0;
  T* theta;
  T* first_moment = nullptr;   // v of SGD with momentum, s of Adagrad and RMSprop, m of Adam
  T* second_moment = nullptr;  // v of Adam
  int64_t steps_before = 0;    // optimizer steps done before this stretch
  double loss_before = 0,
         weight_before = 0;  // sums that go on: their bits must not tell stretches apart
  const volatile unsigned char* stop;
  double* objective = nullptr;  // (batches,) of the epoch: C with penalties, before the update
};

struct StretchResult {
  double loss_sum = 0, weight_sum = 0;
  int64_t done = 0;
  int64_t bad_batch = -1;
  std::vector<double> gradient_norms;  // of batch 0; empty elsewhere
};

template <class T>
struct Layer;
template <class T>
class Workspace;
template <class T>
class LargePass;

template <class T>
class Network {
 public:
  // `rows`: the largest batch that will come; `dropout`: the rates of a_0..a_{L-1}, or empty.
  Network(NetworkSpec spec, int64_t rows, std::vector<double> dropout = {});
  ~Network();
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  int64_t parameters() const { return parameters_; }
  const NetworkSpec& spec() const { return spec_; }

  // C and dC/dtheta.
  double gradients(const T* theta, const Samples<T>& samples, const T* targets,
                   const T* sample_weight, T* gradient);

  // Batches first..last-1 of an epoch: batch k is order[k * batch_size ...], of `count` rows in
  // all, with the learning rate rates[k].
  StretchResult steps(const RunSpec<T>& run, const int64_t* order, int64_t count,
                      const double* rates, int64_t first, int64_t last);

 private:
  friend class LargePass<T>;
  // Some rows of the samples, and where they stand in the batch that they belong to.
  struct Batch {
    const Samples<T>* samples;
    const T* targets;
    const T* sample_weight;
    const int64_t* order;  // the rows
    int64_t rows;
    std::uint64_t seed;   // of the dropout masks
    int64_t offset;       // rows of the batch before these
    int64_t step;         // optimizer steps done before
    Ahead<T> ahead = {};  // rows of the next batch
  };
  // What becomes of the gradient: added straight into the parameters; or kept; or kept by the
  // small layers only, while the large ones are updated tile by tile as their product goes along.
  enum class Mode { direct, gradient, by_tiles };
  struct Goal {
    Mode mode;
    T alpha;      // what the sums over the samples are multiplied by
    bool begins;  // the first piece of a batch: its gradient replaces what is there
    const RunSpec<T>* run = nullptr;
    double rate = 0, adam_rate = 0;  // by_tiles
    double* norms = nullptr;         // by_tiles: of the layers' gradients, if they are asked for
  };

  static bool plain(const RunSpec<T>& run);
  bool binary_output() const;
  bool runs_tiny(const RunSpec<T>& run) const;
  bool by_gemm(const Layer<T>& layer, int64_t rows) const;

  void load_parameters(const T* theta, bool moments, const RunSpec<T>* run);
  void store_parameters(const RunSpec<T>& run);
  void begin_call(const Samples<T>& samples);
  void need_gradients(Mode mode, int64_t rows);
  bool step(const RunSpec<T>& run, const int64_t* order, int64_t rows, int64_t next_rows,
            double rate, int64_t k, StretchResult& result);
  void update_touched(const RunSpec<T>& run, double rate);
  template <class F>
  double sum_of_pieces(int64_t n, F&& piece);
  double penalize(const RunSpec<T>& run, double scale);
  bool updates_by_tiles(const Layer<T>& layer, Mode mode, int64_t rows) const;
  void apply(const RunSpec<T>& run, const Goal& goal, int64_t rows);

  double forward_backward(const Batch& batch, const Goal& goal);
  double layer_by_layer(const Batch& batch, const Goal& goal, int64_t height);
  double block_by_block(const Batch& batch, const Goal& goal);
  // Rows first .. first + rows - 1 of a batch in each of these.
  void gather_rows(const Batch& batch, int64_t first, int64_t rows);
  void drop_rows(std::size_t l, const Batch& batch, int64_t first, int64_t rows);
  void forward_rows(std::size_t l, int64_t first, int64_t rows);
  void sparse_forward_rows(const Batch& batch, int64_t first, int64_t rows);
  double output_rows(const Batch& batch, int64_t first, int64_t rows);
  T kept(double rate, std::uint64_t key, int64_t element) const;
  void forward(std::size_t l, const Batch& batch);
  void backward(std::size_t l, int64_t rows);
  void backward_rows(std::size_t l, int64_t first, int64_t rows, const T* transposed);
  void times_slope(std::size_t l, int64_t first, int64_t rows, int64_t column, int64_t columns);
  void transpose(std::size_t l, T* to);
  void accumulate(std::size_t l, const Batch& batch, const Goal& goal);
  void accumulate_rows(std::size_t l, const Batch& batch, const Goal& goal, int64_t first,
                       int64_t rows);
  int64_t gradient_rows(const Layer<T>& layer, int64_t rows) const;
  bool may_go_by_blocks(int64_t rows) const;
  void accumulate_sparse(const Batch& batch, const Goal& goal);

  // Products of at least so many multiplications, with weights that fill more than a cache, are
  // large.
  static constexpr int64_t kGemm = 1 << 20;
  // Rows that a thread takes at a time.
  static constexpr int64_t kGrain = 32;
  // Rows up to which dot products beat transposing the weights.
  static constexpr int64_t kDotRows = 2;
  // Rows of a batch that go through all layers together: enough for full tiles, few enough that
  // every thread has some.
  static constexpr int64_t kBlockRows = 8;
  static int64_t block_rows(int64_t rows) { return rows >= 4 * kGrain ? kGrain : kBlockRows; }

  const NetworkSpec spec_;
  const Output output_;
  const Kernels<T>& kernels_;
  Pool& pool_;
  bool sparse_ = false;  // the samples of this call are CSR
  int64_t chunk_;        // most rows held at once
  int64_t parameters_ = 0;
  std::vector<double> dropout_;
  std::vector<Layer<T>> layers_;
  Contest by_blocks_;  // or layer by layer
  std::unique_ptr<Workspace<T>> space_;
  std::unique_ptr<LargePass<T>> large_;  // made when it is first needed
};

// a_L (rows, n_L) for the rows of `samples`, or z_L if only the scores are asked for.
template <class T>
void predict(const NetworkSpec& spec, const T* theta, const Samples<T>& samples, bool scores,
             T* out);

template <class T>
bool all_finite(const T* x, int64_t n);

}  // namespace deltarule
