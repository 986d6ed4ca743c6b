// The orders in which the rows and layers of a batch go through: layer by layer; in blocks of rows,
// each through all layers; as a graph of jobs. All come to the same numbers.
#pragma once

#include <memory>
#include <vector>

#include "machine/contest.hpp"
#include "machine/task_graph.hpp"
#include "network/by_jobs.hpp"
#include "network/pass.hpp"

namespace deltarule {

template <class T>
class Orders {
 public:
  explicit Orders(Pass<T>& pass);

  // A batch, in the order that suits it. Returns the sum of w_i J_i; if it is not finite nothing
  // has moved.
  double run(const Batch<T>& batch, const Goal<T>& goal);

 private:
  struct Piece {
    std::size_t l;
    int64_t first, rows;  // of [b; W]
  };

  double layer_by_layer(const Batch<T>& batch, const Goal<T>& goal, int64_t height);
  double block_by_block(const Batch<T>& batch, const Goal<T>& goal, int64_t height);
  bool may_go_by_blocks(int64_t rows) const;
  void share_out_gradients(int64_t rows);

  Pass<T>& pass_;
  const Layout<T>& layout_;
  Pool& pool_;
  Contest by_blocks_;                   // or layer by layer
  std::unique_ptr<ByJobs<T>> by_jobs_;  // made when it is first needed
  Buffer<T> transposed_;                // layer by layer: W^T of the layer at work
  TaskGraph graph_;                     // block by block, and
  std::vector<Piece> pieces_;           // the pieces of the gradient
  int64_t pieces_rows_ = 0;             // of the batch that they are for
  std::vector<double> losses_;          // of the blocks
};

}  // namespace deltarule
