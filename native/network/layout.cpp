// Laying out parameters, moments and gradients, and carrying them to and from theta.
#include "network/layout.hpp"

#include <cstring>

namespace deltarule {
namespace {

template <class T>
void copy_block(const Layer<T>& layer, const T* from, int64_t from_ld, T* to, int64_t to_ld) {
  for (int64_t r = 0; r < layer.rows(); ++r)
    std::memcpy(to + r * to_ld, from + r * from_ld,
                static_cast<std::size_t>(layer.out) * sizeof(T));
}

// nullptr of nullptr.
template <class T>
T* part_of(T* whole, int64_t offset) {
  return whole == nullptr ? nullptr : whole + offset;
}

}  // namespace

template <class T>
Layout<T>::Layout(const NetworkSpec& spec, int64_t lanes, Padding padding)
    : layers_(spec.sizes.size()) {
  int64_t offset = 0;
  for (std::size_t l = 1; l < layers_.size(); ++l) {
    Layer<T>& layer = layers_[l];
    layer.in = spec.sizes[l - 1];
    layer.out = spec.sizes[l];
    layer.bias = spec.bias[l - 1];
    layer.f = spec.activations[l - 1];
    layer.offset = offset;
    layer.packed =
        layer.in * layer.out <= padding.up_to && (padding.whole_too || layer.out % lanes != 0);
    layer.ld = layer.packed ? round_up(layer.out, lanes) : layer.out;
    layer.whole_vectors = layer.ld % lanes == 0;
    offset += layer.size();
    if (layer.packed) packed_ += layer.block_size();
  }
}

template <class T>
void Layout<T>::load(T* theta, T* first, T* second) {
  if (packed_ > 0) {
    blocks_.at_least(packed_);
    if (first != nullptr) first_.at_least(packed_);
    if (second != nullptr) second_.at_least(packed_);
  }
  int64_t at = 0;
  for (std::size_t l = 1; l < layers_.size(); ++l) {
    Layer<T>& layer = layers_[l];
    layer.block = theta + layer.offset;
    layer.first = part_of(first, layer.offset);
    layer.second = part_of(second, layer.offset);
    if (!layer.packed) continue;
    const auto padded = [&](T*& own, const Buffer<T>& copies) {
      if (own == nullptr) return;
      T* const copy = copies.data() + at;
      copy_block(layer, own, layer.out, copy, layer.ld);
      own = copy;
    };
    padded(layer.block, blocks_);
    padded(layer.first, first_);
    padded(layer.second, second_);
    at += layer.block_size();
  }
}

template <class T>
void Layout<T>::store(T* theta, T* first, T* second) const {
  for (std::size_t l = 1; l < layers_.size(); ++l) {
    const Layer<T>& layer = layers_[l];
    if (!layer.packed) continue;
    copy_block(layer, layer.block, layer.ld, theta + layer.offset, layer.out);
    if (first != nullptr) copy_block(layer, layer.first, layer.ld, first + layer.offset, layer.out);
    if (second != nullptr)
      copy_block(layer, layer.second, layer.ld, second + layer.offset, layer.out);
  }
}

template <class T>
void Layout<T>::need_gradients(Mode mode, int64_t rows) {
  int64_t total = 0;
  for (std::size_t l = 1; l < layers_.size(); ++l)
    if (layers_[l].keeps_gradient(mode, rows)) total += layers_[l].block_size();
  int64_t at = 0;
  T* const grad = grad_.at_least(total);
  for (std::size_t l = 1; l < layers_.size(); ++l) {
    if (!layers_[l].keeps_gradient(mode, rows)) continue;
    layers_[l].grad = grad + at;
    at += layers_[l].block_size();
  }
}

template <class T>
void Layout<T>::store_gradient(T* gradient) const {
  for (std::size_t l = 1; l < layers_.size(); ++l)
    copy_block(layers_[l], layers_[l].grad, layers_[l].ld, gradient + layers_[l].offset,
               layers_[l].out);
}

template class Layout<float>;
template class Layout<double>;

}  // namespace deltarule
