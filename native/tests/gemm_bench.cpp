// Times gemm against OpenBLAS on the shapes of training: interleaved, medians, GFLOP/s.
// Needs the headers and the library of the package scipy-openblas32. Arguments: threads, then an
// optional filter on the row's text. Prints Markdown rows.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "gemm/gemm.hpp"
#include "machine/cpu.hpp"

#define BLAS_SYMBOL_PREFIX scipy_
#include <cblas.h>

using std::int64_t;

namespace {

struct Shape {
  int64_t batch, in, out;
};

// The layers of the benchmark networks, and remainders everywhere.
const std::vector<Shape> kShapes = {
    {32, 64, 64},      {32, 64, 128},     {32, 128, 10},    {10, 784, 30},    {10, 30, 10},
    {1, 784, 512},     {1, 512, 512},     {7, 100, 33},     {17, 100, 100},   {33, 33, 17},
    {100, 100, 100},   {128, 784, 512},   {128, 512, 512},  {128, 512, 10},   {256, 1024, 1024},
    {512, 2048, 2048}, {512, 4096, 4096}, {333, 1000, 777}, {64, 4096, 4096}, {16, 1024, 1024},
};
const char* const kNames[] = {"forward", "delta", "gradient"};

void blas(bool ta, bool tb, int64_t m, int64_t n, int64_t k, float alpha, const float* a,
          int64_t lda, const float* b, int64_t ldb, float beta, float* c, int64_t ldc) {
  scipy_cblas_sgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans,
                    int(m), int(n), int(k), alpha, a, int(lda), b, int(ldb), beta, c, int(ldc));
}
void blas(bool ta, bool tb, int64_t m, int64_t n, int64_t k, double alpha, const double* a,
          int64_t lda, const double* b, int64_t ldb, double beta, double* c, int64_t ldc) {
  scipy_cblas_dgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans,
                    int(m), int(n), int(k), alpha, a, int(lda), b, int(ldb), beta, c, int(ldc));
}

double seconds() {
  using namespace std::chrono;
  return duration<double>(steady_clock::now().time_since_epoch()).count();
}

template <class F>
double time_of(F&& call, int64_t repeats) {
  const double start = seconds();
  for (int64_t i = 0; i < repeats; ++i) call();
  return (seconds() - start) / double(repeats);
}

double median(std::vector<double> x) {
  std::nth_element(x.begin(), x.begin() + long(x.size() / 2), x.end());
  return x[x.size() / 2];
}

template <class T>
void row(int operation, Shape s, int threads, const std::string& filter) {
  const bool ta = operation == 2, tb = operation == 1;
  const int64_t m = ta ? s.in : s.batch, n = tb ? s.in : s.out,
                k = ta   ? s.batch
                    : tb ? s.out
                         : s.in;
  char text[100];
  std::snprintf(text, sizeof text, "%s %s %ld x %ld x %ld", sizeof(T) == 4 ? "float" : "double",
                kNames[operation], long(s.batch), long(s.in), long(s.out));
  if (std::string(text).find(filter) == std::string::npos) return;

  std::vector<T> a(std::size_t(m * k)), b(std::size_t(k * n)), c(std::size_t(m * n)),
      d(std::size_t(m * n));
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = T(double(i % 17) / 17 - 0.4);
  for (std::size_t i = 0; i < b.size(); ++i) b[i] = T(double(i % 13) / 13 - 0.4);
  const T alpha = ta ? T(-1e-6) : T(1), beta = ta ? T(1) : T(0);
  const int64_t lda = ta ? m : k, ldb = tb ? k : n;
  auto& pool = deltarule::Pool::shared();
  const auto ours = [&] {
    deltarule::gemm<T>(pool, ta, tb, m, n, k, alpha, a.data(), lda, b.data(), ldb, beta, c.data(),
                       n);
  };
  const auto theirs = [&] {
    blas(ta, tb, m, n, k, alpha, a.data(), lda, b.data(), ldb, beta, d.data(), n);
  };

  const double flop = 2.0 * double(m) * double(n) * double(k);
  const auto repeats = std::max<int64_t>(1, int64_t(4e-3 * threads * 1e11 / flop / 2));
  // The threads of one library spin for a while after a call and would disturb the other.
  const auto rest = [&] {
    if (threads > 1) std::this_thread::sleep_for(std::chrono::milliseconds(60));
  };
  const auto measure = [&](const auto& call) {
    rest();
    const double start = seconds();
    while (seconds() - start < 2e-3 * threads) call();  // its threads wake up
    return time_of(call, repeats);
  };
  std::vector<double> ours_s, theirs_s;
  const int samples = flop > 1e9 ? 7 : 15;
  for (int i = 0; i < samples; ++i) {
    ours_s.push_back(measure(ours));
    theirs_s.push_back(measure(theirs));
  }
  const auto rate = [&](double s) { return flop / s / 1e9; };
  const auto best = [](const std::vector<double>& x) {
    return *std::min_element(x.begin(), x.end());
  };
  std::printf("| %s | %.1f | %.0f / %.0f | %.0f / %.0f | %.2f / %.2f |\n", text,
              median(ours_s) * 1e6, rate(median(ours_s)), rate(median(theirs_s)),
              rate(best(ours_s)), rate(best(theirs_s)), median(theirs_s) / median(ours_s),
              best(theirs_s) / best(ours_s));
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 1;
  const std::string filter = argc > 2 ? argv[2] : "";
  deltarule::set_num_threads(threads);
  scipy_openblas_set_num_threads(threads);
  std::printf("Level %s, %d thread(s)\n\n", deltarule::level_name(deltarule::cpu_level()), threads);
  std::printf(
      "| product, batch x in x out | us | median GFLOP/s, ours / OpenBLAS | best | ratio, median / "
      "best |\n|---|---|---|---|---|\n");
  for (const Shape& shape : kShapes) {
    for (int operation = 0; operation < 3; ++operation)
      row<float>(operation, shape, threads, filter);
  }
  for (const Shape& shape : kShapes) {
    for (int operation = 0; operation < 3; ++operation)
      row<double>(operation, shape, threads, filter);
  }
  return 0;
}
