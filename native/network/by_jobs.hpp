// One batch through a network with large layers, as a graph of jobs.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "gemm/gemm.hpp"
#include "machine/task_graph.hpp"
#include "network/pass.hpp"

namespace deltarule {

// Nothing in the batch waits for the gradient of a layer: it is put off until the deltas of the
// next layer below are under way, so that no thread has to wait for the last of them.
template <class T>
class ByJobs {
 public:
  explicit ByJobs(Pass<T>& pass);

  // Returns the sum of w_i J_i; if it is not finite the parameters have not changed.
  double run(const Batch<T>& batch, const Goal<T>& goal);

 private:
  // What follows a product, on each finished tile.
  struct Tail {
    const Kernels<T>* kernels;
    Activation f;
    const T* bias = nullptr;
    bool activates = false;
    T* slope = nullptr;       // forward: takes f'(z); backward: holds it
    const T* a = nullptr;     // backward: f(z)
    int64_t ld = 0;           // of slope and a
    T* parameters = nullptr;  // momentum: what the velocity moves
  };
  // A gradient that exists only in tiles: rows of it move the parameters, and leave their squares.
  struct Update {
    const Kernels<T>* kernels;
    const Goal<T>* goal;
    T *parameters, *first, *second;  // rows of ld; the moments may be null
    int64_t ld;
    double* squares;  // of each task, if they are asked for

    void row(const T* gradient, int64_t row, int64_t col, int64_t n, int64_t task) const;
  };
  struct Job {
    void (ByJobs::*run)(const Job& job, int task);
    std::size_t l;
    std::optional<GemmPlan<T>> product = {};
    Tail tail = {};
    Update update = {};
    Epilogue<T> epilogue = {nullptr, nullptr};
  };

  static void forward_tile(void* context, const Tile<T>& tile);
  static void backward_tile(void* context, const Tile<T>& tile);
  static void velocity_tile(void* context, const Tile<T>& tile);
  static void update_tile(void* context, const Tile<T>& tile);

  void plan();
  int add(Job job, int64_t tasks);
  Job& add_next(Job job, int64_t tasks);
  void plan_forward(std::size_t l);
  void plan_backward(std::size_t l);
  void plan_gradient(std::size_t l);
  int64_t bias_pieces(const Layer<T>& layer) const;

  template <class F>
  auto with_rows(int task, F&& body) const;
  void gather(const Job& job, int task);
  void drop(const Job& job, int task);
  void product(const Job& job, int task);
  void forward(const Job& job, int task);
  void output(const Job& job, int task);
  void transpose(const Job& job, int task);
  void backward(const Job& job, int task);
  void backward_by_dots(const Job& job, int task);
  void gradient(const Job& job, int task);
  void bias_gradient(const Job& job, int64_t piece);

  Pass<T>& pass_;
  const Layout<T>& layout_;
  const Kernels<T>& kernels_;
  const Batch<T>* batch_ = nullptr;
  const Goal<T>* goal_ = nullptr;
  TaskGraph graph_;
  std::vector<Job> jobs_;
  int newest_ = 0;                    // the job that the next one waits for
  std::vector<int> before_gradient_;  // the last job that needs W_l as it is, or makes delta_l
  std::vector<double> losses_;        // of the pieces of the batch
  std::vector<std::vector<double>> squares_;  // of each layer's gradient, by task
};

}  // namespace deltarule
