// SPDX-License-Identifier: Apache-2.0
// The loop of depthwise.cc. No LibTorch.
#pragma once

#include <cstddef>

namespace dsn::kernels {

// A depthwise convolution with padding kernel / 2 over channels-last images: x float32 [n][h][w][c], output
// [n][out_h][out_w][c].
struct Depthwise {
  std::size_t n = 0, h = 0, w = 0, c = 0, out_h = 0, out_w = 0;
  int kernel = 3, stride = 1;
};

// gw: float32 [c][kernel][kernel], the gradient of the weight from that of the output, gy. kernel: 3, 5 or 7.
void depthwise_weight_gradient(const float* x, const float* gy, const Depthwise& d, float* gw);

}  // namespace dsn::kernels
