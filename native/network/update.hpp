// What is done with a gradient that is kept: penalties, norms, clipping, the optimizer.
#pragma once

#include <vector>

#include "network/layout.hpp"

namespace deltarule {

// The learning rate of step t (from 1) with the corrections of Adam's moments.
double adam_rate(const OptimizerSpec& optimizer, double rate, int64_t t);

// Adds `scale` times the penalties to the gradient; returns their value where it is asked for.
template <class T>
double penalize(const Layout<T>& layout, const RunSpec<T>& run, double scale);

// Norms, clipping and the optimizer, on the gradient of a batch of `rows` with its penalties.
// `touched`: the rows of W_1 that have a gradient, or nullptr if all have.
template <class T>
void apply(const Layout<T>& layout, const RunSpec<T>& run, const Goal<T>& goal, int64_t rows,
           const std::vector<int64_t>* touched);

}  // namespace deltarule
