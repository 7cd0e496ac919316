// SPDX-License-Identifier: Apache-2.0
// Temperature of the simulated device: one resistance and one capacity to the air around it, and throttling
// as Linux's step_wise governor does it. Internal to replay.
#pragma once

#include "dsn/platform/platform.h"

namespace dsn {

class Heat {
 public:
  static constexpr double kPoll = 0.1;        // seconds between looks at the trip point
  static constexpr double kHysteresis = 2.0;  // degrees below the trip point before a step is taken back

  // Starts in balance with `power_w`.
  Heat(const ThermalModel& model, double power_w) noexcept;
  [[nodiscard]] bool modelled() const noexcept {
    return model_.resistance_c_per_w > 0 && model_.time_constant_s > 0;
  }
  [[nodiscard]] bool throttles() const noexcept { return modelled() && model_.throttle_c > 0; }
  // `dt_s` at constant power: exact.
  void advance(double dt_s, double power_w) noexcept;
  void set_ambient(double ambient_c) noexcept { model_.ambient_c = ambient_c; }
  // One look: at or above the trip one step more, well below it one less. True when the steps changed.
  bool poll() noexcept;
  // OPPs by which every cluster's highest is lowered.
  [[nodiscard]] int steps() const noexcept { return steps_; }
  [[nodiscard]] double temp_c() const noexcept { return temp_c_; }
  [[nodiscard]] double highest_c() const noexcept { return highest_c_; }
  [[nodiscard]] double throttled_s() const noexcept { return throttled_s_; }

 private:
  ThermalModel model_;
  double temp_c_, highest_c_, throttled_s_ = 0;
  int steps_ = 0;
};

}  // namespace dsn
