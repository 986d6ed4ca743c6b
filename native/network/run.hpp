// What comes in and what is reported: samples, a training run, and one batch of it on its way.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/kernels.hpp"
#include "spec.hpp"

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
  const volatile unsigned char* stop;
  double* objective = nullptr;  // (batches,) of the epoch: C with penalties, before the update

  // Plain SGD and momentum need no gradient of their own: the product adds into the parameters.
  bool plain() const {
    return optimizer.kind == OptimizerKind::sgd && !optimizer.nesterov && l1 == 0 && l2 == 0 &&
           clip_norm == 0;
  }
};

// What has come of a stretch of batches so far. Calls go on where the last one has ended: the bits
// must not tell where a stretch was cut.
struct Stretch {
  int64_t steps_before = 0;                 // optimizer steps of the run before this stretch
  double loss_sum = 0, weight_sum = 0;      // of w_i J_i and of w_i, over the samples
  int64_t done = 0;                         // batches
  int64_t bad_batch = -1;                   // whose loss is not finite
  std::vector<double> gradient_norms = {};  // of batch 0; empty elsewhere
};

// Some rows of the samples, and where they stand in the batch that they belong to.
template <class T>
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

template <class T>
struct Goal {
  Mode mode;
  T alpha;      // what the sums over the samples are multiplied by
  bool begins;  // the first piece of a batch: its gradient replaces what is there
  const RunSpec<T>* run = nullptr;
  double rate = 0, adam_rate = 0;  // by_tiles
  double* norms = nullptr;         // by_tiles: of the layers' gradients, if they are asked for
};

}  // namespace deltarule
