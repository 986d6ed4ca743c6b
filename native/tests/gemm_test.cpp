// Checks gemm against a plain triple loop in double: every transposition, odd shapes, strides,
// scalars, epilogues, both types, any number of threads. DELTARULE_CPU picks the level. Exit code 1
// on a failure.
#include "gemm/gemm.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "machine/cpu.hpp"

using deltarule::Epilogue;
using deltarule::Pool;
using deltarule::Tile;
using std::int64_t;

namespace {

std::mt19937 random_bits(7);
long checked = 0;
long failed = 0;

struct Case {
  bool trans_a, trans_b;
  int64_t m, n, k;
  double alpha, beta;
  int64_t pad;
  bool with_epilogue;
};

template <class T>
std::vector<T> random_matrix(int64_t rows, int64_t ld, int64_t columns, T outside) {
  std::uniform_real_distribution<T> uniform(-1, 1);
  std::vector<T> x(static_cast<std::size_t>(rows * ld), outside);
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j)
      x[static_cast<std::size_t>(i * ld + j)] = uniform(random_bits);
  }
  x.resize(static_cast<std::size_t>(std::max<int64_t>(0, (rows - 1) * ld + columns)));
  return x;
}

template <class T>
struct Marks {
  std::vector<int> calls;
  int64_t n;
  const T* c;
};

// An elementwise epilogue that also records which elements it saw.
template <class T>
void mark(void* context, const Tile<T>& t) {
  auto& marks = *static_cast<Marks<T>*>(context);
  if (t.data != marks.c + t.row * t.ld + t.col) marks.calls[0] += 100;
  for (int64_t i = 0; i < t.rows; ++i) {
    for (int64_t j = 0; j < t.cols; ++j) {
      t.data[i * t.ld + j] = 2 * t.data[i * t.ld + j] + 1;
      ++marks.calls[static_cast<std::size_t>((t.row + i) * marks.n + t.col + j)];
    }
  }
}

template <class T>
void check(const Case& t) {
  const T nan = std::numeric_limits<T>::quiet_NaN();
  const int64_t lda = (t.trans_a ? t.m : t.k) + t.pad, ldb = (t.trans_b ? t.k : t.n) + t.pad;
  const int64_t ldc = t.n + t.pad;
  const auto a = random_matrix<T>(t.trans_a ? t.k : t.m, lda, t.trans_a ? t.m : t.k, nan);
  const auto b = random_matrix<T>(t.trans_b ? t.n : t.k, ldb, t.trans_b ? t.k : t.n, nan);
  const auto before = random_matrix<T>(t.m, ldc, t.n, T(-77));
  auto c = before;
  if (t.beta == 0) std::fill(c.begin(), c.end(), nan);  // must not be read
  const auto start = c;

  Marks<T> marks{std::vector<int>(static_cast<std::size_t>(std::max<int64_t>(1, t.m * t.n))), t.n,
                 c.data()};
  const Epilogue<T> epilogue{&mark<T>, &marks};
  deltarule::gemm<T>(Pool::shared(), t.trans_a, t.trans_b, t.m, t.n, t.k, T(t.alpha), a.data(), lda,
                     b.data(), ldb, T(t.beta), c.data(), ldc,
                     t.with_epilogue ? &epilogue : nullptr);

  double worst = 0;
  bool touched = false, calls = true;
  for (int64_t i = 0; i < t.m; ++i) {
    for (int64_t j = 0; j < ldc; ++j) {
      const auto at = static_cast<std::size_t>(i * ldc + j);
      if (at >= c.size()) break;
      if (j >= t.n) {
        touched |= std::memcmp(&c[at], &start[at], sizeof(T)) != 0;
        continue;
      }
      double sum = 0, size = 0;
      for (int64_t p = 0; p < t.k; ++p) {
        const double x = a[static_cast<std::size_t>(t.trans_a ? p * lda + i : i * lda + p)];
        const double y = b[static_cast<std::size_t>(t.trans_b ? j * ldb + p : p * ldb + j)];
        sum += x * y;
        size += std::abs(x * y);
      }
      const double old = t.beta == 0 ? 0 : double(T(t.beta)) * double(before[at]);
      double want = double(T(t.alpha)) * sum + old;
      // Each of the k additions rounds once: gamma_k |A||B|, and a few more for alpha, beta,
      // epilogue.
      const double eps = std::numeric_limits<T>::epsilon();
      double bound =
          eps * ((double(t.k) + 4) * std::abs(t.alpha) * size + 4 * std::abs(old)) + 1e-300;
      if (t.with_epilogue) {
        want = 2 * want + 1;
        bound = 2 * bound + 4 * eps * (std::abs(want) + 1);
        calls &= marks.calls[static_cast<std::size_t>(i * t.n + j)] == 1;
      }
      const double error = std::abs(double(c[at]) - want) / bound;
      worst = error <= worst ? worst : error;  // also takes a NaN
      if (std::isnan(error)) worst = std::numeric_limits<double>::infinity();
    }
  }
  ++checked;
  if (worst > 1 || touched || !calls) {
    ++failed;
    std::printf(
        "FAILED %s ta=%d tb=%d m=%ld n=%ld k=%ld alpha=%g beta=%g pad=%ld epilogue=%d: error/bound "
        "%g%s%s\n",
        sizeof(T) == 4 ? "float" : "double", t.trans_a, t.trans_b, long(t.m), long(t.n), long(t.k),
        t.alpha, t.beta, long(t.pad), t.with_epilogue, worst, touched ? ", wrote between rows" : "",
        calls ? "" : ", epilogue missed or repeated an element");
  }
}

// The same product on 1 and on more threads must give the same bits.
template <class T>
void check_threads(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k) {
  const auto a = random_matrix<T>(m, k, k, T(0));
  const auto b = random_matrix<T>(k, n, n, T(0));
  std::vector<T> first;
  for (const int threads : {1, 2, 3, 4, 7}) {
    deltarule::set_num_threads(threads);
    std::vector<T> c(static_cast<std::size_t>(m * n), T(0.5));
    deltarule::gemm<T>(Pool::shared(), trans_a, trans_b, m, n, k, T(-0.1), a.data(),
                       trans_a ? m : k, b.data(), trans_b ? k : n, T(1), c.data(), n);
    if (first.empty()) first = c;
    ++checked;
    if (std::memcmp(first.data(), c.data(), c.size() * sizeof(T)) != 0) {
      ++failed;
      std::printf("FAILED other bits on %d threads: ta=%d tb=%d %ld x %ld x %ld\n", threads,
                  trans_a, trans_b, long(m), long(k), long(n));
    }
  }
  deltarule::set_num_threads(0);
}

// What a product shows of a C that it does not keep, against the C that it keeps.
template <class T>
struct Shown {
  std::vector<T> c;
  int64_t n, parts;
  std::vector<std::atomic<int>> tiles;  // of each part
  std::atomic<bool> numbered{true};
};

template <class T>
void take(void* context, const Tile<T>& t) {
  auto& shown = *static_cast<Shown<T>*>(context);
  if (t.task < 0 || t.task >= shown.parts)
    shown.numbered = false;
  else
    ++shown.tiles[static_cast<std::size_t>(t.task)];
  for (int64_t i = 0; i < t.rows; ++i)
    std::memcpy(shown.c.data() + (t.row + i) * shown.n + t.col, t.data + i * t.ld,
                static_cast<std::size_t>(t.cols) * sizeof(T));
}

template <class T>
void check_shown(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k) {
  const auto a = random_matrix<T>(m, k, k, T(0));
  const auto b = random_matrix<T>(k, n, n, T(0));
  const int64_t lda = trans_a ? m : k, ldb = trans_b ? k : n;
  const auto size = static_cast<std::size_t>(m * n);
  deltarule::GemmPlan<T> plan(trans_a, trans_b, m, n, k, ldb);
  const int64_t parts = plan.tasks();
  std::vector<T> kept(size);
  Shown<T> shown{std::vector<T>(size), n, parts,
                 std::vector<std::atomic<int>>(static_cast<std::size_t>(parts))};
  const Epilogue<T> epilogue{&take<T>, &shown};
  const auto run = [&] {
    Pool::shared().parallel_for(static_cast<int>(parts), [&](int task) { plan.run(task); });
  };
  plan.of(T(0.5), a.data(), lda, b.data(), T(0), kept.data(), n);
  run();
  plan.of(T(0.5), a.data(), lda, b.data(), T(0), nullptr, 0, &epilogue);
  run();
  bool all = shown.numbered;
  for (const auto& tiles : shown.tiles) all &= tiles > 0;
  ++checked;
  if (!all || std::memcmp(kept.data(), shown.c.data(), size * sizeof(T)) != 0) {
    ++failed;
    std::printf("FAILED C that is only shown: ta=%d tb=%d %ld x %ld x %ld, parts %s\n", trans_a,
                trans_b, long(m), long(k), long(n), all ? "right" : "wrong");
  }
}

template <class T>
void check_all(bool quick) {
  const std::vector<int64_t> small = {1, 2, 3, 5, 7, 8, 10, 15, 16, 17, 30, 33, 48, 65, 100};
  std::uniform_int_distribution<std::size_t> pick(0, small.size() - 1);
  const std::vector<double> alphas = {1, -0.01, 2.5}, betas = {0, 1, 0.9};
  std::uniform_int_distribution<int> any(0, 1 << 20);
  const auto scalars = [&](Case t) {
    t.alpha = alphas[static_cast<std::size_t>(any(random_bits)) % 3];
    t.beta = betas[static_cast<std::size_t>(any(random_bits)) % 3];
    t.pad = any(random_bits) % 3 == 0 ? 5 : 0;
    t.with_epilogue = any(random_bits) % 2 == 0;
    return t;
  };
  for (int transposed = 0; transposed < 4; ++transposed) {
    const bool ta = (transposed & 1) != 0, tb = (transposed & 2) != 0;
    const auto shape = [&](int64_t m, int64_t n, int64_t k) {
      check<T>(scalars(Case{ta, tb, m, n, k, 1, 0, 0, false}));
    };
    if (!quick) {
      for (const int64_t m : small) {
        for (const int64_t n : small) {
          for (const int64_t k : small) shape(m, n, k);
        }
      }
    }
    for (int i = 0; i < (quick ? 150 : 500); ++i) {
      shape(small[pick(random_bits)] + any(random_bits) % 3,
            small[pick(random_bits)] + any(random_bits) % 3,
            small[pick(random_bits)] + any(random_bits) % 3);
    }
    for (int64_t k : {0, 1, 4, 5, 383, 384, 385, 800, 1025}) shape(29, 70, k);
    shape(0, 5, 5);
    shape(5, 0, 5);
    shape(128, 512, 784);
    shape(784, 512, 128);
    shape(130, 1023, 1025);
    shape(33, 1024, 1024);
    shape(515, 300, 64);
    shape(1, 512, 2049);
    shape(2, 2049, 300);
    shape(4100, 40, 20);
    shape(4100, 70, 1024);
    if (!quick) shape(256, 1024, 1024);
    check_threads<T>(ta, tb, 100, 300, 1000);
    check_threads<T>(ta, tb, 257, 1030, 129);
    check_threads<T>(ta, tb, 1, 3000, 2000);
    check_shown<T>(ta, tb, 7, 33, 10);
    check_shown<T>(ta, tb, 257, 1030, 1029);
    check_shown<T>(ta, tb, 4100, 70, 40);
    check_shown<T>(ta, tb, 8300, 100, 9);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const bool quick = argc > 1 && std::strcmp(argv[1], "--quick") == 0;  // for the sanitizers
  check_all<float>(quick);
  check_all<double>(quick);
  std::printf("gemm, level %s: %ld checks, %ld failed\n",
              deltarule::level_name(deltarule::cpu_level()), checked, failed);
  return failed == 0 ? 0 : 1;
}
