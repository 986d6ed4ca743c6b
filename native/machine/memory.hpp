// Memory for whole cache lines and vectors, and the arithmetic of sizes.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <new>
#include <utility>

namespace deltarule {

using std::int64_t;

inline int64_t ceil_div(int64_t n, int64_t by) { return (n + by - 1) / by; }
inline int64_t round_up(int64_t n, int64_t step) { return ceil_div(n, step) * step; }

// Zeroed memory on cache line boundaries.
template <class T>
class Buffer {
 public:
  Buffer() = default;
  ~Buffer() { std::free(memory_); }
  Buffer(Buffer&& other) noexcept { *this = std::move(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }

  // calloc leaves large memory untouched: the threads that first use a page get it, side by side.
  void reset(int64_t size) {
    std::free(memory_);
    memory_ = std::calloc(1, static_cast<std::size_t>(size) * sizeof(T) + 2 * kLine);
    if (memory_ == nullptr) throw std::bad_alloc();
    const auto address = reinterpret_cast<std::uintptr_t>(memory_);
    data_ = reinterpret_cast<T*>((address + kLine - 1) / kLine * kLine);
    size_ = size;
  }
  // Room for `size` elements at least, which may still hold what was there.
  T* at_least(int64_t size) {
    if (size_ < size) reset(size);
    return data_;
  }
  T* data() const { return data_; }
  int64_t size() const { return size_; }
  T& operator[](int64_t i) const { return data_[i]; }

 private:
  static constexpr std::size_t kLine = 64;
  void* memory_ = nullptr;
  T* data_ = nullptr;
  int64_t size_ = 0;
};

}  // namespace deltarule
