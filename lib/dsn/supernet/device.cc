// SPDX-License-Identifier: Apache-2.0
#include "dsn/supernet/device.h"

#include <ATen/autocast_mode.h>
#include <fmt/format.h>

#include <charconv>

#include "dsn/core/error.h"

namespace dsn {

torch::Device open_device(std::string_view text, int local_rank) {
  if (text == "cpu") return torch::kCPU;
  int index = local_rank;
  const std::string_view number = text.substr(std::min(text.size(), std::string_view("cuda:").size()));
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), index);
  const bool numbered =
      text.starts_with("cuda:") && error == std::errc() && end == number.data() + number.size() && index >= 0;
  if (text != "cuda" && !numbered)
    throw Error(ErrorCode::bad_usage,
                fmt::format("device: found \"{}\", expected cpu, cuda or cuda:N", text));
  if (!at::globalContext().hasCUDA()) {
    throw Error(ErrorCode::unsupported,
                fmt::format("device {}: this LibTorch has no CUDA, or found no driver and GPU for it", text),
                "build with -Dtorch_prefix of a LibTorch for CUDA, check nvidia-smi, or use --device cpu");
  }
  const int count = static_cast<int>(torch::cuda::device_count());
  if (index >= count) {
    throw Error(ErrorCode::unsupported,
                fmt::format("device cuda:{}: this machine has {} CUDA device(s)", index, count),
                "choose one that exists, or start fewer ranks on this machine");
  }
  return {torch::kCUDA, static_cast<c10::DeviceIndex>(index)};
}

Autocast::Autocast(Precision precision) : on_(precision != Precision::float32) {
  if (!on_) return;
  before_ = at::autocast::is_enabled();
  at::autocast::set_autocast_gpu_dtype(precision == Precision::float16 ? at::kHalf : at::kBFloat16);
  at::autocast::set_enabled(true);
}

Autocast::~Autocast() {
  if (!on_) return;
  at::autocast::clear_cache();  // of weights converted in this scope
  at::autocast::set_enabled(before_);
}

bool LossScale::overflowed(bool loss_finite, bool gradients_finite) noexcept {
  if (value_ <= 1.0) return false;
  if (loss_finite && !gradients_finite) {
    value_ /= 2;
    good_ = 0;
    return true;
  }
  if (++good_ == 2000) {
    value_ *= 2;
    good_ = 0;
  }
  return false;
}

}  // namespace dsn
