// SPDX-License-Identifier: Apache-2.0
#include "dsn/replay/thermal.h"

#include <algorithm>
#include <cmath>

#include "dsn/runtime/policy.h"

namespace dsn {

Heat::Heat(const ThermalModel& model, double power_w) noexcept
    : model_(model), temp_c_(model.ambient_c + model.resistance_c_per_w * power_w), highest_c_(temp_c_) {}

void Heat::advance(double dt_s, double power_w) noexcept {
  // C dT/dt = P - (T - ambient) / R, so T falls exponentially towards ambient + R P. The way there is
  // one-sided: the highest temperature is at one of its ends.
  const double balance = model_.ambient_c + model_.resistance_c_per_w * power_w;
  temp_c_ = balance + (temp_c_ - balance) * std::exp(-dt_s / model_.time_constant_s);
  highest_c_ = std::max(highest_c_, temp_c_);
  if (steps_ > 0) throttled_s_ += dt_s;
}

bool Heat::poll() noexcept {
  const int before = steps_;
  if (temp_c_ >= model_.throttle_c) {
    steps_ = std::min(steps_ + 1, static_cast<int>(kMaxOpps));
  } else if (temp_c_ < model_.throttle_c - kHysteresis) {
    steps_ = std::max(steps_ - 1, 0);
  }
  return steps_ != before;
}

}  // namespace dsn
