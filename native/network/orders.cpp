// Which rows and layers come when, and on which threads.
#include "network/orders.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace deltarule {
namespace {

// Multiplications of a pass through all layers from which blocks of rows go through on their own.
constexpr int64_t kByBlocks = 1 << 20;

// Rows of a batch that go through all layers together: enough for full tiles, few enough that
// every thread has some.
int64_t block_rows(int64_t rows) { return rows >= 4 * kGrain ? kGrain : kBlockRows; }

}  // namespace

template <class T>
Orders<T>::Orders(Pass<T>& pass) : pass_(pass), layout_(pass.layout()), pool_(Pool::shared()) {}

template <class T>
double Orders<T>::run(const Batch<T>& batch, const Goal<T>& goal) {
  for (std::size_t l = 1; l <= layout_.L(); ++l) {
    if (!layout_[l].by_gemm(batch.rows)) continue;
    if (by_jobs_ == nullptr) by_jobs_ = std::make_unique<ByJobs<T>>(pass_);
    return by_jobs_->run(batch, goal);
  }
  if (!may_go_by_blocks(batch.rows)) return layer_by_layer(batch, goal, batch.rows);
  const int64_t height = block_rows(batch.rows);
  return by_blocks_.run([&] {
    return by_blocks_.first_way() ? block_by_block(batch, goal, height)
                                  : layer_by_layer(batch, goal, height);
  });
}

// The losses are added up in blocks of `height` rows, as they are where blocks go on their own.
template <class T>
double Orders<T>::layer_by_layer(const Batch<T>& batch, const Goal<T>& goal, int64_t height) {
  const std::size_t L = layout_.L();
  pass_.gather(batch, 0, batch.rows);
  for (std::size_t l = 1; l <= L; ++l) pass_.forward(l, batch, 0, batch.rows);
  double loss = 0;
  for (int64_t first = 0; first < batch.rows; first += height)
    loss += pass_.output(batch, first, std::min(height, batch.rows - first));
  if (!std::isfinite(loss)) return loss;
  for (std::size_t l = L; l >= 1; --l) {
    if (l > 1) {
      const Layer<T>& layer = layout_[l];
      T* transposed = nullptr;
      if (batch.rows > kDotRows) {
        transposed = transposed_.at_least(round_up(layer.in, pass_.kernels().lanes) * layer.out);
        pass_.transpose(l, transposed);
      }
      pass_.backward(l, 0, batch.rows, transposed);
    }
    pass_.accumulate(l, batch, goal, 0, layout_[l].rows());
  }
  return loss;
}

// Many small layers: none is worth sharing out, all together are.
template <class T>
bool Orders<T>::may_go_by_blocks(int64_t rows) const {
  if (pool_.size() == 1 || pass_.sparse() || rows < 2 * kBlockRows) return false;
  int64_t work = 0;
  for (std::size_t l = 1; l <= layout_.L(); ++l) work += rows * layout_[l].in * layout_[l].ld;
  return work >= kByBlocks;
}

template <class T>
void Orders<T>::share_out_gradients(int64_t rows) {
  if (pieces_rows_ == rows) return;
  pieces_rows_ = rows;
  pieces_.clear();
  for (std::size_t l = 1; l <= layout_.L(); ++l) {
    const int64_t all = layout_[l].rows(), most = pass_.gradient_rows(l, rows);
    for (int64_t first = 0; first < all; first += most)
      pieces_.push_back({l, first, std::min(most, all - first)});
  }
}

// Rows need each other only in the gradients, so blocks of them go through all layers on their
// own, and W^T is spelled out meanwhile.
template <class T>
double Orders<T>::block_by_block(const Batch<T>& batch, const Goal<T>& goal, int64_t height) {
  const std::size_t L = layout_.L();
  for (std::size_t l = 2; l <= L; ++l) pass_.transposed(l);
  share_out_gradients(batch.rows);
  const int blocks = static_cast<int>(ceil_div(batch.rows, height));
  losses_.assign(static_cast<std::size_t>(blocks), 0.0);
  graph_.clear();
  for (int block = 0; block < blocks; ++block) graph_.add(1);  // forward
  const int transposing = L > 1 ? graph_.add(static_cast<int>(L) - 1) : -1;
  const int first_backward = blocks + (L > 1 ? 1 : 0);
  for (int block = 0; L > 1 && block < blocks; ++block) {
    graph_.add(1);
    graph_.needs(block);
    graph_.needs(transposing);
  }
  const int gradients = graph_.add(static_cast<int>(pieces_.size()));
  for (int block = 0; block < blocks; ++block) graph_.needs(gradients - 1 - block);
  graph_.run(pool_, [&](int job, int task) {
    if (job == gradients) {
      for (const double loss : losses_)
        if (!std::isfinite(loss)) return;
      const auto& [l, first, rows] = pieces_[static_cast<std::size_t>(task)];
      return pass_.accumulate(l, batch, goal, first, rows);
    }
    if (job == transposing) {
      const auto l = static_cast<std::size_t>(task) + 2;
      return pass_.transpose(l, pass_.transposed(l));
    }
    const int block = job < blocks ? job : job - first_backward;
    const int64_t first = block * height, rows = std::min(height, batch.rows - first);
    if (job >= blocks) {
      for (std::size_t l = L; l > 1; --l) pass_.backward(l, first, rows, pass_.transposed(l));
      return;
    }
    pass_.gather(batch, first, rows);
    for (std::size_t l = 1; l <= L; ++l) pass_.forward(l, batch, first, rows);
    losses_[static_cast<std::size_t>(block)] = pass_.output(batch, first, rows);
  });
  return std::accumulate(losses_.begin(), losses_.end(), 0.0);
}

template class Orders<float>;
template class Orders<double>;

}  // namespace deltarule
