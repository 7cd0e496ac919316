// SPDX-License-Identifier: Apache-2.0
// Batch norm of a training step with what follows it, in one operation. LibTorch's separate ones read and
// write every activation a dozen times per step, which is most of a small network's training time on a CPU;
// this takes six, and keeps one tensor for the backward pass instead of two.
#pragma once

#include <torch/torch.h>

#include "dsn/space/search_space.h"

namespace dsn {

struct BnActSettings {
  Activation act = Activation::none;
  double eps = 1e-5;
  double momentum = 0.1;
  torch::Tensor running_mean, running_var;  // [channels], updated in place; undefined: not kept
};

// Whether batch_norm_act() takes `x` (float32 [N, C, H, W] on the CPU, channels-last, more than one value per
// channel) and knows `act`.
[[nodiscard]] bool takes_batch_norm_act(const torch::Tensor& x, Activation act);

// act(batch_norm(x)) [+ residual] with the statistics of this batch; gamma, beta: float32 [C]; residual: as
// x, or undefined. Equals torch::batch_norm, torch::hardswish or torch::relu, and + up to rounding (tested),
// in both directions.
[[nodiscard]] torch::Tensor batch_norm_act(const torch::Tensor& x, const torch::Tensor& gamma,
                                           const torch::Tensor& beta, const torch::Tensor& residual,
                                           const BnActSettings& settings);

}  // namespace dsn
