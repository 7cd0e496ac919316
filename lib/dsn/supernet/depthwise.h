// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution for training on a CPU. oneDNN (2.6, AVX-512) has no depthwise kernel for the weight
// gradient of 5 x 5 and larger channels-last convolutions and takes one that is ten times slower; that was a
// third of the time spent in convolutions.
#pragma once

#include <torch/torch.h>

namespace dsn {

// As torch::conv2d(x, weight, {}, stride, kernel / 2, 1, channels); x: float32 [N, C, H, W], weight: [C, 1,
// kernel, kernel]. Gradients are LibTorch's but that of the weight, where x is channels-last on the CPU and
// the kernel is 5 or 7.
[[nodiscard]] torch::Tensor depthwise_conv2d(const torch::Tensor& x, const torch::Tensor& weight, int stride);

}  // namespace dsn
