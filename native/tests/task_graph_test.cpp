// Checks the graph of jobs: every task once, after all that it needs, whatever the threads.
// Meant for ThreadSanitizer as well. Exit code 1 on a failure.
#include "machine/task_graph.hpp"

#include <cstdio>
#include <random>
#include <thread>
#include <vector>

using deltarule::Pool;
using deltarule::TaskGraph;

namespace {

int failed = 0;

void expect(bool ok, const char* what) {
  if (ok) return;
  ++failed;
  std::printf("FAILED %s\n", what);
}

// Every task reads what the tasks of the needed jobs have written, in plain memory: a task that
// began too early gets a wrong sum, and a race shows.
bool runs_in_order(TaskGraph& graph, Pool& pool, std::mt19937& random) {
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  const int jobs = 1 + below(30);
  std::vector<std::vector<int>> needs(static_cast<std::size_t>(jobs)), values = needs;
  graph.clear();
  for (std::size_t j = 0; j < needs.size(); ++j) {
    values[j].assign(static_cast<std::size_t>(1 + below(12)), -1);
    if (graph.add(static_cast<int>(values[j].size())) != static_cast<int>(j)) return false;
    for (int i = below(4); i > 0 && j > 0; --i) {
      needs[j].push_back(below(static_cast<int>(j)));
      graph.needs(needs[j].back());
    }
  }
  const auto expected = [&](std::size_t job, const std::vector<std::vector<int>>& of) {
    int sum = 1;
    for (const int needed : needs[job])
      for (const int value : of[static_cast<std::size_t>(needed)]) sum = (sum + value) % 9973;
    return sum;
  };
  graph.run(pool, [&](int job, int task) {
    const auto j = static_cast<std::size_t>(job), t = static_cast<std::size_t>(task);
    values[j][t] = values[j][t] == -1 ? expected(j, values) + task : -2;  // twice would show
  });
  std::vector<std::vector<int>> right = values;
  for (std::size_t j = 0; j < right.size(); ++j)
    for (std::size_t t = 0; t < right[j].size(); ++t)
      right[j][t] = expected(j, right) + static_cast<int>(t);
  return right == values;
}

void random_graphs(int threads) {
  Pool pool(threads);
  TaskGraph graph;
  std::mt19937 random(static_cast<unsigned>(threads));
  bool ok = true;
  for (int i = 0; i < 2000; ++i) ok &= runs_in_order(graph, pool, random);
  expect(ok, "every task once, after what it needs");
}

// While one task of a job takes its time, the others go on with a job that does not need it.
void nobody_waits_for_the_slowest() {
  Pool pool(2);
  TaskGraph graph;
  const int slow = graph.add(2);
  const int beside = graph.add(1);
  graph.add(1);
  graph.needs(slow);
  std::atomic<bool> done_beside{false};
  std::vector<int> order;
  graph.run(pool, [&](int job, int task) {
    if (job == slow && task == 0)
      while (!done_beside.load()) std::this_thread::yield();  // ends only if `beside` runs
    if (job == beside) done_beside.store(true);
    if (job > beside) order.push_back(job);
  });
  expect(order.size() == 1, "the job after the slow one runs at the end");
}

}  // namespace

int main() {
  deltarule::set_num_threads(8);
  for (const int threads : {1, 2, 3, 8}) random_graphs(threads);
  nobody_waits_for_the_slowest();
  std::printf("graphs of jobs: %d failed\n", failed);
  return failed == 0 ? 0 : 1;
}
