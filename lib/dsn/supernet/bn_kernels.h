// SPDX-License-Identifier: Apache-2.0
// The loops of bn_act.cc, over float32 [rows][channels] (channels-last images). No LibTorch: built with the
// compiler's best optimisation, for several instruction sets where the compiler can choose among them at run
// time.
#pragma once

#include <cstddef>
#include <vector>

#include "dsn/space/search_space.h"

namespace dsn::kernels {

struct Rows {
  std::size_t rows = 0, channels = 0;
};

// Mean and biased variance of each channel (of [rows] values), without cancellation: blocks by their own
// mean, joined in double precision (Chan, Golub and LeVeque, 1979).
void statistics(const float* x, Rows n, std::vector<double>& mean, std::vector<double>& variance);

// y = act(scale * x + shift) [+ residual]. residual: may be null.
void scale_shift_act(const float* x, Rows n, const float* scale, const float* shift, Activation act,
                     const float* residual, float* y);

// With g = gy * act'(scale * x + shift): sums over the rows of g and of g * x.
void backward_sums(const float* x, const float* gy, Rows n, const float* scale, const float* shift,
                   Activation act, std::vector<double>& sum_g, std::vector<double>& sum_gx);

// gx = scale * g + slope * x + offset.
void backward_input(const float* x, const float* gy, Rows n, const float* scale, const float* shift,
                    Activation act, const float* slope, const float* offset, float* gx);

}  // namespace dsn::kernels
