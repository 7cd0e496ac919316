// SPDX-License-Identifier: Apache-2.0
// SGD with Nesterov momentum over named tensors, an exponential moving average of the weights beside it, and
// both as tensors that a checkpoint can hold. (torch::optim keeps its state by pointer, which a safetensors
// file cannot.)
#pragma once

#include <torch/torch.h>

#include <map>
#include <string>
#include <vector>

#include "dsn/core/safetensors.h"

namespace dsn {

struct SgdOptions {
  double momentum = 0.9, weight_decay = 1e-4, clip_norm = 0, ema_decay = 0;
};

class Optimizer {
 public:
  // Updates `parameters` in place. Weight decay applies to tensors of two or more dimensions that are not
  // kernel transforms.
  Optimizer(std::map<std::string, torch::Tensor>& parameters, const SgdOptions& options);

  // One update from the gradients, which are cleared. Returns the gradient norm before clipping.
  double step(double learning_rate);
  // Averaged weights (the present ones when ema_decay is 0), by name.
  [[nodiscard]] const std::map<std::string, torch::Tensor>& averaged() const noexcept;

  // "raw/NAME", "ema/NAME", "momentum/NAME", valid until the next step.
  void append_state(std::map<std::string, TensorView>& out) const;
  void load_state(const TensorFile& file, std::int64_t steps);
  [[nodiscard]] std::int64_t steps() const noexcept { return steps_; }

 private:
  std::map<std::string, torch::Tensor>& parameters_;
  SgdOptions options_;
  std::map<std::string, torch::Tensor> ema_, momentum_;
  std::vector<torch::Tensor> list_, ema_list_, momentum_list_;  // the same tensors, for the foreach kernels
  std::vector<bool> decayed_;
  std::int64_t steps_ = 0;
};

}  // namespace dsn
