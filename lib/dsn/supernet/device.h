// SPDX-License-Identifier: Apache-2.0
// Where training computes, and in which precision.
#pragma once

#include <torch/torch.h>

#include <string_view>

#include "dsn/supernet/train_options.h"

namespace dsn {

// "cpu", "cuda" (device `local_rank` of this machine) or "cuda:N". Throws Error{bad_usage} for other text,
// Error{unsupported} saying what is missing when CUDA cannot be used.
[[nodiscard]] torch::Device open_device(std::string_view text, int local_rank = 0);

// Mixed precision for the calling thread while it lives: convolutions and matrix products in `precision`,
// losses and batch norm in float32 (LibTorch's autocast).
class Autocast {
 public:
  explicit Autocast(Precision precision);
  ~Autocast();
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  bool on_, before_ = false;
};

// Factor on the loss that keeps half-precision gradients from vanishing: float16 has no values below 6e-8,
// and the gradients of a trained network are smaller (Micikevicius et al., "Mixed precision training", ICLR
// 2018, arXiv:1710.03740). Halved whenever gradients overflow, doubled after 2000 steps without. bfloat16 has
// float32's range and needs none.
class LossScale {
 public:
  explicit LossScale(Precision precision) : value_(precision == Precision::float16 ? 65536.0 : 1.0) {}
  [[nodiscard]] double value() const noexcept { return value_; }
  // True when the step is to be left out because the scale was too large; the scale is then smaller.
  [[nodiscard]] bool overflowed(bool loss_finite, bool gradients_finite) noexcept;

 private:
  double value_;
  int good_ = 0;
};

}  // namespace dsn
